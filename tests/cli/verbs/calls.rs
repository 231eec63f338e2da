//! One call for each option of each verb, and for each value where the help lists them.

/// One call of a verb.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The option, with its value after a space.
    pub(crate) option: &'static str,
    /// What else is typed, with redirections; where it is empty, what the verb's bare call has.
    pub(crate) words: &'static str,
    /// The exit code.
    pub(crate) code: i32,
}

/// A verb.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    /// The call without any option but those that it needs.
    pub(crate) bare: Call,
    /// The options of every verb that come to another exit code than the bare call.
    pub(crate) otherwise: &'static [(&'static str, i32)],
    /// Its own options.
    pub(crate) calls: &'static [Call],
}

impl Call {
    /// As a shell line, in which `$0` is the program.
    pub(crate) fn line(&self, verb: &Verb) -> String {
        let words = if self.words.is_empty() { verb.bare.words } else { self.words };
        match verb.name {
            // What follows it is sendmail's.
            "sendmail" => format!("exec \"$0\" {} sendmail {words}", self.option),
            // Nothing listens on the port, and it tries again until it is stopped.
            "watch" => format!("exec timeout -s TERM --preserve-status 2 \"$0\" watch {} {words}", self.option),
            "serve" => format!("exec timeout -s TERM --preserve-status 3 \"$0\" serve {} {words}", self.option),
            name => format!("exec \"$0\" {name} {} {words}", self.option),
        }
    }
}

const fn call(option: &'static str, words: &'static str, code: i32) -> Call {
    Call { option, words, code }
}

const fn verb(name: &'static str, words: &'static str, code: i32, calls: &'static [Call]) -> Verb {
    Verb { name, bare: call("", words, code), otherwise: &[], calls }
}

/// The options of every verb.
pub(crate) const EVERYWHERE: &[Call] = &[
    call("--keys colleague.asc", "", 0),
    call("--anchors alice.pem", "", 0),
    call("--crls list.der", "", 0),
    call("--revocation off", "", 0),
    call("--revocation soft", "", 0),
    call("--revocation hard", "", 0),
    call("--home home", "", 0),
    call("--passphrase-file pass", "", 0),
    call("--passphrase-fd 3", "", 0),
    call("--passphrase-command 'cat pass'", "", 0),
    call("--at $(date -u +%FT%TZ)", "", 0),
    call("--max-size 1M", "", 0),
    call("--legacy", "", 0),
    call("--help", "", 0),
];

