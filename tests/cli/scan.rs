//! `scan`: mailboxes judged and converted.

mod changes;
mod manual;
mod places;

use std::fs;

use serde_json::Value;

use crate::support::lab::Lab;

/// A home with the keys of alice, and messages of hers: `plain`, `signed`, `changed`, `encrypted` and `both`; `closed` is encrypted to another.
fn lab() -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    let other = Lab::with_keys(&["other"]);
    lab.write("other.asc", other.run(&["key", "export", "other@example.org"]).code(0).stdout);
    let text = |subject: &str| {
        format!(
            "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: {subject}\n\nhello {subject}\nFrom here on\n\nend\n"
        )
    };
    for name in ["plain", "1", "2", "3", "4"] {
        lab.write(name, text(name));
    }
    lab.run(&["sign", "-o", "signed", "1"]).code(0);
    let signed = String::from_utf8(lab.read("signed")).unwrap();
    lab.write("changed", signed.replace("hello", "hallo"));
    lab.run(&["encrypt", "--to", "alice@example.org", "-o", "encrypted", "2"]).code(0);
    lab.run(&["encrypt", "--sign", "--to", "alice@example.org", "-o", "both", "3"]).code(0);
    lab.run(&["encrypt", "--no-self", "--keys", "other.asc", "--to", "other@example.org", "-o", "closed", "4"]).code(0);
    lab
}

const MESSAGES: [&str; 6] = ["plain", "signed", "changed", "encrypted", "both", "closed"];

/// The messages as an mboxrd.
fn mbox(lab: &Lab) -> Vec<u8> {
    let mut mbox = Vec::new();
    for name in MESSAGES {
        mbox.extend_from_slice(b"From alice@example.org Mon Nov 30 10:00:00 2026\n");
        for line in lab.read(name).split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b"From ") {
                mbox.push(b'>');
            }
            mbox.extend_from_slice(line);
        }
        mbox.push(b'\n');
    }
    mbox
}

/// The last line of a table: how many messages of each kind.
fn totals(table: &str) -> Vec<String> {
    let header = table.lines().next().unwrap_or_default().split_whitespace();
    let last = table.lines().last().unwrap_or_default().split_whitespace();
    let cells = header.zip(last).skip(1).filter(|(name, count)| *name != "keys" && *count != "-");
    cells.map(|(name, count)| format!("{name} {count}")).collect()
}

#[test]
fn messages_are_counted_by_sender() {
    let lab = lab();
    lab.write("box", mbox(&lab));
    let done = lab.run(&["scan", "box"]).code(0);
    let expected = ["messages 6", "authentic 2", "bad 1", "unsigned 2", "closed 1", "encrypted 3"];
    assert_eq!(totals(&done.text()), expected, "{}", done.text());
    assert_eq!(lab.read("box"), mbox(&lab), "the mbox is as it was");
    // With the key, nothing is closed.
    let other = Lab::with_keys(&["mallory"]);
    other.write("box", lab.read("box"));
    let expected = ["messages 6", "unknown 2", "unsigned 1", "closed 3", "encrypted 3"];
    assert_eq!(totals(&other.run(&["scan", "box"]).code(0).text()), expected);
}

#[test]
fn each_line_of_json_is_that_of_verify() {
    let lab = lab();
    lab.write("box", mbox(&lab));
    let lines = lab.run(&["scan", "--json", "box"]).code(0).text();
    let scanned: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(scanned.len(), MESSAGES.len());
    for (name, mut scanned) in MESSAGES.into_iter().zip(scanned) {
        let mut verified: Value = serde_json::from_str(&lab.run(&["verify", "--json", name]).text()).unwrap();
        assert_eq!(scanned["file"], "box");
        assert!(scanned.as_object_mut().unwrap().remove("id").is_some());
        verified["file"] = "box".into();
        assert_eq!(scanned, verified, "{name}");
    }
    let csv = lab.run(&["scan", "--csv", "box"]).code(0).text();
    let findings: Vec<&str> = csv.lines().skip(1).map(|line| line.split(',').nth(3).unwrap()).collect();
    assert_eq!(findings, ["unsigned", "authentic", "bad", "unsigned", "authentic", "closed"]);
}

