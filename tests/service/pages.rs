//! Messages for recipients without a key: pages by rule, and passphrases that go nowhere.

use std::{fs, path::Path};

use postseal::{
    base::{Budget, Limits, Secret},
    crypto::{Aead, Hash, pbkdf2},
    mail::{Message, encoding::base64_decode},
};

use crate::support::{
    clients::Letter,
    lab::Lab,
    served::{Configured, STRANGER, Served, TRUSTED, filter, log, sendmail},
};

/// The passphrase that the sender gives with the message.
const GIVEN: &str = "nine blue horses";
/// The one that is stored.
const STORED: &str = "stored for bob only";

const RULES: [[&str; 3]; 5] = [
    ["pages", "recipient = \"page.example\"\nmissing-key = \"page\"", "sign+encrypt"],
    [
        "pages or held",
        "recipient = \"held.example\"\nmissing-key = \"page\"\nno-passphrase = \"quarantine\"",
        "encrypt",
    ],
    ["held", "recipient = \"quarantine.example\"", "quarantine"],
    ["in", "direction = \"inbound\"", "annotate"],
    ["all", "", "clear"],
];

fn message(fields: &str) -> String {
    format!(
        "From: alice@example.org\r\n{fields}To: bob@page.example\r\nSubject: tenancy\r\n\r\nThe account is 4711\r\n"
    )
}

fn given() -> String {
    message(&format!("X-Postseal-Passphrase: {GIVEN}\r\n"))
}

/// What a page holds, if this passphrase opens it: by another program than the one that sealed it, as docs/manual/pages.md has the format.
fn opened(mail: &str, passphrase: &str) -> Option<String> {
    let mail = Message::parse(mail.as_bytes().to_vec(), &mut Budget::new(Limits::default())).unwrap();
    let page = mail.root().children().nth(1)?.decoded().into_owned();
    let page = String::from_utf8(page).unwrap();
    let sealed = page.split("octet-stream\">").nth(1)?.split("</script>").next()?;
    let sealed = base64_decode(sealed.as_bytes());
    let iterations = u32::from_be_bytes(sealed[8..12].try_into().unwrap());
    assert!(sealed.starts_with(b"pspage1\n") && iterations == 600_000);
    let key = pbkdf2(Hash::Sha256, &Secret::from(passphrase), &sealed[12..28], iterations, 32).unwrap();
    let (octets, tag) = sealed[40..].split_at(sealed.len() - 56);
    let mut octets = octets.to_vec();
    Aead::Aes256Gcm.open(&key, &sealed[28..40], &sealed[..40], &mut octets, tag).ok()?;
    let length = u32::from_be_bytes(octets[..4].try_into().unwrap()) as usize;
    Some(String::from_utf8(octets[4..4 + length].to_vec()).unwrap())
}

/// The replies to a message of alice, and what the next server was given.
fn sent(service: &Served<'_>, client: &str, recipient: &str, message: &str) -> (Vec<String>, Vec<String>) {
    let letter = Letter { client, sender: "alice@example.org", recipient, message };
    let replies = service.replies(&letter).map(|(_, reply)| reply[..3].to_owned());
    (replies.to_vec(), service.delivered())
}

