//! What the rules do with a mail, and why.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use super::{Config, SecretFrom, Tenancy};
use crate::{
    base::{Result, Secret},
    engine::{Engine, HandlerContext, page::Submitted},
    keys::{KeyState, PassphraseFrom, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Mail, Submitter},
    policy::{Action, Decision, Disposition, Facts, Group, Mode, Policy, Trace, Unauthenticated},
    report::printable,
    verdict::Reason,
};

/// What the rules do with a mail for each recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The tenant that decides; `None`: the rest, or there are no tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `log-only` when the service is: nothing of this is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<&'static str>,
    /// The client: `user alice`, `trusted`, `unknown`.
    pub submitter: String,
    /// The mailbox in From, if there is exactly one.
    pub author: Option<String>,
    /// Why there is no author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_author: Option<String>,
    /// The form of the received message: `plain`, `signed`, `encrypted`, `malformed`.
    pub message: &'static str,
    /// The standing: `unsigned`, `signed`, `authentic`.
    pub standing: &'static str,
    /// Why the standing is below `authentic`, if something in the message is signed or encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In the order of the envelope.
    pub recipients: Vec<Reached>,
}

/// What the rules do for one recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The recipient.
    pub to: String,
    /// The alias that it is here for: `alias staff@example.org`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// `inbound` or `outbound`.
    pub direction: &'static str,
    /// The rules before the one that applies.
    pub passed: Vec<PassedOver>,
    /// The rule that applies.
    pub rule: String,
    /// Why its orders cannot be followed, if they cannot.
    pub obstacle: Option<&'static str>,
    /// `relay`, `reject`, `tempfail`, `quarantine`, `discard`.
    pub outcome: &'static str,
    /// The reply or the reason, when it is not relayed.
    pub text: Option<String>,
    /// What is wrong with this machine, if that is the obstacle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The actions in order, with their keys.
    pub actions: Vec<String>,
    /// What a rule that is log-only would do instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_only: Option<Tried>,
    /// The other recipients with the same copy, or the same refusal.
    pub together_with: Vec<String>,
    /// The tenant whose address it is, and that handles what is relayed to it once more, as mail of a stranger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then_tenant: Option<String>,
    /// Where its mail goes on, if it does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sent_on: Vec<SentOn>,
}

/// What a rule that is log-only would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// The rule.
    pub rule: String,
    /// As [`Reached::obstacle`].
    pub obstacle: Option<&'static str>,
    /// As [`Reached::outcome`].
    pub outcome: &'static str,
    /// As [`Reached::text`].
    pub text: Option<String>,
    /// As [`Reached::actions`].
    pub actions: Vec<String>,
}

/// A recipient of what goes on from the recipient of the envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentOn {
    /// The recipient.
    pub to: String,
    /// The steps from the recipient of the envelope: `forward of carol@example.org`.
    pub origin: String,
    /// The rule that applies.
    pub rule: String,
    /// Why its orders cannot be followed, if they cannot.
    pub obstacle: Option<&'static str>,
    /// As [`Reached::outcome`].
    pub outcome: &'static str,
    /// As [`Reached::text`].
    pub text: Option<String>,
    /// The actions in order.
    pub actions: Vec<String>,
    /// The envelope sender of what goes on.
    pub sender: Option<String>,
}

/// A rule that does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub rule: String,
    /// Why it does not apply.
    pub why: String,
}

