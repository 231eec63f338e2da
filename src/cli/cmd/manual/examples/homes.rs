//! The verbs for homes, and for certificates of S/MIME.

use super::entry::{Entry, entry};

pub(super) const ENTRIES: &[Entry] = &[
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
];
