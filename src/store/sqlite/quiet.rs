//! Reads a database that no process has open without SQLite's locks and without files beside it. That saves a program that looks up one key half a
//! millisecond, and allows a home on a read-only file system.
//!
//! SQLite calls such a database immutable, and does not check that it is. A lock on the folder ensures it: a process that opens the database in its
//! usual way (write-ahead logging, WAL) holds the lock exclusively until the log exists, and a process that reads it as immutable shares the lock
//! while it reads, and requires that there is no log. The last process that closes the database removes the log. Other programs do not know the lock,
//! so the file is checked again after each look-up.
//!
//! A database in another journal mode is never read this way, because its writers leave no trace at first. Neither is one with a journal, which holds
//! the uncommitted changes of a killed writer.

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

/// A database that no process had open at the last check.
#[derive(Debug)]
pub(super) struct Quiet {
    connection: Connection,
    folder: File,
    place: PathBuf,
    /// The log and the journal, which must not exist.
    traces: [PathBuf; 2],
    tables: usize,
    seen: Seen,
    /// How many [`Held`] there are; they share one lock.
    holds: Cell<usize>,
}

/// While this exists, no process changes the database.
pub(super) struct Held<'a>(&'a Quiet);

/// What changes when a process writes to the file.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    device: u64,
    file: u64,
    length: u64,
    modified: SystemTime,
}

impl Quiet {
    /// `place` has all links resolved. `None` when a process has it open, when it was changed just now, when it is in another mode than WAL, or when
    /// the file system has no locks. `now` must be the machine's time, which the times of files are compared with.
    pub(super) fn open(place: &Path, metadata: &Metadata, now: SystemTime) -> Option<Quiet> {
        let seen = Seen::of(metadata)?;
        // File times have ticks: two changes within one look the same.
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

    /// How many of the migrations have run; `None` when the database has been opened or changed.
    pub(super) fn tables(&self) -> Option<usize> {
        self.hold().map(|_| self.tables)
    }

    /// Locks the database; `None` when it has been opened or changed.
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
    /// Whether the file is unchanged, and there is no log or journal.
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
            // At the latest, closing the file removes it.
            let _ = self.0.folder.unlock();
        }
    }
}

/// Runs `work`, which opens the database so that its log exists afterwards, while no process reads it as immutable. Waits for such processes for
/// `timeout`.
pub(super) fn disturb<T>(place: &Path, patience: Duration, work: impl FnOnce() -> Result<T>) -> Result<T> {
    // Closing the file unlocks it. Without locks, no process reads it as immutable.
    let folder = folder(place);
    let start = Instant::now();
    while let Some(Err(TryLockError::WouldBlock)) = folder.as_ref().map(File::try_lock) {
        if start.elapsed() > patience {
            return Err(Error::new(Kind::TryAgain, format!("{}: another process keeps it locked", place.display())));
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

/// How many of the migrations have run, from the file's first octets (<https://www.sqlite.org/fileformat2.html#database_header>): asking SQLite costs
/// a process 0.1 ms. `None` when they are not those of a database in WAL mode.
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

/// The path of one of SQLite's files beside the database.
pub(super) fn beside(place: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(place);
    name.push(end);
    name.into()
}

fn folder(place: &Path) -> Option<File> {
    File::open(place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))).ok()
}

/// The file as a URI that says it is immutable (<https://www.sqlite.org/uri.html>).
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
pub(super) const TICK: Duration = Duration::from_millis(50);
/// Pause between two tries to get the lock.
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
