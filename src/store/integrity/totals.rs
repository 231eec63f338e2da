//! Tables that are checked as a whole, to notice missing rows.

use std::collections::BTreeMap;

use serde_json::json;

use super::{Reader, Writer, digest};
use crate::{
    base::{Result, hex},
    crypto::Hash,
    store::backend::{MasterRow, StatementRow},
};

impl Reader<'_> {
    /// Every CRL and OCSP response.
    pub(in crate::store) fn statements(&self) -> Result<Vec<Vec<u8>>> {
        let rows = self.rows.statements()?;
        if let Some(row) = rows.iter().find(|row| !is_whole(row)) {
            return Err(self.damaged(&statement(&row.digest)));
        }
        if set(rows.iter().map(|row| &row.digest)) != self.total(STATEMENTS)? {
            return Err(self.damaged("the set of revocation lists"));
        }
        Ok(rows.into_iter().map(|row| row.octets).collect())
    }

    /// The digest of the set of them; an error when one is missing.
    pub(in crate::store) fn statement_set(&self) -> Result<Vec<u8>> {
        let set = set(&self.rows.statement_digests()?);
        if set == self.total(STATEMENTS)? { Ok(set) } else { Err(self.damaged("the set of revocation lists")) }
    }

    /// The wrapped data key; `None` until a secret is stored.
    pub(in crate::store) fn master(&self) -> Result<Option<MasterRow>> {
        let master = self.rows.master()?;
        if master_digest(master.as_ref()) == self.total(MASTER)? {
            Ok(master)
        } else {
            Err(self.damaged("what says where the master key is"))
        }
    }

    /// How many certificates there are.
    pub(super) fn count(&self) -> Result<i64> {
        let octets = self.total(CERTIFICATES)?;
        octets.try_into().map(i64::from_be_bytes).map_err(|_| self.damaged("the number of certificates"))
    }

    /// Whether octets of a removed secret key may still be in the store's log.
    pub(in crate::store) fn is_to_be_erased(&self) -> Result<bool> {
        self.rows.total(ERASE).map(|found| found.is_some())
    }

    /// Whether a secret part was ever stored that is on a token.
    pub(in crate::store) fn has_tokens(&self) -> Result<bool> {
        self.rows.total(TOKENS).map(|found| found.is_some())
    }

    /// The names of the keys on tokens, by the fingerprints of their certificates. Those that an older version stored are missing.
    pub(in crate::store) fn token_names(&self) -> Result<TokenNames> {
        match self.rows.total(TOKENS)?.filter(|stored| !stored.is_empty()) {
            Some(stored) => serde_json::from_slice(&stored).map_err(|_| self.damaged("the names of tokens")),
            None => Ok(TokenNames::new()),
        }
    }

    /// What [`Writer::set_audit`] stored under this name; `None`: changes are not recorded.
    pub(in crate::store) fn audit(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.rows.total(name)
    }

    pub(super) fn total(&self, name: &str) -> Result<Vec<u8>> {
        self.rows.total(name)?.ok_or_else(|| self.damaged(&format!("total of {name}")))
    }
}

