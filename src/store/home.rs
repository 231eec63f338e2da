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
    files::{self, Folder},
    format::{self, Reading},
    master::{self, DataKey, MasterKey, Places},
    put_together,
    sqlite::{Damage, Database, Master, Outcome, Records, Repair, SHORT_PATIENCE, View, is_left_beside},
};
use crate::{
    base::{Budget, Error, Kind, Limits, Result, Secret, sweep},
    crypto::SecretKey,
    keys::{Announcement, Binding, Handle, Keys, Locked, Memory, Passphrases, ProtocolName, Record, Want},
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

/// What comes into a home as one change: all of it, or nothing.
#[derive(Debug, Default)]
pub struct Intake<'a> {
    /// Certificates and secret keys.
    pub certificates: &'a [Described],
    /// Why certificates are believed, by their primary fingerprints; they come with it or are here.
    pub beliefs: &'a [(Handle, Binding, Origin)],
    /// CRLs and OCSP responses, DER.
    pub statements: &'a [Arc<[u8]>],
    /// The file that revokes an OpenPGP certificate, and its fingerprint.
    pub revocation: Option<(&'a Handle, &'a [u8])>,
}

/// What became of an [`Intake`], in its order.
#[derive(Debug, Default)]
pub struct Taken {
    /// Of each certificate.
    pub certificates: Vec<Change>,
    /// Whether each belief is new.
    pub beliefs: Vec<bool>,
    /// Of each CRL and OCSP response.
    pub statements: Vec<Kept>,
    /// Where the revocation is.
    pub revocation: Option<PathBuf>,
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

/// What is done about statements of which others are known.
struct Plan {
    kept: Vec<Kept>,
    come: Vec<Arc<[u8]>>,
    go: Vec<Arc<[u8]>>,
    /// What is known, as a digest.
    known: Vec<u8>,
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
        self.read_beside(files, self)
    }

