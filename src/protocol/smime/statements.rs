//! Files of what issuers say about revocation: CRLs and OCSP responses, in PEM (RFC 7468) or DER.

use std::sync::Arc;

use der::{Reader, SliceReader};

use super::pem_bundle;
use crate::{
    base::{Error, Result},
    pki,
};

/// The CRLs and OCSP responses in `octets`, DER each, in order; `place` is what errors name. A file with anything else among them may be a
/// bundle, whose certificates are passed over; one without any is an error of kind `Malformed`.
pub fn read(octets: &[u8], place: &str) -> Result<Vec<Arc<[u8]>>> {
    let blocks = pem_bundle::blocks(octets);
    let inside = blocks.iter().filter(|block| block.label != "CERTIFICATE").filter_map(|block| block.octets.as_ref());
    let values: Vec<&[u8]> =
        if blocks.is_empty() { der_values(octets) } else { inside.map(|octets| octets.expose()).collect() };
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

/// One value after the other, as far as they can be told apart.
fn der_values(octets: &[u8]) -> Vec<&[u8]> {
    let mut values = Vec::new();
    let Ok(mut reader) = SliceReader::new(octets) else { return values };
    while let Some(value) = (!reader.is_finished()).then(|| reader.tlv_bytes().ok()).flatten() {
        values.push(value);
    }
    values
}
