//! Rows in SQLite: one file, any number of processes, and changes that are complete or not there.

mod quiet;
mod rows;
mod schema;

use std::{
    cell::OnceCell,
    fs, io,
    os::unix::fs::MetadataExt,
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

/// An open database. It is read as an immutable file (`quiet`) until some process writes to it.
#[derive(Debug)]
pub(super) struct Database {
    quiet: Option<Quiet>,
    shared: OnceCell<Shared>,
    /// With all links resolved: SQLite's other files are beside the real one.
    place: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

/// A connection that uses SQLite's locks.
#[derive(Debug)]
struct Shared {
    connection: Connection,
    kind: Sharing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// On the file itself.
    File,
    /// On a copy in memory, of older tables that cannot be migrated in place.
    Copy,
}

impl Database {
    /// Opens the database; `None` when it does not exist. Refuses a file that other users can read.
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
            // A database gets its name only after its tables.
            return Err(Error::damaged(place.display(), "is empty").with_hint("put a copy of it in its place"));
        }
        let place = fs::canonicalize(place).map_err(|error| Error::io(place.display(), &error))?;
        let quiet = Quiet::open(&place, &metadata, SystemClock.now());
        let file = (metadata.dev(), metadata.ino());
        let mut database = Database { quiet, shared: OnceCell::new(), place, file };
        match database.quiet.as_ref().and_then(Quiet::tables) {
            Some(tables) if tables == current() => {}
            // Migrations run on a shared connection, or in a copy.
            Some(tables) if (1..current()).contains(&tables) => match database.shared() {
                Err(error) if matches!(error.kind(), Kind::Io | Kind::CannotCreate) => {
                    database.copy_quietly().map_err(|_| error)?;
                }
                opened => _ = opened?,
            },
            _ => {
                if let Err(error) = database.shared() {
                    database.quiet = database.quiet_later(&error);
                    if database.quiet.as_ref().and_then(Quiet::tables) != Some(current()) {
                        return Err(error);
                    }
                }
            }
        }
        Ok(Some(database))
    }

    /// The database as an immutable file, where `error` is that it cannot be opened in the usual way: a folder that cannot be written to, copied
    /// just now. Waits until a change would show.
    fn quiet_later(&self, error: &Error) -> Option<Quiet> {
        if self.quiet.is_some() || !matches!(error.kind(), Kind::Io | Kind::CannotCreate) {
            return None;
        }
        std::thread::sleep(quiet::TICK);
        Quiet::open(&self.place, &fs::metadata(&self.place).ok()?, SystemClock.now())
    }

    /// Whether the open file is still the one of this name.
    pub(super) fn is_in_place(&self) -> bool {
        fs::metadata(&self.place).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file)
    }

    /// Opens it; creates it completely before it gets its name.
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
            // No other process knows of it, and an incomplete one is deleted.
            let sql = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN";
            connection.execute_batch(sql).map_err(|error| self::failed(&place, &error))?;
            migrate(&Rows { connection: &connection, place: &place, mode: Mode::Shared, file: 0 })?;
            connection.execute_batch("COMMIT").map_err(|error| self::failed(&place, &error))?;
            connection.close().map_err(|(_, error)| self::failed(&place, &error))?;
            file.sync().and_then(|()| file.persist(&place)).map_err(failed)
        })?;
        let gone = || Error::new(Kind::CannotCreate, format!("{}: vanished", place.display()));
        Database::open(&place)?.ok_or_else(gone)
    }

    /// Runs `work` on the rows of one moment. `work` may run twice: then the first result is discarded.
    pub(super) fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<()> {
        if self.shared.get().is_none()
            && let Some(held) = self.quiet.as_ref().and_then(Quiet::hold)
        {
            let done = work(&Rows { connection: &held, place: &self.place, mode: Mode::Quiet, file: self.file.1 });
            if held.is_steady() {
                return done;
            }
        }
        let connection = &self.shared()?.connection;
        self.run("BEGIN")?;
        let done = work(&Rows { connection, place: &self.place, mode: Mode::Shared, file: self.file.1 });
        // A failure here loses nothing: nothing was changed.
        let _ = self.run("COMMIT");
        done
    }

    /// Runs `work` as one change, rolled back when it fails. Other writers wait.
    pub(super) fn change(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        let shared = self.shared()?;
        if shared.kind == Sharing::Copy {
            let reason = "tables of an older version, and they cannot be written to";
            return Err(Error::new(Kind::CannotCreate, format!("{}: {reason}", self.place.display())));
        }
        self.run("BEGIN IMMEDIATE")?;
        let rows = Rows { connection: &shared.connection, place: &self.place, mode: Mode::Shared, file: self.file.1 };
        let done = work(&rows).and_then(|done| self.run("COMMIT").map(|()| done));
        if done.is_err() && !shared.connection.is_autocommit() {
            // Return the first error.
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// Sets how long to wait for other writers.
    pub(super) fn wait_for(&self, timeout: Duration) -> Result<()> {
        self.shared()?.connection.busy_timeout(timeout).map_err(|error| failed(&self.place, &error))
    }

    /// Moves everything from the log into the file, where secure_delete has overwritten what was removed, and empties the log.
    ///
    /// # Errors
    ///
    /// `TryAgain` when another process still reads the old data.
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
        // A journal left by another mode holds old pages. In WAL mode no process uses it.
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

    /// The shared connection; from now on reads use it too.
    fn shared(&self) -> Result<&Shared> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let shared = quiet::disturb(&self.place, TIMEOUT, || self.connect())?;
        Ok(self.shared.get_or_init(|| shared))
    }

    /// Opens a shared connection and migrates the tables.
    fn connect(&self) -> Result<Shared> {
        let failed = |error| failed(&self.place, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.place, flags).map_err(failed)?;
        connection.busy_timeout(TIMEOUT).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(48);
        // Overwrite what is removed, sync what is committed, and write no temporary files.
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
            // When another process has it open in another mode, keep that mode.
            let _ = connection.execute_batch("PRAGMA journal_mode = WAL");
        }
        if tables < current() {
            connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
            migrate(&Rows { connection: &connection, place: &self.place, mode: Mode::Shared, file: 0 })?;
            connection.execute_batch("COMMIT").map_err(failed)?;
        }
        Ok(Shared { connection, kind: Sharing::File })
    }

    /// A copy of the file as it is at one moment, after `change` in the copy.
    pub(super) fn snapshot(&self, change: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<Vec<u8>> {
        let quietly = || -> Result<Option<Connection>> {
            let Some(held) = self.quiet.as_ref().filter(|_| self.shared.get().is_none()).and_then(Quiet::hold) else {
                return Ok(None);
            };
            let copied = self.in_memory(&held)?;
            Ok(held.is_steady().then_some(copied))
        };
        let mut connection = match quietly()? {
            Some(copied) => copied,
            None => self.in_memory(&self.shared()?.connection)?,
        };
        let failed = |error| failed(&self.place, &error);
        connection.execute_batch("BEGIN").map_err(failed)?;
        change(&Rows { connection: &connection, place: &self.place, mode: Mode::Shared, file: 0 })?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        Ok(connection.serialize("main").map_err(failed)?.to_vec())
    }

    /// A copy in memory.
    fn in_memory(&self, from: &Connection) -> Result<Connection> {
        let failed = |error| failed(&self.place, &error);
        let mut connection = Connection::open_in_memory().map_err(failed)?;
        let backup = Backup::new(from, &mut connection).map_err(failed)?;
        backup.run_to_completion(PAGES, Duration::ZERO, None).map_err(failed)?;
        drop(backup);
        Ok(connection)
    }

    /// Older tables, migrated in memory.
    fn copy(&self, from: &Connection) -> Result<Shared> {
        let failed = |error| failed(&self.place, &error);
        let connection = self.in_memory(from)?;
        connection.execute_batch("BEGIN").map_err(failed)?;
        migrate(&Rows { connection: &connection, place: &self.place, mode: Mode::Shared, file: 0 })?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        Ok(Shared { connection, kind: Sharing::Copy })
    }

    /// The same for a database of which no shared connection can be opened.
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

/// Whether a log or a journal of the database exists.
pub(super) fn is_left_beside(place: &Path) -> bool {
    ["-wal", "-journal"].into_iter().any(|end| quiet::beside(place, end).exists())
}

/// Runs the missing migrations, within a transaction. Another process may have run them meanwhile.
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

/// How many of the migrations have run.
fn tables(connection: &Connection) -> rusqlite::Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn current() -> usize {
    schema::MIGRATIONS.len()
}

/// How long to wait for another writer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait in a run that only wants to read.
pub(super) const SHORT_TIMEOUT: Duration = Duration::from_millis(100);
/// Pause between two tries to empty the log.
const STEP: Duration = Duration::from_millis(20);
/// Pages copied at once.
const PAGES: std::ffi::c_int = 1024;
