//! A home's keys in SQLite: one file, any number of processes, and every change whole or not at all.

mod bindings;
mod capabilities;
mod certificates;
mod schema;

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, ffi::ErrorCode};

use super::files;
use crate::base::{Error, Kind, Result};

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    place: PathBuf,
}

/// Where the data key is, as the database tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Master {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) salt: Vec<u8>,
    pub(super) wrapped: Vec<u8>,
}

impl Database {
    /// Opens what is there; `None` when there is nothing. Refuses a file that others can read.
    pub(super) fn open(place: &Path) -> Result<Option<Database>> {
        let metadata = match fs::metadata(place) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(place.display(), &error)),
        };
        files::check(place, &metadata, "600")?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(place, flags).map_err(|error| failed(place, &error))?;
        let database = Database { connection, place: place.to_owned() };
        database.prepare()?;
        Ok(Some(database))
    }

    /// Opens it, made if it is not there.
    pub(super) fn create(place: &Path) -> Result<Database> {
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(place);
        made.map_err(|error| Error::new(Kind::CannotCreate, Error::io(place.display(), &error).to_string()))?;
        let gone = || Error::new(Kind::CannotCreate, format!("{}: vanished", place.display()));
        Database::open(place)?.ok_or_else(gone)
    }

    /// Does `work` as one change, or none of it when it fails. Other writers wait meanwhile.
    pub(super) fn change<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.run("BEGIN IMMEDIATE")?;
        let done = work().and_then(|done| self.run("COMMIT").map(|()| done));
        if done.is_err() && !self.connection.is_autocommit() {
            // The first error is the one that counts.
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// Differs whenever another process has changed something.
    pub(super) fn version(&self) -> Result<i64> {
        self.one("PRAGMA data_version", (), |row| row.get(0)).map(Option::unwrap_or_default)
    }

    /// Every CRL and OCSP response.
    pub(super) fn statements(&self) -> Result<Vec<Vec<u8>>> {
        self.all("SELECT octets FROM statement ORDER BY digest", (), |row| row.get(0))
    }

    /// Keeps one; says whether it is new.
    pub(super) fn keep_statement(&self, digest: &[u8], octets: &[u8]) -> Result<bool> {
        let kept =
            self.execute("INSERT OR IGNORE INTO statement (digest, octets) VALUES (?1, ?2)", (digest, octets))?;
        Ok(kept > 0)
    }

    /// Where the data key is; `None` as long as no secret was ever kept.
    pub(super) fn master(&self) -> Result<Option<Master>> {
        self.one("SELECT kind, name, salt, wrapped FROM master", (), |row| {
            Ok(Master { kind: row.get(0)?, name: row.get(1)?, salt: row.get(2)?, wrapped: row.get(3)? })
        })
    }

    /// Says where the data key is from now on.
    pub(super) fn set_master(&self, master: &Master) -> Result<()> {
        let Master { kind, name, salt, wrapped } = master;
        let sql = "INSERT OR REPLACE INTO master (number, kind, name, salt, wrapped) VALUES (1, ?1, ?2, ?3, ?4)";
        self.execute(sql, (kind, name, salt, wrapped)).map(|_| ())
    }

    /// Settings of this connection, and the tables brought up to date.
    fn prepare(&self) -> Result<()> {
        self.connection.busy_timeout(PATIENCE).map_err(|error| failed(&self.place, &error))?;
        self.connection.set_prepared_statement_cache_capacity(32);
        // What is removed is overwritten; what is said to be kept is on the disk.
        self.run("PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")?;
        let tables = self.tables()?;
        // Whoever may not write reads what there is.
        let is_readable =
            || tables > 0 && tables < schema::MIGRATIONS.len() && self.connection.is_readonly("main") == Ok(true);
        if tables == schema::MIGRATIONS.len() || is_readable() {
            return Ok(());
        }
        self.run("PRAGMA journal_mode = WAL")?;
        self.change(|| {
            // Somebody else may have done it while we waited.
            let done = self.tables()?;
            let missing = schema::MIGRATIONS.get(done..).ok_or_else(|| {
                let reason = format!("{}: tables of version {done}, made by a newer postseal", self.place.display());
                Error::new(Kind::Config, reason).with_hint("use that one")
            })?;
            missing.iter().try_for_each(|migration| self.run(migration))?;
            self.run(&format!("PRAGMA user_version = {}", schema::MIGRATIONS.len()))
        })
    }

    fn tables(&self) -> Result<usize> {
        let version = self.one("PRAGMA user_version", (), |row| row.get::<_, i64>(0))?;
        Ok(version.and_then(|version| usize::try_from(version).ok()).unwrap_or(usize::MAX))
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| failed(&self.place, &error))
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        done.map_err(|error| failed(&self.place, &error))
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| failed(&self.place, &error))?;
        statement.query_row(values, read).optional().map_err(|error| failed(&self.place, &error))
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| failed(&self.place, &error))?;
        let rows = statement.query_map(values, read).and_then(Iterator::collect);
        rows.map_err(|error| failed(&self.place, &error))
    }
}

fn failed(place: &Path, error: &rusqlite::Error) -> Error {
    let message = format!("{}: {}", place.display(), error.to_string().to_lowercase());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::new(Kind::TryAgain, message),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::new(Kind::Malformed, message).with_hint("move it away, and put a copy in its place")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            Error::new(Kind::CannotCreate, message)
        }
        _ => Error::new(Kind::Io, message),
    }
}

/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
