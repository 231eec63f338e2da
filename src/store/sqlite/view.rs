//! The database as it stands within one transaction, and how its errors are named.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Params, Row};

use crate::{
    base::{Error, Hint, Kind, Result},
    crypto::Hash,
};

/// A database that nobody else changes as long as this is used.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct View<'a> {
    pub(super) connection: &'a Connection,
    pub(super) place: &'a Path,
    pub(super) way: Way,
}

/// How a database is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a file that nobody changes.
    Quietly,
    /// In turn with others.
    Shared,
}

impl View<'_> {
    /// Differs whenever another process has changed something.
    pub(in crate::store) fn version(&self) -> Result<i64> {
        match self.way {
            Way::Quietly => Ok(QUIET),
            Way::Shared => self.one("PRAGMA data_version", (), |row| row.get(0)).map(Option::unwrap_or_default),
        }
    }

    pub(super) fn execute(&self, sql: &str, values: impl Params) -> Result<usize> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        done.map_err(|error| failed(self.place, &error))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let found = self.connection.prepare_cached(sql).and_then(|mut one| one.query_row(values, read).optional());
        found.map_err(|error| failed(self.place, &error))
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let found = self.connection.prepare_cached(sql).and_then(|mut all| all.query_map(values, read)?.collect());
        found.map_err(|error| failed(self.place, &error))
    }

    /// What is stored is not what was written: an error of kind `Damaged` that names it.
    pub(super) fn damaged(&self, what: &str) -> Error {
        Error::damaged(self.place.display(), format!("{what}: damaged")).with_hint(Hint::CheckStore)
    }
}

/// SHA-256 of the parts, each behind its length in octets, so that no two lists of parts give the same octets.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut digester = Hash::Sha256.digester();
    for part in parts {
        digester.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digester.update(part);
    }
    digester.finish()
}

/// What an error of SQLite's means to the caller.
pub(super) fn failed(place: &Path, error: &rusqlite::Error) -> Error {
    let message = format!("{}: {}", place.display(), error.to_string().to_lowercase());
    let damaged = || Error::new(Kind::Damaged, message.clone()).with_hint("move it away, and put a copy in its place");
    match (error, error.sqlite_error_code()) {
        (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => Error::new(Kind::TryAgain, message),
        (_, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch)) => damaged(),
        // A table or a column that is not there, or a value that is not of its type.
        (_, Some(ErrorCode::Unknown))
        | (
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..),
            _,
        ) => damaged(),
        (_, Some(ErrorCode::ReadOnly)) => Error::new(Kind::CannotCreate, message),
        _ => Error::new(Kind::Io, message),
    }
}

/// No version of SQLite's, which count from 1.
const QUIET: i64 = -1;
