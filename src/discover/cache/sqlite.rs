//! One file of a home, or memory.

use std::{
    fmt, fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use rusqlite::{
    Connection, ToSql, TransactionBehavior, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};

use crate::{
    base::{Error, Kind, Result},
    keys::{FindingRows, FindingValue, Findings},
};

/// Opened when it is first used.
pub(super) struct Sqlite {
    /// `None`: in memory.
    path: Option<PathBuf>,
    opened: OnceLock<Result<Mutex<Connection>>>,
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS answer (
    method TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL,
    octets BLOB NOT NULL, PRIMARY KEY (method, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asking (
    method TEXT NOT NULL, address TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (method, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (
    protocol TEXT NOT NULL, address TEXT NOT NULL, fingerprint TEXT NOT NULL, at INTEGER NOT NULL, octets BLOB NOT NULL,
    PRIMARY KEY (protocol, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refreshed (address TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
    id INTEGER PRIMARY KEY AUTOINCREMENT, protocol TEXT NOT NULL, address TEXT NOT NULL, fingerprint TEXT NOT NULL, method TEXT NOT NULL,
    at INTEGER NOT NULL, octets BLOB NOT NULL, rejected INTEGER NOT NULL, UNIQUE (protocol, address, fingerprint)
) STRICT;
CREATE TABLE IF NOT EXISTS fetching (place TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unfetched (
    place TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, until INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS renewal (
    place TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, url TEXT NOT NULL, path BLOB NOT NULL, asked INTEGER NOT NULL, until INTEGER NOT NULL,
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

impl Sqlite {
    pub(super) fn new(path: Option<PathBuf>) -> Sqlite {
        Sqlite { path, opened: OnceLock::new() }
    }

    fn connection(&self) -> Result<MutexGuard<'_, Connection>> {
        let opened = self.opened.get_or_init(|| self.open().map(Mutex::new));
        match opened {
            Ok(connection) => Ok(connection.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(error) => Err(error.clone()),
        }
    }

    fn open(&self) -> Result<Connection> {
        let opened = match &self.path {
            None => Connection::open_in_memory(),
            Some(path) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|error| Error::io(folder.display(), &error))?;
                // The folder may be open to a group.
                let made = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
                made.map_err(|error| Error::io(path.display(), &error))?;
                Connection::open(path)
            }
        };
        let prepared = opened.and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(2))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // What is lost by a power failure is asked again.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.execute_batch(TABLES)?;
            Ok(connection)
        });
        prepared.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        let place = self.path.as_ref().map_or_else(|| "keys found".to_owned(), |path| path.display().to_string());
        let kind = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => Kind::Damaged,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Kind::TryAgain,
            _ => Kind::Io,
        };
        Error::new(kind, format!("{place}: {error}").to_lowercase())
    }
}

impl Findings for Sqlite {
    fn change(&self, work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()> {
        let mut connection = self.connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(|error| self.failed(&error))?;
        work(&Rows { connection: &transaction, file: self })?;
        transaction.commit().map_err(|error| self.failed(&error))
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

struct Rows<'a> {
    connection: &'a Connection,
    file: &'a Sqlite,
}

impl FindingRows for Rows<'_> {
    fn execute(&self, sql: &str, values: &[FindingValue]) -> Result<u64> {
        let run = || self.connection.prepare_cached(sql)?.execute(params_from_iter(values.iter().map(Bound)));
        let changed = run().map_err(|error| self.file.failed(&error))?;
        Ok(u64::try_from(changed).unwrap_or_default())
    }

    fn query(&self, sql: &str, values: &[FindingValue]) -> Result<Vec<Vec<FindingValue>>> {
        let run = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let columns = statement.column_count();
            let rows = statement.query_map(params_from_iter(values.iter().map(Bound)), |row| {
                (0..columns).map(|at| Ok(read(row.get_ref(at)?))).collect::<rusqlite::Result<Vec<FindingValue>>>()
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        run().map_err(|error| self.file.failed(&error))
    }
}

struct Bound<'a>(&'a FindingValue);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self.0 {
            FindingValue::Number(number) => number.to_sql(),
            FindingValue::Octets(octets) => octets.to_sql(),
            FindingValue::Text(text) => text.to_sql(),
        }
    }
}

/// The tables are STRICT, so no value is of another type than its column.
fn read(value: ValueRef<'_>) -> FindingValue {
    match value {
        ValueRef::Integer(number) => FindingValue::Number(number),
        ValueRef::Text(text) => FindingValue::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(octets) => FindingValue::Octets(octets.to_vec()),
        ValueRef::Null | ValueRef::Real(_) => FindingValue::Octets(Vec::new()),
    }
}
