//! What the members of a list get.

use std::time::Duration;

use postseal::{
    engine::{Handler, HandlerConfig},
    keys::{Keys, ProtocolName},
    mail::Mail,
    policy::{
        Action, Disposition, Forward, FromField, Gets, List, MailboxCopy, Obstacle, Order, ReplyTo, ReturnPath, Rule,
        WithoutKey,
    },
    verdict::{LayerKind, Standing, State},
};

use super::{
    LIST, OWNER, PLAIN, copies, encrypt, fixed, handler, handler_at, keys, list, member, posted, sent_by, sign,
};
use crate::support::handler::{address, text};

/// The text as the keys of everybody open it, whether the list signed it with its own key, and the number of readers of the ciphertext.
fn read(mail: &Mail) -> (String, bool, Option<usize>) {
    let everybody = keys();
    let (octets, opening) = postseal::decrypt(mail.message.octets(), &everybody as &dyn Keys).unwrap();
    let mut readers = None;
    let mut is_signed = false;
    for layer in opening.verdict().layers() {
        match &layer.kind {
            LayerKind::Encrypted { recipients, .. } => readers = Some(recipients.len()),
            LayerKind::Signed { signatures } => {
                is_signed |= signatures.iter().any(|one| matches!(one.state, State::Valid(_)));
            }
            _ => {}
        }
    }
    (String::from_utf8(octets).unwrap(), is_signed, readers)
}

#[test]
fn each_member_gets_a_copy_that_they_alone_can_read() {
    let handler = handler(list());
    for message in [PLAIN.into(), sign(PLAIN), encrypt(&sign(PLAIN), LIST)] {
        let copies = posted(&handler, message);
        assert_eq!(copies.keys().collect::<Vec<_>>(), ["alice@example.org", "bob@example.net", "carol@bank.example"]);
        for (to, mail) in &copies {
            let written = text(mail);
            assert!(!written.contains("the plan") && !written.contains("the topic"), "{written}");
            let kind = if to.starts_with("carol") { "application/pkcs7-mime" } else { "multipart/encrypted" };
            assert!(written.contains(kind), "{written}");
            // The others are named nowhere.
            for other in copies.keys().filter(|other| *other != to && !other.starts_with("alice")) {
                assert!(!written.contains(other.as_str()) && !written.contains(&other.replace('@', "=")), "{written}");
            }
            let sender = mail.envelope.sender.address.as_ref().unwrap().to_string();
            assert_eq!(sender, format!("dev-bounces+{}@example.org", to.replace('@', "=")));
            let (plain, is_signed, readers) = read(mail);
            assert!(plain.contains("the plan") && plain.contains("Subject: the topic"), "{plain}");
            assert_eq!((is_signed, readers), (true, Some(1)));
            for field in [
                "List-Id: The developers <dev.example.org>\r\n",
                "List-Post: <mailto:dev@example.org>\r\n",
                "List-Owner: <mailto:dev-owner@example.org>\r\n",
                "List-Unsubscribe: <mailto:dev-request@example.org?subject=unsubscribe>\r\n",
                "Precedence: list\r\n",
            ] {
                assert!(written.contains(field), "{field}{written}");
            }
            assert!(!plain.contains("Disposition-Notification-To"), "{plain}");
        }
    }
    // What was found in the post as it came.
    let copies = posted(&handler, encrypt(&sign(PLAIN), LIST));
    assert!(read(&copies[OWNER]).0.contains("x-pgp=pass"));
}

