//! Bare RSA keys, and the files of RIPEM, whose certificates are X.509's.

use std::sync::Arc;

use super::interface::{Format, Reading};
use crate::{
    base::{Limits, Result, Secret},
    keys::{Locked, Passphrases, ProtocolName, Record},
    protocol::{KeyFile, pem, smime},
};

/// The key files of PEM.
pub(super) struct Pem;

impl Format for Pem {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::Pem
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        pem::keyfile::recognizes(octets)
    }

    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
        let mut all = KeyFile::default();
        for (place, octets) in files {
            let contents = pem::keyfile::read(octets, place, reading.passphrases, reading.limits)?;
            all.found.extend(contents.found);
            all.skipped.extend(contents.skipped);
            all.locked.extend(contents.locked);
            for certificate in &contents.certificates {
                match smime::keyfile::describe(certificate, place) {
                    Ok(found) => all.found.push(found),
                    Err(error) => all.skipped.push(error.to_string()),
                }
            }
        }
        Ok(all)
    }

    fn merge(&self, old: &Record, new: &Record) -> Result<Record> {
        Ok(pem::keyfile::merge(old, new))
    }

    fn locked(
        &self,
        record: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>> {
        Ok(Arc::new(pem::keyfile::LockedKey::new(record, secret, Arc::clone(passphrases), limits)))
    }
}
