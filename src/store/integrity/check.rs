//! Compares everything in a store with its digests, and repairs what can be repaired.
//!
//! What cannot be repaired is set aside and reported. Nothing is deleted.

use super::{
    Reader, Writer, digest,
    totals::{self, MASTER, STATEMENTS, master_digest, statement},
};
use crate::{
    base::{Hint, Result},
    keys::Record,
    store::backend::{CertificateRow, Entry, Index},
};

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What it is: `certificate 0123...`, `index of address`.
    pub what: String,
    /// What was done about it.
    pub outcome: Outcome,
}

/// What was done about something damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Nothing: no repair was asked for, or it is not possible.
    Left,
    /// It was repaired.
    Repaired,
    /// It is lost: set aside, and no longer used.
    Lost,
}

/// Whether to repair what is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Only check.
    No,
    /// Repair what can be repaired, and set aside the rest.
    Yes,
}

/// Makes a record from a certificate's octets alone; `None` when they are not a certificate.
pub(in crate::store) type Describe<'a> = &'a dyn Fn(&[u8]) -> Option<Record>;

/// Everything that is damaged, in the order of the tables; repaired when there is a writer.
pub(in crate::store) fn check(
    reader: Reader<'_>,
    writer: Option<Writer<'_>>,
    describe: Describe<'_>,
) -> Result<Vec<Damage>> {
    let mut found = Found { reader, writer, damage: Vec::new() };
    found.storage()?;
    for number in reader.rows.numbers()? {
        if let Some(row) = reader.stored(number)? {
            found.certificate(row, describe)?;
        }
    }
    found.strays()?;
    found.totals()?;
    found.indexes()?;
    Ok(found.damage)
}

impl Reader<'_> {
    fn all_entries(&self, index: Index) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for number in self.rows.numbers()? {
            let Some(row) = self.stored(number)? else { continue };
            // Damaged rows have no entries; they are reported elsewhere.
            let Some(record) = row.record().filter(|_| row.digest == row.true_digest()) else { continue };
            let record = record.with_bindings(self.bindings(&row).unwrap_or_default());
            entries.extend(index.terms(&record).into_iter().map(|sought| Entry { sought, number }));
        }
        Ok(entries)
    }
}

impl Writer<'_> {
    /// Rebuilds the indexes from the certificates.
    pub(super) fn reindex(&self) -> Result<()> {
        Index::ALL.into_iter().try_for_each(|index| self.rebuild(index, self.all_entries(index)?))
    }
}

struct Found<'a> {
    reader: Reader<'a>,
    /// `None` to check only.
    writer: Option<Writer<'a>>,
    damage: Vec<Damage>,
}

