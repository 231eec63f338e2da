//! Which keys a rule needs, where they are not those of the recipient and of the author alone.

use std::collections::BTreeMap;

use super::{Facts, KeyOwner, Order, Policy, RecipientFacts, Rule, Sealing, domain_reader};
use crate::{
    keys::{KeyState, ProtocolName},
    mail::{Address, Submitter},
};

static NO_KEYS: BTreeMap<ProtocolName, KeyState> = BTreeMap::new();

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
