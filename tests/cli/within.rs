//! Sealed messages within others: in digests, forwarded as attachments, in bounces.

use serde_json::Value;

use crate::support::lab::Lab;

/// Alice's keys, and messages of hers with LF.
fn lab() -> (Lab, String, String) {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("m", "From: alice@example.org\nTo: bob@example.org\nSubject: inside\n\nhello\n");
    lab.run(&["sign", "-o", "signed", "m"]).code(0);
    lab.run(&["encrypt", "--sign", "--to", "alice@example.org", "-o", "both", "m"]).code(0);
    let read = |name: &str| String::from_utf8(lab.read(name)).unwrap().replace("\r\n", "\n");
    let (signed, both) = (read("signed"), read("both"));
    (lab, signed, both)
}

fn verified(lab: &Lab, message: &str) -> Value {
    lab.write("message.eml", message);
    let done = lab.run(&["verify", "--json", "message.eml"]).code(1);
    serde_json::from_str(&done.text()).unwrap()
}

/// The standing and the author of each message in it.
fn within(value: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or("none").to_owned();
    let within = value["within"].as_array().cloned().unwrap_or_default();
    within.iter().map(|one| (text(one, "standing"), text(one, "author"))).collect()
}

fn multipart(kind: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("\n--o\n{part}")).collect();
    format!(
        "From: mallory@example.net\nSubject: outside\nMIME-Version: 1.0\nContent-Type: {kind}; boundary=o\n{parts}\n--o--\n"
    )
}

#[test]
fn each_message_within_another_is_judged_by_itself() {
    let (lab, signed, both) = lab();
    let changed = signed.replace("hello", "hallo");
    let attached = |message: &str| format!("Content-Type: message/rfc822\n\n{message}");
    let authentic = || ("authentic".to_owned(), "alice@example.org".to_owned());
    let bad = || ("unsigned".to_owned(), "alice@example.org".to_owned());
    let status = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n".to_owned();
    let encoded = String::from_utf8(postseal::mail::encoding::base64_encode(signed.as_bytes())).unwrap();
    let encoded = format!("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}");
    let deep = multipart("multipart/mixed", &[attached(&signed)]);
    for (message, expected) in [
        (multipart("multipart/digest", &[format!("\n{signed}"), format!("\n{changed}")]), vec![authentic(), bad()]),
        (multipart("multipart/mixed", &["\nsee below\n".to_owned(), attached(&both)]), vec![authentic()]),
        (multipart("multipart/report", &["\nsorry\n".to_owned(), status, attached(&signed)]), vec![authentic()]),
        (multipart("multipart/mixed", &[encoded]), vec![authentic()]),
        (multipart("multipart/mixed", &[attached(&deep)]), vec![authentic()]),
        (multipart("multipart/mixed", &[attached("From: a@example.org\n\nhi\n")]), vec![]),
    ] {
        let value = verified(&lab, &message);
        assert_eq!(
            (value["standing"].as_str(), value["author"].as_str()),
            (Some("unsigned"), Some("mallory@example.net"))
        );
        assert_eq!(within(&value), expected, "{message}");
        let done = lab.run(&["scan", "--fail-on", "not-authentic", "--json", "message.eml"]).code(1);
        let scanned: Value = serde_json::from_str(&done.text()).unwrap();
        assert_eq!(scanned["within"], value["within"]);
    }
    let text = lab
        .write("message.eml", multipart("multipart/digest", &[format!("\n{signed}")]))
        .run(&["verify", "message.eml"])
        .text();
    assert!(text.starts_with("message.eml: unsigned\n") && text.contains("    message at "), "{text}");
}

/// A signed message that carries another one by its side keeps its standing, and one within takes none from it.
#[test]
fn the_outside_says_nothing_of_the_inside() {
    let (lab, signed, _) = lab();
    let forged = signed.replace("From: alice@example.org", "From: carol@example.org");
    let message = multipart("multipart/mixed", &[format!("Content-Type: message/rfc822\n\n{forged}")]);
    lab.write("outer", message.replace("mallory@example.net", "alice@example.org"));
    lab.run(&["sign", "-o", "outer.eml", "outer"]).code(0);
    let done = lab.run(&["verify", "--json", "outer.eml"]).code(0);
    let value: Value = serde_json::from_str(&done.text()).unwrap();
    assert_eq!(value["standing"], "authentic");
    assert_ne!(within(&value)[0].0, "authentic", "{value}");
}
