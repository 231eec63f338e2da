//! Every missing author, and every message below authentic, has the reason that is true of it.

use std::{fs, path::PathBuf};

use crate::support::{lab::Lab, schema::faults};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// Signed by alice@example.org, with LF for its CRLF.
fn signed() -> String {
    fs::read_to_string(data("reasons/signed.eml")).expect("testdata").replace("\r\n", "\n")
}

/// What `verify --json`, and `verify`, say of `message`.
fn reason(message: &[u8], options: &[&str]) -> (Value, String) {
    let lab = Lab::new();
    lab.write("m", message);
    let options: Vec<String> = options.iter().map(|one| one.replace("DATA", &data("").display().to_string())).collect();
    let run =
        |verb: &[&str]| lab.run(&options.iter().map(String::as_str).chain(verb.iter().copied()).collect::<Vec<_>>());
    let json = serde_json::from_slice(&run(&["verify", "--json", "m"]).stdout).expect("one JSON object");
    assert!(faults("verify.schema.json", &json).is_empty(), "{:?} in {json}", faults("verify.schema.json", &json));
    (json, run(&["verify", "m"]).text())
}

#[test]
fn a_from_that_names_no_author_says_why() {
    let signed = signed();
    for (from, code, why) in [
        (
            "From: alice@example.org <alice@example.org>\n",
            "from-unreadable",
            "From cannot be read: not an address list from \"<alice@example.org>\" on",
        ),
        (
            "From: Alice [Dept. 3] <alice@example.org>\n",
            "from-unreadable",
            "From cannot be read: '[' is outside quotes",
        ),
        ("From: Alice <alice@example.org\n", "from-unreadable", "From cannot be read: it ends within an address"),
        ("From: \"Alice <alice@example.org>\n", "from-unreadable", "From cannot be read: a quoted string does not end"),
        (
            "From: Alice\u{202e} <alice@example.org>\n",
            "from-unreadable",
            "From cannot be read: the character U+202E is not allowed in an address",
        ),
        ("", "from-missing", "there is no From field"),
        ("From:\n", "from-empty", "From holds no address"),
        ("From: alice@example.org\nFrom: bob@example.org\n", "from-repeated", "two From fields"),
        ("From: alice@example.org, bob@example.org\n", "from-several-addresses", "From has two addresses"),
        ("From: Friends: alice@example.org;\n", "from-group", "From is a group"),
        ("From: <@relay.example:alice@example.org>\n", "from-route", "From has a route before the address"),
        (
            "From: \"alice@example.org\"@evil.example\n",
            "from-deceptive",
            "readers may take \"\\\"alice@example.org\\\"@evil.example\" in From for another address",
        ),
    ] {
        let message = signed.replacen("From: Alice <alice@example.org>\n", from, 1);
        let (verdict, text) = reason(message.as_bytes(), &["--keys", "DATA/reasons/alice.asc"]);
        assert_eq!((&verdict["author"], &verdict["standing"]), (&Value::Null, &Value::from("signed")), "{verdict}");
        assert_eq!(verdict["reason_code"], code, "{verdict}");
        assert_eq!(verdict["reason"], format!("no author: {why}"));
        assert!(text.contains(&format!("\n  author   none ({})\n", why.replace('\u{202e}', "\\u{202e}"))), "{text}");
    }
    let (verdict, _) = reason(signed.as_bytes(), &["--keys", "DATA/reasons/alice.asc"]);
    assert_eq!((&verdict["reason"], &verdict["reason_code"]), (&Value::Null, &Value::Null), "{verdict}");
}

