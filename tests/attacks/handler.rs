//! Attacks by senders and recipients on the mail server: to read mail, to be trusted, to evade rules.

mod content_keys;

use std::sync::Arc;

use crate::support::handler::{LETTER, address, alice, hook, keys, mail, parse, text};
use postseal::{
    base::{Kind, Limits, SystemClock, SystemRandom},
    crypto::SecretKey,
    engine::{HANDLED, Handler, HandlerConfig, Outcome, ReloadableHandler},
    keys::{Handle, Keys, Memory, Passphrases, ProtocolName, Query, Record, Want},
    mail::{
        Submitter,
        encoding::{base64_decode, base64_encode},
    },
    policy::{Action, Obstacle, Order, Rule},
    protocol::{Aead, Recipient, Seal, Shape, Signer, pgp, smime},
    store,
};

const SECRET: &str = "the number is forty-two";

/// What arrives for each recipient, as text.
fn arriving(outcome: &Outcome) -> Vec<String> {
    outcome.mails.iter().map(text).collect()
}

fn with_rule(rule: Rule) -> ReloadableHandler {
    let mut setup = HandlerConfig::clone(&hook().config());
    setup.policy.rules.insert(0, rule);
    ReloadableHandler::new(setup)
}

/// Everything in clear, to whomever.
fn clear() -> ReloadableHandler {
    with_rule(Rule { name: "clear".to_owned(), orders: [Order::Clear].into(), ..Rule::default() })
}

/// A letter encrypted to an unknown recipient.
fn to_a_stranger(protocol: ProtocolName) -> String {
    let who = address("stranger@elsewhere.example");
    let files = match protocol {
        ProtocolName::Pgp => {
            let generated = pgp::generate::generate(&pgp::generate::Request::new(who.clone()), &SystemClock).unwrap();
            vec![generated.described.secret.unwrap().expose().to_vec()]
        }
        _ => {
            let mut request = smime::generate::Request::new(who.clone());
            request.algorithm = smime::generate::Algorithm::P256;
            vec![smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap().record.bytes().to_vec()]
        }
    };
    let files: Vec<(&str, &[u8])> = files.iter().map(|file| ("generated", file.as_slice())).collect();
    let keys: Memory = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys;
    let setup = HandlerConfig { keys: Arc::new(keys) as Arc<dyn Keys>, ..HandlerConfig::clone(&hook().config()) };
    let seal = Seal { to: vec![Recipient::Named(who)], ..Seal::default() };
    let mut sealed = Vec::new();
    setup.engine().seal(protocol, &parse(LETTER.replace("Bcc: ben@example.net\r\n", "")), &seal, &mut sealed).unwrap();
    String::from_utf8(sealed).unwrap()
}

/// A literal data packet (RFC 9580, section 5.9), in base64: packed, and not encrypted.
fn literal() -> String {
    let text = [b"b\0\0\0\0\0", SECRET.as_bytes()].concat();
    let packet = [&[0xcb, u8::try_from(text.len()).unwrap()], text.as_slice()].concat();
    String::from_utf8(base64_encode(&packet)).unwrap().trim_end().to_owned()
}

