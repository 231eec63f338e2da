//! Cases for a policy: facts of a mail, and what must be decided. `config test` runs them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use toml::de::DeTable;

use super::{
    Config, Grade, Owner, Problem, Tenancy,
    reader::{self, Reader},
    table::{Document, Located, Table},
    texts::Texts,
};
use crate::{
    base::{Budget, Error, Kind, Result},
    engine::Engine,
    keys::{KeyState, PassphraseFrom, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Login, Mail, Message, NoAuthor, ReversePath, Submitter},
    policy::{
        Action, AutoSubmitted, Described, Disposition, Group, KeyStates, Obstacle, Policy, RecipientFacts, Record,
        Trace, Wrapping, WrappingKind, key_state,
    },
    verdict::{Reason, Standing},
};

/// One case of a file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The line where it begins.
    pub line: usize,
    /// The message, if it is a file.
    pub file: Option<PathBuf>,
    from: Option<Address>,
    author: Option<Option<Address>>,
    to: Vec<Address>,
    submitter: Option<Submitter>,
    wrapping: Option<WrappingKind>,
    standing: Option<Standing>,
    reason: Option<&'static str>,
    keys: Option<BTreeMap<ProtocolName, KeyState>>,
    signing: Option<BTreeMap<ProtocolName, KeyState>>,
    domain_signing: Option<BTreeMap<ProtocolName, KeyState>>,
    readers: KeyStates,
    passphrase: Option<PassphraseFrom>,
    message: Described,
    expected: Expected,
}

/// What must be decided for each recipient.
#[derive(Clone, Debug, Default)]
struct Expected {
    rule: Option<String>,
    outcome: Option<&'static str>,
    obstacle: Option<&'static str>,
    actions: Option<Vec<String>>,
    log_only: Option<String>,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaseResult {
    /// The name of the case.
    pub name: String,
    /// The line where it begins.
    pub line: usize,
    /// Whether everything is as expected.
    pub passed: bool,
    /// What is not, one line each.
    pub failures: Vec<String>,
    /// What was decided for each recipient.
    pub recipients: Vec<Decided>,
}

/// What was decided for a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// The recipient.
    pub to: String,
    /// The rule that decides.
    pub rule: String,
    /// Why its orders cannot be followed, if they cannot.
    pub obstacle: Option<&'static str>,
    /// `relay`, `reject`, `tempfail`, `quarantine`, `discard`.
    pub outcome: &'static str,
    /// The actions as the log names them.
    pub actions: Vec<String>,
    /// The rule that is log-only and would decide otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_only: Option<String>,
}

/// Reads the cases in the file at `path`. Files that it names are relative to it.
///
/// # Errors
///
/// `NoInput`: the file cannot be read. `Config`: the first error in it, as `FILE:LINE: what`.
pub fn cases(path: &Path) -> Result<Vec<Case>> {
    let unread = |why: String| Error::new(Kind::NoInput, format!("{}: {}", path.display(), why.to_lowercase()));
    let octets = fs::read(path).map_err(|error| unread(error.to_string()))?;
    let text = String::from_utf8(octets).map_err(|_| unread("is not UTF-8".to_owned()))?;
    let document = Document::new(&text);
    let refuse = |problem: Problem| {
        let Problem { line, message, hint, .. } = problem;
        let error = Error::new(Kind::Config, format!("{}:{line}: {message}", path.display()));
        hint.into_iter().fold(error, Error::with_hint)
    };
    let parsed = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| document.line(span.start));
        refuse(Problem { line, grade: Grade::Error, message: error.message().to_lowercase(), hint: None })
    })?;
    let root = Table::new(&document, 1, parsed.get_ref());
    let directory = path.parent().unwrap_or(Path::new(""));
    let texts = Texts::of_files();
    let reader = Reader { document: &document, file: path, directory, texts: &texts, mentions: Vec::new(), own: None };
    let cases: Vec<Case> = root.tables("case").into_iter().map(|table| case(&reader, table)).collect();
    if cases.is_empty() {
        document.error(1, "no [[case]]");
    }
    root.finish();
    match document.into_problems().into_iter().find(|problem| problem.grade == Grade::Error) {
        Some(problem) => Err(refuse(problem)),
        None => Ok(cases),
    }
}

