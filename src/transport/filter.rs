//! Standard input to standard output, as Postfix's pipe(8), procmail and sieve call it.

use crate::{
    base::{Error, Kind, Result},
    engine::Handler,
    mail::Mail,
    policy::Disposition,
};

/// What goes to standard output; `None` when the policy throws the mail away.
///
/// All or nothing: there is one output, so every recipient has to get the same octets. Line ends are those that the message came with.
///
/// # Errors
///
/// `NoKey` when the policy refuses the mail for good, `Malformed` when the message is over the bounds. Anything else is `TryAgain`, so that
/// whoever called keeps the mail: a refusal for now, recipients that need different messages, and whatever is wrong with this machine.
pub fn filter(handler: &dyn Handler, mail: Mail) -> Result<Option<Vec<u8>>> {
    let count = mail.envelope.recipients.len();
    let has_lf = !super::lines::are_crlf(mail.message.octets());
    let outcome = handler.handle(mail).map_err(temporary)?;
    if let Some(refusal) = outcome.refusal() {
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
            Ok(Some(if has_lf { super::lines::to_lf(&octets) } else { octets }))
        }
        _ => Err(Error::new(Kind::TryAgain, "the recipients need different messages, and there is one output")
            .with_hint("give one recipient at a time (Postfix: NAME_destination_recipient_limit = 1), or use sendmail, the milter or SMTP")),
    }
}

/// What a program that keeps the mail when told to should be told: everything that is not the message's own fault may pass.
pub fn temporary(error: Error) -> Error {
    match error.kind() {
        Kind::KeyExpired | Kind::Malformed | Kind::NoKey | Kind::TryAgain | Kind::Undecryptable | Kind::Usage => error,
        _ => {
            let hint = error.hint().cloned();
            let error = Error::new(Kind::TryAgain, error.to_string());
            hint.into_iter().fold(error, Error::with_hint)
        }
    }
}
