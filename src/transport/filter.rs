//! One message from standard input to standard output, for Postfix's pipe(8), procmail and sieve.

use crate::{
    base::{Error, Kind, Result},
    engine::Handler,
    mail::Mail,
    policy::Disposition,
};

/// Handles a mail. The result goes to standard output; `None`: the policy discards the mail.
///
/// There is one output, so every recipient must get the same octets. Line endings are those of the input.
///
/// # Errors
///
/// Permanent (see [`Error::is_permanent`]): the policy refuses the mail, or the message cannot be handled. Everything else is `TryAgain`, so
/// that the caller keeps the mail: a temporary refusal, recipients that need different messages, a fault of this machine.
pub fn filter(handler: &dyn Handler, mail: Mail) -> Result<Option<Vec<u8>>> {
    let count = mail.envelope.recipients.len();
    let has_lf = !super::line_ends::are_crlf(mail.message.octets());
    let outcome = handler.handle(mail).map_err(temporary)?;
    if let Some(refusal) = outcome.local_refusal() {
        return Err(refusal);
    }
    let groups = &outcome.decision.groups;
    if let Some(why) = groups.iter().find_map(|group| match &group.disposition {
        Disposition::Quarantine(why) => Some(why),
        _ => None,
    }) {
        return Err(Error::new(Kind::TryAgain, format!("to be held: {why}")));
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
        _ => Err(Error::new(Kind::TryAgain, "the recipients need different messages, and there is one output")
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
