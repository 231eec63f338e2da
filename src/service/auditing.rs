//! Decisions on mail in the audit log: who gets what by which rule, and no content.

use std::{ops::Range, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    audit::{Actor, Durability, Event, Log, Note, Sink},
    base::{Error, Kind, Limits, Result, Secret, hex},
    config::{Config, Decisions},
    crypto::Hash,
    engine::{Handler, Outcome, Posting, UsedKeys},
    mail::{Mail, Message, Submitter},
    policy::{Action, Group},
    report::Metrics,
    store::Keystore,
};

/// A handler that writes what another decides into the audit log.
pub struct AuditingHandler<H> {
    handler: H,
    audit: Option<Audit>,
    metrics: Arc<Metrics>,
}

/// Where decisions are written.
pub(super) struct Audit {
    sink: Arc<dyn Sink>,
    key: Option<Secret>,
    decisions: Decisions,
}

/// Opens the audit log that `config` describes, and records the changes of `home` in it. `None`: decisions are not written.
///
/// # Errors
///
/// `Config`: there is neither a home nor a path. Others: the log cannot be written.
pub(super) fn audit(config: &Config, home: Option<&Arc<Keystore>>) -> Result<Option<Audit>> {
    let Some(audit) = &config.audit else { return Ok(None) };
    let path = match (home, &audit.path) {
        (Some(home), path) => home.begin_audit(path.as_deref())?,
        (None, Some(path)) => path.clone(),
        (None, None) => return Err(Error::new(Kind::Config, "audit: there is no home, and no path")),
    };
    if audit.decisions == Decisions::Left {
        return Ok(None);
    }
    let key = home.map(|home| home.audit_key()).transpose()?.flatten();
    let sink = Arc::new(Log::new(&path, Actor::of_process("mail")));
    Ok(Some(Audit { sink, key, decisions: audit.decisions }))
}

impl<H: Handler> AuditingHandler<H> {
    /// Handles mail with `handler`, and writes its decisions to `audit`; `None`: nowhere.
    pub(super) fn new(handler: H, audit: Option<Audit>) -> Self {
        AuditingHandler { handler, audit, metrics: Arc::default() }
    }

    /// Counts entries that cannot be written.
    #[must_use]
    pub(super) fn counting(self, metrics: &Arc<Metrics>) -> Self {
        AuditingHandler { metrics: Arc::clone(metrics), ..self }
    }

    /// The handler within.
    pub(super) fn within(&self) -> &H {
        &self.handler
    }
}

impl<H: Handler> Handler for AuditingHandler<H> {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let Some(audit) = &self.audit else { return self.handler.handle(mail) };
        let note = received(&mail);
        let outcome = self.handler.handle(mail);
        let note = match &outcome {
            Ok(outcome) => decided(note, outcome),
            Err(error) => note.with("failed", error.kind().name()),
        };
        let written = audit.sink.append(&[note], Durability::Soon, audit.key.as_ref());
        if written.is_err() {
            self.metrics.audit_failed();
        }
        match (written, audit.decisions) {
            (Ok(_), _) => outcome,
            // The next attempt is written, or fails in the same way: what is not written does not go on.
            (Err(error), Decisions::Required) => Err(Error::new(Kind::TryAgain, error.to_string())),
            (Err(error), _) => {
                tracing::error!(event = "audit-failed", %error);
                outcome
            }
        }
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        self.handler.copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }

    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        self.handler.receive(octets, limits)
    }
}

/// The message as it came: its digest and its envelope.
fn received(mail: &Mail) -> Note {
    let octets = mail.message.octets();
    let note = Note::new(Event::Decision)
        .with("sha256", hex(&Hash::Sha256.digest(own_field_off(octets))))
        .with("octets", octets.len())
        .with("from", mail.envelope.sender.address.as_ref().map(ToString::to_string));
    match &mail.submitter {
        Submitter::Authenticated(login) => note.with("login", login.as_str()),
        Submitter::Host | Submitter::Trusted | Submitter::Unknown => note,
    }
}

fn decided(note: Note, outcome: &Outcome) -> Note {
    let verdict = &outcome.verdict;
    let none = UsedKeys::default();
    let groups = outcome.decision.groups.iter().enumerate();
    let groups: Vec<Value> = groups.map(|(at, group)| facts(group, outcome.keys.get(at).unwrap_or(&none))).collect();
    let lists: Vec<Value> = outcome
        .postings
        .iter()
        .map(|posting| json!({ "list": posting.list().address.to_string(), "mails": posting.mails() }))
        .collect();
    let (signed, encrypted) = (verdict.signing_keys().to_vec(), verdict.encryption_keys().to_vec());
    let named = [("groups", groups), ("lists", lists)];
    let mut note = note
        .with("standing", verdict.standing().name())
        .with("reason", verdict.reason())
        .with("author", verdict.author().map(ToString::to_string));
    for (name, values) in named.into_iter().filter(|(_, values)| !values.is_empty()) {
        note = note.with(name, values);
    }
    for (name, keys) in [("signers", signed), ("encrypted_for", encrypted)] {
        if !keys.is_empty() {
            note = note.with(name, keys);
        }
    }
    note
}

/// What became of a group of recipients. The reason of a refusal may have words of the sender, so the names of rule and disposition stand alone.
fn facts(group: &Group, keys: &UsedKeys) -> Value {
    let to: Vec<String> = group.recipients.iter().map(|path| path.address.to_string()).collect();
    let actions: Vec<String> = group.actions.iter().map(Action::name).collect();
    let mut facts = Map::from_iter([
        ("to".to_owned(), to.into()),
        ("rule".to_owned(), group.rule.as_str().into()),
        ("actions".to_owned(), actions.into()),
        ("disposition".to_owned(), group.disposition.name().into()),
    ]);
    facts.extend(group.obstacle.map(|obstacle| ("obstacle".to_owned(), obstacle.name().into())));
    for (name, keys) in [("signed_with", &keys.signers), ("encrypted_with", &keys.readers)] {
        if !keys.is_empty() {
            facts.insert(name.to_owned(), keys.clone().into());
        }
    }
    Value::Object(facts)
}

/// The octets that the client sent: without the Received field that a listener of this program put on top.
fn own_field_off(octets: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if end > 0 && !line.starts_with(b"\t") && !line.starts_with(b" ") {
            break;
        }
        end += line.len();
    }
    let (field, rest) = octets.split_at_checked(end).unwrap_or((&[], octets));
    let is_own = field.starts_with(b"Received: ") && memchr::memmem::find(field, b" (postseal) with ").is_some();
    if is_own { rest } else { octets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_of_a_listener_is_not_part_of_the_digest() {
        let own = "Received: from a ([192.0.2.1])\r\n\tby b (postseal) with ESMTP id 1-1; date\r\n";
        let came = "Received: from x\r\n\tby y with ESMTP\r\nSubject: z\r\n\r\nReceived: q\r\n";
        assert_eq!(own_field_off(format!("{own}{came}").as_bytes()), came.as_bytes());
        for other in [came, "", "\r\n", "Subject: x (postseal) with y\r\n\r\n", "no header"] {
            assert_eq!(own_field_off(other.as_bytes()), other.as_bytes());
        }
    }
}
