//! Mail handed over to the next hop by a program that runs for one message: `sendmail`, and `filter` that re-injects.

use std::sync::Arc;

use super::{
    Blocking, Bounces, Quarantine, SessionId,
    bounce::Refused,
    filter::temporary,
    forwarding::recipients,
    posting::BATCH,
    quarantine::Stored,
    rejection::rejection,
    trace::{Arrival, Endings, failure, lists},
};
use crate::{
    base::{Error, Kind, Result},
    engine::{Handler, Outcome, Posting},
    mail::{Address, Mail},
    policy::Disposition,
    report::{Cause, Fate, Metrics},
};

/// Applies the policy to a mail, and hands the copies over.
#[derive(Clone, Copy)]
pub struct HandingOver<'a> {
    /// Applies the policy.
    pub handler: &'a dyn Handler,
    /// Takes the mails.
    pub next_hop: &'a Blocking,
    /// Takes the mails that are held.
    pub quarantine: Option<&'a Quarantine>,
    /// Writes notifications to senders whose message went to some recipients only.
    pub bounces: Option<&'a Arc<Bounces>>,
    /// The name of the transport in the log.
    pub name: &'static str,
    /// The id of this run in the log.
    pub session: &'a SessionId,
}

impl HandingOver<'_> {
    /// Sends all copies of the message with this number. The result has one line per action, for a log.
    ///
    /// # Errors
    ///
    /// Nothing was sent, unless the text names the recipients who have it. Permanent (see [`Error::is_permanent`]): the policy refuses the mail, or the
    /// message cannot be handled. Everything else is `TryAgain`, or of the next hop.
    pub fn deliver(&self, mail: Mail, number: usize) -> Result<Vec<String>> {
        let _within = self.session.message_span(number, None).entered();
        Arrival::of_submitter(&mail.submitter).log(&mail);
        let (to, metrics) = (recipients(&mail).cloned().collect::<Vec<_>>(), Metrics::default());
        let endings = Endings::new(&metrics, self.name);
        match self.copies(mail) {
            Ok(outcome) => self.send_copies(&outcome, &endings),
            Err((cause, error)) => {
                endings.refused(cause, &to, &rejection(&error));
                Err(error)
            }
        }
    }

    /// What the policy makes of a mail. What is held is in the quarantine then.
    fn copies(&self, mail: Mail) -> Result<Outcome, (Cause, Error)> {
        let failed = |error| {
            failure(&error);
            (Cause::Failure, temporary(error))
        };
        let outcome = self.handler.handle(mail).map_err(failed)?;
        match outcome.local_refusal() {
            Some(refusal) => Err((Cause::Rule, refusal)),
            None => Ok(outcome),
        }
    }

    fn send_copies(&self, outcome: &Outcome, endings: &Endings<'_>) -> Result<Vec<String>> {
        let mut notes = outcome.notes.clone();
        for (group, mail) in outcome.copies() {
            let Disposition::Quarantine(reason) = &group.disposition else { continue };
            let to: Vec<&Address> = recipients(mail).collect();
            match self.hold(mail, reason) {
                Ok(note) => {
                    endings.end(Fate::Held, Cause::Rule, to, None);
                    notes.push(note);
                }
                Err(error) => {
                    endings.refused(Cause::Failure, to, &rejection(&error));
                    return Err(error);
                }
            }
        }
        let discarded = outcome.decision.groups.iter().filter(|group| group.disposition == Disposition::Discard);
        for group in discarded {
            endings.end(Fate::Discarded, Cause::Rule, group.recipients.iter().map(|path| &path.address), None);
        }
        let mut sent: Vec<String> = Vec::new();
        let mut refused = Refused::new(self.bounces, outcome.authentic_author());
        let mut first_error = None;
        for mail in outcome.transactions() {
            let names = named(&mail);
            if let Err(error) = self.next_hop.send(&mail) {
                let reply = error.reply();
                endings.answered(recipients(&mail), &reply);
                let error = partly_sent(&sent, &names, &error.into());
                if !refused.takes(&mail, &reply) {
                    return Err(error);
                }
                first_error.get_or_insert(error);
                continue;
            }
            endings.end(Fate::Relayed, Cause::NextHop, recipients(&mail), None);
            notes.push(format!("handed over for {names}"));
            sent.push(names);
        }
        match (first_error, refused.mail()) {
            // Nothing was sent, so the caller tells the sender.
            (Some(error), _) if sent.is_empty() => return Err(error),
            (Some(error), Some(report)) => {
                self.next_hop.send(&report).map_err(|_| error)?;
                notes.push(format!("notified {} of those who did not get it", named(&report)));
                tracing::info!(event = "bounce-sent", to = lists(recipients(&report)).join(","));
            }
            _ => {}
        }
        for posting in &outcome.postings {
            let list = posting.list().address.to_string();
            let count = self.post(posting, endings).map_err(|error| partly_sent(&sent, &list, &error))?;
            notes.push(format!("handed over for {count} members of {list}"));
            sent.push(list);
        }
        Ok(notes)
    }

    /// Hands over the copies for the members of a list; how many.
    fn post(&self, posting: &Posting, endings: &Endings<'_>) -> Result<usize> {
        let mut count = 0;
        for start in (0..posting.mails()).step_by(BATCH) {
            for mail in self.handler.copies(posting, start..start + BATCH).map_err(temporary)? {
                if let Err(error) = self.next_hop.send(&mail) {
                    endings.answered(recipients(&mail), &error.reply());
                    // As a bounce: it does not concern the others.
                    if error.reply().is_temporary() {
                        return Err(error.into());
                    }
                    continue;
                }
                endings.end(Fate::Relayed, Cause::NextHop, recipients(&mail), None);
                count += 1;
            }
        }
        Ok(count)
    }

    fn hold(&self, mail: &Mail, reason: &str) -> Result<String> {
        let missing = || Error::new(Kind::TryAgain, format!("to be held, but no quarantine is configured: {reason}"));
        let Stored { path, notices } = self.quarantine.ok_or_else(missing)?.hold(mail, reason).map_err(temporary)?;
        tracing::info!(event = "message-held", to = lists(recipients(mail)).join(","), path = %path.display());
        for notice in notices {
            if let Err(error) = self.next_hop.send(&notice) {
                let to = lists(recipients(&notice)).join(",");
                tracing::warn!(event = "notice-not-sent", to, error = %Error::from(error));
            }
        }
        Ok(format!("held for {}: {}", named(mail), path.display()))
    }
}

fn partly_sent(sent: &[String], names: &str, error: &Error) -> Error {
    let words = match sent {
        [] => error.to_string(),
        sent => format!("handed over for {}, but not for {names}: {error}", sent.join(", ")),
    };
    let hint = error.hint().cloned();
    hint.into_iter().fold(Error::new(error.kind(), words), Error::with_hint)
}

fn named(mail: &Mail) -> String {
    recipients(mail).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
