//! Any rules, any mail, any way in: what leaves the gateway can be read on its way only where the deciding rule says clear, and nothing goes out signed, or
//! because a layer was there, in the name of an author that the submitter may not use.
//!
//! POSTSEAL_MAILS sets how many messages there are; POSTSEAL_SEED the first number of the dice.

mod oddities;
mod program;
mod reading;
pub(crate) mod rules;
mod transports;

use std::{collections::BTreeMap, env, thread};

use crate::support::{change::Dice, handler};
use oddities::{Oddity, oddity};
use postseal::{
    mail::{Message, header},
    policy::{Action, Direction, Disposition, Order, Policy},
    verdict::{Layer, LayerKind, State},
};
use reading::shows;
use transports::{Copy, Gateway, Handled, Way};

#[test]
fn nothing_leaves_in_clear_unless_the_deciding_rule_says_so() {
    let number = |name: &str, otherwise: u64| env::var(name).map_or(otherwise, |text| text.parse().expect(name));
    let (mails, seed) = (number("POSTSEAL_MAILS", MAILS), number("POSTSEAL_SEED", 1));
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let counts = thread::scope(|scope| {
        let run = |first| move || brought_in((first..mails).step_by(usize::try_from(threads).unwrap()), seed);
        let running: Vec<_> = (0..threads).map(|first| scope.spawn(run(first))).collect();
        running.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<_>>()
    });
    let mut all: Counts = BTreeMap::new();
    counts.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
    println!("{mails} messages: {all:?}");
    // A test that lets nothing out shows nothing.
    let has = |what: &str, by: fn(Way, Way) -> bool, way| all.keys().any(|(had, at)| *had == what && by(*at, way));
    for way in Way::ALL.into_iter().filter(|_| mails >= MAILS) {
        assert!(has("kept", |_, _| true, way), "{all:?}");
        for what in ["in clear, as the rule says", "sealed", "refused"] {
            assert!(has(what, |at, way| at == way, way), "none {what} by {way:?}: {all:?}");
        }
    }
}

/// How often what became of messages that came in there.
type Counts = BTreeMap<(&'static str, Way), u64>;

/// What became of the messages of these numbers.
fn brought_in(numbers: impl Iterator<Item = u64>, seed: u64) -> Counts {
    let gateway = Gateway::start();
    let mut counts: Counts = BTreeMap::new();
    for number in numbers {
        // One of them alone can be done again.
        let mut dice = Dice(seed << 32 | number);
        let (policy, submitter) = (rules::policy(&mut dice), rules::submitter(&mut dice));
        let (to, oddity, way) = (rules::recipients(&mut dice), oddity(&mut dice), rules::one(&mut dice, &Way::ALL));
        gateway.decides(&policy);
        let what = match gateway.brought(way, &submitter, &to, &oddity.octets) {
            None => vec!["refused before it was handled"],
            Some((copies, handled)) => judged(&policy, &handled, &copies, &oddity).unwrap_or_else(|found| {
                panic!(
                    "message {number} of POSTSEAL_SEED={seed} by {way:?}, {submitter:?} to {to:?}: {found}\n{}\n{:#?}\n{:#?}\n{}",
                    oddity.name,
                    policy.rules,
                    handled.decision,
                    String::from_utf8_lossy(&oddity.octets)
                )
            }),
        };
        what.into_iter().for_each(|what| *counts.entry((what, way)).or_default() += 1);
    }
    counts
}

/// What became of it for each group of recipients; an error when that should not be.
fn judged(
    policy: &Policy,
    Handled { mail, decision }: &Handled,
    copies: &[Copy],
    oddity: &Oddity,
) -> Result<Vec<&'static str>, String> {
    let groups = || decision.groups.iter();
    let mut reached: Vec<_> =
        groups().flat_map(|group| &group.recipients).map(|path| path.address.to_string()).collect();
    let mut all: Vec<_> = mail.envelope.recipients.iter().map(|path| path.address.to_string()).collect();
    reached.sort();
    all.sort();
    if reached != all {
        return Err(format!("not everybody is in one group: {reached:?}"));
    }
    let mut what = Vec::new();
    for copy in copies {
        for one in &copy.to {
            let group = groups()
                .find(|group| group.recipients.iter().any(|path| path.address == *one))
                .ok_or("somebody else has it")?;
            if group.disposition != Disposition::Relay {
                return Err(format!("{one} has it, who should have nothing"));
            }
            if group.direction == Direction::Inbound {
                what.push("brought to our own people");
                continue;
            }
            let rule = policy.rules.iter().find(|rule| rule.name == group.rule).ok_or("no rule decided")?;
            let is_kept = group.actions.contains(&Action::Keep);
            if rule.says(Order::Clear) && !rule.says(Order::Encrypt) {
                what.push("in clear, as the rule says");
            } else if leaks(&oddity.octets, &copy.octets) {
                return Err(format!("{one} reads the text:\n{}", String::from_utf8_lossy(&copy.octets)));
            } else {
                what.push(if is_kept { "kept" } else { "sealed" });
            }
            if rule.says(Order::Sign) || is_kept {
                let author = header::author(mail.message.root())
                    .map_err(|why| format!("kept or signed without an author: {why}"))?;
                if !policy.may_use(&mail.submitter, &author) {
                    return Err(format!("it goes out in the name of {author}"));
                }
            }
            // A milter's copy is a body alone.
            let is_signed_in_clear =
                rule.says(Order::Sign) && !group.encrypts() && !is_kept && !copy.octets.starts_with(b"From: x\r\n");
            if is_signed_in_clear {
                let opening = postseal::verify(&copy.octets, &handler::keys()).map_err(|error| error.to_string())?;
                let is_valid = |layer: &Layer| match &layer.kind {
                    LayerKind::Signed { signatures } => {
                        signatures.iter().any(|one| matches!(one.state, State::Valid(_)))
                    }
                    _ => false,
                };
                if !opening.verdict().layers().first().is_some_and(is_valid) {
                    return Err(format!("it is not signed:\n{}", String::from_utf8_lossy(&copy.octets)));
                }
            }
        }
    }
    if what.is_empty() {
        what.push("refused");
    }
    Ok(what)
}

/// Whether the text can be read below the header of `copy`, or in a field that is about the content; or in the header, where it did not stand there as the
/// message came: an envelope shows what its writer puts there.
fn leaks(original: &[u8], copy: &[u8]) -> bool {
    let (original, copy) = (handler::parse(original), handler::parse(copy));
    let is_in_header = |message: &Message| shows(message.root().header_octets());
    let is_in_content = |message: &Message| {
        let is_about_content = |field: &header::Field<'_>| field.name.to_ascii_lowercase().starts_with("content-");
        message.root().fields().filter(is_about_content).any(|field| shows(field.raw))
    };
    shows(copy.root().body()) || is_in_content(&copy) || (!is_in_header(&original) && is_in_header(&copy))
}

/// Number of cases tried by default.
const MAILS: u64 = 600;
