//! Several addresses of one mailbox: whose keys open, seal and sign, and what they do not prove.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Clock, FixedClock, SystemClock},
    engine::{Handler, HandlerConfig, Outcome, ReloadableHandler},
    keys::{Binding, Memory, ProtocolName},
    mail::Submitter,
    policy::{Condition, Direction, Disposition, Mailboxes, Obstacle, Order, Policy},
    protocol::pgp::generate::{Request, generate},
    verdict::Standing,
};

use crate::support::handler::{address, alice, hook, keys, mail, policy, rule, text, to};

/// What handles mail by `keys` at `clock`, with `+` as the delimiter, and aliases.
fn handler(keys: Memory, now: SystemTime) -> ReloadableHandler {
    let mut rules = vec![
        rule("in", vec![Condition::Direction(Direction::Inbound)], &[Order::Decrypt, Order::Annotate], &[]),
        rule("clear", to("list@example.net"), &[Order::Sign, Order::Clear], &[ProtocolName::Pgp]),
    ];
    rules.push(rule("sealed", Vec::new(), &[Order::Encrypt], &[ProtocolName::Pgp]));
    let aliases = [("sales", "alice@example.org"), ("friend@example.net", "bob@example.net")];
    let aliases = aliases.map(|(name, to)| (name.to_owned(), address(to))).into();
    let mailboxes = Mailboxes { delimiters: "+".to_owned(), aliases, ..Mailboxes::default() };
    let policy = Policy { rules, mailboxes, ..policy() };
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(now));
    ReloadableHandler::new(HandlerConfig {
        keys: Arc::new(keys),
        clock,
        policy,
        ..HandlerConfig::clone(&hook().config())
    })
}

fn now() -> SystemTime {
    SystemClock.now()
}

fn sealed_for_alice() -> Vec<u8> {
    let message = b"From: alice@example.org\r\nTo: alice@example.org\r\nSubject: x\r\n\r\nthe plan\r\n";
    postseal::encrypt(message, ProtocolName::Pgp, &[address("alice@example.org")], &keys()).unwrap()
}

/// The one message that goes on.
fn sent(outcome: &Outcome) -> String {
    let [mail] = outcome.mails.as_slice() else { panic!("{:?}", outcome.decision) };
    text(mail)
}

fn received(handler: &ReloadableHandler, recipient: &str) -> (bool, Vec<String>) {
    let outcome = handler.handle(mail(Submitter::Unknown, &[recipient], sealed_for_alice())).unwrap();
    let unopened = outcome.unopened.iter().map(|one| one.recipient.to_string()).collect();
    (sent(&outcome).contains("the plan"), unopened)
}

#[test]
fn mail_for_a_sub_address_or_an_alias_is_opened_with_the_keys_of_its_mailbox() {
    let handler = handler(keys(), now());
    for recipient in ["alice@example.org", "Alice+Shop@example.org", "sales@example.org", "SALES+x@example.org"] {
        assert_eq!(received(&handler, recipient), (true, vec![]), "{recipient}");
    }
    // Nobody else's mail is opened for them: not for the end of a local part, and not for a name with another delimiter.
    for recipient in ["bob@example.org", "shop+alice@example.org", "alice-shop@example.org", "alicia+x@example.org"] {
        assert_eq!(received(&handler, recipient), (false, vec![recipient.to_owned()]), "{recipient}");
    }
    // By default each address is a mailbox of its own.
    assert_eq!(received(&hook(), "alice+shop@example.org"), (false, vec!["alice+shop@example.org".to_owned()]));
}

/// To several recipients each gets what their own keys open, and the rest is reported.
#[test]
fn of_several_recipients_those_are_reported_for_whom_it_stays_closed() {
    let recipients = ["alice+shop@example.org", "bob@example.org"];
    let outcome = handler(keys(), now()).handle(mail(Submitter::Unknown, &recipients, sealed_for_alice())).unwrap();
    let read: Vec<bool> = outcome.mails.iter().map(|mail| text(mail).contains("the plan")).collect();
    assert_eq!(read, [true, false]);
    let unopened: Vec<String> =
        outcome.unopened.iter().map(|one| format!("{}: {}", one.recipient, one.reason)).collect();
    assert_eq!(unopened, ["bob@example.org: no key of the recipient opens it"]);
}

const LETTER: &str = "From: alice@example.org\r\nTo: you\r\nSubject: x\r\n\r\nthe plan\r\n";

