//! What `verify` says of header fields, and what `decrypt` writes of them: RFC 9788, through the program.

#[path = "cli/lab.rs"]
#[allow(dead_code, reason = "shared with tests/cli.rs")]
mod lab;

use std::{fs, path::PathBuf};

use lab::{Done, Lab};
use serde_json::{Value, json};

/// What `verify --json`, and `verify`, say of `message`.
fn verified(message: &str, options: &[&str], code: i32) -> (Value, String) {
    let lab = Lab::new();
    lab.write("m", message.replace('\n', "\r\n"));
    let json = run(&lab, options, &["verify", "--json", "m"]).code(code);
    let text = run(&lab, options, &["verify", "m"]).code(code).text();
    (serde_json::from_slice(&json.stdout).expect("one JSON object"), text)
}

fn run(lab: &Lab, options: &[&str], arguments: &[&str]) -> Done {
    let options: Vec<String> = options.iter().map(|one| one.replace("DATA", &data("").display().to_string())).collect();
    let options = options.iter().map(String::as_str).chain(["--at", "2021-03-01T00:00:00Z"]);
    lab.run(&options.chain(arguments.iter().copied()).collect::<Vec<_>>())
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/header_protection").join(name)
}

/// A file with LF for its CRLF.
fn message(name: &str) -> String {
    fs::read_to_string(data(name)).expect("testdata").replace("\r\n", "\n")
}

fn protections(verdict: &Value) -> String {
    let headers = verdict["headers"].as_object().expect("headers");
    headers.iter().map(|(name, what)| format!("{name} {}", what.as_str().unwrap())).collect::<Vec<_>>().join(", ")
}

const ALICE: &[&str] = &["--revocation", "off", "--anchors", "DATA/ca.rsa.crt.pem"];
const BOB: &[&str] = &["--keys", "DATA/bob.encrypt.key.pem", "--keys", "DATA/bob.encrypt.crt.pem"];

#[test]
fn a_signature_that_does_not_hold_covers_no_field() {
    let (verdict, text) = verified(&message("garbage-pgp-signature.eml"), &[], 1);
    let unprotected = "Date unprotected, From unprotected, Message-ID unprotected, Subject unprotected, To unprotected";
    assert_eq!(protections(&verdict), unprotected);
    assert_eq!(verdict["subject"], json!({"value": "evil", "protected": false}));
    assert!(
        text.contains("  subject  evil (not signed)\n")
            && text.contains("  to       Bob <bob@example.org> (not signed)\n"),
        "{text}"
    );

    // A good one, over a text that was changed.
    let signed = message("cipher-unencrypted.eml");
    let changed = signed.replacen("\nHello\n", "\nHullo\n", 1);
    assert_ne!(signed, changed);
    let (verdict, text) = verified(&changed, ALICE, 1);
    assert_eq!(protections(&verdict), unprotected);
    assert!(text.contains("  subject  real (not signed)\n"), "{text}");
}

#[test]
fn an_encrypted_unsigned_header_is_marked_encrypted() {
    let sealed = message("enc-only-hp.eml");
    let (verdict, text) = verified(&sealed, BOB, 1);
    let expected = "Date unprotected, From unprotected, Message-ID unprotected, Subject encrypted, To unprotected";
    assert_eq!(protections(&verdict), expected);
    assert_eq!(verdict["subject"], json!({"value": "real", "protected": false}));
    assert!(text.contains("  subject  real (encrypted, not signed)\n"), "{text}");
    // The outer header has it in clear.
    let told = sealed.replacen("Subject: [...]", "Subject: real", 1);
    assert_eq!(verified(&told, BOB, 1).0["headers"]["Subject"], "unprotected");
}

#[test]
fn hp_cipher_hides_nothing_in_a_mail_that_is_not_encrypted() {
    let (verdict, text) = verified(&message("cipher-unencrypted.eml"), ALICE, 0);
    assert_eq!(protections(&verdict), "Date signed, From signed, Message-ID signed, Subject signed, To signed");
    assert_eq!(verdict["subject"], json!({"value": "real", "protected": true}));
    assert_eq!((&verdict["differs"], &verdict["reason"]), (&json!([]), &Value::Null));
    assert!(text.contains("  subject  real (signed)\n") && !text.contains("hidden"), "{text}");
}

