//! Locks of an mbox: as Postfix (`mailbox_delivery_lock`) and Dovecot (`mbox_write_locks`) take them on Debian, first fcntl, then the dot-lock.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};

use crate::base::{Clock, Error, Kind, Result};

/// Waits until no other program writes the mbox, and keeps them from it while `file` is open. A file system without locks has none.
pub(super) fn shared(file: &File, place: &Path) -> Result<()> {
    in_time(place, || fcntl(file, FlockOperation::NonBlockingLockShared))
}

/// Both locks for writing. They end when this is dropped.
pub(super) struct Exclusive<'f> {
    file: &'f File,
    dot: Option<PathBuf>,
}

/// Waits until no other program reads or writes the mbox, and locks it.
pub(super) fn exclusive<'f>(file: &'f File, place: &Path, clock: &dyn Clock) -> Result<Exclusive<'f>> {
    in_time(place, || fcntl(file, FlockOperation::NonBlockingLockExclusive))?;
    let mut lock = Exclusive { file, dot: None };
    let mut name = place.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    in_time(place, || {
        let taken = dot_lock(&name, clock)?;
        lock.dot = (taken == DotLock::Taken).then(|| name.clone());
        Ok(taken != DotLock::Held)
    })?;
    Ok(lock)
}

/// What became of an attempt to make a dot-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DotLock {
    /// No file can be made in the folder, as in /var/mail: other programs of this user make none there either.
    Forbidden,
    /// Another program has it.
    Held,
    /// It was made.
    Taken,
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        if let Some(dot) = &self.dot {
            // Others remove it when it is old.
            let _ = fs::remove_file(dot);
        }
        let _ = fcntl_lock(self.file, FlockOperation::Unlock);
    }
}

/// Tries until `lock` is taken.
fn in_time(place: &Path, mut lock: impl FnMut() -> io::Result<bool>) -> Result<()> {
    for _ in 0..ATTEMPTS {
        if lock().map_err(|error| Error::io(place.display(), &error))? {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Err(Error::new(Kind::TryAgain, format!("{}: locked by another program", place.display())))
}

/// Whether the lock was taken, or cannot be had in this file system.
fn fcntl(file: &File, how: FlockOperation) -> io::Result<bool> {
    match fcntl_lock(file, how) {
        Ok(()) | Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => Ok(true),
        Err(Errno::ACCESS | Errno::AGAIN | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Makes the file `name`. One that is old was left by a program that was killed.
fn dot_lock(name: &Path, clock: &dyn Clock) -> io::Result<DotLock> {
    let made = OpenOptions::new().write(true).create_new(true).open(name);
    match made.map_err(|error| (error.kind(), error)) {
        Ok(mut file) => {
            // Other programs show it to people, and do not depend on it.
            let _ = writeln!(file, "{}", std::process::id());
            Ok(DotLock::Taken)
        }
        Err((ErrorKind::AlreadyExists, _)) => {
            let made = fs::metadata(name).and_then(|metadata| metadata.modified());
            let age = made.ok().and_then(|made| clock.now().duration_since(made).ok());
            if age.is_some_and(|age| age > STALE) {
                fs::remove_file(name)?;
            }
            Ok(DotLock::Held)
        }
        Err((ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, _)) => Ok(DotLock::Forbidden),
        Err((_, error)) => Err(error),
    }
}

/// Attempts before a lock is given up. Source: 20 attempts of Postfix (`deliver_lock_attempts`), one a second (`deliver_lock_delay`).
const ATTEMPTS: u32 = 80;
const PAUSE: Duration = Duration::from_millis(250);

/// The age at which a dot-lock is taken for a leftover. Source: Postfix (`stale_lock_time`).
const STALE: Duration = Duration::from_secs(500);