pub(crate) const VERBS: &[Verb] = &[
    verb(
        "sign",
        "message.eml",
        0,
        &[
            call("--to bob@example.org", "--text --from alice@example.org text", 0),
            call("--format pem", "", 0),
            call("--format pgp", "", 0),
            call("--format smime", "", 0),
            call("--as alice@example.org", "", 0),
            call("--key $(cat id)", "", 0),
            call("--inline", "", 0),
            call("--opaque", "-f smime message.eml", 0),
            call("--protect-headers none", "", 0),
            call("--protect-headers clear", "", 0),
            call("--protect-headers baseline", "", 0),
            call("--protect-headers shy", "", 0),
            call("--padding pkcs1", "-f smime message.eml", 0),
            call("--padding pss-oaep", "-f smime message.eml", 0),
            call("--digest sha512", "", 0),
            call("--split 1K", "-o out message.eml", 0),
            call("--text", "--from alice@example.org text", 0),
            call("--from alice@example.org", "--text text", 0),
            call("--subject hi", "--text --from alice@example.org text", 0),
            call("--output out", "", 0),
        ],
    ),
    verb(
        "encrypt",
        "--to alice@example.org message.eml",
        0,
        &[
            call("--to alice@example.org", "-o out message.eml", 0),
            call("--hidden-to alice@example.org", "-o out message.eml", 0),
            call("--discover", "", 0),
            call("--password", "--passphrase-file pass message.eml", 0),
            call("--page", "--passphrase-file pass message.eml", 0),
            call("--sign", "", 0),
            call("--nested", "--sign --to alice@example.org message.eml", 0),
            call("--triple", "-f smime --sign --to alice@example.org message.eml", 0),
            call("--aead", "-f smime --to alice@example.org message.eml", 0),
            call("--legacy-display", "", 0),
            call("--cipher aes128", "", 0),
            call("--again", "--to alice@example.org encrypted.eml", 0),
            call("--no-self", "--to alice@example.org message.eml", 0),
            call("--keep", "--to alice@example.org encrypted.eml", 0),
            call("--format pem", "", 0),
            call("--format pgp", "", 0),
            call("--format smime", "", 0),
            call("--as alice@example.org", "--sign --to alice@example.org message.eml", 0),
            call("--key $(cat id)", "--sign --to alice@example.org message.eml", 0),
            call("--inline", "", 0),
            call("--opaque", "-f smime --sign --to alice@example.org message.eml", 0),
            call("--protect-headers none", "", 0),
            call("--protect-headers clear", "", 0),
            call("--protect-headers baseline", "", 0),
            call("--protect-headers shy", "", 0),
            call("--padding pkcs1", "-f smime --to alice@example.org message.eml", 0),
            call("--padding pss-oaep", "-f smime --to alice@example.org message.eml", 0),
            call("--digest sha512", "--sign --to alice@example.org message.eml", 0),
            call("--split 1K", "-o out --to alice@example.org message.eml", 0),
            call("--text", "--from alice@example.org --to alice@example.org text", 0),
            call("--from alice@example.org", "--text --to alice@example.org text", 0),
            call("--subject hi", "--text --from alice@example.org --to alice@example.org text", 0),
            call("--output out", "", 0),
        ],
    ),
    verb("decrypt", "encrypted.eml", 0, &[call("--parts", "", 0), call("--json", "", 0), call("--output out", "", 0)]),
    verb(
        "verify",
        "signed.eml",
        0,
        &[
            call("--require authentic", "", 0),
            call("--require signed", "", 0),
            call("--save-key", "", 0),
            call("--json", "", 0),
        ],
    ),
    verb(
        "scan",
        "message.eml",
        0,
        &[
            call("--json", "", 0),
            call("--csv", "", 0),
            call("--state state", "", 0),
            call("--fail-on unsigned", "", 1),
            call("--fail-on bad", "", 0),
            call("--fail-on unknown", "", 0),
            call("--fail-on not-authentic", "", 1),
            call("--fail-on closed", "", 0),
            call("--from example.org", "", 0),
            call("--save-keys out", "", 0),
            call("--mbox-format mboxrd", "", 0),
            call("--mbox-format mboxo", "", 0),
            call("--mbox-format mboxcl2", "", 0),
            call("--annotate out", "", 0),
            call("--decrypt out", "encrypted.eml", 0),
            call("--encrypt-to alice@example.org", "out message.eml", 0),
            call("--format pem", "--encrypt-to alice@example.org out message.eml", 64),
            call("--format pgp", "--encrypt-to alice@example.org out message.eml", 0),
            call("--format smime", "--encrypt-to alice@example.org out message.eml", 0),
            call("--in-place encrypt-to=alice@example.org", "Maildir", 0),
            call("--undo", "Converted", 0),
            call("--authserv-id mx.example.org", "--annotate out message.eml", 0),
            call("--password-file pass", "", 0),
            call("--password-fd 3", "", 0),
            call("--password-credential postseal", "", 0),
            call("--password-command true", "", 0),
            call("--timeout 5", "imap://alice@127.0.0.1:1/INBOX", 75),
            call("--insecure-plaintext", "", 0),
        ],
    ),
    verb("inspect", "signed.eml", 0, &[call("--json", "", 0), call("--output out", "", 0)]),
    verb(
        "canon",
        "--form pgp message.eml",
        0,
        &[
            call("--form pem", "message.eml", 0),
            call("--form pgp", "message.eml", 0),
            call("--form smime", "message.eml", 0),
            call("--output out", "", 0),
        ],
    ),
    verb("log", "alice@example.org log", 0, &[call("--json", "", 0)]),
    verb(
        "digest",
        "-a sha256 message.eml",
        0,
        &[
            call("--algorithm sha3-256", "message.eml", 0),
            call("--form pem", "", 0),
            call("--form pgp", "", 0),
            call("--form smime", "", 0),
            call("--output out", "", 0),
        ],
    ),
    Verb {
        otherwise: &[
            ("--passphrase-file pass", 64),
            ("--passphrase-fd 3", 64),
            ("--passphrase-command 'cat pass'", 64),
        ],
        ..verb(
            "key generate",
            "--no-passphrase bob@example.org",
            0,
            &[
                call("--format pem", "", 64),
                call("--format pgp", "", 0),
                call("--format smime", "", 0),
                call("--profile rfc4880", "", 0),
                call("--profile rfc9580", "", 0),
                call("--algorithm curve25519", "", 0),
                call("--algorithm ed25519", "-f smime --no-passphrase bob@example.org", 0),
                call("--algorithm p256", "-f smime --no-passphrase bob@example.org", 0),
                call("--algorithm p384", "-f smime --no-passphrase bob@example.org", 0),
                call("--algorithm p521", "-f smime --no-passphrase bob@example.org", 0),
                call("--algorithm rsa2048", "-f smime --no-passphrase bob@example.org", 0),
                call("--algorithm rsa3072", "-f smime --no-passphrase bob@example.org", 0),
                call("--algorithm rsa4096", "--no-passphrase bob@example.org", 0),
                call("--name Bob", "", 0),
                call("--expires never", "", 0),
                call("--no-passphrase", "bob@example.org", 0),
                call("--replace", "--no-passphrase alice@example.org", 0),
                call("--keep", "--no-passphrase alice@example.org", 0),
                call("--from-file users.csv", "--no-passphrase", 0),
                call("--requests csr", "-f smime --algorithm p256 --no-passphrase --from-file users.csv", 0),
            ],
        )
    },
    verb("key import", "colleague.asc", 0, &[call("--anchor", "alice.pem", 0)]),
    verb(
        "key export",
        "alice@example.org",
        0,
        &[
            call("--format pem", "", 77),
            call("--format pgp", "", 0),
            call("--format smime", "", 0),
            call("--secret", "-f pgp alice@example.org", 0),
            call("--pbmac1", "-f smime --secret --passphrase-file pass alice@example.org", 0),
            call("--binary", "-f pgp alice@example.org", 0),
            call("--output out", "", 0),
        ],
    ),
    verb(
        "key list",
        "",
        0,
        &[
            call("--format pem", "", 0),
            call("--format pgp", "", 0),
            call("--format smime", "", 0),
            call("--secret", "", 0),
            call("--anchor", "", 0),
            call("--expiring 30d", "", 0),
            call("--json", "", 0),
        ],
    ),
    Verb {
        otherwise: &[("--passphrase-file pass", 0), ("--passphrase-fd 3", 0), ("--passphrase-command 'cat pass'", 0)],
        ..verb("backup", "out", 64, &[])
    },
    Verb {
        otherwise: &[
            ("--passphrase-file pass", 65),
            ("--passphrase-fd 3", 65),
            ("--passphrase-command 'cat pass'", 65),
        ],
        ..verb("restore", "colleague.asc", 77, &[])
    },
    verb("key publish wkd", "web", 0, &[call("--layout advanced", "", 0), call("--layout direct", "", 0)]),
    verb(
        "key publish dane",
        "",
        0,
        &[
            call("--format pem", "", 77),
            call("--format pgp", "", 0),
            call("--format smime", "", 0),
            call("--generic", "", 0),
        ],
    ),
    // Nothing listens there.
    verb(
        "key publish vks",
        "--server https://127.0.0.1:9 alice@example.org",
        69,
        &[call("--server https://127.0.0.1:9", "alice@example.org", 69), call("--roots alice.pem", "", 69)],
    ),
    verb(
        "key publish autocrypt",
        "alice@example.org",
        0,
        &[call("--prefer-encrypt nopreference", "", 0), call("--prefer-encrypt mutual", "", 0)],
    ),
    verb("key check", "", 0, &[call("--repair", "", 0)]),
    verb("key show", "alice@example.org", 0, &[call("--json", "", 0)]),
    // A name server that does not answer: nothing is known.
    verb(
        "key find",
        "bob@example.org",
        75,
        &[call("--json", "", 75), call("--import", "", 75), call("--config postseal.toml", "", 75)],
    ),
    verb("key refresh", "", 75, &[call("--config postseal.toml", "", 75)]),
    verb("key pending accept", "1", 77, &[call("--config postseal.toml", "", 77)]),
    verb("key pending reject", "1", 77, &[call("--config postseal.toml", "", 77)]),
    verb("key trust", "$(cat id) other@example.org", 0, &[]),
    verb("key untrust", "$(cat id)", 0, &[]),
    verb("key remove", "$(cat colleague-id)", 0, &[call("--secret", "$(cat id)", 0)]),
    verb(
        "key revoke",
        "$(cat id)",
        0,
        &[
            call("--reason no-longer-used", "", 0),
            call("--reason superseded", "", 0),
            call("--reason compromised", "", 0),
            call("--message words", "", 0),
            call("--undo", "$(cat certificate-id)", 0),
            call("--output out", "", 0),
        ],
    ),
    verb(
        "key renew",
        "$(cat id)",
        0,
        &[
            call("--expires 90d", "", 0),
            call("--new-subkey", "", 0),
            call("--new-key", "--passphrase-file pass $(cat certificate-id)", 0),
            call("--no-passphrase", "--new-key $(cat certificate-id)", 0),
            call("--output out", "$(cat certificate-id)", 0),
        ],
    ),
    verb(
        "key add-address",
        "$(cat id) other@example.org",
        0,
        &[call("--name Alice", "", 0), call("--output out", "$(cat certificate-id) other@example.org", 0)],
    ),
    verb(
        "key passphrase",
        "--new-passphrase-file pass $(cat id)",
        0,
        &[call("--no-passphrase", "$(cat id)", 0), call("--new-passphrase-file pass", "$(cat id)", 0)],
    ),
    verb(
        "key password",
        "--generate bob@example.net",
        0,
        &[call("--generate", "bob@example.net", 0), call("--remove", "bob@example.net", 77)],
    ),
    verb(
        "key master",
        "--in-home",
        0,
        &[
            call("--file master", " ", 0),
            call("--in-home", " ", 0),
            // Without a folder it is this verb's own.
            call("--home", " ", 0),
            call("--credential postseal", " ", 0),
            call("--passphrase", "--passphrase-file pass", 0),
        ],
    ),
    verb(
        "key request",
        "alice@example.org",
        0,
        &[
            call("--format pem", "", 0),
            call("--format smime", "", 0),
            call("--algorithm curve25519", "--no-passphrase bob@example.org", 64),
            call("--algorithm ed25519", "--no-passphrase bob@example.org", 0),
            call("--algorithm p256", "--no-passphrase bob@example.org", 0),
            call("--algorithm p384", "--no-passphrase bob@example.org", 0),
            call("--algorithm p521", "--no-passphrase bob@example.org", 0),
            call("--algorithm rsa2048", "--no-passphrase bob@example.org", 0),
            call("--algorithm rsa3072", "--no-passphrase bob@example.org", 0),
            call("--algorithm rsa4096", "--no-passphrase bob@example.org", 0),
            call("--name Bob", "--no-passphrase bob@example.org", 0),
            call("--expires 90d", "--no-passphrase bob@example.org", 0),
            call("--no-passphrase", "bob@example.org", 0),
            call("--output out", "", 0),
        ],
    ),
    verb("import gpg-home", "empty", 66, &[]),
    verb("import gpgsm", "empty", 66, &[]),
    verb("import openssl-dir", "certificates", 0, &[]),
    verb(
        "cert verify",
        "--anchors alice.pem alice.pem",
        0,
        &[
            call("--intermediates alice.pem", "", 0),
            call("--policy 2.5.29.32.0", "", 0),
            call("--explicit-policy", "", 0),
            call("--inhibit-policy-mapping", "", 0),
            call("--inhibit-any-policy", "", 0),
            call("--purpose any", "", 0),
            call("--purpose email", "", 0),
            call("--json", "", 0),
        ],
    ),
    verb(
        "cert fetch",
        "alice.pem",
        0,
        &[
            call("--by both", "", 0),
            call("--by crl", "", 0),
            call("--by ocsp", "", 0),
            call("--again", "", 0),
            call("--allow 192.0.2.0/24", "", 0),
        ],
    ),
    verb(
        "cert reply",
        "--certificate alice.pem request",
        0,
        &[call("--certificate alice.pem", "request", 0), call("--output out", "", 0)],
    ),
    verb("cert crl-request", "alice.pem", 0, &[call("--output out", "", 0)]),
    verb(
        "cert crl-message",
        "--certificates ca.der list.der",
        0,
        &[call("--certificates ca.der", "list.der", 0), call("--output out", "", 0)],
    ),
    verb(
        "filter",
        "-- bob@example.org < message.eml",
        0,
        &[
            call("--from alice@example.org", "", 0),
            call("--user alice", "", 0),
            call("--trusted", "", 0),
            call("--reinject", "", 0),
            call("--config postseal.toml", "", 0),
        ],
    ),
    verb("fetch", FROM_NOWHERE, 75, FETCHING),
    verb("watch", FROM_NOWHERE, 0, WATCHING),
    verb("sendmail", "-bv bob@example.org", 0, &[]),
    verb("serve", " ", 0, &[call("--config postseal.toml", "", 0)]),
    verb("quarantine list", "-c postseal.toml", 0, &[call("--json", "", 0), call("--config postseal.toml", " ", 0)]),
    verb(
        "quarantine show",
        "-c postseal.toml 20261130T021000Z-aaaaaaaa",
        0,
        &[call("--raw", "", 0), call("--config postseal.toml", "20261130T021000Z-aaaaaaaa", 0)],
    ),
    verb(
        "quarantine release",
        "-c postseal.toml 20261130T021000Z-aaaaaaaa",
        0,
        &[call("--config postseal.toml", "20261130T021000Z-aaaaaaaa", 0)],
    ),
    verb(
        "quarantine delete",
        "-c postseal.toml 20261130T021000Z-aaaaaaaa",
        0,
        &[call("--config postseal.toml", "20261130T021000Z-aaaaaaaa", 0)],
    ),
    verb(
        "quarantine expire",
        "-c postseal.toml --older-than 30d",
        0,
        &[call("--older-than 5m", "-c postseal.toml", 0), call("--config postseal.toml", "--older-than 12h", 0)],
    ),
    verb("list check", "-c postseal.toml dev", 0, &[call("--config postseal.toml", "dev", 0)]),
    // Its milter would see the copies, and there is no marker.
    verb(
        "list post",
        "-c postseal.toml dev < message.eml",
        78,
        &[call("--config postseal.toml", "dev < message.eml", 78)],
    ),
    verb("config check", " ", 0, &[]),
    verb(
        "config explain",
        "alice@example.org bob@example.org",
        0,
        &[
            call("--config postseal.toml", "", 0),
            call("--user alice", "", 0),
            call("--trusted", "", 0),
            call("--unknown", "", 0),
            call("--json", "", 0),
        ],
    ),
    Verb {
        otherwise: &[("--passphrase-file pass", 0), ("--passphrase-fd 3", 0), ("--passphrase-command 'cat pass'", 0)],
        ..verb("config user", "alice", 64, &[])
    },
    verb(
        "completions",
        "bash",
        0,
        &[call("", "elvish", 0), call("", "fish", 0), call("", "powershell", 0), call("", "zsh", 0)],
    ),
    verb("demo", "", 0, &[]),
    verb("man", "empty", 0, &[]),
];

