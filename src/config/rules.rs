//! The rules of the file.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Grade, Mention, Problem, What,
    reader::{self, Reader},
    table::{Located, Table},
};
use crate::{
    crypto,
    keys::{ProtocolName, Reach, Source},
    mail::{Address, autocrypt::Preference},
    policy::{
        Action, AlsoTo, AutoSubmitted, Condition, Direction, KeyOwner, KeySearch, Mode, Obstacle, Order, Party,
        Pattern, QuantumSafety, Resort, Rule, Sealing, Unauthenticated, WrappingKind,
    },
    protocol::{Aead, Headers, LegacyDisplay, Padding, Shape},
    verdict::{Reason, Standing},
};

/// The rules, and the settings for all of them.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>) -> (Vec<Rule>, BTreeMap<Obstacle, Resort>) {
    let mut obstacles = BTreeMap::new();
    if let Some(table) = root.table("obstacles") {
        obstacles = resorts(reader, &table, Vocabulary::RULE);
        table.finish();
    }
    let protocols = preferred(reader, root);
    let mut rules: Vec<Rule> = Vec::new();
    let mut last: Option<String> = None;
    for table in root.tables("rule") {
        let line = table.line;
        let rule = rule(reader, table, &protocols);
        if rules.iter().any(|other| other.name == rule.name) {
            reader.document.error(line, format!("rule {:?}: another one has this name", rule.name));
        }
        if let Some(what) = rule.contradiction() {
            reader.document.error(line, format!("rule {:?} {what}", rule.name));
        }
        if let Some(last) = &last {
            let message = format!("rule {:?} is never reached: rule {last:?} always decides", rule.name);
            reader.document.add(Problem { line, grade: Grade::Warning, message, hint: None });
        }
        let goes_on = [&rule.obstacles, &obstacles].iter().any(|all| all.values().any(|one| *one == Resort::Next));
        if rule.conditions.is_empty() && rule.is_enforced() && !goes_on && last.is_none() {
            last = Some(rule.name.clone());
        }
        rules.push(rule);
    }
    (rules, obstacles)
}

/// The protocols for rules that name none.
pub(super) fn preferred(reader: &Reader<'_>, root: &Table<'_>) -> Vec<ProtocolName> {
    protocols(reader, &root.strings("protocol")).unwrap_or_else(|| PREFERRED.to_vec())
}

fn rule(reader: &mut Reader<'_>, table: Table<'_>, preferred: &[ProtocolName]) -> Rule {
    let name = table.required("name").map_or_else(|| format!("line {}", table.line), |name| name.value);
    let orders = body(reader, &table, name, preferred, Vocabulary::RULE);
    let owners = [("author", KeyOwner::Address), ("domain", KeyOwner::Domain)];
    let sign_with = reader.choice(&table, "sign-with", KeyOwner::Address, &owners);
    let edits = own_key(reader, &table);
    let rule = Rule {
        mode: mode(reader, &table),
        edits: orders.edits.iter().cloned().chain(edits).collect(),
        sealing: Sealing { sign_with, ..orders.sealing },
        conditions: conditions(reader, &table, &orders.protocols),
        text: table.string("text").and_then(|text| line(reader, text, "text")),
        search: search(reader, &table),
        ..orders
    };
    // A key that is looked for when mail comes need not be here.
    if rule.says(Order::Encrypt) && rule.search.reach == Reach::Local {
        let readers = rule.conditions.iter().filter_map(|condition| match condition {
            Condition::Recipient(patterns) => Some(patterns),
            _ => None,
        });
        let addresses = readers.flatten().filter_map(|pattern| match pattern {
            Pattern::Address(address) => Some(address.clone()),
            // Any address of the domain says which key it is.
            Pattern::Domain(domain) if rule.sealing.encrypt_to == KeyOwner::Domain => {
                Address::parse(&format!("x@{domain}")).ok()
            }
            _ => None,
        });
        let at = table.line_of("recipient");
        let quantum = rule.sealing.quantum;
        let mention = |line, address| Mention { line, what: What::Reader(address, quantum) };
        let own = addresses.map(|address| mention(at, rule.sealing.reader(&address)));
        let line = table.line_of("also-to");
        let further = rule.sealing.further_readers(None).map(|address| mention(line, address.clone()));
        let mentions: Vec<Mention> = own.chain(further).collect();
        reader.mentions.extend(mentions);
    }
    table.finish();
    rule
}

