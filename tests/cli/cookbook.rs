//! The recipes of docs/manual/cookbook.md, each with the program that it is for.

mod delivery;
mod sending;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::support::lab::{Lab, POSTSEAL};

/// The blocks of a section that are marked with this word.
fn blocks(section: &str, mark: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual/cookbook.md")).unwrap();
    let text = page.split("\n## ").find(|text| text.starts_with(section)).unwrap_or_else(|| panic!("no {section}"));
    let begin = format!("```{mark}\n");
    let found = text.split(&begin).skip(1).filter_map(|rest| rest.split("```").next());
    let found: Vec<String> = found.map(str::to_owned).collect();
    assert!(!found.is_empty(), "{section} has no {mark}");
    found
}

/// Keys of alice and bob, a message that alice signed and a plain one, and a sendmail that keeps what it is given. Line ends are those of a mailbox.
fn office() -> Lab {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("plain.eml", MESSAGE).run(&["sign", "-o", "signed.eml", "plain.eml"]).code(0);
    let signed = String::from_utf8(lab.read("signed.eml")).expect("ASCII").replace("\r\n", "\n");
    lab.write("signed.eml", signed);
    script(&lab, "sendmail", "#!/bin/sh\necho \"$@\" > arguments\ncat > sent\n");
    lab
}

fn script(lab: &Lab, name: &str, text: &str) {
    lab.write(name, text);
    fs::set_permissions(lab.path(name), fs::Permissions::from_mode(0o755)).expect("a file");
}

/// `PATH` with postseal in front.
fn path() -> String {
    format!("{}:/usr/bin:/bin", Path::new(POSTSEAL).parent().expect("a folder").display())
}

/// A shell line in the lab, with postseal on the path.
fn typed(lab: &Lab, line: &str) -> String {
    let done = lab.shell(&format!("export PATH={}\n{line}", path())).code(0);
    done.text() + &done.stderr
}

const MESSAGE: &str = "From: Alice <alice@example.org>\nTo: Bob <bob@example.org>\nSubject: Lunch\n\
    Date: Mon, 30 Nov 2026 12:00:00 +0000\nMessage-ID: <lunch@example.org>\n\nAt noon.\n";
