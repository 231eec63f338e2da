//! What the pages of the command line say beyond the options. tests/cli/verbs/manual.rs types the examples.

/// What the page of one verb has.
pub(super) struct Entry {
    /// The verb: `key generate`. Empty for the program.
    verb: &'static str,
    /// A paragraph of its description. May be empty.
    pub(super) text: &'static str,
    /// What is done, and the lines for a shell.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Related verbs, beside those above and below it.
    pub(super) see: &'static [&'static str],
    /// Environment variables that only this verb reads, and their meaning.
    pub(super) environment: &'static [(&'static str, &'static str)],
}

/// The entry of a verb.
pub(super) fn of(verb: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.verb == verb)
}

type Examples = &'static [(&'static str, &'static str)];

const fn entry(verb: &'static str, text: &'static str, examples: Examples, see: &'static [&'static str]) -> Entry {
    Entry { verb, text, examples, see, environment: &[] }
}

const ENTRIES: &[Entry] = &[
    entry(
        "",
        "Three protocols have the same commands: OpenPGP, S/MIME and classic PEM. A verdict is `authentic` when the author that a mail reader shows has signed \
         the whole message with a key that is trusted for the address; `signed` when a known key has signed it; otherwise `unsigned`.",
        &[
            ("See it at work, in a temporary home:", "postseal demo"),
            (
                "Make a key, sign a message, and verify it:",
                "postseal key generate --no-passphrase bob@example.org\npostseal sign -o out.eml message.eml\npostseal verify out.eml",
            ),
            (
                "Encrypt a text to a colleague whose key is in a file:",
                "postseal key import colleague.asc\npostseal key trust $FINGERPRINT colleague@example.org\n\
                 postseal encrypt --text --from alice@example.org --to colleague@example.org --subject Lunch -o lunch.eml text",
            ),
        ],
        &[],
    ),
    entry(
        "sign",
        "The header fields stay; Content-* fields move into the signed part. Input that is no mail message is refused, unless `--text` is given.",
        &[
            ("Sign a message with the key of its author:", "postseal sign -o out.eml message.eml"),
            ("Sign it with S/MIME:", "postseal sign -f smime message.eml > out.eml"),
            (
                "Make a message of plain text, and sign it:",
                "postseal sign --text --from alice@example.org --to bob@example.org --subject Hi -o out.eml text",
            ),
        ],
        &["verify", "encrypt", "key generate"],
    ),
    entry(
        "encrypt",
        "The author can read the message too, unless `--no-self` is given. Input that is no mail message is refused, unless `--text` is given. \
         A message that is encrypted already is refused, unless `--keep` or `--again` is given.",
        &[
            ("Encrypt to the recipients in To and Cc, and sign:", "postseal encrypt --sign -o out.eml message.eml"),
            (
                "Encrypt with a passphrase, for people without a key:",
                "postseal encrypt --password --passphrase-file pass -o out.eml message.eml",
            ),
        ],
        &["decrypt", "sign", "key import"],
    ),
    entry(
        "decrypt",
        "Pieces of the type message/partial are joined first, in any order. Without `--output`, nothing is written unless the whole message could be decrypted.",
        &[("Decrypt a message:", "postseal decrypt -o out.eml encrypted.eml")],
        &["encrypt", "verify"],
    ),
    entry(
        "verify",
        "Pieces of the type message/partial are joined first, in any order. The verdict is about the author that a mail reader shows.",
        &[
            ("Verify messages:", "postseal verify signed.eml"),
            ("Use the verdict in a script:", "postseal --quiet verify signed.eml && echo trust it"),
            ("The same, with all details:", "postseal verify --json signed.eml > verdict.json"),
        ],
        &["sign", "inspect", "key trust"],
    ),
    entry(
        "inspect",
        "Nothing is verified or decrypted.",
        &[("Show what a message is made of:", "postseal inspect encrypted.eml")],
        &["verify", "canon"],
    ),
    entry(
        "canon",
        "It shows why a signature fails: what the two sides hash can be compared.",
        &[("Write what PGP/MIME would sign:", "postseal canon --form pgp -o canonical message.eml")],
        &["digest", "inspect"],
    ),
    entry(
        "digest",
        "",
        &[("The SHA-256 of what S/MIME would sign:", "postseal digest -a sha256 --form smime message.eml")],
        &["canon"],
    ),
    entry(
        "scan",
        "Mailboxes are Maildir, mbox, MH, folders of messages, and mailboxes on servers (IMAP, POP3).",
        &[
            ("Judge all messages of a Maildir:", "postseal scan Maildir"),
            ("Find keys in them, and keep them in a file:", "postseal scan --save-keys found.pgp Maildir"),
            ("Write the results as a table for a spreadsheet:", "postseal scan --csv Maildir > mail.csv"),
        ],
        &["verify", "fetch"],
    ),
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
    entry(
        "backup",
        "",
        &[("Back up everything to one sealed file:", "postseal backup --passphrase-file pass keys.backup")],
        &["restore", "key export"],
    ),
    entry(
        "restore",
        "",
        &[(
            "Make a new home of a backup:",
            "postseal backup --passphrase-file pass keys.backup\npostseal restore --home new --passphrase-file pass keys.backup",
        )],
        &["backup"],
    ),
    entry(
        "store",
        "docs/manual/postgresql.md describes databases for several machines.",
        &[("Print the roles for a database of PostgreSQL:", "postseal store roles > roles.sql")],
        &["backup", "serve"],
    ),
    entry(
        "store migrate",
        "The home names the database from then on, in the file `store`. The old keys stay, as postseal.db.moved or in the database.",
        &[(
            "Move the keys of the home to a database:",
            "postseal store migrate 'postgres://mx1@db.example.org/keys?passwordfile=/etc/postseal/mx1'",
        )],
        &["store connect"],
    ),
    entry(
        "store connect",
        "The master key is not in the database: copy master.key from the home of another machine.",
        &[(
            "Use the keys of other machines:",
            "postseal store connect 'postgres://mx2@db.example.org/keys?passwordfile=/etc/postseal/mx2'",
        )],
        &["store migrate"],
    ),
    entry(
        "store upgrade",
        "",
        &[(
            "Make the tables, as the owner of the database:",
            "postseal store upgrade 'postgres://keys@db.example.org/keys?passwordfile=pass'",
        )],
        &["store roles"],
    ),
    entry(
        "store roles",
        "",
        &[("Print the roles for a database of PostgreSQL:", "postseal store roles > roles.sql")],
        &["store upgrade"],
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
    entry(
        "cert",
        "",
        &[("Check a certificate:", "postseal cert verify --anchors alice.pem alice.pem")],
        &["key import", "key request"],
    ),
    entry(
        "cert verify",
        "",
        &[("Check a certificate for mail:", "postseal cert verify --purpose email --anchors alice.pem alice.pem")],
        &[],
    ),
    entry(
        "cert fetch",
        "",
        &[("Ask for the status of a certificate:", "postseal cert fetch --by ocsp alice.pem")],
        &[],
    ),
    entry(
        "cert acme",
        "",
        &[(
            "Get a certificate from an authority with ACME:",
            "postseal cert acme --server https://acme.example.org/directory bob@example.org",
        )],
        &["key request"],
    ),
    entry(
        "cert init-ca",
        "",
        &[(
            "Make an authority for the addresses of a domain:",
            "postseal cert init-ca --no-passphrase --domain example.org 'Example CA'",
        )],
        &["cert issue", "cert crl"],
    ),
    entry(
        "cert issue",
        "",
        &[("Issue a certificate for a request:", "postseal cert issue -o issued.pem request.csr")],
        &["cert init-ca", "key request"],
    ),
    entry("cert list", "", &[("List what was issued:", "postseal cert list")], &["cert issue"]),
    entry(
        "cert revoke",
        "",
        &[(
            "Revoke a certificate, and write the new list:",
            "postseal cert revoke dora@example.org\npostseal cert crl ca.crl",
        )],
        &["cert crl"],
    ),
    entry("cert crl", "", &[("Write the revocation list:", "postseal cert crl ca.crl")], &["cert revoke"]),
    entry(
        "cert reply",
        "",
        &[("Answer a request:", "postseal cert reply --certificate alice.pem -o reply.eml request")],
        &["key request"],
    ),
    entry(
        "cert crl-request",
        "",
        &[("Ask the issuer of a certificate:", "postseal cert crl-request alice.pem")],
        &["cert crl-message"],
    ),
    entry(
        "cert crl-message",
        "",
        &[("Send a list:", "postseal cert crl-message --certificates ca.der list.der")],
        &["cert crl-request"],
    ),
    Entry {
        environment: &[(
            "XDG_STATE_HOME",
            "The folder with the folder `postseal` of the state files. Without it, ~/.local/state is.",
        )],
        ..entry(
            "fetch",
            "What was fetched is kept in a state file, so that a run that was interrupted can be repeated. With `--config`, the messages go through the rules.",
            &[(
                "Copy new mail to a Maildir:",
                "postseal fetch imaps://bob%40example.org@imap.example.org/INBOX --to maildir:Mail --password-file pass",
            )],
            &["watch", "scan"],
        )
    },
    entry(
        "watch",
        "A lost connection is made again. SIGTERM ends it after the current message.",
        &[(
            "Decrypt what arrives, in the mailbox itself:",
            "postseal watch imaps://bob%40example.org@imap.example.org/INBOX --append --delete --config postseal.toml --for bob@example.org --password-file pass",
        )],
        &["fetch"],
    ),
    entry(
        "filter",
        "The message goes from standard input to standard output, or with `--reinject` to the next server. The exit status is one of sysexits.h, as mail servers know it.",
        &[(
            "Decrypt mail for bob, as the rules say:",
            "postseal filter --config postseal.toml --from alice@example.org -- bob@example.org < message.eml",
        )],
        &["sendmail", "config explain"],
    ),
    entry(
        "sendmail",
        "By the name `sendmail`, the program is this verb; by the names `mailq` and `newaliases` it runs the real program. Faults of this machine are temporary errors (75): the caller keeps the mail.",
        &[("Send a message to the recipients in its header:", "postseal sendmail -t -i < message.eml")],
        &["filter", "serve"],
    ),
    entry(
        "serve",
        "It stays in the foreground, logs to standard error, and needs no privileges except to read its keys.",
        &[
            ("Run it by hand:", "postseal serve --config postseal.toml"),
            (
                "Make a key, check the configuration, and start the service:",
                "runuser -u postseal -- postseal --home /var/lib/postseal key generate --no-passphrase alice@example.org\n\
                 runuser -u postseal -- postseal config check /etc/postseal/postseal.toml\n\
                 systemctl enable --now postseal-milter.socket postseal.service",
            ),
        ],
        &["config", "log", "quarantine"],
    ),
    entry(
        "log",
        "",
        &[
            ("What became of alice's mail:", "postseal log alice@example.org log"),
            ("The same, from the journal:", "journalctl -u postseal -o cat | postseal log alice@example.org"),
        ],
        &["serve"],
    ),
    entry(
        "audit",
        "Each change of the home is one line of its audit log, and the configuration adds decisions on mail. Each line is bound to the line before it.",
        &[("Record changes from now on, and check the record:", "postseal audit init\npostseal audit verify")],
        &["key", "serve"],
    ),
    entry("audit init", "", &[("Record the changes of the home:", "postseal audit init")], &["audit verify"]),
    entry(
        "audit head",
        "Kept elsewhere, it shows that no entry is missing at the end.",
        &[("Print the last entry's number and hash:", "postseal audit head")],
        &["audit verify"],
    ),
    entry("audit show", "", &[("Who trusted which key:", "postseal audit show --event trust")], &[]),
    entry(
        "audit verify",
        "Exit status 1: an entry was changed, removed, inserted or moved.",
        &[("Check the log of the home:", "postseal audit verify")],
        &["audit head"],
    ),
    entry("audit export", "", &[("All entries for another system:", "postseal audit export --format ecs")], &[]),
    entry("audit rotate", "", &[("Begin a new file, for cron:", "postseal audit rotate")], &[]),
    entry("quarantine", "", &[("List what is held:", "postseal quarantine list --config postseal.toml")], &["serve"]),
    entry("quarantine list", "", &[("List what is held:", "postseal quarantine list --config postseal.toml")], &[]),
    entry(
        "quarantine show",
        "",
        &[("Show one of them:", "postseal quarantine show --config postseal.toml 20261130T021000Z-aaaaaaaa")],
        &[],
    ),
    entry(
        "quarantine release",
        "",
        &[(
            "Send one to its recipients:",
            "postseal quarantine release --config postseal.toml 20261130T021000Z-aaaaaaaa",
        )],
        &[],
    ),
    entry(
        "quarantine delete",
        "",
        &[("Delete one:", "postseal quarantine delete --config postseal.toml 20261130T021000Z-aaaaaaaa")],
        &[],
    ),
    entry(
        "quarantine expire",
        "",
        &[(
            "Delete what is older than a month, for cron:",
            "postseal quarantine expire --config postseal.toml --older-than 30d",
        )],
        &[],
    ),
    entry("list", "", &[("Check a list:", "postseal list check --config postseal.toml dev")], &["serve"]),
    entry("list check", "", &[("Check a list:", "postseal list check --config postseal.toml dev")], &[]),
    entry(
        "list post",
        "",
        &[(
            "Post a message that the mail server holds:",
            "postseal list post --config postseal.toml dev < message.eml",
        )],
        &["quarantine"],
    ),
    entry("config", "", &[("Check a configuration:", "postseal config check postseal.toml")], &["serve"]),
    entry(
        "config check",
        "",
        &[("Check a configuration:", "postseal config check postseal.toml")],
        &["config explain"],
    ),
    entry(
        "config diff",
        "",
        &[(
            "Which mails of a log would be decided otherwise by another configuration:",
            "postseal config diff postseal.toml postseal.toml day.log",
        )],
        &["config test", "config explain", "log"],
    ),
    entry(
        "config init",
        "",
        &[(
            "Write a configuration for Postfix:",
            "postseal config init postfix --hostname mail.example.org -o new.toml",
        )],
        &["config check"],
    ),
    entry(
        "config explain",
        "",
        &[(
            "What happens to mail from alice to bob:",
            "postseal config explain --config postseal.toml alice@example.org bob@example.org",
        )],
        &["config check"],
    ),
    entry(
        "config test",
        "",
        &[("Decide the cases of a file:", "postseal config test --config postseal.toml cases.toml")],
        &["config diff", "config explain"],
    ),
    entry(
        "config user",
        "",
        &[("Add a user to a users file:", "postseal config user --passphrase-file pass alice >> users")],
        &["serve"],
    ),
    entry("demo", "", &[("Run it:", "postseal demo")], &["sign", "verify", "encrypt"]),
    entry(
        "completions",
        "",
        &[(
            "For bash, for yourself:",
            "mkdir -p ~/.local/share/bash-completion/completions\npostseal completions bash > ~/.local/share/bash-completion/completions/postseal",
        )],
        &["man"],
    ),
    Entry {
        environment: &[(
            "SOURCE_DATE_EPOCH",
            "Seconds since 1970: the date in the footer. Without it, the date is today's.",
        )],
        ..entry(
            "man",
            "The directory is made, with those above it.",
            &[("Read them without installing them:", "postseal man pages\nman -l pages/postseal-sign.1")],
            &["completions"],
        )
    },
];
