//! Who may post to a list, and what becomes of what is no post.

use std::{sync::Arc, time::Duration};

use postseal::{
    base::{Error, Kind, Result},
    engine::{Handler, Outcome, ReloadableHandler},
    policy::{
        Disposition, Forward, Gets, List, MailboxCopy, Member, Members, Membership, Obstacle, Order, Otherwise,
        Posters, Requirement, ReturnPath, Rule,
    },
};

use super::{LIST, OWNER, PLAIN, copies, encrypt, fixed, handler, handler_at, list, member, sent_by, sign};
use crate::support::handler::{address, text};

fn ends(handler: &ReloadableHandler, sender: &str, message: impl Into<Vec<u8>>) -> Disposition {
    let outcome = handler.handle(sent_by(sender, &[LIST], message)).unwrap();
    only(&outcome)
}

fn only(outcome: &Outcome) -> Disposition {
    let [group] = outcome.decision.groups.as_slice() else { panic!("{:?}", outcome.decision) };
    assert_eq!(group.recipients[0].address.to_string(), LIST);
    assert_eq!(outcome.postings.is_empty(), group.disposition != Disposition::Post);
    group.disposition.clone()
}

const EVE: &str = "eve@evil.example";

fn by_eve() -> String {
    PLAIN.replace("alice@example.org", EVE)
}

#[test]
fn members_post_and_others_do_not() {
    let handler = handler(list());
    assert_eq!(ends(&handler, EVE, PLAIN), Disposition::Post, "by From, which can be forged");
    let refused = Disposition::Reject(format!("{LIST}: only members may post to this list"));
    assert_eq!(ends(&handler, "alice@example.org", by_eve()), refused);
    let two = PLAIN.replace("From: ", "From: eve@evil.example, ");
    assert_eq!(ends(&handler, EVE, two), Disposition::Reject(format!("{LIST}: the post names no author")));
    let anybody = super::handler(List { post: Posters::Anybody, ..list() });
    assert_eq!(ends(&anybody, EVE, by_eve()), Disposition::Post);
    let holds = super::handler(List { otherwise: Otherwise::Hold, ..list() });
    let held = format!("list {LIST}: only members may post to this list");
    assert_eq!(ends(&holds, EVE, by_eve()), Disposition::Quarantine(held));
}

#[test]
fn a_forged_post_is_refused_where_posts_must_be_authentic() {
    let handler = handler(List { requires: [Requirement::Authentic].into(), ..list() });
    let refused = Disposition::Reject(format!("{LIST}: posts to this list must be signed by their author"));
    assert_eq!(ends(&handler, "alice@example.org", PLAIN), refused);
    let tampered = String::from_utf8(sign(PLAIN)).unwrap().replace("the plan", "the fall");
    assert_eq!(ends(&handler, "alice@example.org", tampered), refused);
    // Signed by another member, in the name of alice.
    let as_bob = String::from_utf8(sign(&PLAIN.replace("alice@example.org", OWNER))).unwrap();
    assert_eq!(ends(&handler, OWNER, as_bob.replace(&format!("<{OWNER}>"), "<alice@example.org>")), refused);
    assert_eq!(ends(&handler, "alice@example.org", sign(PLAIN)), Disposition::Post);
    assert_eq!(ends(&handler, "alice@example.org", encrypt(&sign(PLAIN), LIST)), Disposition::Post);
}

#[test]
fn the_reply_to_an_encrypted_post_does_not_tell_whether_it_was_opened() {
    let strict = List { requires: [Requirement::Authentic, Requirement::Encrypted].into(), ..list() };
    let handler = handler(strict.clone());
    assert_eq!(
        ends(&handler, "alice@example.org", sign(PLAIN)),
        Disposition::Reject(format!("{LIST}: posts to this list must be encrypted"))
    );
    // Not authentic within; not by a member; to another reader.
    for message in [encrypt(PLAIN.as_bytes(), LIST), encrypt(by_eve().as_bytes(), LIST), encrypt(&sign(PLAIN), OWNER)] {
        let end = ends(&handler, EVE, message);
        assert!(matches!(end, Disposition::Quarantine(_)), "{end:?}");
    }
    // What the keys of the members say is told before.
    let unreadable = List { gets: Gets::Sign, ..strict };
    let failing = List { members: Members(Arc::new(Unreadable)), ..unreadable };
    let handler = super::handler(failing);
    for message in [encrypt(&sign(PLAIN), LIST), encrypt(PLAIN.as_bytes(), OWNER), PLAIN.into()] {
        let outcome = handler.handle(sent_by("alice@example.org", &[LIST], message)).unwrap();
        assert_eq!(outcome.decision.groups[0].obstacle, Some(Obstacle::MembersUnavailable));
        assert!(matches!(only(&outcome), Disposition::Tempfail(_)));
    }
}

/// Members that cannot be read.
#[derive(Debug)]
struct Unreadable;

impl Membership for Unreadable {
    fn read(&self) -> Result<Arc<[Member]>> {
        Err(Error::new(Kind::Io, "members: permission denied"))
    }
}