/// Explains what `config` does with `mail`, from the same facts and by the same rules as [`Engine::handle`]. Nothing is changed.
///
/// # Errors
///
/// The keys could not be read, or the message exceeds a limit.
pub fn explain(config: &Config, engine: &Engine<'_>, mail: &Mail) -> Result<Explanation> {
    let (recipients, origins): (Vec<_>, Vec<_>) =
        config.policy.unalias(mail.envelope.recipients.clone()).recipients.into_iter().unzip();
    let mail = Mail { envelope: Envelope { recipients, ..mail.envelope.clone() }, ..mail.clone() };
    let Submitted { mail, passphrase } = Submitted::of(mail, engine.budget())?;
    let mail = &mail;
    let gathered = engine.gather(mail, &config.policy, passphrase)?;
    let facts = gathered.facts(mail);
    let decision = config.policy.decide(&facts);
    let traces = config.policy.explain(&facts);
    // Without a signature, "unsigned" is the reason.
    let reason = gathered.verdict().reason().filter(|reason| *reason != Reason::NotSigned);
    Ok(Explanation {
        tenant: config.tenant.clone(),
        mode: Some(config.policy.mode.name()).filter(|_| config.policy.mode == Mode::LogOnly),
        submitter: match facts.submitter {
            Submitter::Authenticated(name) => format!("user {name}"),
            Submitter::Host => "this host".to_owned(),
            Submitter::Trusted => "trusted".to_owned(),
            Submitter::Unknown => "unknown".to_owned(),
        },
        author: facts.author.ok().map(ToString::to_string),
        no_author: facts.author.err().map(ToString::to_string),
        message: facts.wrapping.name(),
        standing: facts.standing.name(),
        reason: reason.map(|reason| reason.to_string()),
        recipients: traces
            .into_iter()
            .zip(origins)
            .map(|(trace, origin)| {
                let origin = (!origin.is_as_addressed()).then(|| origin.to_string());
                let sent_on = sent_on(config, engine, mail, &trace.group)?;
                Ok(Reached { origin, sent_on, ..reached(&facts, &decision, trace) })
            })
            .collect::<Result<_>>()?,
    })
}

/// What becomes of the mail of one recipient where it goes on: handled as the service does, without sending anything.
fn sent_on(config: &Config, engine: &Engine<'_>, mail: &Mail, group: &Group) -> Result<Vec<SentOn>> {
    let Some(path) = group.recipients.first().filter(|path| config.policy.onward(&path.address).is_some()) else {
        return Ok(Vec::new());
    };
    let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: vec![path.clone()] };
    let secret = Secret::new(vec![0; 32]);
    let marker = config.marker.as_ref().map_or(Ok(secret), SecretFrom::read)?;
    // As if the service were not log-only.
    let policy = Policy { mode: Mode::Enforce, ..config.policy.clone() };
    let handler = HandlerContext {
        policy: &policy,
        name: &config.authserv_id,
        authserv_ids: &config.authserv_ids,
        marker: &marker,
    };
    let outcome = engine.handle(Mail { envelope, ..mail.clone() }, handler)?;
    let groups = outcome.decision.groups.iter().zip(&outcome.keys);
    let mut all = Vec::new();
    let is_shown = |group: &Group| group.origin.sent_on_from().is_some() || group.disposition != Disposition::Relay;
    for (group, used) in groups.filter(|(group, _)| is_shown(group)) {
        let mut copies = outcome.copies().filter(|(other, _)| std::ptr::eq(*other, group));
        let sender = copies.next().map(|(_, mail)| mail.envelope.sender.address.as_ref());
        let sender = sender.map(|address| address.map_or_else(|| "<>".to_owned(), ToString::to_string));
        let actions = group.actions.iter().flat_map(|action| match action {
            Action::Encrypt(protocol) => {
                vec![format!("encrypted, {} key {}", protocol.name(), used.readers.join(" "))]
            }
            _ => words(action, &BTreeMap::new(), None),
        });
        let actions: Vec<String> = actions.collect();
        all.extend(group.recipients.iter().map(|path| SentOn::of(group, path, &actions, sender.clone())));
    }
    for posting in &outcome.postings {
        for group in posting.groups() {
            let actions: Vec<String> =
                group.actions.iter().flat_map(|action| words(action, &BTreeMap::new(), None)).collect();
            all.extend(group.recipients.iter().map(|path| {
                let is_sent = group.disposition == Disposition::Relay;
                let sender = is_sent.then(|| posting.list().sender(&path.address).to_string());
                SentOn::of(group, path, &actions, sender)
            }));
        }
    }
    Ok(all)
}

impl SentOn {
    fn of(group: &Group, path: &ForwardPath, actions: &[String], sender: Option<String>) -> SentOn {
        SentOn {
            to: path.address.to_string(),
            origin: group.origin.to_string(),
            rule: group.rule.clone(),
            obstacle: group.obstacle.map(|obstacle| obstacle.name()),
            outcome: group.disposition.name(),
            text: group.disposition.reason().map(str::to_owned),
            actions: actions.to_vec(),
            sender,
        }
    }
}

