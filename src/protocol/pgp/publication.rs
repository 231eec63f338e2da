//! Certificates as they are published for one address: no other user IDs, no expired or revoked subkeys, no signatures by others.

use std::time::SystemTime;

use sequoia_openpgp::{
    Cert, Packet,
    cert::{
        ValidCert,
        amalgamation::{UserIDAmalgamation, ValidAmalgamation},
    },
    serialize::MarshalInto,
    types::RevocationStatus,
};

use super::{
    cert::{self, Usage, policy},
    keyfile::{self, Armor},
    revocation::{self, Known},
    suite, words,
};
use crate::{
    base::{Error, Result},
    crypto::Legacy,
    keys::{Keys, Record},
    mail::{Address, address::of_user_id},
};

/// How much of a certificate is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What encrypts to the owner and verifies their signatures: the user IDs of the address, and the valid subkeys.
    Keys,
    /// The five packets of an Autocrypt field (Autocrypt Level 1, "OpenPGP Based key data"): one user ID, and the subkey that most programs encrypt to.
    Autocrypt,
}

/// A certificate for publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The certificate in binary form.
    pub octets: Vec<u8>,
    /// When its primary key was made.
    pub created: SystemTime,
    /// Whether it is revoked. Then it is only good to say so.
    pub is_revoked: bool,
}

impl Publication {
    /// The certificate in armor (RFC 9580, section 6.2).
    ///
    /// # Errors
    ///
    /// `Io` if the armor cannot be written.
    pub fn armored(&self) -> Result<String> {
        let armored = keyfile::armored(self.octets.clone(), sequoia_openpgp::armor::Kind::PublicKey, Armor::Ascii)?;
        Ok(String::from_utf8_lossy(&armored).into_owned())
    }
}

/// The certificate of `record` as it is published for `address` at `at`. `keys` are asked for the keys of designated revokers.
///
/// # Errors
///
/// `NoKey` with the reason if it is expired, has no valid user ID of the address, or is rejected as weak; `Malformed` if it cannot be read; errors of `keys`.
pub fn publication(
    record: &Record,
    address: &Address,
    extent: Extent,
    at: SystemTime,
    keys: &dyn Keys,
) -> Result<Publication> {
    let cert = cert::parse(record)?;
    let refused = |reason: String| Error::no_key(format!("key {}: {reason}", record.fingerprint()));
    let created = cert.primary_key().key().creation_time();
    let (packets, is_revoked) = match revocation::of_cert(&cert, at, keys)? {
        Known::Revoked(_) => (revoked(&cert, address), true),
        Known::Good | Known::Perhaps(_) => (valid(&cert, address, extent, at, keys).map_err(refused)?, false),
    };
    let written = Cert::from_packets(packets.into_iter()).and_then(|reduced| reduced.to_vec());
    let octets = written.map_err(|error| refused(words::reason(&error)))?;
    Ok(Publication { octets, created, is_revoked })
}

/// The packets of a certificate in good standing.
fn valid(
    cert: &Cert,
    address: &Address,
    extent: Extent,
    at: SystemTime,
    keys: &dyn Keys,
) -> std::result::Result<Vec<Packet>, String> {
    let policy = policy(at, Legacy::Refuse);
    let encrypting = cert::all_usable(cert, Usage::Encrypt, at, Legacy::Refuse, keys);
    let valid = cert.with_policy(&policy, at).map_err(|error| words::reason(&error))?;
    if valid.alive().is_err() {
        return Err(encrypting.err().map_or_else(|| "expired".to_owned(), |why| why.to_string()));
    }
    let mut packets = vec![Packet::from(valid.primary_key().key().clone())];
    // A key of version 6 says there what it is for (RFC 9580, section 10.1.1).
    if extent == Extent::Keys || valid.primary_key().key().version() > 4 {
        packets.extend(valid.direct_key_signature().ok().cloned().map(Packet::from));
    }
    let named = user_ids(&valid, address);
    if named.is_empty() {
        return Err(format!("has no valid user id of {address}"));
    }
    packets.extend(named.into_iter().take(if extent == Extent::Autocrypt { 2 } else { usize::MAX }));
    let first = match extent {
        Extent::Keys => None,
        Extent::Autocrypt => {
            let all = encrypting.map_err(|why| why.to_string())?;
            // Few programs know algorithms that withstand quantum computers, and they get the whole certificate elsewhere.
            let known = all.iter().find(|key| !suite::key_algorithm(key).is_quantum_safe());
            known.or(all.first()).map(|key| key.fingerprint())
        }
    };
    for subkey in valid.keys().subkeys().alive().revoked(false).supported() {
        let is_wanted = match &first {
            Some(first) => subkey.key().fingerprint() == *first,
            None => subkey.for_signing() || subkey.for_transport_encryption() || subkey.for_storage_encryption(),
        };
        if is_wanted {
            packets.push(Packet::from(subkey.key().clone()));
            packets.push(Packet::from(subkey.binding_signature().clone()));
        }
    }
    Ok(packets)
}

/// The valid user IDs of the address, each with its newest self-signature. The primary one comes first.
fn user_ids(valid: &ValidCert<'_>, address: &Address) -> Vec<Packet> {
    let mut found: Vec<_> = valid
        .userids()
        .filter(|user| !matches!(user.revocation_status(), RevocationStatus::Revoked(_)))
        .filter(|user| mailbox(user.amalgamation()).as_ref() == Some(address))
        .collect();
    let primary = valid.primary_userid().ok().map(|user| user.userid().clone());
    found.sort_by_key(|user| Some(user.userid()) != primary.as_ref());
    let packets = found
        .iter()
        .flat_map(|user| [Packet::from(user.userid().clone()), Packet::from(user.binding_signature().clone())]);
    packets.collect()
}

/// A revoked certificate: the primary key, what revokes it, and the user IDs of the address by which it is found.
fn revoked(cert: &Cert, address: &Address) -> Vec<Packet> {
    let primary = cert.primary_key();
    let mut packets = vec![Packet::from(primary.key().clone())];
    packets.extend(primary.self_revocations().cloned().map(Packet::from));
    packets.extend(primary.other_revocations().cloned().map(Packet::from));
    for user in cert.userids().filter(|user| mailbox(user).as_ref() == Some(address)) {
        let signature = user.self_signatures().next().cloned();
        packets.push(Packet::from(user.userid().clone()));
        packets.extend(signature.map(Packet::from));
    }
    packets
}

fn mailbox(user: &UserIDAmalgamation<'_>) -> Option<Address> {
    of_user_id(std::str::from_utf8(user.userid().value()).ok()?)
}
