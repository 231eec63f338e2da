//! What a stranger learns of a captured ciphertext: the same of every change to it, by every way that mail comes in.
//!
//! testdata/oracle holds messages that gpg and openssl encrypted to bob, and bob's keys; the attacker here has no key and changes them.

mod captured;
mod service;

use std::{collections::BTreeSet, process::Command};

use captured::{Cms, Pgp};
use service::Service;

/// `decrypt` by bob's keys alone: exit code, standard output, and the last line of standard error.
fn decrypt(arguments: &[&str], message: &str) -> (Option<i32>, Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.eml");
    std::fs::write(&file, message).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(folder.path().join("none"));
    let output = command.args(arguments).arg("decrypt").arg(file).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), output.stdout, error.trim().lines().last().unwrap_or_default().to_owned())
}

const PGP_KEY: &[&str] = &["--keys", "testdata/oracle/bob.sec.asc"];
const CMS_KEY: &[&str] = &["--keys", "testdata/oracle/bob.pem"];

/// Maury et al. 2015: a plaintext that begins with every octet there is, at the start, in the second packet and deep within; a wrong digest
/// at the end; a wrong session key. All of it by the library, and a sample of it by the program.
#[test]
fn openpgp_is_one_answer_before_the_last_check() {
    let captured = Pgp::captured();
    let bob = std::fs::read("testdata/oracle/bob.sec.asc").unwrap();
    let keys = std::sync::Arc::new(postseal::keys::Passphrases::default());
    let keys = postseal::store::load(&[("bob", &bob)], &keys, &postseal::base::Limits::default()).unwrap().keys;
    let told = |message: &str| {
        let error = postseal::decrypt(message.as_bytes(), &keys).map(|_| ()).unwrap_err();
        (error.kind(), error.to_string(), error.hint().map(ToString::to_string))
    };
    let mut answers = BTreeSet::new();
    for x in 0..=255 {
        for message in captured.beginnings(x) {
            answers.insert(told(&message));
        }
    }
    for message in captured.endings() {
        answers.insert(told(&message));
    }
    let one = "openpgp message: its integrity check fails: it was damaged or changed";
    let words: Vec<&str> = answers.iter().map(|(_, words, _)| words.as_str()).collect();
    assert_eq!(words, [one], "{answers:?}");
    assert!(answers.iter().all(|(_, _, hint)| hint.is_none()));

    let said: BTreeSet<_> = [0, 0x90, 0xc8, 0xcb, 0xd2, 0xd3, 0xd4, 0xd5]
        .into_iter()
        .flat_map(|x| captured.beginnings(x))
        .map(|message| decrypt(PGP_KEY, &message))
        .collect();
    assert_eq!(said, BTreeSet::from([(Some(65), Vec::new(), format!("postseal: error: {one}"))]));
    let (code, text, _) = decrypt(PGP_KEY, &captured.unchanged());
    assert!(code == Some(0) && String::from_utf8_lossy(&text).contains("launch code"));
}

/// On the command line nothing is told of what CBC hid, but whether it opened.
#[test]
fn cbc_is_one_answer_whatever_is_wrong() {
    let captured = Cms::captured();
    let said: BTreeSet<_> = captured.paddings().iter().step_by(16).map(|message| decrypt(CMS_KEY, message)).collect();
    let refused: Vec<_> = said.iter().filter(|(code, ..)| *code != Some(0)).collect();
    assert_eq!(refused.len(), 1, "{said:?}");
    assert_eq!(refused[0].2, "postseal: error: enveloped data: it does not decrypt: it was damaged or changed");
}

/// A message with bob's key, without, damaged and whole: one reply each for SMTP, LMTP and the milter, and it is delivered as it came.
#[test]
fn the_service_answers_alike_by_every_way() {
    let service = Service::start("", &[PGP_KEY[1], CMS_KEY[1]]);
    let (pgp, cms) = (Pgp::captured(), Cms::captured());
    let mut messages: Vec<String> = [0x90, 0xc8, 0xcb, 0xd4].into_iter().flat_map(|x| pgp.beginnings(x)).collect();
    messages.extend(pgp.endings());
    messages.push(pgp.to_somebody_else());
    messages.extend(cms.paddings());
    messages.push(cms.to_somebody_else());
    let mut replies = BTreeSet::new();
    for message in &messages {
        for transport in ["smtp", "lmtp"] {
            let reply = service.send(transport, message);
            replies.insert((transport, reply));
        }
    }
    for message in messages.iter().step_by(8) {
        replies.insert(("milter", service.milter(message)));
        replies.insert(("filter", service.filter(message).0));
    }
    assert_eq!(replies.len(), 4, "one reply for each transport: {replies:?}");
    assert!(replies.iter().all(|(_, reply)| reply.starts_with("250") || reply == "c" || reply == "0"), "{replies:?}");
    for (sent, delivered) in messages.iter().zip(service.delivered().chunks(2)) {
        let body = |text: &str| text.split_once("\r\n\r\n").map(|(_, body)| body.trim_end().to_owned());
        for copy in delivered {
            assert_eq!(body(copy), body(sent), "what does not open goes on as it came");
            assert!(copy.contains("x-encryption=neutral"), "{copy}");
        }
    }
}