/// Asserts that no file in the folder, except the one with the message that was sent, has one of the passphrases.
fn is_nowhere(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            is_nowhere(&path);
        } else if path.is_file() && !path.ends_with("input") && !path.ends_with("pass") {
            let octets = fs::read(&path).unwrap();
            for secret in [GIVEN, STORED] {
                assert!(!octets.windows(secret.len()).any(|found| found == secret.as_bytes()), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_recipient_without_a_key_gets_a_page() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("pass", STORED);
    lab.run(&["--passphrase-file", "pass", "key", "password", "bob@page.example"]).code(0);
    let service = Configured::new(&lab, "220 next ESMTP", &RULES).serve().expect("it starts");
    let ok = vec!["250".to_owned(); 3];
    let refused = vec!["550".to_owned(); 3];

    // With the passphrase of the message, which is for every recipient.
    let (replies, delivered) = sent(&service, TRUSTED, "bob@page.example,carol@page.example", &given());
    assert_eq!((&replies, delivered.len()), (&ok, 2));
    for page in &delivered {
        assert!(
            page.contains("\r\nSubject: [...]\r\n") && !page.contains("4711") && !page.contains("tenancy"),
            "{page}"
        );
        let inside = opened(page, GIVEN).expect("the passphrase of the message");
        assert!(inside.contains("4711") && inside.contains("tenancy") && !inside.contains("Passphrase"), "{inside}");
        assert_eq!(opened(page, STORED), None);
    }

    // With the one that is stored for the recipient; without one there is no mail, and never one in clear.
    let (replies, delivered) = sent(&service, TRUSTED, "bob@page.example", &message(""));
    assert_eq!((&replies, delivered.len()), (&ok, 2));
    assert!(delivered.iter().all(|page| opened(page, STORED).is_some_and(|inside| inside.contains("4711"))));
    assert_eq!(sent(&service, TRUSTED, "carol@page.example", &message("")), (refused.clone(), Vec::new()));
    let (replies, delivered) = sent(&service, TRUSTED, "dave@held.example", &message(""));
    assert_eq!((&replies, delivered), (&ok, Vec::new()));
    let held = lab.names().iter().filter(|name| name.ends_with(".eml")).count();
    // The milter's mail server holds its own.
    assert_eq!(held, 2);

    // `filter` and `sendmail` do the same.
    let letter =
        |message| Letter { client: TRUSTED, sender: "alice@example.org", recipient: "bob@page.example", message };
    let message = given();
    let (code, page, _) = filter(&lab, &letter(&message));
    assert!(code == 0 && opened(&page, GIVEN).is_some());
    assert_eq!(sendmail(&lab, &letter(&message)).0, 0);
    let delivered = service.delivered();
    assert!(delivered.len() == 1 && opened(&delivered[0], GIVEN).is_some(), "{delivered:?}");
    assert!(log(&lab).contains("page:message") && log(&lab).contains("page:store"), "{}", log(&lab));
    is_nowhere(&lab.path(""));
}

#[test]
fn a_passphrase_goes_to_nobody_whatever_rule_decides() {
    let lab = Lab::with_keys(&["alice"]);
    let service = Configured::new(&lab, "220 next ESMTP", &RULES).serve().expect("it starts");
    for (client, recipient, written) in [
        (TRUSTED, "x@else.example", "X-Postseal-Passphrase: "),
        (TRUSTED, "x@else.example", "x-POSTSEAL-passphrase : "),
        (TRUSTED, "x@quarantine.example", "X-Postseal-Passphrase:\r\n "),
        // A stranger's has no effect, and is removed too.
        (STRANGER, "alice@example.org", "X-Postseal-Passphrase: "),
        (STRANGER, "alice@example.org", "X-Postseal-Passphrase: "),
    ] {
        let (replies, delivered) = sent(&service, client, recipient, &message(&format!("{written}{GIVEN}\r\n")));
        assert!(replies.iter().all(|reply| reply == "250"), "{client} {recipient}: {replies:?}");
        for mail in &delivered {
            assert!(!mail.contains(GIVEN) && !mail.to_lowercase().contains("passphrase"), "{mail}");
            assert!(mail.trim_end().ends_with(message("").trim_end()), "nothing else is changed: {mail}");
        }
        assert_eq!(delivered.len(), if recipient.contains("quarantine") { 0 } else { 2 });
    }
    let expected = message("");
    let letter =
        Letter { client: TRUSTED, sender: "alice@example.org", recipient: "x@else.example", message: &given() };
    assert_eq!(filter(&lab, &letter).1, expected);
    is_nowhere(&lab.path(""));
}

/// Whoever gives a passphrase wants no mail without it.
#[test]
fn a_passphrase_that_cannot_be_used_is_refused() {
    let lab = Lab::with_keys(&["alice"]);
    let service = Configured::new(&lab, "220 next ESMTP", &RULES).serve().expect("it starts");
    let part = |field: &str| {
        format!(
            "From: alice@example.org\r\n{field}To: bob@page.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain; protected-headers=v1\r\nX-Postseal-Passphrase: {GIVEN}\r\n\r\nhi\r\n--b--\r\n"
        )
    };
    for bad in [
        message("X-Postseal-Passphrase: short\r\n"),
        message("X-Postseal-Passphrase:\r\n"),
        message("X-Postseal-Passphrase: aaaaaaaaaaaaaaaa\r\n"),
        message(&format!("X-Postseal-Passphrase: {GIVEN}\r\nX-Postseal-Passphrase: {GIVEN}\r\n")),
        message(&format!("X-Postseal\u{1}-Passphrase: {GIVEN}\r\n")),
        part(&format!("X-Postseal-Passphrase: {GIVEN}\r\n")),
    ] {
        for recipient in ["bob@page.example", "x@else.example"] {
            let (replies, delivered) = sent(&service, TRUSTED, recipient, &bad);
            assert!(replies.iter().all(|reply| reply.starts_with('5')) && delivered.is_empty(), "{bad}: {replies:?}");
        }
    }
    is_nowhere(&lab.path(""));
}
