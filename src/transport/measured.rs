//! Counts and logs every mail, for all listeners alike.

use std::{ops::Range, sync::Arc, time::Instant};

use super::trace::{lists, milliseconds};
use crate::{
    base::{Limits, Result},
    engine::{Handler, Outcome, Posting, Unopened, UsedKeys},
    mail::{Mail, Message},
    policy::{Action, Trial},
    report::Metrics,
};

/// A [`Handler`] that counts and logs what another does. The log names rules, keys and actions, but neither subjects nor content.
pub struct Measured {
    handler: Arc<dyn Handler>,
    metrics: Arc<Metrics>,
    listener: &'static str,
}

impl Measured {
    /// Measures the mail of `listener`.
    pub fn new(handler: Arc<dyn Handler>, metrics: Arc<Metrics>, listener: &'static str) -> Self {
        Measured { handler, metrics, listener }
    }
}

impl Handler for Measured {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let (start, octets) = (Instant::now(), mail.message.octets().len());
        let outcome = self.handler.handle(mail);
        match &outcome {
            Ok(outcome) => {
                let standing = outcome.verdict.standing();
                self.metrics.handled(self.listener, standing, octets, start.elapsed(), &outcome.decision.groups);
                self.metrics.not_opened(self.listener, outcome.unopened.len());
                self.metrics.tried(self.listener, &outcome.decision.trials);
                self.log(outcome, octets);
            }
            Err(error) => self.metrics.failed(self.listener, error.kind()),
        }
        outcome
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

impl Measured {
    /// One line for each group of recipients, or several if they are many.
    fn log(&self, outcome: &Outcome, octets: usize) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let verdict = &outcome.verdict;
        let standing = verdict.standing().name();
        // The code alone: the text may contain the sender's words.
        let standing_reason = verdict.reason();
        let author = verdict.author().map(|author| format!("<{author}>"));
        let (signer, encrypted_for) = (joined(verdict.signing_keys()), joined(verdict.encryption_keys()));
        let (open_ms, resolve_ms) = (milliseconds(outcome.times.open), milliseconds(outcome.times.resolve));
        let seal_ms = milliseconds(outcome.times.act);
        let no_keys = UsedKeys::default();
        let members = outcome.postings.iter().flat_map(|posting| posting.groups());
        for (at, group) in outcome.decision.groups.iter().chain(members).enumerate() {
            let keys = outcome.keys.get(at).unwrap_or(&no_keys);
            let (signed_with, encrypted_with) = (joined(&keys.signers), joined(&keys.readers));
            let actions = joined(&group.actions.iter().map(Action::name).collect::<Vec<_>>());
            for to in lists(group.recipients.iter().map(|path| &path.address)) {
                tracing::info!(
                    event = "mail",
                    to,
                    origin = (!group.origin.is_as_addressed()).then(|| tracing::field::display(&group.origin)),
                    direction = group.direction.name(),
                    rule = group.rule,
                    obstacle = group.obstacle.map(|obstacle| obstacle.name()),
                    action = actions,
                    disposition = group.disposition.name(),
                    reason = group.disposition.reason(),
                    cause = group.cause.as_deref(),
                    signed_with,
                    encrypted_with,
                    octets,
                    standing,
                    standing_reason,
                    author,
                    signer,
                    encrypted_for,
                    open_ms,
                    resolve_ms,
                    seal_ms,
                );
            }
            for warning in &keys.warnings {
                tracing::info!(event = "key-doubtful", warning);
            }
        }
        for Trial { group, instead } in &outcome.decision.trials {
            let actions = joined(&group.actions.iter().map(Action::name).collect::<Vec<_>>());
            for to in lists(group.recipients.iter().map(|path| &path.address)) {
                tracing::info!(
                    event = "log-only",
                    to,
                    origin = (!group.origin.is_as_addressed()).then(|| tracing::field::display(&group.origin)),
                    direction = group.direction.name(),
                    rule = group.rule,
                    obstacle = group.obstacle.map(|obstacle| obstacle.name()),
                    action = actions,
                    disposition = group.disposition.name(),
                    reason = group.disposition.reason(),
                    cause = group.cause.as_deref(),
                    instead,
                );
            }
        }
        for Unopened { recipient, reason } in &outcome.unopened {
            tracing::info!(event = "not-opened", to = %format_args!("<{recipient}>"), reason);
        }
        for note in &outcome.notes {
            tracing::debug!(event = "action", note);
        }
    }
}

/// With commas; `None` when there is nothing.
fn joined(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(","))
}