impl Writer<'_> {
    /// Stores a CRL or an OCSP response under its SHA-256.
    pub(in crate::store) fn keep_statement(&self, octets: &[u8]) -> Result<()> {
        let row = StatementRow { digest: Hash::Sha256.digest(octets), octets: octets.to_vec() };
        self.rows.put_statement(&row)?;
        self.journal.statement(octets, "stored");
        self.settle_statements()
    }

    /// Removes one.
    pub(in crate::store) fn forget_statement(&self, octets: &[u8]) -> Result<()> {
        self.rows.delete_statement(&Hash::Sha256.digest(octets))?;
        self.journal.statement(octets, "removed");
        self.settle_statements()
    }

    /// Stores the wrapped data key.
    pub(in crate::store) fn set_master(&self, master: &MasterRow) -> Result<()> {
        self.rows.put_master(master)?;
        self.journal.add(json!({ "master": master.kind, "name": master.name, "done": "stored" }));
        self.rows.put_total(MASTER, &master_digest(Some(master)))
    }

    /// Stores under this name where the audit log is, and its end after this change.
    pub(in crate::store) fn set_audit(&self, name: &str, audit: &[u8]) -> Result<()> {
        self.rows.put_total(name, audit)
    }

    pub(super) fn set_count(&self, count: i64) -> Result<()> {
        self.rows.put_total(CERTIFICATES, &count.to_be_bytes())
    }

    /// Notes which keys of a certificate are on tokens, if any.
    pub(in crate::store) fn note_tokens(&self, fingerprint: &str, names: Vec<String>) -> Result<()> {
        let mut all = self.token_names()?;
        let before =
            if names.is_empty() { all.remove(fingerprint) } else { all.insert(fingerprint.to_owned(), names.clone()) };
        if before.unwrap_or_default() == names {
            return Ok(());
        }
        let stored = serde_json::to_vec(&all).map_err(|_| self.damaged("the names of tokens"))?;
        self.rows.put_total(TOKENS, &stored)
    }

    /// Notes that octets of a removed secret key must still be erased.
    pub(in crate::store) fn must_erase(&self) -> Result<()> {
        self.rows.put_total(ERASE, &[])
    }

    /// Notes that no octets of removed secret keys are left.
    pub(in crate::store) fn has_erased(&self) -> Result<()> {
        self.rows.delete_total(ERASE)
    }

    /// Computes every digest and index from the rows that are there.
    pub(super) fn complete(&self) -> Result<()> {
        let numbers = self.rows.numbers()?;
        for number in &numbers {
            let Some(mut row) = self.stored(*number)? else { continue };
            row.bound = self.bound(&row.fingerprint)?.1;
            row.heard = self.heard(*number)?.map(|heard| heard.digest).unwrap_or_default();
            row.sealed = self.rows.secret(*number)?.map(|sealed| digest([sealed.as_slice()])).unwrap_or_default();
            self.settle(&mut row)?;
        }
        self.set_count(i64::try_from(numbers.len()).unwrap_or(i64::MAX))?;
        self.settle_statements()?;
        self.rows.put_total(MASTER, &master_digest(self.rows.master()?.as_ref()))?;
        self.reindex()
    }

    pub(super) fn settle_statements(&self) -> Result<()> {
        self.rows.put_total(STATEMENTS, &set(&self.rows.statement_digests()?))
    }
}

/// The names of keys on tokens, by the fingerprints of their certificates.
pub(in crate::store) type TokenNames = BTreeMap<String, Vec<String>>;

/// What [`Reader::statement_set`] returns when there are none.
pub(in crate::store) fn no_statements() -> Vec<u8> {
    set([])
}

/// The digest of a set of statements, from their own in order.
pub(super) fn set<'a>(digests: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    digest(digests.into_iter().map(Vec::as_slice))
}

pub(super) fn is_whole(row: &StatementRow) -> bool {
    Hash::Sha256.digest(&row.octets) == row.digest
}

/// The digest of its columns; empty when there is none.
pub(super) fn master_digest(master: Option<&MasterRow>) -> Vec<u8> {
    let parts = |row: &MasterRow| digest([row.kind.as_bytes(), row.name.as_bytes(), &row.salt, &row.wrapped]);
    master.map(parts).unwrap_or_default()
}

/// What errors call a CRL or an OCSP response, by its digest.
pub(super) fn statement(digest: &[u8]) -> String {
    format!("revocation list {}...", hex(digest.get(..8).unwrap_or(digest)))
}

/// The totals that go with the rows wherever they are moved.
pub(in crate::store) const TOTALS: [&str; 4] = [CERTIFICATES, STATEMENTS, MASTER, TOKENS];
const CERTIFICATES: &str = "certificate";
pub(super) const STATEMENTS: &str = "statement";
pub(super) const MASTER: &str = "master";
const ERASE: &str = "erase";
const TOKENS: &str = "tokens";
