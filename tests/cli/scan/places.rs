//! Everything that holds messages.

use std::fs;

use super::{MESSAGES, lab, mbox, totals};
use crate::support::lab::Lab;

const EXPECTED: [&str; 6] = ["messages 6", "authentic 2", "bad 1", "unsigned 2", "closed 1", "encrypted 3"];

fn counted(lab: &Lab, line: &str) -> Vec<String> {
    totals(&lab.shell(&format!("exec \"$0\" scan {line}")).code(0).text())
}

/// A Maildir with a folder: the first three messages are in it, the others in the folder.
pub(super) fn maildir(lab: &Lab, name: &str) {
    for part in ["cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Sent/tmp"] {
        fs::create_dir_all(lab.path(name).join(part)).unwrap();
    }
    for (file, message) in [
        "cur/1.a.host:2,S",
        "cur/2.b.host:2,FRS",
        "new/3.c.host",
        ".Sent/cur/4.d.host:2,S",
        ".Sent/cur/5.e.host,S=9:2,",
        ".Sent/new/6.f.host",
    ]
    .into_iter()
    .zip(MESSAGES)
    {
        lab.write(&format!("{name}/{file}"), lab.read(message));
    }
}

#[test]
fn the_same_messages_are_found_in_every_kind_of_mailbox() {
    let lab = lab();
    lab.write("box", mbox(&lab))
        .write("crlf", String::from_utf8(mbox(&lab)).unwrap().replace("\r\n", "\n").replace('\n', "\r\n"));
    for line in ["box", "crlf", "- < box", "--mbox-format mboxo box"] {
        assert_eq!(counted(&lab, line), EXPECTED, "{line}");
    }
    maildir(&lab, "Maildir");
    assert_eq!(counted(&lab, "Maildir"), EXPECTED);
    // A tree: a Maildir in it, messages, an mbox without an ending, a file of another kind.
    fs::create_dir(lab.path("tree")).unwrap();
    lab.write("tree/notes.txt", "From a\n").write("tree/picture", "\0\0").write("tree/Inbox", "");
    for (number, message) in MESSAGES.into_iter().enumerate() {
        let name = if number < 3 { format!("{number}.eml") } else { number.to_string() };
        lab.write(&format!("tree/{name}"), lab.read(message));
    }
    assert_eq!(counted(&lab, "tree"), EXPECTED);
    maildir(&lab, "tree/Maildir");
    lab.write("tree/Archive", lab.read("box"));
    assert_eq!(counted(&lab, "tree")[0], "messages 18");
    assert!(lab.run(&["scan", "tree"]).stderr.contains("files that are no mail: 3"));
}

#[test]
fn packed_mailboxes_are_read() {
    let lab = lab();
    lab.write("box", mbox(&lab)).write("one.eml", lab.read("signed"));
    if !crate::support::requirements::present(&["gzip", "xz", "zstd"]) {
        return;
    }
    lab.shell("gzip -k box one.eml; xz -k box one.eml; zstd -q box one.eml").code(0);
    for ending in ["gz", "xz", "zst"] {
        assert_eq!(counted(&lab, &format!("box.{ending}")), EXPECTED, "{ending}");
        assert_eq!(counted(&lab, &format!("- < box.{ending}")), EXPECTED, "{ending}");
        assert_eq!(counted(&lab, &format!("one.eml.{ending}")), ["messages 1", "authentic 1"], "{ending}");
        // Cut short: what was read is judged, and the rest is missed.
        lab.shell(&format!("head -c $(( $(wc -c < box.{ending}) - 9 )) box.{ending} > cut")).code(0);
        assert_ne!(lab.run(&["scan", "cut"]).code, 0, "{ending}");
    }
}

#[test]
fn a_content_length_counts_in_mboxcl2_alone() {
    let lab = Lab::new();
    let body = "hi\n\nFrom x Mon\nFrom: forged@example.org\n\nnot a message\n";
    let with = format!("From a Mon\nFrom: a@example.org\nContent-Length: {}\n\n{body}\n", body.len());
    lab.write("cl2", with.repeat(2));
    assert_eq!(counted(&lab, "cl2")[0], "messages 2");
    assert_eq!(counted(&lab, "--mbox-format mboxrd cl2")[0], "messages 4");
    // A sender cannot hide the next message behind a length.
    let without = "From b Mon\nFrom: b@example.org\n\nhi\n\n";
    let length = format!("hi\n\n{without}").len() - 1;
    lab.write("rd", format!("From a Mon\nFrom: a@example.org\nContent-Length: {length}\n\nhi\n\n{without}{without}"));
    assert_eq!(counted(&lab, "rd")[0], "messages 3");
}

#[test]
fn a_message_that_moved_meanwhile_is_found() {
    let lab = lab();
    maildir(&lab, "Maildir");
    // The listing is made when the first message is read; here the name that was listed is of before.
    let before = lab.run(&["scan", "--json", "Maildir"]).code(0).text();
    fs::rename(lab.path("Maildir/new/3.c.host"), lab.path("Maildir/cur/3.c.host:2,S")).unwrap();
    assert_eq!(lab.run(&["scan", "--json", "Maildir"]).code(0).text(), before, "ids do not depend on flags");
}
