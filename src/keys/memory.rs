//! Keys held in memory: for `--keys`, for tests, and for programs that bring their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Binding, Deprecated, Handle, Keys, Locked, ProtocolName, Query, Record, Want, index::Index};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// Records, secret keys (unlocked, or unlocked when asked for), and passwords.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    records: Vec<Arc<Record>>,
    index: Index,
    secrets: BTreeMap<Handle, Arc<dyn SecretKey>>,
    locked: BTreeMap<Handle, Vec<Arc<dyn Locked>>>,
    deprecated: Vec<Deprecated>,
    passwords: Vec<Secret>,
    revocations: Vec<Arc<[u8]>>,
}

impl Memory {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record; one with the same fingerprint is kept too.
    pub fn add(&mut self, record: Record) {
        self.index.enter(self.records.len(), &record);
        self.records.push(Arc::new(record));
    }

    /// Trusts each copy of the certificate with this fingerprint for one more reason; returns whether there is one.
    pub fn bind(&mut self, fingerprint: &Handle, binding: &Binding) -> bool {
        let copies: Vec<usize> = self.index.copies(fingerprint).collect();
        for place in &copies {
            if let Some(record) = self.records.get_mut(*place) {
                Arc::make_mut(record).bind(binding.clone());
                self.index.enter(*place, record);
            }
        }
        !copies.is_empty()
    }

    /// Adds the secret part of the key with the fingerprint `key`.
    pub fn add_secret(&mut self, key: Handle, secret: Arc<dyn SecretKey>) {
        self.secrets.insert(key, secret);
    }

    /// Adds the secret parts of the keys with these fingerprints, unlocked on the first request for each. Where there are several for one key, each
    /// is tried: only opening one shows whether it is right.
    pub fn add_locked(&mut self, keys: impl IntoIterator<Item = Handle>, locked: Arc<dyn Locked>) {
        keys.into_iter().for_each(|key| self.locked.entry(key).or_default().push(Arc::clone(&locked)));
    }

    /// Adds a key of a version too old to be used.
    pub fn add_deprecated(&mut self, key: Deprecated) {
        self.deprecated.push(key);
    }

    /// Adds a password for messages that are encrypted to one.
    pub fn add_password(&mut self, password: Secret) {
        self.passwords.push(password);
    }

    /// Adds a CRL or an OCSP response in DER.
    pub fn add_revocation(&mut self, der: Arc<[u8]>) {
        self.revocations.push(der);
    }
}

impl Keys for Memory {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let matches = |record: &&Arc<Record>| record.protocol() == protocol && wanted(record, query.want);
        let Some(candidates) = self.index.candidates(query.want) else {
            let named: BTreeSet<&Handle> =
                self.records.iter().filter(matches).map(|record| record.fingerprint()).collect();
            let is_named = |record: &&Arc<Record>| named.contains(record.fingerprint());
            return Ok(self
                .records
                .iter()
                .filter(|one| one.protocol() == protocol)
                .filter(is_named)
                .cloned()
                .collect());
        };
        let matching = candidates.into_iter().filter_map(|place| self.records.get(place)).filter(matches);
        // In the order in which they were added.
        let places: BTreeSet<usize> = matching.flat_map(|record| self.index.copies(record.fingerprint())).collect();
        let copies = places.into_iter().filter_map(|place| self.records.get(place));
        Ok(copies.filter(|record| record.protocol() == protocol).cloned().collect())
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        let is_anchor = |record: &&Arc<Record>| record.protocol() == ProtocolName::Smime && record.is_anchor();
        Ok(self.records.iter().filter(is_anchor).cloned().collect())
    }

    fn secret(&self, _record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        if let Some(secret) = self.secrets.get(key) {
            return Ok(Some(Arc::clone(secret)));
        }
        let mut refused = None;
        for locked in self.locked.get(key).into_iter().flatten() {
            match locked.unlock(key) {
                Ok(Some(secret)) => return Ok(Some(secret)),
                Ok(None) => {}
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    fn deprecated(&self, id: &Handle) -> Result<Option<Deprecated>> {
        Ok(self.deprecated.iter().find(|key| key.id == *id).cloned())
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        Ok(self.passwords.clone())
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        Ok(self.revocations.clone())
    }
}

fn wanted(record: &Record, want: Want<'_>) -> bool {
    match want {
        Want::All => true,
        Want::Certificate(fingerprint) => record.fingerprint() == fingerprint,
        Want::Handle(handle) => record.has(handle),
        Want::Secrets => !record.secrets().is_empty(),
        Want::Address(address) => record.claimed().contains(address) || bound(record, address),
    }
}

fn bound(record: &Record, address: &Address) -> bool {
    record.bindings().iter().any(|binding| match binding {
        Binding::Address(bound) | Binding::Found { address: bound, .. } => bound == address,
        Binding::Anchor | Binding::Revoked(_) | Binding::UserIds => false,
    })
}