/// A ciphertext is kept as it is; what stands beside it in clear is not.
#[test]
fn clear_text_beside_a_ciphertext_does_not_pass_for_encrypted() {
    let pgp = to_a_stranger(ProtocolName::Pgp);
    let smime = to_a_stranger(ProtocolName::Smime);
    for sealed in [&pgp, &smime] {
        let outcome = hook().handle(mail(alice(), &["bob@example.net"], sealed.as_str())).unwrap();
        assert_eq!(outcome.decision.groups[0].actions, [Action::Keep], "as its author's own program made it");
    }
    let boundary =
        pgp.split("boundary=").nth(1).unwrap().trim_start_matches('"').split(['"', '\r', ';']).next().unwrap();
    let armor = &pgp[pgp.find("-----BEGIN PGP").unwrap()..pgp.rfind("\r\n--").unwrap()];
    let paragraph = format!("{SECRET}\r\n").repeat(20);
    let header = "From: alice@example.org\r\nTo: bob@example.net\r\n";
    let end = format!("--{boundary}--");
    let packed = format!("-----BEGIN PGP MESSAGE-----\r\n\r\n{}\r\n-----END PGP MESSAGE-----", literal());
    let (head, body) = smime.split_once("\r\n\r\n").unwrap();
    for (name, lie) in [
        ("a third part", pgp.replace(&end, &format!("--{boundary}\r\n\r\n{SECRET}\r\n{end}"))),
        (
            "a part before",
            pgp.replacen(&format!("--{boundary}\r\n"), &format!("--{boundary}\r\n\r\n{SECRET}\r\n--{boundary}\r\n"), 1),
        ),
        ("a third part that is packed", pgp.replace(&end, &format!("--{boundary}\r\n\r\n{packed}\r\n{end}"))),
        ("words in the header of pem", {
            let header = format!("{header}\r\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\nProc-Type: 4,ENCRYPTED\r\n");
            format!(
                "{header}DEK-Info: DES-CBC,BFF968AA74691AC1\r\nRecipient-X: {SECRET}\r\n\r\nAAAA\r\n-----END PRIVACY-ENHANCED MESSAGE-----\r\n"
            )
        }),
        ("the version part", pgp.replacen("Version: 1", &format!("Version: 1\r\n\r\n{SECRET}"), 1)),
        ("a preamble", pgp.replacen("\r\n\r\n", &format!("\r\n\r\n{paragraph}"), 1)),
        ("an epilogue", pgp.replace(&end, &format!("{end}\r\n{paragraph}"))),
        ("before the armor", pgp.replace("-----BEGIN", &format!("{SECRET}\r\n-----BEGIN"))),
        (
            "after the armor",
            pgp.replace("-----END PGP MESSAGE-----", &format!("-----END PGP MESSAGE-----\r\n{SECRET}")),
        ),
        ("inline, before", format!("{header}\r\n{SECRET}\r\n{armor}\r\n")),
        ("inline, after", format!("{header}\r\n{armor}\r\n{SECRET}\r\n")),
        ("pkcs7, before", format!("{head}\r\n\r\n{SECRET}\r\n{body}")),
        ("pkcs7, after", format!("{head}\r\n\r\n{body}\r\n{SECRET}\r\n")),
        ("pkcs7, after its end", format!("{head}\r\n\r\n{}=\r\n{SECRET}\r\n", body.trim_end())),
        (
            "pkcs7, no base64",
            format!("{header}Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\n{SECRET}\r\n"),
        ),
        (
            "signed data for enveloped",
            format!("{head}\r\n\r\n{SECRET}\r\n").replace("enveloped-data", "authEnveloped-data"),
        ),
        (
            "armor around nothing",
            format!("{header}\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n{SECRET}\r\n-----END PGP MESSAGE-----\r\n"),
        ),
        (
            "pem",
            format!(
                "{header}\r\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\nProc-Type: 4,ENCRYPTED\r\nContent-Domain: RFC822\r\n\
            DEK-Info: DES-CBC,BFF968AA74691AC1\r\nRecipient-ID-Asymmetric: MFExCzAJBgNVBAYTAlVTMSAwHgYDVQQKExdSU0EgRGF0YSBTZWN1cml0eSwgSW5jLjEPMA0GA1UECxMGQmV0YSAxMQ8wDQYDVQQLEwZOT1RBUlk=,66\r\n\
            Key-Info: RSA,O6BS1ww9CTyHPtS3bMLD+L0hejdvX6Qv1HK2ds2sQPEaXhX8EhvVphHYTjwekdWv7x0Z3Jx2vTAhOYHMcqqCjA==\r\n\r\n{SECRET}\r\n-----END PRIVACY-ENHANCED MESSAGE-----\r\n"
            ),
        ),
    ] {
        assert!(lie.contains(SECRET) || lie.contains(&literal()), "{name}");
        let outcome = hook().handle(mail(alice(), &["bob@example.net"], lie)).unwrap();
        for copy in arriving(&outcome) {
            assert!(!copy.contains(SECRET) && !copy.contains(&literal()), "{name}: {:?}", outcome.decision);
        }
    }
}

/// An attacker sends a ciphertext for alice to their own address, and the service has alice's key.
#[test]
fn a_message_is_decrypted_only_for_the_owner_of_the_key() {
    let to = vec![Recipient::Named(address("alice@example.org"))];
    let seal = Seal { to, aead: Aead::Always, ..Seal::default() };
    for protocol in [ProtocolName::Pgp, ProtocolName::Smime] {
        let mut sealed = Vec::new();
        let letter = parse(LETTER.replace("\r\nhello\r\n", &format!("\r\n{SECRET}\r\n")));
        hook().config().engine().seal(protocol, &letter, &seal, &mut sealed).unwrap();
        let sealed = String::from_utf8(sealed).unwrap();
        for to in [&["mallory@example.org"][..], &["mallory@example.org", "alice@example.org"], &["alice@example.org"]]
        {
            let outcome = hook().handle(mail(Submitter::Unknown, to, sealed.as_str())).unwrap();
            for (group, copy) in outcome.copies() {
                let is_alice = |address: &str| address == "alice@example.org";
                let reads = text(copy).contains(SECRET);
                for path in &group.recipients {
                    assert_eq!(reads, is_alice(&path.address.to_string()), "{protocol:?} {}", path.address);
                }
            }
        }
    }
}

