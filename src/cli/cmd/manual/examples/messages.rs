//! The verbs for messages.

use super::entry::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
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
];
