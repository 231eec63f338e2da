//! Mail that goes on from the address that it came to: opened by its keys, sealed for the next reader, and never in clear unless a rule says so.

use std::{sync::Arc, time::Duration};

use postseal::{
    base::{Clock, FixedClock, Limits, SystemClock},
    engine::{Handler, HandlerConfig, Outcome, ReloadableHandler},
    keys::ProtocolName,
    mail::{Mail, Submitter},
    policy::{Disposition, Forward, Forwards, MailboxCopy, Obstacle, Order, Policy, Resort, ReturnPath, Rule},
    verdict::Standing,
};

use super::{read, recipients};
use crate::support::handler::{address, alice, hook, keys, mail, policy, text};

fn forward(of: &str, to: &[&str], orders: &[Order]) -> Forward {
    Forward {
        of: address(of),
        to: to.iter().map(|to| address(to)).collect(),
        mailbox: MailboxCopy::None,
        sender: ReturnPath::Rewrite,
        rule: Rule {
            name: format!("forward of {of}"),
            orders: orders.iter().copied().chain([Order::Annotate]).collect(),
            protocols: vec![ProtocolName::Pgp, ProtocolName::Smime],
            obstacles: [(Obstacle::AlreadyEncrypted, Resort::Keep)].into(),
            ..Rule::default()
        },
    }
}

/// With the policy of alice@example.org, and these forwards; it is `later` than now.
fn handler(all: &[Forward], rules: Option<Vec<Rule>>, later: Duration) -> ReloadableHandler {
    let mut forwards = Forwards::default();
    all.iter().for_each(|one| assert!(forwards.insert(one.clone()).is_none()));
    let rules = rules.unwrap_or_else(|| policy().rules);
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(SystemClock.now() + later));
    let policy = Policy { forwards, rules, ..policy() };
    ReloadableHandler::new(HandlerConfig { policy, clock, ..HandlerConfig::clone(&hook().config()) })
}

fn now(all: &[Forward]) -> ReloadableHandler {
    handler(all, None, Duration::ZERO)
}

fn sent_by(sender: &str, recipient: &str, message: Vec<u8>) -> Mail {
    let mut mail = mail(Submitter::Unknown, &[recipient], message);
    mail.envelope.sender.address = (!sender.is_empty()).then(|| address(sender));
    mail
}

fn only(outcome: &Outcome) -> &Mail {
    let [mail] = outcome.mails.as_slice() else { panic!("{:?}", outcome.decision) };
    mail
}

const PLAIN: &str =
    "From: bob@example.net\r\nTo: alice@example.org\r\nSubject: x\r\nDKIM-Signature: v=1; b=x\r\n\r\nthe plan\r\n";

/// Signed by its author, and encrypted for alice alone.
fn sealed() -> Vec<u8> {
    let signed = postseal::sign(PLAIN.as_bytes(), ProtocolName::Pgp, &keys()).unwrap();
    postseal::encrypt(&signed, ProtocolName::Pgp, &[address("alice@example.org")], &keys()).unwrap()
}

const ALICE: &str = "alice@example.org";

#[test]
fn mail_is_opened_for_the_old_reader_and_sealed_for_the_new_one() {
    let forwards = [forward(ALICE, &["ben@example.net"], &[Order::Decrypt, Order::Encrypt])];
    // The rule of inbound mail opens it, or else the forward does.
    let annotates = Rule { name: "in".to_owned(), orders: [Order::Annotate].into(), ..Rule::default() };
    for rules in [None, Some(vec![annotates])] {
        let outcome =
            handler(&forwards, rules, Duration::ZERO).handle(sent_by("bob@example.net", ALICE, sealed())).unwrap();
        let mail = only(&outcome);
        assert_eq!(recipients(mail), ["ben@example.net"]);
        assert_eq!(mail.submitter, Submitter::Host);
        let sender = mail.envelope.sender.address.as_ref().unwrap().to_string();
        assert!(sender.starts_with("SRS0=") && sender.ends_with("=example.net=bob@example.org"), "{sender}");
        assert!(mail.envelope.recipients[0].parameters.is_empty() && mail.envelope.sender.parameters.is_empty());
        let written = text(mail);
        assert!(!written.contains("the plan"), "{written}");
        let [group] = outcome.decision.groups.as_slice() else { panic!("{:?}", outcome.decision) };
        assert_eq!(group.origin.to_string(), "forward of alice@example.org");
        assert!(written.contains("Delivered-To: alice@example.org\r\n"), "{written}");
        let (plain, _, is_confidential) = read(&mail.message);
        assert!(plain.contains("the plan") && is_confidential, "{plain}");
        // What was found in the message as it came.
        assert!(written.contains("x-pgp=pass"), "{written}");
        let ben = outcome.keys[0].readers.clone();
        let direct = now(&[])
            .handle(self::mail(alice(), &["ben@example.net"], PLAIN.replace("bob@example.net", ALICE)))
            .unwrap();
        assert_eq!(direct.keys[0].readers, ben, "for the new reader alone");
    }
}

