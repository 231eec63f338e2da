//! Keys with the secret keys of some owners only.

use std::{collections::HashSet, sync::Arc};

use super::{Binding, Deprecated, Handle, Keys, ProtocolName, Query, Record, StatusSource};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// All certificates of `keys`, and the secret keys of `owners`: those whose certificate names one of them. Without passwords, which have no owner.
pub struct RestrictedKeys<'k> {
    keys: &'k dyn Keys,
    owners: HashSet<Address>,
}

impl<'k> RestrictedKeys<'k> {
    /// What `owners` have of `keys`.
    pub fn new(keys: &'k dyn Keys, owners: impl IntoIterator<Item = Address>) -> Self {
        RestrictedKeys { keys, owners: owners.into_iter().collect() }
    }

    fn owns(&self, record: &Record) -> bool {
        let bound = record.bindings().iter().filter_map(|binding| match binding {
            Binding::Address(address) => Some(address),
            Binding::Anchor | Binding::Found { .. } | Binding::Revoked(_) | Binding::UserIds => None,
        });
        record.claimed().iter().chain(bound).any(|address| self.owners.contains(address))
    }
}

impl Keys for RestrictedKeys<'_> {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let mut found = self.keys.find(protocol, query)?;
        for record in found.iter_mut().filter(|record| !record.secrets().is_empty() && !self.owns(record)) {
            *record = Arc::new(Record::clone(record).without_secrets());
        }
        Ok(found)
    }

    fn expect(&self, protocol: ProtocolName, queries: &[Query<'_>]) {
        self.keys.expect(protocol, queries);
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        if self.owns(record) { self.keys.secret(record, key) } else { Ok(None) }
    }

    fn deprecated(&self, id: &Handle) -> Result<Option<Deprecated>> {
        self.keys.deprecated(id)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        self.keys.anchors()
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        self.keys.revocations()
    }

    fn status_source(&self) -> Option<&dyn StatusSource> {
        self.keys.status_source()
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        Ok(Vec::new())
    }
}
