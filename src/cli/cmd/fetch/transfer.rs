//! Messages on their way from a mailbox on a server to a target, each once.

use std::collections::BTreeSet;

use postseal::{
    base::{Budget, Error, Kind, Limits, Result},
    engine::Handler,
    mail::{Address, Envelope, ForwardPath, Mail, Message, Submitter},
    mailbox::{
        Entry, MessageId, Stored,
        remote::{Gone, RemoteSource, Removal},
    },
    transport::{SessionId, filter::filter},
};

use super::{
    state::{State, Step},
    target::{Taken, Target, sender},
};
use crate::cli::show;

/// What happens to each message.
pub(super) struct Plan<'a> {
    /// Applies the policy; without one, messages are copied as they are.
    pub(super) policy: Option<Policy<'a>>,
    /// Whether the result goes into the mailbox that the message is in. What the policy leaves as it is stays as it is then.
    pub(super) destination: Destination,
    /// What becomes of the original.
    pub(super) removal: Option<Removal>,
    /// What one message may cost.
    pub(super) limits: &'a Limits,
}

/// The policy of a configuration, for the mail of one recipient.
pub(super) struct Policy<'a> {
    pub(super) handler: &'a dyn Handler,
    pub(super) recipient: &'a Address,
    pub(super) session: &'a SessionId,
}

/// Where results go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    /// To another place.
    Elsewhere,
    /// Back into the mailbox.
    SameMailbox,
}

/// What a run did.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Messages that the target has now.
    pub(super) fetched: u64,
    /// Messages that the policy left as they are, or discards.
    pub(super) left: u64,
    /// Messages that could not be handled or were refused, and stay where they are.
    pub(super) failed: u64,
    /// The error of one of them: the first, or the first that may pass.
    pub(super) error: Option<Error>,
}

/// One pass over the new messages of a mailbox.
pub(super) struct Transfer<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) source: &'a mut dyn RemoteSource,
    pub(super) target: &'a mut Target,
    pub(super) state: &'a mut State,
    pub(super) tally: &'a mut Tally,
    /// Messages that failed in this run: they are tried again in the next one.
    pub(super) failed: &'a mut BTreeSet<MessageId>,
    /// Messages that are out of the mailbox when the connection has ended well.
    pub(super) leaving: &'a mut Vec<MessageId>,
    /// Whether to stop after the current message.
    pub(super) stop: &'a dyn Fn() -> bool,
}

/// What became of one message.
enum Handled {
    Fetched,
    Left,
}