impl Explanation {
    /// Notes the recipients that other tenants than that of `config` have.
    pub fn hand_on(&mut self, config: &Config, tenancy: &Tenancy) {
        for one in self.recipients.iter_mut().filter(|one| one.outcome == Disposition::Relay.name()) {
            let owner = Address::parse(&one.to).ok().and_then(|address| tenancy.owner(&address));
            let name = owner.and_then(|owner| tenancy.name(owner));
            one.then_tenant = name.filter(|name| config.tenant.as_deref() != Some(*name)).map(str::to_owned);
        }
    }

    /// Plain text for people.
    pub fn text(&self) -> String {
        let why = self.no_author.as_ref().map(|why| format!("no author ({})", printable(why))).unwrap_or_default();
        let reason = self.reason.as_ref().map(|reason| format!(" ({})", printable(reason))).unwrap_or_default();
        let tenant = self.tenant.as_ref().map(|name| format!("tenant {name}\n")).unwrap_or_default();
        let mut text = format!("{tenant}from {} by {}", self.author.as_deref().unwrap_or(&why), self.submitter);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "; the message is {}, {}{reason}", self.message, self.standing);
        if self.mode.is_some() {
            let _ = writeln!(text, "mode log-only: nothing of this is done, the mail goes on as it came");
        }
        for one in &self.recipients {
            one.write(&mut text);
        }
        text
    }
}

impl Reached {
    fn write(&self, text: &mut String) {
        let origin: String = self.origin.iter().map(|origin| format!(", {origin}")).collect();
        let _ = writeln!(text, "{} ({}{origin})", self.to, self.direction);
        for PassedOver { rule, why } in &self.passed {
            let _ = writeln!(text, "  passed   {rule}: {why}");
        }
        let obstacle = self.obstacle.map(|name| format!(" ({name})")).unwrap_or_default();
        let _ = writeln!(text, "  decides  {}{obstacle}", self.rule);
        let why: String = self.text.iter().chain(&self.cause).map(|why| format!(": {why}")).collect();
        let _ = writeln!(text, "  outcome  {}{why}", self.outcome);
        for action in &self.actions {
            let _ = writeln!(text, "           {action}");
        }
        if let Some(Tried { rule, obstacle, outcome, text: why, actions }) = &self.log_only {
            let obstacle = obstacle.map(|name| format!(" ({name})")).unwrap_or_default();
            let why: String = why.iter().map(|why| format!(": {why}")).collect();
            let _ = writeln!(text, "  log-only {rule}{obstacle}\n           would {outcome}{why}");
            for action in actions {
                let _ = writeln!(text, "           {action}");
            }
        }
        if !self.together_with.is_empty() {
            let _ = writeln!(text, "           in one copy with {}", self.together_with.join(", "));
        }
        if let Some(tenant) = &self.then_tenant {
            let _ = writeln!(text, "  then     tenant {tenant}, as for mail of a stranger");
        }
        for one in &self.sent_on {
            let obstacle = one.obstacle.map(|name| format!(" ({name})")).unwrap_or_default();
            let why: String = one.text.iter().map(|why| format!(": {why}")).collect();
            let _ = match one.outcome {
                "relay" => writeln!(text, "  goes on  to {}: {}{obstacle}", one.to, one.origin),
                outcome => writeln!(text, "  goes on  not: {outcome}{why}{obstacle}"),
            };
            for action in &one.actions {
                let _ = writeln!(text, "           {action}");
            }
            one.sender.iter().for_each(|sender| {
                let _ = writeln!(text, "           envelope sender {sender}");
            });
        }
    }
}

