//! Key stores, and key files given for one run.

#[cfg(feature = "store")]
pub mod backend;
#[cfg(feature = "store")]
mod backup;
#[cfg(feature = "store")]
mod binding;
mod carried;
#[cfg(feature = "store")]
mod elsewhere;
#[cfg(feature = "store")]
mod files;
mod format;
#[cfg(feature = "store")]
mod home;
#[cfg(feature = "store")]
mod integrity;
#[cfg(feature = "store")]
mod journal;
#[cfg(feature = "store")]
mod keystore;
#[cfg(feature = "store")]
mod master;
#[cfg(feature = "store")]
#[cfg_attr(not(feature = "postgres"), path = "postgres/missing.rs")]
mod postgres;
#[cfg(feature = "store")]
mod servers;
#[cfg(feature = "store")]
mod sqlite;
#[cfg(feature = "store")]
mod transfer;

use std::{collections::BTreeMap, sync::Arc};

#[cfg(feature = "store")]
pub use backup::{HomeFile, restore};
#[cfg(feature = "store")]
pub use binding::Origin;
pub use carried::{Carried, Carrier, in_parts, is_mail};
#[cfg(feature = "store")]
pub use elsewhere::Server;
pub use format::without_keys;
#[cfg(feature = "store")]
pub use integrity::{Damage, Outcome, Repair, write_digests};
#[cfg(feature = "store")]
pub use keystore::{AuditPlace, Change, Intake, Keystore, NewKey, Removal, Taken};
#[cfg(feature = "store")]
pub use master::MasterKey;
#[cfg(feature = "store")]
pub use servers::servers;
#[cfg(feature = "store")]
pub use transfer::{Carry, Destination, Transferred, connect, roles, transfer, transfer_with, upgrade};

#[cfg(feature = "store")]
use crate::keys::TokenKeys;
use crate::{
    base::{Limits, Result, Secret},
    keys::{Handle, Keys, Memory, Passphrases, ProtocolName, Record},
    protocol::Described,
};
use format::Reading;

/// The contents of key files.
#[derive(Debug)]
pub struct Loaded {
    /// Their keys. OpenPGP certificates are trusted for their own user IDs, because the owner gave them; X.509 certificates are not: their issuers
    /// certify the addresses.
    pub keys: Memory,
    /// What was skipped, one line each.
    pub skipped: Vec<String>,
}

/// Reads key files, each a name for errors and its octets: OpenPGP, PEM, DER and PKCS#12. Copies of one certificate are merged, private keys are
/// matched with certificates in any of the files, and keys that no passphrase opens are skipped.
///
/// # Errors
///
/// `Malformed` for a file without keys.
pub fn load(files: &[(&str, &[u8])], passphrases: &Arc<Passphrases>, limits: &Limits) -> Result<Loaded> {
    load_beside(files, passphrases, limits, &Memory::new())
}

/// As [`load`], and applies revocations to the certificates of `beside` too. Those are then among the keys, without any trust.
///
/// # Errors
///
/// As [`load`].
pub fn load_beside(
    files: &[(&str, &[u8])],
    passphrases: &Arc<Passphrases>,
    limits: &Limits,
    beside: &dyn Keys,
) -> Result<Loaded> {
    loaded(files, &Reading { passphrases, limits, beside }, Trust::Given)
}

/// As [`load`], without any trust: the keys come from elsewhere than the owner. [`Memory::bind`] trusts one of them.
///
/// # Errors
///
/// As [`load`].
pub fn load_untrusted(files: &[(&str, &[u8])], passphrases: &Arc<Passphrases>, limits: &Limits) -> Result<Loaded> {
    loaded(files, &Reading { passphrases, limits, beside: &Memory::new() }, Trust::Nothing)
}

/// What the owner says by giving a file.
#[derive(PartialEq)]
enum Trust {
    /// Its OpenPGP certificates are trusted for their own user IDs.
    Given,
    Nothing,
}

fn loaded(files: &[(&str, &[u8])], reading: &Reading<'_>, trust: Trust) -> Result<Loaded> {
    let Reading { passphrases, limits, .. } = *reading;
    let file = format::read(files, reading)?;
    let mut loaded = Loaded { keys: Memory::new(), skipped: file.skipped };
    // They may not be needed; a look-up of one returns that there is no key.
    loaded.skipped.extend(file.locked.iter().chain(&file.lost).map(ToString::to_string));
    file.deprecated.into_iter().for_each(|key| loaded.keys.add_deprecated(key));
    file.statements.into_iter().for_each(|der| loaded.keys.add_revocation(der.into()));
    let mut order: Vec<Handle> = Vec::new();
    let mut certs: BTreeMap<Handle, (Record, Vec<Secret>)> = BTreeMap::new();
    for Described { record, secret, .. } in file.found {
        let fingerprint = record.fingerprint().clone();
        let (together, mut secrets) = match certs.remove(&fingerprint) {
            Some((held, secrets)) => (merge(&held, &record)?, secrets),
            None => {
                order.push(fingerprint.clone());
                (record, Vec::new())
            }
        };
        secrets.extend(secret.filter(|secret| !secrets.contains(secret)));
        certs.insert(fingerprint, (together, secrets));
    }
    for revoked in file.elsewhere {
        loaded.keys.add(revoked.with_bindings([]).without_secrets());
    }
    for (record, secrets) in order.iter().filter_map(|fingerprint| certs.remove(fingerprint)) {
        let format = format::of(record.protocol())?;
        for secret in secrets {
            let locked = format.locked(&record, secret, passphrases, limits)?;
            // A stub tells where the secret part is.
            let stubs: &[Handle] = if record.protocol() == ProtocolName::Pgp { record.handles() } else { &[] };
            let absent = stubs.iter().filter(|stub| !record.secrets().contains(stub));
            loaded.keys.add_locked(record.secrets().iter().chain(absent).cloned(), locked);
        }
        let bindings = if trust == Trust::Given { format.given() } else { Vec::new() };
        loaded.keys.add(record.with_bindings(bindings));
    }
    Ok(loaded)
}

/// Merges two copies of one certificate of any protocol, for [`Chain`](crate::keys::Chain).
///
/// # Errors
///
/// Those of reading the certificates.
pub fn merge(old: &Record, new: &Record) -> Result<Record> {
    format::of(old.protocol())?.merge(old, new)
}

/// Merges two copies of one certificate with their secret parts, the newer one second: its proven parts replace those of the other.
#[cfg(feature = "store")]
fn put_together(old: &Described, new: &Described) -> Result<Described> {
    let is_on_token = |secret: &Secret| TokenKeys::recognizes(secret.expose());
    let secret = match (&old.secret, &new.secret) {
        // They are not merged: one place has all the keys of a certificate.
        (Some(held), Some(newer)) if is_on_token(held) || is_on_token(newer) => {
            Some(if new.proven.is_empty() { held.clone() } else { newer.clone() })
        }
        (Some(old), Some(newer)) => Some(format::of(new.record.protocol())?.merge_secret(old, newer, &new.proven)?),
        (old, newer) => newer.clone().or_else(|| old.clone()),
    };
    let proven = old.proven.iter().chain(&new.proven).cloned().collect();
    Ok(Described { record: merge(&old.record, &new.record)?, secret, proven })
}