#[test]
fn the_list_is_the_author_where_it_rewrites_from() {
    let rewritten = List { from: FromField::Rewrite, ..list() };
    let copies = posted(&handler(rewritten.clone()), sign(PLAIN));
    let opened = postseal::verify(copies[OWNER].message.octets(), &keys()).unwrap();
    assert_eq!(opened.verdict().standing(), Standing::Authentic, "by the key of the list");
    let (plain, ..) = read(&copies[OWNER]);
    for field in [
        "From: Alice via dev <dev@example.org>\r\n",
        "X-Original-From: Alice <alice@example.org>\r\n",
        "Reply-To: Alice <alice@example.org>\r\n",
        "x-pgp=pass",
    ] {
        assert!(plain.contains(field), "{field}: {plain}");
    }
    let to_list = List { reply_to: ReplyTo::List, ..rewritten };
    let (plain, ..) = read(&posted(&handler(to_list), PLAIN)[OWNER]);
    assert!(plain.contains("Reply-To: dev@example.org\r\n") && !plain.contains("Reply-To: Alice"), "{plain}");
    // And it is kept otherwise.
    let (plain, ..) = read(&posted(&handler(list()), PLAIN)[OWNER]);
    assert!(plain.contains("From: Alice <alice@example.org>\r\n") && !plain.contains("Reply-To"), "{plain}");
}

#[test]
fn nothing_is_in_clear_unless_the_list_says_so() {
    let members = [
        member("alice@example.org", Some(Gets::Clear)),
        member(OWNER, Some(Gets::Sign)),
        member("carol@bank.example", None),
        member("dora@example.net", Some(Gets::Nothing)),
    ];
    let mut mixed = List { members: fixed(&members), ..list() };
    mixed.rule.edits = vec![Action::TagSubject("[dev]".to_owned())];
    mixed.unsubscribe = Some("https://lists.example.org/leave?who={member}".to_owned());
    let signed = sign(PLAIN);
    let copies = posted(&handler(mixed), signed.clone());
    assert_eq!(copies.len(), 3);
    let clear = text(&copies["alice@example.org"]);
    let body = |octets: &[u8]| String::from_utf8_lossy(octets).split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(clear.as_bytes()), body(&signed), "with the signature of its author");
    assert!(clear.contains("Subject: [dev] the topic\r\n"), "{clear}");
    let (plain, is_signed, readers) = read(&copies[OWNER]);
    assert!(is_signed && readers.is_none() && plain.contains("[dev] the topic"), "{plain}");
    assert!(text(&copies[OWNER]).contains("the plan"));
    assert!(!text(&copies["carol@bank.example"]).contains("the plan"));
    for (to, mail) in &copies {
        let encoded = to.replace('@', "%40");
        let field = format!("List-Unsubscribe: <https://lists.example.org/leave?who={encoded}>, <mailto:");
        assert!(text(mail).starts_with(&field), "{}", text(mail));
        assert!(text(mail).contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
    }
}

