//! When certificates end, without checking them.

use std::time::SystemTime;

use super::pgp;
use crate::{
    base::Result,
    keys::{ProtocolName, Record},
    pki::Certificate,
};

/// When the keys of a certificate end, as its octets say. No signature is checked, so this is cheap, and only good for finding certificates that are worth
/// a closer look. A bare key has no end.
///
/// # Errors
///
/// `Malformed`: the certificate cannot be read.
pub fn ends(record: &Record) -> Result<Vec<SystemTime>> {
    match record.protocol() {
        ProtocolName::Pem => Ok(Vec::new()),
        ProtocolName::Pgp => pgp::expiry::ends(record.bytes()),
        ProtocolName::Smime => Ok(vec![Certificate::validity_of(record.bytes())?.1]),
    }
}
