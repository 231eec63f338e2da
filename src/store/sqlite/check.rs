//! Looks whether everything in the database is what was written, and repairs what can be repaired.
//!
//! What cannot is moved to the table `lost` and named. Nothing is thrown away.

use super::{
    View,
    certificates::Row,
    index::{Entry, Index},
    totals::{MASTER, ROW, STATEMENTS, statement},
    view::digest,
};
use crate::{
    base::{Hint, Result},
    crypto::Hash,
    keys::Record,
};

/// Something that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What it is: `certificate 0123...`, `index of address`.
    pub what: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of something damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is as it was found: nothing was to be repaired, or it could not be.
    Left,
    /// It is what it was again.
    Repaired,
    /// It is gone from what counts, and kept aside.
    Lost,
}

/// Whether what is damaged is repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Look only.
    No,
    /// Repair what can be, set aside what cannot.
    Yes,
}

/// What a certificate's octets say themselves; `None` when they are no certificate.
pub(in crate::store) type Describe<'a> = &'a dyn Fn(&[u8]) -> Option<Record>;

impl View<'_> {
    /// Everything that is not what was written, in the order of the tables.
    pub(in crate::store) fn check(&self, repair: Repair, describe: Describe<'_>) -> Result<Vec<Damage>> {
        let mut found = Found { view: self, repair, damage: Vec::new() };
        found.pages()?;
        for number in self.all("SELECT number FROM certificate", (), |row| row.get::<_, i64>(0))? {
            if let Some(row) = self.one(ROW, [number], Row::of)? {
                found.certificate(row, describe)?;
            }
        }
        found.strays()?;
        found.totals()?;
        found.indexes()?;
        Ok(found.damage)
    }

    /// Makes the indexes anew from the certificates.
    pub(super) fn reindex(&self) -> Result<()> {
        Index::ALL.into_iter().try_for_each(|index| self.rebuild(index, self.all_entries(index)?))
    }

    fn all_entries(&self, index: Index) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for number in self.all("SELECT number FROM certificate", (), |row| row.get::<_, i64>(0))? {
            let Some(row) = self.one(ROW, [number], Row::of)? else { continue };
            // One that is damaged is found by nothing; it is named elsewhere.
            let Some(mut record) = row.record().filter(|_| row.digest == row.true_digest()) else { continue };
            record.bindings = self.bindings(&row).unwrap_or_default();
            entries.extend(index.terms(&record).into_iter().map(|sought| Entry { sought, number }));
        }
        Ok(entries)
    }

    fn set_aside(&self, fingerprint: &str, what: &str, octets: &[u8]) -> Result<()> {
        let sql = "INSERT INTO lost (fingerprint, what, octets) VALUES (?1, ?2, ?3)";
        self.execute(sql, (fingerprint, what, octets)).map(|_| ())
    }

    fn sealed_at(&self, number: i64) -> Result<Option<Vec<u8>>> {
        self.one("SELECT sealed FROM secret WHERE certificate = ?1", [number], |row| row.get(0))
    }
}

struct Found<'a> {
    view: &'a View<'a>,
    repair: Repair,
    damage: Vec<Damage>,
}

