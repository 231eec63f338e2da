//! What all recipients get, after forwards and lists.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{Posting, accounting::Unopened, leg::Made};
use crate::{
    mail::{Address, ForwardPath},
    policy::{Disposition, Origin},
};

/// What all recipients get in the end.
#[derive(Default)]
pub(super) struct SentOn {
    pub(super) made: Vec<Made>,
    pub(super) postings: Vec<Arc<Posting>>,
    pub(super) notes: Vec<String>,
    pub(super) unopened: Vec<Unopened>,
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

    /// That of one of them.
    pub(super) fn of(&self, address: &Address) -> &Origin {
        self.by_address.get(address).unwrap_or(&self.others)
    }
}

impl Made {
    fn recipients(&self) -> impl Iterator<Item = &Address> {
        self.group.recipients.iter().map(|path| &path.address)
    }

    /// The same for these recipients, apart by their origins.
    pub(super) fn split(self, recipients: Vec<ForwardPath>, origins: &Origins) -> Vec<Made> {
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
    /// What one group gets.
    pub(super) fn of(made: Made) -> SentOn {
        SentOn { made: vec![made], ..SentOn::default() }
    }

    /// With what others get.
    pub(super) fn join(&mut self, other: SentOn) {
        self.made.extend(other.made);
        self.postings.extend(other.postings);
        self.notes.extend(other.notes);
        self.unopened.extend(other.unopened);
    }
}

/// One copy for a recipient to whom mail goes on from several addresses, or who is a recipient beside. The first copy stays, unless it could not be
/// opened. The result also has each address with the recipient of the copy that was left out.
pub(super) fn joined(made: Vec<Made>) -> (Vec<Made>, Vec<(Address, Address)>) {
    let is_open = |one: &Made| one.group.disposition == Disposition::Relay && !one.is_unopened;
    let named = made.iter().filter(|one| is_open(one) && one.group.origin.sent_on_from().is_none());
    let mut known: HashSet<Address> = named.flat_map(Made::recipients).cloned().collect();
    let (mut kept, mut left_out) = (Vec::new(), Vec::new());
    for mut one in made {
        if let Some(from) =
            one.group.origin.sent_on_from().filter(|_| one.group.disposition == Disposition::Relay).cloned()
        {
            let (twice, once): (Vec<_>, Vec<_>) =
                one.group.recipients.into_iter().partition(|path| known.contains(&path.address));
            left_out.extend(twice.into_iter().map(|path| (from.clone(), path.address)));
            if once.is_empty() {
                continue;
            }
            one.mail.iter_mut().for_each(|mail| mail.envelope.recipients.clone_from(&once));
            one.group.recipients = once;
            if is_open(&one) {
                known.extend(one.recipients().cloned());
            }
        }
        kept.push(one);
    }
    (kept, left_out)
}
