//! What a decision is made from.

use std::collections::BTreeMap;

use crate::{
    keys::ProtocolName,
    mail::Submitter,
    mail::{Address, ForwardPath, Message},
    verdict::Standing,
};

/// Which way a mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the world to one of our users.
    Inbound,
    /// From one of our users.
    Outbound,
}

/// Whether there is a key for an address, in one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// None is known.
    Missing,
    /// There is one, and it may be used now.
    Usable,
    /// There is one, but it has expired.
    Expired,
    /// There is one, but not for this: revoked, wrong usage, too weak; the reason in words.
    Unusable(String),
}

/// What is known of one recipient.
#[derive(Clone, Debug)]
pub struct RecipientFacts {
    /// Who.
    pub path: ForwardPath,
    /// Whether he can be encrypted to, for each protocol that this build has.
    pub keys: BTreeMap<ProtocolName, KeyState>,
}

/// What is known of one mail.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Which way.
    pub direction: Direction,
    /// Who handed it over.
    pub submitter: &'a Submitter,
    /// The reverse-path.
    pub sender: Option<&'a Address>,
    /// From's one mailbox; `None` when From is missing, repeated, or has several.
    pub author: Option<&'a Address>,
    /// The message as it came, for conditions on header fields and size.
    pub message: &'a Message,
    /// What its signatures are worth.
    pub standing: Standing,
    /// Whether the author can sign, for each protocol.
    pub signing: BTreeMap<ProtocolName, KeyState>,
    /// Each recipient, in the envelope's order.
    pub recipients: Vec<RecipientFacts>,
}
