//! Two policies over the same facts: what would be decided otherwise.

use super::{
    Action, Decision, Direction, Disposition, Facts, Group, Guess, LOG_ONLY, Mode, Obstacle, Origin, Policy,
    RecipientFacts, Record, Sealing, groups,
};
use crate::{
    keys::{KeyState, ProtocolName},
    mail::{Address, ForwardPath},
};
use std::collections::{BTreeMap, BTreeSet};

/// What another policy does for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The recipient.
    pub to: Address,
    /// The rule of the first policy that decides, also if that policy is log-only.
    pub decided_by: String,
    /// What is different.
    pub change: Change,
}

/// A difference between two decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same rule does the same.
    None,
    /// Another rule does the same.
    Rule(Effect, Effect),
    /// The mail is handled otherwise.
    Effect(Effect, Effect),
    /// The second policy asks what is not recorded: what the first one does, and the rule that asks.
    Unknown(Effect, String),
}

/// What is done for a recipient, in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// The rule that decides.
    pub rule: String,
    /// Why its orders cannot be followed, if so.
    pub obstacle: Option<&'static str>,
    /// [`Disposition::name`].
    pub outcome: &'static str,
    /// The names of the actions, in order.
    pub actions: Vec<String>,
    /// The text that the rule has for a refusal.
    pub text: Option<String>,
    /// What is not told otherwise: that the settings of the actions, or of sealing, differ.
    pub note: Option<&'static str>,
}

impl Effect {
    fn of(policy: &Policy, group: &Group) -> Effect {
        Effect {
            text: policy.refusal_text(group),
            note: None,
            rule: group.rule.clone(),
            obstacle: group.obstacle.map(Obstacle::name),
            outcome: group.disposition.name(),
            actions: group.actions.iter().map(Action::name).collect(),
        }
    }
}

impl Policy {
    /// What `new` would do otherwise with a mail that this policy decided, for each recipient of `record`.
    ///
    /// A log-only policy does nothing with any mail.
    pub fn compare(&self, new: &Policy, record: &Record) -> Vec<Comparison> {
        let said = self.alone(&record.facts());
        let (asked, is_filled) = record.asked_by(new, self);
        let after = new.alone(&asked.facts());
        let is_guessed = !asked.message.unknown.is_empty() || !asked.message.has_all_types;
        let otherwise = is_guessed.then(|| {
            let mut other = asked.clone();
            other.message.guess = Guess::Yes;
            new.alone(&other.facts())
        });
        let all = record.recipients.iter().zip(said).zip(after).enumerate();
        let compare = |(place, ((recipient, said), after)): (usize, ((&RecipientFacts, Group), Group))| {
            let decided_by = said.rule.clone();
            let before = self.carried_out(said);
            let other = otherwise.as_ref().and_then(|all| all.get(place)).filter(|other| **other != after);
            let is_missing = |keyed: &Group| {
                let lacks = matches!(keyed.obstacle, Some(Obstacle::KeysUnavailable | Obstacle::NoPassphrase));
                lacks && keyed.obstacle != before.obstacle
            };
            let is_unknown = new.mode == Mode::Enforce && (other.is_some() || is_filled && is_missing(&after));
            let asking = other.map_or_else(|| after.rule.clone(), |other| other.rule.clone());
            let after = new.carried_out(after);
            let effects = || {
                let (before, after) = (Effect::of(self, &before), Effect::of(new, &after));
                let note = (before == after).then_some("with other settings");
                (before, Effect { note, ..after })
            };
            let change = match () {
                () if is_unknown => Change::Unknown(Effect::of(self, &before), asking),
                () if !self.does_as(&before, new, &after) => {
                    let (before, after) = effects();
                    Change::Effect(before, after)
                }
                () if before.rule != after.rule => {
                    let (before, after) = effects();
                    Change::Rule(before, after)
                }
                () => Change::None,
            };
            Comparison { to: recipient.path.address.clone(), decided_by, change }
        };
        all.map(compare).collect()
    }

    /// One group for each recipient, in their order.
    fn alone(&self, facts: &Facts<'_>) -> Vec<Group> {
        let walks = self.rulings(facts);
        let recipients = facts.recipients.iter().zip(walks);
        recipients.map(|(one, walk)| groups::of(self, one.path.clone(), &walk.ruling)).collect()
    }