const FROM_NOWHERE: &str = "imap://alice@127.0.0.1:1/INBOX --to maildir:out";

const FETCHING: &[Call] = &[
    call("--to maildir:out", "imap://alice@127.0.0.1:1/INBOX", 75),
    call("--append", "imap://alice@127.0.0.1:1/INBOX --delete --config postseal.toml --for alice@example.org", 75),
    call("--move-to old", "", 75),
    call("--delete", "", 75),
    call("--keep", "", 75),
    call("--config postseal.toml", "imap://alice@127.0.0.1:1/INBOX --to maildir:out --for alice@example.org", 75),
    call("--for alice@example.org", "", 75),
    call("--state state", "", 75),
    call("--password-file pass", "", 75),
    call("--password-fd 3", "", 75),
    call("--password-credential postseal", "", 75),
    call("--password-command true", "", 75),
    call("--timeout 5", "", 75),
    call("--insecure-plaintext", "", 75),
];

const WATCHING: &[Call] = &[
    call("--to maildir:out", "imap://alice@127.0.0.1:1/INBOX", 0),
    call("--append", "imap://alice@127.0.0.1:1/INBOX --delete --config postseal.toml --for alice@example.org", 0),
    call("--move-to old", "", 0),
    call("--delete", "", 0),
    call("--keep", "", 0),
    call("--config postseal.toml", "imap://alice@127.0.0.1:1/INBOX --to maildir:out --for alice@example.org", 0),
    call("--for alice@example.org", "", 0),
    call("--state state", "", 0),
    call("--password-file pass", "", 0),
    call("--password-fd 3", "", 0),
    call("--password-credential postseal", "", 0),
    call("--password-command true", "", 0),
    call("--timeout 5", "", 0),
    call("--insecure-plaintext", "", 0),
    call("--poll 5", "", 0),
];
