//! What is counted of a message.

use serde::{Deserialize, Serialize};

use super::month::Month;
use crate::{
    base::{Error, parse_rfc5322},
    engine::Opening,
    mail::{Part, address},
    policy::Pattern,
    verdict::{Standing, State, Why},
};

/// The one group that a message is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finding {
    /// The author shown signed the whole message.
    Authentic,
    /// A known key signed the whole message.
    Signed,
    /// It is signed, and the key or the algorithm is not known here.
    Unknown,
    /// It is signed, and the signature is invalid, covers a part, or is made by a broken algorithm.
    Bad,
    /// Nothing that covers the whole message is signed.
    Unsigned,
    /// It is encrypted, and no key here opens it.
    Closed,
    /// It cannot be read: malformed, over a limit, or not readable where it lies.
    Unreadable,
}

impl Finding {
    /// All, in the order of tables.
    pub const ALL: [Finding; 7] = [
        Finding::Authentic,
        Finding::Signed,
        Finding::Unknown,
        Finding::Bad,
        Finding::Unsigned,
        Finding::Closed,
        Finding::Unreadable,
    ];

    /// The word in tables and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Finding::Authentic => "authentic",
            Finding::Signed => "signed",
            Finding::Unknown => "unknown",
            Finding::Bad => "bad",
            Finding::Unsigned => "unsigned",
            Finding::Closed => "closed",
            Finding::Unreadable => "unreadable",
        }
    }
}

/// What is counted of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The author, or what stands in From when there is none.
    pub sender: String,
    /// The From fields as they stand in the header, outside and within; without a name before them, one a line.
    pub from: String,
    /// The group.
    pub finding: Finding,
    /// Whether it came out of encryption, or is in it.
    pub encrypted: bool,
    /// The keys that signed it, by fingerprint or as the signatures name them.
    pub keys: Vec<String>,
    /// The month of its Date field, which its sender wrote; `None` when that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Month>,
}

impl Outline {
    /// Of a message that was opened as far as it goes.
    pub fn of(opening: &Opening) -> Self {
        let verdict = opening.verdict();
        let from = from(opening);
        let sender = verdict.author().ok().map(ToString::to_string).unwrap_or_else(|| sender(&from));
        let mut keys: Vec<String> = verdict.signatures().filter_map(|(_, one, _)| one.signer.clone()).collect();
        keys.sort();
        keys.dedup();
        keys.truncate(MAX_KEYS);
        let is_closed = opening.error().is_some_and(Error::is_sealed);
        let date = opening.header().field("Date").and_then(|field| parse_rfc5322(field.value.trim()));
        Outline {
            sender,
            from,
            finding: finding(opening),
            encrypted: verdict.is_confidential() || is_closed,
            keys,
            month: date.map(Month::of),
        }
    }

    /// Of a message that cannot be read.
    pub fn unreadable() -> Self {
        let (sender, from) = (String::new(), String::new());
        Outline { sender, from, finding: Finding::Unreadable, encrypted: false, keys: Vec::new(), month: None }
    }

    /// Whether it may be from there: an address in From is covered, or From cannot be read and holds the words of the pattern.
    pub fn is_from(&self, pattern: &Pattern) -> bool {
        if self.from.is_empty() {
            return pattern.covers(None);
        }
        let words = pattern.to_string().to_lowercase();
        let words = words.trim_start_matches(['.', '*']);
        self.from.lines().any(|value| match address::list(value) {
            Ok(found) => found.iter().any(|mailbox| pattern.covers(Some(&mailbox.address))),
            Err(_) => value.to_lowercase().contains(words),
        })
    }
}

fn finding(opening: &Opening) -> Finding {
    match opening.error() {
        Some(error) if error.is_sealed() => return Finding::Closed,
        Some(_) => return Finding::Unreadable,
        None => {}
    }
    let verdict = opening.verdict();
    match verdict.standing() {
        Standing::Authentic => return Finding::Authentic,
        Standing::Signed => return Finding::Signed,
        Standing::Unsigned => {}
    }
    let is_unknown = |state: &State| matches!(state, State::Unknown(why) if !matches!(why, Why::Malformed(_)));
    let mut finding = Finding::Unsigned;
    for (_, signature, _) in verdict.signatures() {
        if !is_unknown(&signature.state) {
            return Finding::Bad;
        }
        finding = Finding::Unknown;
    }
    finding
}

/// The From fields, of the header outside and of the header that is shown.
fn from(opening: &Opening) -> String {
    let fields = |part: Part<'_>| {
        let values = part.fields().filter(|field| field.is("From")).map(|field| field.unfolded());
        values.collect::<Vec<String>>()
    };
    let mut values = fields(opening.outer().root());
    let shown = opening.header().field("From").map(|field| field.value.clone());
    values.extend(shown.filter(|shown| !values.contains(shown)));
    let mut from: String =
        values.iter().map(|value| value.replace(['\r', '\n'], " ").trim().to_owned() + "\n").collect();
    if from.len() > MAX_FROM {
        let end = (0..=MAX_FROM).rev().find(|at| from.is_char_boundary(*at)).unwrap_or(0);
        from.truncate(end);
    }
    from
}

/// A short form of From for a message without an author.
fn sender(from: &str) -> String {
    let first = from.lines().next().unwrap_or_default();
    let address = address::list(first).ok().and_then(|found| found.first().map(|one| one.address.to_string()));
    address.unwrap_or_else(|| first.chars().take(MAX_SENDER).collect())
}

/// Keys of one message that are named. Source: a message with more signatures is no mail between people.
const MAX_KEYS: usize = 8;
/// Octets of From fields. Source: RFC 5322, section 2.1.1, a few lines.
const MAX_FROM: usize = 4096;
/// Characters of a From field without an address.
const MAX_SENDER: usize = 60;
