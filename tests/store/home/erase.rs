//! A secret key that was removed is gone: from the database, its log and its free pages.

use std::{fs, path::Path};

use super::lab::Lab;

/// Where sixteen octets in a row of `secret` still are.
fn places(home: &Path, secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let octets = fs::read(&path).unwrap();
            if secret.chunks_exact(16).any(|part| memchr::memmem::find(&octets, part).is_some()) {
                found.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

/// A key of RSA has more than one page of SQLite's takes; one of Curve25519 has less.
fn made(lab: &Lab, arguments: &[&str]) -> (String, Vec<u8>) {
    let all = [&["key", "generate", "--no-passphrase"], arguments].concat();
    let made = lab.run(&all);
    assert_eq!(made.code, 0, "{made:?}");
    let fingerprint = made.out.split_whitespace().next().unwrap().to_owned();
    let sql = "SELECT secret.sealed FROM secret JOIN certificate ON certificate = number WHERE fingerprint = ?1";
    let sealed: Vec<u8> = lab.sqlite().query_row(sql, [&fingerprint], |row| row.get(0)).unwrap();
    assert!(!places(&lab.home, &sealed).is_empty());
    (fingerprint, sealed)
}

#[test]
fn nothing_of_a_removed_secret_is_left() {
    for is_open in [false, true] {
        let lab = Lab::new();
        let kept = made(&lab, &["kept@example.org"]);
        let removed = [
            made(&lab, &["a@example.org"]),
            made(&lab, &["--algorithm", "rsa4096", "b@example.org"]),
            made(&lab, &["-f", "smime", "--algorithm", "rsa2048", "c@example.org"]),
        ];
        // Another process: the service, a backup.
        let other = lab.sqlite();
        if is_open {
            other.query_row("SELECT count(*) FROM certificate", (), |row| row.get::<_, i64>(0)).unwrap();
        } else {
            drop(other);
        }
        for (fingerprint, sealed) in &removed {
            let done = lab.run(&["key", "remove", "--secret", fingerprint]);
            assert_eq!(done.code, 0, "{done:?}");
            assert_eq!(places(&lab.home, sealed), Vec::<String>::new(), "open elsewhere: {is_open}");
        }
        assert!(!places(&lab.home, &kept.1).is_empty());
        assert_eq!(lab.run(&["key", "check"]).code, 0);
    }
}

#[test]
fn what_cannot_be_erased_yet_is_said_and_done_later() {
    let lab = Lab::new();
    let (fingerprint, sealed) = made(&lab, &["a@example.org"]);
    let reader = lab.sqlite();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM certificate", (), |row| row.get::<_, i64>(0)).unwrap();
    let done = lab.run(&["key", "remove", "--secret", &fingerprint]);
    assert_eq!(done.code, 75, "{done:?}");
    assert!(done.err.contains("octets of the removed secret key stay in it for now"), "{done:?}");
    assert!(done.err.contains("key check --repair"), "{done:?}");
    assert_eq!(lab.run(&["key", "list"]).out, "", "it is removed all the same");
    assert!(!places(&lab.home, &sealed).is_empty());
    let check = lab.run(&["key", "check"]);
    assert!(check.code == 65 && check.out.contains("removed secret keys: octets of them are left"), "{check:?}");
    // The next change does not hide it.
    drop(reader);
    assert_eq!(lab.run(&["key", "check"]).code, 65);
    let repair = lab.run(&["key", "check", "--repair"]);
    assert_eq!(repair.code, 0, "{repair:?}");
    assert_eq!(places(&lab.home, &sealed), Vec::<String>::new());
    assert_eq!(lab.run(&["key", "check"]).code, 0);
}
