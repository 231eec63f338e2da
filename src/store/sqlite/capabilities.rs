//! What the owners of certificates said that they read.

use std::time::SystemTime;

use super::{View, certificates::Row, view::digest};
use crate::{
    base::{Result, parse_rfc3339, rfc3339},
    keys::{Announcement, Capabilities},
};

/// What is written of what somebody said, and its digest.
pub(super) struct Heard {
    pub(super) list: Vec<u8>,
    pub(super) said: String,
    pub(super) digest: Vec<u8>,
}

impl View<'_> {
    /// What the owner of a certificate said last.
    pub(super) fn capabilities(&self, row: &Row) -> Result<Option<Capabilities>> {
        if row.heard.is_empty() {
            return Ok(None);
        }
        let damaged = || self.damaged(&format!("capabilities of {}", row.fingerprint));
        let heard = self.heard(row.number)?.ok_or_else(damaged)?;
        if heard.digest != row.heard {
            return Err(damaged());
        }
        Ok(Some(Capabilities { list: heard.list, said: parse_rfc3339(&heard.said).map_err(|_| damaged())? }))
    }

    /// What is written of it.
    pub(super) fn heard(&self, number: i64) -> Result<Option<Heard>> {
        let sql = "SELECT list, said, heard FROM capability WHERE certificate = ?1";
        self.one(sql, [number], |row| {
            let (list, said, heard): (Vec<u8>, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let digest = digest([list.as_slice(), said.as_bytes(), heard.as_bytes()]);
            Ok(Heard { list, said, digest })
        })
    }

    /// Notes what the owner of a certificate says; says whether that was done. It is not when they said something later, or when the
    /// certificate is not here.
    pub(in crate::store) fn note(&self, announcement: &Announcement, at: SystemTime) -> Result<bool> {
        let Some(mut row) = self.row(&announcement.certificate)? else { return Ok(false) };
        let Capabilities { list, said } = &announcement.capabilities;
        let said = rfc3339(*said);
        if self.capabilities(&row)?.is_some_and(|known| rfc3339(known.said) >= said) {
            return Ok(false);
        }
        let sql = "INSERT OR REPLACE INTO capability (certificate, list, said, heard) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, (row.number, list, said, rfc3339(at)))?;
        row.heard = self.heard(row.number)?.map(|heard| heard.digest).unwrap_or_default();
        self.settle(&row)?;
        Ok(true)
    }
}
