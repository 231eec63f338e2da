//! The whole pipeline for one mail: open, judge, gather facts, decide, act.

use std::{collections::HashSet, ops::Range, sync::Arc};

use super::{
    Engine, HandlerContext, Judged, Posting,
    accounting::{Times, Unopened, UsedKeys},
    edit::Edits,
    facts::Readers,
    leg::{Made, Route, copy_for},
    marker,
    page::Submitted,
    sent_on::{Origins, SentOn, joined},
};
use crate::{
    base::{Budget, Error, Kind, Limits, Result},
    keys::Snapshot,
    mail::{Address, Envelope, Mail, Message},
    policy::{Action, Decision, Disposition, Group, Mode, Origin, Policy, Sealing, Unaliased},
    verdict::{Standing, Verdict},
};

/// What a mail became.
#[derive(Debug)]
pub struct Outcome {
    /// What goes on: one mail for each group of recipients that [`Relay`](Disposition::Relay) or [`Quarantine`](Disposition::Quarantine)
    /// concerns, in the order of the groups.
    pub mails: Vec<Mail>,
    /// What goes to the members of lists: one for each list that is posted to. Their mails are made with [`Handler::copies`], after all of `mails` were
    /// sent.
    pub postings: Vec<Arc<Posting>>,
    /// What was found in it as it came.
    pub verdict: Judged,
    /// Who gets what, and which rule said so.
    pub decision: Decision,
    /// The aliases of the envelope, with the recipients that they stand for.
    pub aliases: Vec<(Address, Vec<Address>)>,
    /// An address whose mail goes on, and a recipient of it who has a copy already.
    pub joined: Vec<(Address, Address)>,
    /// The keys used for each group of the decision, in its order; of a group that was not sealed, none.
    pub keys: Vec<UsedKeys>,
    /// What was done, one lower-case line each, for the person who sends: `signed by FINGERPRINT`.
    pub notes: Vec<String>,
    /// The recipients for whom a rule decrypts, and who get the message as it came because it could not be opened for them.
    pub unopened: Vec<Unopened>,
    /// How long the steps took.
    pub times: Times,
}

/// The one thing that every transport calls.
pub trait Handler: Send + Sync {
    /// Handles one mail: opens, judges, decides, and acts.
    ///
    /// # Errors
    ///
    /// The work could not be done: nothing went on, and the sender keeps the mail. `TryAgain` and `Unavailable` are worth a retry.
    fn handle(&self, mail: Mail) -> Result<Outcome>;

    /// Those of the [`Posting::mails`] of a posting with these numbers. Where a member's mail goes on it can be more, or fewer.
    ///
    /// # Errors
    ///
    /// They cannot be made, and nothing of them may be sent.
    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>>;

    /// The message with a field that says that it was handled for these recipients, for a copy that comes by again: [`Handler::handle`]
    /// then only removes the field. Only holders of the marker secret can make one.
    ///
    /// # Errors
    ///
    /// The message is over the bounds.
    fn mark(&self, mail: &Mail) -> Result<Message>;

    /// A message that arrived, read as far as this handler needs it: of a handler that passes it on to another process, the fields of its header alone
    /// ([`Message::undivided`]).
    ///
    /// # Errors
    ///
    /// `Malformed`: it is over the bounds.
    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        Message::received(octets, &mut Budget::new(limits.clone()))
    }
}

impl<H: Handler + ?Sized> Handler for Box<H> {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        (**self).handle(mail)
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        (**self).copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        (**self).mark(mail)
    }

    fn receive(&self, octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        (**self).receive(octets, limits)
    }
}

