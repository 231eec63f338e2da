//! One mail through the whole engine: what each recipient gets, and that nothing is lost, doubled, revealed or changed otherwise.

mod failing;
mod forwards;
mod log_only;
mod lookups;
mod mailboxes;
mod sealing;

use crate::support::handler::{LETTER, address, alice, hook, keys, mail, parse, text};
use postseal::{
    base::Kind,
    engine::{HANDLED, Handler, HandlerConfig, Outcome},
    keys::{Keys, ProtocolName},
    mail::{Login, Mail, Message, ReversePath, Submitter},
    policy::{Action, Disposition},
    protocol::{Recipient, Seal, Signer},
    verdict::Standing,
};

fn recipients(mail: &Mail) -> Vec<String> {
    mail.envelope.recipients.iter().map(|path| path.address.to_string()).collect()
}

/// What each recipient reads with their own keys.
fn read(message: &Message) -> (String, Standing, bool) {
    let everybody = keys();
    let (octets, opening) = postseal::decrypt(message.octets(), &everybody as &dyn Keys).unwrap();
    let verdict = opening.verdict();
    (String::from_utf8(octets).unwrap(), verdict.standing(), verdict.is_confidential())
}

#[test]
fn each_recipient_gets_what_their_rule_says() {
    let everyone = ["bob@example.net", "carol@bank.example", "list@example.net", "ben@example.net"];
    let outcome = hook().handle(mail(alice(), &everyone, LETTER)).unwrap();
    let groups: Vec<(Vec<String>, &str)> =
        outcome.copies().map(|(group, mail)| (recipients(mail), group.rule.as_str())).collect();
    let of = |name: &str| vec![name.to_owned()];
    assert_eq!(
        groups,
        [
            (of("bob@example.net"), "partner"),
            (of("carol@bank.example"), "bank"),
            (of("list@example.net"), "list"),
            (of("ben@example.net"), "partner")
        ]
    );
    for (index, (confidential, kind)) in [
        (true, "multipart/encrypted"),
        (true, "application/pkcs7-mime"),
        (false, "multipart/signed"),
        (true, "multipart/encrypted"),
    ]
    .into_iter()
    .enumerate()
    {
        let copy = &outcome.mails[index];
        assert!(text(copy).contains(kind), "{index}: {}", text(copy));
        assert!(!text(copy).contains("ben@"), "the hidden one is shown: {}", text(copy));
        assert!(text(copy).contains("Message-ID: <1@example.org>\r\n"), "{}", text(copy));
        assert_eq!(copy.envelope.sender.parameters, ["RET=HDRS"]);
        assert_eq!(copy.envelope.recipients[0].parameters, ["NOTIFY=NEVER"]);
        let (read, standing, is_confidential) = read(&copy.message);
        assert!(read.ends_with("\r\nhello\r\n"), "{read}");
        assert_eq!((standing > Standing::Unsigned, is_confidential), (true, confidential), "{index}");
    }
    assert!(outcome.refusal().is_none());
    assert_eq!(outcome.transactions().len(), 4);
}

/// A ciphertext reveals the number of its recipients, so a hidden recipient is only in their own.
#[test]
fn a_hidden_recipient_is_only_in_their_own_ciphertext() {
    let outcome = hook().handle(mail(alice(), &["bob@example.net", "ben@example.net"], LETTER)).unwrap();
    assert_eq!(outcome.mails.len(), 2);
    let everybody = keys();
    for (copy, count) in outcome.mails.iter().zip([1, 1]) {
        let opening = postseal::verify(copy.message.octets(), &everybody).unwrap();
        let readers = opening.verdict().layers().iter().find_map(|layer| match &layer.kind {
            postseal::verdict::LayerKind::Encrypted { recipients, .. } => Some(recipients.len()),
            _ => None,
        });
        assert_eq!(readers, Some(count));
    }
}

#[test]
fn a_recipient_without_a_key_is_refused_by_name() {
    let outcome = hook().handle(mail(alice(), &["bob@example.net", "dora@example.net"], LETTER)).unwrap();
    let refusal = outcome.refusal().unwrap();
    assert_eq!(refusal.kind(), Kind::NoKey);
    assert!(refusal.to_string().starts_with("dora@example.net: "), "{refusal}");
    assert_eq!(outcome.mails.len(), 1);
    assert_eq!(recipients(&outcome.mails[0]), ["bob@example.net"]);
    let all: usize = outcome.decision.groups.iter().map(|group| group.recipients.len()).sum();
    assert_eq!(all, 2);
}

#[test]
fn mail_without_a_rule_or_permission_is_refused() {
    let refused = |submitter: Submitter, recipient: &str| -> Outcome {
        let outcome = hook().handle(mail(submitter, &[recipient], LETTER)).unwrap();
        assert!(outcome.mails.is_empty());
        assert!(matches!(outcome.decision.groups[0].disposition, Disposition::Reject(_)));
        outcome
    };
    refused(alice(), "someone@elsewhere.example");
    refused(Submitter::Authenticated(Login::new("mallory").unwrap()), "bob@example.net");
    refused(Submitter::Unknown, "bob@example.net");
}

#[test]
fn what_goes_in_clear_goes_as_it_came() {
    for line_break in ["\r\n", "\n"] {
        let letter = LETTER.replace("\r\n", line_break).replace(&format!("Bcc: ben@example.net{line_break}"), "");
        let outcome = hook().handle(mail(alice(), &["plain@example.net"], letter.clone())).unwrap();
        assert_eq!(text(&outcome.mails[0]), letter);
        let tagged = hook().handle(mail(alice(), &["tag@example.net"], letter.clone())).unwrap();
        let expected = format!("X-Seen: yes{line_break}{}", letter.replace("Subject: hello", "Subject: [ok] hello"));
        assert_eq!(text(&tagged.mails[0]), expected);
    }
    let outcome = hook().handle(mail(alice(), &["plain@example.net"], LETTER)).unwrap();
    assert_eq!(text(&outcome.mails[0]), LETTER.replace("Bcc: ben@example.net\r\n", ""));
}

