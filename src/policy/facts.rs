//! What a decision is made from.

use serde::{Deserialize, Serialize};

use super::content::Content;
use crate::{
    keys::{KeyState, PassphraseFrom, ProtocolName},
    mail::{Address, ForwardPath, NoAuthor, Submitter},
    verdict::Standing,
};
use std::collections::{BTreeMap, HashMap};

/// Which way a mail goes to one of its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Direction {
    /// From the world to one of our users.
    Inbound,
    /// From one of our users, or through us to somewhere else.
    Outbound,
}

impl Direction {
    /// The word in the configuration and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

/// What a message is as it came, by its outermost layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// It is encrypted, and was read far enough to know it: a message that merely says so is not, nor one that goes out with text beside
    /// the ciphertext.
    Encrypted,
    /// It says that it is sealed, and cannot be read; the reason in words.
    Malformed(String),
    /// It is not sealed.
    Plain,
    /// It is signed and can be read. Of mail that comes in, well or badly; of mail that goes out, by its author, whom the submitter may use, with a
    /// signature that makes it [authentic](Standing::Authentic).
    Signed,
}

impl Wrapping {
    /// The word in the configuration and in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Wrapping::Encrypted => "encrypted",
            Wrapping::Malformed(_) => "malformed",
            Wrapping::Plain => "plain",
            Wrapping::Signed => "signed",
        }
    }
}

/// Whether addresses can be encrypted to, in each protocol that was asked.
pub type KeyStates = HashMap<Address, BTreeMap<ProtocolName, KeyState>>;

/// What is known of one recipient.
#[derive(Clone, Debug)]
pub struct RecipientFacts {
    /// Who.
    pub path: ForwardPath,
    /// Whether the recipient can be encrypted to, for each protocol that the policy asks about ([`Policy::protocols`](super::Policy::protocols)).
    /// One that is not here has no key.
    pub keys: BTreeMap<ProtocolName, KeyState>,
    /// Whether the recipient's own keys open the message, or it hides nothing. For other recipients it is not decrypted.
    pub is_reader: bool,
    /// Where the passphrase for a page is from, if one is known and a rule may send one ([`Policy::pages`](super::Policy::pages)).
    pub passphrase: Option<PassphraseFrom>,
}

/// What is known of one mail.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Who handed it over.
    pub submitter: &'a Submitter,
    /// The reverse-path; `None` is the null sender.
    pub sender: Option<&'a Address>,
    /// From's one mailbox, or why there is none.
    pub author: std::result::Result<&'a Address, &'a NoAuthor>,
    /// The message as it came, for conditions on header fields and size.
    pub message: &'a dyn Content,
    /// What it is as it came.
    pub wrapping: &'a Wrapping,
    /// What its signatures are worth.
    pub standing: Standing,
    /// Why it stands below [`Standing::Authentic`], if it does.
    pub reason: Option<&'static str>,
    /// Whether the author can sign, for each protocol that the policy asks about.
    pub signing: BTreeMap<ProtocolName, KeyState>,
    /// Whether the key of the author's domain can sign, where the policy asks about it ([`Policy::signs_with_domain`](super::Policy::signs_with_domain)).
    pub domain_signing: BTreeMap<ProtocolName, KeyState>,
    /// Whether the addresses beside the recipients that the policy asks about ([`Policy::further_readers`](super::Policy::further_readers)) can be
    /// encrypted to.
    pub others: KeyStates,
    /// Each recipient, in the envelope's order.
    pub recipients: Vec<RecipientFacts>,
}
