//! What the owners of certificates said that they read.

use std::time::{Duration, SystemTime};

use super::{Database, failed, schema};
use crate::{
    base::{Error, Result, parse_rfc3339, rfc3339},
    keys::{Announcement, Capabilities},
};

impl Database {
    /// What the owner of a certificate said last. `None` also in a database of an older version that nobody may write to.
    pub(in crate::store) fn capabilities(&self, fingerprint: &str) -> Result<Option<Capabilities>> {
        if self.tables() < schema::WITH_CAPABILITIES {
            return Ok(None);
        }
        let sql = "SELECT list, said FROM capability JOIN certificate ON certificate = number WHERE fingerprint = ?1";
        let row = self.one(sql, [fingerprint], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?)))?;
        let Some((list, said)) = row else { return Ok(None) };
        let said = parse_rfc3339(&said).map_err(|error| {
            Error::malformed(self.place.display(), format!("capabilities of certificate {fingerprint}: {error}"))
        })?;
        Ok(Some(Capabilities { list, said }))
    }

    /// Notes what the owner of a certificate says; says whether that was done. It is not when he said something later, or when the
    /// certificate is not here. Whoever is writing meanwhile is not waited for long: it will be heard again.
    pub(in crate::store) fn note(&self, announcement: &Announcement, at: SystemTime) -> Result<bool> {
        self.shared()?.busy_timeout(PATIENCE).map_err(|error| failed(&self.place, &error))?;
        let Capabilities { list, said } = &announcement.capabilities;
        // One statement is one change: of two processes at once, the later word stays.
        let sql = "INSERT INTO capability (certificate, list, said, heard) SELECT number, ?2, ?3, ?4 FROM certificate WHERE fingerprint = ?1
            ON CONFLICT (certificate) DO UPDATE SET list = excluded.list, said = excluded.said, heard = excluded.heard
            WHERE excluded.said > said";
        let values = (announcement.certificate.as_str(), list, rfc3339(*said), rfc3339(at));
        Ok(self.execute(sql, values)? > 0)
    }
}

/// How long another writer is waited for by one who came to read.
const PATIENCE: Duration = Duration::from_millis(100);