#[test]
fn what_cannot_be_opened_goes_on_as_it_came_and_nothing_goes_on_in_clear() {
    let bobs = postseal::encrypt(PLAIN.as_bytes(), ProtocolName::Pgp, &[address("bob@example.net")], &keys()).unwrap();
    for orders in
        [&[Order::Decrypt, Order::Encrypt][..], &[Order::Encrypt], &[Order::Clear], &[Order::Decrypt, Order::Clear]]
    {
        let handler = now(&[forward(ALICE, &["ben@example.net"], orders)]);
        let outcome = handler.handle(sent_by("bob@example.net", ALICE, bobs.clone())).unwrap();
        let mail = only(&outcome);
        assert!(!text(mail).contains("the plan"));
        let body = |octets: &[u8]| String::from_utf8_lossy(octets).split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(body(mail.message.octets()), body(&bobs), "{orders:?}");
    }
    // A plain message is encrypted, or goes in clear where the forward says so.
    for (orders, is_clear) in [(&[Order::Encrypt][..], false), (&[Order::Clear], true)] {
        let handler = now(&[forward(ALICE, &["ben@example.net"], orders)]);
        let outcome = handler.handle(sent_by("bob@example.net", ALICE, PLAIN.into())).unwrap();
        assert_eq!(text(only(&outcome)).contains("the plan"), is_clear);
    }
    // Without a key nothing goes on, whether the message can be opened or not.
    for message in [sealed(), bobs, PLAIN.into()] {
        let handler = now(&[forward(ALICE, &["dora@example.net"], &[Order::Decrypt, Order::Encrypt])]);
        let outcome = handler.handle(sent_by("bob@example.net", ALICE, message)).unwrap();
        assert!(outcome.mails.is_empty());
        let [group] = outcome.decision.groups.as_slice() else { panic!("{:?}", outcome.decision) };
        assert_eq!((group.obstacle, recipients_of(group)), (Some(Obstacle::MissingKey), vec![ALICE.to_owned()]));
        assert_eq!(group.disposition, Disposition::Reject("no encryption key".to_owned()));
    }
}

fn recipients_of(group: &postseal::policy::Group) -> Vec<String> {
    group.recipients.iter().map(|path| path.address.to_string()).collect()
}

#[test]
fn a_signature_that_nothing_had_to_change_stays() {
    let signed = postseal::sign(PLAIN.as_bytes(), ProtocolName::Pgp, &keys()).unwrap();
    let handler = now(&[forward(ALICE, &["ben@example.net"], &[Order::Clear])]);
    let outcome = handler.handle(sent_by("bob@example.net", ALICE, signed.clone())).unwrap();
    let mail = only(&outcome);
    assert!(mail.message.octets().ends_with(&signed), "only fields above it");
    let verdict = postseal::verify(mail.message.octets(), &keys()).unwrap();
    assert_eq!(verdict.verdict().standing(), Standing::Authentic);
    // Encrypted around the signed message, the signature is within.
    let handler = now(&[forward(ALICE, &["ben@example.net"], &[Order::Encrypt])]);
    let outcome = handler.handle(sent_by("bob@example.net", ALICE, signed)).unwrap();
    let (_, standing, is_confidential) = read(&only(&outcome).message);
    assert_eq!((standing, is_confidential), (Standing::Authentic, true));
}