impl Found<'_> {
    fn add(&mut self, what: impl Into<String>, repaired: Outcome) {
        let outcome = if self.repair == Repair::Yes { repaired } else { Outcome::Left };
        self.damage.push(Damage { what: what.into(), outcome });
    }

    fn is_repairing(&self) -> bool {
        self.repair == Repair::Yes
    }

    /// What SQLite itself finds in the file.
    fn pages(&mut self) -> Result<()> {
        let ask = || self.view.all("PRAGMA integrity_check(20)", (), |row| row.get::<_, String>(0));
        let mut said = ask()?;
        said.retain(|line| line != "ok");
        if !said.is_empty() && self.is_repairing() {
            self.view.execute("REINDEX", ())?;
            let left = ask()?;
            for line in said {
                let is_left = left.contains(&line);
                self.add(format!("pages: {line}"), if is_left { Outcome::Left } else { Outcome::Repaired });
            }
        } else {
            said.into_iter().for_each(|line| self.add(format!("pages: {line}"), Outcome::Left));
        }
        Ok(())
    }

    fn certificate(&mut self, row: Row, describe: Describe<'_>) -> Result<()> {
        let row = if row.digest == row.true_digest() {
            row
        } else if let Some(row) = self.described(&row, describe)? {
            self.add(format!("certificate {}", row.fingerprint), Outcome::Repaired);
            if self.is_repairing() {
                let sql = "UPDATE certificate SET fingerprint = ?2, protocol = ?3, handles = ?4, secrets = ?5, addresses = ?6, octets = ?7
                    WHERE number = ?1";
                let Row { number, fingerprint, protocol, handles, secrets, addresses, octets, .. } = &row;
                self.view.execute(sql, (number, fingerprint, protocol, handles, secrets, addresses, octets))?;
                self.view.settle(&row)?;
            }
            row
        } else {
            self.add(format!("certificate {}", row.fingerprint), Outcome::Lost);
            return self.lose(&row);
        };
        self.belongings(row)
    }

    /// What belongs to a certificate whose own row is whole.
    fn belongings(&mut self, mut row: Row) -> Result<()> {
        let view = self.view;
        let before = row.clone();
        let (subjects, bound) = view.bound(&row.fingerprint)?;
        if bound != row.bound {
            let whose = if subjects.is_empty() { String::new() } else { format!(" ({})", subjects.join(", ")) };
            self.add(format!("bindings of {}{whose}", row.fingerprint), Outcome::Lost);
            if self.is_repairing() {
                self.lose_bindings(&row.fingerprint)?;
            }
            row.bound = Vec::new();
        }
        let heard = view.heard(row.number)?;
        if heard.as_ref().map(|heard| heard.digest.clone()).unwrap_or_default() != row.heard {
            self.add(format!("capabilities of {}", row.fingerprint), Outcome::Lost);
            if let Some(heard) = heard.filter(|_| self.is_repairing()) {
                view.set_aside(&row.fingerprint, "capabilities", &heard.list)?;
                view.execute("DELETE FROM capability WHERE certificate = ?1", [row.number])?;
            }
            row.heard = Vec::new();
        }
        let sealed = view.sealed_at(row.number)?;
        if sealed.as_ref().map(|sealed| digest([sealed.as_slice()])).unwrap_or_default() != row.sealed {
            self.add(format!("secret key of {}", row.fingerprint), Outcome::Lost);
            if let Some(sealed) = sealed.filter(|_| self.is_repairing()) {
                view.set_aside(&row.fingerprint, "secret key", &sealed)?;
                view.execute("DELETE FROM secret WHERE certificate = ?1", [row.number])?;
            }
            (row.sealed, row.secrets) = (Vec::new(), String::new());
        }
        if self.is_repairing() && row.true_digest() != before.digest {
            view.execute("UPDATE certificate SET secrets = ?2 WHERE number = ?1", (row.number, &row.secrets))?;
            view.settle(&row)?;
        }
        Ok(())
    }

    /// A damaged row as its own octets say it, when it was that: then its digest fits.
    fn described(&self, row: &Row, describe: Describe<'_>) -> Result<Option<Row>> {
        let Some(record) = describe(&row.octets) else { return Ok(None) };
        let sealed = self.view.sealed_at(row.number)?;
        let now = [
            self.view.bound(record.fingerprint.as_str())?.1,
            self.view.heard(row.number)?.map(|heard| heard.digest).unwrap_or_default(),
            sealed.map(|sealed| digest([sealed.as_slice()])).unwrap_or_default(),
        ];
        let stored = [row.bound.clone(), row.heard.clone(), row.sealed.clone()];
        let bare = Row::from_record(&record);
        let without = row.secrets.split(',').find(|one| bare.handles.contains(one)).unwrap_or_default();
        for secrets in [&row.secrets, &bare.handles, without, ""] {
            for [bound, heard, sealed] in [&stored, &now] {
                let row = Row {
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

    /// Sets a certificate aside, with all that belongs to it.
    fn lose(&mut self, row: &Row) -> Result<()> {
        let has_secret = self.view.sealed_at(row.number)?;
        if has_secret.is_some() {
            self.add(format!("secret key of {}", row.fingerprint), Outcome::Lost);
        }
        if self.is_repairing() {
            self.view.set_aside(&row.fingerprint, "certificate", &row.octets)?;
            if let Some(sealed) = has_secret {
                self.view.set_aside(&row.fingerprint, "secret key", &sealed)?;
            }
            self.view.execute("DELETE FROM certificate WHERE number = ?1", [row.number])?;
        }
        Ok(())
    }

    fn lose_bindings(&self, fingerprint: &str) -> Result<()> {
        for subject in self.view.bound(fingerprint)?.0 {
            self.view.set_aside(fingerprint, "binding", subject.as_bytes())?;
        }
        self.view.execute("DELETE FROM binding WHERE fingerprint = ?1", [fingerprint]).map(|_| ())
    }

    /// Bindings of certificates that are not here.
    fn strays(&mut self) -> Result<()> {
        let sql =
            "SELECT DISTINCT fingerprint FROM binding WHERE fingerprint NOT IN (SELECT fingerprint FROM certificate)";
        for fingerprint in self.view.all(sql, (), |row| row.get::<_, String>(0))? {
            let subjects = self.view.bound(&fingerprint)?.0.join(", ");
            self.add(format!("bindings of {fingerprint}, which is not here ({subjects})"), Outcome::Lost);
            if self.is_repairing() {
                self.lose_bindings(&fingerprint)?;
            }
        }
        Ok(())
    }

    fn totals(&mut self) -> Result<()> {
        let view = self.view;
        let count = view.one("SELECT count(*) FROM certificate", (), |row| row.get::<_, i64>(0))?.unwrap_or_default();
        let is_named = self.damage.iter().any(|damage| damage.outcome == Outcome::Lost);
        if view.count().ok() != Some(count) {
            // Those that were just set aside have been named.
            if !is_named {
                self.add("the set of certificates: some are gone, or were added", Outcome::Lost);
            }
            if self.is_repairing() {
                view.set_count(count)?;
            }
        }
        let sql = "SELECT digest, octets FROM statement ORDER BY digest";
        let rows = view.all(sql, (), |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        if view.total(STATEMENTS).ok() != Some(digest(rows.iter().map(|(key, _)| key.as_slice()))) {
            self.add("the set of revocation lists: some are gone, or were added", Outcome::Lost);
        }
        for (key, octets) in rows.iter().filter(|(key, octets)| Hash::Sha256.digest(octets) != *key) {
            self.add(statement(key), Outcome::Lost);
            if self.is_repairing() {
                view.set_aside("", "revocation list", octets)?;
                view.execute("DELETE FROM statement WHERE digest = ?1", (key,))?;
            }
        }
        if self.is_repairing() {
            view.settle_statements()?;
        }
        let master = view.stored_master()?.as_ref().map(super::Master::digest).unwrap_or_default();
        if view.total(MASTER).ok() != Some(master) {
            // Without it no secret key can be opened, and nothing here tells what it was.
            self.add("what says where the master key is", Outcome::Left);
        }
        Ok(())
    }

    fn indexes(&mut self) -> Result<()> {
        for index in Index::ALL {
            let entries = self.view.all_entries(index)?;
            if !self.view.is_built_from(index, entries.clone())? {
                self.add(format!("index of {}", index.name()), Outcome::Repaired);
                if self.is_repairing() {
                    self.view.rebuild(index, entries)?;
                }
            }
        }
        Ok(())
    }
}

impl Damage {
    /// What can be done about it, if there is something.
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
