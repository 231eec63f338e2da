//! A home: a folder with a database of keys.
//!
//! ```text
//! HOME/postseal.db                   certificates, secret keys, bindings, CRLs and OCSP responses (store/sqlite),
//!                                    and what their owners said that they read
//! HOME/master.key                    opens the secret keys, unless `key master` has moved it (store/master.rs)
//! HOME/revocations/FINGERPRINT.asc   how to revoke an OpenPGP certificate, armoured: of use when all else is lost
//! ```
//!
//! Folders have mode 0700 and files 0600; others' are refused. Any number of processes may read and write at once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::{
    binding::Origin,
    files::Folder,
    format::{self, Reading},
    master::{self, DataKey, MasterKey, Places},
    put_together,
    sqlite::{Database, Records},
};
use crate::{
    base::{Budget, Error, Kind, Limits, Result, Secret},
    crypto::{Hash, SecretKey},
    keys::{Announcement, Binding, Handle, Keys, Locked, Passphrases, ProtocolName, Record, Want},
    mail::Address,
    protocol::{Described, KeyFile, smime::statements},
};

/// Keys in a folder.
#[derive(Debug)]
pub struct Home {
    place: PathBuf,
    credentials: Option<PathBuf>,
    passphrases: Arc<Passphrases>,
    limits: Limits,
    held: Mutex<Held>,
}

/// What adding a certificate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not here before.
    Added,
    /// Everything was known already.
    Unchanged,
    /// It was here, and something of it is new.
    Updated,
}