fn case(reader: &Reader<'_>, table: Table<'_>) -> Case {
    let document = reader.document;
    let line = table.line;
    let read = |text: Located<String>| document.read(&text, Address::parse);
    let none_or = |text: Located<String>| if text.value == "<>" { Some(None) } else { read(text).map(Some) };
    let name = table.required("name").map_or_else(|| format!("line {line}"), |name| name.value);
    let from = table.required("from").and_then(none_or).flatten();
    let author = table.string("author").and_then(none_or);
    let to: Vec<Address> = table.strings("to").into_iter().filter_map(read).collect();
    if to.is_empty() {
        document.error(line, "\"to\" is missing");
    }
    let user = table.string("user").and_then(|name| document.read(&name, reader::login)).map(Submitter::Authenticated);
    let clients = [("trusted", Some(0)), ("unknown", Some(1))];
    let client = reader.choice(&table, "client", None, &clients);
    let client = client.map(|at| if at == 0 { Submitter::Trusted } else { Submitter::Unknown });
    if user.is_some() && client.is_some() {
        document.error(line, "case: either user or client");
    }
    let kinds = [WrappingKind::Encrypted, WrappingKind::Malformed, WrappingKind::Plain, WrappingKind::Signed];
    let kinds = kinds.map(|kind| (kind.name(), Some(kind)));
    let standings = [Standing::Unsigned, Standing::Signed, Standing::Authentic].map(|one| (one.name(), Some(one)));
    let reasons: Vec<(&'static str, Option<&'static str>)> = Reason::CODES.map(|code| (code, Some(code))).to_vec();
    let passphrases = [PassphraseFrom::Message, PassphraseFrom::Store].map(|from| (from.name(), Some(from)));
    let keys = |key| table.has(key).then(|| states(reader, &table.strings(key)));
    let (own, signing, domain_signing) = (keys("keys"), keys("signing"), keys("domain-signing"));
    let mut readers = KeyStates::new();
    for (name, texts) in table.table("readers").map(|table| table.named()).unwrap_or_default() {
        readers.extend(read(name).map(|address| (address, states(reader, &texts))));
    }
    let file = table.string("file");
    let message = described(reader, &table, file.is_some());
    let case = Case {
        name,
        line,
        file: file.map(|file| reader.directory.join(file.value)),
        from,
        author,
        to,
        submitter: user.or(client),
        wrapping: reader.choice(&table, "message", None, &kinds),
        standing: reader.choice(&table, "standing", None, &standings),
        reason: reader.choice(&table, "reason", None, &reasons),
        // A case says what is known when it is not a file.
        keys: own,
        signing,
        domain_signing,
        readers,
        passphrase: reader.choice(&table, "passphrase", None, &passphrases),
        message,
        expected: expected(reader, &table),
    };
    table.finish();
    case
}

/// A message by what the case says of it.
fn described(reader: &Reader<'_>, table: &Table<'_>, has_file: bool) -> Described {
    let mut message = Described::default();
    for key in ["header", "content-type", "auto-submitted", "size"] {
        if has_file && table.has(key) {
            reader.document.error(table.line_of(key), format!("{key}: the file says it"));
        }
    }
    for (name, values) in table.table("header").map(|table| table.named()).unwrap_or_default() {
        message.fields.extend(values.into_iter().map(|value| (name.value.clone(), value.value)));
    }
    let types = table.strings("content-type");
    if !types.is_empty() {
        message.types = types.into_iter().map(|text| text.value.to_ascii_lowercase()).collect();
    }
    let automatic = [AutoSubmitted::No, AutoSubmitted::Yes].map(|one| (one.name(), one));
    message.auto_submitted = reader.choice(table, "auto-submitted", AutoSubmitted::No, &automatic);
    message.size = table.size("size").unwrap_or(message.size);
    message
}

fn expected(reader: &Reader<'_>, table: &Table<'_>) -> Expected {
    let Some(inner) = table.table("expect") else {
        reader.document.error(table.line, "\"expect\" is missing");
        return Expected::default();
    };
    let outcomes = ["discard", "post", "quarantine", "reject", "relay", "tempfail"].map(|name| (name, Some(name)));
    let obstacles = Obstacle::ALL.map(|obstacle| (obstacle.name(), Some(obstacle.name())));
    let expected = Expected {
        rule: inner.string("rule").map(|text| text.value),
        outcome: reader.choice(&inner, "outcome", None, &outcomes),
        obstacle: reader.choice(&inner, "obstacle", None, &obstacles),
        actions: inner.has("actions").then(|| inner.strings("actions").into_iter().map(|text| text.value).collect()),
        log_only: inner.string("log-only").map(|text| text.value),
    };
    if ["rule", "outcome", "obstacle", "actions", "log-only"].iter().all(|key| !inner.has(key)) {
        reader.document.error(inner.line, "expect: says nothing");
    }
    inner.finish();
    expected
}

