//! Detects damaged rows: each row is compared with its digest, or with its neighbours, before it is used.
//!
//! A certificate's row has a digest of its columns and of the digests of what belongs to it. Tables that are read as a whole have a digest of all
//! rows (`totals`). Look-ups use linked lists (`index`). `check` compares everything, and repairs.

mod bindings;
mod capabilities;
mod certificates;
mod check;
mod index;
mod totals;

use std::ops::Deref;

pub(super) use check::check;
pub use check::{Damage, Outcome, Repair};
pub(super) use totals::{TOTALS, no_statements};

use super::{
    backend::{Tx, View},
    journal::Journal,
};
use crate::{
    base::{Error, Hint, Result},
    crypto::Hash,
};

/// Reads rows, and returns `Damaged` for those that do not match their digests.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rows: &'a dyn View,
}

/// Changes rows and their digests.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    rows: &'a dyn Tx,
    reader: Reader<'a>,
    journal: &'a Journal,
}

impl<'a> Reader<'a> {
    pub(super) fn new(rows: &'a dyn View) -> Self {
        Reader { rows }
    }

    /// Differs whenever another process has changed something.
    pub(super) fn version(&self) -> Result<i64> {
        self.rows.version()
    }

    /// The error of kind `Damaged` for `what`.
    fn damaged(&self, what: &str) -> Error {
        Error::damaged(self.rows.location(), format!("{what}: damaged")).with_hint(Hint::CheckStore)
    }
}

impl<'a> Writer<'a> {
    /// Notes in `journal` what it does to keys and trust.
    pub(super) fn new(rows: &'a dyn Tx, journal: &'a Journal) -> Self {
        Writer { rows, reader: Reader { rows }, journal }
    }

    /// Where this change is noted.
    pub(super) fn journal(&self) -> &'a Journal {
        self.journal
    }
}

impl<'a> Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

/// Computes every digest and index from the rows that are there, and stores them. A backend calls it once, in the change that makes its tables;
/// SQLite also for tables from before there were digests.
///
/// # Errors
///
/// Those of reading and writing rows.
pub fn write_digests(rows: &dyn Tx) -> Result<()> {
    Writer::new(rows, &Journal::default()).complete()
}

/// A digest of `parts`: of no other list of parts.
pub(super) fn digest_of(parts: &[&[u8]]) -> Vec<u8> {
    digest(parts.iter().copied())
}

/// SHA-256 of the parts, each behind its length in octets, so that no two lists of parts give the same octets.
fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut digester = Hash::Sha256.digester();
    for part in parts {
        digester.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digester.update(part);
    }
    digester.finish()
}
