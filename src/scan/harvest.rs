//! The keys and certificates that messages carry.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::judge::Judged;
use crate::{
    base::{Limits, Result},
    engine::Opening,
    keys::{Handle, Keys, Passphrases, ProtocolName, Query, Record, Want},
    mail::{Message, autocrypt},
    store::{self, Carried, Carrier},
    verdict::LayerKind,
};

/// The keys and certificates that were found in passing. None is trusted.
#[derive(Debug)]
pub struct Harvest {
    limits: Limits,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    records: BTreeMap<Handle, Record>,
    /// What was read, by its hash.
    seen: HashSet<u64>,
}

impl Harvest {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Harvest { limits, found: Mutex::default() }
    }

    /// Takes the keys that a message carries. Each is read once, however many messages carry it.
    pub fn take_from(&self, judged: &Judged) {
        let Ok(opening) = &judged.opening else { return };
        carried(opening, &self.limits).iter().for_each(|one| self.read(&one.octets));
    }

    /// The certificates, in the order of their fingerprints.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.values().cloned().collect()
    }

    fn read(&self, octets: &[u8]) {
        let mut hasher = DefaultHasher::new();
        octets.hash(&mut hasher);
        {
            let mut found = self.lock();
            if found.seen.len() >= MAX_FOUND || !found.seen.insert(hasher.finish()) {
                return;
            }
        }
        // What is no key file is no key.
        let Ok(records) = self.records_in(octets) else { return };
        let mut found = self.lock();
        for record in records {
            let record = record.as_ref().clone().without_secrets().with_bindings([]);
            let held = found.records.remove(record.fingerprint());
            // Two copies that cannot be merged: the first stays.
            let record = held.map_or_else(|| record.clone(), |held| store::merge(&held, &record).unwrap_or(held));
            if found.records.len() < MAX_FOUND {
                found.records.insert(record.fingerprint().clone(), record);
            }
        }
    }

    fn records_in(&self, octets: &[u8]) -> Result<Vec<Arc<Record>>> {
        let loaded = store::load_untrusted(&[("attachment", octets)], &Arc::new(Passphrases::default()), &self.limits)?;
        let mut records = loaded.keys.find(ProtocolName::Pgp, &Query::manage(Want::All))?;
        records.extend(loaded.keys.find(ProtocolName::Smime, &Query::manage(Want::All))?);
        Ok(records)
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The keys that an opened message carries, as key files of any format: in body parts, in the signatures of its layers, and in Autocrypt fields. Those about
/// other recipients count only where they were encrypted. Nothing is trusted by it.
pub fn carried(opening: &Opening, limits: &Limits) -> Vec<Carried> {
    let outer = opening.outer().root();
    let inner = opening.payload().map(Message::root);
    let mut found = Vec::new();
    let author = autocrypt::of_author(outer).or_else(|| inner.and_then(autocrypt::of_author));
    found.extend(author.map(|one| Carried { carrier: Carrier::Autocrypt(one.address), octets: one.key }));
    if let Some(payload) = inner {
        if opening.verdict().layers().iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. })) {
            let others = autocrypt::of_recipients(payload, outer).into_iter();
            found.extend(others.map(|one| Carried { carrier: Carrier::Gossip(one.address), octets: one.key }));
        }
        found.extend(store::in_parts(payload, limits));
    }
    let brought = opening.certificates().iter().cloned();
    found.extend(brought.map(|octets| Carried { carrier: Carrier::Signature, octets }));
    found
}

/// Certificates, and attachments. Source: the members of a large organization; their certificates take 40 MB.
const MAX_FOUND: usize = 20_000;
