//! Conditions: what a rule asks before it decides.

use std::fmt;

use super::{Direction, Facts, Policy, RecipientFacts, Wrapping, content::AutoSubmitted, pattern::Pattern};
use crate::{
    keys::{KeyState, ProtocolName},
    mail::{Address, Login, Submitter},
    verdict::Standing,
};

/// One question about a mail and one of its recipients. A rule decides when each of its conditions holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// From is one of these, or [`Pattern::Null`] when it does not name exactly one; for outbound mail, only when the submitter may use that address, because anybody can write a From.
    Author(Vec<Pattern>),
    /// A part of the message, outside of messages within it, has one of these media types: `text/calendar`, `application/*`.
    ContentType(Vec<String>),
    /// Which way it goes.
    Direction(Direction),
    /// A header field of this name has a value like the pattern, in which `*` stands for anything. A rule that asks this may only tighten.
    Header(String, String),
    /// The recipient has a usable key in one of these protocols.
    Key(Vec<ProtocolName>),
    /// Whether a program sent it, by the field Auto-Submitted (RFC 3834, section 5).
    AutoSubmitted(AutoSubmitted),
    /// The message is larger than so many octets.
    Larger(usize),
    /// The recipient has no usable key in any of these protocols.
    NoKey(Vec<ProtocolName>),
    /// It stands below [`Standing::Authentic`] for one of these reasons, by their words ([`crate::verdict::Reason::code`]).
    Reason(Vec<&'static str>),
    /// The recipient is one of these.
    Recipient(Vec<Pattern>),
    /// The reverse-path is one of these.
    Sender(Vec<Pattern>),
    /// The message stands at one of these.
    Standing(Vec<Standing>),
    /// It was handed over by one of these.
    Submitter(Vec<Party>),
    /// The message came so.
    Wrapping(Vec<WrappingKind>),
}

/// The client that handed a mail over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// Any client that logged in.
    Authenticated,
    /// A client in a trusted network.
    Trusted,
    /// Any other client.
    Unknown,
    /// This login.
    User(Login),
}

/// A [`Wrapping`] without its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrappingKind {
    /// [`Wrapping::Encrypted`].
    Encrypted,
    /// [`Wrapping::Malformed`].
    Malformed,
    /// [`Wrapping::Plain`].
    Plain,
    /// [`Wrapping::Signed`].
    Signed,
}

impl Condition {
    /// Whether the answer differs from one recipient of a mail to another.
    pub(super) fn is_about_recipient(&self) -> bool {
        match self {
            Condition::Author(_)
            | Condition::Direction(_)
            | Condition::Key(_)
            | Condition::NoKey(_)
            | Condition::Recipient(_) => true,
            Condition::AutoSubmitted(_)
            | Condition::ContentType(_)
            | Condition::Header(..)
            | Condition::Larger(_)
            | Condition::Reason(_)
            | Condition::Sender(_)
            | Condition::Standing(_)
            | Condition::Submitter(_)
            | Condition::Wrapping(_) => false,
        }
    }

    /// Whether the envelope alone says that it does not hold.
    pub(super) fn fails_by_envelope(
        &self,
        policy: &Policy,
        submitter: &Submitter,
        sender: Option<&Address>,
        recipient: &Address,
    ) -> bool {
        match self {
            Condition::Direction(wanted) => policy.direction(submitter, recipient) != *wanted,
            Condition::Recipient(patterns) => !policy.is_recipient(recipient, patterns),
            Condition::Sender(patterns) => !patterns.iter().any(|pattern| pattern.covers(sender)),
            Condition::Submitter(parties) => !parties.iter().any(|party| party.is(submitter)),
            _ => false,
        }
    }

    /// Whether the answer depends on the recipient's keys.
    pub(super) fn asks_keys(&self) -> bool {
        matches!(self, Condition::Key(_) | Condition::NoKey(_))
    }

    /// Why it cannot be decided now: the keys could not be asked, and those that were found do not decide it.
    pub(super) fn unknown(&self, recipient: &RecipientFacts) -> Option<String> {
        let (Condition::Key(protocols) | Condition::NoKey(protocols)) = self else { return None };
        let states = || protocols.iter().filter_map(|protocol| recipient.keys.get(protocol));
        let mut unknown = states().filter_map(|state| match state {
            KeyState::Unknown(why) => Some(why.clone()),
            KeyState::Expired(_) | KeyState::Missing(_) | KeyState::Usable { .. } => None,
        });
        unknown.next().filter(|_| !states().any(KeyState::is_usable))
    }