#[test]
fn a_member_without_a_usable_key_is_skipped_or_waits_or_gets_it_in_clear_as_the_list_says() {
    let members = ["erin@example.net", "dora@example.net", OWNER].map(|one| member(one, None));
    let of = |without_key| List { members: fixed(&members), without_key, ..list() };
    let later = Duration::from_secs(2 * 86_400);
    // Skipped: the owner is told, once and under cover.
    let handler = handler_at(&[of(WithoutKey::Skip)], &[], later);
    let outcome = handler
        .handle(sent_by(
            "alice@example.org",
            &[LIST],
            PLAIN.replace("alice@", "erin@example.net>, <x@").replace(", <x@example.org>", ""),
        ))
        .unwrap();
    let [posting] = outcome.postings.as_slice() else { panic!("{:?}", outcome.decision) };
    let obstacles: Vec<_> = posting.groups().iter().filter_map(|group| group.obstacle).collect();
    assert_eq!(obstacles, [Obstacle::ExpiredKey, Obstacle::MissingKey]);
    let all = copies(&handler, &outcome, 10);
    let [copy, notice] = all.as_slice() else { panic!("{all:?}") };
    assert!(read_at(copy, later).contains("the plan"));
    assert_eq!((super::recipient(notice).as_str(), notice.envelope.sender.address.as_ref()), (OWNER, None));
    assert!(!text(notice).contains("dora") && !text(notice).contains("erin"), "{}", text(notice));
    let told = read_at(notice, later);
    assert!(told.contains("dora@example.net: ") && told.contains("erin@example.net: "), "{told}");
    assert!(told.contains("Auto-Submitted: auto-generated"), "{told}");
    // Held: for them alone, and as it came.
    let handler = handler_at(&[of(WithoutKey::Hold)], &[], later);
    let outcome = handler.handle(sent_by(OWNER, &[LIST], PLAIN.replace("alice@example.org", OWNER))).unwrap();
    let held: Vec<_> =
        outcome.copies().filter(|(group, _)| matches!(group.disposition, Disposition::Quarantine(_))).collect();
    let to: Vec<String> = held
        .iter()
        .flat_map(|(_, mail)| mail.envelope.recipients.iter().map(|path| path.address.to_string()))
        .collect();
    assert_eq!(to, ["erin@example.net", "dora@example.net"]);
    assert!(held.iter().all(|(group, _)| group.origin.to_string() == format!("list {LIST}")));
    // In clear.
    let handler = handler_at(&[of(WithoutKey::Clear)], &[], later);
    let outcome = handler.handle(sent_by(OWNER, &[LIST], PLAIN.replace("alice@example.org", OWNER))).unwrap();
    let clear: Vec<String> = copies(&handler, &outcome, 1)
        .iter()
        .filter(|mail| text(mail).contains("the plan"))
        .map(super::recipient)
        .collect();
    assert_eq!(clear, ["erin@example.net", "dora@example.net"]);
}

fn read_at(mail: &Mail, later: Duration) -> String {
    let engine = handler_at(&[], &[], later);
    let config = engine.config();
    let opening = config.engine().open(mail.message.clone()).unwrap();
    let mut octets = Vec::new();
    opening.write(&mut octets).unwrap();
    String::from_utf8(octets).unwrap()
}

/// Between the decision and the copy.
#[test]
fn the_owner_is_told_of_a_key_that_fails_late() {
    let members = ["erin@example.net", OWNER].map(|one| member(one, None));
    let list = List { members: fixed(&members), ..list() };
    let (handler, later) = (handler(list.clone()), Duration::from_secs(2 * 86_400));
    let outcome =
        handler.handle(sent_by("alice@example.org", &[LIST], PLAIN.replace("alice@example.org", OWNER))).unwrap();
    handler.replace(HandlerConfig::clone(&handler_at(&[list], &[], later).config()));
    let all = copies(&handler, &outcome, 10);
    let [copy, notice] = all.as_slice() else { panic!("{all:?}") };
    assert!(read_at(copy, later).contains("the plan"));
    assert_eq!((super::recipient(notice).as_str(), notice.envelope.sender.address.as_ref()), (OWNER, None));
    let told = read_at(notice, later);
    assert!(told.contains("erin@example.net: ") && told.contains("<1@example.org>"), "{told}");
}

#[test]
fn a_member_who_forwards_gets_it_where_they_forward_it_to() {
    let forward = Forward {
        of: address("alice@example.org"),
        to: vec![address("bob@example.net")],
        mailbox: MailboxCopy::None,
        sender: ReturnPath::Keep,
        rule: Rule {
            name: "forward of alice".to_owned(),
            orders: [Order::Decrypt, Order::Encrypt].into(),
            protocols: vec![ProtocolName::Pgp],
            ..Rule::default()
        },
    };
    let alone = List { members: fixed(&[member("alice@example.org", None)]), ..list() };
    let handler = handler_at(&[alone], &[forward], Duration::ZERO);
    let copies = posted(&handler, PLAIN);
    assert_eq!(copies.keys().collect::<Vec<_>>(), ["bob@example.net"]);
    assert!(!text(&copies["bob@example.net"]).contains("the plan"));
    assert!(read(&copies["bob@example.net"]).0.contains("the plan"));
}
