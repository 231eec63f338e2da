//! From an outcome to what the MTA is told, and to the copies that somebody else must carry.

use super::{
    conversation::Transaction,
    edits::{Space, edits},
    wire::{Refusal, Reply},
};
use crate::{
    engine::Outcome,
    mail::{Address, ForwardPath, Mail, Message},
    policy::{Disposition, Group},
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
pub(super) fn plan(transaction: &Transaction, old: &Message, outcome: Outcome, space: Space) -> Result<Plan, Refusal> {
    let groups = &outcome.decision.groups;
    refusal(groups)?;
    let going = groups.iter().filter(|group| group.disposition != Disposition::Discard);
    let (going, mails): (Vec<&Group>, Vec<Mail>) = (going.collect(), outcome.mails);
    if going.len() != mails.len() {
        let words = format!("{} groups of recipients but {} messages", going.len(), mails.len());
        return Err(Refusal { codes: LATER, words });
    }
    let mut parcels = parcels(going.into_iter().zip(mails));
    if parcels.is_empty() {
        return Ok(Plan { copies: Vec::new(), replies: vec![Reply::Discard] });
    }
    let held = parcels.iter().filter(|parcel| parcel.held.is_some()).count();
    if held > 1 {
        let words = "recipients for whom it is held need different copies".to_owned();
        return Err(Refusal { codes: LATER, words });
    }
    let is_held = parcels.iter().position(|parcel| parcel.held.is_some());
    let is_same = || parcels.iter().position(|parcel| parcel.mail.message.octets() == old.octets());
    let own = parcels.remove(is_held.or_else(is_same).unwrap_or_default());

    let mut replies = edits(old, &own.mail.message, space);
    replies.extend(envelope_edits(transaction, &own.mail));
    replies.extend(own.held.map(Reply::Quarantine));
    replies.push(Reply::Continue);
    Ok(Plan { copies: parcels.into_iter().map(|parcel| parcel.mail).collect(), replies })
}

/// The same octets for everybody in the envelope.
struct Parcel {
    mail: Mail,
    /// Why it is held, if it is.
    held: Option<String>,
}

/// Groups that get the same octets share a copy: who sees them learns nothing of the others.
fn parcels<'a>(going: impl Iterator<Item = (&'a Group, Mail)>) -> Vec<Parcel> {
    let mut parcels: Vec<Parcel> = Vec::new();
    for (group, mail) in going {
        let held = match &group.disposition {
            Disposition::Quarantine(reason) => Some(reason.clone()),
            _ => None,
        };
        let same = parcels.iter_mut().find(|parcel| {
            parcel.held == held
                && parcel.mail.envelope.sender == mail.envelope.sender
                && parcel.mail.message.octets() == mail.message.octets()
        });
        match same {
            Some(parcel) => parcel.mail.envelope.recipients.extend(mail.envelope.recipients),
            None => parcels.push(Parcel { mail, held }),
        }
    }
    parcels
}

/// What is said when somebody is refused: for good before for now.
fn refusal(groups: &[Group]) -> Result<(), Refusal> {
    let words = |group: &Group, words: &str| match group.recipients.first() {
        Some(first) if groups.len() > 1 => format!("<{}>: {words}", first.address),
        _ => words.to_owned(),
    };
    let mut later = None;
    for group in groups {
        match &group.disposition {
            Disposition::Reject(reason) => return Err(Refusal { codes: NEVER, words: words(group, reason) }),
            Disposition::Tempfail(reason) => {
                later.get_or_insert_with(|| Refusal { codes: LATER, words: words(group, reason) });
            }
            _ => {}
        }
    }
    later.map_or(Ok(()), Err)
}

fn envelope_edits(transaction: &Transaction, mail: &Mail) -> Vec<Reply> {
    let mut edits = Vec::new();
    let sender = &mail.envelope.sender;
    if *sender != transaction.sender {
        let path = bracketed(sender.address.as_ref());
        edits.push(Reply::ChangeFrom { path, parameters: sender.parameters.clone() });
    }
    let stays = |path: &ForwardPath| mail.envelope.recipients.iter().any(|other| other.address == path.address);
    let gone = transaction.recipients.iter().filter(|(_, path)| !stays(path));
    edits.extend(gone.map(|(given, _)| Reply::DeleteRecipient(given.clone())));
    let is_known = |path: &ForwardPath| transaction.recipients.iter().any(|(_, known)| known.address == path.address);
    edits.extend(mail.envelope.recipients.iter().filter(|path| !is_known(path)).map(|path| {
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
