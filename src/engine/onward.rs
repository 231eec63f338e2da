//! Step 5 of the pipeline: send on what was decided for an address that forwards, or for a list.

use std::{collections::HashMap, sync::Arc};

use super::{
    Engine, HandlerContext, Posting,
    accounting::Unopened,
    facts::{Readers, mailbox},
    leg::{Leg, Made, Route},
    list::ForList,
    return_path,
};
use crate::{
    base::Result,
    mail::{Address, Envelope, ForwardPath, Mail, Message, Submitter},
    policy::{Direction, Disposition, Group, MailboxCopy, NO_RULE, Obstacle, Onward, Origin, Sealing, Step},
};

/// What all recipients get in the end.
#[derive(Default)]
pub(super) struct SentOn {
    pub(super) made: Vec<Made>,
    pub(super) postings: Vec<Arc<Posting>>,
    pub(super) notes: Vec<String>,
    pub(super) unopened: Vec<Unopened>,
}

impl Engine<'_> {
    /// Follows the forwards of those recipients of `leg` that a copy is relayed for.
    ///
    /// A recipient is refused as a whole: when one of the addresses that its mail goes on to is, so are the others.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`](super::Handler::handle).
    pub(super) fn send_on(&self, leg: Leg, origins: &Origins, handler: HandlerContext<'_>) -> Result<SentOn> {
        let Leg { mail, verdict, made, notes, unopened, .. } = leg;
        let mut all = SentOn { notes, unopened, ..SentOn::default() };
        for mut one in made {
            let is_relayed = one.group.disposition == Disposition::Relay;
            let (mut staying, mut sent_on) = (Vec::new(), Vec::new());
            for path in std::mem::take(&mut one.group.recipients) {
                let Some(onward) = handler.policy.onward(&path.address).filter(|_| is_relayed) else {
                    staying.push(path);
                    continue;
                };
                let origin = origins.of(&path.address);
                let next = match onward {
                    Onward::List(list) => {
                        let (came, verdict) = (&mail, &verdict);
                        self.post(&ForList { came, verdict, one: &one, path: &path, origin }, list, handler)?
                    }
                    Onward::Forward(_) | Onward::Return => {
                        self.next_leg(&mail, &one, &path, onward, origin, handler)?
                    }
                };
                match refusal(&next.made) {
                    Some(refused) => {
                        let group = Group { recipients: vec![path], origin: origin.clone(), ..refused };
                        sent_on.push(SentOn::of(Made::nothing(group)));
                    }
                    None => {
                        let keeps =
                            matches!(onward, Onward::Forward(forward) if forward.mailbox == MailboxCopy::Delivered);
                        staying.extend(keeps.then_some(path));
                        sent_on.push(next);
                    }
                }
            }
            all.made.extend(one.split(staying, origins));
            sent_on.into_iter().for_each(|next| all.join(next));
        }
        Ok(all)
    }

    /// What is made of the copy that `one` relays, for where mail of the recipient `path` goes.
    pub(super) fn next_leg(
        &self,
        came: &Mail,
        one: &Made,
        path: &ForwardPath,
        onward: Onward<'_>,
        origin: &Origin,
        handler: HandlerContext<'_>,
    ) -> Result<SentOn> {
        let refused = |obstacle| Ok(SentOn::of(Made::nothing(refused(path.clone(), obstacle))));
        let address = &path.address;
        let sender = &came.envelope.sender;
        let (origin, sender, to) = match onward {
            Onward::Forward(forward) => match origin.forwarded(address) {
                Some(origin) if !was_delivered(&came.message, address) => {
                    let sender = return_path::sender(forward, sender, handler.marker, self.context.clock);
                    (origin, sender, forward.to.clone())
                }
                _ => return refused(Obstacle::ForwardingLoop),
            },
            Onward::List(_) => return refused(Obstacle::ForwardingLoop),
            Onward::Return => {
                let named = return_path::original(address, handler.marker, self.context.clock);
                match named.filter(|_| sender.address.is_none()) {
                    Some(named) => (origin.then(Step::Return(address.clone())), sender.clone(), vec![named]),
                    None => return refused(Obstacle::UnknownReturnPath),
                }
            }
        };
        let kept = if sender == came.envelope.sender { path.parameters.as_slice() } else { &[] };
        let to: Vec<ForwardPath> =
            to.into_iter().map(|address| ForwardPath { address, parameters: kept.to_vec() }).collect();
        let mail_of = |message: &Message| Mail {
            envelope: Envelope { sender: sender.clone(), recipients: to.clone() },
            submitter: Submitter::Host,
            message: message.clone(),
        };
        let policy = onward.policy(handler.policy);
        let owners = mailbox(address, handler.policy);
        let leg_of = |message: &Message, results: Option<&String>| {
            let route = Route {
                policy: &policy,
                by: Readers::Mailbox(&owners),
                results: results.cloned(),
                trace: vec![(DELIVERED.to_owned(), address.to_string())],
            };
            self.leg(mail_of(message), route, handler)
        };
        let message = one.mail.as_ref().map_or(&came.message, |mail| &mail.message);
        let mut leg = leg_of(message, one.results.as_ref())?;
        // The reply must not tell whether the message could be opened: as if it could not.
        if one.results.is_some() && refusal(&leg.made).is_some() {
            leg = leg_of(&came.message, None)?;
        }
        self.send_on(leg, &Origins::all(origin), handler)
    }
}

