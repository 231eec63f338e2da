//! Checks secret parts from imported files. Anyone can attach octets to a public key, so an imported secret part
//! replaces a stored one only if it was opened and matches its public part.

use std::collections::{BTreeMap, BTreeSet};

use sequoia_openpgp::{
    Cert, Packet,
    cert::amalgamation::key::{ErasedKeyAmalgamation, PrimaryKey},
    packet::key::SecretParts,
    serialize::MarshalInto,
};

use super::{
    cert::{self, handle},
    keyfile::{failed, is_stub, secrets},
    locked::{Proof, prove},
    words::reason,
};
use crate::{
    base::{Budget, Error, Result, Secret},
    keys::{Handle, Passphrases},
    protocol::Described,
};

/// A certificate whose secret parts were checked.
#[derive(Debug)]
pub struct Sifted {
    /// The certificate without the rejected secret parts.
    pub described: Described,
    /// One error of kind `Malformed` for each secret part that does not match its public part. They are left out.
    pub unfit: Vec<Error>,
    /// One line for each secret part that no passphrase opens and that would replace a stored one. They are left out.
    pub unproven: Vec<String>,
}

/// Checks the secret parts that were imported with a certificate, key by key. `held` are those already stored.
///
/// A locked one is opened only if it would replace another. All of them together spend from `budget`.
///
/// # Errors
///
/// `Malformed` if the secret parts cannot be read, or opening them exceeds `budget`.
pub fn sift(found: Described, held: Option<&Secret>, passphrases: &Passphrases, budget: &mut Budget) -> Result<Sifted> {
    let mut sifted = Sifted { described: found, unfit: Vec::new(), unproven: Vec::new() };
    let Some(secret) = sifted.described.secret.clone() else { return Ok(sifted) };
    let new = read(&secret)?;
    let held = held.map(read).transpose()?.map(|held| octets(&held)).unwrap_or_default();
    let mut refused = BTreeSet::new();
    for part in new.keys().secret().filter(|part| !is_stub(part.key().secret())) {
        let key = handle(&part.key().fingerprint());
        let known = held.get(&key);
        if known.is_some() && known == packet(&part).as_ref() {
            sifted.described.proven.push(key);
            continue;
        }
        if known.is_none() && part.key().secret().is_encrypted() {
            continue;
        }
        match prove(&new, part.key().role_as_unspecified(), passphrases, budget)? {
            Proof::Fits => sifted.described.proven.push(key),
            Proof::Unfit => {
                sifted.unfit.push(Error::malformed(
                    format!("key {key}"),
                    "the secret part in the file does not match the public part and is not imported",
                ));
                refused.insert(key);
            }
            Proof::Unknown(why) if known.is_some() => {
                sifted.unproven.push(format!("{why}; the stored secret part is kept"));
                refused.insert(key);
            }
            Proof::Unknown(_) => {}
        }
    }
    if !refused.is_empty() {
        let fingerprint = &sifted.described.record.fingerprint().clone();
        let rest = without(new, |part| refused.contains(&handle(&part.key().fingerprint())))
            .map_err(|error| failed(fingerprint, &error))?;
        sifted.described.record.set_secrets(secrets(&rest));
        sifted.described.secret = match rest.is_tsk() {
            true => Some(Secret::new(rest.as_tsk().to_vec().map_err(|error| failed(fingerprint, &error))?)),
            false => None,
        };
    }
    Ok(sifted)
}

/// Merges two copies of the secret parts of one certificate. Where both have a key, the new one is used if it is in
/// `proven` (its passphrase may have changed), otherwise the stored one. A stub never replaces a key.
///
/// # Errors
///
/// `Malformed` if one of them cannot be read.
pub fn merge_secret(held: &Secret, new: &Secret, proven: &[Handle]) -> Result<Secret> {
    let (held, new) = (read(held)?, read(new)?);
    let own: BTreeSet<Handle> = secrets(&held).into_iter().collect();
    let proven: BTreeSet<&Handle> = proven.iter().collect();
    let stays = |part: &ErasedKeyAmalgamation<'_, SecretParts>| {
        let key = handle(&part.key().fingerprint());
        own.contains(&key) && !proven.contains(&key)
    };
    let both = without(new, stays).and_then(split).and_then(|(new, newer)| {
        let (held, stubs) = split(held)?;
        let keys = held.merge_public_and_secret(new)?;
        let fingerprint = |packet: &Packet| match packet {
            Packet::SecretKey(key) => Some(key.fingerprint()),
            Packet::SecretSubkey(key) => Some(key.fingerprint()),
            _ => None,
        };
        let is_here =
            |stub: &Packet| keys.keys().secret().any(|held| fingerprint(stub) == Some(held.key().fingerprint()));
        let stubs: Vec<Packet> = stubs.into_iter().chain(newer).filter(|stub| !is_here(stub)).collect();
        Ok(keys.insert_packets(stubs)?.0)
    });
    both.and_then(|cert| cert.as_tsk().to_vec())
        .map(Secret::new)
        .map_err(|error| Error::malformed("secret key", reason(&error)))
}

fn read(secret: &Secret) -> Result<Cert> {
    cert::read(secret.expose()).map_err(|error| Error::malformed("secret key", reason(&error)))
}

/// The secret key packets, encrypted as they are, without stubs.
fn octets(cert: &Cert) -> BTreeMap<Handle, Secret> {
    let parts = cert.keys().secret().filter(|part| !is_stub(part.key().secret()));
    parts.filter_map(|part| Some((handle(&part.key().fingerprint()), packet(&part)?))).collect()
}

fn packet(part: &ErasedKeyAmalgamation<'_, SecretParts>) -> Option<Secret> {
    Packet::from(part.key().clone().role_into_primary()).to_vec().ok().map(Secret::new)
}

/// The certificate without its stubs, and the stubs.
fn split(cert: Cert) -> sequoia_openpgp::Result<(Cert, Vec<Packet>)> {
    let stubs = cert.keys().secret().filter(|held| is_stub(held.key().secret()));
    let stubs = stubs.map(|held| match held.primary() {
        true => Packet::from(held.key().clone().role_into_primary()),
        false => Packet::from(held.key().clone().role_into_subordinate()),
    });
    let stubs = stubs.collect();
    Ok((without(cert, |held| is_stub(held.key().secret()))?, stubs))
}

/// The certificate, keeping only the public part of the keys for which `leaves` is true.
fn without(
    cert: Cert,
    leaves: impl Fn(&ErasedKeyAmalgamation<'_, SecretParts>) -> bool,
) -> sequoia_openpgp::Result<Cert> {
    let left = cert.keys().secret().filter(leaves).map(|held| {
        let bare = held.key().clone().take_secret().0;
        match held.primary() {
            true => Packet::from(bare.role_into_primary()),
            false => Packet::from(bare.role_into_subordinate()),
        }
    });
    let left: Vec<Packet> = left.collect();
    Ok(cert.insert_packets(left)?.0)
}
