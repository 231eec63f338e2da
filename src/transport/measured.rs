//! Counts and logs every mail, for all listeners alike.

use std::{sync::Arc, time::Instant};

use crate::{
    base::Result,
    engine::{Handler, Outcome, Unopened},
    mail::{Mail, Message},
    policy::Disposition,
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
                self.metrics.handled(self.listener, octets, start.elapsed(), &outcome.decision.groups);
                self.metrics.not_opened(self.listener, outcome.unopened.len());
                self.log(outcome, octets);
            }
            Err(error) => self.metrics.failed(self.listener, error.kind()),
        }
        outcome
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }
}

impl Measured {
    fn log(&self, outcome: &Outcome, octets: usize) {
        let standing = outcome.verdict.standing().name();
        // The code alone: the text may contain the sender's words.
        let standing_reason = outcome.verdict.reason().map(|reason| reason.code());
        for group in &outcome.decision.groups {
            let (disposition, reason) = match &group.disposition {
                Disposition::Discard => ("discard", None),
                Disposition::Quarantine(reason) => ("quarantine", Some(reason.as_str())),
                Disposition::Reject(reason) => ("reject", Some(reason.as_str())),
                Disposition::Relay => ("relay", None),
                Disposition::Tempfail(reason) => ("tempfail", Some(reason.as_str())),
            };
            tracing::info!(
                event = "mail",
                listener = self.listener,
                octets,
                standing,
                standing_reason,
                direction = group.direction.name(),
                recipients = group.recipients.len(),
                rule = group.rule,
                obstacle = group.obstacle.map(|obstacle| obstacle.name()),
                disposition,
                reason,
            );
        }
        for Unopened { recipient, reason } in &outcome.unopened {
            tracing::info!(event = "not-opened", listener = self.listener, %recipient, reason);
        }
        for note in &outcome.notes {
            tracing::info!(event = "action", listener = self.listener, note);
        }
    }
}
