//! A policy that is log-only: a mail is handled as the rules say, and goes on as it came.

use super::{
    Engine, HandlerContext, Judged, Outcome,
    accounting::{Times, UsedKeys},
    leg::copy_for,
    page::without_passphrase,
};
use crate::{
    base::Result,
    mail::{Mail, Message},
    policy::{Decision, Group, Policy},
};

impl Engine<'_> {
    /// The outcome by which `mail` goes on as it came, with what would have been done. Nothing refuses the mail, also no error. Only a passphrase that
    /// the author wrote for a page is taken out: no other reader may see it.
    ///
    /// # Errors
    ///
    /// There are no recipients.
    pub(super) fn rehearse(&self, mail: Mail, handler: HandlerContext<'_>) -> Result<Outcome> {
        let untouched = Mail { message: without_passphrase(&mail.message, self.budget()), ..mail.clone() };
        let recipients = mail.envelope.recipients.clone();
        let would_be = match self.handle_in_force(mail, handler) {
            Ok(outcome) => outcome,
            Err(error) if recipients.is_empty() => return Err(error),
            Err(error) => {
                tracing::warn!(event = "log-only-failed", kind = error.kind().name(), %error);
                let verdict = Judged::of(&self.unopened(&untouched));
                return Ok(Outcome::untouched(&untouched, handler.policy, Vec::new(), verdict, Times::default()));
            }
        };
        let members = would_be.postings.iter().flat_map(|posting| posting.groups()).cloned();
        let trials = would_be.decision.groups.iter().cloned().chain(members).collect();
        Ok(Outcome::untouched(&untouched, handler.policy, trials, would_be.verdict, would_be.times))
    }
}

impl Outcome {
    fn untouched(mail: &Mail, policy: &Policy, trials: Vec<Group>, verdict: Judged, times: Times) -> Outcome {
        let groups = by_direction(mail, policy);
        let message: &Message = &mail.message;
        Outcome {
            mails: groups.iter().map(|group| copy_for(group, mail, message.clone())).collect(),
            postings: Vec::new(),
            verdict,
            keys: vec![UsedKeys::default(); groups.len()],
            decision: Decision::untouched(groups, trials),
            aliases: Vec::new(),
            joined: Vec::new(),
            notes: Vec::new(),
            unopened: Vec::new(),
            times,
        }
    }
}

/// The recipients, in a group for each direction.
fn by_direction(mail: &Mail, policy: &Policy) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for path in &mail.envelope.recipients {
        let direction = policy.direction(&mail.submitter, &path.address);
        match groups.iter_mut().find(|group| group.direction == direction) {
            Some(group) => group.recipients.push(path.clone()),
            None => groups.push(Group::untouched(path.clone(), direction)),
        }
    }
    groups
}