/// The fingerprint that a message for `recipient` is encrypted to, or the obstacle.
fn encrypted_to(keys: &Memory, now: SystemTime, recipient: &str) -> Result<String, Obstacle> {
    let outcome = handler(keys.clone(), now).handle(mail(alice(), &[recipient], LETTER)).unwrap();
    if let Some(obstacle) = outcome.decision.groups[0].obstacle {
        assert!(outcome.mails.is_empty());
        return Err(obstacle);
    }
    assert!(!sent(&outcome).contains("the plan"));
    let [reader] = outcome.keys[0].readers.as_slice() else { panic!("{:?}", outcome.keys) };
    Ok(reader.clone())
}

/// `keys` and a new certificate that claims `who`, with its fingerprint. The owner trusts it for `trusted`, if anything.
fn with(mut keys: Memory, who: &str, validity: Option<Duration>, trusted: Option<&str>) -> (Memory, String) {
    let mut request = Request::new(address(who));
    request.validity = validity;
    let described = generate(&request, &SystemClock).unwrap().described;
    let fingerprint = described.record.fingerprint().to_string();
    let trusted = trusted.map(|trusted| Binding::Address(address(trusted)));
    keys.add(described.record.without_secrets().with_bindings(trusted));
    (keys, fingerprint)
}

#[test]
fn the_key_for_the_address_itself_decides_where_it_is_trusted() {
    const SUB: &str = "alice+shop@example.org";
    let day = Duration::from_secs(24 * 3600);
    let alices = encrypted_to(&keys(), now(), "alice@example.org").unwrap();
    for recipient in [SUB, "sales@example.org"] {
        assert_eq!(encrypted_to(&keys(), now(), recipient).unwrap(), alices, "{recipient}");
    }
    let bobs = encrypted_to(&keys(), now(), "bob@example.net").unwrap();
    assert_eq!(encrypted_to(&keys(), now(), "friend@example.net").unwrap(), bobs);
    // What the delimiter of another domain is, is not known here.
    assert_eq!(encrypted_to(&keys(), now(), "bob+x@example.net"), Err(Obstacle::MissingKey));

    let (own, its) = with(keys(), SUB, Some(day), Some(SUB));
    assert_eq!(encrypted_to(&own, now(), SUB).unwrap(), its);
    assert_eq!(encrypted_to(&own, now(), "alice+other@example.org").unwrap(), alices);
    // It has expired: that is no reason to take another.
    assert_eq!(encrypted_to(&own, now() + 2 * day, SUB), Err(Obstacle::ExpiredKey));
    assert_eq!(encrypted_to(&own, now() + 2 * day, "alice@example.org").unwrap(), alices);
    // A certificate that only claims the sub-address does not get what a trusted one could.
    let (claimed, _) = with(keys(), SUB, Some(day), None);
    assert_eq!(encrypted_to(&claimed, now(), SUB).unwrap(), alices);
    // Without a trusted one, the claim for the address itself is nearer than the one for the mailbox.
    let (only, its) = with(with(Memory::new(), "alice@example.org", None, None).0, SUB, None, None);
    assert_eq!(encrypted_to(&only, now(), SUB).unwrap(), its);
}

#[test]
fn a_sub_address_signs_with_the_key_of_its_mailbox_which_proves_nothing_about_the_sub_address() {
    let handler = handler(keys(), now());
    for author in ["alice@example.org", "alice+news@example.org", "sales@example.org"] {
        let letter = LETTER.replace("alice@example.org", author);
        let outcome = handler.handle(mail(alice(), &["list@example.net"], letter)).unwrap();
        let signed = sent(&outcome);
        assert!(signed.contains("multipart/signed"), "{signed}");
        let is_own = author == "alice@example.org";
        let expected = if is_own { Standing::Authentic } else { Standing::Signed };
        let opening = postseal::verify(signed.as_bytes(), &keys()).unwrap();
        assert_eq!(opening.verdict().standing(), expected, "{author}");
        // The same here, whatever the configuration says of mailboxes.
        let came = handler.handle(mail(Submitter::Unknown, &["alice@example.org"], signed)).unwrap();
        assert_eq!(came.verdict.standing(), expected, "{author}");
    }
    // Only the owner of the mailbox may.
    for author in ["bob+alice@example.org", "alicia+x@example.org", "alice+x@example.net"] {
        let letter = LETTER.replace("alice@example.org", author);
        let outcome = handler.handle(mail(alice(), &["list@example.net"], letter)).unwrap();
        let group = &outcome.decision.groups[0];
        assert!(matches!(group.disposition, Disposition::Reject(_)), "{author}: {group:?}");
    }
}
