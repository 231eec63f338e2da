//! What `verify` says of header fields, and what `decrypt` writes of them: RFC 9788, through the program.

use std::{fs, path::PathBuf};

use crate::support::lab::{Done, Lab};
use postseal::{
    base::{Budget, Limits},
    mail::Message,
};
use serde_json::{Value, json};

use crate::support::requirements::present;

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
            "Received: from a by b\n\tfor c; Sat, 20 Feb 2021 10:06:02 -0500\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nSubject: real\n"
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
    lab.run(&["sign", "--protect-headers", "none", "-o", "s", "m"]).code(0);
    let hacked = lab.read("s");
    let hacked = String::from_utf8(hacked).unwrap().replacen("Subject: Lunch", "Subject: HACKED", 1);
    let done = lab.write("s", hacked).run(&["verify", "s"]).code(0);
    assert!(
        done.text().starts_with("s: authentic\n  author   alice@example.org\n  subject  HACKED (not signed)\n"),
        "{}",
        done.text()
    );
}

/// What `verify --json` says of a file in the lab.
fn verdict_on(lab: &Lab, name: &str) -> Value {
    serde_json::from_slice(&lab.run(&["verify", "--json", name]).code(0).stdout).expect("one JSON object")
}

/// `sign` covers the header when nothing else is asked for, and `encrypt` hides the subject.
#[test]
fn the_header_is_protected_unless_somebody_says_no() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("m", LETTER);
    lab.run(&["sign", "-o", "s", "m"]).code(0);
    assert_eq!(protections(&verdict_on(&lab, "s")), "Date signed, From signed, Subject signed, To signed");
    let signed = String::from_utf8(lab.read("s")).unwrap();
    lab.write("changed", signed.replacen("Subject: Lunch", "Subject: HACKED", 1));
    let text = lab.run(&["verify", "changed"]).code(0).text();
    assert!(text.contains("  subject  Lunch (signed; outside it is \"HACKED\")\n"), "{text}");

    let to_bob = ["--to", "bob@example.org", "m"];
    let encrypt = |name: &str, options: &[&str]| {
        lab.run(&[&["encrypt", "--sign", "-o", name], options, &to_bob].concat()).code(0);
        String::from_utf8(lab.read(name)).unwrap()
    };
    for (name, options) in [("e", &[][..]), ("f", &["--protect-headers"])] {
        let sealed = encrypt(name, options);
        assert!(
            sealed.contains("Subject: [...]\n") && sealed.contains("From: Alice <alice@example.org>\n"),
            "{sealed}"
        );
        assert!(!sealed.contains("Lunch"), "{sealed}");
        let shown = "Date signed, From signed, Subject signed-and-encrypted, To signed";
        assert_eq!(protections(&verdict_on(&lab, name)), shown);
    }
    let text = lab.run(&["verify", "e"]).code(0).text();
    assert!(text.contains("  subject  Lunch (signed and encrypted)\n"), "{text}");
    assert_eq!(lab.run(&["decrypt", "e"]).code(0).text(), LETTER);

    let clear = encrypt("c", &["--protect-headers", "clear"]);
    assert!(clear.contains("Subject: Lunch\n"), "{clear}");
    assert_eq!(protections(&verdict_on(&lab, "c")), "Date signed, From signed, Subject signed, To signed");
    encrypt("n", &["--protect-headers", "none"]);
    assert!(protections(&verdict_on(&lab, "n")).contains("Subject unprotected"));

    let shy = encrypt("y", &["--protect-headers", "shy"]);
    let outside = shy.split("\n\n").next().unwrap();
    for line in
        ["From: alice@example.org", "To: bob@example.org", "Date: Wed, 11 Jan 2023 21:08:43 +0000", "Subject: [...]"]
    {
        assert!(outside.lines().any(|own| own == line), "{line} is not in {outside}");
    }
    let verdict = verdict_on(&lab, "y");
    assert_eq!((&verdict["standing"], &verdict["author"]), (&json!("authentic"), &json!("alice@example.org")));
    assert_eq!(lab.run(&["decrypt", "y"]).code(0).text(), LETTER);
}

/// A layer is no payload, and cannot say that it protects the header: what is signed already keeps its subject where all can read it.
#[test]
fn what_is_signed_already_keeps_its_header_outside() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("m", LETTER);
    for (name, options) in [("s", &["sign"][..]), ("i", &["sign", "--inline"])] {
        lab.run(&[options, &["-o", name, "m"]].concat()).code(0);
        let done = lab.run(&["encrypt", "--to", "bob@example.org", "-o", "e", name]).code(0);
        assert!(done.stderr.contains("the header stays outside"), "{}", done.stderr);
        let sealed = String::from_utf8(lab.read("e")).unwrap();
        assert!(sealed.contains("\nSubject: Lunch"), "{sealed}");
        assert_eq!(verdict_on(&lab, "e")["standing"], json!("authentic"));
        assert!(lab.run(&["decrypt", "e"]).code(0).text().contains("\nSubject: Lunch"));
    }
}