#[test]
fn the_envelope_sender_is_kept_rewritten_or_the_forwarders_own() {
    let sender_by = |sender, from: &str| {
        let forward = Forward { sender, ..forward(ALICE, &["ben@example.net"], &[Order::Clear]) };
        let outcome = now(&[forward]).handle(sent_by(from, ALICE, PLAIN.into())).unwrap();
        only(&outcome).envelope.sender.address.as_ref().map(ToString::to_string)
    };
    assert_eq!(sender_by(ReturnPath::Keep, "bob@example.net").unwrap(), "bob@example.net");
    assert_eq!(sender_by(ReturnPath::Own, "bob@example.net").unwrap(), ALICE);
    // The null sender stays, and one of the same domain needs no other.
    for sender in [ReturnPath::Keep, ReturnPath::Own, ReturnPath::Rewrite] {
        assert_eq!(sender_by(sender, ""), None);
    }
    assert_eq!(sender_by(ReturnPath::Rewrite, "x@example.org").unwrap(), "x@example.org");
    // A local part that would be too long.
    assert_eq!(sender_by(ReturnPath::Rewrite, &format!("{}@example.net", "b".repeat(50))).unwrap(), ALICE);
}

#[test]
fn a_bounce_to_a_rewritten_sender_goes_back_for_three_weeks() {
    let forwards = [forward(ALICE, &["ben@example.net"], &[Order::Clear])];
    let rewritten = |sender: &str| {
        let outcome = now(&forwards).handle(sent_by(sender, ALICE, PLAIN.into())).unwrap();
        only(&outcome).envelope.sender.address.as_ref().unwrap().to_string()
    };
    let bounce = "From: MAILER-DAEMON@example.net\r\nSubject: Undelivered\r\n\r\nno\r\n";
    let days = |days: u64| Duration::from_secs(days * 86_400);
    let back = |sender: &str, to: &str, later: Duration| {
        let outcome = handler(&forwards, None, later).handle(sent_by(sender, to, bounce.into())).unwrap();
        match outcome.mails.as_slice() {
            [mail] => Ok((mail.envelope.sender.address.clone(), recipients(mail))),
            [] => Err(outcome.decision.groups[0].obstacle),
            _ => panic!("{:?}", outcome.decision),
        }
    };
    let to = rewritten("bob@example.net");
    for to in [to.clone(), to.to_lowercase(), to.to_uppercase()] {
        assert_eq!(back("", &to, days(20)).unwrap().1[0].to_lowercase(), "bob@example.net", "{to}");
    }
    let refused = Err(Some(Obstacle::UnknownReturnPath));
    assert_eq!(back("", &to, days(23)), refused);
    assert_eq!(back("bob@example.net", &to, days(0)), refused, "no bounce");
    assert_eq!(back("", &to.replace("=bob@", "=bib@"), days(0)), refused);
    assert_eq!(back("", "SRS0=x@example.org", days(0)), refused);
    // What another host rewrote goes back to that host, as it wrote it.
    let theirs = "SRS0=Abc=xY=example.com=zoe@forwarder.example";
    let once = rewritten(theirs);
    assert!(once.starts_with("SRS1="), "{once}");
    assert_eq!(back("", &once, days(0)).unwrap(), (None, vec![theirs.to_owned()]));
    let twice = rewritten("SRS1=Abc=first.example==Cde=xY=example.com=zoe@second.example");
    assert_eq!(back("", &twice, days(0)).unwrap().1, ["SRS0=Cde=xY=example.com=zoe@first.example"]);
}

#[test]
fn a_mailbox_can_keep_its_copy_and_forwards_follow_each_other() {
    let keeps = Forward {
        mailbox: MailboxCopy::Delivered,
        ..forward(ALICE, &["carol@example.org", "ben@example.net"], &[Order::Clear])
    };
    let next = forward("Carol@example.org", &["bob@example.net"], &[Order::Encrypt]);
    let handler = now(&[keeps, next]);
    let outcome = handler.handle(sent_by("bob@example.net", ALICE, sealed())).unwrap();
    let mut all: Vec<(String, String, bool)> = Vec::new();
    for (group, mail) in outcome.copies() {
        all.extend(
            recipients(mail).into_iter().map(|to| (to, group.origin.to_string(), text(mail).contains("the plan"))),
        );
    }
    all.sort();
    let expected = [
        (ALICE, "as addressed", true),
        ("ben@example.net", "forward of alice@example.org", true),
        ("bob@example.net", "forward of alice@example.org, forward of carol@example.org", false),
    ];
    assert_eq!(all, expected.map(|(to, origin, clear)| (to.to_owned(), origin.to_owned(), clear)));
    let mut deliveries: Vec<String> = outcome.deliveries(&address(ALICE)).map(ToString::to_string).collect();
    deliveries.sort();
    assert_eq!(deliveries, [ALICE, "ben@example.net", "bob@example.net"]);
    // The plan says the same by the addresses alone.
    let config = handler.config();
    let path = mail(Submitter::Unknown, &[ALICE], PLAIN).envelope.recipients;
    let mut planned: Vec<(String, String)> = config
        .policy
        .expand(&path)
        .iter()
        .map(|one| (one.to.as_ref().unwrap().to_string(), one.origin.to_string()))
        .collect();
    planned.sort();
    assert_eq!(planned, expected.map(|(to, origin, _)| (to.to_owned(), origin.to_owned())));
}

