//! A home: a folder with a database of keys.
//!
//! ```text
//! HOME/postseal.db                   certificates, secret keys, bindings, CRLs and OCSP responses (store/sqlite),
//!                                    and what their owners said that they read
//! HOME/master.key                    opens the secret keys, unless `key master` has moved it (store/master.rs)
//! HOME/revocations/FINGERPRINT.asc   how to revoke an OpenPGP certificate, armored: of use when all else is lost
//! ```
//!
//! Folders have mode 0700 and files 0600; others' are refused. Any number of processes may read and write at once.

mod intake;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    binding::Origin,
    files::{self, Folder},
    format::{self, Reading},
    master::{self, DataKey, MasterKey, Places},
    sqlite::{Damage, Database, Master, Outcome, Records, Repair, SHORT_PATIENCE, View, is_left_beside},
};
use crate::{
    base::{Error, Kind, Limits, Result, Secret, sweep},
    crypto::SecretKey,
    keys::{Announcement, Binding, Handle, Keys, Locked, Memory, Passphrases, ProtocolName, Record, Want},
    mail::Address,
};

pub use intake::{Change, Intake, Kept, Taken};

/// Keys in a folder.
#[derive(Debug)]
pub struct Home {
    place: PathBuf,
    credentials: Option<PathBuf>,
    passphrases: Arc<Passphrases>,
    limits: Limits,
    held: Mutex<Held>,
}

/// How much is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A certificate; refused when there is a secret key to it.
    Certificate,
    /// The secret key too. What was encrypted to it can never be read again.
    WithSecret,
}

/// What this process has of it.
#[derive(Debug, Default)]
struct Held {
    /// `None` as long as there is none.
    database: Option<Database>,
    cache: Cache,
}

/// What was read.
#[derive(Debug, Default)]
struct Cache {
    /// Certificates and statements as long as nobody has changed the database: what serves many messages is read once.
    records: Records,
    statements: Option<Vec<Arc<[u8]>>>,
    version: i64,
    data_key: Option<Arc<DataKey>>,
    /// Secret parts that were opened, with what they were sealed in.
    locked: BTreeMap<Handle, (Vec<u8>, Arc<dyn Locked>)>,
}

impl Home {
    /// Opens the home at `place`. One that is not there is empty, and is made by the first that is written to it.
    ///
    /// An error of kind `NoKey` when others can get at it or it is another user's, with the command that mends it.
    pub fn open(place: &Path, passphrases: Arc<Passphrases>, limits: &Limits) -> Result<Home> {
        let home = Home {
            place: place.to_owned(),
            credentials: None,
            passphrases,
            limits: limits.clone(),
            held: Mutex::default(),
        };
        drop(home.held()?);
        Ok(home)
    }

    /// The same with the folder where systemd puts the credentials of a service, for a master key that is one.
    #[must_use]
    pub fn with_credentials(self, folder: Option<PathBuf>) -> Home {
        Home { credentials: folder, ..self }
    }

    /// Notes why the certificate with this primary fingerprint is believed; says whether that is new.
    ///
    /// An error of kind `NoKey` when the certificate is not here.
    pub fn bind(&self, fingerprint: &Handle, binding: &Binding, origin: Origin, at: SystemTime) -> Result<bool> {
        self.write(|view, _| view.bind(fingerprint, binding, origin, at))
    }

    /// Removes a certificate, its bindings and, if told to, its secret key, of which no octet is left in the database, its log and its free
    /// pages then. The file that revokes it stays.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not here, or has a secret key that is not to be removed; `TryAgain` when it is removed and the secret key's octets
    /// could not be erased yet, since another process reads them: [`Home::check`] does it later.
    pub fn remove(&self, record: &Record, removal: Removal) -> Result<()> {
        let fingerprint = &record.fingerprint;
        let had_secret = self.write(|view, _| {
            let has_secret = view.sealed(fingerprint)?.is_some();
            // Stubs of keys that are elsewhere are no loss.
            if removal == Removal::Certificate && !record.secrets.is_empty() && has_secret {
                return Err(Error::no_key(format!("key {fingerprint}: there is a secret key to it")).with_hint(
                    "what was encrypted to it can then never be read again; if you are sure, add --secret",
                ));
            }
            let has_secret = has_secret || view.is_lost(fingerprint)?;
            if !view.forget(fingerprint)? {
                return Err(Error::no_key(format!("key {fingerprint}: no certificate here")));
            }
            if has_secret {
                view.must_erase()?;
            }
            Ok(has_secret)
        })?;
        self.held()?.cache.locked.remove(fingerprint);
        if had_secret { self.erase() } else { Ok(()) }
    }

