//! What certificates are looked up by: two ordered lists, each row of which names the row after it.
//!
//! A row that was changed, or that is gone, does not fit its neighbours. So a look-up that finds nothing has seen that nothing is there, and
//! not that a row was lost. NSEC records of DNSSEC prove absence in the same way.

use std::collections::BTreeSet;

use super::View;
use crate::{
    base::Result,
    keys::{Binding, Handle, Record},
    store::binding,
};

/// One of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// Addresses that a certificate claims or that it is believed for, in lower case (ASCII), and `anchor`.
    Address,
    /// Fingerprints and key IDs: '>' and a fingerprint of 64 digits, whose key ID is its beginning, or '<' and any other backwards.
    Handle,
}

impl Index {
    pub(super) const ALL: [Index; 2] = [Index::Address, Index::Handle];

    /// The table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Index::Address => "address",
            Index::Handle => "handle",
        }
    }

    /// Whether `record` is found by `term`.
    pub(super) fn finds(self, record: &Record, term: &str) -> bool {
        match self {
            Index::Address => {
                record.claimed.iter().any(|address| address.to_string().eq_ignore_ascii_case(term))
                    || record.bindings.iter().filter_map(bound).any(|own| own == term)
            }
            Index::Handle => record.handles.iter().any(|handle| self::term(handle) == term),
        }
    }

    /// What `record` is found by.
    pub(super) fn terms(self, record: &Record) -> BTreeSet<String> {
        match self {
            Index::Address => {
                let claimed = record.claimed.iter().map(|address| address.to_string().to_ascii_lowercase());
                claimed.chain(record.bindings.iter().filter_map(bound)).collect()
            }
            Index::Handle => record.handles.iter().map(term).collect(),
        }
    }
}

/// What a certificate is found by because of a binding; nothing where that is what it claims itself.
pub(super) fn bound(binding: &Binding) -> Option<String> {
    match binding {
        Binding::Address(address) => Some(address.to_string().to_ascii_lowercase()),
        Binding::Anchor => Some(binding::ANCHOR.to_owned()),
        Binding::UserIds => None,
    }
}

/// A handle as it stands in the list.
pub(super) fn term(handle: &Handle) -> String {
    if handle.as_str().len() == WHOLE { forwards(handle) } else { backwards(handle) }
}

/// The rows that a handle may name, if it is the beginning of a fingerprint.
pub(super) fn forwards(handle: &Handle) -> String {
    format!(">{handle}")
}

/// The rows that a handle may name, if it is the end of a fingerprint.
pub(super) fn backwards(handle: &Handle) -> String {
    let mut sought = "<".to_owned();
    sought.extend(handle.as_str().chars().rev());
    sought
}

/// A row: what is sought, and the number of a certificate that has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) sought: String,
    pub(super) number: i64,
}

impl Entry {
    /// As the row before it names it.
    fn name(&self) -> String {
        format!("{} {}", self.sought, self.number)
    }
}

