//! From the recipients of an envelope to deliveries, each with its origin.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{MailboxCopy, Onward, Policy};
use crate::mail::{Address, ForwardPath};

/// How a recipient came to be one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub struct Origin(Vec<Step>);

/// One step from an address to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Step {
    /// The address is an alias.
    Alias(Address),
    /// The address forwards its mail.
    Forward(Address),
    /// The address is a list.
    List(Address),
    /// The address is a rewritten sender, and the mail a bounce.
    Return(Address),
}

/// A recipient of a mail after expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The address, or the list for whose members it is; `None`: the sender that a rewritten address names, which only the holder of its key can read.
    pub to: Option<Address>,
    /// From which recipient of the envelope.
    pub origin: Origin,
}

/// Names that stand for several addresses, in lower case: `sales` in every local domain, or `sales@example.org`.
pub type Aliases = BTreeMap<String, Vec<Address>>;

/// The recipients of an envelope, with the members of an alias in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unaliased {
    /// The recipients, none twice, each with the aliases that it is here for.
    pub recipients: Vec<(ForwardPath, Origin)>,
    /// Each alias of the envelope, with its members.
    pub aliases: Vec<(Address, Vec<Address>)>,
}

impl Policy {
    /// What becomes of the recipients of an envelope, by their addresses alone, each with its origin, in their order. Each recipient is the origin of
    /// at least one. A forward that leads back to itself ends there, and has no delivery.
    pub fn expand(&self, recipients: &[ForwardPath]) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for (path, origin) in self.unalias(recipients.to_vec()).recipients {
            self.follow(&path.address, &origin, &mut deliveries);
        }
        deliveries
    }

    /// Puts the members of each alias in its place, also of an alias in an alias. A recipient that is named itself is here as addressed.
    pub fn unalias(&self, recipients: Vec<ForwardPath>) -> Unaliased {
        if self.aliases.is_empty() {
            let recipients = recipients.into_iter().map(|path| (path, Origin::default())).collect();
            return Unaliased { recipients, aliases: Vec::new() };
        }
        let (aliases, named): (Vec<_>, Vec<_>) =
            recipients.into_iter().partition(|path| self.alias(&path.address).is_some());
        let mut known: HashSet<Address> = named.iter().map(|path| path.address.clone()).collect();
        let mut all = Unaliased {
            recipients: named.into_iter().map(|path| (path, Origin::default())).collect(),
            aliases: Vec::new(),
        };
        for path in aliases {
            let mut members = Vec::new();
            self.members(&path.address, &Origin::default(), &mut members);
            all.aliases.push((path.address, members.iter().map(|(member, _)| member.clone()).collect()));
            for (address, origin) in members {
                if known.insert(address.clone()) {
                    all.recipients.push((ForwardPath { address, parameters: path.parameters.clone() }, origin));
                }
            }
        }
        all
    }

    fn alias(&self, address: &Address) -> Option<&[Address]> {
        let by_name = || self.aliases.get(&address.local().to_lowercase()).filter(|_| self.is_local(address));
        self.aliases.get(&address.to_string().to_lowercase()).or_else(by_name).map(Vec::as_slice)
    }

    fn members(&self, address: &Address, origin: &Origin, members: &mut Vec<(Address, Origin)>) {
        let step = Step::Alias(address.clone());
        match self.alias(address) {
            // An alias among its own members is a mailbox too, as in Postfix.
            Some(all) if !origin.0.contains(&step) => {
                all.iter().for_each(|one| self.members(one, &origin.then(step.clone()), members))
            }
            _ if members.iter().any(|(member, _)| member == address) => {}
            _ => members.push((address.clone(), origin.clone())),
        }
    }

    fn follow(&self, address: &Address, origin: &Origin, deliveries: &mut Vec<Delivery>) {
        let arrive = |to: Option<&Address>, origin: &Origin| Delivery { to: to.cloned(), origin: origin.clone() };
        match self.onward(address) {
            None => deliveries.push(arrive(Some(address), origin)),
            Some(Onward::List(_)) => deliveries.push(arrive(Some(address), &origin.then(Step::List(address.clone())))),
            Some(Onward::Return) => deliveries.push(arrive(None, &origin.then(Step::Return(address.clone())))),
            Some(Onward::Forward(forward)) => {
                let Some(next) = origin.forwarded(address) else { return };
                if forward.mailbox == MailboxCopy::Delivered {
                    deliveries.push(arrive(Some(address), origin));
                }
                forward.to.iter().for_each(|to| self.follow(to, &next, deliveries));
            }
        }
    }
}

impl Origin {
    /// One step further.
    pub fn then(&self, step: Step) -> Origin {
        Origin(self.0.iter().cloned().chain([step]).collect())
    }

    /// These steps, and then those of `further`.
    pub fn and(&self, further: &Origin) -> Origin {
        Origin(self.0.iter().chain(&further.0).cloned().collect())
    }

    /// One forward further; `None` when the address has forwarded it before.
    pub fn forwarded(&self, address: &Address) -> Option<Origin> {
        let step = Step::Forward(address.clone());
        (!self.0.contains(&step)).then(|| self.then(step))
    }

    /// Whether it is named in the envelope itself.
    pub fn is_as_addressed(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses on the way.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.0.iter().map(|step| match step {
            Step::Alias(address) | Step::Forward(address) | Step::List(address) | Step::Return(address) => address,
        })
    }

    /// The recipient, after aliases, whose mail went on; `None`: it did not.
    pub fn sent_on_from(&self) -> Option<&Address> {
        self.0.iter().find_map(|step| match step {
            Step::Alias(_) => None,
            Step::Forward(address) | Step::List(address) | Step::Return(address) => Some(address),
        })
    }
}

/// `as addressed`, `forward of carol@example.org`, `alias staff@example.org, forward of carol@example.org`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("as addressed"),
            steps => {
                let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
                f.write_str(&steps.join(", "))
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Alias(address) => write!(f, "alias {address}"),
            Step::Forward(address) => write!(f, "forward of {address}"),
            Step::List(address) => write!(f, "list {address}"),
            Step::Return(address) => write!(f, "return to {address}"),
        }
    }
}