#[test]
fn moderators_post_to_a_moderated_list_and_the_posts_of_others_wait() {
    let moderated =
        List { post: Posters::Moderators, otherwise: Otherwise::Hold, moderators: vec![address(OWNER)], ..list() };
    let handler = handler(moderated.clone());
    let waits = Disposition::Quarantine(format!("list {LIST}: the list is moderated"));
    assert_eq!(ends(&handler, "alice@example.org", PLAIN), waits);
    let outcome = handler.handle(sent_by("alice@example.org", &[LIST], PLAIN)).unwrap();
    assert_eq!(text(&outcome.mails[0]), PLAIN, "as it came");
    assert_eq!(ends(&handler, OWNER, PLAIN.replace("alice@example.org", OWNER)), Disposition::Post);
    let closed = super::handler(List { otherwise: Otherwise::Reject, ..moderated });
    assert_eq!(
        ends(&closed, "alice@example.org", PLAIN),
        Disposition::Reject(format!("{LIST}: the list is moderated"))
    );
}

#[test]
fn what_was_on_the_list_before_is_refused() {
    let handler = handler(list());
    let copy = super::posted(&handler, PLAIN).remove("alice@example.org").unwrap();
    let outcome = handler.handle(sent_by("x@example.net", &[LIST], copy.message.octets())).unwrap();
    assert_eq!(outcome.decision.groups[0].obstacle, Some(Obstacle::ForwardingLoop));
    assert!(matches!(only(&outcome), Disposition::Reject(_)));
    // Another list's posts are not.
    let theirs = format!("List-Id: <dev.example.net>\r\n{PLAIN}");
    assert_eq!(ends(&handler, "alice@example.org", theirs), Disposition::Post);
}

#[test]
fn automatic_mail_and_bounces_go_to_the_owner_and_never_to_the_members() {
    let handler = handler(List { post: Posters::Anybody, ..list() });
    let automatic = |value: &str| format!("Auto-Submitted: {value}\r\n{PLAIN}");
    for (sender, to, message) in [
        ("", LIST, PLAIN.to_owned()),
        ("alice@example.org", LIST, automatic("auto-replied")),
        ("alice@example.org", LIST, automatic("auto-generated; x=y")),
        ("", "dev-bounces+alice=example.org@example.org", PLAIN.to_owned()),
        ("", "DEV-bounces@example.org", PLAIN.to_owned()),
        (EVE, "dev-owner@example.org", PLAIN.to_owned()),
        (EVE, "dev-request@example.org", PLAIN.to_owned()),
    ] {
        let outcome = handler.handle(sent_by(sender, &[to], message)).unwrap();
        assert!(outcome.postings.is_empty());
        let [mail] = outcome.mails.as_slice() else { panic!("{to}: {:?}", outcome.decision) };
        assert_eq!(super::recipient(mail), OWNER, "{to}");
        let sender_after = mail.envelope.sender.address.as_ref().map(ToString::to_string);
        assert_eq!(sender_after.is_none(), sender.is_empty(), "the null sender stays");
        let named: Vec<_> = outcome.deliveries(&address(to)).map(ToString::to_string).collect();
        assert_eq!(named, [OWNER], "{to}");
    }
    assert_eq!(ends(&handler, "alice@example.org", automatic("no")), Disposition::Post);
    let other = handler.handle(sent_by("", &["other-bounces+a=b@example.org"], PLAIN)).unwrap();
    assert_eq!(super::recipient(&other.mails[0]), "other-bounces+a=b@example.org");
}

#[test]
fn a_forward_leads_to_a_list_and_the_rules_decide_first() {
    let forward = Forward {
        of: address("alice@example.org"),
        to: vec![address(LIST)],
        mailbox: MailboxCopy::Delivered,
        sender: ReturnPath::Keep,
        rule: Rule { name: "forward".to_owned(), orders: [Order::Clear].into(), ..Rule::default() },
    };
    let bob = List { members: fixed(&[member(OWNER, None)]), post: Posters::Anybody, ..list() };
    let handler = handler_at(&[bob], &[forward], Duration::ZERO);
    let outcome = handler.handle(sent_by(EVE, &["alice@example.org"], PLAIN)).unwrap();
    assert_eq!(outcome.mails.len(), 1, "the mailbox keeps its own");
    let to: Vec<String> = copies(&handler, &outcome, 5).iter().map(super::recipient).collect();
    assert_eq!(to, [OWNER]);
    assert_eq!(outcome.postings[0].origin().to_string(), format!("forward of alice@example.org, list {LIST}"));
    let mut config = postseal::engine::HandlerConfig::clone(&handler.config());
    let refuses = Rule { name: "no".to_owned(), orders: [Order::Reject].into(), ..Rule::default() };
    config.policy.rules = vec![refuses];
    handler.replace(config);
    let outcome = handler.handle(sent_by(EVE, &[LIST], PLAIN)).unwrap();
    assert_eq!(outcome.decision.groups[0].rule, "no");
}