    /// Notes what the owner of a certificate says that he reads, heard at `at`; says whether that was done. It is not when he said something
    /// later, or when the certificate is not in this home: whose certificates are kept is for the owner of the home to say.
    ///
    /// An error of kind `TryAgain` when somebody else keeps writing: he is not waited for long.
    pub fn note(&self, announcement: &Announcement, at: SystemTime) -> Result<bool> {
        // On a connection of its own, for it is rare: those who look for keys meanwhile do not wait for the disk.
        let Some(folder) = Folder::open(&self.place)? else { return Ok(false) };
        let Some(database) = Database::open(&folder.path().join(DATABASE))? else { return Ok(false) };
        database.wait_for(SHORT_PATIENCE)?;
        database.change(|view| view.note(announcement, at))
    }

    /// Looks whether everything is what was written, and names what is not; `repair` says whether what can be repaired is. What cannot be is
    /// set aside within the database then, and counts no longer. An empty list means that all is well.
    pub fn check(&self, repair: Repair) -> Result<Vec<Damage>> {
        let describe = |octets: &[u8]| self.described(octets);
        let looked = match repair {
            Repair::No => self.look(Vec::new(), |view, _| view.check(repair, &describe)),
            Repair::Yes if self.held()?.database.is_none() => Ok(Vec::new()),
            Repair::Yes => self.write(|view, _| view.check(repair, &describe)),
        };
        let mut found = match looked {
            // So damaged that it cannot even be looked through.
            Err(error) if error.kind() == Kind::Damaged => {
                return Ok(vec![Damage { what: format!("pages: {error}"), outcome: Outcome::Left }]);
            }
            looked => looked?,
        };
        if self.look(false, |view, _| view.is_to_be_erased())? {
            let outcome = match repair {
                Repair::No => Outcome::Left,
                Repair::Yes => self.erase().map(|()| Outcome::Repaired)?,
            };
            found.push(Damage { what: "removed secret keys: octets of them are left".to_owned(), outcome });
        }
        Ok(found)
    }

    /// The secret parts of a certificate as they came; `None` when there are none.
    pub fn secret_parts(&self, fingerprint: &Handle) -> Result<Option<Secret>> {
        let Some((sealed, master)) = self.sealed(fingerprint)? else { return Ok(None) };
        let mut held = self.held()?;
        self.data_key_of(&master, &mut held.cache)?.open(fingerprint.as_str(), &sealed).map(Some)
    }

    /// Changes where the master key comes from. A file that is not there is made; the home's own is removed when it is no longer used, unless
    /// it is the new one by another name.
    pub fn set_master(&self, master: &MasterKey) -> Result<()> {
        let place = self.write(|view, cache| {
            let data_key = self.data_key(view, cache)?;
            let wrapped = data_key.wrap(master, self.places())?;
            view.set_master(&wrapped)?;
            Ok(master::file(&wrapped, self.places()))
        })?;
        let own = self.place.join(master::OWN);
        let is_own = place.is_some_and(|place| files::is_same(&place, &own));
        if is_own { Ok(()) } else { Folder::at(&self.place).remove(master::OWN) }
    }

    fn opened(&self, view: View<'_>, cache: &mut Cache, fingerprint: &Handle) -> Result<Option<Secret>> {
        let Some(sealed) = view.sealed(fingerprint)? else { return Ok(None) };
        self.data_key(view, cache)?.open(fingerprint.as_str(), &sealed).map(Some)
    }

