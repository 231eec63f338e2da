//! Rows in SQLite: one file, any number of processes, and every change whole or not at all.

mod quiet;
mod rows;
mod schema;

use std::{
    cell::OnceCell,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, backup::Backup};

use quiet::Quiet;
use rows::{Mode, Rows, failed};

use super::{
    backend::{Tx, View},
    files,
    integrity::write_digests,
};
use crate::base::{Clock as _, Error, Kind, Result, SystemClock, Temporary};

/// An open database. It is read quietly until somebody writes to it, here or elsewhere.
#[derive(Debug)]
pub(super) struct Database {
    quiet: Option<Quiet>,
    shared: OnceCell<Shared>,
    /// Behind all links: what SQLite writes beside the file lies there.
    place: PathBuf,
}

/// A connection that takes its turn with all others.
#[derive(Debug)]
struct Shared {
    connection: Connection,
    kind: Sharing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// With the file itself.
    File,
    /// With nobody: a copy in memory of tables that are older and cannot be brought up to date where they are.
    Copy,
}

impl Database {
    /// Opens what is there; `None` when there is nothing. Refuses a file that others can read.
    ///
    /// # Errors
    ///
    /// `Io` when it cannot be reached or read, `Damaged` when it is damaged, `TryAgain` when others keep it locked.
    pub(super) fn open(place: &Path) -> Result<Option<Database>> {
        let Some(metadata) = files::found(place)? else { return Ok(None) };
        if !metadata.is_file() {
            return Err(Error::new(Kind::Io, format!("{}: not a regular file", place.display())));
        }
        files::check(place, &metadata, "600")?;
        if metadata.len() == 0 {
            // It takes its name with its tables in it.
            return Err(Error::damaged(place.display(), "is empty").with_hint("put a copy of it in its place"));
        }
        let place = fs::canonicalize(place).map_err(|error| Error::io(place.display(), &error))?;
        let quiet = Quiet::open(&place, &metadata, SystemClock.now());
        let database = Database { quiet, shared: OnceCell::new(), place };
        match database.quiet.as_ref().and_then(Quiet::tables) {
            Some(tables) if tables == current() => {}
            // Tables that are missing are made where the database is open in its usual way, or in a copy.
            Some(tables) if (1..current()).contains(&tables) => match database.shared() {
                Err(error) if matches!(error.kind(), Kind::Io | Kind::CannotCreate) => {
                    database.copy_quietly().map_err(|_| error)?;
                }
                opened => _ = opened?,
            },
            _ => _ = database.shared()?,
        }
        Ok(Some(database))
    }

