//! The verbs for keys, and for what other programs keep.

use super::entry::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "key",
        "",
        &[(
            "Make a key, and export its public part for others:",
            "postseal key generate --no-passphrase bob@example.org\npostseal key export -o bob.asc bob@example.org",
        )],
        &["backup", "import"],
    ),
    entry(
        "key generate",
        "A passphrase is asked for. With `--no-passphrase`, the master key of the home alone protects the key. \
         A revocation is kept in the folder `revocations` of the home.",
        &[
            ("A key for a person:", "postseal key generate --no-passphrase --name Bob bob@example.org"),
            (
                "A self-signed certificate for S/MIME, for tests:",
                "postseal key generate -f smime --no-passphrase bob@example.org",
            ),
            (
                "Keys for many people, from a file of ADDRESS,NAME:",
                "postseal key generate --no-passphrase --from-file users.csv",
            ),
        ],
        &["key request", "key renew", "key export"],
    ),
    entry(
        "key import",
        "Importing trusts nothing: compare the fingerprint with the owner, and then use `postseal key trust`.",
        &[
            ("Import a colleague's key:", "postseal key import colleague.asc"),
            ("Trust a root certificate:", "postseal key import --anchor alice.pem"),
        ],
        &["key trust", "import"],
    ),
    entry(
        "key export",
        "",
        &[
            ("Write the public key for others:", "postseal key export -f pgp -o alice.asc alice@example.org"),
            (
                "Write a PKCS#12 file for another mail program:",
                "postseal key export -f smime --secret --passphrase-file pass -o alice.p12 alice@example.org",
            ),
        ],
        &["key import", "key publish", "backup"],
    ),
    entry("key list", "", &[("The keys that end within a month:", "postseal key list --expiring 30d")], &["key show"]),
    entry("key show", "", &[("Show the keys of an address:", "postseal key show alice@example.org")], &["key list"]),
    entry(
        "key trust",
        "A key that is trusted for an address makes mail from this address `authentic`.",
        &[("After its owner has confirmed the fingerprint:", "postseal key trust $FINGERPRINT colleague@example.org")],
        &["key untrust", "key show"],
    ),
    entry(
        "key untrust",
        "",
        &[("Take back all trust in a key:", "postseal key untrust $FINGERPRINT")],
        &["key trust", "key revoke"],
    ),
    entry(
        "key renew",
        "",
        &[
            ("Let a key of ours live two more years:", "postseal key renew --expires 2y $KEY"),
            ("Add a subkey that quantum computers do not break:", "postseal key renew --add-pq $KEY"),
        ],
        &["key list", "key request"],
    ),
    entry(
        "key add-address",
        "",
        &[("Add an address:", "postseal key add-address $KEY alice.smith@example.org")],
        &["key generate"],
    ),
    entry(
        "key passphrase",
        "",
        &[("Set another passphrase, from a file:", "postseal key passphrase --new-passphrase-file pass $KEY")],
        &["key master"],
    ),
    entry(
        "key password",
        "",
        &[(
            "Make a passphrase for somebody without a key, and print it:",
            "postseal key password --generate bob@example.org",
        )],
        &["encrypt"],
    ),
    entry(
        "key revoke",
        "",
        &[(
            "Revoke a key that is no longer used, and write the file for others:",
            "postseal key revoke --reason no-longer-used -o revoked.asc $KEY",
        )],
        &["key untrust", "key remove"],
    ),
    entry(
        "key remove",
        "",
        &[("Remove a colleague's key:", "postseal key remove $FINGERPRINT")],
        &["key untrust", "key revoke"],
    ),
    entry("key check", "", &[("Check the home:", "postseal key check")], &["backup"]),
    entry(
        "key master",
        "",
        &[("Protect the stored keys with a passphrase:", "postseal key master --passphrase --passphrase-file pass")],
        &["key passphrase"],
    ),
    entry(
        "key find",
        "",
        &[("Look for a key, and import what can be used:", "postseal key find --import bob@example.org")],
        &["key refresh", "encrypt"],
    ),
    entry("key refresh", "", &[("Refresh all keys:", "postseal key refresh")], &["key find"]),
    entry("key pending", "", &[("List them:", "postseal key pending")], &["key find"]),
    entry(
        "key pending accept",
        "",
        &[("Use the first one from now on:", "postseal key pending accept 1")],
        &["key pending reject"],
    ),
    entry(
        "key pending reject",
        "",
        &[("Refuse the first one:", "postseal key pending reject 1")],
        &["key pending accept"],
    ),
    entry(
        "key request",
        "",
        &[(
            "Make a key, and the request for a CA:",
            "postseal key request --no-passphrase -o carol.csr carol@example.org",
        )],
        &["key generate", "key import"],
    ),
    entry(
        "key publish",
        "",
        &[("Write a Web Key Directory:", "postseal key publish wkd web")],
        &["key find", "key export"],
    ),
    entry(
        "key publish wkd",
        "",
        &[("For the web server of example.org:", "postseal key publish wkd web alice@example.org")],
        &[],
    ),
    entry(
        "key publish dane",
        "",
        &[("Print the lines for the zone:", "postseal key publish dane alice@example.org >> keys.zone")],
        &[],
    ),
    entry(
        "key publish vks",
        "",
        &[("Upload a key to keys.openpgp.org:", "postseal key publish vks alice@example.org")],
        &[],
    ),
    entry(
        "key publish autocrypt",
        "",
        &[("Print the header field:", "postseal key publish autocrypt alice@example.org")],
        &[],
    ),
    entry("import", "", &[("Take over the keys of gpg:", "postseal import gpg-home ~/.gnupg")], &["key import"]),
    entry(
        "import gpg-home",
        "",
        &[("Take over the keys of gpg:", "postseal import gpg-home ~/.gnupg")],
        &["key import"],
    ),
    entry(
        "import gpgsm",
        "",
        &[("Take over the certificates of gpgsm:", "postseal import gpgsm ~/.gnupg")],
        &["key import"],
    ),
    entry(
        "import openssl-dir",
        "",
        &[("Take over a folder of PEM files:", "postseal import openssl-dir certificates")],
        &["key import"],
    ),
];