/// A mail server may look behind the local domain, where the rules do not.
#[test]
fn a_way_to_another_mailbox_is_no_mailbox() {
    let clear = clear();
    for routed in
        ["carol%bank.example@example.org", "\"carol@bank.example\"@example.org", "bank.example!carol@example.org"]
    {
        for submitter in [alice(), Submitter::Trusted, Submitter::Unknown] {
            let outcome = clear.handle(mail(submitter, &[routed], LETTER)).unwrap();
            assert!(outcome.mails.is_empty(), "{routed}: {:?}", outcome.decision);
            assert_eq!(outcome.decision.groups[0].obstacle, Some(Obstacle::Routed));
        }
    }
}

/// Her copy, and the mark in it, are all that a recipient has.
#[test]
fn a_mark_is_valid_only_for_its_recipient() {
    let marked = hook().mark(&mail(alice(), &["plain@example.net", "list@example.net"], LETTER)).unwrap();
    let handled = |to: &[&str]| {
        let outcome = hook().handle(mail(alice(), to, marked.octets())).unwrap();
        outcome.decision.groups.iter().all(|group| group.rule == HANDLED)
    };
    assert!(handled(&["plain@example.net", "list@example.net"]) && handled(&["list@example.net"]));
    assert!(!handled(&["carol@bank.example"]));
    assert!(!handled(&["plain@example.net", "carol@bank.example"]));
}

/// From any sender, and anywhere in the header.
#[test]
fn no_results_in_our_name_are_kept() {
    let mut held = HandlerConfig::clone(&hook().config());
    let quarantine = Rule { name: "hold".to_owned(), orders: [Order::Quarantine].into(), ..Rule::default() };
    held.policy.rules.insert(0, quarantine);
    for (forged, submitter, hook) in [
        ("Authentication-Results: mx.example.org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: mx.example.org; smime=pass\r\n", alice(), clear()),
        ("Authentication-Results: mx.example.org; smime=pass\r\n", Submitter::Trusted, clear()),
        ("authentication-results : (x) \"MX.example.org\".; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: other.example; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: dkim.example.org mx.example.org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: mx . example . org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: mx.(x)example.org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: \"mx\".\"example\".\"org\"; smime=pass\r\n", Submitter::Unknown, hook()),
        ("X: y\rAuthentication-Results: mx.example.org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-\0Results: mx.example.org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results\u{a0}: mx.example.org; smime=pass\r\n", Submitter::Unknown, hook()),
        ("Authentication-Results: mx.example.org; smime=pass\r\n", Submitter::Unknown, ReloadableHandler::new(held)),
    ] {
        let outcome = hook.handle(mail(submitter, &["alice@example.org"], format!("{forged}{LETTER}"))).unwrap();
        assert_eq!(outcome.mails.len(), 1, "{forged}");
        assert!(!text(&outcome.mails[0]).contains("smime=pass"), "{forged}: {}", text(&outcome.mails[0]));
    }
}

/// A mark covers what a reader shows. One that does not match is removed, and the message is judged.
#[test]
fn a_mark_on_another_header_is_no_mark() {
    let to = ["alice@example.org"];
    let plain = LETTER.replace("Bcc: ben@example.net\r\n", "");
    let marked = hook().mark(&mail(Submitter::Unknown, &to, plain)).unwrap();
    let marked = String::from_utf8(marked.octets().to_vec()).unwrap();
    let handled = |message: &str| hook().handle(mail(Submitter::Unknown, &to, message)).unwrap();
    let outcome = handled(&marked);
    assert_eq!(outcome.decision.groups[0].rule, HANDLED);
    let forged = "Authentication-Results: mx.example.org; smime=pass\r\n";
    for (name, message) in [
        ("results", format!("{forged}{marked}")),
        ("results of others", format!("Authentication-Results: evil.example; smime=pass\r\n{marked}")),
        ("from", marked.replace("From: Alice <alice@example.org>", "From: CEO <ceo@example.org>")),
        ("subject", marked.replace("Subject: hello", "Subject: other")),
        ("type", format!("Content-Type: text/html\r\n{marked}")),
        ("sender", format!("Sender: ceo@example.org\r\n{marked}")),
        ("a second from", format!("From: ceo@example.org\r\n{marked}")),
        ("a hidden field", marked.replace("Subject: hello", "Subject: hello\r\nX: y\rReply-To: eve@evil.example")),
    ] {
        let outcome = handled(&message);
        assert_eq!(outcome.decision.groups[0].rule, "in", "{name}");
        let shown = text(&outcome.mails[0]);
        assert!(!shown.contains("smime=pass") && !shown.contains("X-Postseal-Handled"), "{name}: {shown}");
        assert!(shown.starts_with("Authentication-Results: mx.example.org;"), "{name}: {shown}");
    }
}

