//! Any rules, any mail: what leaves the corridor can be read on its way only where the deciding rule says clear.

use std::sync::OnceLock;

use postseal::{
    engine::{Handler, Hook, Setup},
    keys::ProtocolName,
    mail::{ForwardPath, Login, Mail, Submitter},
    policy::{
        Action, Condition, Direction, Disposition, Obstacle, Order, Party, Pattern, Policy, Resort, Rule, WrappingKind,
    },
    protocol::{Recipient, Seal, Signer},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};

use super::house::{address, hook, mail, parse};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_leaves_in_clear_unless_the_deciding_rule_says_so(
        rules in vec(rules(), 1..5),
        resort in select(Resort::ALL.to_vec()),
        message in select(messages().clone()),
        to in subsequence(PEOPLE.to_vec(), 1..PEOPLE.len()),
        submitter in submitters(),
    ) {
        let rules: Vec<Rule> =
            rules.into_iter().enumerate().map(|(place, rule)| Rule { name: format!("rule {place}"), ..rule }).collect();
        let outcome = by(&rules, resort).handle(mail(submitter, &to, message.clone())).unwrap();
        let mut reached: Vec<String> = Vec::new();
        for (group, copy) in outcome.copies() {
            prop_assert_eq!(&copy.envelope.recipients, &group.recipients);
            if group.direction == Direction::Inbound || group.disposition != Disposition::Relay {
                continue;
            }
            let rule = rules.iter().find(|rule| rule.name == group.rule);
            let says_clear = rule.is_some_and(|rule| rule.says(Order::Clear) && !rule.says(Order::Encrypt));
            prop_assert!(says_clear || !is_readable(copy), "{group:?}\n{}", String::from_utf8_lossy(copy.message.octets()));
            let was_readable = contains(&message);
            let stays = group.actions.iter().all(|action| matches!(action, Action::Clear | Action::Sign(_)));
            prop_assert!(!(stays && was_readable) || is_readable(copy), "the test would not see it: {group:?}");
        }
        for group in &outcome.decision.groups {
            reached.extend(group.recipients.iter().map(|path: &ForwardPath| path.address.to_string()));
        }
        reached.sort();
        let mut all: Vec<String> = to.iter().map(|one| (*one).to_owned()).collect();
        all.sort();
        prop_assert_eq!(reached, all);
    }
}

fn by(rules: &[Rule], resort: Resort) -> Hook {
    let setup = hook().setup();
    let policy = Policy {
        rules: rules.to_vec(),
        obstacles: Obstacle::CONFIGURABLE.into_iter().map(|obstacle| (obstacle, resort)).collect(),
        ..setup.policy.clone()
    };
    Hook::new(Setup { policy, ..Setup::clone(&setup) })
}

fn is_readable(mail: &Mail) -> bool {
    contains(mail.message.octets())
}

fn contains(octets: &[u8]) -> bool {
    octets.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
}

/// Plain, signed and encrypted by the author's own program, and two that lie about what they are.
fn messages() -> &'static Vec<Vec<u8>> {
    static MESSAGES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let plain = format!("From: alice@example.org\r\nTo: bob@example.net\r\nX-Seal: yes\r\nSubject: s\r\n\r\n{SECRET}\r\n");
        let setup = hook().setup();
        let seal = |how: &Seal| {
            let message = parse(plain.clone());
            let mut sealed = Vec::new();
            setup.engine().seal(ProtocolName::Pgp, &message, how, &mut sealed).unwrap();
            sealed
        };
        let lie = |kind: &str| {
            let header = "From: alice@example.org\r\nTo: bob@example.net\r\nMIME-Version: 1.0\r\nX-Seal: yes\r\n";
            format!("{header}Content-Type: {kind}; boundary=b\r\n\r\n--b\r\n\r\nVersion: 1\r\n--b\r\n\r\n{SECRET}\r\n--b--\r\n")
        };
        let encrypted = seal(&Seal { to: vec![Recipient::Named(address("bob@example.net"))], ..Seal::default() });
        let partly = [encrypted.as_slice(), SECRET.as_bytes(), b"\r\n"].concat();
        vec![
            seal(&Seal { sign: vec![Signer::Author], ..Seal::default() }),
            encrypted,
            partly,
            lie("multipart/encrypted; protocol=\"application/pgp-encrypted\"").into_bytes(),
            lie("multipart/signed; protocol=\"application/pgp-signature\"").into_bytes(),
            plain.replace("alice@example.org", "mallory@example.org").into_bytes(),
            plain.into_bytes(),
        ]
    })
}

fn submitters() -> impl Strategy<Value = Submitter> {
    let alice = Submitter::Authenticated(Login::new("alice").unwrap());
    let mallory = Submitter::Authenticated(Login::new("mallory").unwrap());
    select(vec![alice.clone(), alice, mallory, Submitter::Trusted, Submitter::Unknown])
}

fn rules() -> impl Strategy<Value = Rule> {
    let often = vec![Order::Clear, Order::Encrypt, Order::Sign, Order::Annotate, Order::Decrypt, Order::Verify];
    let orders = prop_oneof![6 => subsequence(often, 0..4), 1 => subsequence(Order::ALL.to_vec(), 0..3)];
    let edits =
        subsequence(vec![Action::TagSubject("[x]".to_owned()), Action::RemoveHeader("X-Seal".to_owned())], 0..2);
    let protocols = subsequence(vec![ProtocolName::Pgp, ProtocolName::Smime], 0..3).prop_shuffle();
    (vec(conditions(), 0..3), orders, edits, protocols).prop_map(|(conditions, orders, edits, protocols)| Rule {
        conditions,
        orders: orders.into_iter().collect(),
        edits,
        protocols,
        ..Rule::default()
    })
}

fn conditions() -> impl Strategy<Value = Condition> {
    let pattern = |text: &str| vec![Pattern::parse(text).unwrap()];
    let pgp = vec![ProtocolName::Pgp];
    select(vec![
        Condition::Header("X-Seal".to_owned(), "*".to_owned()),
        Condition::Recipient(pattern("example.net")),
        Condition::Recipient(pattern("bank.example")),
        Condition::Author(pattern("alice@example.org")),
        Condition::Direction(Direction::Outbound),
        Condition::Key(pgp.clone()),
        Condition::NoKey(pgp),
        Condition::Submitter(vec![Party::Authenticated]),
        Condition::Wrapping(vec![WrappingKind::Plain, WrappingKind::Malformed]),
        Condition::Wrapping(vec![WrappingKind::Encrypted, WrappingKind::Signed]),
    ])
}

const PEOPLE: [&str; 5] =
    ["bob@example.net", "ben@example.net", "carol@bank.example", "dora@example.net", "alice@example.org"];

const SECRET: &str = "the number is forty-two";
