//! Keys for many users from a file.

use super::{MESSAGE, id};
use crate::support::lab::Lab;

const USERS: &str = "address,name,expires\n# staff\nalice@example.org,Alice Smith,1y\n\nbob@example.org,\"Smith, \"\"Bob\"\"\"\ncarol@example.org\n";

#[test]
fn each_line_makes_a_key() {
    let lab = Lab::new();
    lab.write("users.csv", USERS).write("m.eml", MESSAGE);
    let done = lab.run(&["key", "generate", "--no-passphrase", "--expires", "2y", "--from-file", "users.csv"]).code(0);
    let lines: Vec<String> = done.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, (number, name)) in lines.iter().zip([(3, "alice"), (5, "bob"), (6, "carol")]) {
        let address = format!("{name}@example.org");
        assert_eq!(*line, format!("users.csv:{number}  {}  {address}", id(&lab, "pgp", &address)));
        assert!(lab.path(&format!("home/revocations/{}.asc", id(&lab, "pgp", &address))).exists());
    }
    let listed = lab.run(&["key", "list", "--expiring", "13m"]).code(0).text();
    assert!(listed.contains("Alice Smith") && listed.lines().count() == 1, "{listed}");
    assert!(lab.run(&["key", "list", "bob"]).code(0).text().contains("Smith, \"Bob\""));
    lab.run(&["sign", "m.eml"]).code(0);
    // Once more: every line is refused, each with its reason, and the keys are as they were.
    let again = lab.run(&["key", "generate", "--no-passphrase", "--from-file", "users.csv"]);
    let again = again.code(65);
    assert_eq!(again.stderr.matches("has a key already").count(), 3, "{}", again.stderr);
}

#[test]
fn a_faulty_line_makes_none() {
    let lab = Lab::new();
    for (text, reason) in [
        ("alice@example.org\nnobody\n", "users.csv:2"),
        ("alice@example.org\nALICE@example.org\n", "named twice"),
        ("alice@example.org,A,soon\n", "not a time like 90d"),
        ("alice@example.org,\"A\n", "a quotation mark is open"),
        ("alice@example.org,A,1y,more\n", "more than three fields"),
        ("# nobody\n", "names nobody"),
    ] {
        lab.write("users.csv", text);
        lab.run(&["key", "generate", "--no-passphrase", "--from-file", "users.csv"]).refused(65, reason);
        assert_eq!(lab.run(&["key", "list"]).code(0).text(), "", "{text:?}");
    }
}

#[test]
fn requests_for_certificates_are_written() {
    let lab = Lab::new();
    lab.write("users.csv", USERS).write("pass", "correct horse\n");
    let generate = ["--passphrase-file", "pass", "key", "generate", "-f", "smime", "--algorithm", "p256"];
    lab.run(&[&generate[..], &["--from-file", "users.csv", "--requests", "csr"]].concat()).code(0);
    for (name, subject) in [("alice", "Alice Smith"), ("bob", "Smith"), ("carol", "carol@example.org")] {
        let file = format!("csr/{name}@example.org.csr");
        assert!(String::from_utf8_lossy(&lab.read(&file)).starts_with("-----BEGIN CERTIFICATE REQUEST-----"), "{name}");
        if crate::support::requirements::present(&["openssl"]) {
            let text = lab.shell(&format!("openssl req -in {file} -noout -verify -text")).code(0).text();
            assert!(text.contains(subject) && text.contains(&format!("email:{name}@example.org")), "{text}");
        }
    }
}
