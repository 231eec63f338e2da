//! A database that is replaced or removed while a process has it open: a service runs for months, and its administrator restores a copy.

use std::{fs, sync::Arc};

use postseal::{
    base::{Kind, Limits},
    keys::{Keys, Passphrases, ProtocolName, Query, Want},
    mail::Address,
    store::Keystore,
};

use crate::support::lab::Lab;

#[test]
fn a_copy_in_its_place_is_read_and_a_missing_one_is_an_error() {
    let lab = Lab::with_keys(&["alice"]);
    let copied = std::process::Command::new("cp").arg("-a").arg(lab.path("home")).arg(lab.path("copy")).status();
    assert!(copied.expect("cp").success());
    lab.run(&["--home", "copy", "key", "generate", "--no-passphrase", "bob@example.org"]).code(0);
    let home = Keystore::open_home(&lab.path("home"), Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    let found = |owner: &str| {
        let address = Address::parse(&format!("{owner}@example.org")).unwrap();
        home.find(ProtocolName::Pgp, &Query::manage(Want::Address(&address))).map(|found| found.len())
    };
    assert_eq!((found("alice").unwrap(), found("bob").unwrap()), (1, 0));
    // Another process writes, so that the file is opened with SQLite's locks from now on.
    lab.run(&["key", "generate", "--no-passphrase", "carol@example.org"]).code(0);
    assert_eq!((found("carol").unwrap(), found("bob").unwrap()), (1, 0));

    // SQLite's log belongs to the file that it was written for (https://sqlite.org/howtocorrupt.html, section 1.4).
    for log in ["postseal.db-wal", "postseal.db-shm"] {
        fs::remove_file(lab.path("home").join(log)).unwrap();
    }
    fs::rename(lab.path("copy/postseal.db"), lab.path("home/postseal.db")).unwrap();
    assert_eq!((found("alice").unwrap(), found("bob").unwrap(), found("carol").unwrap()), (1, 1, 0));

    fs::remove_dir_all(lab.path("home")).unwrap();
    let error = found("alice").unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
    assert!(error.to_string().ends_with("postseal.db: is gone"), "{error}");
}