/// Whether what is decided is done.
pub(super) fn mode(reader: &Reader<'_>, table: &Table<'_>) -> Mode {
    reader.choice(table, "mode", Mode::Enforce, &Mode::ALL.map(|mode| (mode.name(), mode)))
}

/// What the rule does with the author's own key.
fn own_key(reader: &Reader<'_>, table: &Table<'_>) -> Vec<Action> {
    let preferences = [("nopreference", Some(Preference::Unsaid)), ("mutual", Some(Preference::Mutual))];
    let autocrypt = reader.choice(table, "autocrypt", None, &preferences).map(Action::Autocrypt);
    let attached = table.truth("attach-key").filter(|is_attached| *is_attached).map(|_| Action::AttachKey);
    attached.into_iter().chain(autocrypt).collect()
}

/// What can be said in a place of the file.
#[derive(Clone, Copy)]
pub(super) struct Vocabulary<'a> {
    pub(super) orders: &'a [Order],
    pub(super) obstacles: &'a [Obstacle],
    pub(super) resorts: &'a [Resort],
}

impl Vocabulary<'static> {
    const RULE: Self = Vocabulary { orders: &Order::ALL, obstacles: &Obstacle::CONFIGURABLE, resorts: &Resort::ALL };
}

/// A rule without conditions: what it orders.
pub(super) fn body(
    reader: &Reader<'_>,
    table: &Table<'_>,
    name: String,
    preferred: &[ProtocolName],
    known: Vocabulary<'_>,
) -> Rule {
    Rule {
        orders: orders(reader, table, known.orders),
        unauthenticated: reader.choice(
            table,
            "unauthenticated",
            Unauthenticated::Leave,
            &Unauthenticated::ALL.map(|one| (one.name(), one)),
        ),
        obstacles: resorts(reader, table, known),
        sealing: by_keys(reader, table, sealing(reader, table)),
        ..sealed(reader, table, name, preferred)
    }
}

/// `sealing` with the keys that the rule names. A list has keys of its own, and its members.
fn by_keys(reader: &Reader<'_>, table: &Table<'_>, sealing: Sealing) -> Sealing {
    let also_to = table.strings("also-to");
    let also_to = also_to.iter().filter_map(|text| match text.value.as_str() {
        "author" => Some(AlsoTo::Author),
        _ => reader.document.read(text, Address::parse).map(AlsoTo::Address),
    });
    Sealing {
        encrypt_to: reader.choice(
            table,
            "encrypt-to",
            KeyOwner::Address,
            &[("recipient", KeyOwner::Address), ("domain", KeyOwner::Domain)],
        ),
        also_to: also_to.collect(),
        quantum: quantum(table),
        ..sealing
    }
}

fn quantum(table: &Table<'_>) -> QuantumSafety {
    let says = |key| table.truth(key).unwrap_or_default();
    match (says("require-quantum-safe"), says("prefer-quantum-safe")) {
        (true, _) => QuantumSafety::Required,
        (false, true) => QuantumSafety::Preferred,
        (false, false) => QuantumSafety::Indifferent,
    }
}

/// A rule that orders nothing: how it would seal, and what it changes in the header.
pub(super) fn sealed(reader: &Reader<'_>, table: &Table<'_>, name: String, preferred: &[ProtocolName]) -> Rule {
    Rule {
        name,
        protocols: protocols(reader, &table.strings("protocol")).unwrap_or_else(|| preferred.to_vec()),
        sealing: sealing(reader, table),
        edits: edits(reader, table),
        ..Rule::default()
    }
}

