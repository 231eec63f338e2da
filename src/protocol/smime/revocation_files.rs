//! Reads CRLs and OCSP responses from files in PEM (RFC 7468) or DER.

use std::{sync::Arc, time::SystemTime};

use der::{Reader, SliceReader};

use super::{chain, pem_bundle, record};
use crate::{
    base::{Budget, Error, Limits, Result, Secret},
    keys::{Handle, Keys},
    pki::{self, Certificate, IssuerId},
};

/// The CRLs and OCSP responses in `octets`, each in DER, in order. `place` names the file in errors. Certificates among
/// them are skipped.
///
/// # Errors
///
/// `Malformed` if the file has no CRL or OCSP response, or has one that cannot be read.
pub fn read(octets: &[u8], place: &str) -> Result<Vec<Arc<[u8]>>> {
    let others = pem_bundle::blocks(octets).filter(|block| block.label != "CERTIFICATE");
    let inside: Vec<Secret> = others.filter_map(|block| block.octets).collect();
    let values: Vec<&[u8]> = match pem_bundle::blocks(octets).next() {
        None => der_values(octets),
        Some(_) => inside.iter().map(Secret::expose).collect(),
    };
    let mut statements: Vec<Arc<[u8]>> = Vec::new();
    let mut refused = None;
    for value in values {
        match pki::check_statement(value) {
            Ok(()) => statements.push(value.into()),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) => Err(Error::malformed(place, error)),
        None if statements.is_empty() => Err(Error::malformed(place, "holds no CRL and no OCSP response")),
        None => Ok(statements),
    }
}

/// Whether `octets` also hold certificates, so that they are a key file too.
pub fn has_certificates(octets: &[u8]) -> bool {
    pem_bundle::blocks(octets).any(|block| block.label == "CERTIFICATE")
}

/// Whether the CRL or OCSP response `newer` replaces `older` at that time, so that `older` need not be kept ([`pki::supersedes`]), by the certificate of
/// their issuer in `keys`.
///
/// # Errors
///
/// Errors of `keys`, and `Malformed` if verifying the signatures exceeds the default limits.
pub fn supersedes(newer: &[u8], older: &[u8], keys: &[&dyn Keys], at: SystemTime) -> Result<bool> {
    let ids = pki::issuers_of_series(newer, older);
    if ids.is_empty() {
        return Ok(false);
    }
    let handles: Vec<Handle> = ids
        .iter()
        .filter_map(|id| match id {
            IssuerId::Name(name) => Some(record::subject(name)),
            IssuerId::Key(hash) => record::key_identifier(hash),
        })
        .collect();
    let mut issuers: Vec<Certificate> = Vec::new();
    for source in keys {
        let anchors = source.anchors()?;
        issuers.extend(anchors.iter().filter_map(|record| chain::certificate(record).ok()));
        for handle in &handles {
            issuers.extend(chain::stored(*source, handle)?.into_iter().map(|(_, issuer)| issuer));
        }
    }
    pki::supersedes(newer, older, &issuers, at, &mut Budget::new(Limits::default()))
}

/// DER values in sequence, up to the first that cannot be read.
fn der_values(octets: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    let Ok(mut reader) = SliceReader::new(octets) else { return values };
    while let Some(value) = (!reader.is_finished()).then(|| reader.tlv_bytes().ok()).flatten() {
        values.push(value);
    }
    values
}