impl Engine<'_> {
    /// Handles one mail. Every recipient of the envelope ends in exactly one group.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`].
    pub fn handle(&self, mail: Mail, handler: HandlerContext<'_>) -> Result<Outcome> {
        match handler.policy.mode {
            Mode::Enforce => self.handle_in_force(mail, handler),
            Mode::LogOnly if marker::is_on(&mail, handler.marker, handler.believed()) => {
                self.pass_on(mail, handler.policy)
            }
            Mode::LogOnly => self.rehearse(mail, handler),
        }
    }

    /// As the policy says.
    pub(super) fn handle_in_force(&self, mail: Mail, handler: HandlerContext<'_>) -> Result<Outcome> {
        let Submitted { mail, passphrase } = Submitted::of(mail, self.budget())?;
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        let keys = keys.reaching(handler.policy.discovered(&mail)).bringing(passphrase);
        self.with_keys(&keys).handle_from_snapshot(mail, handler)
    }

    fn handle_from_snapshot(&self, mail: Mail, handler: HandlerContext<'_>) -> Result<Outcome> {
        // Without recipients the result would be thrown away.
        if mail.envelope.recipients.is_empty() {
            return Err(Error::usage("envelope: no recipients"));
        }
        if marker::is_on(&mail, handler.marker, handler.believed()) {
            return self.pass_on(mail, handler.policy);
        }
        let policy = handler.policy;
        self.limit_onward(mail.message.octets().len());
        let Mail { envelope: Envelope { sender, recipients }, submitter, client, message } = mail;
        let Unaliased { recipients, aliases } = policy.unalias(recipients);
        let origins = recipients.iter().filter(|(_, origin)| !origin.is_as_addressed());
        let origins = Origins::new(origins.map(|(path, origin)| (path.address.clone(), origin.clone())).collect());
        let recipients = recipients.into_iter().map(|(path, _)| path).collect();
        let mail = Mail { envelope: Envelope { sender, recipients }, submitter, client, message };
        let route = Route { policy, by: Readers::Recipients, results: None, trace: Vec::new() };
        let leg = self.leg(mail, route, handler)?;
        let (verdict, times, trials) = (leg.verdict.clone(), leg.times, leg.trials.clone());
        let SentOn { made, mut postings, notes, unopened } = self.send_on(leg, &origins, handler)?;
        let (made, joined) = joined(made);
        // A list that is reached on several ways is posted to once.
        let mut posted = HashSet::new();
        postings.retain(|posting| posted.insert((posting.list().address.clone(), posting.is_post())));
        let sent_on = SentOn { made, postings, notes, unopened };
        let mut outcome = Outcome { aliases, joined, times, ..Outcome::of(sent_on, verdict) };
        outcome.decision.trials = trials;
        Ok(outcome)
    }

    /// See [`Handler::mark`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn mark(&self, mail: &Mail, handler: HandlerContext<'_>) -> Result<Message> {
        let mut edits = Edits::default();
        edits.remove(marker::NAME);
        edits.add_raw(marker::field(mail, handler.marker, handler.believed()));
        self.edited(&mail.message, &edits)
    }

    /// A copy that was handled before: only the mark is removed, which authenticates the rest of the message.
    fn pass_on(&self, mail: Mail, policy: &Policy) -> Result<Outcome> {
        let mut edits = Edits::default();
        edits.remove(marker::NAME);
        let message = self.edited(&mail.message, &edits)?;
        let verdict = self.unopened(&mail);
        let direction_of = |address: &Address| policy.direction(&mail.submitter, address);
        let mut groups: Vec<Group> = Vec::new();
        for path in &mail.envelope.recipients {
            let direction = direction_of(&path.address);
            match groups.iter_mut().find(|group| group.direction == direction) {
                Some(group) => group.recipients.push(path.clone()),
                None => groups.push(Group {
                    recipients: vec![path.clone()],
                    origin: Origin::default(),
                    direction,
                    rule: HANDLED.to_owned(),
                    obstacle: None,
                    cause: None,
                    actions: vec![Action::Keep],
                    sealing: Sealing::default(),
                    disposition: Disposition::Relay,
                }),
            }
        }
        let mails = groups.iter().map(|group| copy_for(group, &mail, message.clone())).collect();
        let keys = vec![UsedKeys::default(); groups.len()];
        let decision = Decision { groups, trials: Vec::new() };
        Ok(Outcome {
            mails,
            postings: Vec::new(),
            verdict: Judged::of(&verdict),
            decision,
            aliases: Vec::new(),
            joined: Vec::new(),
            keys,
            notes: Vec::new(),
            unopened: Vec::new(),
            times: Times::default(),
        })
    }

    fn edited(&self, message: &Message, edits: &Edits) -> Result<Message> {
        match edits.apply(message, |_| false) {
            Some(octets) => Message::received(octets, &mut self.budget()),
            None => Ok(message.clone()),
        }
    }
}