/// `pgp`, `pgp:domain`, `smime:expired`.
fn states(reader: &Reader<'_>, texts: &[Located<String>]) -> BTreeMap<ProtocolName, KeyState> {
    let known = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime].map(|one| (one.name(), one));
    let one = |text: &Located<String>| {
        let (protocol, state) = text.value.split_once(':').unwrap_or((&text.value, "owner"));
        let protocol = Located { line: text.line, value: protocol.to_owned() };
        let protocol = reader.document.word(&protocol, "protocol", &known)?;
        let found = key_state(state);
        if found.is_none() {
            let words = "owner, authority, dnssec, domain, server, mail, claim (with +quantum-safe or without), expired, missing or unknown";
            reader.document.error(text.line, format!("key {state:?}: not one of {words}"));
        }
        Some((protocol, found?))
    };
    texts.iter().filter_map(one).collect()
}

/// The submitter of mail from `sender`: a login that may sign as that address, or an unknown client.
pub fn likely_submitter(policy: &Policy, sender: Option<&Address>) -> Submitter {
    let Some(sender) = sender else { return Submitter::Unknown };
    let users = policy.identities.keys().cloned().map(Submitter::Authenticated);
    let own = Login::new(&sender.to_string()).map(Submitter::Authenticated).into_iter().chain([Submitter::Trusted]);
    users.chain(own).find(|submitter| policy.may_use(submitter, sender)).unwrap_or_default()
}

impl Case {
    /// Who decides it, by its addresses.
    ///
    /// # Errors
    ///
    /// `Usage`: several do. Others: as [`Tenancy::sender`] and [`Config::of_owner`].
    pub fn owner(&self, config: &Config, tenancy: &Tenancy) -> Result<Owner> {
        let author = self.author.clone().unwrap_or_else(|| self.from.clone());
        let of_author = author.iter().chain(&self.from).find_map(|address| tenancy.owner(address));
        let submitter = match &self.submitter {
            Some(submitter) => submitter.clone(),
            None => likely_submitter(&config.of_owner(of_author.unwrap_or(Owner::Rest))?.policy, self.from.as_ref()),
        };
        let author = author.map(|author| format!("From: {author}\r\n\r\n")).unwrap_or_else(|| "\r\n".to_owned());
        let message = Message::parse(author.into_bytes(), &mut Budget::new(config.bounds.message.clone()))?;
        let path = |address: &Address| ForwardPath { address: address.clone(), parameters: Vec::new() };
        let sender = ReversePath { address: self.from.clone(), parameters: Vec::new() };
        let envelope = Envelope { sender, recipients: self.to.iter().map(path).collect() };
        let mail = Mail { envelope, submitter, client: None, message };
        if let Some(owner) = tenancy.sender(&mail)? {
            return Ok(owner);
        }
        let mut owners = tenancy.recipients(&mail).into_keys();
        match (owners.next(), owners.next()) {
            (Some(_), Some(_)) => Err(Error::usage(format!("case {:?}: recipients of several tenants", self.name))
                .with_hint("a case for each, or --tenant NAME")),
            (owner, _) => Ok(owner.unwrap_or(Owner::Rest)),
        }
    }

