//! X.509 certificates and PKCS#8 private keys.

use std::sync::Arc;

use super::interface::{Certificates, Format, Reading};
use crate::{
    base::{Limits, Result, Secret},
    keys::{Locked, Passphrases, ProtocolName, Record},
    protocol::{KeyFile, pem, smime},
};

/// The key files of S/MIME.
pub(super) struct Smime;

impl Format for Smime {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::Smime
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        // RIPEM uses the same labels for another format.
        smime::keyfile::recognizes(octets) && !pem::keyfile::recognizes(octets)
    }

    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
        smime::keyfile::read(files, reading.passphrases, reading.limits, reading.beside)
    }

    fn certificates<'a>(&self, octets: &'a [u8], place: &'a str) -> Option<Certificates<'a>> {
        Some(Box::new(smime::keyfile::certificates(octets, place)?))
    }

    fn merge(&self, old: &Record, new: &Record) -> Result<Record> {
        Ok(smime::keyfile::merge(old, new))
    }

    fn share_key(&self, one: &Record, other: &Record) -> Result<bool> {
        smime::keyfile::share_key(one, other)
    }

    fn locked(
        &self,
        record: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>> {
        Ok(Arc::new(smime::keyfile::LockedKey::new(record, secret, Arc::clone(passphrases), limits)?))
    }
}
