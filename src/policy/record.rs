//! The facts of a decision as fields of a line of the log, and back: what is needed to decide again, and nothing of the content.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    Action, Condition, Decision, Facts, Group, KeyStates, Policy, RecipientFacts, Wrapping,
    content::{AutoSubmitted, Content},
    pattern::is_like,
};
use crate::{
    keys::{Forms, Handle, KeyState, PassphraseFrom, ProtocolName, Source},
    mail::{Address, ForwardPath, Login, NoAuthor, Submitter},
    verdict::{Reason, Standing},
};

/// Facts that stand by themselves: of a line of the log, or of a case of a test.
#[derive(Clone, Debug)]
pub struct Record {
    /// As [`Facts::submitter`].
    pub submitter: Submitter,
    /// As [`Facts::sender`].
    pub sender: Option<Address>,
    /// As [`Facts::author`]. The log does not say why there is none.
    pub author: Result<Address, NoAuthor>,
    /// As [`Facts::message`].
    pub message: Described,
    /// As [`Facts::wrapping`].
    pub wrapping: Wrapping,
    /// As [`Facts::standing`].
    pub standing: Standing,
    /// As [`Facts::reason`].
    pub reason: Option<&'static str>,
    /// As [`Facts::signing`].
    pub signing: BTreeMap<ProtocolName, KeyState>,
    /// As [`Facts::domain_signing`].
    pub domain_signing: BTreeMap<ProtocolName, KeyState>,
    /// As [`Facts::others`].
    pub others: KeyStates,
    /// As [`Facts::recipients`].
    pub recipients: Vec<RecipientFacts>,
}

/// A message by what is known of it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Octets.
    pub size: usize,
    /// Why it could not be read to its end.
    pub unread: Option<String>,
    /// Its header fields: names and values.
    pub fields: Vec<(String, String)>,
    /// Conditions on header fields that hold: names in lower case, and patterns.
    pub held: Vec<(String, String)>,
    /// Conditions on header fields of which that is not known.
    pub unknown: BTreeSet<(String, String)>,
    /// The media types of its leaves.
    pub types: Vec<String>,
    /// Whether these are all.
    pub has_all_types: bool,
    /// Who sent it.
    pub auto_submitted: AutoSubmitted,
    /// The answer to what is not known.
    pub guess: Guess,
}

/// An answer to a question about a message that its record does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guess {
    /// It is not so.
    #[default]
    No,
    /// It is so.
    Yes,
}

/// A small message of plain text.
impl Default for Described {
    fn default() -> Self {
        Described {
            size: 1_000,
            unread: None,
            fields: Vec::new(),
            held: Vec::new(),
            unknown: BTreeSet::new(),
            types: vec!["text/plain".to_owned()],
            has_all_types: true,
            auto_submitted: AutoSubmitted::No,
            guess: Guess::No,
        }
    }
}

impl Content for Described {
    fn size(&self) -> usize {
        self.size
    }

    fn unread(&self) -> Option<String> {
        self.unread.clone()
    }

    fn has_header(&self, name: &str, like: &str) -> bool {
        let asked = (name.to_ascii_lowercase(), like.to_owned());
        if self.unknown.contains(&asked) {
            return self.guess == Guess::Yes;
        }
        let mut fields = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        self.held.contains(&asked) || fields.any(|(_, value)| is_like(like, value))
    }

    fn has_type(&self, types: &[String]) -> bool {
        let is_named = self.types.iter().any(|own| types.iter().any(|one| is_like(one, own)));
        is_named || !self.has_all_types && self.guess == Guess::Yes
    }

    fn auto_submitted(&self) -> AutoSubmitted {
        self.auto_submitted
    }

    fn shown(&self) -> HashSet<Address> {
        HashSet::new()
    }

    fn types(&self) -> Vec<String> {
        self.types.clone()
    }
}

