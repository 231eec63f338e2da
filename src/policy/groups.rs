//! Recipients put together by what they get.

use std::collections::HashMap;

use super::{
    Action, Decision, Facts, Group, NO_RULE, Origin, Policy, RecipientFacts, Trial,
    ruling::{Ruling, Walk},
};
use crate::{
    keys::{Forms, KeyState, PassphraseFrom},
    mail::ForwardPath,
};

/// Recipients with the same ruling share a group, unless a ciphertext would tell of one who is hidden, or is none that all of them can read.
pub(super) fn group(policy: &Policy, facts: &Facts<'_>, walks: Vec<Walk>) -> Decision {
    let shown = facts.message.shown();
    let mut groups: Vec<Group> = Vec::new();
    // The groups that others may join, by what they get, with the ciphertexts that all in them can read.
    let mut shared: HashMap<Ruling, Vec<(usize, Forms)>> = HashMap::new();
    let mut trials: Vec<Trial> = Vec::new();
    // Recipients whose mail would be decided alike, and is.
    let mut tried: HashMap<(Ruling, Option<usize>), usize> = HashMap::new();
    for (recipient, walk) in facts.recipients.iter().zip(walks) {
        let ruling = walk.ruling;
        if let Some(trial) = walk.trial {
            let place = *tried.entry((trial.clone(), ruling.rule)).or_insert_with(|| {
                let of_nobody = Group { recipients: Vec::new(), ..of(policy, recipient.path.clone(), &trial) };
                trials.push(Trial { group: of_nobody, instead: name(policy, &ruling) });
                trials.len() - 1
            });
            trials.get_mut(place).into_iter().for_each(|one| one.group.recipients.push(recipient.path.clone()));
        }
        let alone = match page(&ruling) {
            // It has its recipient's own passphrase.
            Some(PassphraseFrom::Store) => true,
            // It does not tell how many can read it.
            Some(PassphraseFrom::Message) => false,
            None => encrypts(&ruling) && !shown.contains(&recipient.path.address),
        };
        if alone {
            groups.push(of(policy, recipient.path.clone(), &ruling));
            continue;
        }
        let forms = facts.forms(recipient, &ruling);
        let open = shared.get_mut(&ruling).and_then(|open| open.iter_mut().find(|(_, own)| !own.in_common(forms).is_empty()));
        match open {
            Some((place, own)) => {
                *own = own.in_common(forms);
                groups.get_mut(*place).into_iter().for_each(|group| group.recipients.push(recipient.path.clone()));
            }
            None => {
                groups.push(of(policy, recipient.path.clone(), &ruling));
                shared.entry(ruling).or_default().push((groups.len() - 1, forms));
            }
        }
    }
    Decision { groups, trials }
}

impl Facts<'_> {
    /// The ciphertexts that `recipient` can read, as far as what is ruled is one.
    fn forms(&self, recipient: &RecipientFacts, ruling: &Ruling) -> Forms {
        let protocol = ruling.actions.iter().find_map(Action::encrypts_in);
        let key = protocol.and_then(|protocol| self.reading(recipient, &ruling.sealing).get(&protocol));
        key.map_or(Forms::ALL, KeyState::forms)
    }
}

/// One recipient's group.
pub(super) fn of(policy: &Policy, recipient: ForwardPath, ruling: &Ruling) -> Group {
    Group {
        recipients: vec![recipient],
        origin: Origin::default(),
        direction: ruling.direction,
        rule: name(policy, ruling),
        obstacle: ruling.obstacle,
        cause: ruling.cause.clone(),
        actions: ruling.actions.clone(),
        sealing: ruling.sealing.clone(),
        disposition: ruling.disposition.clone(),
    }
}

fn name(policy: &Policy, ruling: &Ruling) -> String {
    let rule = ruling.rule.and_then(|place| policy.rules.get(place));
    rule.map_or_else(|| NO_RULE.to_owned(), |rule| rule.name.clone())
}

fn page(ruling: &Ruling) -> Option<PassphraseFrom> {
    ruling.actions.iter().find_map(|action| match action {
        Action::Page(from) => Some(*from),
        _ => None,
    })
}

fn encrypts(ruling: &Ruling) -> bool {
    ruling.actions.iter().any(Action::encrypts)
}
