//! Keys on disk: a home, and key files given for one run.

mod binding;
mod carried;
mod files;
mod format;
mod home;
mod master;
mod sqlite;

use std::{collections::BTreeMap, sync::Arc};

pub use binding::Origin;
pub use home::{Change, Home, Intake, Kept, Removal, Taken};
pub use master::MasterKey;
pub use sqlite::{Damage, Outcome, Repair};

use crate::{
    base::{Limits, Result},
    keys::{Handle, Keys, Memory, Passphrases, ProtocolName, Record},
    protocol::Described,
};
use format::Reading;

/// What key files hold.
#[derive(Debug)]
pub struct Loaded {
    /// Their keys. Each OpenPGP certificate is believed for its own user IDs, because its owner's hand gave it; an X.509 certificate is
    /// not: its issuer says whose it is.
    pub keys: Memory,
    /// What was passed over, one line each.
    pub skipped: Vec<String>,
}

/// Reads key files, each as the place that errors name and its octets: OpenPGP, PEM, DER and PKCS#12. Copies of one certificate are
/// put together, and private keys find their certificates in whichever file they are; those that no passphrase opens are passed over.
pub fn load(files: &[(&str, &[u8])], passphrases: &Arc<Passphrases>, limits: &Limits) -> Result<Loaded> {
    load_beside(files, passphrases, limits, &Memory::new())
}

/// As [`load`]; revocations are applied to the certificates of `beside` too, which are among the keys then, believed for nothing more.
pub fn load_beside(
    files: &[(&str, &[u8])],
    passphrases: &Arc<Passphrases>,
    limits: &Limits,
    beside: &dyn Keys,
) -> Result<Loaded> {
    let file = format::read(files, &Reading { passphrases, limits, beside })?;
    let mut loaded = Loaded { keys: Memory::new(), skipped: file.skipped };
    // Perhaps nothing asks for them; where something does, it says that there is no key.
    loaded.skipped.extend(file.locked.iter().chain(&file.lost).map(ToString::to_string));
    file.deprecated.into_iter().for_each(|key| loaded.keys.add_deprecated(key));
    let mut order: Vec<Handle> = Vec::new();
    let mut certs: BTreeMap<Handle, Described> = BTreeMap::new();
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
    for revoked in file.elsewhere {
        loaded.keys.add(Record { bindings: Vec::new(), secrets: Vec::new(), ..revoked });
    }
    for mut held in order.iter().filter_map(|fingerprint| certs.remove(fingerprint)) {
        let format = format::of(held.record.protocol)?;
        if let Some(secret) = held.secret {
            let locked = format.locked(&held.record, secret, passphrases, limits)?;
            // Of a stub it says where the secret part is.
            let stubs: &[Handle] = if held.record.protocol == ProtocolName::Pgp { &held.record.handles } else { &[] };
            loaded.keys.add_locked(held.record.secrets.iter().chain(stubs).cloned(), locked);
        }
        held.record.bindings = format.given();
        loaded.keys.add(held.record);
    }
    Ok(loaded)
}

/// Two copies of one certificate of any protocol put together, for [`Chain`](crate::keys::Chain).
pub fn merge(old: &Record, new: &Record) -> Result<Record> {
    format::of(old.protocol)?.merge(old, new)
}

/// Two copies of one certificate with their secret parts, the newer one second.
fn put_together(old: &Described, new: &Described) -> Result<Described> {
    let secret = match (&old.secret, &new.secret) {
        (Some(old), Some(newer)) => Some(format::of(new.record.protocol)?.merge_secret(old, newer)?),
        (old, new) => new.clone().or_else(|| old.clone()),
    };
    Ok(Described { record: merge(&old.record, &new.record)?, secret })
}
