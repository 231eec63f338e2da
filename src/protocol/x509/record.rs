//! The record of an X.509 certificate, with every handle by which a message or another certificate may name it.

use std::sync::Arc;

use crate::{
    base::{Error, Result},
    crypto::Hash,
    keys::{Encoded, Handle, ProtocolName, Record},
    pki::{Certificate, Name},
};

/// A new record for `certificate`, without bindings to addresses and without a secret key.
pub fn record(certificate: &Certificate) -> Record {
    let mut handles = vec![
        fingerprint(certificate),
        Handle::from_octets(&Hash::Sha1.digest(certificate.der())),
        issuer_and_serial(certificate.issuer(), certificate.serial()),
        subject(certificate.subject()),
    ];
    handles.extend(certificate.key_identifier().and_then(key_identifier));
    let bytes = Encoded::from(certificate.der().to_vec());
    // Cache the parsed certificate.
    let _ = bytes.read(|_| Ok(certificate.clone()));
    Record::new(ProtocolName::Smime, fingerprint(certificate), bytes, [])
        .with_handles(handles)
        .with_claimed(certificate.mailboxes())
}

/// The certificate of a record, parsed once.
///
/// # Errors
///
/// `Malformed` if it cannot be read.
pub fn certificate(record: &Record) -> Result<Arc<Certificate>> {
    let named = |error| Error::malformed(format!("key {}", record.fingerprint()), error);
    record.bytes().read(|octets| Certificate::parse(octets).map_err(named))
}

/// The fingerprint of a certificate's record: the SHA-256 of its octets.
pub fn fingerprint(certificate: &Certificate) -> Handle {
    Handle::from_octets(&certificate.fingerprint())
}

/// The handle for IssuerAndSerialNumber (RFC 5652, section 10.2.4). `serial` are the content octets of the INTEGER.
pub fn issuer_and_serial(issuer: &Name, serial: &[u8]) -> Handle {
    let mut octets = issuer.normal().to_vec();
    octets.extend_from_slice(serial);
    Handle::from_octets(&Hash::Sha256.digest(&octets))
}

/// The handle for a subject key identifier (RFC 5280, section 4.2.1.2). `None` for fewer than 8 octets, because anyone
/// could make another certificate with the same identifier.
pub fn key_identifier(octets: &[u8]) -> Option<Handle> {
    (octets.len() >= SHORTEST).then(|| Handle::from_octets(octets))
}

/// The handle for a subject, by which issued certificates name their issuer.
pub fn subject(name: &Name) -> Handle {
    Handle::from_octets(&Hash::Sha256.digest(name.normal()))
}

/// The length of the shortest [`Handle`] in octets.
const SHORTEST: usize = 8;
