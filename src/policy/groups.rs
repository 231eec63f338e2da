//! Recipients put together by what they get.

use std::collections::{HashMap, HashSet};

use super::{
    Action, Decision, Facts, Group, NO_RULE, Origin, Policy,
    ruling::{Ruling, Walk},
};
use crate::{
    keys::PassphraseFrom,
    mail::{Address, ForwardPath, address},
};

/// Recipients with the same ruling share a group, unless a ciphertext would tell of one who is hidden.
pub(super) fn group(policy: &Policy, facts: &Facts<'_>, walks: Vec<Walk>) -> Decision {
    let shown = shown(facts);
    let mut groups: Vec<Group> = Vec::new();
    // The groups that others may join, by what they get.
    let mut shared: HashMap<Ruling, usize> = HashMap::new();
    for (recipient, walk) in facts.recipients.iter().zip(walks) {
        let ruling = walk.ruling;
        let alone = match page(&ruling) {
            // It has its recipient's own passphrase.
            Some(PassphraseFrom::Store) => true,
            // It does not tell how many can read it.
            Some(PassphraseFrom::Message) => false,
            None => encrypts(&ruling) && !shown.contains(&recipient.path.address),
        };
        let place = shared.get(&ruling).copied().filter(|_| !alone);
        match place.and_then(|place| groups.get_mut(place)) {
            Some(group) => group.recipients.push(recipient.path.clone()),
            None => {
                groups.push(of(policy, recipient.path.clone(), &ruling));
                if !alone {
                    shared.insert(ruling, groups.len() - 1);
                }
            }
        }
    }
    Decision { groups }
}

/// One recipient's group.
pub(super) fn of(policy: &Policy, recipient: ForwardPath, ruling: &Ruling) -> Group {
    let rule = ruling.rule.and_then(|place| policy.rules.get(place));
    Group {
        recipients: vec![recipient],
        origin: Origin::default(),
        direction: ruling.direction,
        rule: rule.map_or_else(|| NO_RULE.to_owned(), |rule| rule.name.clone()),
        obstacle: ruling.obstacle,
        cause: ruling.cause.clone(),
        actions: ruling.actions.clone(),
        sealing: ruling.sealing.clone(),
        disposition: ruling.disposition.clone(),
    }
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

/// The recipients that every reader sees (RFC 5322, section 3.6.3). A field that cannot be read shows none: when in doubt, hide.
fn shown(facts: &Facts<'_>) -> HashSet<Address> {
    // Such a message is never encrypted, and its lists may have a hundred thousand addresses.
    if facts.message.unread().is_some() {
        return HashSet::new();
    }
    let fields = facts.message.root().fields().filter(|field| field.is("To") || field.is("Cc"));
    fields
        .flat_map(|field| address::list(&field.unfolded()).unwrap_or_default())
        .map(|mailbox| mailbox.address)
        .collect()
}