#[test]
fn a_script_asks_for_one_sender() {
    let lab = lab();
    let bank = "From: Bank <info@bank.example>\nTo: x@example.org\nSubject: hi\n\nhi\n";
    lab.write("signed.eml", lab.read("signed")).write("bank.eml", bank);
    let of = |options: &[&str]| lab.run(&[&["scan"], options, &["signed.eml", "bank.eml"]].concat());
    of(&["--fail-on", "unsigned"]).code(1);
    of(&["--fail-on", "unsigned", "--from", "bank.example"]).code(1);
    of(&["--fail-on", "unsigned", "--from", "info@bank.example"]).code(1);
    of(&["--fail-on", "not-authentic", "--from", "example.org"]).code(0);
    of(&["--fail-on", "bad", "--from", "bank.example"]).code(0);
    let shown = of(&["--from", "bank.example", "--json"]).code(0).text();
    assert_eq!(shown.lines().count(), 1);
    // Two authors, or a From field that nobody can read, are no way around it.
    for from in [
        "From: x@example.org, info@bank.example",
        "From: info@bank.example (",
        "From: x@y.example\nFrom: a@bank.example",
    ] {
        lab.write("bank.eml", bank.replace("From: Bank <info@bank.example>", from));
        of(&["--fail-on", "unsigned", "--from", "bank.example"]).code(1);
    }
    lab.write("bank.eml", bank.replace("bank.example", "bank.example.net"));
    of(&["--fail-on", "unsigned", "--from", "bank.example"]).code(0);
    of(&["--from", "not a domain"]).refused(64, "neither an address nor a domain");
}

#[test]
fn a_scan_goes_on_where_it_was_ended() {
    let lab = lab();
    lab.write("box", mbox(&lab));
    let whole = lab.run(&["scan", "--state", "state", "box"]).code(0).text();
    let state = String::from_utf8(lab.read("state")).unwrap();
    assert_eq!(state.lines().count(), 1 + MESSAGES.len());
    // As a killed process leaves it: the fourth line of a message is not whole.
    let cut: String = state.lines().take(4).map(|line| line.to_owned() + "\n").collect();
    lab.write("state", format!("{cut}{{\"mailbox\":\"box\",\"id\""));
    let rest = lab.run(&["scan", "--json", "--state", "state", "box"]).code(0).text();
    assert_eq!(rest.lines().count(), 3);
    assert_eq!(String::from_utf8(lab.read("state")).unwrap(), state);
    assert_eq!(lab.run(&["scan", "--state", "state", "box"]).code(0).text(), whole);
    lab.run(&["scan", "--state", "plain", "box"]).refused(65, "not the state of a scan");
}

#[test]
fn what_cannot_be_read_is_an_error_and_the_rest_is_judged() {
    let lab = lab();
    let mut long = mbox(&lab);
    long.extend_from_slice(b"From x Mon\nFrom: x@example.org\n\n");
    long.resize(long.len() + 100_000, 0);
    long.extend_from_slice(b"\n\nFrom y Mon\nFrom: y@example.org\nSubject: \0\n\nhi");
    lab.write("box", &long);
    let done = lab.run(&["scan", "--max-size", "50K", "box"]).code(65);
    let expected = ["messages 8", "authentic 2", "bad 1", "unsigned 3", "closed 1", "unreadable 1", "encrypted 3"];
    assert_eq!(totals(&done.text()), expected, "{}", done.text());
    assert!(done.stderr.contains("octets, more than the limit"), "{}", done.stderr);
    lab.run(&["scan", "nowhere"]).refused(66, "nowhere: no such file");
    // Of two mailboxes, the second is judged when the first is gone.
    let done = lab.run(&["scan", "signed", "box/nothing"]);
    assert_eq!(done.code, 66);
}

#[test]
fn keys_found_in_passing_can_be_imported() {
    let lab = lab();
    let other = Lab::with_keys(&["carol"]);
    other
        .run(&["key", "generate", "-f", "smime", "--algorithm", "rsa2048", "--no-passphrase", "carol@example.org"])
        .code(0);
    other.write("m", "From: carol@example.org\nTo: a@example.org\n\nhi\n");
    other.run(&["sign", "-f", "smime", "-o", "signed", "m"]).code(0);
    let key =
        String::from_utf8(other.run(&["key", "export", "-f", "pgp", "carol@example.org"]).code(0).stdout).unwrap();
    let attached = format!(
        "From: carol@example.org\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: application/pgp-keys\n\n{key}\n--b--\n"
    );
    fs::create_dir(lab.path("tree")).unwrap();
    lab.write("tree/smime.eml", other.read("signed"))
        .write("tree/pgp.eml", &attached)
        .write("tree/again.eml", &attached);
    let done = lab.run(&["scan", "--save-keys", "found", "tree"]).code(0);
    assert!(
        done.stderr.contains("certificates in the messages: 2 (1 OpenPGP, 1 X.509), written to found"),
        "{}",
        done.stderr
    );
    let imported = lab.run(&["key", "import", "found"]).code(0).text();
    assert_eq!(imported.lines().filter(|line| line.contains("carol@example.org")).count(), 2, "{imported}");
    // They are known now, and not trusted.
    assert_eq!(totals(&lab.run(&["scan", "tree/smime.eml"]).code(0).text())[1], "signed 1");
}
