//! The commands of docs/manual/scan.md, typed as they are printed, in their order.

use std::{fs, path::Path};

use super::{MESSAGES, lab, mbox};
use crate::support::lab::POSTSEAL;

#[test]
fn the_commands_of_the_manual_are_typed() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual/scan.md")).unwrap();
    let lab = lab();
    for name in ["box.mbox", "archive.mbox"] {
        lab.write(name, mbox(&lab));
    }
    for folder in ["Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        fs::create_dir_all(lab.path(folder)).unwrap();
    }
    for (number, name) in MESSAGES.iter().enumerate() {
        lab.write(&format!("Maildir/cur/{number}.a.b:2,S"), lab.read(name));
    }
    let found = lab.run(&["key", "export", "alice@example.org"]).code(0).stdout;
    let with_key = [b"From: a@bank.example\nMIME-Version: 1.0\nContent-Type: application/pgp-keys\n\n".to_vec(), found];
    lab.write("Maildir/new/9.a.b", with_key.concat());
    let home = lab.path("");
    let path = format!("{}:/usr/bin:/bin", Path::new(POSTSEAL).parent().unwrap().display());
    let mut typed = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("    $ ")) {
        let mut shell = lab.command("sh");
        let output = shell.args(["-c", line]).env("HOME", &home).env("PATH", &path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // One is asked to fail when something is unsigned.
        let expected = if line.contains("--fail-on") { 1 } else { 0 };
        assert_eq!(output.status.code(), Some(expected), "{line}: {said}");
        typed += 1;
    }
    assert!(typed >= 8, "only {typed} commands were found");
    // What was encrypted in place, and put back.
    for (number, name) in MESSAGES.iter().enumerate() {
        assert_eq!(lab.read(&format!("Maildir/cur/{number}.a.b:2,S")), lab.read(name), "{name}");
    }
}