    /// As [`Home::read`], with the certificates of `beside` in the place of those that are here.
    pub fn read_beside(&self, files: &[(&str, &[u8])], beside: &dyn Keys) -> Result<KeyFile> {
        let reading = Reading { passphrases: &self.passphrases, limits: &self.limits, beside };
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

    /// Takes everything in, each certificate together with what is here of it already: all of it or, when something fails, nothing. A CRL that a
    /// newer one supersedes as of `at` is not kept, and those that it supersedes are removed, where the key of their issuer is here, comes in
    /// or is in `beside`. A secret part that is here is replaced only by one that is [proven](Described::proven).
    pub fn take_in(&self, intake: &Intake<'_>, beside: &dyn Keys, at: SystemTime) -> Result<Taken> {
        let mut tries = 0;
        loop {
            let plan = self.plan(intake, beside, at)?;
            let done = self.write(|view, cache| {
                if let Some(plan) = &plan
                    && view.statement_set()? != plan.known
                {
                    return Ok(None);
                }
                self.take_in_now(intake, plan.as_ref(), view, cache, at).map(Some)
            });
            match done? {
                Some(taken) => return Ok(taken),
                None if tries < MOST_TRIES => tries += 1,
                None => {
                    let reason = "others keep changing the revocation lists";
                    return Err(Error::new(Kind::TryAgain, format!("{}: {reason}", self.place.display())));
                }
            }
        }
    }

    /// Puts certificates and secret keys in, as [`Home::take_in`] does.
    pub fn add(&self, found: &[Described]) -> Result<Vec<Change>> {
        let intake = Intake { certificates: found, ..Intake::default() };
        Ok(self.take_in(&intake, &Memory::new(), SystemTime::UNIX_EPOCH)?.certificates)
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

    /// Keeps a CRL or an OCSP response, DER, as [`Home::take_in`] does.
    pub fn keep_statement(&self, der: &[u8], beside: &dyn Keys, at: SystemTime) -> Result<Kept> {
        let intake = Intake { statements: &[Arc::from(der)], ..Intake::default() };
        Ok(self.take_in(&intake, beside, at)?.statements.first().copied().unwrap_or(Kept::Unchanged))
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

    fn take_in_now(
        &self,
        intake: &Intake<'_>,
        plan: Option<&Plan>,
        view: View<'_>,
        cache: &mut Cache,
        at: SystemTime,
    ) -> Result<Taken> {
        let mut taken = Taken::default();
        for one in intake.certificates {
            taken.certificates.push(self.add_one(view, cache, one)?);
        }
        for (fingerprint, binding, origin) in intake.beliefs {
            taken.beliefs.push(view.bind(fingerprint, binding, *origin, at)?);
        }
        if let Some(plan) = plan {
            plan.come.iter().try_for_each(|der| view.keep_statement(der))?;
            plan.go.iter().try_for_each(|der| view.forget_statement(der))?;
            taken.statements.clone_from(&plan.kept);
        }
        if let Some((fingerprint, octets)) = intake.revocation {
            // Last, and before all else counts: a key that cannot be revoked must not be in use.
            let folder = Folder::create(&self.place.join(REVOCATIONS))?;
            let name = format!("{fingerprint}.asc");
            folder.write(&name, octets)?;
            taken.revocation = Some(folder.path().join(name));
        }
        Ok(taken)
    }

    /// What is to be done about the statements that come in, beside those that are here; `None` when none comes.
    fn plan(&self, intake: &Intake<'_>, beside: &dyn Keys, at: SystemTime) -> Result<Option<Plan>> {
        if intake.statements.is_empty() {
            return Ok(None);
        }
        let mut coming = Memory::new();
        intake.certificates.iter().for_each(|one| coming.add(one.record.clone()));
        let keys = [self as &dyn Keys, &coming, beside];
        let known = self.look(None, |view, _| Ok(Some((view.statements()?, view.statement_set()?))))?;
        let (here, known) = match known {
            Some((here, known)) => (here.into_iter().map(Arc::from).collect(), known),
            None => (Vec::new(), View::no_statements()),
        };
        let mut now: Vec<Arc<[u8]>> = here.clone();
        let mut kept = Vec::with_capacity(intake.statements.len());
        for der in intake.statements {
            if now.contains(der) {
                kept.push(Kept::Unchanged);
                continue;
            }
            let mut outdated = Vec::new();
            let mut is_outdated = false;
            for old in &now {
                is_outdated |= statements::supersedes(old, der, &keys, at)?;
                if statements::supersedes(der, old, &keys, at)? {
                    outdated.push(Arc::clone(old));
                }
            }
            if is_outdated {
                kept.push(Kept::Outdated);
                continue;
            }
            kept.push(if outdated.is_empty() { Kept::Added } else { Kept::Replaced });
            now.retain(|one| !outdated.contains(one));
            now.push(Arc::clone(der));
        }
        let come = now.iter().filter(|one| !here.contains(one)).cloned().collect();
        let go = here.iter().filter(|one| !now.contains(one)).cloned().collect();
        Ok(Some(Plan { kept, come, go, known }))
    }

    fn add_one(&self, view: View<'_>, cache: &mut Cache, new: &Described) -> Result<Change> {
        let fingerprint = &new.record.fingerprint;
        let old = match view.record(fingerprint)? {
            // Its secret parts are opened only when there are others to put them together with.
            Some(record) if new.secret.is_none() => Some(Described { record, secret: None, proven: Vec::new() }),
            Some(record) => {
                let secret = self.opened(view, cache, fingerprint)?;
                Some(Described { record, secret, proven: Vec::new() })
            }
            None => None,
        };
        let mut together = match &old {
            Some(old) => put_together(old, new)?,
            None => Described { record: new.record.clone(), secret: new.secret.clone(), proven: new.proven.clone() },
        };
        if together.secret.is_none() && together.record.secrets.is_empty() {
            self.find_secret(view, cache, &mut together)?;
        }
        let change = match &old {
            None => Change::Added,
            Some(old) if old.record.bytes == together.record.bytes && old.secret == together.secret => {
                Change::Unchanged
            }
            Some(_) => Change::Updated,
        };
        if change != Change::Unchanged {
            view.keep(&together.record)?;
            if let Some(secret) = &together.secret {
                let sealed = self.data_key(view, cache)?.seal(fingerprint.as_str(), secret)?;
                view.keep_sealed(fingerprint, &sealed)?;
            }
        }
        Ok(change)
    }

    /// The secret parts of a certificate whose key another one here has too.
    fn find_secret(&self, view: View<'_>, cache: &mut Cache, new: &mut Described) -> Result<()> {
        let format = format::of(new.record.protocol)?;
        for fingerprint in view.with_secrets(new.record.protocol)? {
            let fingerprint = Handle::parse(&fingerprint)?;
            let Some(other) = view.record(&fingerprint)? else { continue };
            if format.share_key(&other, &new.record)? {
                new.secret = self.opened(view, cache, &fingerprint)?;
                new.record.secrets = vec![new.record.fingerprint.clone()];
                return Ok(());
            }
        }
        Ok(())
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
/// So often others may come first.
const MOST_TRIES: usize = 20;
/// More are not kept in memory at once.
const MOST_RECORDS: usize = 10_000;