/// What became of a CRL or an OCSP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept, and was not here before.
    Added,
    /// It is not kept: a newer CRL of the same issuer and scope is here.
    Outdated,
    /// It is kept, in the place of older ones.
    Replaced,
    /// It was here.
    Unchanged,
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
    /// What was read, as long as nobody has changed the database: a certificate that serves many messages is read once.
    records: Records,
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

    /// Reads key files of any format, each as the place that errors name and its octets, without taking anything in. A bare private key
    /// goes with a certificate in any of the files, or with one that is here; one that no passphrase opens is an error of kind `NoKey`,
    /// and files of which nothing can be read are one of kind `Malformed`. Certificates that are here and revoked by the files are among those
    /// found. A secret part that does not fit its public part is left out and is an error in [`KeyFile::lost`]; one that is locked, and would
    /// replace another one that is here, is left out and listed.
    pub fn read(&self, files: &[(&str, &[u8])]) -> Result<KeyFile> {
        let reading = Reading { passphrases: &self.passphrases, limits: &self.limits, beside: self };
        let mut file = format::read(files, &reading)?;
        let revoked = std::mem::take(&mut file.elsewhere).into_iter();
        file.found.extend(revoked.map(|record| Described { record, secret: None, proven: Vec::new() }));
        self.sift(&mut file, &reading)?;
        file.locked.first().map_or(Ok(()), |error| Err(error.clone()))?;
        match file.skipped.first() {
            Some(reason) if file.found.is_empty() && file.lost.is_empty() => {
                Err(Error::new(Kind::Malformed, reason.clone()))
            }
            _ => Ok(file),
        }
    }

    /// Looks at the secret parts of `file` beside those that are here.
    fn sift(&self, file: &mut KeyFile, reading: &Reading<'_>) -> Result<()> {
        let mut budget = Budget::new(self.limits.clone());
        for found in std::mem::take(&mut file.found) {
            let held = match found.secret {
                Some(_) => self.secret_parts(&found.record.fingerprint)?,
                None => None,
            };
            let sifted = format::of(found.record.protocol)?.sift(found, held.as_ref(), reading, &mut budget)?;
            file.found.push(sifted.described);
            file.lost.extend(sifted.unfit);
            file.skipped.extend(sifted.unproven);
        }
        Ok(())
    }

    /// Puts certificates and secret keys in, each together with what is here of it already: all of them or, when one fails, none. A secret part
    /// that is here is replaced only by one that is [proven](Described::proven).
    pub fn add(&self, found: &[Described]) -> Result<Vec<Change>> {
        self.write(|database, held| found.iter().map(|one| self.add_one(database, held, one)).collect())
    }

    /// Notes why the certificate with this primary fingerprint is believed; says whether that is new.
    pub fn bind(&self, fingerprint: &Handle, binding: &Binding, origin: Origin, at: SystemTime) -> Result<bool> {
        self.write(|database, _| database.bind(fingerprint, binding, origin, at))
    }

    /// Removes a certificate, its bindings and, if told to, its secret key. The file that revokes it stays.
    pub fn remove(&self, record: &Record, removal: Removal) -> Result<()> {
        let fingerprint = &record.fingerprint;
        self.write(|database, _| {
            // Stubs of keys that are elsewhere are no loss.
            if removal == Removal::Certificate
                && !record.secrets.is_empty()
                && database.sealed(fingerprint.as_str())?.is_some()
            {
                return Err(Error::no_key(format!("key {fingerprint}: there is a secret key to it")).with_hint(
                    "what was encrypted to it can then never be read again; if you are sure, add --secret",
                ));
            }
            database.forget(fingerprint)?;
            database.unbind(fingerprint)
        })
    }

    /// Keeps the file that revokes a certificate, and says where.
    pub fn keep_revocation(&self, fingerprint: &Handle, octets: &[u8]) -> Result<PathBuf> {
        let folder = Folder::create(&self.place.join(REVOCATIONS))?;
        let name = format!("{fingerprint}.asc");
        folder.write(&name, octets)?;
        Ok(folder.path().join(name))
    }

    /// Keeps a CRL or an OCSP response, DER, as of `at`. A CRL that a newer one supersedes is not kept, and those that it supersedes are removed,
    /// where the key of their issuer is here or in `beside`.
    pub fn keep_statement(&self, der: &[u8], beside: &dyn Keys, at: SystemTime) -> Result<Kept> {
        let (known, keys) = (self.revocations()?, [self as &dyn Keys, beside]);
        if known.iter().any(|old| **old == *der) {
            return Ok(Kept::Unchanged);
        }
        let mut outdated = Vec::new();
        for old in &known {
            if statements::supersedes(old, der, &keys, at)? {
                return Ok(Kept::Outdated);
            }
            if statements::supersedes(der, old, &keys, at)? {
                outdated.push(Hash::Sha256.digest(old));
            }
        }
        self.write(|database, _| {
            database.keep_statement(&Hash::Sha256.digest(der), der)?;
            outdated.iter().try_for_each(|digest| database.forget_statement(digest))
        })?;
        Ok(if outdated.is_empty() { Kept::Added } else { Kept::Replaced })
    }

    /// Notes what the owner of a certificate says that he reads, heard at `at`; says whether that was done. It is not when he said something
    /// later, or when the certificate is not in this home: whose certificates are kept is for the owner of the home to say.
    ///
    /// An error of kind `TryAgain` when somebody else keeps writing: he is not waited for long.
    pub fn note(&self, announcement: &Announcement, at: SystemTime) -> Result<bool> {
        // On a connection of its own, for it is rare: those who look for keys meanwhile do not wait for the disk.
        let Some(folder) = Folder::open(&self.place)? else { return Ok(false) };
        let database = Database::open(&folder.path().join(DATABASE))?;
        database.map_or(Ok(false), |database| database.note(announcement, at))
    }

    /// The secret parts of a certificate as they came; `None` when there are none.
    pub fn secret_parts(&self, fingerprint: &Handle) -> Result<Option<Secret>> {
        let mut held = self.held()?;
        let Some(database) = held.database.take() else { return Ok(None) };
        let opened = self.opened(&database, &mut held, fingerprint.as_str());
        held.database = Some(database);
        opened
    }

    /// Changes where the master key comes from. A file that is not there is made; the home's own is removed when it is no longer used.
    pub fn set_master(&self, master: &MasterKey) -> Result<()> {
        self.write(|database, held| {
            let data_key = self.data_key(database, held)?;
            database.set_master(&data_key.wrap(master, self.places())?)
        })?;
        if matches!(master, MasterKey::Home) { Ok(()) } else { Folder::at(&self.place).remove(master::OWN) }
    }

    fn add_one(&self, database: &Database, held: &mut Held, new: &Described) -> Result<Change> {
        let fingerprint = new.record.fingerprint.as_str();
        let old = match database.record(fingerprint)? {
            // Its secret parts are opened only when there are others to put them together with.
            Some(record) if new.secret.is_none() => Some(Described { record, secret: None, proven: Vec::new() }),
            Some(record) => {
                let secret = self.opened(database, held, fingerprint)?;
                Some(Described { record, secret, proven: Vec::new() })
            }
            None => None,
        };
        let mut together = match &old {
            Some(old) => put_together(old, new)?,
            None => Described { record: new.record.clone(), secret: new.secret.clone(), proven: new.proven.clone() },
        };
        if together.secret.is_none() && together.record.secrets.is_empty() {
            self.find_secret(database, held, &mut together)?;
        }
        let change = match &old {
            None => Change::Added,
            Some(old) if old.record.bytes == together.record.bytes && old.secret == together.secret => {
                Change::Unchanged
            }
            Some(_) => Change::Updated,
        };
        if change != Change::Unchanged {
            database.keep(&together.record)?;
            if let Some(secret) = &together.secret {
                let sealed = self.data_key(database, held)?.seal(fingerprint, secret)?;
                database.keep_sealed(fingerprint, &sealed)?;
            }
        }
        Ok(change)
    }

    /// The secret parts of a certificate whose key another one here has too.
    fn find_secret(&self, database: &Database, held: &mut Held, new: &mut Described) -> Result<()> {
        let format = format::of(new.record.protocol)?;
        for fingerprint in database.with_secrets(new.record.protocol)? {
            let Some(other) = database.record(&fingerprint)? else { continue };
            if format.share_key(&other, &new.record)? {
                new.secret = self.opened(database, held, &fingerprint)?;
                new.record.secrets = vec![new.record.fingerprint.clone()];
                return Ok(());
            }
        }
        Ok(())
    }

    fn opened(&self, database: &Database, held: &mut Held, fingerprint: &str) -> Result<Option<Secret>> {
        let Some(sealed) = database.sealed(fingerprint)? else { return Ok(None) };
        self.data_key(database, held)?.open(fingerprint, &sealed).map(Some)
    }

    /// The data key, made with a master key in the home when there is none yet.
    fn data_key(&self, database: &Database, held: &mut Held) -> Result<Arc<DataKey>> {
        if let Some(key) = &held.data_key {
            return Ok(Arc::clone(key));
        }
        let key = if let Some(master) = database.master()? {
            DataKey::unwrap(&master, self.places())?
        } else {
            let key = DataKey::generate()?;
            database.set_master(&key.wrap(&MasterKey::Home, self.places())?)?;
            key
        };
        Ok(Arc::clone(held.data_key.insert(Arc::new(key))))
    }

    fn places(&self) -> Places<'_> {
        Places { home: &self.place, credentials: self.credentials.as_deref(), passphrases: &self.passphrases }
    }

    /// Does `work` as one change, in a home that is made when it is not there.
    fn write<T>(&self, work: impl FnOnce(&Database, &mut Held) -> Result<T>) -> Result<T> {
        let mut held = self.held()?;
        let database = match held.database.take() {
            Some(database) => database,
            None => Database::create(&Folder::create(&self.place)?.path().join(DATABASE))?,
        };
        let done = database.change(|| work(&database, &mut held));
        if done.is_err() {
            // It may have been made in what is undone now.
            held.data_key = None;
        }
        held.records.clear();
        held.database = Some(database);
        done
    }

    /// The database, when it is there, and nothing in `records` that has changed.
    fn held(&self) -> Result<MutexGuard<'_, Held>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.database.is_none()
            && let Some(folder) = Folder::open(&self.place)?
        {
            let place = folder.path().join(DATABASE);
            held.database = Database::open(&place)?;
            if held.database.is_none() && self.place.join("certs").exists() {
                return Err(Error::new(
                    Kind::Config,
                    format!("{}: a home of files, of an older postseal", self.place.display()),
                )
                .with_hint("give another --home, and `postseal key import` the files in certs and secrets"));
            }
        }
        let version = held.database.as_ref().map_or(Ok(0), Database::version)?;
        if held.version != version || held.records.len() > MOST_RECORDS {
            held.records.clear();
            held.version = version;
        }
        Ok(held)
    }
}