    /// Opens it, made if it is not there: whole, and then under its name.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Database> {
        let place = folder.join(name);
        quiet::disturb(&place, TIMEOUT, || {
            if files::found(&place)?.is_some() {
                return Ok(());
            }
            let failed =
                |error: io::Error| Error::new(Kind::CannotCreate, Error::io(place.display(), &error).to_string());
            let file = Temporary::create(folder, 0o600).map_err(failed)?;
            let connection = Connection::open(file.path()).map_err(|error| self::failed(&place, &error))?;
            // No one else knows of it, and what is not whole is thrown away.
            let sql = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN";
            connection.execute_batch(sql).map_err(|error| self::failed(&place, &error))?;
            migrate(&Rows { connection: &connection, place: &place, mode: Mode::Shared })?;
            connection.execute_batch("COMMIT").map_err(|error| self::failed(&place, &error))?;
            connection.close().map_err(|(_, error)| self::failed(&place, &error))?;
            file.sync().and_then(|()| file.persist(&place)).map_err(failed)
        })?;
        let gone = || Error::new(Kind::CannotCreate, format!("{}: vanished", place.display()));
        Database::open(&place)?.ok_or_else(gone)
    }

    /// Does `work` with the database as it stands at one moment. `work` may be done twice: then the first time counts for nothing.
    pub(super) fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()> {
        if self.shared.get().is_none()
            && let Some(held) = self.quiet.as_ref().and_then(Quiet::hold)
        {
            let done = work(&Rows { connection: &held, place: &self.place, mode: Mode::Quiet });
            if held.is_steady() {
                return done;
            }
        }
        let connection = &self.shared()?.connection;
        self.run("BEGIN")?;
        let done = work(&Rows { connection, place: &self.place, mode: Mode::Shared });
        // Nothing was changed that could be lost.
        let _ = self.run("COMMIT");
        done
    }

    /// Does `work` as one change, or none of it when it fails. Other writers wait meanwhile.
    pub(super) fn change(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        let shared = self.shared()?;
        if shared.kind == Sharing::Copy {
            let reason = "tables of an older version, and they cannot be written to";
            return Err(Error::new(Kind::CannotCreate, format!("{}: {reason}", self.place.display())));
        }
        self.run("BEGIN IMMEDIATE")?;
        let rows = Rows { connection: &shared.connection, place: &self.place, mode: Mode::Shared };
        let done = work(&rows).and_then(|done| self.run("COMMIT").map(|()| done));
        if done.is_err() && !shared.connection.is_autocommit() {
            // The first error is the one that counts.
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// Waits so long for others who write, and no longer.
    pub(super) fn wait_for(&self, timeout: Duration) -> Result<()> {
        self.shared()?.connection.busy_timeout(timeout).map_err(|error| failed(&self.place, &error))
    }

    /// Puts everything from the log into the file, where secure_delete has overwritten what was removed, and empties the log.
    ///
    /// # Errors
    ///
    /// `TryAgain` when somebody still reads what was there before.
    pub(super) fn empty_log(&self) -> Result<()> {
        let connection = &self.shared()?.connection;
        let start = Instant::now();
        loop {
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let busy = connection.query_row(sql, (), |row| row.get::<_, i64>(0));
            match busy.map_err(|error| failed(&self.place, &error)) {
                Ok(0) => break,
                Err(error) if error.kind() != Kind::TryAgain => return Err(error),
                _ if start.elapsed() > TIMEOUT => {
                    let reason = "another process still reads it";
                    return Err(Error::new(Kind::TryAgain, format!("{}: {reason}", self.place.display())));
                }
                _ => std::thread::sleep(STEP),
            }
        }
        // A journal that another mode has kept holds old pages; where there is a log it is nobody's.
        let mode = connection.query_row("PRAGMA journal_mode", (), |row| row.get::<_, String>(0));
        if mode.map_err(|error| failed(&self.place, &error))? != "wal" {
            return Ok(());
        }
        let journal = quiet::beside(&self.place, "-journal");
        match fs::remove_file(&journal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(journal.display(), &error)),
            _ => Ok(()),
        }
    }

    /// The connection in its usual way: from now on that is how this database is read here.
    fn shared(&self) -> Result<&Shared> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let shared = quiet::disturb(&self.place, TIMEOUT, || self.connect())?;
        Ok(self.shared.get_or_init(|| shared))
    }

    /// With the settings of a connection, and the tables brought up to date.
    fn connect(&self) -> Result<Shared> {
        let failed = |error| failed(&self.place, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.place, flags).map_err(failed)?;
        connection.busy_timeout(TIMEOUT).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(48);
        // What is removed is overwritten; what is said to be kept is on the disk; nothing is written elsewhere.
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF;
                 PRAGMA temp_store = MEMORY",
            )
            .map_err(failed)?;
        let tables = tables(&connection).map_err(failed)?;
        let is_readonly = connection.is_readonly("main").map_err(failed)?;
        if tables > current() {
            let reason = format!("{}: tables of version {tables}, made by a newer postseal", self.place.display());
            return Err(Error::new(Kind::Config, reason).with_hint("use that one"));
        }
        if tables == 0 {
            return Err(Error::damaged(self.place.display(), "not a home's database, or its header is damaged"));
        }
        if tables < current() && is_readonly {
            return self.copy(&connection);
        }
        if !is_readonly {
            // Another process has it open in another mode: it is read and written as it is.
            let _ = connection.execute_batch("PRAGMA journal_mode = WAL");
        }
        if tables < current() {
            connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
            migrate(&Rows { connection: &connection, place: &self.place, mode: Mode::Shared })?;
            connection.execute_batch("COMMIT").map_err(failed)?;
        }
        Ok(Shared { connection, kind: Sharing::File })
    }

    /// Older tables, brought up to date in memory.
    fn copy(&self, from: &Connection) -> Result<Shared> {
        let failed = |error| failed(&self.place, &error);
        let mut connection = Connection::open_in_memory().map_err(failed)?;
        let backup = Backup::new(from, &mut connection).map_err(failed)?;
        backup.run_to_completion(PAGES, Duration::ZERO, None).map_err(failed)?;
        drop(backup);
        connection.execute_batch("BEGIN").map_err(failed)?;
        migrate(&Rows { connection: &connection, place: &self.place, mode: Mode::Shared })?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        Ok(Shared { connection, kind: Sharing::Copy })
    }

    /// The same of a database that nobody can open in its usual way.
    fn copy_quietly(&self) -> Result<()> {
        let moved = || Error::new(Kind::TryAgain, format!("{}: it was changed just now", self.place.display()));
        let held = self.quiet.as_ref().and_then(Quiet::hold).ok_or_else(moved)?;
        let shared = self.copy(&held)?;
        if !held.is_steady() {
            return Err(moved());
        }
        drop(held);
        let _ = self.shared.set(shared);
        Ok(())
    }

    fn run(&self, sql: &str) -> Result<()> {
        let connection = &self.shared()?.connection;
        let done = connection.prepare_cached(sql).and_then(|mut statement| statement.execute(()));
        done.map(|_| ()).map_err(|error| failed(&self.place, &error))
    }
}

/// What lies beside a database that is there or was: its log or its journal.
pub(super) fn is_left_beside(place: &Path) -> bool {
    ["-wal", "-journal"].into_iter().any(|end| quiet::beside(place, end).exists())
}

/// Makes the tables that are missing, within a transaction. Somebody else may have done it meanwhile.
fn migrate(rows: &Rows<'_>) -> Result<()> {
    let (connection, failed) = (rows.connection, |error| failed(rows.place, &error));
    let done = tables(connection).map_err(failed)?;
    let missing = schema::MIGRATIONS.get(done..).unwrap_or_default();
    missing.iter().try_for_each(|migration| connection.execute_batch(migration)).map_err(failed)?;
    if done < schema::WITH_DIGESTS {
        write_digests(rows)?;
    }
    connection.execute_batch(&format!("PRAGMA user_version = {}", current())).map_err(failed)
}

/// How many of the migrations were made.
fn tables(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn current() -> usize {
    schema::MIGRATIONS.len()
}

/// How long another writer is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long another writer is waited for by one who came to read.
pub(super) const SHORT_TIMEOUT: Duration = Duration::from_millis(100);
/// Between two tries to empty the log.
const STEP: Duration = Duration::from_millis(20);
/// Copied at once.
const PAGES: std::ffi::c_int = 1024;
