//! One line of the log: what it says, how it is written, and how it is read.

use std::{fmt, time::SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Actor;
use crate::{
    base::{Error, Kind, Result, Secret, hex, rfc3339},
    crypto::{Hash, hmac},
};

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The log begins.
    Begin,
    /// A file of the log begins after another one.
    Continue,
    /// The policy decided on a message.
    Decision,
    /// A key that was found on the network or in mail is used for an address for the first time.
    Discover,
    /// A certificate from an authority was ordered or taken in.
    Enrol,
    /// Key files or revocation lists were taken in.
    #[default]
    Import,
    /// A key was generated.
    Generate,
    /// A key of a home was issued by the authority of this home.
    Issue,
    /// The master key was made or changed.
    Master,
    /// The members of a list were changed.
    Members,
    /// A change that the entry before says of was not made.
    NotDone,
    /// The passphrase of a secret key was changed.
    Passphrase,
    /// A key that was held back is used from now on.
    PendingAccepted,
    /// A key that was held back is never used.
    PendingRejected,
    /// A key was made for a user who had none.
    Provision,
    /// The log goes on after an interruption: lines are torn or lost.
    Recover,
    /// Known certificates were fetched again.
    Refresh,
    /// A declared revocation was taken back.
    Reinstate,
    /// Keys were removed.
    Remove,
    /// A key got another end or another address.
    Renew,
    /// The store was repaired.
    Repair,
    /// A key was revoked or declared revoked.
    Revoke,
    /// A passphrase that is shared with a recipient was changed.
    SharedPassphrase,
    /// The status of certificates was fetched.
    Status,
    /// A key is trusted.
    Trust,
    /// A key is no longer trusted.
    Untrust,
}

impl Event {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            Event::Begin => "begin",
            Event::Continue => "continue",
            Event::Decision => "decision",
            Event::Discover => "discover",
            Event::Enrol => "enrol",
            Event::Import => "import",
            Event::Generate => "generate",
            Event::Issue => "issue",
            Event::Master => "master",
            Event::Members => "members",
            Event::NotDone => "not-done",
            Event::Passphrase => "passphrase",
            Event::PendingAccepted => "pending-accepted",
            Event::PendingRejected => "pending-rejected",
            Event::Provision => "provision",
            Event::Recover => "recover",
            Event::Refresh => "refresh",
            Event::Reinstate => "reinstate",
            Event::Remove => "remove",
            Event::Renew => "renew",
            Event::Repair => "repair",
            Event::Revoke => "revoke",
            Event::SharedPassphrase => "shared-passphrase",
            Event::Status => "status",
            Event::Trust => "trust",
            Event::Untrust => "untrust",
        }
    }
}

/// What is to be written: an event and its facts.
#[derive(Clone, Debug)]
pub struct Note {
    pub(super) event: Event,
    pub(super) facts: Map<String, Value>,
}

impl Note {
    /// A note without facts.
    pub fn new(event: Event) -> Note {
        Note { event, facts: Map::new() }
    }

    /// The note with another fact. Never a secret, a subject or the content of mail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Note {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}

/// The end of a chain: the number and the hash of its last entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Head {
    /// The first entry has 1.
    pub number: u64,
    /// The hash of the entry, 64 hexadecimal digits.
    pub hash: String,
}

impl Head {
    /// What comes before the first entry.
    pub(super) fn none() -> Head {
        Head { number: 0, hash: "0".repeat(DIGITS) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.hash)
    }
}

/// A line that was read. Its hash fits its octets.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number in the chain.
    pub number: u64,
    /// When it was written (RFC 3339).
    pub time: String,
    /// [`Event::name`].
    pub event: String,
    /// Who wrote it.
    pub by: Actor,
    /// What it says.
    pub facts: Map<String, Value>,
    /// The hash of the entry before.
    pub prev: String,
    /// Its own hash.
    pub hash: String,
    /// Whether it has a code that only the home can make, and whether that was right.
    pub(super) code: Option<String>,
    /// The octets that the hash covers.
    pub(super) body: Vec<u8>,
}

/// The line without hash and code, in the order in which it is written.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Body {
    seq: u64,
    time: String,
    event: String,
    by: Actor,
    facts: Map<String, Value>,
    prev: String,
}

/// What follows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    hash: String,
    mac: Option<String>,
}

/// The line for `note` after `before`, with its line feed; and the head that it makes.
pub(super) fn line(
    note: &Note,
    before: &Head,
    by: &Actor,
    at: SystemTime,
    key: Option<&Secret>,
) -> Result<(Vec<u8>, Head)> {
    let number = before.number + 1;
    let body = Body {
        seq: number,
        time: rfc3339(at),
        event: note.event.name().to_owned(),
        by: by.clone(),
        facts: note.facts.clone(),
        prev: before.hash.clone(),
    };
    let mut octets = serde_json::to_vec(&body).map_err(|error| Error::new(Kind::Io, format!("audit log: {error}")))?;
    octets.pop();
    let hash = hex(&Hash::Sha256.digest(&octets));
    let code = key.map(|key| format!(",\"mac\":\"{}\"", hex(&hmac(Hash::Sha256, key, &octets)))).unwrap_or_default();
    octets.extend_from_slice(format!("{MARK}{hash}\"{code}}}\n").as_bytes());
    if octets.len() > MAX_LINE {
        return Err(Error::usage(format!("audit log: an entry of {} octets", octets.len())));
    }
    Ok((octets, Head { number, hash }))
}

impl Entry {
    /// Reads a line without its line feed.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a few words.
    pub fn read(line: &[u8]) -> std::result::Result<Entry, String> {
        let at = memchr::memmem::rfind(line, MARK.as_bytes()).ok_or("not an entry")?;
        let (body, seal) = line.split_at_checked(at).ok_or("not an entry")?;
        let seal = [b"{", seal.get(1..).unwrap_or_default()].concat();
        let Seal { hash, mac } = serde_json::from_slice(&seal).map_err(|_| "not an entry")?;
        if hex(&Hash::Sha256.digest(body)) != hash {
            return Err("changed: its hash does not fit".to_owned());
        }
        let read: Body = serde_json::from_slice(&[body, b"}"].concat()).map_err(|_| "not an entry")?;
        let Body { seq, time, event, by, facts, prev } = read;
        Ok(Entry { number: seq, time, event, by, facts, prev, hash, code: mac, body: body.to_vec() })
    }

    /// Where the chain ends with it.
    pub fn head(&self) -> Head {
        Head { number: self.number, hash: self.hash.clone() }
    }

    /// Whether it has a code.
    pub fn has_code(&self) -> bool {
        self.code.is_some()
    }

    /// Whether its code is that of `key`; `false` without a code.
    pub(super) fn fits(&self, key: &Secret) -> bool {
        self.code.as_ref().is_some_and(|code| *code == hex(&hmac(Hash::Sha256, key, &self.body)))
    }
}

/// What comes before the hash.
const MARK: &str = ",\"hash\":\"";
/// Digits of a hash.
const DIGITS: usize = 64;
/// Octets of a line. A reader can then find the last line in the end of a file.
pub(super) const MAX_LINE: usize = 1024 * 1024;
