//! Keys in use and pending keys move with the keys of a home. Answers of sources do not: they are asked again.

use std::{fs, path::Path};

use super::{
    files::{COMING, FILE, absent_is_fine, exists},
    rows::Cells,
    sqlite::Sqlite,
};
use crate::{
    base::Result,
    keys::{FindingRows, FindingValue, Findings},
};

/// What was carried from one place to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Keys in use.
    pub in_use: usize,
    /// Keys that wait for the owner.
    pub pending: usize,
}

/// Carries what must not change silently when the keys of the home at `home` move: which key is in use for an address, and what the owner has to decide
/// or has rejected. `None` stands for the home's own file. What is there already stays; of two different keys in use, the one that comes is held.
///
/// # Errors
///
/// One of the places cannot be read or written.
pub fn carry(home: &Path, from: Option<&dyn Findings>, into: Option<&dyn Findings>) -> Result<Carried> {
    match (from, into) {
        (None, None) => Ok(Carried::default()),
        (Some(from), Some(into)) => carried(from, into),
        (None, Some(into)) => {
            let file = home.join(FILE);
            // The first program that uses the tables sets it aside.
            if exists(&file)? { carried(&Sqlite::new(Some(file)), into) } else { Ok(Carried::default()) }
        }
        (Some(from), None) => {
            let coming = home.join(COMING);
            for suffix in ["", "-wal", "-shm"] {
                absent_is_fine(&coming, fs::remove_file(home.join(format!("{COMING}{suffix}"))))?;
            }
            // Its last connection is closed at the end, so that all is in the file itself.
            carried(from, &Sqlite::new(Some(coming)))
        }
    }
}

/// Rows of one table.
type Table = Vec<Vec<FindingValue>>;

pub(super) fn carried(from: &dyn Findings, into: &dyn Findings) -> Result<Carried> {
    let mut tables = [const { Table::new() }; 5];
    from.change(&mut |rows| {
        for (table, (sql, _)) in tables.iter_mut().zip(TABLES) {
            *table = rows.query(sql, &[])?;
        }
        Ok(())
    })?;
    let [used, pending, ..] = &tables;
    let is_waiting = |row: &&Vec<FindingValue>| row.last() == Some(&FindingValue::Number(0));
    let count = Carried { in_use: used.len(), pending: pending.iter().filter(is_waiting).count() };
    into.change(&mut |rows| {
        for (table, (_, sql)) in tables.iter().zip(TABLES) {
            for row in table {
                rows.execute(sql, row)?;
            }
        }
        used.iter().try_for_each(|row| hold_other(rows, row))
    })?;
    Ok(count)
}

/// Holds a key that was in use where it came from, when another one is in use here.
fn hold_other(rows: &dyn FindingRows, used: &[FindingValue]) -> Result<()> {
    let [protocol, address, fingerprint, at, octets] = used else { return Ok(()) };
    let sql = "SELECT fingerprint FROM used WHERE protocol = ?1 AND address = ?2";
    let here = rows.query(sql, &[protocol.clone(), address.clone()])?.into_iter().next();
    let here = here.map(|row| Cells::of(row).text()).transpose()?;
    if here.map(FindingValue::Text).as_ref() == Some(fingerprint) {
        return Ok(());
    }
    let row = [protocol, address, fingerprint, &FindingValue::from(MOVED), at, octets, &FindingValue::Number(0)];
    rows.execute(INTO_PENDING, &row.map(Clone::clone)).map(drop)
}

/// How each table is read, and written. The first two are the keys in use and the pending ones, whose last column says whether it was rejected.
const TABLES: [(&str, &str); 5] = [
    (
        "SELECT protocol, address, fingerprint, at, octets FROM used",
        "INSERT INTO used (protocol, address, fingerprint, at, octets) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (protocol, address) DO NOTHING",
    ),
    ("SELECT protocol, address, fingerprint, method, at, octets, rejected FROM pending ORDER BY id", INTO_PENDING),
    (
        "SELECT address, at FROM refreshed",
        "INSERT INTO refreshed (address, at) VALUES (?1, ?2) ON CONFLICT (address) DO NOTHING",
    ),
    (
        "SELECT place, kind, url, path, asked, until, due FROM renewal",
        "INSERT INTO renewal (place, kind, url, path, asked, until, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (place) DO NOTHING",
    ),
    // A key that came with mail is nowhere else.
    (
        "SELECT method, address, at, until, outcome, detail, octets FROM answer WHERE method = 'mail'",
        "INSERT INTO answer (method, address, at, until, outcome, detail, octets) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (method, address) DO NOTHING",
    ),
];

/// What was rejected once is not asked about again, and a key that is in use does not wait.
const INTO_PENDING: &str = "INSERT INTO pending (protocol, address, fingerprint, method, at, octets, rejected)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM used WHERE protocol = ?1 AND address = ?2 AND fingerprint = ?3)
    ON CONFLICT (protocol, address, fingerprint) DO UPDATE SET rejected = excluded.rejected WHERE excluded.rejected > pending.rejected";

/// What found a key that was in use on another machine.
const MOVED: &str = "moved";
