//! The record of an X.509 certificate: everything by which a message or another certificate may name it.

use std::sync::Arc;

use crate::{
    base::{Error, Result},
    crypto::Hash,
    keys::{Encoded, Handle, ProtocolName, Record},
    pki::{Certificate, Name},
};

/// The record of `certificate`, which nobody vouches for yet and to which no secret key is known.
pub fn record(certificate: &Certificate) -> Record {
    let mut handles = vec![
        fingerprint(certificate),
        Handle::from_octets(&Hash::Sha1.digest(certificate.der())),
        issuer_and_serial(certificate.issuer(), certificate.serial()),
        subject(certificate.subject()),
    ];
    handles.extend(certificate.key_identifier().and_then(key_identifier));
    let bytes = Encoded::from(certificate.der().to_vec());
    // It is read already; nobody needs to do so again.
    let _ = bytes.read(|_| Ok(certificate.clone()));
    Record {
        protocol: ProtocolName::Smime,
        fingerprint: fingerprint(certificate),
        handles,
        claimed: certificate.mailboxes(),
        bindings: Vec::new(),
        bytes,
        secrets: Vec::new(),
        capabilities: None,
    }
}

/// The certificate of a record, read once.
pub fn certificate(record: &Record) -> Result<Arc<Certificate>> {
    let named = |error| Error::malformed(format!("key {}", record.fingerprint), error);
    record.bytes.read(|octets| Certificate::parse(octets).map_err(named))
}

/// The SHA-256 of a certificate's octets: the fingerprint of its record.
pub fn fingerprint(certificate: &Certificate) -> Handle {
    Handle::from_octets(&certificate.fingerprint())
}

/// How IssuerAndSerialNumber names a certificate (RFC 5652, section 10.2.4); `serial` are the content octets of the INTEGER.
pub fn issuer_and_serial(issuer: &Name, serial: &[u8]) -> Handle {
    let mut octets = issuer.normal().to_vec();
    octets.extend_from_slice(serial);
    Handle::from_octets(&Hash::Sha256.digest(&octets))
}

/// How a subject key identifier names a certificate (RFC 5280, section 4.2.1.2). `None` for one of fewer than 8 octets, because whoever
/// wants to can make another certificate with the same one.
pub fn key_identifier(octets: &[u8]) -> Option<Handle> {
    (octets.len() >= SHORTEST).then(|| Handle::from_octets(octets))
}

/// How the certificates that it issued name their issuer: by its subject.
pub fn subject(name: &Name) -> Handle {
    Handle::from_octets(&Hash::Sha256.digest(name.normal()))
}

/// The shortest [`Handle`], in octets.
const SHORTEST: usize = 8;
