//! Steps 1 to 5 for one policy: what the recipients of one mail get.

use std::{collections::HashMap, time::Instant};

use super::{
    Engine, HandlerContext,
    accounting::{Times, Unopened, UsedKeys},
    act::{Acting, Written},
    decided,
    facts::Readers,
};
use crate::{
    base::{Error, Result},
    mail::{Address, Envelope, Mail, Message},
    policy::{Action, Decision, Disposition, Group, Policy, Trial},
    verdict::Verdict,
};

/// How a mail is handled.
pub(super) struct Route<'a> {
    pub(super) policy: &'a Policy,
    pub(super) by: Readers<'a>,
    /// The field with what was found in the message before it was opened, if it was.
    pub(super) results: Option<String>,
    /// Field names and values above what is relayed, outside of what is sealed.
    pub(super) trace: Vec<(String, String)>,
}

/// A mail with what its recipients get.
pub(super) struct Leg {
    pub(super) mail: Mail,
    pub(super) verdict: Verdict,
    pub(super) made: Vec<Made>,
    /// What rules that are log-only would have done.
    pub(super) trials: Vec<Trial>,
    pub(super) notes: Vec<String>,
    pub(super) unopened: Vec<Unopened>,
    pub(super) times: Times,
}

/// What one group gets.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) group: Group,
    /// What goes on or is held.
    pub(super) mail: Option<Mail>,
    /// What was found in the message, when the copy was made from its plaintext: the field.
    pub(super) results: Option<String>,
    pub(super) keys: UsedKeys,
    /// Whether it is still encrypted as it came.
    pub(super) is_unopened: bool,
}

impl Made {
    /// For a group that gets nothing.
    pub(super) fn nothing(group: Group) -> Made {
        Made { group, mail: None, results: None, keys: UsedKeys::default(), is_unopened: false }
    }
}

impl Engine<'_> {
    /// Handles `mail` by one policy. Each recipient is in exactly one copy.
    ///
    /// # Errors
    ///
    /// As [`Handler::handle`](super::Handler::handle).
    pub(super) fn leg(&self, mail: Mail, route: Route<'_>, handler: HandlerContext<'_>) -> Result<Leg> {
        let gathered = self.gather_from_snapshot(&mail, route.policy, route.by)?;
        let facts = gathered.facts(&mail);
        let mut decision = route.policy.decide(&facts);
        if matches!(route.by, Readers::Recipients) {
            decided::log(route.policy, &facts, &decision);
        }
        account_for(&mail.envelope, &decision)?;
        for group in decision.groups.iter_mut().filter(|group| group.disposition == Disposition::Relay) {
            group
                .actions
                .extend(route.trace.iter().map(|(name, value)| Action::AddHeader(name.clone(), value.clone())));
        }
        let mut acting = Acting {
            engine: self,
            mail: &mail,
            gathered: &gathered,
            believed: handler.believed(),
            groups: decision.groups.len(),
            results: route.results,
            made: Vec::new(),
            budget: self.budget(),
            notes: Vec::new(),
        };
        let start = Instant::now();
        let (mut made, mut unopened, mut octets) = (Vec::new(), Vec::new(), 0_usize);
        for group in decision.groups {
            let written = match group.disposition {
                Disposition::Relay => {
                    let written = acting.message_for(&group)?;
                    unopened.extend(gathered.unopened(&group, route.policy));
                    octets += if group.encrypts() { written.message.octets().len() } else { 0 };
                    self.budget().copies(octets)?;
                    Some(written)
                }
                Disposition::Quarantine(_) => Some(Written::unsealed(acting.held()?)),
                Disposition::Discard | Disposition::Post | Disposition::Reject(_) | Disposition::Tempfail(_) => None,
            };
            made.push(match written {
                None => Made::nothing(group),
                Some(Written { message, keys, results }) => {
                    let is_unopened = gathered.is_encrypted() && results.is_none();
                    Made { mail: Some(copy_for(&group, &mail, message)), group, results, keys, is_unopened }
                }
            });
        }
        let notes = acting.notes;
        let times = Times { act: start.elapsed(), ..gathered.times };
        Ok(Leg { mail, verdict: gathered.verdict, made, trials: decision.trials, notes, unopened, times })
    }
}

/// What goes on for `group`.
pub(super) fn copy_for(group: &Group, mail: &Mail, message: Message) -> Mail {
    let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: group.recipients.clone() };
    Mail { envelope, submitter: mail.submitter.clone(), client: mail.client, message }
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
