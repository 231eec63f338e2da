//! What is taken from a judge: a process that may have been changed by the mail that it read cannot send mail to others, nor write lines of its own into a
//! dialogue.

use std::collections::HashSet;

use super::channel::gone;
use crate::{
    base::Result,
    engine::Outcome,
    mail::{Address, Envelope, ForwardPath, Mail},
    policy::{Group, Policy},
};

/// Whom the outcomes of one mail may name. By default none.
#[derive(Default)]
pub(super) struct Acceptance {
    addresses: HashSet<Address>,
    /// How many recipients only the judge can read: the senders in rewritten addresses.
    hidden: usize,
}

impl Acceptance {
    /// The recipients of `envelope`, and those that `policy` makes of them.
    pub(super) fn of(envelope: &Envelope, policy: &Policy) -> Acceptance {
        let mut addresses: HashSet<Address> = envelope.recipients.iter().map(|path| path.address.clone()).collect();
        let mut hidden = 0;
        for delivery in policy.expand(&envelope.recipients) {
            hidden += usize::from(delivery.to.is_none());
            addresses.extend(delivery.to);
        }
        Acceptance { addresses, hidden }
    }

    /// Whether mail for `address` is made of this mail, as far as the service can read that.
    pub(super) fn has(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }

    /// # Errors
    ///
    /// `TryAgain`: the outcome names somebody else, or holds a control character.
    pub(super) fn check(&self, outcome: &Outcome) -> Result<()> {
        let groups = outcome.decision.groups.iter();
        let named = groups.clone().flat_map(|group| &group.recipients);
        let mut others: HashSet<&Address> = HashSet::new();
        for path in named.chain(outcome.mails.iter().flat_map(|mail| &mail.envelope.recipients)) {
            if !self.addresses.contains(&path.address) && others.insert(&path.address) && others.len() > self.hidden {
                return Err(gone(&format_args!("it names {}, who is no recipient", path.address)));
            }
        }
        let posted = outcome.postings.iter().flat_map(|posting| posting.groups());
        let trials = outcome.decision.trials.iter().map(|trial| &trial.group);
        groups.chain(posted).chain(trials).try_for_each(check_group)?;
        outcome.mails.iter().try_for_each(check_envelope)
    }
}

/// # Errors
///
/// `TryAgain`: the envelope holds a control character.
pub(super) fn check_envelope(mail: &Mail) -> Result<()> {
    let Envelope { sender, recipients } = &mail.envelope;
    let parameters = |path: &ForwardPath| path.parameters.clone();
    let words = sender.parameters.iter().cloned().chain(recipients.iter().flat_map(parameters));
    let addresses = sender.address.iter().chain(recipients.iter().map(|path| &path.address));
    check_words(words.chain(addresses.map(ToString::to_string)))
}

fn check_group(group: &Group) -> Result<()> {
    let said = [Some(group.rule.as_str()), group.cause.as_deref(), group.disposition.reason()];
    check_words(said.into_iter().flatten().map(str::to_owned))
}

fn check_words(mut words: impl Iterator<Item = String>) -> Result<()> {
    if words.any(|word| word.chars().any(char::is_control)) {
        return Err(gone(&"a control character where none may be"));
    }
    Ok(())
}
