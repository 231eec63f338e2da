//! One outcome of what several tenants make of one mail.

use std::collections::BTreeMap;

use crate::{
    base::Error,
    config::{Owner, Tenancy},
    engine::{Outcome, UsedKeys},
    mail::{Envelope, ForwardPath, Mail, Submitter},
    policy::{Direction, Disposition, Group, NO_RULE, Origin, Sealing},
    transport::rejection,
};

/// What one group gets.
pub(super) struct Copy {
    pub(super) group: Group,
    pub(super) keys: UsedKeys,
    /// What goes on or is held, if something is.
    pub(super) mail: Option<Mail>,
}

/// Takes the copies out of an outcome.
pub(super) fn take_copies(outcome: &mut Outcome) -> Vec<Copy> {
    let mut mails = std::mem::take(&mut outcome.mails).into_iter();
    let mut keys = std::mem::take(&mut outcome.keys).into_iter();
    let groups = std::mem::take(&mut outcome.decision.groups).into_iter();
    let copy = |group: Group| {
        let goes_on = matches!(group.disposition, Disposition::Relay | Disposition::Quarantine(_));
        let mail = if goes_on { mails.next() } else { None };
        Copy { keys: keys.next().unwrap_or_default(), mail, group }
    };
    groups.map(copy).collect()
}

/// Puts a copy into an outcome.
pub(super) fn put_copy(outcome: &mut Outcome, Copy { group, keys, mail }: Copy) {
    outcome.decision.groups.push(group);
    outcome.keys.push(keys);
    outcome.mails.extend(mail);
}

impl Copy {
    /// What stays with `own`, if something does, and what goes on to the addresses of others. Only what is relayed goes on.
    pub(super) fn split(self, own: Owner, tenancy: &Tenancy) -> (Option<Copy>, BTreeMap<Owner, (Origin, Mail)>) {
        let mut others: BTreeMap<Owner, (Origin, Mail)> = BTreeMap::new();
        let Copy { mut group, keys, mail: Some(mut mail) } = self else { return (Some(self), others) };
        if group.disposition != Disposition::Relay {
            return (Some(Copy { group, keys, mail: Some(mail) }), others);
        }
        let other = |path: &ForwardPath| tenancy.owner(&path.address).filter(|owner| *owner != own);
        for path in &mail.envelope.recipients {
            let Some(owner) = other(path) else { continue };
            let (_, of_other) = others.entry(owner).or_insert_with(|| {
                let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: Vec::new() };
                // As from another host: nothing that one tenant says is believed by the other.
                let mail =
                    Mail { envelope, submitter: Submitter::Unknown, client: None, message: mail.message.clone() };
                (group.origin.clone(), mail)
            });
            of_other.envelope.recipients.push(path.clone());
        }
        if !others.is_empty() {
            mail.envelope.recipients.retain(|path| other(path).is_none());
            group.recipients.retain(|path| other(path).is_none());
        }
        ((!group.recipients.is_empty()).then_some(Copy { group, keys, mail: Some(mail) }), others)
    }
}

/// Adds what became of a part of the mail, whose recipients came to be recipients by `origin`.
pub(super) fn add(outcome: &mut Outcome, mut part: Outcome, origin: &Origin) {
    for mut copy in take_copies(&mut part) {
        copy.group.origin = origin.and(&copy.group.origin);
        put_copy(outcome, copy);
    }
    for trial in &mut part.decision.trials {
        trial.group.origin = origin.and(&trial.group.origin);
    }
    outcome.decision.trials.append(&mut part.decision.trials);
    // An alias of one tenant can have an alias of another among its members.
    for (_, members) in &mut outcome.aliases {
        let named = std::mem::take(members).into_iter();
        let of = |address| match part.aliases.iter().find(|(alias, _)| *alias == address) {
            Some((_, members)) => members.clone(),
            None => vec![address],
        };
        members.extend(named.flat_map(of));
    }
    outcome.aliases.append(&mut part.aliases);
    outcome.joined.append(&mut part.joined);
    outcome.postings.append(&mut part.postings);
    outcome.notes.append(&mut part.notes);
    outcome.unopened.append(&mut part.unopened);
    outcome.times.open += part.times.open;
    outcome.times.resolve += part.times.resolve;
    outcome.times.act += part.times.act;
}

/// What recipients get whose part of a mail could not be handled: it is refused for them, in the words for all clients.
pub(super) fn unhandled(recipients: Vec<ForwardPath>, origin: Origin, direction: Direction, error: &Error) -> Copy {
    let why = rejection(error).lines.join(" ");
    let disposition = if error.is_permanent() { Disposition::Reject(why) } else { Disposition::Tempfail(why) };
    let group = Group {
        recipients,
        origin,
        direction,
        rule: NO_RULE.to_owned(),
        obstacle: None,
        cause: Some(error.to_string()),
        actions: Vec::new(),
        sealing: Sealing::default(),
        disposition,
    };
    Copy { group, keys: UsedKeys::default(), mail: None }
}