fn reached(facts: &Facts<'_>, decision: &Decision, trace: Trace) -> Reached {
    let Trace { passed, group, trial } = trace;
    let path = group.recipients.first();
    let to = path.map(|path| path.address.to_string()).unwrap_or_default();
    let actions = done(facts, &group);
    let shared = decision.groups.iter().find(|group| path.is_some_and(|path| group.recipients.contains(path)));
    let others = shared.into_iter().flat_map(|group| &group.recipients).filter(|other| Some(*other) != path);
    let (outcome, text) = (group.disposition.name(), group.disposition.reason().map(str::to_owned));
    Reached {
        to,
        origin: None,
        direction: group.direction.name(),
        passed: passed.into_iter().map(|one| PassedOver { rule: one.rule, why: one.why }).collect(),
        rule: group.rule,
        obstacle: group.obstacle.map(|obstacle| obstacle.name()),
        outcome,
        text,
        cause: group.cause,
        actions,
        log_only: trial.map(|group| Tried {
            actions: done(facts, &group),
            obstacle: group.obstacle.map(|obstacle| obstacle.name()),
            outcome: group.disposition.name(),
            text: group.disposition.reason().map(str::to_owned),
            rule: group.rule,
        }),
        then_tenant: None,
        together_with: others.map(|path| path.address.to_string()).collect(),
        sent_on: Vec::new(),
    }
}

/// What is done for the one recipient of `group`, in order.
fn done(facts: &Facts<'_>, group: &Group) -> Vec<String> {
    let sealing = &group.sealing;
    let path = group.recipients.first();
    let recipient = facts.recipients.iter().find(|one| Some(&one.path) == path);
    let (keys, signing) = (recipient.map(|one| facts.reading(one, sealing)), facts.signing_by(sealing));
    let mut actions: Vec<String> = group.actions.iter().flat_map(|action| words(action, signing, keys)).collect();
    if group.encrypts() {
        let further = sealing.further_readers(facts.author.ok());
        actions.extend(further.map(|address| format!("readable by {address} too, as the rule says")));
    }
    actions
}

pub(super) fn words(
    action: &Action,
    signing: &BTreeMap<ProtocolName, KeyState>,
    reading: Option<&BTreeMap<ProtocolName, KeyState>>,
) -> Vec<String> {
    let signed = |protocol| format!("signed, {}", key(protocol, signing.get(protocol)));
    let encrypted = |protocol| format!("encrypted, {}", key(protocol, reading.and_then(|keys| keys.get(protocol))));
    match action {
        Action::AddHeader(name, value) => vec![format!("header added: {name}: {value}")],
        Action::Annotate => vec!["annotated in Authentication-Results".to_owned()],
        Action::AttachKey => vec!["the author's key attached, if one is here".to_owned()],
        Action::Autocrypt(_) => vec!["the author's key in the Autocrypt field, if one is here".to_owned()],
        Action::Clear => vec!["in clear, as the rule says".to_owned()],
        Action::Decrypt(Unauthenticated::Leave) => vec!["decrypted if a key is here".to_owned()],
        Action::Decrypt(Unauthenticated::Text) => {
            vec!["decrypted if a key is here; of unauthenticated content, the plain text alone".to_owned()]
        }
        Action::Decrypt(Unauthenticated::Open) => {
            vec!["decrypted if a key is here, unauthenticated content too".to_owned()]
        }
        Action::Encrypt(protocol) => vec![encrypted(protocol)],
        Action::Keep => vec!["unchanged: encrypted already".to_owned()],
        Action::Page(PassphraseFrom::Message) => vec!["a page, with the passphrase of the message".to_owned()],
        Action::Page(PassphraseFrom::Store) => vec!["a page, with the stored passphrase of the recipient".to_owned()],
        Action::RemoveHeader(name) => vec![format!("header removed: {name}")],
        Action::Sign(protocol) => vec![signed(protocol)],
        Action::SignAndEncrypt(protocol) => vec![signed(protocol), encrypted(protocol)],
        Action::TagSubject(tag) => vec![format!("subject tagged: {tag}")],
    }
}

fn key(protocol: &ProtocolName, state: Option<&KeyState>) -> String {
    match state {
        Some(KeyState::Usable { key, warning, note, quantum_safe, .. }) => {
            let quantum = quantum_safe.then_some("quantum-safe");
            let known: Vec<&str> = note.iter().chain(warning).map(String::as_str).chain(quantum).collect();
            let known = if known.is_empty() { String::new() } else { format!(" ({})", known.join("; ")) };
            format!("{} key {key}{known}", protocol.name())
        }
        _ => protocol.name().to_owned(),
    }
}
