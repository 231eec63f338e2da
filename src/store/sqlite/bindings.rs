//! Why certificates are believed.

use std::time::SystemTime;

use super::{View, certificates::Row, view::digest};
use crate::{
    base::{Error, Result, rfc3339},
    keys::{Binding, Handle},
    store::binding::{self, Origin},
};

impl View<'_> {
    /// Notes a binding of a certificate that is here; says whether it is new.
    ///
    /// An error of kind `NoKey` when the certificate is not here.
    pub(in crate::store) fn bind(
        &self,
        fingerprint: &Handle,
        binding: &Binding,
        origin: Origin,
        at: SystemTime,
    ) -> Result<bool> {
        let subject = binding::written(binding)?;
        let row = self.row(fingerprint)?;
        let mut row = row.ok_or_else(|| Error::no_key(format!("key {fingerprint}: no certificate here")))?;
        if self.bindings(&row)?.contains(binding) {
            return Ok(false);
        }
        // One that is there and does not count is no binding: it came in by another way.
        let sql =
            "INSERT OR REPLACE INTO binding (fingerprint, subject, sought, origin, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = (fingerprint.as_str(), &subject, subject.to_ascii_lowercase(), origin.name(), rfc3339(at));
        self.execute(sql, values)?;
        row.bound = self.bound(&row.fingerprint)?.1;
        self.settle(&row)?;
        self.find_by(&row, binding)?;
        Ok(true)
    }

    /// The bindings of a certificate, in the order in which they were made. One that is not what was written is an error: it might be the one
    /// that counts.
    pub(super) fn bindings(&self, row: &Row) -> Result<Vec<Binding>> {
        if row.bound.is_empty() {
            return Ok(Vec::new());
        }
        let (subjects, digest) = self.bound(&row.fingerprint)?;
        let damaged = || self.damaged(&format!("bindings of {}", row.fingerprint));
        if digest != row.bound {
            return Err(damaged());
        }
        subjects.iter().map(|subject| binding::read(subject).ok_or_else(damaged)).collect()
    }

    /// What a certificate is bound to, as it is written, and the digest of that; empty when there is nothing.
    pub(super) fn bound(&self, fingerprint: &str) -> Result<(Vec<String>, Vec<u8>)> {
        let sql = "SELECT subject, sought, origin, at FROM binding WHERE fingerprint = ?1 ORDER BY number";
        let rows =
            self.all(sql, [fingerprint], |row| Ok([row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
        if rows.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let digest = digest(rows.iter().flatten().map(String::as_bytes));
        Ok((rows.into_iter().map(|[subject, ..]| subject).collect(), digest))
    }
}
