//! Keys that were made for their owners here.

use std::time::SystemTime;

use super::{Intake, Keystore, Taken};
use crate::{
    audit::Event,
    base::Result,
    keys::{Binding, Handle, Memory, ProtocolName, Record},
    mail::Address,
    protocol::Described,
    store::binding::Origin,
};

/// A key that was just made, with what its owner trusts it for.
#[derive(Debug)]
pub struct NewKey {
    described: Described,
    bindings: Vec<Binding>,
    revocation: Option<Vec<u8>>,
}

impl NewKey {
    /// The key of a person: it is trusted for the addresses that it names.
    pub fn of_person(described: Described) -> NewKey {
        let bindings = match described.record.protocol() {
            ProtocolName::Pgp => vec![Binding::UserIds],
            _ => described.record.claimed().iter().cloned().map(Binding::Address).collect(),
        };
        NewKey { described, bindings, revocation: None }
    }

    /// The key of a certification authority: it is a trust anchor.
    pub fn of_authority(described: Described) -> NewKey {
        NewKey { described, bindings: vec![Binding::Anchor], revocation: None }
    }

    /// The key, not trusted for `others`, addresses that have another key.
    #[must_use]
    pub fn not_for(mut self, others: &[Address]) -> NewKey {
        if !others.is_empty() {
            let own = self.described.record.claimed().iter().filter(|address| !others.contains(address));
            self.bindings = own.cloned().map(Binding::Address).collect();
        }
        self
    }

    /// The key with the file that revokes it.
    #[must_use]
    pub fn with_revocation(self, revocation: Vec<u8>) -> NewKey {
        NewKey { revocation: Some(revocation), ..self }
    }

    /// Its certificate.
    pub fn record(&self) -> &Record {
        &self.described.record
    }
}

impl Keystore {
    /// Stores new keys, as [`Keystore::take_in`] does.
    ///
    /// # Errors
    ///
    /// As [`Keystore::take_in`].
    pub fn take_new(&self, keys: Vec<NewKey>, at: SystemTime) -> Result<Taken> {
        self.take_new_as(Event::Generate, keys, at)
    }

    /// As [`Keystore::take_new`], with another name of the change in the audit log.
    ///
    /// # Errors
    ///
    /// As [`Keystore::take_in`].
    pub fn take_new_as(&self, event: Event, keys: Vec<NewKey>, at: SystemTime) -> Result<Taken> {
        let (mut certificates, mut beliefs, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for NewKey { described, bindings, revocation } in keys {
            let fingerprint = described.record.fingerprint().clone();
            beliefs.extend(bindings.into_iter().map(|binding| (fingerprint.clone(), binding, Origin::Generated)));
            files.extend(revocation.map(|octets| (fingerprint, octets)));
            certificates.push(described);
        }
        let revocations: Vec<(Handle, &[u8])> =
            files.iter().map(|(fingerprint, octets)| (fingerprint.clone(), octets.as_slice())).collect();
        let intake = Intake {
            certificates: &certificates,
            beliefs: &beliefs,
            revocations: &revocations,
            event,
            ..Intake::default()
        };
        self.take_in(&intake, &Memory::new(), at)
    }
}
