//! A home in one file, and a home made of it.

use std::fs;

use super::{MESSAGE, id};
use crate::support::{lab::Lab, requirements::present};

/// A home with everything that a home has: keys with and without a passphrase, trust, an anchor, a revocation list, announced ciphers.
fn furnished() -> Lab {
    let (lab, colleague) = (Lab::new(), Lab::with_keys(&["bob"]));
    lab.write("pass", "correct horse\n").write("m.eml", MESSAGE).write("backup-pass", "battery staple\n");
    lab.run(&["key", "generate", "--passphrase-file", "pass", "alice@example.org"]).code(0);
    let generate = ["key", "generate", "-f", "smime", "--algorithm", "p256", "--no-passphrase", "alice@example.org"];
    lab.run(&generate).code(0);
    lab.write("bob.asc", colleague.run(&["key", "export", "bob@example.org"]).code(0).stdout);
    lab.run(&["key", "import", "bob.asc"]).code(0);
    lab.run(&["key", "trust", &id(&lab, "pgp", "bob@example.org"), "bob@example.org"]).code(0);
    let testdata = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/crl");
    lab.run(&["key", "import", "--anchor", &format!("{testdata}/ca.der")]).code(0);
    lab.run(&["key", "import", &format!("{testdata}/list-2.der")]).code(0);
    lab
}

fn backup(lab: &Lab) -> String {
    lab.run(&["--passphrase-file", "backup-pass", "backup", "b.pgp"]).code(0).stderr
}

fn restore(lab: &Lab, home: &str) -> crate::support::lab::Done {
    lab.run(&["--home", home, "--passphrase-file", "backup-pass", "restore", "b.pgp"])
}

#[test]
fn a_restored_home_is_the_same() {
    let lab = furnished();
    let said = backup(&lab);
    assert!(said.contains("4 certificates, 2 of them with a secret key; it was read back"), "{said}");
    restore(&lab, "copy").code(0);
    let at = |home: &str, arguments: &[&str]| lab.run(&[&["--home", home], arguments].concat());
    let listed = |home: &str| at(home, &["key", "list", "--json"]).code(0).text();
    assert_eq!(listed("copy"), listed("home"));
    at("copy", &["key", "check"]).code(0);
    // Secret keys are locked as they were.
    at("copy", &["sign", "m.eml"]).refused(77, "locked");
    at("copy", &["--passphrase-file", "pass", "sign", "m.eml"]).code(0);
    at("copy", &["sign", "-f", "smime", "m.eml"]).code(0);
    let count = |home: &str| {
        let sql = format!("sqlite3 {home}/postseal.db 'SELECT count(*) FROM statement'");
        lab.shell(&sql).code(0).text()
    };
    if present(&["sqlite3"]) {
        assert_eq!((count("copy"), count("home")), ("1\n".to_owned(), "1\n".to_owned()));
    }
    let names = |home: &str| {
        let mut names: Vec<_> = fs::read_dir(lab.path(home).join("revocations"))
            .expect("the folder")
            .map(|one| one.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("copy"), names("home"));
    // It lives on.
    at("copy", &["key", "generate", "--no-passphrase", "carol@example.org"]).code(0);
}

/// The master key is on another disk, which is lost with the machine.
#[test]
fn a_backup_needs_no_other_file() {
    let lab = furnished();
    lab.run(&["key", "master", "--file", "stick"]).code(0);
    backup(&lab);
    fs::remove_file(lab.path("stick")).expect("the file");
    fs::remove_dir_all(lab.path("home")).expect("the home");
    restore(&lab, "home").code(0);
    lab.run(&["sign", "-f", "smime", "m.eml"]).code(0);
    lab.run(&["--passphrase-file", "pass", "sign", "m.eml"]).code(0);
}

#[test]
fn what_cannot_be_restored_leaves_nothing() {
    let lab = furnished();
    backup(&lab);
    let before = lab.names();
    restore(&lab, "home").refused(73, "is not empty");
    lab.write("wrong", "staple\n");
    let wrong = ["--home", "copy", "--passphrase-file", "wrong", "restore", "b.pgp"];
    lab.run(&wrong).refused(77, "the passphrase does not fit");
    let whole = lab.read("b.pgp");
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for damaged in [&changed[..], &whole[..whole.len() - 1], &whole[..middle], b"no backup"] {
        lab.write("b.pgp", damaged);
        restore(&lab, "copy").refused(65, "damaged, or not a backup");
    }
    lab.run(&["--home", "copy", "restore", "gone"]).refused(66, "no such file");
    let mut after = lab.names();
    after.retain(|name| name != "wrong");
    assert_eq!(after, before);
    // An empty folder is no home.
    lab.write("b.pgp", whole);
    fs::create_dir(lab.path("copy")).expect("a folder");
    restore(&lab, "copy").code(0);
    lab.run(&["--home", "copy", "key", "check"]).code(0);
    lab.run(&["--home", "none", "--passphrase-file", "wrong", "backup", "x"]).refused(66, "there is no home");
    assert!(!lab.path("x").exists());
}

#[test]
fn other_programs_open_it() {
    let lab = furnished();
    backup(&lab);
    let list = ["master.key", "postseal.db", "revocations/"];
    if present(&["gpg"]) {
        let gpg = "mkdir -m 700 g && gpg --homedir g --batch -q --pinentry-mode loopback --passphrase-file backup-pass -d b.pgp | tar -t; \
                   gpgconf --homedir g --kill all";
        let said = lab.shell(gpg).text();
        assert!(list.iter().all(|name| said.contains(name)), "{said}");
    }
}