#[test]
fn a_message_below_authentic_says_why() {
    let keys = [
        "--at",
        "2026-04-01T00:00:00Z",
        "--keys",
        "DATA/attack/keys/alice.asc",
        "--keys",
        "DATA/attack/keys/bob.secret.asc",
    ];
    for (file, more, code, why) in [
        ("johnny-intact", None, "", ""),
        ("johnny-other-signer", Some("mallory"), "not-by-author", "signed by "),
        ("johnny-beside", None, "errant", "only parts within the message are signed"),
        ("johnny-two-from-fields", None, "from-repeated", "no author: two From fields"),
        ("johnny-two-authors", None, "from-several-addresses", "no author: From has two addresses"),
        ("changed", None, "invalid-signature", "the signature is invalid: the octets are not those that were signed"),
        ("expired-signature", None, "invalid-signature", "the signature is invalid: the signature has expired"),
        ("around-ciphertext", None, "around-ciphertext", "the signature is around a ciphertext"),
        ("cleartext-before", None, "errant", "only parts within the message are signed"),
        ("efail-no-mdc", None, "not-opened", "the message could not be opened"),
        ("short-rsa", Some("short-rsa"), "weak-algorithm", "valid, but rsa1024 is weak"),
    ] {
        let message = fs::read(data(&format!("attack/{file}.eml"))).expect("testdata");
        let more = more.map(|key| format!("DATA/attack/keys/{key}.asc"));
        let options: Vec<&str> =
            keys.iter().copied().chain(more.iter().flat_map(|key| ["--keys", key.as_str()])).collect();
        let (verdict, text) = reason(&message, &options);
        let said = verdict["reason"].as_str().unwrap_or_default();
        assert_eq!(verdict["reason_code"].as_str().unwrap_or_default(), code, "{file}: {verdict}");
        assert!(said.starts_with(why) && !said.contains("not known to be"), "{file}: {said}");
        let line = said
            .strip_prefix("no author: ")
            .map_or(format!("reason   {said}"), |said| format!("author   none ({said})"));
        assert_eq!(text.contains(&format!("\n  {line}\n")), !said.is_empty(), "{file}: {said}\n{text}");
    }
}

#[test]
fn who_signed_is_named_and_what_the_key_claims_is_a_hint() {
    let signed = signed();
    let fingerprint = "576A39D884784DA2475452D82576D806335037CD";
    let other = signed.replacen("From: Alice <alice@example.org>", "From: Bob <bob@example.org>", 1);
    let (verdict, _) = reason(other.as_bytes(), &["--keys", "DATA/reasons/alice.asc"]);
    assert_eq!(verdict["reason"], "signed by alice@example.org, not by the author");

    let (verdict, text) = reason(signed.as_bytes(), &[]);
    assert_eq!(
        (&verdict["reason_code"], &verdict["standing"]),
        (&Value::from("unknown-key"), &Value::from("unsigned"))
    );
    assert_eq!(verdict["reason"], format!("signed by {fingerprint}, which is not here"));
    assert!(text.contains("which is not here\n"), "{text}");

    let lab = Lab::new();
    lab.write("m", &signed).run(&["key", "import", &data("reasons/alice.asc").display().to_string()]).code(0);
    let done = lab.run(&["verify", "--json", "m"]).code(1);
    let verdict: Value = serde_json::from_slice(&done.stdout).unwrap();
    let why = "nobody here says whose key that is (it claims alice@example.org)";
    assert_eq!(verdict["reason"], format!("signed by {fingerprint}; {why}"));
    assert_eq!(verdict["layers"][0]["signatures"][0]["claimed"], Value::from(vec!["alice@example.org"]));
}

/// The content of the ciphertext is unknown, so a signature around it does not count, just as if it could be opened.
#[test]
fn a_signature_around_what_cannot_be_opened_counts_for_nothing() {
    let message = fs::read(data("attack/around-ciphertext.eml")).expect("testdata");
    let options = ["--at", "2026-04-01T00:00:00Z", "--keys", "DATA/attack/keys/alice.asc"];
    let (verdict, _) = reason(&message, &options);
    assert_eq!(verdict["layers"][0]["signatures"][0]["state"], "valid", "{verdict}");
    assert_eq!((&verdict["standing"], &verdict["reason_code"]), (&Value::from("unsigned"), &Value::from("not-opened")));
}

/// Without a signature and without an author, both are said.
#[test]
fn two_reasons_are_two() {
    let (verdict, text) = reason(b"Subject: s\n\nbody\n", &[]);
    assert_eq!(verdict["reason"], "no author: there is no From field; there is no signature");
    assert!(text.contains("  author   none (there is no From field)\n  reason   there is no signature\n"), "{text}");
}