#[test]
fn mail_without_recipients_is_an_error() {
    assert_eq!(hook().handle(mail(alice(), &[], LETTER)).unwrap_err().kind(), Kind::Usage);
}

/// However it is written, and in whatever copy.
#[test]
fn hidden_recipients_stay_hidden() {
    for hidden in
        ["Bcc: ben@example.net", "bcc : ben@example.net", "BCC:\r\n ben@example.net", "Resent-Bcc: <ben@example.net>"]
    {
        let letter = LETTER.replace("Bcc: ben@example.net", &format!("{hidden}\r\nBcc: \"x\" <ben@example.net>"));
        let to = ["bob@example.net", "carol@bank.example", "list@example.net", "plain@example.net", "ben@example.net"];
        let outcome = hook().handle(mail(alice(), &to, letter)).unwrap();
        assert_eq!(outcome.mails.len(), to.len());
        for copy in &outcome.mails {
            let (read, _) = postseal::decrypt(copy.message.octets(), &keys() as &dyn Keys).unwrap();
            for octets in [&read[..], copy.message.octets()] {
                assert!(
                    !String::from_utf8_lossy(octets).contains("ben@"),
                    "{hidden}: {}",
                    String::from_utf8_lossy(octets)
                );
            }
        }
    }
}

/// A home with very many certificates, of which no message of a stranger may cause all to be read.
struct VeryMany(Memory);

impl Keys for VeryMany {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> postseal::base::Result<Vec<Arc<Record>>> {
        assert_ne!(query.want, Want::All, "every certificate is read: {protocol:?}, {:?}", query.purpose);
        self.0.find(protocol, query)
    }

    fn secret(&self, record: &Record, key: &Handle) -> postseal::base::Result<Option<Arc<dyn SecretKey>>> {
        self.0.secret(record, key)
    }
}

/// A reader who is hidden or unknown may be any key here: those with a secret part are tried, and the others are not read.
#[test]
fn a_hidden_or_unknown_reader_reads_no_certificates_of_others() {
    let very_many = || Arc::new(VeryMany(keys())) as Arc<dyn Keys>;
    let handler = ReloadableHandler::new(HandlerConfig { keys: very_many(), ..HandlerConfig::clone(&hook().config()) });
    let seal = Seal { to: vec![Recipient::Hidden(address("alice@example.org"))], ..Seal::default() };
    let mut hidden = Vec::new();
    let plain = parse(LETTER.replace("Bcc: ben@example.net\r\n", ""));
    hook().config().engine().seal(ProtocolName::Pgp, &plain, &seal, &mut hidden).unwrap();
    let outcome = handler.handle(mail(Submitter::Unknown, &["alice@example.org"], hidden)).unwrap();
    assert!(arriving(&outcome)[0].contains("hello"), "{}", arriving(&outcome)[0]);
    for protocol in [ProtocolName::Pgp, ProtocolName::Smime] {
        let unknown = to_a_stranger(protocol);
        let outcome = handler.handle(mail(Submitter::Unknown, &["alice@example.org"], unknown)).unwrap();
        assert_eq!(outcome.mails.len(), 1);
    }
}

/// Each hidden recipient has a ciphertext of their own. All are in memory before the first is sent.
#[test]
fn copies_of_one_message_are_bounded() {
    let mut setup = HandlerConfig::clone(&hook().config());
    setup.limits = Limits { message: 64 * 1024, copies: 1, ..Limits::default() };
    let letter = format!("{LETTER}{}", "0123456789\r\n".repeat(3 * 1024));
    let to = ["bob@example.net", "ben@example.net"];
    let error = ReloadableHandler::new(setup.clone()).handle(mail(alice(), &to, letter.clone())).unwrap_err();
    assert_eq!(error.to_string(), "message: its copies have more than 65536 octets");
    setup.limits.copies = 2;
    assert_eq!(ReloadableHandler::new(setup).handle(mail(alice(), &to, letter)).unwrap().mails.len(), 2);
}

