//! Rules by chance: also such as make no sense.

use postseal::{
    keys::ProtocolName,
    mail::{Login, Submitter},
    policy::{
        Action, Condition, Direction, Obstacle, Order, Party, Pattern, Policy, Resort, Rule, Unauthenticated,
        WrappingKind,
    },
};

use crate::support::{change::Dice, handler};

/// One of `all`.
pub(crate) fn one<T: Clone>(dice: &mut Dice, all: &[T]) -> T {
    all[dice.below(all.len())].clone()
}

/// Each of `all` with a chance of one in `of`.
fn some<T: Clone>(dice: &mut Dice, all: &[T], of: usize) -> Vec<T> {
    all.iter().filter(|_| dice.below(of) == 0).cloned().collect()
}

/// A policy of one to four rules.
pub(crate) fn policy(dice: &mut Dice) -> Policy {
    let count = 1 + dice.below(4);
    let rules = (0..count).map(|place| Rule { name: format!("rule {place}"), ..rule(dice) }).collect();
    let resort = if dice.below(2) == 0 { Resort::Keep } else { one(dice, &Resort::ALL) };
    let obstacles = Obstacle::CONFIGURABLE.into_iter().map(|obstacle| (obstacle, resort)).collect();
    Policy { rules, obstacles, ..handler::policy() }
}

fn rule(dice: &mut Dice) -> Rule {
    let likely = [&[Order::Sign, Order::Encrypt][..], &[Order::Encrypt], &[Order::Sign, Order::Clear], &[Order::Clear]];
    let orders = match dice.below(6) {
        0 => some(dice, &Order::ALL, 4),
        1 => {
            some(dice, &[Order::Annotate, Order::Clear, Order::Decrypt, Order::Encrypt, Order::Sign, Order::Verify], 2)
        }
        2 => likely[3].to_vec(),
        3 => likely[2].to_vec(),
        _ => likely[dice.below(2)].to_vec(),
    };
    let mut protocols = vec![ProtocolName::Pgp, ProtocolName::Smime];
    if dice.below(2) == 0 {
        protocols.reverse();
    }
    protocols.truncate(1 + dice.below(2));
    let edits = [Action::TagSubject("[x]".to_owned()), Action::RemoveHeader("X-Seal".to_owned())];
    Rule {
        conditions: (0..dice.below(5).saturating_sub(2)).map(|_| condition(dice)).collect(),
        orders: orders.into_iter().collect(),
        edits: some(dice, &edits, 4),
        protocols,
        unauthenticated: one(dice, &Unauthenticated::ALL),
        ..Rule::default()
    }
}

fn condition(dice: &mut Dice) -> Condition {
    let pattern = |text: &str| vec![Pattern::parse(text).unwrap()];
    let pgp = vec![ProtocolName::Pgp];
    let all = [
        Condition::Header("X-Seal".to_owned(), "*".to_owned()),
        Condition::Recipient(pattern("example.net")),
        Condition::Recipient(pattern("bank.example")),
        Condition::Author(pattern("alice@example.org")),
        Condition::Direction(Direction::Outbound),
        Condition::Key(pgp.clone()),
        Condition::NoKey(pgp),
        Condition::Submitter(vec![Party::Authenticated]),
        Condition::Submitter(vec![Party::User(Login::new("Alice").unwrap())]),
        Condition::Wrapping(vec![WrappingKind::Plain, WrappingKind::Malformed]),
        Condition::Wrapping(vec![WrappingKind::Encrypted, WrappingKind::Signed]),
    ];
    one(dice, &all)
}

/// The submitter: in most cases alice, in different spellings of the name.
pub(crate) fn submitter(dice: &mut Dice) -> Submitter {
    let user = |name: &str| Submitter::Authenticated(Login::new(name).unwrap());
    match dice.below(10) {
        0 => Submitter::Trusted,
        1 => Submitter::Unknown,
        2 => user("mallory"),
        _ => user(one(dice, &["alice", "ALICE", " Alice ", "\u{ff21}lice"])),
    }
}

/// One recipient in most cases: with one reply for all, a refused recipient stops the others.
pub(crate) fn recipients(dice: &mut Dice) -> Vec<&'static str> {
    let to = match dice.below(4) {
        0 => some(dice, &PEOPLE, 2),
        _ => vec![one(dice, &PEOPLE[..3])],
    };
    if to.is_empty() { vec![PEOPLE[0]] } else { to }
}

const PEOPLE: [&str; 5] =
    ["bob@example.net", "ben@example.net", "carol@bank.example", "dora@example.net", "alice@example.org"];
