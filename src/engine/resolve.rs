//! Step 3: the keys of one message, each looked up once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::Engine;
use crate::{
    base::{Error, Result},
    keys::{KeyState, ProtocolName},
    mail::Address,
    protocol::{Needs, Protocol, Resolved, Role, Signer},
};

/// The keys of one message, of each protocol that may seal it.
#[derive(Default)]
pub(super) struct MessageKeys(BTreeMap<ProtocolName, Box<dyn Resolved>>);

impl MessageKeys {
    /// The keys of `protocol`.
    ///
    /// # Errors
    ///
    /// They were not looked up.
    pub(super) fn of(&self, protocol: ProtocolName) -> Result<&dyn Resolved> {
        let found = self.0.get(&protocol);
        found.map(AsRef::as_ref).ok_or_else(|| Error::unavailable(format!("{}: no key was looked up", protocol.name())))
    }

    /// Whether `address` can be encrypted to, in each of `protocols`.
    pub(super) fn recipient(
        &self,
        address: &Address,
        protocols: &BTreeSet<ProtocolName>,
    ) -> BTreeMap<ProtocolName, KeyState> {
        let found = self.0.iter().filter(|(protocol, _)| protocols.contains(protocol));
        found.map(|(protocol, keys)| (*protocol, keys.recipient(address))).collect()
    }

    /// Whether `address` can sign, in each protocol.
    pub(super) fn signer(&self, address: &Address) -> BTreeMap<ProtocolName, KeyState> {
        let signer = Signer::Address(address.clone());
        self.0.iter().map(|(protocol, keys)| (*protocol, keys.signer(&signer))).collect()
    }
}

impl fmt::Debug for MessageKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Engine<'_> {
    /// Looks up what each protocol needs.
    ///
    /// # Errors
    ///
    /// The keys could not be asked, or a protocol is not in this build.
    pub(super) fn resolve(&self, needs: &BTreeMap<ProtocolName, Needs>) -> Result<MessageKeys> {
        let found = needs
            .iter()
            .map(|(protocol, needs)| Ok((*protocol, self.protocol(*protocol)?.resolve(needs, self.context)?)));
        found.collect::<Result<_>>().map(MessageKeys)
    }

    /// Whether there is a key for `address` in each of `protocols`, now.
    ///
    /// # Errors
    ///
    /// The keys could not be asked.
    pub fn key_states(
        &self,
        address: &Address,
        role: Role,
        protocols: &BTreeSet<ProtocolName>,
    ) -> Result<BTreeMap<ProtocolName, KeyState>> {
        let needs = match role {
            Role::Recipient => Needs { recipients: vec![address.clone()], ..Needs::default() },
            Role::Signer => Needs { signers: vec![Signer::Address(address.clone())], ..Needs::default() },
        };
        let keys = self.resolve(&protocols.iter().map(|protocol| (*protocol, needs.clone())).collect())?;
        Ok(match role {
            Role::Recipient => keys.recipient(address, protocols),
            Role::Signer => keys.signer(address),
        })
    }

    pub(super) fn protocol(&self, name: ProtocolName) -> Result<&dyn Protocol> {
        let found = self.protocols.iter().map(AsRef::as_ref).find(|protocol| protocol.name() == name);
        found.ok_or_else(|| Error::unavailable(format!("protocol {}: not in this build", name.name())))
    }
}