impl Held {
    /// What `look` finds in a database that stays as it is meanwhile; nothing when there is none.
    fn find(&mut self, look: impl FnOnce(&Database, &Records) -> Result<Vec<Arc<Record>>>) -> Result<Vec<Arc<Record>>> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let steady = database.hold();
        let found = look(database, &self.records)?;
        drop(steady);
        for record in &found {
            self.records.entry(record.fingerprint.as_str().to_owned()).or_insert_with(|| Arc::clone(record));
        }
        Ok(found)
    }
}

impl Keys for Home {
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let mut records = self.held()?.find(|database, known| database.certificates(protocol, want, known))?;
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
        let mut anchors = self.held()?.find(|database, known| database.anchors(known))?;
        anchors.retain(|record| record.protocol == ProtocolName::Smime && record.bindings.contains(&Binding::Anchor));
        Ok(anchors)
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        let held = self.held()?;
        let Some(database) = &held.database else { return Ok(Vec::new()) };
        Ok(database.statements()?.into_iter().map(Arc::from).collect())
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        let mut held = self.held()?;
        let Some(database) = held.database.take() else { return Ok(None) };
        let locked = self.locked(&database, &mut held, record);
        held.database = Some(database);
        drop(held);
        locked?.map_or(Ok(None), |locked| locked.unlock(key))
    }
}

impl Home {
    fn locked(&self, database: &Database, held: &mut Held, record: &Record) -> Result<Option<Arc<dyn Locked>>> {
        let fingerprint = &record.fingerprint;
        let Some(sealed) = database.sealed(fingerprint.as_str())? else { return Ok(None) };
        if let Some((seen, locked)) = held.locked.get(fingerprint)
            && *seen == sealed
        {
            return Ok(Some(Arc::clone(locked)));
        }
        let octets = self.data_key(database, held)?.open(fingerprint.as_str(), &sealed)?;
        let locked = format::of(record.protocol)?.locked(record, octets, &self.passphrases, &self.limits)?;
        held.locked.insert(fingerprint.clone(), (sealed, Arc::clone(&locked)));
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
