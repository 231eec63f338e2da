//! Every mail counted and logged, whichever door it came through.

use std::{sync::Arc, time::Instant};

use crate::{
    base::Result,
    engine::{Handler, Outcome},
    mail::{Mail, Message},
    policy::Disposition,
    report::Metrics,
};

/// A [`Handler`] that counts and logs what another does. The log names rules, keys and what was done; neither subjects nor content.
pub struct Measured {
    handler: Arc<dyn Handler>,
    metrics: Arc<Metrics>,
    door: &'static str,
}

impl Measured {
    /// Counts what comes through `door`.
    pub fn new(handler: Arc<dyn Handler>, metrics: Arc<Metrics>, door: &'static str) -> Self {
        Measured { handler, metrics, door }
    }
}

impl Handler for Measured {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let (start, octets) = (Instant::now(), mail.message.octets().len());
        let outcome = self.handler.handle(mail);
        match &outcome {
            Ok(outcome) => {
                self.metrics.handled(self.door, octets, start.elapsed(), &outcome.decision.groups);
                self.log(outcome, octets);
            }
            Err(error) => self.metrics.failed(self.door, error.kind()),
        }
        outcome
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.handler.mark(mail)
    }
}

impl Measured {
    fn log(&self, outcome: &Outcome, octets: usize) {
        let standing = outcome.verdict.standing();
        // The code alone: the text may hold what the sender wrote.
        let shortfall = outcome.verdict.reason().map_or("", |reason| reason.code());
        for group in &outcome.decision.groups {
            let (disposition, reason) = match &group.disposition {
                Disposition::Discard => ("discard", ""),
                Disposition::Quarantine(reason) => ("quarantine", reason.as_str()),
                Disposition::Reject(reason) => ("reject", reason.as_str()),
                Disposition::Relay => ("relay", ""),
                Disposition::Tempfail(reason) => ("tempfail", reason.as_str()),
            };
            // Debug forms escape control characters.
            tracing::info!(
                door = self.door,
                octets,
                ?standing,
                shortfall,
                direction = ?group.direction,
                recipients = group.recipients.len(),
                rule = ?group.rule,
                obstacle = ?group.obstacle,
                disposition,
                ?reason,
                "mail"
            );
        }
        for note in &outcome.notes {
            tracing::info!(door = self.door, ?note, "done");
        }
    }
}