impl Found<'_> {
    fn add(&mut self, what: impl Into<String>, repaired: Outcome) {
        let outcome = if self.writer.is_some() { repaired } else { Outcome::Left };
        self.damage.push(Damage { what: what.into(), outcome });
    }

    /// Checks the storage itself.
    fn storage(&mut self) -> Result<()> {
        let faults = self.reader.rows.faults()?;
        let left = match self.writer.filter(|_| !faults.is_empty()) {
            Some(writer) => {
                writer.rows.repair()?;
                writer.rows.faults()?
            }
            None => faults.clone(),
        };
        for line in faults {
            let outcome = if left.contains(&line) { Outcome::Left } else { Outcome::Repaired };
            self.add(format!("pages: {line}"), outcome);
        }
        Ok(())
    }

    fn certificate(&mut self, row: CertificateRow, describe: Describe<'_>) -> Result<()> {
        let row = if row.digest == row.true_digest() {
            row
        } else if let Some(mut row) = self.described(&row, describe)? {
            self.add(format!("certificate {}", row.fingerprint), Outcome::Repaired);
            if let Some(writer) = self.writer {
                writer.settle(&mut row)?;
            }
            row
        } else {
            self.add(format!("certificate {}", row.fingerprint), Outcome::Lost);
            return self.lose(&row);
        };
        self.belongings(row)
    }

    /// Checks what belongs to a certificate whose own row is intact.
    fn belongings(&mut self, mut row: CertificateRow) -> Result<()> {
        let (reader, before) = (self.reader, row.clone());
        let (subjects, bound) = reader.bound(&row.fingerprint)?;
        if bound != row.bound {
            let whose = if subjects.is_empty() { String::new() } else { format!(" ({})", subjects.join(", ")) };
            self.add(format!("bindings of {}{whose}", row.fingerprint), Outcome::Lost);
            self.lose_bindings(&row.fingerprint)?;
            row.bound = Vec::new();
        }
        let heard = reader.heard(row.number)?;
        if heard.as_ref().map(|heard| heard.digest.clone()).unwrap_or_default() != row.heard {
            self.add(format!("capabilities of {}", row.fingerprint), Outcome::Lost);
            if let Some((writer, heard)) = self.writer.zip(heard) {
                writer.rows.set_aside(&row.fingerprint, "capabilities", &heard.row.list)?;
                writer.rows.delete_capability(row.number)?;
            }
            row.heard = Vec::new();
        }
        let sealed = reader.rows.secret(row.number)?;
        if sealed_digest(sealed.as_ref()) != row.sealed {
            self.add(format!("secret key of {}", row.fingerprint), Outcome::Lost);
            if let Some((writer, sealed)) = self.writer.zip(sealed) {
                writer.rows.set_aside(&row.fingerprint, "secret key", &sealed)?;
                writer.rows.delete_secret(row.number)?;
            }
            (row.sealed, row.secrets) = (Vec::new(), String::new());
        }
        if let Some(writer) = self.writer.filter(|_| row != before) {
            writer.settle(&mut row)?;
        }
        Ok(())
    }

    /// A damaged row, restored from its certificate's octets; `None` unless its digest then fits.
    fn described(&self, row: &CertificateRow, describe: Describe<'_>) -> Result<Option<CertificateRow>> {
        let Some(record) = describe(&row.octets) else { return Ok(None) };
        let now = [
            self.reader.bound(record.fingerprint().as_str())?.1,
            self.reader.heard(row.number)?.map(|heard| heard.digest).unwrap_or_default(),
            sealed_digest(self.reader.rows.secret(row.number)?.as_ref()),
        ];
        let stored = [row.bound.clone(), row.heard.clone(), row.sealed.clone()];
        let bare = CertificateRow::from_record(&record);
        let without = row.secrets.split(',').find(|one| bare.handles.contains(one)).unwrap_or_default();
        for secrets in [&row.secrets, &bare.handles, without, ""] {
            for [bound, heard, sealed] in [&stored, &now] {
                let row = CertificateRow {
                    number: row.number,
                    secrets: secrets.to_owned(),
                    bound: bound.clone(),
                    heard: heard.clone(),
                    sealed: sealed.clone(),
                    digest: row.digest.clone(),
                    ..bare.clone()
                };
                if row.digest == row.true_digest() {
                    return Ok(Some(row));
                }
            }
        }
        Ok(None)
    }

    /// Sets a certificate aside, with its secret parts.
    fn lose(&mut self, row: &CertificateRow) -> Result<()> {
        let secret = self.reader.rows.secret(row.number)?;
        if secret.is_some() {
            self.add(format!("secret key of {}", row.fingerprint), Outcome::Lost);
        }
        let Some(Writer { rows, .. }) = self.writer else { return Ok(()) };
        rows.set_aside(&row.fingerprint, "certificate", &row.octets)?;
        if let Some(sealed) = secret {
            rows.set_aside(&row.fingerprint, "secret key", &sealed)?;
        }
        rows.delete_certificate(row.number)
    }

    fn lose_bindings(&self, fingerprint: &str) -> Result<()> {
        let Some(Writer { rows, .. }) = self.writer else { return Ok(()) };
        for binding in rows.bindings(fingerprint)? {
            rows.set_aside(fingerprint, "binding", binding.subject.as_bytes())?;
        }
        rows.delete_bindings(fingerprint)
    }

    /// Checks for bindings of certificates that are not stored.
    fn strays(&mut self) -> Result<()> {
        for fingerprint in self.reader.rows.stray_bindings()? {
            let subjects = self.reader.bound(&fingerprint)?.0.join(", ");
            self.add(format!("bindings of {fingerprint}, which is not here ({subjects})"), Outcome::Lost);
            self.lose_bindings(&fingerprint)?;
        }
        Ok(())
    }

    fn totals(&mut self) -> Result<()> {
        let reader = self.reader;
        let count = i64::try_from(reader.rows.numbers()?.len()).unwrap_or(i64::MAX);
        let is_named = self.damage.iter().any(|damage| damage.outcome == Outcome::Lost);
        if reader.count().ok() != Some(count) {
            // Rows that were just set aside are reported already.
            if !is_named {
                self.add("the set of certificates: some are gone, or were added", Outcome::Lost);
            }
            if let Some(writer) = self.writer {
                writer.set_count(count)?;
            }
        }
        let rows = reader.rows.statements()?;
        if reader.total(STATEMENTS).ok() != Some(totals::set(rows.iter().map(|row| &row.digest))) {
            self.add("the set of revocation lists: some are gone, or were added", Outcome::Lost);
        }
        for row in rows.iter().filter(|row| !totals::is_whole(row)) {
            self.add(statement(&row.digest), Outcome::Lost);
            if let Some(writer) = self.writer {
                writer.rows.set_aside("", "revocation list", &row.octets)?;
                writer.rows.delete_statement(&row.digest)?;
            }
        }
        if let Some(writer) = self.writer {
            writer.settle_statements()?;
        }
        let master = reader.rows.master()?;
        if reader.total(MASTER).ok() != Some(master_digest(master.as_ref())) {
            // It cannot be restored, and without it no secret key can be opened.
            self.add("what says where the master key is", Outcome::Left);
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<()> {
        for index in Index::ALL {
            let entries = self.reader.all_entries(index)?;
            if !self.reader.is_built_from(index, entries.clone())? {
                self.add(format!("index of {}", index.name()), Outcome::Repaired);
                if let Some(writer) = self.writer {
                    writer.rebuild(index, entries)?;
                }
            }
        }
        Ok(())
    }
}

fn sealed_digest(sealed: Option<&Vec<u8>>) -> Vec<u8> {
    sealed.map(|sealed| digest([sealed.as_slice()])).unwrap_or_default()
}

impl Damage {
    /// What the owner can do about it.
    pub fn hint(&self) -> Option<Hint> {
        let begins = |word: &str| self.what.starts_with(word);
        match self.outcome {
            Outcome::Repaired => None,
            Outcome::Left if begins("pages") || begins("what says") => {
                Some("put a copy of the database in its place of before the damage".into())
            }
            Outcome::Left => Some(Hint::RepairStore),
            Outcome::Lost if begins("bindings") => Some(Hint::TrustAgain),
            Outcome::Lost if begins("capabilities") => None,
            Outcome::Lost if begins("secret key") => {
                Some("import the secret key again, or put back a copy of the database".into())
            }
            Outcome::Lost => Some(Hint::ImportAgain),
        }
    }
}
