//! Keys held in memory: for `--keys`, for tests, and for programs that bring their own.

use std::{collections::BTreeMap, sync::Arc};

use super::{Handle, Keys, ProtocolName, Record, Want};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// Records, unlocked secret keys, and passwords.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    records: Vec<Arc<Record>>,
    secrets: BTreeMap<Handle, Arc<dyn SecretKey>>,
    passwords: Vec<Secret>,
}

impl Memory {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record; one with the same fingerprint stays beside it.
    pub fn add(&mut self, record: Record) {
        self.records.push(Arc::new(record));
    }

    /// Adds the secret part of the key with the fingerprint `key`.
    pub fn add_secret(&mut self, key: Handle, secret: Arc<dyn SecretKey>) {
        self.secrets.insert(key, secret);
    }

    /// Adds a password for messages that are encrypted to one.
    pub fn add_password(&mut self, password: Secret) {
        self.passwords.push(password);
    }
}

impl Keys for Memory {
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let matches = |record: &&Arc<Record>| record.protocol == protocol && wanted(record, want);
        Ok(self.records.iter().filter(matches).cloned().collect())
    }

    fn secret(&self, _record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        Ok(self.secrets.get(key).cloned())
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        Ok(self.passwords.clone())
    }
}

fn wanted(record: &Record, want: &Want<'_>) -> bool {
    match want {
        Want::All => true,
        Want::Handle(handle) => record.has(handle),
        Want::Address(address) => record.claimed.contains(address) || bound(record, address),
    }
}

fn bound(record: &Record, address: &Address) -> bool {
    record.bindings.iter().any(|binding| matches!(binding, super::Binding::Address(a) if a == address))
}
