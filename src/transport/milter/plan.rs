//! From an outcome to what the MTA is told, and to the copies that somebody else must carry.

use std::collections::HashSet;

use super::{
    conversation::Transaction,
    edits::{Space, edits},
    wire::{Refusal, Reply},
};
use crate::{
    base::Kind,
    engine::Outcome,
    mail::{Address, Mail, Message},
    policy::Disposition,
};

/// What is done with one message.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Mails that the MTA's own copy cannot be: they are handed over before anything is said.
    pub(super) copies: Vec<Mail>,
    /// What the MTA is told, the verdict last.
    pub(super) replies: Vec<Reply>,
}

/// Plans what follows from `outcome` for the message that came as `old`.
///
/// The MTA has one copy and one reply for all recipients. So whoever is refused takes the others with him: nothing goes on, and the
/// sender, who is told of whom it is said, still has everything. The MTA's copy becomes the one that is held, or the one that did not change,
/// or the first.
///
/// # Errors
///
/// The reply that refuses the message.
pub(super) fn plan(transaction: &Transaction, old: &Message, outcome: &Outcome, space: Space) -> Result<Plan, Refusal> {
    if let Some(error) = outcome.refusal() {
        let codes = if error.kind() == Kind::TryAgain { LATER } else { NEVER };
        return Err(Refusal { codes, words: error.to_string() });
    }
    let mut copies = outcome.transactions();
    let held = held(outcome);
    let own = match &held {
        Some((_, mail)) => Some(mail.clone()),
        None if copies.is_empty() => None,
        None => {
            let is_same = copies.iter().position(|copy| copy.message.octets() == old.octets());
            Some(copies.remove(is_same.unwrap_or_default()))
        }
    };
    let Some(own) = own else {
        return Ok(Plan { copies: Vec::new(), replies: vec![Reply::Discard] });
    };
    let mut replies = edits(old, &own.message, space);
    replies.extend(envelope_edits(transaction, &own));
    replies.extend(held.map(|(reason, _)| Reply::Quarantine(reason)));
    replies.push(Reply::Continue);
    Ok(Plan { copies, replies })
}

/// The first reason for which it is held, and the mail for all for whom it is held: they get the same, because it is held as it came.
fn held(outcome: &Outcome) -> Option<(String, Mail)> {
    let mut held: Option<(String, Mail)> = None;
    for (group, mail) in outcome.copies() {
        let Disposition::Quarantine(reason) = &group.disposition else { continue };
        match &mut held {
            Some((_, whole)) => whole.envelope.recipients.extend(mail.envelope.recipients.iter().cloned()),
            None => held = Some((reason.clone(), mail.clone())),
        }
    }
    held
}

fn envelope_edits(transaction: &Transaction, mail: &Mail) -> Vec<Reply> {
    let mut edits = Vec::new();
    let sender = &mail.envelope.sender;
    if *sender != transaction.sender {
        let path = bracketed(sender.address.as_ref());
        edits.push(Reply::ChangeFrom { path, parameters: sender.parameters.clone() });
    }
    let staying: HashSet<&Address> = mail.envelope.recipients.iter().map(|path| &path.address).collect();
    let known: HashSet<&Address> = transaction.recipients.iter().map(|(_, path)| &path.address).collect();
    let gone = transaction.recipients.iter().filter(|(_, path)| !staying.contains(&path.address));
    edits.extend(gone.map(|(given, _)| Reply::DeleteRecipient(given.clone())));
    edits.extend(mail.envelope.recipients.iter().filter(|path| !known.contains(&path.address)).map(|path| {
        let parameters = path.parameters.clone();
        Reply::AddRecipient { path: bracketed(Some(&path.address)), parameters }
    }));
    edits
}

fn bracketed(address: Option<&Address>) -> String {
    address.map_or_else(|| "<>".to_owned(), |address| format!("<{address}>"))
}

/// RFC 3463, section 3.8: delivery not authorized, message refused.
pub(super) const NEVER: &str = "550 5.7.1";
pub(super) const LATER: &str = "451 4.7.1";
