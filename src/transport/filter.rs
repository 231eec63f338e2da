//! One message from standard input to standard output, for Postfix's pipe(8), procmail and sieve.

use super::{
    SessionId,
    forwarding::recipients,
    rejection::rejection,
    trace::{Arrival, Endings, failure},
};
use crate::{
    base::{Error, Kind, Result},
    engine::Handler,
    mail::{Address, Mail},
    policy::Disposition,
    report::{Cause, Fate, Metrics},
};

/// Handles a mail. The result goes to standard output; `None`: the policy discards the mail.
///
/// `session` is its id in the log. There is one output, so every recipient must get the same octets. Line endings are those of the input.
///
/// # Errors
///
/// Permanent (see [`Error::is_permanent`]): the policy refuses the mail, or the message cannot be handled. Everything else is `TryAgain`, so
/// that the caller keeps the mail: a temporary refusal, recipients that need different messages, a fault of this machine.
pub fn filter(handler: &dyn Handler, session: &SessionId, mail: Mail) -> Result<Option<Vec<u8>>> {
    let _within = session.message_span(1, None).entered();
    let to: Vec<Address> = recipients(&mail).cloned().collect();
    Arrival::of_submitter(&mail.submitter).log(&mail);
    let filtered = filtered(handler, mail);
    let metrics = Metrics::default();
    let endings = Endings::new(&metrics, "filter");
    match filtered {
        Ok(octets) => {
            let fate = if octets.is_some() { Fate::Relayed } else { Fate::Discarded };
            endings.end(fate, Cause::Rule, &to, None);
            Ok(octets)
        }
        Err((cause, error)) => {
            endings.refused(cause, &to, &rejection(&error));
            Err(error)
        }
    }
}

fn filtered(handler: &dyn Handler, mail: Mail) -> Result<Option<Vec<u8>>, (Cause, Error)> {
    let count = mail.envelope.recipients.len();
    let has_lf = !super::line_ends::are_crlf(mail.message.octets());
    let failed = |error| {
        failure(&error);
        (Cause::Failure, temporary(error))
    };
    let outcome = handler.handle(mail).map_err(failed)?;
    let by_rule = |error| Err((Cause::Rule, error));
    if let Some(refusal) = outcome.local_refusal() {
        return by_rule(refusal);
    }
    let groups = &outcome.decision.groups;
    if let Some(why) = groups.iter().find_map(|group| match &group.disposition {
        Disposition::Quarantine(why) => Some(why),
        _ => None,
    }) {
        return by_rule(Error::new(Kind::TryAgain, format!("to be held: {why}")));
    }
    if groups.iter().all(|group| group.disposition == Disposition::Discard) {
        return Ok(None);
    }
    let mut transactions = outcome.transactions();
    match (transactions.pop(), transactions.is_empty()) {
        (Some(mail), true) if mail.envelope.recipients.len() == count => {
            let octets = mail.message.into_octets();
            Ok(Some(if has_lf { super::line_ends::to_lf(&octets) } else { octets }))
        }
        _ => by_rule(Error::new(Kind::TryAgain, "the recipients need different messages, and there is one output")
            .with_hint("give one recipient at a time (Postfix: NAME_destination_recipient_limit = 1), or use sendmail, the milter or SMTP")),
    }
}

/// The error for a calling program that keeps the mail when told to: everything that is not permanent becomes `TryAgain` (exit status 75).
pub fn temporary(error: Error) -> Error {
    if error.is_permanent() { error } else { try_again(error) }
}

/// The same for what went wrong before a message was read: this machine is at fault, whatever the error is.
pub fn try_again(error: Error) -> Error {
    let hint = error.hint().cloned();
    hint.into_iter().fold(Error::new(Kind::TryAgain, error.to_string()), Error::with_hint)
}
