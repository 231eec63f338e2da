//! Where what was found is kept.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    carry::carried,
    files::{COMING, FILE, absent_is_fine, exists},
    sqlite::Sqlite,
};
use crate::{
    base::{Error, Kind, Result},
    keys::{FindingRows, Findings},
};

/// A file of a home, memory, or tables that several machines share.
pub(super) enum Place {
    Own(Box<Own>),
    Shared(Shared),
}

pub(super) struct Own {
    file: Sqlite,
    home: Option<PathBuf>,
    is_ready: AtomicBool,
}

pub(super) struct Shared {
    tables: Arc<dyn Findings>,
    home: Option<PathBuf>,
    /// Whether there is no file of this machine any more whose rows have to be carried over.
    is_ready: AtomicBool,
}

impl Place {
    pub(super) fn new(home: Option<&Path>, shared: Option<&Arc<dyn Findings>>) -> Place {
        let home = home.map(Path::to_path_buf);
        let is_ready = AtomicBool::new(false);
        match shared {
            Some(tables) => Place::Shared(Shared { tables: Arc::clone(tables), home, is_ready }),
            None => {
                let file = Sqlite::new(home.as_ref().map(|home| home.join(FILE)));
                Place::Own(Box::new(Own { file, home, is_ready }))
            }
        }
    }

    /// Runs `work` as one change.
    ///
    /// # Errors
    ///
    /// Those of `work`; `TryAgain`, `Io` or `Damaged`: the file or the database cannot be used.
    pub(super) fn change<T>(&self, mut work: impl FnMut(&dyn FindingRows) -> Result<T>) -> Result<T> {
        let mut done = None;
        self.ready()?.change(&mut |rows| {
            done = Some(work(rows)?);
            Ok(())
        })?;
        done.ok_or_else(|| Error::new(Kind::Io, "what was found on the network: the change was not run"))
    }

    fn ready(&self) -> Result<&dyn Findings> {
        match self {
            Place::Own(own) => {
                let Own { file, home, is_ready } = own.as_ref();
                if let Some(home) = home.as_ref().filter(|_| !is_ready.load(Ordering::Relaxed)) {
                    arrive(home)?;
                    is_ready.store(true, Ordering::Relaxed);
                }
                Ok(file)
            }
            Place::Shared(Shared { tables, home, is_ready }) => {
                if let Some(home) = home.as_ref().filter(|_| !is_ready.load(Ordering::Relaxed)) {
                    leave(home, tables.as_ref())?;
                    is_ready.store(true, Ordering::Relaxed);
                }
                Ok(tables.as_ref())
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Own(own) => own.file.fmt(f),
            Place::Shared(_) => f.write_str("Shared"),
        }
    }
}

/// Puts the file in place that was made when the keys were moved here.
fn arrive(home: &Path) -> Result<()> {
    let coming = home.join(COMING);
    if !exists(&coming)? {
        return Ok(());
    }
    // The log of the file that it replaces is not its own.
    for suffix in ["-wal", "-shm"] {
        absent_is_fine(&coming, fs::remove_file(home.join(format!("{FILE}{suffix}"))))?;
    }
    absent_is_fine(&coming, fs::rename(&coming, home.join(FILE)))
}

/// Carries the keys in use and the pending ones of a file of this machine over to the tables, and sets the file aside.
fn leave(home: &Path, tables: &dyn Findings) -> Result<()> {
    let old = home.join(FILE);
    if !exists(&old)? {
        return Ok(());
    }
    carried(&Sqlite::new(Some(old.clone())), tables)?;
    for suffix in ["-wal", "-shm", ""] {
        let from = home.join(format!("{FILE}{suffix}"));
        absent_is_fine(&old, fs::rename(from, home.join(format!("{FILE}.moved{suffix}"))))?;
    }
    Ok(())
}
