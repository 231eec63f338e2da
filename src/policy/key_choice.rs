//! Whose keys a rule seals with, where they are not those of the recipient and of the author alone.

use std::collections::{BTreeMap, HashMap};

use super::{Facts, Order, Policy, RecipientFacts, Rule, Sealing};
use crate::{
    keys::{KeyState, ProtocolName},
    mail::{Address, Submitter},
};

/// Whose key is taken for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum KeyOwner {
    /// That of the address.
    #[default]
    Address,
    /// That of its domain, which a gateway there has (RFC 3183).
    Domain,
}

/// One more reader of what a rule encrypts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AlsoTo {
    /// This address: an archive. Without its key the mail is not sealed.
    Address(Address),
    /// The author, where there is a key.
    Author,
}

/// The address that the key of a domain is for, to encrypt to everybody in the domain of `address` (RFC 3183, section 4).
pub fn domain_reader(address: &Address) -> Address {
    address.with_local("domain-confidentiality-authority")
}

/// The address that the key of a domain is for, to sign for everybody in the domain of `address` (RFC 3183, section 3.1.1).
pub fn domain_signer(address: &Address) -> Address {
    address.with_local(crate::verdict::DOMAIN_SIGNER)
}

/// Whether addresses can be encrypted to, in each protocol that was asked.
pub type KeyStates = HashMap<Address, BTreeMap<ProtocolName, KeyState>>;

static NO_KEYS: BTreeMap<ProtocolName, KeyState> = BTreeMap::new();

impl Sealing {
    /// Whether it says who reads, beside the recipients by their own keys.
    pub(super) fn names_readers(&self) -> bool {
        self.encrypt_to != KeyOwner::Address || !self.also_to.is_empty()
    }

    /// The address whose key stands for a recipient.
    pub fn reader(&self, recipient: &Address) -> Address {
        match self.encrypt_to {
            KeyOwner::Address => recipient.clone(),
            KeyOwner::Domain => domain_reader(recipient),
        }
    }

    /// The address whose key signs for an author.
    pub fn signer(&self, author: &Address) -> Address {
        match self.sign_with {
            KeyOwner::Address => author.clone(),
            KeyOwner::Domain => domain_signer(author),
        }
    }

    /// The addresses of its further readers. An author that there is not is left out.
    pub fn further_readers<'a>(&'a self, author: Option<&'a Address>) -> impl Iterator<Item = &'a Address> {
        self.also_to.iter().filter_map(move |one| match one {
            AlsoTo::Address(address) => Some(address),
            AlsoTo::Author => author,
        })
    }
}

impl Facts<'_> {
    /// Whether `recipient` can be encrypted to, by the key that `sealing` takes.
    pub fn reading<'a>(
        &'a self,
        recipient: &'a RecipientFacts,
        sealing: &Sealing,
    ) -> &'a BTreeMap<ProtocolName, KeyState> {
        match sealing.encrypt_to {
            KeyOwner::Address => &recipient.keys,
            KeyOwner::Domain => self.others.get(&sealing.reader(&recipient.path.address)).unwrap_or(&NO_KEYS),
        }
    }

    /// Whether the author can sign, by the key that `sealing` takes.
    pub fn signing_by(&self, sealing: &Sealing) -> &BTreeMap<ProtocolName, KeyState> {
        match sealing.sign_with {
            KeyOwner::Address => &self.signing,
            KeyOwner::Domain => &self.domain_signing,
        }
    }

    /// Whether this further reader can be encrypted to.
    pub(super) fn further(&self, address: &Address, protocol: ProtocolName) -> Option<&KeyState> {
        self.others.get(address).and_then(|keys| keys.get(&protocol))
    }
}

impl Policy {
    /// The addresses, beside `recipient`, that a mail to it may be encrypted to.
    pub fn further_readers(
        &self,
        submitter: &Submitter,
        sender: Option<&Address>,
        author: Option<&Address>,
        recipient: &Address,
    ) -> Vec<Address> {
        let encrypts = |rule: &&Rule| rule.says(Order::Encrypt);
        let mut readers: Vec<Address> = Vec::new();
        for rule in self.rules_for(submitter, sender, recipient).filter(encrypts) {
            let domain = (rule.sealing.encrypt_to == KeyOwner::Domain).then(|| domain_reader(recipient));
            for address in domain.into_iter().chain(rule.sealing.further_readers(author).cloned()) {
                if !readers.contains(&address) {
                    readers.push(address);
                }
            }
        }
        readers
    }

    /// Whether a rule signs with the key of the author's domain.
    pub fn signs_with_domain(&self) -> bool {
        self.rules.iter().any(|rule| rule.says(Order::Sign) && rule.sealing.sign_with == KeyOwner::Domain)
    }

    /// The addresses whose keys open mail for `address`: its own, the others of its mailbox, and that of its domain where the policy says so.
    pub fn owners(&self, address: &Address) -> Vec<Address> {
        let mut owners = vec![address.clone()];
        owners.extend(self.other_addresses(address));
        let by_domain: Vec<Address> = owners
            .iter()
            .filter(|owner| self.is_local(owner) && self.mailboxes.domain_keys.contains(owner.domain()))
            .map(domain_reader)
            .collect();
        for owner in by_domain {
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        owners
    }
}