    /// The data key, made with a master key in the home when there is none yet.
    fn data_key(&self, view: View<'_>, cache: &mut Cache) -> Result<Arc<DataKey>> {
        if let Some(key) = &cache.data_key {
            return Ok(Arc::clone(key));
        }
        if let Some(master) = view.master()? {
            return self.data_key_of(&master, cache);
        }
        let key = DataKey::generate()?;
        view.set_master(&key.wrap(&MasterKey::Home, self.places())?)?;
        Ok(Arc::clone(cache.data_key.insert(Arc::new(key))))
    }

    fn data_key_of(&self, master: &Master, cache: &mut Cache) -> Result<Arc<DataKey>> {
        if let Some(key) = &cache.data_key {
            return Ok(Arc::clone(key));
        }
        let key = DataKey::unwrap(master, self.places())?;
        Ok(Arc::clone(cache.data_key.insert(Arc::new(key))))
    }

    /// Sealed secret parts, and what opens them; `None` when there are none. A passphrase is asked for only after this: nobody waits for who
    /// types it.
    fn sealed(&self, fingerprint: &Handle) -> Result<Option<(Vec<u8>, Master)>> {
        self.look(None, |view, _| {
            let Some(sealed) = view.sealed(fingerprint)? else { return Ok(None) };
            let gone = || Error::damaged(self.place.display(), "what says where the master key is: gone");
            Ok(Some((sealed, view.master()?.ok_or_else(gone)?)))
        })
    }

    /// Erases what is left of removed secret keys.
    fn erase(&self) -> Result<()> {
        let held = self.held()?;
        let Some(database) = &held.database else { return Ok(()) };
        let emptied = database.empty_log().map_err(|error| {
            let what = "octets of the removed secret key stay in it for now";
            Error::new(error.kind(), format!("{error}: {what}"))
                .with_hint("`postseal key check --repair` erases them when the other process is done")
        });
        emptied.and_then(|()| database.change(|view| view.has_erased()))
    }

    /// What the octets of a certificate say themselves.
    fn described(&self, octets: &[u8]) -> Option<Record> {
        let nothing = Memory::new();
        let reading = Reading { passphrases: &Arc::default(), limits: &self.limits, beside: &nothing };
        let read = format::of_octets(octets)?.read(&[("certificate", octets)], &reading).ok()?;
        let [found] = read.found.as_slice() else { return None };
        Some(found.record.clone())
    }