fn conditions(reader: &Reader<'_>, table: &Table<'_>, protocols: &[ProtocolName]) -> Vec<Condition> {
    let document = reader.document;
    let mut conditions = Vec::new();
    if let Some(text) = table.string("direction") {
        let known = [Direction::Inbound, Direction::Outbound].map(|one| (one.name(), one));
        conditions.extend(document.word(&text, "direction", &known).map(Condition::Direction));
    }
    let submitters =
        [("authenticated", Party::Authenticated), ("trusted", Party::Trusted), ("unknown", Party::Unknown)];
    let indices: Vec<(&'static str, usize)> =
        submitters.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect();
    let parties = words(reader, table, "submitter", &indices);
    let parties = parties.into_iter().filter_map(|at| submitters.get(at)).map(|(_, party)| party.clone()).collect();
    conditions.extend(some(parties).map(Condition::Submitter));
    let users = table.strings("user");
    let users = users.iter().filter_map(|name| document.read(name, reader::login)).map(Party::User).collect();
    conditions.extend(some(users).map(Condition::Submitter));
    let patterns = |key| some(reader.patterns(&table.strings(key)));
    conditions.extend(patterns("sender").map(Condition::Sender));
    conditions.extend(patterns("from").map(Condition::Author));
    conditions.extend(patterns("recipient").map(Condition::Recipient));
    for (name, values) in table.table("header").map(|table| table.named()).unwrap_or_default() {
        let Some(name) = field_name(reader, name) else { continue };
        conditions.extend(values.into_iter().map(|value| Condition::Header(name.clone(), value.value)));
    }
    conditions.extend(table.size("larger").map(Condition::Larger));
    let types = table.strings("content-type").into_iter().map(|text| text.value.to_ascii_lowercase());
    conditions.extend(some(types.collect()).map(Condition::ContentType));
    if let Some(text) = table.string("auto-submitted") {
        let known = [AutoSubmitted::No, AutoSubmitted::Yes].map(|one| (one.name(), one));
        conditions.extend(document.word(&text, "auto-submitted", &known).map(Condition::AutoSubmitted));
    }
    let reasons = words(reader, table, "reason", &Reason::CODES.map(|code| (code, code)));
    conditions.extend(some(reasons).map(Condition::Reason));
    let standings = [Standing::Unsigned, Standing::Signed, Standing::Authentic].map(|one| (one.name(), one));
    conditions.extend(some(words(reader, table, "standing", &standings)).map(Condition::Standing));
    let kinds = [WrappingKind::Encrypted, WrappingKind::Malformed, WrappingKind::Plain, WrappingKind::Signed];
    let kinds = words(reader, table, "message", &kinds.map(|one| (one.name(), one)));
    conditions.extend(some(kinds).map(Condition::Wrapping));
    let keys = table.strings("key");
    conditions.extend(match keys.as_slice() {
        [] => None,
        [one] if one.value == "any" => Some(Condition::Key(protocols.to_vec())),
        [one] if one.value == "none" => Some(Condition::NoKey(protocols.to_vec())),
        all => self::protocols(reader, all).map(Condition::Key),
    });
    conditions
}

fn orders(reader: &Reader<'_>, table: &Table<'_>, known: &[Order]) -> BTreeSet<Order> {
    let Some(text) = table.required("action") else { return BTreeSet::new() };
    let known: Vec<_> = known.iter().map(|order| (order.name(), *order)).collect();
    let words = text.value.split('+').map(|word| Located { line: text.line, value: word.trim().to_owned() });
    words.filter_map(|word| reader.document.word(&word, "action", &known)).collect()
}

fn edits(reader: &Reader<'_>, table: &Table<'_>) -> Vec<Action> {
    let mut edits = Vec::new();
    for name in table.strings("remove-headers") {
        edits.extend(field_name(reader, name).map(Action::RemoveHeader));
    }
    let tag = table.string("tag-subject").and_then(|tag| line(reader, tag, "tag-subject"));
    edits.extend(tag.map(Action::TagSubject));
    for (name, values) in table.table("add-headers").map(|table| table.named()).unwrap_or_default() {
        let Some(name) = field_name(reader, name) else { continue };
        let values = values.into_iter().filter_map(|value| line(reader, value, "add-headers"));
        edits.extend(values.map(|value| Action::AddHeader(name.clone(), value)));
    }
    edits
}

/// Where keys of recipients may come from.
fn search(reader: &Reader<'_>, table: &Table<'_>) -> KeySearch {
    let reach = if table.truth("discover").unwrap_or_default() { Reach::Network } else { Reach::Local };
    let known = [Source::Mail, Source::Server, Source::Domain, Source::Dnssec, Source::Authority, Source::Owner];
    let known = known.map(|source| (source.name(), Some(source)));
    KeySearch { reach, least: reader.choice(table, "min-trust", None, &known) }
}

/// How the rule seals.
fn sealing(reader: &Reader<'_>, table: &Table<'_>) -> Sealing {
    let headers = Headers::ALL.map(|one| (one.name(), Some(one)));
    let displays = [("omit", LegacyDisplay::Omit), ("write", LegacyDisplay::Write)];
    let aeads = [("announced", Aead::Announced), ("always", Aead::Always)];
    let paddings = [("pkcs1", Padding::Pkcs1), ("pss-oaep", Padding::PssOaep)];
    let shapes = [
        ("inline", Shape::Inline),
        ("mime", Shape::Mime),
        ("nested", Shape::Nested),
        ("opaque", Shape::Opaque),
        ("triple", Shape::Triple),
    ];
    let cipher = table.string("cipher").and_then(|text| {
        let is_known = is_cipher(&text.value);
        if !is_known {
            reader.document.error(text.line, format!("cipher {:?}: not known", text.value));
        }
        is_known.then_some(text.value)
    });
    Sealing {
        encrypt_to: KeyOwner::Address,
        sign_with: KeyOwner::Address,
        also_to: Vec::new(),
        quantum: QuantumSafety::Indifferent,
        page: None,
        headers: reader.choice(table, "protect-headers", None, &headers),
        legacy_display: reader.choice(table, "legacy-display", LegacyDisplay::Omit, &displays),
        aead: reader.choice(table, "aead", Aead::Announced, &aeads),
        cipher,
        shape: reader.choice(table, "shape", Shape::Mime, &shapes),
        padding: reader.choice(table, "padding", Padding::Pkcs1, &paddings),
    }
}

fn is_cipher(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_aead = crypto::Aead::ALL.iter().any(|aead| aead.name() == lower);
    is_aead || crypto::Cipher::parse(lower.strip_suffix("-cbc").unwrap_or(&lower)).is_ok()
}

fn resorts(reader: &Reader<'_>, table: &Table<'_>, known: Vocabulary<'_>) -> BTreeMap<Obstacle, Resort> {
    let mut resorts = BTreeMap::new();
    for obstacle in known.obstacles.iter().copied() {
        let Some(text) = table.string(obstacle.name()) else { continue };
        let fits = |resort: &Resort| match resort {
            Resort::Keep => obstacle.can_keep(),
            Resort::Page => obstacle.can_page(),
            _ => true,
        };
        let known: Vec<_> = known.resorts.iter().copied().filter(fits).map(|one| (one.name(), one)).collect();
        let Some(resort) = reader.document.word(&text, obstacle.name(), &known) else { continue };
        resorts.insert(obstacle, resort);
    }
    resorts
}

fn protocols(reader: &Reader<'_>, texts: &[Located<String>]) -> Option<Vec<ProtocolName>> {
    let known = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime].map(|one| (one.name(), one));
    some(texts.iter().filter_map(|text| reader.document.word(text, "protocol", &known)).collect())
}

pub(super) fn words<T: Copy>(
    reader: &Reader<'_>,
    table: &Table<'_>,
    key: &'static str,
    known: &[(&'static str, T)],
) -> Vec<T> {
    table.strings(key).iter().filter_map(|text| reader.document.word(text, key, known)).collect()
}

/// RFC 5322, section 3.6.8: printable ASCII without a colon.
fn field_name(reader: &Reader<'_>, name: Located<String>) -> Option<String> {
    let good = !name.value.is_empty() && name.value.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
    if !good {
        reader.document.error(name.line, format!("header {:?}: not the name of a header field", name.value));
    }
    good.then_some(name.value)
}

/// A header field or a reply is one line.
pub(super) fn line(reader: &Reader<'_>, text: Located<String>, what: &str) -> Option<String> {
    let good = !text.value.chars().any(char::is_control);
    if !good {
        reader.document.error(text.line, format!("{what}: more than one line, or control characters"));
    }
    good.then_some(text.value)
}

fn some<T>(all: Vec<T>) -> Option<Vec<T>> {
    (!all.is_empty()).then_some(all)
}

/// The default.
const PREFERRED: [ProtocolName; 2] = [ProtocolName::Pgp, ProtocolName::Smime];