    /// Decides it. What it does not say is: a plain message without signature, and no key. With a file, what it does not say is found by `engine`, as
    /// [`explain`](super::explain) does.
    ///
    /// # Errors
    ///
    /// The file, or the keys, cannot be read.
    pub fn run(&self, config: &Config, engine: Option<(&Engine<'_>, Message)>) -> Result<CaseResult> {
        let policy = &config.policy;
        let path = |address: &Address| ForwardPath { address: address.clone(), parameters: Vec::new() };
        let recipients = policy.unalias(self.to.iter().map(path).collect()).recipients;
        let recipients: Vec<ForwardPath> = recipients.into_iter().map(|(path, _)| path).collect();
        let submitter = self.submitter.clone().unwrap_or_else(|| likely_submitter(policy, self.from.as_ref()));
        let traces = match engine {
            None => policy.explain(&self.record(submitter, recipients).facts()),
            Some((engine, message)) => self.traces_of_file(policy, engine, submitter, recipients, message)?,
        };
        let failures: Vec<String> = traces.iter().flat_map(|trace| self.expected.failures(trace)).collect();
        let recipients = traces.iter().map(Decided::of).collect();
        let (name, line) = (self.name.clone(), self.line);
        Ok(CaseResult { name, line, passed: failures.is_empty(), failures, recipients })
    }

    fn record(&self, submitter: Submitter, recipients: Vec<ForwardPath>) -> Record {
        let author = self.author.clone().unwrap_or_else(|| self.from.clone());
        let keys = self.keys.clone().unwrap_or_default();
        let facts = |path| RecipientFacts { path, keys: keys.clone(), is_reader: true, passphrase: self.passphrase };
        Record {
            submitter,
            sender: self.from.clone(),
            author: author.ok_or(NoAuthor::Missing),
            message: self.message.clone(),
            wrapping: wrapping(self.wrapping.unwrap_or(WrappingKind::Plain)),
            standing: self.standing.unwrap_or(Standing::Unsigned),
            reason: self.reason,
            signing: self.signing.clone().unwrap_or_default(),
            domain_signing: self.domain_signing.clone().unwrap_or_default(),
            others: self.readers.clone(),
            recipients: recipients.into_iter().map(facts).collect(),
        }
    }

    fn traces_of_file(
        &self,
        policy: &Policy,
        engine: &Engine<'_>,
        submitter: Submitter,
        recipients: Vec<ForwardPath>,
        message: Message,
    ) -> Result<Vec<Trace>> {
        let sender = ReversePath { address: self.from.clone(), parameters: Vec::new() };
        let mail = Mail { envelope: Envelope { sender, recipients }, submitter, client: None, message };
        let gathered = engine.gather(&mail, policy, None)?;
        let mut facts = gathered.facts(&mail);
        let said = self.wrapping.map(wrapping);
        facts.wrapping = said.as_ref().unwrap_or(facts.wrapping);
        if let Some(author) = &self.author {
            facts.author = author.as_ref().ok_or(&NoAuthor::Missing);
        }
        facts.standing = self.standing.unwrap_or(facts.standing);
        facts.reason = self.reason.or(facts.reason.filter(|_| self.standing.is_none()));
        facts.signing = self.signing.clone().unwrap_or(facts.signing);
        facts.domain_signing = self.domain_signing.clone().unwrap_or(facts.domain_signing);
        facts.others.extend(self.readers.clone());
        for one in &mut facts.recipients {
            one.keys = self.keys.clone().unwrap_or(std::mem::take(&mut one.keys));
            one.passphrase = self.passphrase.or(one.passphrase);
        }
        Ok(policy.explain(&facts))
    }
}

fn wrapping(kind: WrappingKind) -> Wrapping {
    match kind {
        WrappingKind::Encrypted => Wrapping::Encrypted,
        WrappingKind::Malformed => Wrapping::Malformed("as the case says".to_owned()),
        WrappingKind::Plain => Wrapping::Plain,
        WrappingKind::Signed => Wrapping::Signed,
    }
}

impl Decided {
    fn of(trace: &Trace) -> Decided {
        let Group { recipients, rule, obstacle, actions, disposition, .. } = &trace.group;
        Decided {
            to: recipients.first().map(|path| path.address.to_string()).unwrap_or_default(),
            rule: rule.clone(),
            obstacle: obstacle.map(Obstacle::name),
            outcome: Disposition::name(disposition),
            actions: actions.iter().map(Action::name).collect(),
            log_only: trace.trial.as_ref().map(|trial| trial.rule.clone()),
        }
    }
}

impl Expected {
    /// What is not as expected for a recipient.
    fn failures(&self, trace: &Trace) -> Vec<String> {
        let found = Decided::of(trace);
        let of = |what: &str, found: &str, expected: Option<&str>| {
            let expected = expected.filter(|expected| *expected != found)?;
            Some(format!("{what} {found:?} and not {expected:?}"))
        };
        let none = |text: Option<&str>| text.unwrap_or("none").to_owned();
        let actions = self.actions.as_ref().map(|all| all.join(" "));
        let failures = [
            of("rule is", &found.rule, self.rule.as_deref()),
            of("outcome is", found.outcome, self.outcome),
            of("obstacle is", &none(found.obstacle), self.obstacle),
            of("actions are", &found.actions.join(" "), actions.as_deref()),
            of("log-only is", &none(found.log_only.as_deref()), self.log_only.as_deref()),
        ];
        let text = trace.group.disposition.reason().map(|why| format!(" ({why})")).unwrap_or_default();
        failures.into_iter().flatten().map(|what| format!("{}: {what}{text}", found.to)).collect()
    }
}
