//! Step 5 of the pipeline: send on what was decided for an address that forwards, or for a list.
use std::sync::atomic::Ordering;

use super::{
    Engine, HandlerContext,
    facts::Readers,
    leg::{Leg, Made, Route},
    list::ForList,
    return_path,
    sent_on::{Origins, SentOn},
};
use crate::{
    base::Result,
    mail::{Address, Envelope, ForwardPath, Mail, Message, Submitter},
    policy::{Direction, Disposition, Group, MailboxCopy, NO_RULE, Obstacle, Onward, Origin, Sealing, Step},
};

impl Engine<'_> {
    /// Limits how often a message of so many octets is opened once more for its forwards and lists: together they may be as long as all copies that are
    /// encrypted ([`Limits::copies`](crate::base::Limits::copies)). It depends on the message as it came alone: the sender may learn of it.
    pub(super) fn limit_onward(&self, octets: usize) {
        let whole = self.limits.copies.saturating_mul(self.limits.message);
        self.onward_left.store((whole / octets.max(LEAST_OPENED)).max(1), Ordering::Relaxed);
    }

    fn may_go_on(&self) -> bool {
        self.onward_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

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
                if !self.may_go_on() {
                    let refused = Group { origin: origin.clone(), ..refused(path, Obstacle::Oversized) };
                    sent_on.push(SentOn::of(Made::nothing(refused)));
                    continue;
                }
                let for_list = ForList { came: &mail, verdict: &verdict, one: &one, path: &path, origin };
                let next = match (onward, handler.policy.lists.of_requests(&path.address)) {
                    (Onward::List(list), _) => self.post(&for_list, list, handler)?,
                    (Onward::Forward(_), Some(list)) => match self.requested(&for_list, list, handler)? {
                        Some(answer) => answer,
                        None => self.next_leg(&mail, &one, &path, onward, origin, handler)?,
                    },
                    (Onward::Forward(_) | Onward::Return, _) => {
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
            client: None,
            message: message.clone(),
        };
        let policy = onward.policy(handler.policy);
        let owners = handler.policy.owners(address);
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
        let leg = leg_of(message, one.results.as_ref());
        // The reply must not tell whether the message could be opened: as if it could not.
        let is_refused = match &leg {
            Ok(leg) => refusal(&leg.made).is_some(),
            Err(error) => error.is_permanent(),
        };
        let leg = if one.results.is_some() && is_refused { leg_of(&came.message, None)? } else { leg? };
        self.send_on(leg, &Origins::all(origin), handler)
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

/// Octets that opening a message costs at least. Source: what is done for each message costs as much as hashing these.
const LEAST_OPENED: usize = 64 * 1024;
