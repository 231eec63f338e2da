//! The capabilities that owners of certificates announced.

use std::time::SystemTime;

use super::{Reader, Writer, digest};
use crate::{
    base::{Result, parse_rfc3339, rfc3339},
    keys::{Announcement, Capabilities},
    store::backend::{CapabilityRow, CertificateRow},
};

/// A stored announcement and its digest.
pub(super) struct Heard {
    pub(super) row: CapabilityRow,
    pub(super) digest: Vec<u8>,
}

impl Reader<'_> {
    /// The latest announcement of a certificate's owner.
    pub(super) fn capabilities(&self, row: &CertificateRow) -> Result<Option<Capabilities>> {
        if row.heard.is_empty() {
            return Ok(None);
        }
        let damaged = || self.damaged(&format!("capabilities of {}", row.fingerprint));
        let Heard { row: stored, digest } = self.heard(row.number)?.ok_or_else(damaged)?;
        if digest != row.heard {
            return Err(damaged());
        }
        Ok(Some(Capabilities { list: stored.list, said: parse_rfc3339(&stored.said).map_err(|_| damaged())? }))
    }

    /// Its row.
    pub(super) fn heard(&self, number: i64) -> Result<Option<Heard>> {
        let found = self.rows.capability(number)?;
        Ok(found.map(|row| {
            let digest = digest([row.list.as_slice(), row.said.as_bytes(), row.heard.as_bytes()]);
            Heard { row, digest }
        }))
    }
}

impl Writer<'_> {
    /// Stores an announcement; returns whether that was done. It is not when a later one is stored, or the certificate is not.
    pub(in crate::store) fn note(&self, announcement: &Announcement, at: SystemTime) -> Result<bool> {
        let Some(mut row) = self.row(&announcement.certificate)? else { return Ok(false) };
        let Capabilities { list, said } = &announcement.capabilities;
        let said = rfc3339(*said);
        if self.capabilities(&row)?.is_some_and(|known| rfc3339(known.said) >= said) {
            return Ok(false);
        }
        self.rows.put_capability(row.number, &CapabilityRow { list: list.clone(), said, heard: rfc3339(at) })?;
        row.heard = self.heard(row.number)?.map(|heard| heard.digest).unwrap_or_default();
        self.settle(&mut row)?;
        Ok(true)
    }
}
