//! OpenPGP certificates and secret keys.

use std::sync::Arc;

use super::interface::{Format, Reading};
use crate::{
    base::{Budget, Limits, Result, Secret},
    keys::{Binding, Handle, Locked, Passphrases, ProtocolName, Record},
    protocol::{
        Described, KeyFile, Sifted,
        pgp::{self, secret_parts},
    },
};

/// The key files of OpenPGP.
pub(super) struct Pgp;

impl Format for Pgp {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::Pgp
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        pgp::keyfile::recognizes(octets)
    }

    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
        let mut all = KeyFile::default();
        for (place, octets) in files {
            all.append(pgp::keyfile::describe(octets, place)?);
        }
        pgp::keyfile::apply_revocations(&mut all, reading.beside)?;
        Ok(all)
    }

    fn merge(&self, old: &Record, new: &Record) -> Result<Record> {
        pgp::keyfile::merge(old, new)
    }

    fn sift(
        &self,
        found: Described,
        held: Option<&Secret>,
        reading: &Reading<'_>,
        budget: &mut Budget,
    ) -> Result<Sifted> {
        secret_parts::sift(found, held, reading.passphrases, budget)
    }

    fn merge_secret(&self, held: &Secret, new: &Secret, proven: &[Handle]) -> Result<Secret> {
        secret_parts::merge_secret(held, new, proven)
    }

    fn locked(
        &self,
        _: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>> {
        Ok(Arc::new(pgp::keyfile::LockedKeys::new(secret, Arc::clone(passphrases), limits)))
    }

    fn given(&self) -> Vec<Binding> {
        vec![Binding::UserIds]
    }
}
