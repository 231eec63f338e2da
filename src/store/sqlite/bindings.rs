//! Why certificates are believed.

use std::time::SystemTime;

use super::Database;
use crate::{
    base::{Error, Result, rfc3339},
    keys::{Binding, Handle},
    store::binding::{self, Origin},
};

impl Database {
    /// Notes a binding; says whether it is new.
    pub(in crate::store) fn bind(
        &self,
        fingerprint: &Handle,
        binding: &Binding,
        origin: Origin,
        at: SystemTime,
    ) -> Result<bool> {
        let subject = binding::written(binding)?;
        let sql =
            "INSERT OR IGNORE INTO binding (fingerprint, subject, sought, origin, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = (fingerprint.as_str(), &subject, subject.to_ascii_lowercase(), origin.name(), rfc3339(at));
        Ok(self.execute(sql, values)? > 0)
    }

    /// Forgets every binding of a certificate.
    pub(in crate::store) fn unbind(&self, fingerprint: &Handle) -> Result<()> {
        self.execute("DELETE FROM binding WHERE fingerprint = ?1", [fingerprint.as_str()]).map(|_| ())
    }

    /// The bindings of a certificate, in the order in which they were made. One that cannot be read is an error: it might be the one that
    /// counts.
    pub(in crate::store) fn bindings(&self, fingerprint: &str) -> Result<Vec<Binding>> {
        let sql = "SELECT subject FROM binding WHERE fingerprint = ?1 ORDER BY number";
        let subjects = self.all(sql, [fingerprint], |row| row.get::<_, String>(0))?;
        let place = self.place.display();
        let read = |subject: &String| {
            binding::read(subject)
                .ok_or_else(|| Error::malformed(&place, format!("binding of {fingerprint}: {subject:?}")))
        };
        subjects.iter().map(read).collect()
    }
}