#[test]
fn loops_end() {
    let there = forward(ALICE, &["carol@example.org"], &[Order::Clear]);
    let back = forward("carol@example.org", &[ALICE], &[Order::Clear]);
    let outcome = now(&[there.clone(), back]).handle(sent_by("bob@example.net", ALICE, PLAIN.into())).unwrap();
    assert!(outcome.mails.is_empty());
    assert_eq!(outcome.decision.groups[0].obstacle, Some(Obstacle::ForwardingLoop));
    // Through another host.
    let first = now(std::slice::from_ref(&there)).handle(sent_by("bob@example.net", ALICE, PLAIN.into())).unwrap();
    let again = only(&first).message.octets().to_vec();
    let outcome = now(&[there]).handle(sent_by("bob@example.net", ALICE, again)).unwrap();
    let [group] = outcome.decision.groups.as_slice() else { panic!("{:?}", outcome.decision) };
    assert_eq!(group.disposition, Disposition::Reject("alice@example.org: mail forwarding loop".to_owned()));
}

/// What the rules do not let in does not go on either, and users' mail goes on as it would be delivered.
#[test]
fn the_rules_decide_first() {
    let forwards = [forward(ALICE, &["ben@example.net"], &[Order::Decrypt, Order::Encrypt])];
    for order in [Order::Reject, Order::Tempfail, Order::Quarantine, Order::Discard] {
        let rule = Rule { name: "no".to_owned(), orders: [order].into(), ..Rule::default() };
        let outcome = handler(&forwards, Some(vec![rule]), Duration::ZERO)
            .handle(sent_by("bob@example.net", ALICE, sealed()))
            .unwrap();
        let [group] = outcome.decision.groups.as_slice() else { panic!("{:?}", outcome.decision) };
        assert_eq!((group.rule.as_str(), recipients_of(group)), ("no", vec![ALICE.to_owned()]), "{order:?}");
    }
    let seals = Rule {
        name: "internal".to_owned(),
        orders: [Order::Sign, Order::Encrypt].into(),
        protocols: vec![ProtocolName::Pgp],
        ..Rule::default()
    };
    let letter = PLAIN.replace("bob@example.net", ALICE);
    let outcome =
        handler(&forwards, Some(vec![seals]), Duration::ZERO).handle(mail(alice(), &[ALICE], letter)).unwrap();
    let written = text(only(&outcome));
    assert!(written.contains("x-pgp=pass") && !written.contains("the plan"), "{written}");
}

