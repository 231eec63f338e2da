//! The keys as one message sees them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use super::{Deprecated, Handle, Keys, ProtocolName, Record, Want};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// Keys that are asked each question once: later answers are those of the first time, whatever changed since. Make one for each message.
///
/// Certificates, trust anchors and revocation statements are remembered. Errors and [`Want::All`] are not: the first may pass, and the second
/// may be the whole store.
pub struct Snapshot<'k> {
    keys: &'k dyn Keys,
    found: Mutex<HashMap<Question, Vec<Arc<Record>>>>,
    anchors: OnceLock<Vec<Arc<Record>>>,
    revocations: OnceLock<Vec<Arc<[u8]>>>,
}

type Question = (ProtocolName, Wanted);

/// A [`Want`] that owns what it names.
#[derive(PartialEq, Eq, Hash)]
enum Wanted {
    Address(Address),
    Certificate(Handle),
    Handle(Handle),
}

impl<'k> Snapshot<'k> {
    /// Nothing is asked yet.
    pub fn new(keys: &'k dyn Keys) -> Self {
        Snapshot { keys, found: Mutex::default(), anchors: OnceLock::new(), revocations: OnceLock::new() }
    }
}

impl Wanted {
    fn of(want: &Want<'_>) -> Option<Wanted> {
        match want {
            Want::All => None,
            Want::Address(address) => Some(Wanted::Address((*address).clone())),
            Want::Certificate(fingerprint) => Some(Wanted::Certificate((*fingerprint).clone())),
            Want::Handle(handle) => Some(Wanted::Handle((*handle).clone())),
        }
    }
}

impl Keys for Snapshot<'_> {
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let Some(wanted) = Wanted::of(want) else { return self.keys.find(protocol, want) };
        let question = (protocol, wanted);
        let known = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&question) {
            return Ok(found.clone());
        }
        // Without the lock: the keys may take long to answer.
        let found = self.keys.find(protocol, want)?;
        Ok(known().entry(question).or_insert(found).clone())
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.keys.secret(record, key)
    }

    fn deprecated(&self, id: &Handle) -> Result<Option<Deprecated>> {
        self.keys.deprecated(id)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        match self.anchors.get() {
            Some(anchors) => Ok(anchors.clone()),
            None => self.keys.anchors().map(|anchors| self.anchors.get_or_init(|| anchors).clone()),
        }
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        match self.revocations.get() {
            Some(revocations) => Ok(revocations.clone()),
            None => self.keys.revocations().map(|found| self.revocations.get_or_init(|| found).clone()),
        }
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        self.keys.passwords()
    }
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}
