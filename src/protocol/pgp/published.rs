//! Certificates that others publish for an address: read, and reduced to what belongs to the address.

use std::time::SystemTime;

use sequoia_openpgp::{Cert, Packet, cert::CertParser, parse::Parse, serialize::MarshalInto};

use super::{
    armor, binding_signatures,
    cert::{self, Usage},
    counting::within_limits,
    keyfile::{claim, describe_cert},
    words::reason,
};
use crate::{
    base::{Error, Limits, Result},
    crypto::Legacy,
    keys::{Keys, Record},
    mail::Address,
};

/// The certificates in `octets` with a user ID of `address`, each reduced to its keys, that user ID, and its own signatures on them: no other user
/// IDs, no signatures of others, no secret parts. Without the address the list is empty.
///
/// # Errors
///
/// `Malformed`: `octets` are not OpenPGP certificates, binary or armored, or more than [`Limits::certificates`].
pub(in crate::protocol) fn certificates(octets: &[u8], address: &Address, limits: &Limits) -> Result<Vec<Record>> {
    let place = "certificates";
    let malformed = |error: &sequoia_openpgp::anyhow::Error| Error::malformed(place, reason(error));
    let binary = match armor::is_armored(octets) {
        true => armor::dearmor(octets.to_vec(), "PUBLIC KEY BLOCK")?.octets,
        false => octets.to_vec(),
    };
    let packets = within_limits(&binary, place, limits)?;
    if packets.len() < binary.len() || packets.is_empty() {
        return Err(Error::malformed(place, "not OpenPGP packets"));
    }
    let mut found = Vec::new();
    for (number, cert) in CertParser::from_bytes(packets).map_err(|error| malformed(&error))?.enumerate() {
        if number >= limits.certificates {
            return Err(Error::malformed(place, format!("more than {}", limits.certificates)));
        }
        // One that cannot be read, for instance of an old version, does not spoil the others.
        let Ok(cert) = cert else { continue };
        binding_signatures::verify(&cert, &cert.to_vec().map_err(|error| malformed(&error))?);
        if let Some(reduced) = reduced(&cert, address).map_err(|error| malformed(&error))? {
            found.push(describe_cert(&reduced)?.record);
        }
    }
    Ok(found)
}

/// Whether a message for `address` can be encrypted to the certificate at `at`; if not, why.
///
/// # Errors
///
/// `Malformed`: the certificate cannot be read.
pub(in crate::protocol) fn encrypts(
    record: &Record,
    address: &Address,
    at: SystemTime,
    keys: &dyn Keys,
) -> Result<std::result::Result<(), String>> {
    let cert = cert::parse(record)?;
    if let Err(why) = cert::usable(&cert, Usage::Encrypt, at, Legacy::Refuse, keys) {
        return Ok(Err(why.to_string()));
    }
    match cert::certified(&cert, at, Legacy::Refuse, keys).contains(address) {
        true => Ok(Ok(())),
        false => Ok(Err("its user id is not valid".to_owned())),
    }
}

/// `None` if no user ID is of `address`.
fn reduced(cert: &Cert, address: &Address) -> sequoia_openpgp::Result<Option<Cert>> {
    let is_named = |cert: &Cert| cert.userids().any(|user| claim(user.userid()).as_ref() == Some(address));
    if !is_named(cert) {
        return Ok(None);
    }
    let signatures = |packets: &mut Vec<Packet>, all: Vec<sequoia_openpgp::packet::Signature>| {
        packets.extend(all.into_iter().map(Packet::from));
    };
    let mut packets: Vec<Packet> = Vec::new();
    let primary = cert.primary_key();
    packets.push(Packet::from(primary.key().clone()));
    signatures(&mut packets, primary.self_signatures().cloned().collect());
    signatures(&mut packets, primary.self_revocations().cloned().collect());
    // Of designated revokers, whose keys decide whether they count.
    signatures(&mut packets, primary.other_revocations().cloned().collect());
    for user in cert.userids().filter(|user| claim(user.userid()).as_ref() == Some(address)) {
        packets.push(Packet::from(user.userid().clone()));
        signatures(&mut packets, user.self_signatures().cloned().collect());
        signatures(&mut packets, user.self_revocations().cloned().collect());
    }
    for key in cert.keys().subkeys() {
        packets.push(Packet::from(key.key().clone()));
        signatures(&mut packets, key.self_signatures().cloned().collect());
        signatures(&mut packets, key.self_revocations().cloned().collect());
    }
    Cert::from_packets(packets.into_iter()).map(Some)
}