/// EFAIL: CBC gadgets put a captured text into the address of a picture. By default they stay sealed; with `text` nothing acts; with `open`
/// a field says what it is. The sender learns nothing of it.
#[test]
fn unauthenticated_text_is_opened_as_the_rule_says() {
    let gadget = Cms::captured().gadget();
    let mut replies = BTreeSet::new();
    for (rule, field) in [
        ("", None),
        ("unauthenticated = \"leave\"", None),
        ("unauthenticated = \"text\"", Some("text; smime aes256-cbc")),
        ("unauthenticated = \"open\"", Some("open; smime aes256-cbc")),
    ] {
        let service = Service::start(rule, &[PGP_KEY[1], CMS_KEY[1]]);
        replies.insert(service.send("smtp", &gadget));
        replies.insert(service.send("smtp", &Cms::captured().damaged()));
        replies.insert(service.send("smtp", &Cms::captured().unchanged()));
        let delivered = service.delivered();
        let [copy, damaged, plain] = delivered.as_slice() else { panic!("{delivered:?}") };
        assert!(damaged.contains("application/pkcs7-mime") && !damaged.contains("X-Postseal-Unauthenticated"));
        let says = |text: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix("X-Postseal-Unauthenticated: "));
            line.map(str::to_owned)
        };
        assert_eq!(says(plain).as_deref(), field, "{rule}: {plain}");
        let is_open = rule.contains("open");
        assert_eq!(copy.contains("text/html") && !copy.contains("pkcs7-mime"), is_open, "{rule}: {copy}");
        assert_eq!(plain.contains("launch code"), field.is_some(), "{rule}: {plain}");
        let said = if field.is_some() { "x-encryption=policy" } else { "x-encryption=neutral" };
        assert!(plain.contains(said) && plain.contains("not authenticated"), "{rule}: {plain}");
        if rule.contains("text") {
            assert!(plain.contains("\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{plain}");
        }
    }
    assert_eq!(replies.len(), 1, "{replies:?}");
}

/// Two recipients, one with a key: with one copy for both, copies that differ would tell the sender that it decrypted.
#[test]
fn a_second_recipient_is_no_oracle() {
    let service = Service::start("unauthenticated = \"open\"", &[CMS_KEY[1]]);
    let captured = Cms::captured();
    let asked = |message: &str| service.filter_for(message, &["bob@example.org", "carol@example.org"]);
    let (whole, damaged) = (asked(&captured.unchanged()), asked(&captured.damaged()));
    assert_eq!((whole.0.as_str(), damaged.0.as_str()), ("0", "0"));
    assert!(whole.1.contains("application/pkcs7-mime"), "{}", whole.1);
}

/// Mail that goes on from bob's address: whether it was opened, and what became of it then, is not in the reply.
#[test]
fn a_forward_is_no_oracle() {
    let (pgp, cms) = (Pgp::captured(), Cms::captured());
    let mut messages: Vec<String> = pgp.beginnings(0xcb);
    messages.extend([pgp.unchanged(), pgp.to_somebody_else(), cms.unchanged(), cms.damaged(), cms.gadget()]);
    messages.extend(cms.paddings().into_iter().step_by(32));
    for (action, more, is_sent) in [
        ("clear", "", true),
        ("decrypt+clear", "", true),
        ("decrypt+clear", "unauthenticated = \"open\"", true),
        // There is no key for the new reader.
        ("encrypt", "", false),
        ("decrypt+encrypt", "", false),
    ] {
        let forward = format!(
            "\n[[forward]]\naddress = \"bob@example.org\"\nto = \"bob@example.net\"\nsender = \"own\"\naction = \"{action}\"\n{more}"
        );
        let service = Service::start(&forward, &[PGP_KEY[1], CMS_KEY[1]]);
        let mut replies = BTreeSet::new();
        for message in &messages {
            replies.insert(("smtp", service.send("smtp", message)));
            replies.insert(("lmtp", service.send("lmtp", message)));
        }
        assert_eq!(replies.len(), 2, "{action} {more}: {replies:?}");
        let delivered = service.delivered();
        assert_eq!(delivered.len(), if is_sent { 2 * messages.len() } else { 0 }, "{action} {more}");
        assert_eq!(
            delivered.iter().any(|copy| copy.contains("launch code")),
            action.contains("clear"),
            "{action} {more}"
        );
    }
}

/// Posts to a list with bob's key: whether one was opened and posted, or held, is not in the reply.
#[test]
fn a_list_is_no_oracle() {
    let (pgp, cms) = (Pgp::captured(), Cms::captured());
    let mut messages: Vec<String> = pgp.beginnings(0xcb);
    messages.extend([pgp.unchanged(), pgp.to_somebody_else(), cms.unchanged(), cms.damaged(), cms.gadget()]);
    messages.extend(cms.paddings().into_iter().step_by(32));
    for (more, is_posted) in [
        ("post = \"anybody\"", true),
        ("post = \"members\"", false),
        ("post = \"anybody\"\nrequire = [\"authentic\"]", false),
    ] {
        let list = format!(
            "\n[[list]]\naddress = \"bob@example.org\"\nowner = \"owner@example.net\"\nmembers = [\"carl@example.net clear\"]\n{more}"
        );
        let service = Service::start(&list, &[PGP_KEY[1], CMS_KEY[1]]);
        let mut replies = BTreeSet::new();
        for message in &messages {
            replies.insert(("smtp", service.send("smtp", message)));
            replies.insert(("lmtp", service.send("lmtp", message)));
        }
        assert_eq!(replies.len(), 2, "{more}: {replies:?}");
        assert!(replies.iter().all(|(_, reply)| reply.starts_with("250")), "{more}: {replies:?}");
        let delivered = service.delivered();
        assert_eq!(delivered.iter().any(|copy| copy.contains("launch code")), is_posted, "{more}");
    }
}