    /// Whether it holds.
    pub(super) fn holds(&self, policy: &Policy, facts: &Facts<'_>, recipient: &RecipientFacts) -> bool {
        let direction = || policy.direction(facts.submitter, &recipient.path.address);
        let has_key = |protocols: &[ProtocolName]| {
            protocols.iter().any(|protocol| recipient.keys.get(protocol).is_some_and(|state| state.is_usable()))
        };
        match self {
            Condition::Author(patterns) => {
                let may_use = || facts.author.is_ok_and(|author| policy.may_use(facts.submitter, author));
                let counts = direction() == Direction::Inbound || may_use();
                counts && patterns.iter().any(|pattern| pattern.covers(facts.author.ok()))
            }
            Condition::AutoSubmitted(wanted) => facts.message.auto_submitted() == *wanted,
            Condition::ContentType(types) => facts.message.has_type(types),
            Condition::Direction(wanted) => direction() == *wanted,
            Condition::Header(name, like) => facts.message.has_header(name, like),
            Condition::Key(protocols) => has_key(protocols),
            Condition::Larger(octets) => facts.message.size() > *octets,
            Condition::NoKey(protocols) => !has_key(protocols),
            Condition::Reason(wanted) => facts.reason.is_some_and(|reason| wanted.contains(&reason)),
            Condition::Recipient(patterns) => policy.is_recipient(&recipient.path.address, patterns),
            Condition::Sender(patterns) => patterns.iter().any(|pattern| pattern.covers(facts.sender)),
            Condition::Standing(wanted) => wanted.contains(&facts.standing),
            Condition::Submitter(parties) => parties.iter().any(|party| party.is(facts.submitter)),
            Condition::Wrapping(kinds) => kinds.contains(&WrappingKind::of(facts.wrapping)),
        }
    }
}

impl Party {
    fn is(&self, submitter: &Submitter) -> bool {
        match (self, submitter) {
            (Party::Authenticated, Submitter::Authenticated(_))
            | (Party::Trusted, Submitter::Trusted)
            | (Party::Unknown, Submitter::Unknown) => true,
            (Party::User(name), Submitter::Authenticated(own)) => name == own,
            _ => false,
        }
    }
}

impl WrappingKind {
    /// Of what a message is.
    pub(super) fn of(wrapping: &Wrapping) -> Self {
        match wrapping {
            Wrapping::Encrypted => WrappingKind::Encrypted,
            Wrapping::Malformed(_) => WrappingKind::Malformed,
            Wrapping::Plain => WrappingKind::Plain,
            Wrapping::Signed => WrappingKind::Signed,
        }
    }

    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            WrappingKind::Encrypted => "encrypted",
            WrappingKind::Malformed => "malformed",
            WrappingKind::Plain => "plain",
            WrappingKind::Signed => "signed",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Authenticated => f.write_str("authenticated"),
            Party::Trusted => f.write_str("trusted"),
            Party::Unknown => f.write_str("unknown"),
            Party::User(name) => write!(f, "user {name}"),
        }
    }
}

/// As the configuration writes it, for people.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Author(patterns) => write!(f, "from is {}", words(patterns)),
            Condition::AutoSubmitted(AutoSubmitted::No) => f.write_str("a person sent it"),
            Condition::AutoSubmitted(AutoSubmitted::Yes) => f.write_str("a program sent it"),
            Condition::ContentType(types) => write!(f, "a part is {}", words(types)),
            Condition::Direction(direction) => write!(f, "direction is {}", direction.name()),
            Condition::Header(name, like) => write!(f, "header {name} is {like:?}"),
            Condition::Key(protocols) => write!(f, "recipient has a key of {}", words(names(protocols))),
            Condition::Larger(octets) => write!(f, "larger than {octets} octets"),
            Condition::NoKey(protocols) => write!(f, "recipient has no key of {}", words(names(protocols))),
            Condition::Reason(wanted) => write!(f, "reason is {}", words(wanted)),
            Condition::Recipient(patterns) => write!(f, "recipient is {}", words(patterns)),
            Condition::Sender(patterns) => write!(f, "sender is {}", words(patterns)),
            Condition::Standing(wanted) => {
                write!(f, "standing is {}", words(wanted.iter().map(|standing| standing.name())))
            }
            Condition::Submitter(parties) => write!(f, "submitter is {}", words(parties)),
            Condition::Wrapping(kinds) => write!(f, "message is {}", words(kinds.iter().map(|kind| kind.name()))),
        }
    }
}

fn names(protocols: &[ProtocolName]) -> impl Iterator<Item = &'static str> {
    protocols.iter().map(|protocol| protocol.name())
}

fn words(all: impl IntoIterator<Item = impl fmt::Display>) -> String {
    all.into_iter().map(|one| one.to_string()).collect::<Vec<_>>().join(" or ")
}