/// The members of an alias get its mail in its place, each once; the rules decide for each, and their forwards follow.
#[test]
fn aliases_are_replaced_by_their_members() {
    let mut handler = HandlerConfig::clone(&now(&[forward(ALICE, &["ben@example.net"], &[Order::Clear])]).config());
    let members = |members: &[&str]| members.iter().map(|one| address(one)).collect::<Vec<_>>();
    handler.policy.aliases = [
        ("staff".to_owned(), members(&["team@example.org", "carl@example.org", "bob@partner.example"])),
        ("team@example.org".to_owned(), members(&[ALICE, "carl@example.org", "staff@example.org", "team@example.org"])),
    ]
    .into();
    let handler = ReloadableHandler::new(handler);
    let came = mail(Submitter::Unknown, &["STAFF@example.org", "carl@example.org"], PLAIN);
    let outcome = handler.handle(came).unwrap();
    let mut all: Vec<(String, String)> = Vec::new();
    for group in &outcome.decision.groups {
        all.extend(recipients_of(group).into_iter().map(|to| (to, group.origin.to_string())));
    }
    all.sort();
    let alias = "alias STAFF@example.org";
    let expected = [
        ("ben@example.net".to_owned(), format!("{alias}, alias team@example.org, forward of alice@example.org")),
        // Nothing lets mail of strangers out.
        ("bob@partner.example".to_owned(), alias.to_owned()),
        ("carl@example.org".to_owned(), "as addressed".to_owned()),
        ("staff@example.org".to_owned(), format!("{alias}, alias team@example.org")),
        ("team@example.org".to_owned(), format!("{alias}, alias team@example.org")),
    ];
    assert_eq!(all, expected);
    let alias = address("STAFF@example.org");
    let mut deliveries: Vec<&str> = outcome.deliveries(&alias).map(|to| to.local()).collect();
    deliveries.sort_unstable();
    assert_eq!(deliveries, ["ben", "bob", "carl", "staff", "team"]);
    let refused: Vec<_> =
        outcome.decision.groups.iter().filter(|group| group.disposition != Disposition::Relay).collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(
        (recipients_of(refused[0]), refused[0].obstacle),
        (vec!["bob@partner.example".to_owned()], Some(Obstacle::NoRule))
    );
}

/// A recipient to whom the same mail goes on from several addresses gets it once.
#[test]
fn duplicates_are_joined() {
    let clear = |of: &str| forward(of, &["ben@example.net"], &[Order::Decrypt, Order::Clear]);
    let handler = now(&[clear(ALICE), clear("carl@example.org")]);
    let came = mail(Submitter::Unknown, &["carl@example.org", ALICE], PLAIN);
    let outcome = handler.handle(came).unwrap();
    assert_eq!(recipients(only(&outcome)), ["ben@example.net"]);
    for addressee in ["carl@example.org", ALICE] {
        let addressee = address(addressee);
        let deliveries: Vec<String> = outcome.deliveries(&addressee).map(ToString::to_string).collect();
        assert_eq!(deliveries, ["ben@example.net"], "{addressee}");
    }
    // The key of one opens it, and that of the other does not: both copies, the one that can be read among them.
    let mut came = sent_by("bob@example.net", "carl@example.org", sealed());
    came.envelope.recipients.extend(mail(Submitter::Unknown, &[ALICE], PLAIN).envelope.recipients);
    let outcome = handler.handle(came).unwrap();
    let read: Vec<bool> = outcome.mails.iter().map(|mail| text(mail).contains("the plan")).collect();
    assert_eq!(read.iter().filter(|read| **read).count(), 1, "{:?}", outcome.decision);
}

/// Each of them opens the message once more: together they cost no more than some of the largest messages.
#[test]
fn a_large_message_goes_on_for_so_many_addresses_only() {
    let names: Vec<String> = (0..12).map(|number| format!("u{number}@example.org")).collect();
    let targets: Vec<String> = (0..12).map(|number| format!("x{number}@example.net")).collect();
    let forwards: Vec<Forward> =
        names.iter().zip(&targets).map(|(of, to)| forward(of, &[to], &[Order::Clear])).collect();
    let large =
        format!("{PLAIN}{}", "seventy octets of text that nobody reads to the end, line after line\r\n".repeat(2_000));
    let limits = Limits { message: large.len() + 100, ..Limits::default() };
    let handler = now(&forwards);
    handler.replace(HandlerConfig { limits, ..HandlerConfig::clone(&handler.config()) });
    let to: Vec<&str> = names.iter().map(String::as_str).collect();
    let ends = |message: &str| {
        let mut mail = mail(Submitter::Unknown, &to, message);
        mail.envelope.sender.address = Some(address("zoe@bank.example"));
        let groups = handler.handle(mail).unwrap().decision.groups;
        let of = |is_it: fn(&Disposition) -> bool| {
            let all = groups.iter().filter(|group| is_it(&group.disposition)).map(|group| group.recipients.len());
            all.sum::<usize>()
        };
        (of(|end| *end == Disposition::Relay), of(|end| matches!(end, Disposition::Reject(_))))
    };
    assert_eq!(ends(&large), (8, 4));
    assert_eq!(ends(PLAIN), (12, 0));
}