    fn places(&self) -> Places<'_> {
        Places { home: &self.place, credentials: self.credentials.as_deref(), passphrases: &self.passphrases }
    }

    /// Does `work` with the database as it stands at one moment; `none` when there is none. `work` may be done twice.
    fn look<T>(&self, none: T, mut work: impl FnMut(View<'_>, &mut Cache) -> Result<T>) -> Result<T> {
        let mut held = self.held()?;
        let Held { database, cache } = &mut *held;
        let Some(database) = database else { return Ok(none) };
        database.read(|view| {
            cache.follow(view)?;
            work(view, cache)
        })
    }

    /// Does `work` as one change, in a home that is made when it is not there.
    fn write<T>(&self, work: impl FnOnce(View<'_>, &mut Cache) -> Result<T>) -> Result<T> {
        // A master key may be in what a killed process left.
        sweep(&self.place);
        let mut held = self.held()?;
        let Held { database, cache } = &mut *held;
        let database = match database {
            Some(database) => database,
            None => {
                let made = Database::create(Folder::create(&self.place)?.path(), DATABASE)?;
                // From now on a database that is not there is one that is gone.
                Folder::create(&self.place.join(REVOCATIONS))?;
                database.insert(made)
            }
        };
        let done = database.change(|view| work(view, cache));
        if done.is_err() {
            // It may have been made in what is undone now.
            cache.data_key = None;
        }
        cache.records.clear();
        cache.statements = None;
        done
    }

    /// The database, when it is there.
    fn held(&self) -> Result<MutexGuard<'_, Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.database.is_none()
            && let Some(folder) = Folder::open(&self.place)?
        {
            let place = folder.path().join(DATABASE);
            held.database = Database::open(&place)?;
            if held.database.is_none()
                && let Some(error) = self.remains(&place)
            {
                // Somebody may have made it since.
                held.database = Database::open(&place)?;
                if held.database.is_none() {
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    /// Why a home without a database is not one that nobody has made yet.
    fn remains(&self, database: &Path) -> Option<Error> {
        if self.place.join("certs").exists() {
            let reason = format!("{}: a home of files, of an older postseal", self.place.display());
            return Some(
                Error::new(Kind::Config, reason)
                    .with_hint("give another --home, and `postseal key import` the files in certs and secrets"),
            );
        }
        let left = [master::OWN, REVOCATIONS].into_iter().find(|name| self.place.join(name).symlink_metadata().is_ok());
        let left = left.or_else(|| is_left_beside(database).then_some("its log"))?;
        let reason = format!("{}: is gone, and {left} is there", database.display());
        Some(Error::new(Kind::Damaged, reason).with_hint("put a copy of it in its place, or give another --home"))
    }
}

impl Cache {
    /// Forgets what others may have changed.
    fn follow(&mut self, view: View<'_>) -> Result<()> {
        let version = view.version()?;
        if self.version != version || self.records.len() > MOST_RECORDS {
            self.records.clear();
            self.statements = None;
            self.version = version;
        }
        Ok(())
    }

    fn remember(&mut self, found: &[Arc<Record>]) {
        for record in found {
            self.records.entry(record.fingerprint.as_str().to_owned()).or_insert_with(|| Arc::clone(record));
        }
    }
}

impl Keys for Home {
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let mut records = self.look(Vec::new(), |view, cache| {
            let found = view.certificates(protocol, want, &cache.records)?;
            cache.remember(&found);
            Ok(found)
        })?;
        // The database folds case as ASCII does and cuts key IDs as it may; these are the true rules.
        records.retain(|record| match want {
            Want::All => true,
            Want::Certificate(fingerprint) => record.fingerprint == **fingerprint,
            Want::Handle(handle) => record.has(handle),
            Want::Address(address) => is_of(record, address),
        });
        Ok(records)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        let mut anchors = self.look(Vec::new(), |view, cache| {
            let found = view.anchors(&cache.records)?;
            cache.remember(&found);
            Ok(found)
        })?;
        anchors.retain(|record| record.protocol == ProtocolName::Smime && record.bindings.contains(&Binding::Anchor));
        Ok(anchors)
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        self.look(Vec::new(), |view, cache| {
            if let Some(known) = &cache.statements {
                return Ok(known.clone());
            }
            let found: Vec<Arc<[u8]>> = view.statements()?.into_iter().map(Arc::from).collect();
            Ok(cache.statements.insert(found).clone())
        })
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.locked(record)?.map_or(Ok(None), |locked| locked.unlock(key))
    }
}

impl Home {
    fn locked(&self, record: &Record) -> Result<Option<Arc<dyn Locked>>> {
        let fingerprint = &record.fingerprint;
        let Some((sealed, master)) = self.sealed(fingerprint)? else { return Ok(None) };
        let mut held = self.held()?;
        let cache = &mut held.cache;
        if let Some((seen, locked)) = cache.locked.get(fingerprint)
            && *seen == sealed
        {
            return Ok(Some(Arc::clone(locked)));
        }
        let octets = self.data_key_of(&master, cache)?.open(fingerprint.as_str(), &sealed)?;
        let locked = format::of(record.protocol)?.locked(record, octets, &self.passphrases, &self.limits)?;
        cache.locked.insert(fingerprint.clone(), (sealed, Arc::clone(&locked)));
        Ok(Some(locked))
    }
}

fn is_of(record: &Record, address: &Address) -> bool {
    let text = address.to_string();
    record.claimed.iter().any(|own| own.to_string().eq_ignore_ascii_case(&text))
        || record.bindings.iter().any(|binding| matches!(binding, Binding::Address(own) if own == address))
}

const DATABASE: &str = "postseal.db";
const REVOCATIONS: &str = "revocations";
/// More are not kept in memory at once.
const MOST_RECORDS: usize = 10_000;
