//! `scan --html`.

use crate::support::{
    lab::Lab,
    pages::{assert_harmless, text},
};

use super::{piece, says};

fn lab() -> Lab {
    let lab = super::lab();
    let mut mbox = Vec::new();
    for (name, date) in [
        ("signed.eml", ""),
        ("changed.eml", ""),
        ("both.eml", ""),
        ("old", "Thu, 1 Oct 2026"),
        ("future", "Sat, 1 Jan 2050"),
    ] {
        let message = match date {
            "" => String::from_utf8(lab.read(name)).unwrap().replace("\r\n", "\n"),
            date => format!("From: carol@example.net\nDate: {date} 10:00:00 +0000\nSubject: {name}\n\n{name}\n"),
        };
        mbox.push(format!("From x Mon Nov 30 10:00:00 2026\n{message}\n"));
    }
    lab.write("box.mbox", mbox.concat());
    lab
}

#[test]
fn the_page_has_senders_months_and_failures() {
    let lab = lab();
    let at = ["--at", "2026-12-01T00:00:00Z"];
    let done = lab.run(&[&["scan", "--html", "page.html", "box.mbox"], &at[..]].concat()).code(0);
    assert!(done.text().contains("alice@example.org"), "{}", done.text());
    let page = String::from_utf8(lab.read("page.html")).unwrap();
    assert_harmless(&page);
    let over_time = piece(&page, "Messages over time");
    assert!(over_time.contains("<title>month 2026-11: "), "{over_time}");
    says(over_time, &["2026-10", "2026-11", "1 messages are older than this, or have no date that can be read."]);
    assert!(!over_time.contains("2050"), "{over_time}");
    says(piece(&page, "Senders"), &["alice@example.org", "carol@example.net"]);
    says(piece(&page, "What failed"), &["box.mbox, message ", "bad", "the octets are not those that were signed"]);
    // The page alone where it is what is printed.
    let printed = lab.run(&["scan", "--html", "-", "box.mbox"]).code(0).text();
    assert_harmless(&printed);
    lab.run(&["scan", "--csv", "--html", "-", "box.mbox"]).refused(64, "standard output");
}

#[test]
fn keys_that_end_are_named() {
    let lab = Lab::new();
    lab.run(&["key", "generate", "-f", "smime", "--no-passphrase", "--expires", "20d", "alice@example.org"]).code(0);
    lab.write("plain", "From: alice@example.org\nDate: Mon, 30 Nov 2026 10:00:00 +0000\nSubject: x\n\nx\n");
    lab.run(&["sign", "-f", "smime", "-o", "signed.eml", "plain"]).code(0);
    lab.run(&["scan", "--html", "page.html", "signed.eml"]).code(0);
    let page = String::from_utf8(lab.read("page.html")).unwrap();
    let ending = piece(&page, "Keys that end");
    says(ending, &["alice@example.org", "smime"]);
    assert!(!text(ending).contains("(over)"));
}
