//! A home: a folder with a database of keys.
//!
//! ```text
//! HOME/postseal.db                   certificates, secret keys, bindings, CRLs and OCSP responses (store/sqlite),
//!                                    and what their owners said that they can read
//! HOME/store                         instead of it: the URL of a database of PostgreSQL with all that (store/elsewhere.rs)
//! HOME/master.key                    opens the secret keys, unless `key master` has moved it (store/master.rs)
//! HOME/revocations/FINGERPRINT.asc   how to revoke an OpenPGP certificate, armored: of use when all else is lost
//! ```
//!
//! Folders have mode 0700 and files 0600; others' are refused. Any number of processes may read and write at once.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    backend::{Backend, Tx, View},
    elsewhere,
    files::{Folder, REVOCATIONS},
    keystore::Keystore,
    master, postgres,
    sqlite::{Database, SHORT_TIMEOUT, is_left_beside},
};
use crate::{
    base::{Error, Hint, Kind, Limits, Result},
    keys::Passphrases,
};

impl Keystore {
    /// Opens the home at `place`. A home that does not exist is empty; the first write creates it. Its rows are in a database of PostgreSQL when the
    /// file `store` in it names one.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when other users can access or own it, with the command that repairs that; `Damaged` when its database is gone; `TryAgain` when
    /// the server of its database cannot be reached.
    pub fn open_home(place: &Path, passphrases: Arc<Passphrases>, limits: &Limits) -> Result<Keystore> {
        Keystore::new(backend(place)?, place, passphrases, limits)
    }
}

/// The rows of the home at `place`, wherever they are.
pub(super) fn backend(place: &Path) -> Result<Box<dyn Backend>> {
    match elsewhere::urls(place)? {
        Some(urls) => postgres::open(&urls),
        None => Ok(in_folder(place, Guard::Moved)),
    }
}

/// The rows in the home at `place`.
pub(super) fn in_folder(place: &Path, guard: Guard) -> Box<dyn Backend> {
    let (database, was_there) = (Mutex::default(), AtomicBool::new(false));
    Box::new(Home { place: place.to_owned(), database, was_there, guard })
}

/// What makes the rows in a folder unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// That they were moved to a database: what is written here would be lost.
    Moved,
    /// Nothing: they are being moved here, into a home that has none.
    Nothing,
}

/// A folder with a database in SQLite.
#[derive(Debug)]
struct Home {
    place: PathBuf,
    /// `None` until there is one.
    database: Mutex<Option<Database>>,
    /// Whether there was one: then a missing database is a lost one.
    was_there: AtomicBool,
    guard: Guard,
}

impl Home {
    /// The database, if it exists.
    fn database(&self) -> Result<MutexGuard<'_, Option<Database>>> {
        self.check()?;
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        // A copy may have been put in its place: the open file would never tell of a revocation in it.
        if database.as_ref().is_some_and(|open| !open.is_in_place()) {
            *database = None;
        }
        if database.is_none()
            && let Some(folder) = Folder::open(&self.place)?
        {
            let place = folder.path().join(DATABASE);
            *database = Database::open(&place)?;
            if database.is_none()
                && self.guard == Guard::Moved
                && let Some(error) = self.remains(&place)
            {
                // Another process may have made it since.
                *database = Database::open(&place)?;
                if database.is_none() {
                    return Err(error);
                }
            }
        }
        if database.is_some() {
            self.was_there.store(true, Ordering::Relaxed);
        } else if self.was_there.load(Ordering::Relaxed) {
            let place = self.place.join(DATABASE);
            return Err(Error::damaged(place.display(), "is gone").with_hint("put a copy of it in its place"));
        }
        Ok(database)
    }

    /// Refuses rows that were moved while this process had them open.
    fn check(&self) -> Result<()> {
        if self.guard == Guard::Moved && elsewhere::is_elsewhere(&self.place) {
            let reason = format!("{}: its keys were moved to PostgreSQL", self.place.display());
            return Err(Error::new(Kind::TryAgain, reason).with_hint("start this program again, or reload the service"));
        }
        Ok(())
    }

    /// The error for a folder whose database is missing; `None` when there never was one.
    fn remains(&self, database: &Path) -> Option<Error> {
        if self.place.join("certs").exists() {
            let reason = format!("{}: a home of files, of an older postseal", self.place.display());
            return Some(Error::new(Kind::Config, reason).with_hint(Hint::ImportOldHome));
        }
        let left = [master::OWN, REVOCATIONS].into_iter().find(|name| self.place.join(name).symlink_metadata().is_ok());
        let left = left.or_else(|| is_left_beside(database).then_some("its log"))?;
        let reason = format!("{}: is gone, and {left} is there", database.display());
        Some(Error::new(Kind::Damaged, reason).with_hint("put a copy of it in its place, or use another home"))
    }
}

impl Backend for Home {
    fn exists(&self) -> Result<bool> {
        Ok(self.database()?.is_some())
    }

    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<bool> {
        let database = self.database()?;
        let Some(database) = &*database else { return Ok(false) };
        database.read(work).map(|()| true)
    }

    fn write(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        let mut database = self.database()?;
        let database = match &mut *database {
            Some(database) => database,
            none => {
                let made = Database::create(Folder::create(&self.place)?.path(), DATABASE)?;
                // From now on a missing database is a lost one.
                Folder::create(&self.place.join(REVOCATIONS))?;
                none.insert(made)
            }
        };
        // It may have waited for the program that moves them.
        database.change(&mut |tx| self.check().and_then(|()| work(tx)))
    }

    /// On its own connection, so that look-ups do not wait for the disk.
    fn write_if_free(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<bool> {
        let Some(folder) = Folder::open(&self.place)? else { return Ok(false) };
        let Some(database) = Database::open(&folder.path().join(DATABASE))? else { return Ok(false) };
        database.wait_for(SHORT_TIMEOUT)?;
        database.change(&mut |tx| self.check().and_then(|()| work(tx))).map(|()| true)
    }

    fn snapshot(&self, change: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<Option<Vec<u8>>> {
        self.database()?.as_ref().map(|database| database.snapshot(change)).transpose()
    }

    fn erase_removed(&self) -> Result<()> {
        self.database()?.as_ref().map_or(Ok(()), Database::empty_log)
    }
}

pub(super) const DATABASE: &str = "postseal.db";