impl Record {
    /// The facts.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            submitter: &self.submitter,
            sender: self.sender.as_ref(),
            author: self.author.as_ref(),
            message: &self.message,
            wrapping: &self.wrapping,
            standing: self.standing,
            reason: self.reason,
            signing: self.signing.clone(),
            domain_signing: self.domain_signing.clone(),
            others: self.others.clone(),
            recipients: self.recipients.clone(),
        }
    }

    /// From the fields of a line with the event `decided`. `None`: a field is missing, or was cut.
    pub fn read<'l>(field: impl Fn(&str) -> Option<&'l str>) -> Option<Record> {
        let states = |name| field(name).map_or_else(|| Some(BTreeMap::new()), states);
        let submitter = match field("submitter")? {
            "authenticated" => Submitter::Authenticated(Login::new(field("login")?)?),
            "trusted" => Submitter::Trusted,
            "unknown" => Submitter::Unknown,
            _ => return None,
        };
        let author = field("author").map(address).map_or(Some(Err(NoAuthor::Missing)), |read| read.map(Ok))?;
        let types: Vec<String> = field("types")?.split(',').map(str::to_owned).collect();
        let has_all_types = types.last().is_none_or(|last| last != MORE);
        let message = Described {
            size: field("octets")?.parse().ok()?,
            unread: field("unread").map(|_| String::new()),
            held: field("headers").map_or_else(|| Some(Vec::new()), held)?,
            types: types.into_iter().filter(|one| one != MORE).collect(),
            has_all_types,
            auto_submitted: field("auto_submitted").map_or(AutoSubmitted::No, |_| AutoSubmitted::Yes),
            ..Described::default()
        };
        let standing = field("standing")?;
        let keys = states("keys")?;
        let passphrase = match field("passphrase") {
            None => None,
            Some("message") => Some(PassphraseFrom::Message),
            Some("store") => Some(PassphraseFrom::Store),
            Some(_) => return None,
        };
        let to = field("to")?;
        let recipients = to.split(">,<").map(|one| {
            let path =
                ForwardPath { address: Address::parse(one.trim_matches(['<', '>'])).ok()?, parameters: Vec::new() };
            Some(RecipientFacts { path, keys: keys.clone(), is_reader: field("opens").is_none(), passphrase })
        });
        Some(Record {
            submitter,
            sender: match field("from")? {
                "<>" => None,
                from => Some(address(from)?),
            },
            author,
            message,
            wrapping: match field("wrapping")? {
                "encrypted" => Wrapping::Encrypted,
                "malformed" => Wrapping::Malformed(String::new()),
                "plain" => Wrapping::Plain,
                "signed" => Wrapping::Signed,
                _ => return None,
            },
            standing: STANDINGS.into_iter().find(|one| one.name() == standing)?,
            reason: match field("standing_reason") {
                None => None,
                Some(code) => Some(Reason::CODES.into_iter().find(|known| *known == code)?),
            },
            signing: states("signing")?,
            domain_signing: states("domain_signing")?,
            others: field("others").map_or_else(|| Some(KeyStates::new()), others)?,
            recipients: recipients.collect::<Option<_>>()?,
        })
    }
}

/// The fields of a line of the log for recipients with the same facts, for whom the same was decided. What is `None` is not in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each has the name of its field in docs/manual/logging.md")]
pub struct RecordLine {
    pub to: Vec<Address>,
    pub submitter: &'static str,
    pub login: Option<String>,
    pub from: String,
    pub author: Option<String>,
    pub wrapping: &'static str,
    pub standing: &'static str,
    pub standing_reason: Option<&'static str>,
    pub octets: usize,
    pub unread: Option<&'static str>,
    pub types: String,
    pub auto_submitted: Option<&'static str>,
    pub headers: Option<String>,
    pub keys: Option<String>,
    pub opens: Option<&'static str>,
    pub passphrase: Option<&'static str>,
    pub signing: Option<String>,
    pub domain_signing: Option<String>,
    pub others: Option<String>,
    pub direction: &'static str,
    pub rule: String,
    pub obstacle: Option<&'static str>,
    pub action: Option<String>,
    pub disposition: &'static str,
}