    fn carried_out(&self, mut group: Group) -> Group {
        match (self.mode, group.recipients.pop()) {
            (Mode::LogOnly, Some(recipient)) => Group::untouched(recipient, group.direction),
            (Mode::Enforce, _) | (_, None) => group,
        }
    }

    fn does_as(&self, own: &Group, new: &Policy, other: &Group) -> bool {
        let seals = |group: &Group| group.actions.iter().any(|one| one.encrypts() || matches!(one, Action::Sign(_)));
        // Without it nothing is readable that is not with it.
        let counts = |one: &&Action| **one != Action::Clear;
        own.obstacle == other.obstacle
            && own.disposition.name() == other.disposition.name()
            && own.actions.iter().filter(counts).eq(other.actions.iter().filter(counts))
            && (!seals(own) || own.sealing == other.sealing)
            && self.refusal_text(own) == new.refusal_text(other)
    }

    /// The text of the rule that refuses the mail of `group`, if it has one.
    fn refusal_text(&self, group: &Group) -> Option<String> {
        let is_by_rule = group.disposition != Disposition::Relay && group.obstacle.is_none();
        let rule = self.rules.iter().find(|rule| is_by_rule && rule.name == group.rule);
        rule.and_then(|rule| rule.text.clone())
    }
}

impl Group {
    /// What a recipient gets where nothing is done.
    pub(crate) fn untouched(recipient: ForwardPath, direction: Direction) -> Group {
        Group {
            recipients: vec![recipient],
            origin: Origin::default(),
            direction,
            rule: LOG_ONLY.to_owned(),
            obstacle: None,
            cause: None,
            actions: match direction {
                Direction::Inbound => Vec::new(),
                Direction::Outbound => vec![Action::Clear],
            },
            sealing: Sealing::default(),
            disposition: Disposition::Relay,
        }
    }
}

impl Decision {
    /// The decision where nothing is done: what was decided is what would have been.
    pub(crate) fn untouched(groups: Vec<Group>, trials: Vec<Group>) -> Decision {
        let trial = |group| super::Trial { group, instead: LOG_ONLY.to_owned() };
        Decision { groups, trials: trials.into_iter().map(trial).collect() }
    }
}

impl Record {
    /// The record where what `new` asks and `old` did not is unknown; and whether there is such a key or passphrase.
    fn asked_by(&self, new: &Policy, old: &Policy) -> (Record, bool) {
        let mut record = self.clone();
        let mut is_filled = false;
        let (sender, author) = (self.sender.as_ref(), self.author.as_ref().ok());
        record.message.unknown = new.header_conditions().difference(&old.header_conditions()).cloned().collect();
        let mut protocols: BTreeSet<ProtocolName> = BTreeSet::new();
        for one in &mut record.recipients {
            let address = &one.path.address;
            let asked = new.protocols_for(&self.submitter, sender, address);
            let searches = |policy: &Policy| policy.discovers(&self.submitter, sender, address);
            if searches(new) && !searches(old) {
                let gone = |state: &KeyState| !matches!(state, KeyState::Expired(_) | KeyState::Missing(_));
                one.keys.retain(|_, state| gone(state));
            }
            is_filled |= fill(&mut one.keys, &asked);
            let pages = |policy: &Policy| policy.pages(&self.submitter, sender, address);
            is_filled |= one.passphrase.is_none() && pages(new) && !pages(old);
            for reader in new.further_readers(&self.submitter, sender, author, address) {
                is_filled |= fill(record.others.entry(reader).or_default(), &asked);
            }
            protocols.extend(asked);
        }
        if author.is_some() {
            is_filled |= fill(&mut record.signing, &protocols);
            is_filled |= new.signs_with_domain() && fill(&mut record.domain_signing, &protocols);
        }
        (record, is_filled)
    }
}

/// Adds what is not recorded as unknown; whether there was any.
fn fill(keys: &mut BTreeMap<ProtocolName, KeyState>, protocols: &BTreeSet<ProtocolName>) -> bool {
    let before = keys.len();
    for protocol in protocols {
        keys.entry(*protocol).or_insert_with(|| KeyState::Unknown("not in the log".to_owned()));
    }
    keys.len() > before
}