#[test]
fn a_field_that_was_changed_outside_is_shown_as_signed_and_the_other_value_is_named() {
    let changed = message("cipher-unencrypted.eml").replacen("Subject: [...]", "Subject: Pay\x07 Eve", 1);
    // Readers do not agree about a control character: the message has no author, and the fields are the signer's all the same.
    let (verdict, text) = verified(&changed, ALICE, 1);
    assert_eq!((&verdict["standing"], &verdict["reason_code"]), (&json!("signed"), &json!("ambiguous-message")));
    assert_eq!((&verdict["headers"]["Subject"], &verdict["differs"]), (&json!("signed"), &json!(["Subject"])));
    assert!(text.contains("  subject  real (signed; outside it is \"Pay\\u{7} Eve\")\n"), "{text}");

    let another = message("cipher-unencrypted.eml").replacen("From: Alice <", "From: Eve <eve@smime.example>, <", 1);
    assert_eq!(verified(&another, ALICE, 1).0["reason_code"], "from-several-addresses");
    let another = message("cipher-unencrypted.eml").replacen("From: Alice <alice@", "From: Eve <eve@", 1);
    let (verdict, text) = verified(&another, ALICE, 1);
    assert_eq!((&verdict["author"], &verdict["reason_code"]), (&Value::Null, &json!("from-contradicted")));
    assert!(text.contains("  author   none (the protected From differs: \"Alice <alice@smime.example>\")\n"), "{text}");
}

/// What only the outside has: `verify` marks it, and `decrypt` leaves it out, but for the marks of transports.
#[test]
fn a_field_that_only_the_outside_has_is_not_the_signers() {
    let added = "Received: from a by b\n\tfor c; Sat, 20 Feb 2021 10:06:02 -0500\nReply-To: eve@smime.example\nCc: eve@smime.example\n";
    let added = added.to_owned() + &message("cipher-unencrypted.eml");
    let (verdict, text) = verified(&added, ALICE, 0);
    let headers = &verdict["headers"];
    assert_eq!(
        (&headers["Reply-To"], &headers["Cc"], &headers["To"]),
        (&json!("unprotected"), &json!("unprotected"), &json!("signed"))
    );
    assert!(!text.contains("eve@"), "{text}");

    let lab = Lab::new();
    lab.write("m", added.replacen("Subject: [...]", "Subject: HACKED", 1).replace('\n', "\r\n"));
    let written = run(&lab, ALICE, &["decrypt", "m"]).code(0).text().replace("\r\n", "\n");
    assert!(
        written.starts_with(
            "Received: from a by b\n\tfor c; Sat, 20 Feb 2021 10:06:02 -0500\nMIME-Version: 1.0\nSubject: real\n"
        ),
        "{written}"
    );
    assert!(!written.contains("eve@") && !written.contains("HACKED") && !written.contains("HP-Outer"), "{written}");
}

/// Nearly all signed mail: no field but those of the body is signed.
#[test]
fn without_header_protection_the_subject_is_marked() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("m", "From: alice@example.org\nTo: bob@example.org\nSubject: Lunch\n\nAt noon.\n");
    lab.run(&["sign", "-o", "s", "m"]).code(0);
    let hacked = lab.read("s");
    let hacked = String::from_utf8(hacked).unwrap().replacen("Subject: Lunch", "Subject: HACKED", 1);
    let done = lab.write("s", hacked).run(&["verify", "s"]).code(0);
    assert!(
        done.text().starts_with("s: authentic\n  author   alice@example.org\n  subject  HACKED (not signed)\n"),
        "{}",
        done.text()
    );

    // Signed and encrypted, by ourselves.
    lab.run(&["encrypt", "--sign", "--protect-headers", "-o", "e", "--to", "bob@example.org", "m"]).code(0);
    let verdict: Value = serde_json::from_slice(&lab.run(&["verify", "--json", "e"]).code(0).stdout).unwrap();
    assert_eq!(protections(&verdict), "From signed, Subject signed-and-encrypted, To signed");
    let done = lab.run(&["verify", "e"]).code(0);
    assert!(done.text().contains("  subject  Lunch (signed and encrypted)\n"), "{}", done.text());
}

/// A mark in a part below the root of the payload, and in a message without a layer, says nothing.
#[test]
fn header_protection_is_that_of_the_payload_alone() {
    let signed = message("cipher-unencrypted.eml");
    let (head, body) = signed.split_once("\n\n").unwrap();
    let (content, rest): (Vec<&str>, Vec<&str>) =
        head.lines().partition(|line| line.starts_with([' ', 'C', 'M']) && !line.starts_with("Message"));
    let content = content.join("\n");
    let errant = format!(
        "{}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=around\n\n--around\n{content}\n\n{body}\n--around--\n",
        rest.join("\n")
    );
    let (verdict, _) = verified(&errant, ALICE, 1);
    assert_eq!(verdict["errant"].as_array().map(Vec::len), Some(1), "{verdict}");
    assert_eq!(
        protections(&verdict),
        "Date unprotected, From unprotected, Message-ID unprotected, Subject unprotected, To unprotected"
    );
    assert_eq!((&verdict["subject"]["value"], &verdict["reason_code"]), (&json!("[...]"), &json!("errant")));
    let bare = "From: a@x.org\nSubject: s\nContent-Type: text/plain; hp=\"clear\"\n\nbody\n";
    assert_eq!(protections(&verified(bare, &[], 1).0), "From unprotected, Subject unprotected");
}
