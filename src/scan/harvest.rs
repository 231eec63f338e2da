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
    mail::{Part, encoding::base64_decode},
    store,
    verdict::{LayerKind, Verdict},
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
    /// Attachments that were read, by their hash.
    seen: HashSet<u64>,
    /// Signers whose certificates were taken out of a signature.
    signers: HashSet<String>,
}

impl Harvest {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Harvest { limits, found: Mutex::default() }
    }

    /// Takes what a message carries: application/pgp-keys parts, the certificates in S/MIME signatures, and the key in its Autocrypt field.
    /// Each is read once, however many messages carry it.
    pub fn take_from(&self, judged: &Judged) {
        let (Some(message), Ok(opening)) = (&judged.message, &judged.opening) else { return };
        let is_new = self.is_new_signer(opening.verdict());
        self.walk(message.root(), is_new);
        if let Some(payload) = inner(opening) {
            self.walk(payload, is_new);
        }
    }

    /// The certificates, in the order of their fingerprints.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.values().cloned().collect()
    }

    fn walk(&self, part: Part<'_>, is_new: bool) {
        if let Some(value) = part.header("Autocrypt") {
            let data = value.split(';').filter_map(|one| one.trim().strip_prefix("keydata="));
            data.for_each(|data| self.read(&base64_decode(data.as_bytes())));
        }
        let kind = part.content_type();
        let is_cms = ["pkcs7-signature", "x-pkcs7-signature", "pkcs7-mime", "x-pkcs7-mime"]
            .iter()
            .any(|subtype| kind.is("application", subtype));
        if kind.is("application", "pgp-keys") || is_cms && is_new {
            self.read(&part.decoded());
        }
        part.children().for_each(|child| self.walk(child, is_new));
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

    /// Whether certificates are to be taken out of its signatures: there is no signature, or one of a signer that was not seen.
    fn is_new_signer(&self, verdict: &Verdict) -> bool {
        let smime = verdict.layers().iter().filter(|layer| layer.protocol == ProtocolName::Smime);
        let signatures = smime.filter_map(|layer| match &layer.kind {
            LayerKind::Signed { signatures } => Some(signatures),
            LayerKind::Compressed { .. } | LayerKind::Encrypted { .. } => None,
        });
        let signers: Vec<&String> = signatures.flatten().filter_map(|signature| signature.signer.as_ref()).collect();
        let mut found = self.lock();
        let mut is_new = signers.is_empty();
        for signer in signers {
            is_new |= found.signers.len() < MAX_FOUND && found.signers.insert(signer.clone());
        }
        is_new
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The payload, where it is another part than the message.
fn inner(opening: &Opening) -> Option<Part<'_>> {
    opening.payload().filter(|_| !opening.verdict().layers().is_empty()).map(|payload| payload.root())
}

/// Certificates, and attachments. Source: the members of a large organization; their certificates take 40 MB.
const MAX_FOUND: usize = 20_000;