/// How the recipients of a leg came to be recipients.
#[derive(Default)]
pub(super) struct Origins {
    by_address: HashMap<Address, Origin>,
    others: Origin,
}

impl Origins {
    /// Of those that differ from `as addressed`.
    pub(super) fn new(by_address: HashMap<Address, Origin>) -> Origins {
        Origins { by_address, others: Origin::default() }
    }

    /// The same for all.
    pub(super) fn all(others: Origin) -> Origins {
        Origins { by_address: HashMap::new(), others }
    }

    fn of(&self, address: &Address) -> &Origin {
        self.by_address.get(address).unwrap_or(&self.others)
    }
}

impl Made {
    /// The same for these recipients, apart by their origins.
    fn split(self, recipients: Vec<ForwardPath>, origins: &Origins) -> Vec<Made> {
        let mut all: Vec<Made> = Vec::new();
        for path in recipients {
            let origin = origins.of(&path.address);
            let made = match all.iter_mut().find(|made| made.group.origin == *origin) {
                Some(made) => made,
                None => {
                    let mut made = self.clone();
                    made.group.origin = origin.clone();
                    made.mail.iter_mut().for_each(|mail| mail.envelope.recipients.clear());
                    all.push(made);
                    let Some(made) = all.last_mut() else { continue };
                    made
                }
            };
            made.mail.iter_mut().for_each(|mail| mail.envelope.recipients.push(path.clone()));
            made.group.recipients.push(path);
        }
        all
    }
}

impl SentOn {
    fn of(made: Made) -> SentOn {
        SentOn { made: vec![made], ..SentOn::default() }
    }

    fn join(&mut self, other: SentOn) {
        self.made.extend(other.made);
        self.postings.extend(other.postings);
        self.notes.extend(other.notes);
        self.unopened.extend(other.unopened);
    }
}

/// A recipient whose mail cannot go on.
fn refused(path: ForwardPath, obstacle: Obstacle) -> Group {
    let why = format!("{}: {}", path.address, obstacle.reply());
    Group {
        recipients: vec![path],
        origin: Origin::default(),
        direction: Direction::Outbound,
        rule: NO_RULE.to_owned(),
        obstacle: Some(obstacle),
        cause: None,
        actions: Vec::new(),
        sealing: Sealing::default(),
        disposition: Disposition::Reject(why),
    }
}

/// The first group that is refused for good, or else the first that is for now.
fn refusal(made: &[Made]) -> Option<Group> {
    let is_for_good = |one: &&Made| matches!(one.group.disposition, Disposition::Reject(_));
    let is_for_now = |one: &&Made| matches!(one.group.disposition, Disposition::Tempfail(_));
    made.iter().find(is_for_good).or_else(|| made.iter().find(is_for_now)).map(|one| one.group.clone())
}

/// Whether `message` was sent on from `address` before, as Postfix and qmail mark it too.
fn was_delivered(message: &Message, address: &Address) -> bool {
    let mut fields = message.root().fields().filter(|field| field.is(DELIVERED));
    fields.any(|field| field.unfolded().trim().eq_ignore_ascii_case(&address.to_string()))
}

/// The field above what was sent on from an address.
const DELIVERED: &str = "Delivered-To";