/// Legacy Display Elements are for others: `decrypt` gives back what was written.
#[test]
fn what_is_repeated_in_the_text_is_stripped_on_reading() {
    let lab = Lab::with_keys(&["alice", "bob"]);
    lab.write("m", ALTERNATIVE);
    let sealed = ["encrypt", "--sign", "--to", "bob@example.org", "--legacy-display", "-o", "e", "m"];
    lab.run(&sealed).code(0);
    assert_eq!(lab.run(&["decrypt", "e"]).code(0).text(), ALTERNATIVE);
    let hidden = ["encrypt", "--to", "bob@example.org", "--legacy-display", "--protect-headers", "none", "m"];
    lab.run(&hidden).refused(64, "--legacy-display: nothing of the header is hidden");
}

/// Readers that do not know RFC 9788 verify and read what we write by default.
#[test]
fn gpg_reads_a_protected_header() {
    if !present(&["gpg"]) {
        return;
    }
    let lab = Lab::new();
    lab.write("m", ALTERNATIVE);
    lab.shell(
        "export GNUPGHOME=$PWD/g && mkdir -m 700 g && \
         gpg -q --batch --passphrase '' --quick-gen-key 'Alice <alice@example.org>' default default never && \
         gpg -q --batch --armor --export-secret-keys >k && \
         $0 --keys k sign -o s m && $0 --keys k encrypt --sign --to alice@example.org --legacy-display -o e m",
    )
    .code(0);
    let signed = parse(lab.read("s"));
    let parts: Vec<_> = signed.root().children().collect();
    assert_eq!(parts[0].content_type().parameter("hp"), Some("clear"));
    lab.write("content", parts[0].octets()).write("signature", parts[1].body());
    lab.shell("GNUPGHOME=$PWD/g gpg --batch --verify signature content").code(0);
    let encrypted = parse(lab.read("e"));
    lab.write("ciphertext", encrypted.root().children().nth(1).unwrap().body());
    let read = lab.shell("GNUPGHOME=$PWD/g gpg -q --batch --decrypt ciphertext").code(0);
    let read = parse(read.stdout);
    assert_eq!(read.root().header("Subject").as_deref(), Some("Lunch"));
    let texts: Vec<String> = read.root().children().map(|part| part.text()).collect();
    assert!(texts[0].starts_with("Subject: Lunch\r\n\r\nAt noon."), "{texts:?}");
    assert!(texts[1].contains("<pre>Subject: Lunch</pre></div>"), "{texts:?}");
}

#[test]
fn openssl_reads_a_protected_header() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = Lab::new();
    lab.write("m", ALTERNATIVE);
    let done = lab.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=alice -addext subjectAltName=email:alice@example.org -keyout k -out c 2>/dev/null && \
         cat k c >both && P=\"$0 --keys both --anchors c\" && \
         $P sign -f smime -o s m && $P encrypt -f smime --sign --to alice@example.org --legacy-display -o e m && \
         openssl cms -verify -in s -CAfile c -purpose any -out content && \
         openssl cms -decrypt -in e -recip c -inkey k | openssl cms -verify -CAfile c -purpose any",
    );
    let done = done.code(0);
    assert_eq!(parse(lab.read("content")).root().content_type().parameter("hp"), Some("clear"));
    let read = parse(done.stdout);
    assert_eq!(read.root().header("Subject").as_deref(), Some("Lunch"));
    assert!(read.root().children().next().unwrap().text().starts_with("Subject: Lunch\r\n\r\nAt noon."));
}

fn parse(octets: Vec<u8>) -> Message {
    Message::parse(octets, &mut Budget::new(Limits::default())).unwrap()
}

const LETTER: &str = "Date: Wed, 11 Jan 2023 16:08:43 -0500\nFrom: Alice <alice@example.org>\nTo: Bob <bob@example.org>\n\
    Subject: Lunch\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nAt noon.\n";

const ALTERNATIVE: &str = "From: Alice <alice@example.org>\nTo: Bob <bob@example.org>\nSubject: Lunch\nMIME-Version: 1.0\n\
    Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nAt noon.\n\
    --b\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>At noon.</p></body></html>\n--b--\n";

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