impl RecordLine {
    /// `<a@example.org>,<b@example.org>`: in one string, or in several when it would be long.
    pub fn lists(&self) -> Vec<String> {
        let mut lists: Vec<String> = Vec::new();
        for address in &self.to {
            let one = format!("<{address}>");
            match lists.last_mut().filter(|list| list.len() + one.len() < LIST) {
                Some(list) => {
                    list.push(',');
                    list.push_str(&one);
                }
                None => lists.push(one),
            }
        }
        lists
    }
}

impl Policy {
    /// What [`Policy::decide`] made of `facts`, and the facts, for the log.
    pub fn record(&self, facts: &Facts<'_>, decision: &Decision) -> Vec<RecordLine> {
        let bracketed = |address: &Address| format!("<{address}>");
        let named = |group: &Group| group.actions.iter().map(Action::name).collect::<Vec<_>>().join(",");
        let (submitter, login) = match facts.submitter {
            Submitter::Authenticated(login) => ("authenticated", Some(login.to_string())),
            Submitter::Host => ("host", None),
            Submitter::Trusted => ("trusted", None),
            Submitter::Unknown => ("unknown", None),
        };
        let asked = self.header_conditions().into_iter().filter(|(name, like)| facts.message.has_header(name, like));
        let headers: Vec<String> = asked.map(|(name, like)| escaped(&format!("{name}={like}"))).collect();
        let decided: HashMap<&Address, &Group> = decision
            .groups
            .iter()
            .flat_map(|group| group.recipients.iter().map(move |path| (&path.address, group)))
            .collect();
        let author = facts.author.ok();
        let mut lines: Vec<RecordLine> = Vec::new();
        for one in &facts.recipients {
            let address = &one.path.address;
            let Some(group) = decided.get(address) else { continue };
            let further = self.further_readers(facts.submitter, facts.sender, author, address);
            let further =
                further.iter().filter_map(|reader| Some(format!("{reader}={}", words(facts.others.get(reader)?)?)));
            let line = RecordLine {
                to: Vec::new(),
                submitter,
                login: login.clone(),
                from: facts.sender.map_or_else(|| "<>".to_owned(), bracketed),
                author: author.map(bracketed),
                wrapping: facts.wrapping.name(),
                standing: facts.standing.name(),
                standing_reason: facts.reason,
                octets: facts.message.size(),
                unread: facts.message.unread().map(|_| "yes"),
                types: types(facts.message),
                auto_submitted: (facts.message.auto_submitted() == AutoSubmitted::Yes).then_some("yes"),
                headers: joined(headers.clone()),
                keys: words(&one.keys),
                opens: (!one.is_reader).then_some("no"),
                passphrase: one.passphrase.map(PassphraseFrom::name),
                signing: words(&facts.signing),
                domain_signing: words(&facts.domain_signing),
                others: joined(further.collect()),
                direction: group.direction.name(),
                rule: group.rule.clone(),
                obstacle: group.obstacle.map(|obstacle| obstacle.name()),
                action: Some(named(group)).filter(|actions| !actions.is_empty()),
                disposition: group.disposition.name(),
            };
            let is_same = |other: &&mut RecordLine| RecordLine { to: Vec::new(), ..RecordLine::clone(other) } == line;
            match lines.last_mut().filter(is_same) {
                Some(other) => other.to.push(address.clone()),
                None => lines.push(RecordLine { to: vec![address.clone()], ..line }),
            }
        }
        lines
    }

    /// What its rules ask of header fields: names in lower case, and patterns.
    pub(super) fn header_conditions(&self) -> BTreeSet<(String, String)> {
        let conditions = self.rules.iter().flat_map(|rule| &rule.conditions);
        let asked = conditions.filter_map(|condition| match condition {
            Condition::Header(name, like) => Some((name.to_ascii_lowercase(), like.clone())),
            _ => None,
        });
        asked.collect()
    }
}

fn address(bracketed: &str) -> Option<Address> {
    Address::parse(bracketed.strip_prefix('<')?.strip_suffix('>')?).ok()
}

