//! A home's keys in SQLite: one file, any number of processes, and every change whole or not at all.

mod bindings;
mod capabilities;
mod certificates;
mod quiet;
mod schema;

use std::{
    cell::OnceCell,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, ffi::ErrorCode};

pub(super) use certificates::Records;
use quiet::{Held, Quiet};

use super::files;
use crate::base::{Clock as _, Error, Kind, Result, SystemClock};

/// An open database. It is read quietly until somebody writes to it, here or elsewhere.
#[derive(Debug)]
pub(super) struct Database {
    quiet: Option<Quiet>,
    shared: OnceCell<Shared>,
    place: PathBuf,
}

/// A connection that takes its turn with all others.
#[derive(Debug)]
struct Shared {
    connection: Connection,
    /// How many of the migrations were made.
    tables: usize,
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
        let quiet = Quiet::open(place, &metadata, SystemClock.now());
        let database = Database { quiet, shared: OnceCell::new(), place: place.to_owned() };
        // Tables that are missing are made where the database is open in its usual way.
        let is_complete = database.hold().is_some_and(|held| held.tables().is_ok_and(|tables| tables == current()));
        if !is_complete {
            database.shared()?;
        }
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
        if done.is_err() && !self.shared()?.is_autocommit() {
            // The first error is the one that counts.
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// Differs whenever another process has changed something.
    pub(super) fn version(&self) -> Result<i64> {
        if self.hold().is_some() {
            return Ok(QUIET);
        }
        self.one("PRAGMA data_version", (), |row| row.get(0)).map(Option::unwrap_or_default)
    }

    /// Every CRL and OCSP response.
    pub(super) fn statements(&self) -> Result<Vec<Vec<u8>>> {
        self.all("SELECT octets FROM statement ORDER BY digest", (), |row| row.get(0))
    }

    /// Keeps one.
    pub(super) fn keep_statement(&self, digest: &[u8], octets: &[u8]) -> Result<()> {
        self.execute("INSERT OR IGNORE INTO statement (digest, octets) VALUES (?1, ?2)", (digest, octets)).map(|_| ())
    }

    /// Removes one.
    pub(super) fn forget_statement(&self, digest: &[u8]) -> Result<()> {
        self.execute("DELETE FROM statement WHERE digest = ?1", (digest,)).map(|_| ())
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

    /// The database as everybody may use it at once, opened when it is first needed.
    fn shared(&self) -> Result<&Connection> {
        if let Some(shared) = self.shared.get() {
            return Ok(&shared.connection);
        }
        let shared = quiet::disturb(&self.place, PATIENCE, || self.open_shared())?;
        Ok(&self.shared.get_or_init(|| shared).connection)
    }

    /// How many of the migrations were made: all, unless it belongs to somebody who does not let us write.
    fn tables(&self) -> usize {
        self.shared.get().map_or(current(), |shared| shared.tables)
    }

    /// With the settings of a connection, and the tables brought up to date.
    fn open_shared(&self) -> Result<Shared> {
        let failed = |error| failed(&self.place, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.place, flags).map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(32);
        // What is removed is overwritten; what is said to be kept is on the disk.
        connection
            .execute_batch("PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
            .map_err(failed)?;
        let tables = tables(&connection).map_err(failed)?;
        // Whoever may not write reads what there is.
        let is_readable = || tables > 0 && tables < current() && connection.is_readonly("main") == Ok(true);
        if tables == current() || is_readable() {
            return Ok(Shared { connection, tables });
        }
        connection.execute_batch("PRAGMA journal_mode = WAL; BEGIN IMMEDIATE").map_err(failed)?;
        // Somebody else may have done it while we waited.
        let done = self::tables(&connection).map_err(failed)?;
        let missing = schema::MIGRATIONS.get(done..).ok_or_else(|| {
            let reason = format!("{}: tables of version {done}, made by a newer postseal", self.place.display());
            Error::new(Kind::Config, reason).with_hint("use that one")
        })?;
        missing.iter().try_for_each(|migration| connection.execute_batch(migration)).map_err(failed)?;
        connection.execute_batch(&format!("PRAGMA user_version = {}; COMMIT", current())).map_err(failed)?;
        Ok(Shared { connection, tables: current() })
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.shared()?.execute_batch(sql).map_err(|error| failed(&self.place, &error))
    }

    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
        let done = self.shared()?.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        done.map_err(|error| failed(&self.place, &error))
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.reading(|connection| connection.prepare_cached(sql)?.query_row(values, read).optional())
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.reading(|connection| connection.prepare_cached(sql)?.query_map(values, read)?.collect())
    }

    fn reading<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let done = match self.hold() {
            Some(held) => work(&held),
            None => work(self.shared()?),
        };
        done.map_err(|error| failed(&self.place, &error))
    }

    /// The promise that nobody changes the database, to be dropped before anything is written here; `None` when it is not quiet: once it
    /// was opened in its usual way, it never is again.
    pub(super) fn hold(&self) -> Option<Held<'_>> {
        if self.shared.get().is_some() { None } else { self.quiet.as_ref()?.hold() }
    }
}

/// How many of the migrations were made.
fn tables(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn current() -> usize {
    schema::MIGRATIONS.len()
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

/// No version of SQLite's, which count from 1.
const QUIET: i64 = -1;
/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