/// Alice, who may only use alice@example.org, and a rule that signs.
#[test]
fn a_forged_author_signs_nothing() {
    for from in [
        "From: boss@example.org",
        "From: alice@example.org, boss@example.org",
        "From: alice@example.org\r\nFrom: boss@example.org",
        "From: boss@example.org\r\nfrom : alice@example.org",
        "From: x\r\n <boss@example.org>",
        "From: all: alice@example.org;",
        "From: <@example.org:boss@example.org>",
        "From: alice@example.org <boss@example.org>",
        "From: \"alice@example.org\" <boss@example.org>",
        "From: boss@example.org (alice@example.org)",
        "From: =?utf-8?q?boss=40example.org?= alice@example.org",
        "From: al\u{456}ce@example.org",
        "From: alice@ex\u{430}mple.org",
        "From: alice@example.org.",
        "X: y\rFrom: boss@example.org\r\nFrom: alice@example.org",
        "From\u{a0}: boss@example.org\r\nFrom: alice@example.org",
        "Sender: alice@example.org",
        "Resent-From: alice@example.org",
        "Sender: alice@example.org\r\nFrom: boss@example.org",
        "Resent-From: alice@example.org\r\nFrom: boss@example.org",
    ] {
        let letter = LETTER.replace("From: Alice <alice@example.org>", from);
        let outcome = hook().handle(mail(alice(), &["list@example.net", "bob@example.net"], letter)).unwrap();
        assert!(outcome.mails.is_empty() && outcome.notes.is_empty(), "{from}: {:?}", outcome.decision);
    }
}

/// Anyone can remove a signature and decompress: text next to the ciphertext is readable. An untrusted signature may be
/// anything; the author's S/MIME key is not trusted here.
#[test]
fn a_packed_layer_around_a_ciphertext_hides_nothing() {
    let pgp = to_a_stranger(ProtocolName::Pgp);
    let (start, end) = (pgp.find("boundary=\"").unwrap() + 10, pgp.find("\"\r\n\r\n").unwrap());
    let boundary = &pgp[start..end];
    let partly = pgp.replace(&format!("--{boundary}--"), &format!("--{boundary}\r\n\r\n{SECRET}\r\n--{boundary}--"));
    assert_ne!(partly, pgp);
    for (protocol, shape, sealed, kept) in [
        (ProtocolName::Smime, Shape::Opaque, &partly, false),
        (ProtocolName::Pgp, Shape::Mime, &partly, false),
        (ProtocolName::Pgp, Shape::Mime, &pgp, true),
        (ProtocolName::Smime, Shape::Mime, &pgp, false),
    ] {
        let how = Seal { sign: vec![Signer::Author], shape, ..Seal::default() };
        let mut signed = Vec::new();
        hook().config().engine().seal(protocol, &parse(sealed.as_str()), &how, &mut signed).unwrap();
        let outcome = hook().handle(mail(alice(), &["bob@example.net"], signed)).unwrap();
        let is_kept = outcome.decision.groups[0].actions == [Action::Keep];
        assert_eq!(is_kept, kept, "{protocol:?} {shape:?}: {:?}", outcome.decision);
    }
}

/// A session key without a ciphertext.
#[test]
fn packets_that_only_begin_like_a_ciphertext_are_none() {
    let pgp = to_a_stranger(ProtocolName::Pgp);
    let start = pgp.find("-----BEGIN PGP MESSAGE-----\r\n\r\n").unwrap() + 31;
    let packets = base64_decode(&pgp.as_bytes()[start..pgp.find("\r\n=").unwrap()]);
    assert_eq!(packets[0], 0xc1, "a session key, new format");
    let (key, rest) = packets.split_at(2 + usize::from(packets[1]));
    let literal = base64_decode(literal().as_bytes());
    for (name, lie) in [
        ("a key and a text", [key, &literal].concat()),
        ("a text, and then", [&literal, key, rest].concat()),
        ("a key alone", key.to_vec()),
        ("a text after", [key, rest, &literal].concat()),
        ("a text between", [key, &literal, rest].concat()),
    ] {
        let armor = String::from_utf8(base64_encode(&lie)).unwrap();
        let header = "From: alice@example.org\r\nTo: bob@example.net\r\n\r\n";
        let message = format!("{header}-----BEGIN PGP MESSAGE-----\r\n\r\n{armor}\r\n-----END PGP MESSAGE-----\r\n");
        let outcome = hook().handle(mail(alice(), &["bob@example.net"], message)).unwrap();
        assert!(outcome.mails.is_empty(), "{name}: {:?}", outcome.decision);
    }
}