/// Each type once, in order, as far as they fit.
fn types(message: &dyn Content) -> String {
    let all: BTreeSet<String> = message.types().into_iter().collect();
    let is_plain =
        |one: &&String| one.bytes().all(|octet| octet.is_ascii_graphic() && octet != b',') && one.len() < 128;
    let mut shown: Vec<&str> = all.iter().filter(is_plain).map(String::as_str).take(MAX_TYPES).collect();
    if shown.len() < all.len() {
        shown.push(MORE);
    }
    shown.join(",")
}

/// `pgp:owner,smime:missing`.
fn words(states: &BTreeMap<ProtocolName, KeyState>) -> Option<String> {
    let word = |state: &KeyState| match state {
        KeyState::Expired(_) => "expired".to_owned(),
        KeyState::Missing(_) => "missing".to_owned(),
        KeyState::Unknown(_) => "unknown".to_owned(),
        KeyState::Usable { source, quantum_safe: false, .. } => source.name().to_owned(),
        KeyState::Usable { source, quantum_safe: true, .. } => format!("{}{QUANTUM_SAFE}", source.name()),
    };
    joined(states.iter().map(|(protocol, state)| format!("{}:{}", protocol.name(), word(state))).collect())
}

fn states(text: &str) -> Option<BTreeMap<ProtocolName, KeyState>> {
    let one = |word: &str| {
        let (protocol, state) = word.split_once(':')?;
        let protocol = PROTOCOLS.into_iter().find(|known| known.name() == protocol)?;
        Some((protocol, key_state(state)?))
    };
    text.split(',').map(one).collect()
}

/// The state of a key by its word: `missing`, `expired`, `unknown`, or what ties a usable one to its address, with `+quantum-safe` for one that
/// withstands quantum computers.
pub fn key_state(word: &str) -> Option<KeyState> {
    let plain = word.strip_suffix(QUANTUM_SAFE);
    let source = SOURCES.into_iter().find(|source| source.name() == plain.unwrap_or(word));
    Some(match (word, source) {
        ("expired", _) => KeyState::Expired("the key has expired".to_owned()),
        ("missing", _) => KeyState::Missing("no key".to_owned()),
        ("unknown", _) => KeyState::Unknown("the keys could not be asked".to_owned()),
        (_, source) => {
            let quantum_safe = plain.is_some();
            KeyState::Usable {
                key: Handle::from_octets(&[0; 20]),
                source: source?,
                warning: None,
                note: None,
                quantum_safe,
                // Who shares a ciphertext is not decided again.
                forms: Forms::ALL,
            }
        }
    })
}

/// `archive@example.org=pgp:owner;vault@example.org=pgp:missing`.
fn others(text: &str) -> Option<KeyStates> {
    let one = |word: &str| {
        let (address, keys) = word.rsplit_once('=')?;
        Some((Address::parse(address).ok()?, states(keys)?))
    };
    text.split(';').map(one).collect()
}

fn joined(words: Vec<String>) -> Option<String> {
    let between = if words.iter().any(|word| word.contains('=')) { ";" } else { "," };
    (!words.is_empty()).then(|| words.join(between))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace(';', "%3B")
}

fn held(text: &str) -> Option<Vec<(String, String)>> {
    let one = |word: &str| {
        let (name, like) = word.split_once('=')?;
        Some((name.to_owned(), like.replace("%3B", ";").replace("%25", "%")))
    };
    text.split(';').map(one).collect()
}

/// Octets of a list of recipients. Source: below what the log writes of a value.
const LIST: usize = 1_500;
/// Stands for media types that are not named.
const MORE: &str = "...";
/// Source: 2,000 characters that a value in the log may have, and the longest usual names.
const MAX_TYPES: usize = 12;
const PROTOCOLS: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];
const STANDINGS: [Standing; 3] = [Standing::Unsigned, Standing::Signed, Standing::Authentic];
const QUANTUM_SAFE: &str = "+quantum-safe";
const SOURCES: [Source; 7] =
    [Source::Claim, Source::Mail, Source::Server, Source::Domain, Source::Dnssec, Source::Authority, Source::Owner];