impl View<'_> {
    /// The rows from `from` to before `to`, checked against their neighbours.
    pub(super) fn entries(&self, index: Index, from: &str, to: &str) -> Result<Vec<Entry>> {
        let sql = match index {
            Index::Address => FIND_ADDRESS,
            Index::Handle => FIND_HANDLE,
        };
        let rows = self.all(sql, (from, to), |row| {
            Ok((Entry { sought: row.get(0)?, number: row.get(1)? }, row.get::<_, String>(2)?))
        })?;
        let is_whole = rows.iter().zip(rows.iter().skip(1)).all(|((_, next), (after, _))| *next == after.name())
            && rows.first().is_some_and(|(first, _)| first.sought.as_str() < from)
            && rows.last().is_some_and(|(_, next)| next.is_empty() || sought_in(next) >= to);
        if !is_whole {
            return Err(self.damaged(&format!("index of {}", index.name())));
        }
        Ok(rows.into_iter().map(|(entry, _)| entry).filter(|entry| entry.sought.as_str() >= from).collect())
    }

    /// Puts a row in, unless it is there.
    pub(super) fn enter(&self, index: Index, entry: &Entry) -> Result<()> {
        let (table, values) = (index.name(), (&entry.sought, entry.number));
        if self.next(index, entry)?.is_some() {
            return Ok(());
        }
        let (before, next) = self.before(index, entry)?;
        let sql = format!("INSERT INTO {table} (sought, certificate, next) VALUES (?1, ?2, ?3)");
        self.execute(&sql, (values.0, values.1, next))?;
        self.set_next(index, &before, &entry.name())
    }

    /// Takes a row out.
    pub(super) fn leave(&self, index: Index, entry: &Entry) -> Result<()> {
        let damaged = || self.damaged(&format!("index of {}", index.name()));
        let next = self.next(index, entry)?.ok_or_else(damaged)?;
        let (before, named) = self.before(index, entry)?;
        if named != entry.name() {
            return Err(damaged());
        }
        let sql = format!("DELETE FROM {} WHERE sought = ?1 AND certificate = ?2", index.name());
        self.execute(&sql, (&entry.sought, entry.number))?;
        self.set_next(index, &before, &next)
    }

    /// Makes a list anew.
    pub(super) fn rebuild(&self, index: Index, mut entries: Vec<Entry>) -> Result<()> {
        entries.push(Entry { sought: String::new(), number: 0 });
        entries.sort();
        entries.dedup();
        self.execute(&format!("DELETE FROM {}", index.name()), ())?;
        let sql = format!("INSERT INTO {} (sought, certificate, next) VALUES (?1, ?2, ?3)", index.name());
        let names = entries.iter().skip(1).map(Entry::name).chain([String::new()]);
        for (entry, next) in entries.iter().zip(names) {
            self.execute(&sql, (&entry.sought, entry.number, next))?;
        }
        Ok(())
    }

    /// Whether a list is what `entries` make it.
    pub(super) fn is_built_from(&self, index: Index, mut entries: Vec<Entry>) -> Result<bool> {
        entries.push(Entry { sought: String::new(), number: 0 });
        entries.sort();
        entries.dedup();
        let sql = format!("SELECT sought, certificate, next FROM {} ORDER BY sought, certificate", index.name());
        let rows = self
            .all(&sql, (), |row| Ok((Entry { sought: row.get(0)?, number: row.get(1)? }, row.get::<_, String>(2)?)))?;
        let names = entries.iter().skip(1).map(Entry::name).chain([String::new()]);
        Ok(entries.iter().cloned().zip(names).eq(rows))
    }

    /// The name of the row after `entry`; `None` when `entry` is not there.
    fn next(&self, index: Index, entry: &Entry) -> Result<Option<String>> {
        let sql = format!("SELECT next FROM {} WHERE sought = ?1 AND certificate = ?2", index.name());
        self.one(&sql, (&entry.sought, entry.number), |row| row.get(0))
    }

    /// The row before `entry`, and the name that it has for the one after it.
    fn before(&self, index: Index, entry: &Entry) -> Result<(Entry, String)> {
        let sql = format!(
            "SELECT sought, certificate, next FROM {} WHERE (sought, certificate) < (?1, ?2)
             ORDER BY sought DESC, certificate DESC LIMIT 1",
            index.name()
        );
        let found = self.one(&sql, (&entry.sought, entry.number), |row| {
            Ok((Entry { sought: row.get(0)?, number: row.get(1)? }, row.get(2)?))
        })?;
        found.ok_or_else(|| self.damaged(&format!("index of {}", index.name())))
    }

    fn set_next(&self, index: Index, entry: &Entry, next: &str) -> Result<()> {
        let sql = format!("UPDATE {} SET next = ?3 WHERE sought = ?1 AND certificate = ?2", index.name());
        self.execute(&sql, (&entry.sought, entry.number, next)).map(|_| ())
    }
}

/// What is sought in a row of this name.
fn sought_in(name: &str) -> &str {
    name.rsplit_once(' ').map_or(name, |(sought, _)| sought)
}

// The rows with the greatest key before the range, and the range. SQLite reads a short text sooner than a formatted one.
const FIND_ADDRESS: &str = "SELECT sought, certificate, next FROM address
    WHERE sought >= (SELECT max(sought) FROM address WHERE sought < ?1) AND sought < ?2 ORDER BY sought, certificate";
const FIND_HANDLE: &str = "SELECT sought, certificate, next FROM handle
    WHERE sought >= (SELECT max(sought) FROM handle WHERE sought < ?1) AND sought < ?2 ORDER BY sought, certificate";

/// The digits of a fingerprint whose key ID is its beginning (RFC 9580, section 5.5.4).
const WHOLE: usize = 64;
