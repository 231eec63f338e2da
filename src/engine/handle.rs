//! The whole pipeline for one mail: open, judge, gather facts, decide, act.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{Engine, act::Acting, edit::Edits, marker};
use crate::{
    base::{Error, Kind, Result, Secret},
    keys::Snapshot,
    mail::{Address, Envelope, Mail, Message},
    policy::{Action, Decision, Disposition, Group, Policy, Sealing},
    report::authserv::Believed,
    verdict::Verdict,
};

/// What a mail became.
#[derive(Debug)]
pub struct Outcome {
    /// What goes on: one mail for each group of recipients that [`Relay`](Disposition::Relay) or [`Quarantine`](Disposition::Quarantine)
    /// concerns, in the order of the groups.
    pub mails: Vec<Mail>,
    /// What was found in it as it came.
    pub verdict: Verdict,
    /// Who gets what, and which rule said so.
    pub decision: Decision,
    /// The keys used for each group of the decision, in its order; of a group that was not sealed, none.
    pub keys: Vec<UsedKeys>,
    /// What was done, one lower-case line each, for the person who sends: `signed by FINGERPRINT`.
    pub notes: Vec<String>,
    /// The recipients for whom a rule decrypts, and who get the message as it came because it could not be opened for them.
    pub unopened: Vec<Unopened>,
    /// How long the steps took.
    pub times: Times,
}

/// A recipient for whom a message could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// The address in the envelope.
    pub recipient: Address,
    /// Why not, for the log only.
    pub reason: String,
}

/// The keys that a message was sealed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsedKeys {
    /// The fingerprints of those that signed.
    pub signers: Vec<String>,
    /// The fingerprints of those that it was encrypted to.
    pub readers: Vec<String>,
    /// What is doubtful about one of them, one line each.
    pub warnings: Vec<String>,
}

/// How long the steps of handling one mail took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// To open and judge it.
    pub open: Duration,
    /// To look up the keys of its author and its recipients.
    pub resolve: Duration,
    /// To make what each group gets.
    pub act: Duration,
}

/// The one thing that every transport calls.
pub trait Handler: Send + Sync {
    /// Handles one mail: opens, judges, decides, and acts.
    ///
    /// # Errors
    ///
    /// The work could not be done: nothing went on, and the sender keeps the mail. `TryAgain` and `Unavailable` are worth a retry.
    fn handle(&self, mail: Mail) -> Result<Outcome>;

    /// The message with a field that says that it was handled for these recipients, for a copy that comes by again: [`Handler::handle`]
    /// then only removes the field. Only holders of the marker secret can make one.
    ///
    /// # Errors
    ///
    /// The message is over the bounds.
    fn mark(&self, mail: &Mail) -> Result<Message>;
}

/// The policy of this host, and its name, for one call of [`Engine::handle`].
#[derive(Clone, Copy, Debug)]
pub struct HandlerContext<'a> {
    /// Who gets what.
    pub policy: &'a Policy,
    /// The authserv-id in Authentication-Results, usually the host's name (RFC 8601, section 2.5).
    pub name: &'a str,
    /// The authserv-ids of other hosts whose Authentication-Results fields stay.
    pub authserv_ids: &'a [String],
    /// What makes a mark one of ours: 16 octets or more, shared by all that handle the same mail.
    pub marker: &'a Secret,
}

impl<'a> HandlerContext<'a> {
    /// Whose Authentication-Results fields are believed.
    pub fn believed(&self) -> Believed<'a> {
        Believed { own: self.name, hosts: self.authserv_ids }
    }
}

impl Engine<'_> {
    /// Handles one mail. Every recipient of the envelope ends in exactly one group.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`].
    pub fn handle(&self, mail: Mail, handler: HandlerContext<'_>) -> Result<Outcome> {
        let keys = Snapshot::new(self.context.keys, self.limits.network);
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
        let gathered = self.gather_from_snapshot(&mail, handler.policy)?;
        let decision = handler.policy.decide(&gathered.facts(&mail));
        account_for(&mail.envelope, &decision)?;
        let mut acting = Acting {
            engine: self,
            mail: &mail,
            gathered: &gathered,
            believed: handler.believed(),
            groups: decision.groups.len(),
            made: Vec::new(),
            notes: Vec::new(),
        };
        let start = Instant::now();
        let (mut mails, mut keys) = (Vec::new(), vec![UsedKeys::default(); decision.groups.len()]);
        let mut unopened = Vec::new();
        let mut octets = 0_usize;
        for (group, used) in decision.groups.iter().zip(&mut keys) {
            let message = match group.disposition {
                Disposition::Relay => {
                    let message;
                    (message, *used) = acting.message_for(group)?;
                    unopened.extend(gathered.unopened(group, handler.policy));
                    octets += if group.encrypts() { message.octets().len() } else { 0 };
                    self.budget().copies(octets)?;
                    message
                }
                Disposition::Quarantine(_) => acting.held()?,
                Disposition::Discard | Disposition::Reject(_) | Disposition::Tempfail(_) => continue,
            };
            mails.push(copy_for(group, &mail, message));
        }
        let notes = acting.notes;
        let times = Times { act: start.elapsed(), ..gathered.times };
        Ok(Outcome { mails, verdict: gathered.verdict, decision, keys, notes, unopened, times })
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
        let decision = Decision { groups };
        Ok(Outcome { mails, verdict, decision, keys, notes: Vec::new(), unopened: Vec::new(), times: Times::default() })
    }

    fn edited(&self, message: &Message, edits: &Edits) -> Result<Message> {
        match edits.apply(message, |_| false) {
            Some(octets) => Message::received(octets, &mut self.budget()),
            None => Ok(message.clone()),
        }
    }
}

impl Outcome {
    /// The groups that something goes on for, each with its mail.
    pub fn copies(&self) -> impl Iterator<Item = (&Group, &Mail)> {
        let goes_on = |group: &&Group| matches!(group.disposition, Disposition::Relay | Disposition::Quarantine(_));
        self.decision.groups.iter().filter(goes_on).zip(&self.mails)
    }

    /// What is relayed, in as few transactions as there are different messages.
    pub fn transactions(&self) -> Vec<Mail> {
        let mut transactions: Vec<Mail> = Vec::new();
        for (_, mail) in self.copies().filter(|(group, _)| group.disposition == Disposition::Relay) {
            match transactions.iter_mut().find(|other| other.message.octets() == mail.message.octets()) {
                Some(other) => other.envelope.recipients.extend(mail.envelope.recipients.iter().cloned()),
                None => transactions.push(mail.clone()),
            }
        }
        transactions
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

fn copy_for(group: &Group, mail: &Mail, message: Message) -> Mail {
    let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: group.recipients.clone() };
    Mail { envelope, submitter: mail.submitter.clone(), message }
}

/// Checks that each recipient is in exactly one group.
fn account_for(envelope: &Envelope, decision: &Decision) -> Result<()> {
    let mut open: HashMap<&Address, isize> = HashMap::new();
    for path in &envelope.recipients {
        *open.entry(&path.address).or_default() += 1;
    }
    for path in decision.groups.iter().flat_map(|group| &group.recipients) {
        *open.entry(&path.address).or_default() -= 1;
    }
    match open.iter().find(|(_, count)| **count != 0) {
        None => Ok(()),
        Some((address, _)) => Err(Error::unavailable(format!("{address}: not in exactly one group of the decision"))),
    }
}
