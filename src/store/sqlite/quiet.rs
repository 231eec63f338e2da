//! A database that nobody has open is read without locks of SQLite's and without files beside it: a program that looks up one key spares
//! itself half a millisecond, and a home on a read-only file system can be read at all.
//!
//! SQLite calls such a database immutable, and does not check that it is. The lock on the folder makes it true: a process that opens the database
//! in its usual way (write-ahead logging, WAL) takes the lock alone until the log is beside it, and a process that reads it quietly shares the
//! lock while it reads, and finds no log. The log goes when the last one closes the database, after everything was put into it. Other programs know
//! nothing of the lock: so the file is looked at again after each look-up.
//!
//! A database in another journal mode is never read quietly: its writers leave no trace while they begin. Nor is one with a journal beside it,
//! which holds what a writer who was killed had not committed.

use std::{
    cell::Cell,
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File, Metadata, TryLockError},
    io::Read as _,
    ops::Deref,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use crate::base::{Error, Kind, Result};

/// A database that nobody had open when it was looked at last.
#[derive(Debug)]
pub(super) struct Quiet {
    connection: Connection,
    folder: File,
    place: PathBuf,
    /// What must not be there: the log and the journal.
    traces: [PathBuf; 2],
    tables: usize,
    seen: Seen,
    /// How many promises there are now; one lock stands for all of them.
    holds: Cell<usize>,
}

/// The promise that it stays as it is.
pub(super) struct Held<'a>(&'a Quiet);

/// What changes when somebody writes to the file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    device: u64,
    file: u64,
    length: u64,
    modified: SystemTime,
}

impl Quiet {
    /// `place` is behind all links. `None` when somebody has it open, when it was changed just now, when it is in another mode than WAL, or when
    /// the file system knows no locks.
    pub(super) fn open(place: &Path, metadata: &Metadata, now: SystemTime) -> Option<Quiet> {
        let seen = Seen::of(metadata)?;
        // The times of files come in ticks: two changes in one cannot be told apart.
        if now.duration_since(seen.modified).ok()? < TICK {
            return None;
        }
        let tables = tables(place)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(address(place), flags).ok()?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).ok()?;
        Some(Quiet {
            connection,
            folder: folder(place)?,
            place: place.to_owned(),
            traces: ["-wal", "-journal"].map(|end| beside(place, end)),
            tables,
            seen,
            holds: Cell::new(0),
        })
    }

    /// How many of the migrations were made; `None` when it is quiet no longer.
    pub(super) fn tables(&self) -> Option<usize> {
        self.hold().map(|_| self.tables)
    }

    /// The database while nobody may change it; `None` when it is quiet no longer.
    pub(super) fn hold(&self) -> Option<Held<'_>> {
        if self.holds.get() == 0 {
            self.folder.try_lock_shared().ok()?;
        }
        self.holds.set(self.holds.get() + 1);
        let held = Held(self);
        if self.holds.get() > 1 {
            return Some(held);
        }
        held.is_steady().then_some(held)
    }
}

impl Held<'_> {
    /// Whether it is as it was seen, and nothing beside it says that somebody writes.
    pub(super) fn is_steady(&self) -> bool {
        self.0.traces.iter().all(|trace| !fs::exists(trace).unwrap_or(true))
            && fs::metadata(&self.0.place).is_ok_and(|metadata| Seen::of(&metadata).as_ref() == Some(&self.0.seen))
    }
}

impl Deref for Held<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0.connection
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.holds.set(self.0.holds.get() - 1);
        if self.0.holds.get() == 0 {
            // It goes with the file at the latest.
            let _ = self.0.folder.unlock();
        }
    }
}

/// Does `work`, which opens the database so that its log is there when it is done, while nobody reads it quietly. Whoever does is waited for
/// as long as for another writer.
pub(super) fn disturb<T>(place: &Path, patience: Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // The lock goes with the file. Where there are no locks, nobody reads quietly.
    let folder = folder(place);
    let start = Instant::now();
    while let Some(Err(TryLockError::WouldBlock)) = folder.as_ref().map(File::try_lock) {
        if start.elapsed() > patience {
            return Err(Error::new(Kind::TryAgain, format!("{}: somebody keeps it locked", place.display())));
        }
        thread::sleep(STEP);
    }
    work()
}

impl Seen {
    fn of(metadata: &Metadata) -> Option<Seen> {
        let modified = metadata.modified().ok()?;
        Some(Seen { device: metadata.dev(), file: metadata.ino(), length: metadata.len(), modified })
    }
}

/// How many of the migrations were made, from the file's first octets (<https://www.sqlite.org/fileformat2.html#database_header>): asking
/// SQLite costs a process 0.1 ms. `None` when they are not those of a database in WAL mode.
fn tables(place: &Path) -> Option<usize> {
    let mut header = [0; 64];
    File::open(place).ok()?.read_exact(&mut header).ok()?;
    match header {
        [.., a, b, c, d] if header.starts_with(b"SQLite format 3\0") && header.get(18..20) == Some(&[WAL, WAL]) => {
            usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()
        }
        _ => None,
    }
}

/// The name of a file of SQLite's beside the database.
pub(super) fn beside(place: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(place);
    name.push(end);
    name.into()
}

fn folder(place: &Path) -> Option<File> {
    File::open(place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))).ok()
}

/// The file as an address with a promise (<https://www.sqlite.org/uri.html>).
fn address(place: &Path) -> String {
    let mut address = "file:".to_owned();
    for octet in place.as_os_str().as_bytes() {
        match octet {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => address.push(char::from(*octet)),
            _ => _ = write!(address, "%{octet:02X}"),
        }
    }
    address + "?immutable=1"
}

/// The file format's write and read versions of WAL.
const WAL: u8 = 2;
/// Linux counts the times of files in steps of 10 ms at most.
const TICK: Duration = Duration::from_millis(50);
/// Between two tries to get the lock: a statement takes less.
const STEP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Clock as _, SystemClock};

    #[test]
    fn the_lock_lasts_as_long_as_the_last_promise() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("postseal.db");
        Connection::open(&place).unwrap().execute_batch("PRAGMA journal_mode = WAL; PRAGMA user_version = 7").unwrap();
        let quiet = Quiet::open(&place, &fs::metadata(&place).unwrap(), SystemClock.now() + TICK).unwrap();
        let is_locked = || super::folder(&place).unwrap().try_lock().is_err();
        assert!(!is_locked());
        let first = quiet.hold().unwrap();
        assert_eq!(quiet.tables(), Some(7));
        let second = quiet.hold().unwrap();
        drop(first);
        assert!(is_locked());
        assert!(quiet.hold().is_some());
        drop(second);
        assert!(!is_locked());
        fs::write(&place, "not quiet").unwrap();
        assert!(quiet.hold().is_none());
        assert!(!is_locked());
    }
}
