//! Certificates that others publish for an address.

use std::time::SystemTime;

use super::{pgp, smime};
use crate::{
    base::{Error, Limits, Result},
    keys::{Keys, ProtocolName, Record},
    mail::Address,
    pki::{
        Certificate,
        tlv::{Element, OID, Reader, constructed},
    },
};

/// The certificates of `protocol` in `octets`, which come from the network, as far as they are for `address`: without what is not about it, and
/// without any trust.
///
/// # Errors
///
/// `Malformed`: they cannot be read, or are too many. `Unavailable`: the protocol's certificates are not published like this, or it is not in this build.
pub fn published(protocol: ProtocolName, octets: &[u8], address: &Address, limits: &Limits) -> Result<Vec<Record>> {
    match protocol {
        ProtocolName::Pgp => pgp::published::certificates(octets, address, limits),
        ProtocolName::Pem => Err(Error::unavailable("certificates of pem: are not published")),
        ProtocolName::Smime => x509(octets, address, limits),
    }
}

/// Certificates in DER, one after the other.
fn x509(octets: &[u8], address: &Address, limits: &Limits) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    let mut reader = Reader::new(octets, "certificates");
    while !reader.is_finished() {
        for one in contained(reader.any()?)? {
            let record = smime::keyfile::describe(one, "certificates")?.record;
            if found.len() >= limits.certificates {
                return Err(Error::malformed("certificates", format!("more than {}", limits.certificates)));
            }
            if record.claimed().contains(address) {
                found.push(record);
            }
        }
    }
    Ok(found)
}

/// The certificates of signed-data (RFC 5652, section 5.1), as directories have it in userSMIMECertificate (RFC 2798, section 2.8). Anything else is a certificate.
fn contained(one: Element<'_>) -> Result<Vec<&[u8]>> {
    let mut fields = one.reader();
    if fields.optional(OID)?.is_none() {
        return Ok(vec![one.whole]);
    }
    let mut signed = fields.expect(constructed(0))?.reader().sequence()?;
    let mut certificates = Vec::new();
    while !signed.is_finished() {
        let field = signed.any()?;
        if field.tag == constructed(0) {
            let mut all = field.reader();
            while !all.is_finished() {
                certificates.push(all.any()?.whole);
            }
        }
    }
    Ok(certificates)
}

/// Whether a message for `address` can be encrypted to the certificate of `record` at `at`, as far as it says itself; if not, why. `keys` have the keys
/// of designated revokers.
///
/// # Errors
///
/// `Malformed`: the certificate cannot be read.
pub fn encrypts(
    record: &Record,
    address: &Address,
    at: SystemTime,
    keys: &dyn Keys,
) -> Result<std::result::Result<(), String>> {
    match record.protocol() {
        ProtocolName::Pem => Ok(Ok(())),
        ProtocolName::Pgp => pgp::published::encrypts(record, address, at, keys),
        ProtocolName::Smime => {
            let (begins, ends) = Certificate::validity_of(record.bytes())?;
            Ok(if (begins..=ends).contains(&at) { Ok(()) } else { Err("out of its validity".to_owned()) })
        }
    }
}
