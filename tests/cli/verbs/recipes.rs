//! Commands that README.md and the manual name within their text. Their blocks of commands are typed by tests/cli/program.rs and tests/cli/policy.rs.

use std::{collections::BTreeSet, fs, path::Path};

use super::sample_home;

/// What is done with a command of the text.
enum Done {
    /// It is typed so, in the folder of the office, and succeeds.
    Typed(&'static str),
    /// It is not, for this reason.
    Left(&'static str),
}

#[test]
fn every_command_in_the_text_is_typed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    pages.extend(fs::read_dir(root.join("docs/manual")).unwrap().map(|entry| entry.unwrap().path()));
    let named: BTreeSet<String> = pages.iter().flat_map(|page| commands(&fs::read_to_string(page).unwrap())).collect();
    assert!(named.len() > 15, "only {} commands were found", named.len());
    let lab = sample_home::furnished();
    for command in &named {
        let (_, done) = COMMANDS
            .iter()
            .find(|(known, _)| known == command)
            .unwrap_or_else(|| panic!("{command:?} is in the manual, and not in tests/cli/verbs/recipes.rs"));
        match done {
            Done::Typed(line) => {
                let place = sample_home::copy(&lab);
                let said = place.shell(&format!("export CREDENTIALS_DIRECTORY=credentials; \"$0\" {line}"));
                assert_eq!(said.code, 0, "{command}, typed as {line}: {}", said.stderr);
            }
            Done::Left(why) => println!("{command}: not typed: {why}"),
        }
    }
    for (command, _) in COMMANDS {
        assert!(named.contains(*command), "{command:?} is in no page any more");
    }
}

/// What stands between backquotes, outside of blocks, and is more than a name.
fn commands(page: &str) -> Vec<String> {
    let outside: Vec<&str> = page.split("```").step_by(2).collect();
    let spans = outside.iter().flat_map(|text| text.split('`').skip(1).step_by(2));
    spans.filter(|span| span.starts_with("postseal ")).map(|span| span.replace('\n', " ")).collect()
}

const COMMANDS: &[(&str, Done)] = &[
    ("postseal cert crl FILE", Done::Typed("cert crl ca.crl")),
    ("postseal cert issue ADDRESS", Done::Typed("cert issue alice@example.org")),
    ("postseal cert acme ADDRESS", Done::Left("it needs an authority: tests/service/acme has one")),
    ("postseal cert crl-message CRL...", Done::Typed("cert crl-message --certificates ca.der list.der")),
    ("postseal cert crl-request CERT...", Done::Typed("cert crl-request alice.pem")),
    (
        "postseal cert reply --certificate chain.pem request.txt",
        Done::Typed("cert reply --certificate alice.pem request"),
    ),
    ("postseal cert fetch", Done::Typed("cert fetch alice.pem")),
    (
        "postseal cert verify --revocation-fetch both",
        Done::Typed("cert verify --revocation-fetch both --anchors alice.pem alice.pem"),
    ),
    ("postseal cert verify LEAF", Done::Typed("cert verify --anchors alice.pem alice.pem")),
    ("postseal config diff --json OLD NEW LOG", Done::Typed("config diff --json postseal.toml postseal.toml day.log")),
    ("postseal config diff postseal.toml next.toml", Done::Typed("config diff postseal.toml postseal.toml < day.log")),
    (
        "postseal config explain --json FROM TO",
        Done::Typed("config explain --json -c postseal.toml alice@example.org bob@example.org"),
    ),
    ("postseal config test --json FILE", Done::Typed("config test --json -c postseal.toml cases.toml")),
    ("postseal config init postfix", Done::Typed("config init postfix --hostname mail.example.org -o new.toml")),
    (
        "postseal config init postfix|sendmail|submission",
        Done::Typed("config init sendmail --hostname mail.example.org -o new.toml"),
    ),
    ("postseal config user NAME", Done::Typed("config user --passphrase-file pass alice")),
    ("postseal encrypt --discover", Done::Typed("encrypt --discover --to alice@example.org message.eml")),
    ("postseal encrypt", Done::Typed("encrypt --to alice@example.org message.eml")),
    ("postseal fetch", Done::Left("tests/service/fetch.rs does, with a Dovecot")),
    ("postseal filter", Done::Left("every_verb_takes_every_option runs it with a configuration")),
    ("postseal filter --reinject", Done::Left("tests/service/recipes.rs does, in Postfix")),
    ("postseal verify --html report.html signed.eml", Done::Typed("verify --html report.html signed.eml")),
    ("postseal import gpg-home ~/.gnupg", Done::Left("tests/interop/import.rs does, with gpg")),
    ("postseal key generate --from-file users.csv", Done::Typed("key generate --no-passphrase --from-file users.csv")),
    (
        "postseal key generate --from-ldap FILTER",
        Done::Left("it needs a directory: tests/service/discover/directory.rs"),
    ),
    ("postseal key import", Done::Typed("key import colleague.asc")),
    ("postseal key import FILE", Done::Typed("key import colleague.asc")),
    ("postseal key import reply.txt", Done::Typed("key import reply")),
    ("postseal key master --credential postseal", Done::Typed("key master --credential postseal")),
    ("postseal key master --file /mnt/stick/postseal.key", Done::Typed("key master --file postseal.key")),
    ("postseal key master --in-home", Done::Typed("key master --in-home")),
    ("postseal key master --passphrase", Done::Typed("key master --passphrase --passphrase-file pass")),
    ("postseal decrypt", Done::Typed("decrypt encrypted.eml")),
    ("postseal encrypt --password", Done::Typed("encrypt --password --passphrase-file pass message.eml")),
    ("postseal key add-address ADDRESS NEW", Done::Typed("key add-address $(cat id) new@example.org")),
    ("postseal key export ADDRESS", Done::Typed("key export alice@example.org")),
    ("postseal key find ADDRESS", Done::Left("tests/service/discover/outcomes.rs does, with a web server")),
    ("postseal key refresh", Done::Left("tests/service/discover/refreshed.rs does, with a web server")),
    ("postseal key generate", Done::Typed("key generate --no-passphrase bob@example.org")),
    ("postseal key generate ADDRESS", Done::Typed("key generate --no-passphrase bob@example.org")),
    (
        "postseal key generate -f smime --ca ADDRESS",
        Done::Typed("key generate -f smime --ca --algorithm p256 --no-passphrase bob@example.org"),
    ),
    ("postseal key list", Done::Typed("key list")),
    ("postseal key password", Done::Typed("key password")),
    ("postseal key password ADDRESS", Done::Typed("--passphrase-file pass key password bob@example.net")),
    ("postseal key password --generate ADDRESS", Done::Typed("key password --generate bob@example.net")),
    (
        "postseal key password --remove ADDRESS",
        Done::Typed("key password --generate bob@example.net && \"$0\" key password --remove bob@example.net"),
    ),
    ("postseal key passphrase ADDRESS", Done::Typed("key passphrase --new-passphrase-file pass $(cat id)")),
    ("postseal key remove", Done::Typed("key remove $(cat colleague-id)")),
    ("postseal key renew ADDRESS", Done::Typed("key renew $(cat id)")),
    ("postseal key request", Done::Typed("key request alice@example.org")),
    ("postseal key request ADDRESS", Done::Typed("key request alice@example.org")),
    ("postseal key revoke FINGERPRINT", Done::Typed("key revoke $(cat id)")),
    ("postseal key show ADDRESS", Done::Typed("key show alice@example.org")),
    ("postseal key untrust FINGERPRINT", Done::Typed("key untrust $(cat id)")),
    ("postseal key untrust FINGERPRINT ADDRESS", Done::Typed("key untrust $(cat colleague-id) colleague@example.org")),
    ("postseal inspect sealed.eml", Done::Typed("inspect encrypted.eml")),
    ("postseal verify --json FILE", Done::Typed("verify --json signed.eml")),
    ("postseal decrypt --json -o OUT FILE", Done::Typed("decrypt --json -o out encrypted.eml")),
    ("postseal scan --json PATH", Done::Typed("scan --json Maildir")),
    ("postseal key list --json", Done::Typed("key list --json")),
    ("postseal key show --json ADDRESS", Done::Typed("key show --json alice@example.org")),
    ("postseal store roles", Done::Typed("store roles")),
    ("postseal restore FILE", Done::Left("tests/cli/keys/backup.rs does, with a backup")),
    ("postseal key publish", Done::Typed("key publish wkd web")),
    ("postseal log", Done::Typed("log alice@example.org log")),
    ("postseal log ID|ADDRESS FILE", Done::Typed("log alice@example.org log")),
    ("postseal key trust", Done::Typed("key trust $(cat id) other@example.org")),
    ("postseal key trust FINGERPRINT ADDRESS", Done::Typed("key trust $(cat id) other@example.org")),
    (
        "postseal key trust FINGERPRINT alice+shop@example.org",
        Done::Typed("key trust $(cat id) alice+shop@example.org"),
    ),
    ("postseal key trust NEW ADDRESS", Done::Typed("key trust $(cat colleague-id) colleague@example.org")),
    ("postseal config check", Done::Typed("config check postseal.toml")),
    ("postseal key show FINGERPRINT", Done::Typed("key show $(cat colleague-id)")),
    ("postseal scan ~/Maildir", Done::Typed("scan message.eml")),
    ("postseal list check dev", Done::Typed("list check -c postseal.toml dev")),
    ("postseal quarantine list", Done::Typed("quarantine list -c postseal.toml")),
    ("postseal sendmail", Done::Left("tests/service/sendmail.rs does, with a mail server")),
    ("postseal serve", Done::Left("it runs until it is ended; `every_verb_takes_every_option` ends it")),
    ("postseal serve --config FILE", Done::Left("it runs until it is ended; `every_verb_takes_every_option` ends it")),
    ("postseal scan --save-keys FILE", Done::Typed("scan --save-keys keys message.eml")),
    ("postseal sign", Done::Typed("sign message.eml")),
    ("postseal verify", Done::Typed("verify signed.eml")),
    ("postseal verify --revocation-fetch both", Done::Typed("verify --revocation-fetch both signed.eml")),
    ("postseal verify --save-key signed.eml", Done::Typed("verify --save-key signed.eml")),
];
