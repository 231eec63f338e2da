//! Tables that are checked as a whole: a row that is gone leaves no other trace.

use super::{Master, View, certificates::Row, view::digest};
use crate::{base::Result, crypto::Hash};

impl View<'_> {
    /// Every CRL and OCSP response.
    pub(in crate::store) fn statements(&self) -> Result<Vec<Vec<u8>>> {
        let sql = "SELECT digest, octets FROM statement ORDER BY digest";
        let rows = self.all(sql, (), |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        if let Some((key, _)) = rows.iter().find(|(key, octets)| Hash::Sha256.digest(octets) != *key) {
            return Err(self.damaged(&statement(key)));
        }
        if digest(rows.iter().map(|(key, _)| key.as_slice())) != self.total(STATEMENTS)? {
            return Err(self.damaged("the set of revocation lists"));
        }
        Ok(rows.into_iter().map(|(_, octets)| octets).collect())
    }

    /// What [`View::statement_set`] says where there are none.
    pub(in crate::store) fn no_statements() -> Vec<u8> {
        digest([])
    }

    /// What the set of them is, in a digest; an error when one is gone.
    pub(in crate::store) fn statement_set(&self) -> Result<Vec<u8>> {
        let sql = "SELECT digest FROM statement ORDER BY digest";
        let keys = self.all(sql, (), |row| row.get::<_, Vec<u8>>(0))?;
        let set = digest(keys.iter().map(Vec::as_slice));
        if set == self.total(STATEMENTS)? { Ok(set) } else { Err(self.damaged("the set of revocation lists")) }
    }

    /// Keeps one, under its SHA-256.
    pub(in crate::store) fn keep_statement(&self, octets: &[u8]) -> Result<()> {
        let values = (Hash::Sha256.digest(octets), octets);
        self.execute("INSERT OR IGNORE INTO statement (digest, octets) VALUES (?1, ?2)", values)?;
        self.settle_statements()
    }

    /// Removes one.
    pub(in crate::store) fn forget_statement(&self, octets: &[u8]) -> Result<()> {
        self.execute("DELETE FROM statement WHERE digest = ?1", (Hash::Sha256.digest(octets),))?;
        self.settle_statements()
    }

    /// Where the data key is; `None` as long as no secret was ever kept.
    pub(in crate::store) fn master(&self) -> Result<Option<Master>> {
        let master = self.stored_master()?;
        if master.as_ref().map(Master::digest).unwrap_or_default() == self.total(MASTER)? {
            Ok(master)
        } else {
            Err(self.damaged("what says where the master key is"))
        }
    }

    pub(super) fn stored_master(&self) -> Result<Option<Master>> {
        self.one("SELECT kind, name, salt, wrapped FROM master", (), |row| {
            Ok(Master { kind: row.get(0)?, name: row.get(1)?, salt: row.get(2)?, wrapped: row.get(3)? })
        })
    }

    /// Says where the data key is from now on.
    pub(in crate::store) fn set_master(&self, master: &Master) -> Result<()> {
        let Master { kind, name, salt, wrapped } = master;
        let sql = "INSERT OR REPLACE INTO master (number, kind, name, salt, wrapped) VALUES (1, ?1, ?2, ?3, ?4)";
        self.execute(sql, (kind, name, salt, wrapped))?;
        self.set_total(MASTER, &master.digest())
    }

    /// How many certificates there are.
    pub(super) fn count(&self) -> Result<i64> {
        let octets = self.total(CERTIFICATES)?;
        octets.try_into().map(i64::from_be_bytes).map_err(|_| self.damaged("the number of certificates"))
    }

    pub(super) fn set_count(&self, count: i64) -> Result<()> {
        self.set_total(CERTIFICATES, &count.to_be_bytes())
    }

    /// Whether octets of a removed secret key may still be in the log.
    pub(in crate::store) fn is_to_be_erased(&self) -> Result<bool> {
        self.one("SELECT 1 FROM total WHERE name = ?1", [ERASE], |_| Ok(())).map(|found| found.is_some())
    }

    /// Says that octets of a removed secret key are still to be erased.
    pub(in crate::store) fn must_erase(&self) -> Result<()> {
        self.set_total(ERASE, &[])
    }

    /// Says that nothing is left of removed secret keys.
    pub(in crate::store) fn has_erased(&self) -> Result<()> {
        self.execute("DELETE FROM total WHERE name = ?1", [ERASE]).map(|_| ())
    }

    /// Fills in what no SQL can compute, from whatever is there: digests and indexes.
    pub(super) fn complete(&self) -> Result<()> {
        let numbers: Vec<i64> = self.all("SELECT number FROM certificate", (), |row| row.get(0))?;
        for number in &numbers {
            let Some(mut row) = self.one(ROW, [number], Row::of)? else { continue };
            row.bound = self.bound(&row.fingerprint)?.1;
            row.heard = self.heard(*number)?.map(|heard| heard.digest).unwrap_or_default();
            let sql = "SELECT sealed FROM secret WHERE certificate = ?1";
            let sealed = self.one(sql, [number], |row| row.get::<_, Vec<u8>>(0))?;
            row.sealed = sealed.map(|sealed| digest([sealed.as_slice()])).unwrap_or_default();
            self.settle(&row)?;
        }
        self.set_count(i64::try_from(numbers.len()).unwrap_or(i64::MAX))?;
        self.settle_statements()?;
        self.set_total(MASTER, &self.stored_master()?.as_ref().map(Master::digest).unwrap_or_default())?;
        self.reindex()
    }

    pub(super) fn settle_statements(&self) -> Result<()> {
        let sql = "SELECT digest FROM statement ORDER BY digest";
        let keys = self.all(sql, (), |row| row.get::<_, Vec<u8>>(0))?;
        self.set_total(STATEMENTS, &digest(keys.iter().map(Vec::as_slice)))
    }

    pub(super) fn total(&self, name: &str) -> Result<Vec<u8>> {
        let value = self.one("SELECT value FROM total WHERE name = ?1", [name], |row| row.get(0))?;
        value.ok_or_else(|| self.damaged(&format!("total of {name}")))
    }

    pub(super) fn set_total(&self, name: &str, value: &[u8]) -> Result<()> {
        self.execute("INSERT OR REPLACE INTO total (name, value) VALUES (?1, ?2)", (name, value)).map(|_| ())
    }
}

impl Master {
    pub(super) fn digest(&self) -> Vec<u8> {
        digest([self.kind.as_bytes(), self.name.as_bytes(), &self.salt, &self.wrapped])
    }
}

/// What errors call a CRL or an OCSP response, by the key of its row.
pub(super) fn statement(key: &[u8]) -> String {
    let digits: String = key.iter().take(8).map(|octet| format!("{octet:02x}")).collect();
    format!("revocation list {digits}...")
}

pub(super) const CERTIFICATES: &str = "certificate";
pub(super) const STATEMENTS: &str = "statement";
pub(super) const MASTER: &str = "master";
const ERASE: &str = "erase";
pub(super) const ROW: &str =
    "SELECT fingerprint, number, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest
    FROM certificate WHERE number = ?1";