impl Outcome {
    /// What was made of a mail without aliases.
    pub(super) fn of(SentOn { made, postings, notes, unopened }: SentOn, verdict: Verdict) -> Outcome {
        let mut outcome = Outcome {
            mails: Vec::new(),
            postings,
            verdict: Judged::of(&verdict),
            decision: Decision { groups: Vec::new(), trials: Vec::new() },
            aliases: Vec::new(),
            joined: Vec::new(),
            keys: Vec::new(),
            notes,
            unopened,
            times: Times::default(),
        };
        for Made { group, mail, keys, .. } in made {
            outcome.mails.extend(mail);
            outcome.decision.groups.push(group);
            outcome.keys.push(keys);
        }
        outcome
    }

    /// The groups that something goes on for, each with its mail.
    pub fn copies(&self) -> impl Iterator<Item = (&Group, &Mail)> {
        let goes_on = |group: &&Group| matches!(group.disposition, Disposition::Relay | Disposition::Quarantine(_));
        self.decision.groups.iter().filter(goes_on).zip(&self.mails)
    }

    /// The author, if the message is authentic.
    pub fn authentic_author(&self) -> Option<&Address> {
        self.verdict.author().filter(|_| self.verdict.standing() == Standing::Authentic)
    }

    /// Octets in memory while its mails are sent.
    pub fn octets(&self) -> usize {
        let mails = self.mails.iter().map(|mail| mail.message.octets().len());
        mails.chain(self.postings.iter().map(|posting| posting.octets())).sum()
    }

    /// What is relayed, in as few transactions as there are different messages and senders.
    pub fn transactions(&self) -> Vec<Mail> {
        let mut transactions: Vec<Mail> = Vec::new();
        for (_, mail) in self.copies().filter(|(group, _)| group.disposition == Disposition::Relay) {
            let is_same = |other: &&mut Mail| {
                other.envelope.sender == mail.envelope.sender && other.message.octets() == mail.message.octets()
            };
            match transactions.iter_mut().find(is_same) {
                Some(other) => other.envelope.join(&mail.envelope),
                None => transactions.push(mail.clone()),
            }
        }
        transactions
    }

    /// The addresses that a recipient of the envelope became: itself, unless it is an alias or its mail goes on.
    pub fn deliveries<'a>(&'a self, addressee: &'a Address) -> impl Iterator<Item = &'a Address> {
        let members = self.aliases.iter().find(|(alias, _)| alias == addressee);
        let members = members.map_or(std::slice::from_ref(addressee), |(_, members)| members.as_slice());
        let groups = self.decision.groups.iter();
        let all =
            groups.flat_map(|group| group.recipients.iter().map(|path| (group.origin.sent_on_from(), &path.address)));
        let joined = self.joined.iter().map(|(from, to)| (Some(from), to));
        all.chain(joined).filter(move |(from, to)| members.contains(from.unwrap_or(to))).map(|(_, to)| to)
    }

    /// The first group that gets nothing and whose sender has to know, with the error for the sender: `TryAgain` when it may pass later,
    /// otherwise `NoKey`, not permitted.
    pub fn refusal(&self) -> Option<Error> {
        let (group, kind, why) = self.refused()?;
        Some(Error::new(kind, of_recipients(group, why)))
    }

    /// As [`Outcome::refusal`], for a sender on this machine: with what is wrong with the machine.
    pub fn local_refusal(&self) -> Option<Error> {
        let (group, kind, why) = self.refused()?;
        Some(Error::new(kind, of_recipients(group, group.cause.as_deref().unwrap_or(why))))
    }

    fn refused(&self) -> Option<(&Group, Kind, &str)> {
        let groups = &self.decision.groups;
        let permanent = groups.iter().find_map(|group| match &group.disposition {
            Disposition::Reject(why) => Some((group, Kind::NoKey, why.as_str())),
            _ => None,
        });
        permanent.or_else(|| {
            groups.iter().find_map(|group| match &group.disposition {
                Disposition::Tempfail(why) => Some((group, Kind::TryAgain, why.as_str())),
                _ => None,
            })
        })
    }
}

/// What the groups of a copy that was handled before call their rule.
pub const HANDLED: &str = "handled before";

fn of_recipients(group: &Group, why: &str) -> String {
    let shown: Vec<String> = group.recipients.iter().take(3).map(|path| path.address.to_string()).collect();
    let more = if group.recipients.len() > shown.len() { ", ..." } else { "" };
    let shown = format!("{}{more}: ", shown.join(", "));
    let shown = if why.starts_with(&shown) { "" } else { &shown };
    format!("{shown}{why} (rule {:?})", group.rule)
}
