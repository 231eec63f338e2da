//! The key files of a protocol that is not in this build: recognized, and refused with the name of the Cargo feature.

use std::sync::Arc;

use memchr::memmem;

use super::interface::{Format, Reading};
use crate::{
    base::{Limits, Result, Secret},
    keys::{Locked, Passphrases, ProtocolName, Record},
    mail::armor::{Label, pgp_blocks},
    protocol::{KeyFile, missing},
};

/// The key files of this protocol.
pub(super) struct Missing(pub(super) ProtocolName);

impl Format for Missing {
    fn protocol(&self) -> ProtocolName {
        self.0
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        let is_key = |label| matches!(label, Label::PgpPrivateKey | Label::PgpPublicKey);
        match self.0 {
            // Its files have the labels of others; what those do not read is no key file.
            ProtocolName::Pem => false,
            ProtocolName::Pgp => pgp_blocks(octets).any(|block| is_key(block.label)),
            ProtocolName::Smime => {
                LABELS.iter().any(|label| memmem::find(octets, label).is_some()) || octets.starts_with(SEQUENCE)
            }
        }
    }

    fn read(&self, _: &[(&str, &[u8])], _: &Reading<'_>) -> Result<KeyFile> {
        Err(missing(self.0))
    }

    fn merge(&self, _: &Record, _: &Record) -> Result<Record> {
        Err(missing(self.0))
    }

    fn locked(&self, _: &Record, _: Secret, _: &Arc<Passphrases>, _: &Limits) -> Result<Arc<dyn Locked>> {
        Err(missing(self.0))
    }
}

/// RFC 7468, sections 5, 10 and 11.
const LABELS: [&[u8]; 3] =
    [b"-----BEGIN CERTIFICATE-----", b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN ENCRYPTED PRIVATE KEY-----"];
/// The start of a certificate, a private key or a PKCS#12 file in DER, of 256 octets and more.
const SEQUENCE: &[u8] = b"\x30\x82";