#[test]
fn what_is_encrypted_already_is_kept_and_what_only_says_so_is_not() {
    let sealed = hook().handle(mail(alice(), &["bob@example.net"], LETTER)).unwrap().mails.remove(0);
    let again = hook().handle(mail(alice(), &["bob@example.net"], text(&sealed))).unwrap();
    assert_eq!(again.decision.groups[0].actions, [Action::Keep]);
    assert_eq!(text(&again.mails[0]), text(&sealed));
    let pretends = "From: alice@example.org\r\nTo: bob@example.net\r\nMIME-Version: 1.0\r\nContent-Type: multipart/encrypted; \
                    protocol=\"application/pgp-encrypted\"; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-encrypted\r\n\r\n\
                    Version: 1\r\n\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\nclear text\r\n\r\n--b--\r\n";
    let outcome = hook().handle(mail(alice(), &["bob@example.net"], pretends)).unwrap();
    for copy in &outcome.mails {
        assert!(!text(copy).contains("clear text"), "{:?}", outcome.decision);
    }
}

#[test]
fn inbound_mail_is_judged_and_forged_results_go() {
    let sealed = hook().handle(mail(alice(), &["list@example.net"], LETTER)).unwrap().mails.remove(0);
    let arriving = format!(
        "Received: from x\r\nAuthentication-Results: MX.example.org (hi) 1; x-pgp=pass\r\nAuthentication-Results: dkim.example.org; dkim=pass\r\n{}",
        text(&sealed)
    );
    let outcome = hook().handle(mail(Submitter::Unknown, &["carol@example.org"], arriving.clone())).unwrap();
    assert_eq!(outcome.verdict.standing(), Standing::Authentic);
    let annotated = text(&outcome.mails[0]);
    let rest = annotated.split_once("\r\nReceived: ").unwrap();
    assert_eq!(rest.0.lines().next(), Some("Authentication-Results: mx.example.org;"));
    assert!(rest.0.contains("x-pgp=pass") && rest.0.contains("body.x-pgp-identifier=alice@example.org"), "{}", rest.0);
    assert!(rest.1.starts_with("from x\r\nAuthentication-Results: dkim.example.org; dkim=pass\r\n"), "{}", rest.1);
    assert!(arriving.ends_with(rest.1.split_once("dkim=pass\r\n").unwrap().1));

    let tampered = arriving.replace("hello\r\n\r\n--", "help\r\n\r\n--");
    assert_ne!(tampered, arriving);
    let outcome = hook().handle(mail(Submitter::Unknown, &["carol@example.org"], tampered)).unwrap();
    assert_eq!(outcome.verdict.standing(), Standing::Unsigned);
    assert!(text(&outcome.mails[0]).contains("x-pgp=fail"), "{}", text(&outcome.mails[0]));
    assert!(!text(&outcome.mails[0]).contains("=pass reason"));
}

#[test]
fn inbound_mail_is_decrypted_and_the_null_sender_stays() {
    let to = vec![Recipient::Named(address("alice@example.org"))];
    let seal = Seal { sign: vec![Signer::Author], to, ..Seal::default() };
    let mut sealed = Vec::new();
    hook().config().engine().seal(ProtocolName::Pgp, &parse(LETTER), &seal, &mut sealed).unwrap();
    let mut arriving = mail(Submitter::Unknown, &["alice@example.org", "x@example.org"], sealed);
    arriving.envelope.sender = ReversePath::default();
    let outcome = hook().handle(arriving).unwrap();
    assert_eq!(outcome.mails.len(), 2);
    assert!(text(&outcome.mails[1]).contains("multipart/encrypted"), "not his: {}", text(&outcome.mails[1]));
    assert_eq!(outcome.mails[0].envelope.sender, ReversePath::default());
    assert_eq!(recipients(&outcome.mails[0]), ["alice@example.org"]);
    let shown = text(&outcome.mails[0]);
    assert!(shown.starts_with("Authentication-Results: mx.example.org;\r\n\tx-pgp=pass"), "{shown}");
    assert!(shown.ends_with("\r\n\r\nhello\r\n"), "{shown}");
}

#[test]
fn a_marked_copy_passes_once_and_the_mark_cannot_be_forged() {
    let hook = hook();
    let plain = LETTER.replace("Bcc: ben@example.net\r\n", "");
    let marked = hook.mark(&mail(alice(), &["bob@example.net"], plain.clone())).unwrap();
    let outcome = hook.handle(mail(alice(), &["bob@example.net"], marked.octets())).unwrap();
    assert_eq!(outcome.decision.groups[0].rule, HANDLED);
    assert_eq!(text(&outcome.mails[0]), plain);
    let forged = String::from_utf8(marked.octets().to_vec()).unwrap().replace("\r\n\r\nhello", "\r\n\r\nsecret");
    let outcome = hook.handle(mail(alice(), &["bob@example.net"], forged)).unwrap();
    assert_eq!(outcome.decision.groups[0].rule, "partner");
    assert!(!text(&outcome.mails[0]).contains("secret"));
}

#[test]
fn a_reload_is_whole() {
    let hook = hook();
    let mut setup = HandlerConfig::clone(&hook.config());
    setup.policy.rules.clear();
    hook.replace(setup);
    let outcome = hook.handle(mail(alice(), &["plain@example.net"], LETTER)).unwrap();
    assert!(outcome.mails.is_empty() && outcome.refusal().is_some());
}
