//! Keys on disk: a home, and key files given for one run.

mod bindings;
mod files;
mod home;
mod index;

use std::{collections::BTreeMap, sync::Arc};

pub use bindings::Origin;
pub use home::{Change, Home, Removal};

use crate::{
    base::{Limits, Result},
    keys::{Binding, Handle, Memory, Passphrases},
    protocol::{
        Described,
        pgp::keyfile::{self, LockedKeys},
    },
};

/// What key files hold.
#[derive(Debug)]
pub struct Loaded {
    /// Their keys; each certificate is believed for its own user IDs, because its owner's hand gave it.
    pub keys: Memory,
    /// What was passed over, one line each.
    pub skipped: Vec<String>,
}

/// Reads key files, each as the place that errors name and its octets. Copies of one certificate are put together.
pub fn load(files: &[(&str, &[u8])], passphrases: &Arc<Passphrases>, limits: &Limits) -> Result<Loaded> {
    let mut loaded = Loaded { keys: Memory::new(), skipped: Vec::new() };
    let mut order: Vec<Handle> = Vec::new();
    let mut certs: BTreeMap<Handle, Described> = BTreeMap::new();
    for (place, octets) in files {
        let file = keyfile::describe(octets, place)?;
        loaded.skipped.extend(file.skipped);
        for found in file.found {
            let fingerprint = found.record.fingerprint.clone();
            let together = match certs.remove(&fingerprint) {
                Some(held) => put_together(&held, &found)?,
                None => {
                    order.push(fingerprint.clone());
                    found
                }
            };
            certs.insert(fingerprint, together);
        }
    }
    for mut held in order.iter().filter_map(|fingerprint| certs.remove(fingerprint)) {
        if let Some(secret) = held.secret {
            let locked = LockedKeys::new(secret, Arc::clone(passphrases), limits);
            loaded.keys.add_locked(held.record.secrets.iter().cloned(), Arc::new(locked));
        }
        held.record.bindings = vec![Binding::UserIds];
        loaded.keys.add(held.record);
    }
    Ok(loaded)
}

/// Two copies of one certificate with their secret parts, the newer one second.
fn put_together(old: &Described, new: &Described) -> Result<Described> {
    let secret = match (&old.secret, &new.secret) {
        (Some(old), Some(new)) => Some(keyfile::merge_secret(old, new)?),
        (old, new) => new.clone().or_else(|| old.clone()),
    };
    Ok(Described { record: keyfile::merge(&old.record, &new.record)?, secret })
}