impl Transfer<'_> {
    /// Takes what an earlier run has left in the mailbox out of it, and hands over what is new.
    ///
    /// # Errors
    ///
    /// The source or the target cannot be used further. What concerns one message is counted in the tally.
    pub(super) fn run(&mut self) -> Result<()> {
        self.state.check(&self.source.generations())?;
        if self.plan.removal.is_some() {
            self.remove(&self.state.unremoved())?;
        }
        let mut done = Vec::new();
        while !(self.stop)() {
            let (state, failed) = (&*self.state, &*self.failed);
            let Some(entry) = self.source.next(&|id| state.is_done(id) || failed.contains(id))? else { break };
            self.state.check(&self.source.generations())?;
            let progress = self.source.progress();
            let total = progress.total.map(|total| format!(" of {total}")).unwrap_or_default();
            show::progress::now(&format!("{}: {}{total}", self.source.name(), progress.done));
            let id = entry.id.clone();
            match self.handle(entry) {
                Ok(Handled::Fetched) => {
                    self.tally.fetched += 1;
                    done.push(id);
                }
                Ok(Handled::Left) => self.tally.left += 1,
                Err(Failure::Whole(error)) => return Err(error),
                Err(Failure::Message(error)) => self.fail(id, &error),
            }
            if done.len() >= REMOVED_AT_ONCE {
                self.remove(&std::mem::take(&mut done))?;
            }
        }
        self.remove(&done)
    }

    /// Takes messages that the target has out of the mailbox.
    fn remove(&mut self, ids: &[MessageId]) -> Result<()> {
        let Some(removal) = self.plan.removal.as_ref().filter(|_| !ids.is_empty()) else { return Ok(()) };
        // The target's confirmation has to outlive the original.
        self.state.sync()?;
        match self.source.remove(ids, removal)? {
            Gone::Now => self.state.settle(ids),
            Gone::AtTheEnd => {
                self.leaving.extend_from_slice(ids);
                Ok(())
            }
        }
    }

    fn fail(&mut self, id: MessageId, error: &Error) {
        show::warning(&format!("{}: message {id}: {error}; it stays where it is", self.source.name()));
        self.tally.failed += 1;
        let is_worse = |known: &Error| known.is_permanent() && !error.is_permanent();
        if self.tally.error.as_ref().is_none_or(is_worse) {
            self.tally.error = Some(error.clone());
        }
        self.failed.insert(id);
    }

    fn handle(&mut self, entry: Entry) -> Result<Handled, Failure> {
        let Entry { id, content, state } = entry;
        let intent = match self.state.step(&id) {
            Some(Step::Intended(mark)) => Some(mark.clone()),
            _ => None,
        };
        match intent {
            Some(Some(mark)) => {
                if let Some(taken) = self.target.find(&mark).map_err(Failure::Whole)? {
                    return self.finish(&id, taken);
                }
            }
            Some(None) => show::warning(&format!(
                "{}: message {id}: an earlier run ended while it was handed over; the target cannot be asked, and may have it twice now",
                self.source.name()
            )),
            None => {}
        }
        let octets = content.map_err(Failure::Message)?;
        let message = self.parsed(octets.clone())?;
        let result = match &self.plan.policy {
            None => Some(message.clone()),
            Some(policy) => {
                let recipients = vec![ForwardPath { address: policy.recipient.clone(), parameters: Vec::new() }];
                let envelope = Envelope { sender: sender(&message), recipients };
                let mail = Mail { envelope, submitter: Submitter::Unknown, client: None, message };
                let result = filter(policy.handler, policy.session, mail).map_err(Failure::Message)?;
                result.map(|octets| self.parsed(octets)).transpose()?
            }
        };
        // The policy discards it, or there is nothing to do: the original stays.
        let is_unchanged =
            |result: &Message| self.plan.destination == Destination::SameMailbox && result.octets() == octets;
        let Some(result) = result.filter(|result| !is_unchanged(result)) else {
            self.state.record(&id, Step::Settled).map_err(Failure::Whole)?;
            return Ok(Handled::Left);
        };
        let stored = Stored { octets: result.octets(), state: &state };
        let mark = self.target.mark(&stored).map_err(Failure::Whole)?;
        self.state.record(&id, Step::Intended(mark.clone())).map_err(Failure::Whole)?;
        let taken = self.target.take(mark.as_deref(), &stored, &result).map_err(|error| {
            // A refusal of this message, or a target that cannot be used.
            if error.is_permanent() { Failure::Message(error) } else { Failure::Whole(error) }
        })?;
        self.finish(&id, taken)
    }

    fn finish(&mut self, id: &MessageId, taken: Taken) -> Result<Handled, Failure> {
        if self.plan.destination == Destination::SameMailbox {
            let copy = taken.id.ok_or_else(|| {
                let why =
                    "the server has the new message and does not tell where, so that it cannot be told from a new one";
                Failure::Whole(Error::new(Kind::Unavailable, format!("{}: {why}", self.source.name())))
            })?;
            // The copy is not fetched again.
            self.state.record(&copy, Step::Settled).map_err(Failure::Whole)?;
        }
        self.state.record(id, Step::Done).map_err(Failure::Whole)?;
        Ok(Handled::Fetched)
    }

    fn parsed(&self, octets: Vec<u8>) -> Result<Message, Failure> {
        let mut budget = Budget::new(self.plan.limits.clone());
        budget.message(octets.len()).map_err(Failure::Message)?;
        Message::received(octets, &mut budget).map_err(Failure::Message)
    }
}

/// What cannot be done.
enum Failure {
    /// This message.
    Message(Error),
    /// Anything further.
    Whole(Error),
}

/// Messages that are taken out of a mailbox with one command.
const REMOVED_AT_ONCE: usize = 50;
