//! Keys in a [`Backend`]: merges certificates, seals secret parts, remembers what was read.

mod audit;
mod intake;
mod known;
mod new_key;
mod owner;
mod sealed_files;
mod shared_passphrases;
mod snapshot;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime},
};

use known::{Known, Moment};

use super::{
    backend::{Backend, MasterRow},
    binding::Origin,
    files::{self, Folder},
    format::{self, Reading},
    integrity::{self, Damage, Outcome, Reader, Repair, Writer},
    journal::Journal,
    master::{self, DataKey, MasterKey, Places},
};
use crate::{
    audit::Event,
    base::{Error, Hint, Kind, Limits, Random, Result, Secret, SystemRandom, sweep},
    crypto::SecretKey,
    keys::{
        Announcement, Binding, FindingRows, Findings, Handle, Keys, Locked, LockedTokenKeys, Memory, Passphrases,
        ProtocolName, Query, Record, SharedPassphrase, TokenKeys, Tokens, Want,
    },
    mail::Address,
};

pub use audit::AuditPlace;
pub(super) use audit::audit_name;
pub use intake::{Change, Intake, Taken};
pub use new_key::NewKey;
pub use owner::Removal;

/// A persistent key store.
///
/// The rows are in a [`Backend`]; the folder has the master key, unless it is elsewhere, and the files that revoke OpenPGP certificates.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use postseal::{
///     base::{Clock, Limits, Result, SystemClock},
///     keys::{Binding, ProtocolName},
///     mail::Address,
///     protocol::pgp::generate::{Request, generate},
///     sign,
///     store::{Keystore, Origin},
/// };
///
/// # fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let place = folder.path().join("home");
/// // `place` is a folder; the first write makes it.
/// let home = Keystore::open_home(&place, Arc::default(), &Limits::default())?;
/// let key = generate(&Request::new(Address::parse("alice@example.org")?), &SystemClock)?.described;
/// home.add(std::slice::from_ref(&key))?;
/// home.bind(key.record.fingerprint(), &Binding::UserIds, Origin::Generated, SystemClock.now())?;
///
/// sign(b"From: alice@example.org\r\n\r\nHello.\r\n", ProtocolName::Pgp, &home)?;
/// # Ok(())
/// # }
/// ```
pub struct Keystore {
    backend: Box<dyn Backend>,
    folder: PathBuf,
    credentials: Option<PathBuf>,
    passphrases: Arc<Passphrases>,
    tokens: Option<Arc<dyn Tokens>>,
    limits: Limits,
    random: Arc<dyn Random>,
    known: Known,
    opened: Mutex<Opened>,
    program: OnceLock<String>,
}

/// What was opened.
#[derive(Debug, Default)]
struct Opened {
    data_key: Option<Arc<DataKey>>,
    /// Opened secret parts, with the sealed octets that they came from.
    locked: BTreeMap<Handle, (Vec<u8>, Arc<dyn Locked>)>,
    /// The number of the change with which `locked` was last compared, or is being compared.
    compared: Option<i64>,
    /// Those among `locked` that may have been removed or replaced since.
    unchecked: Vec<Handle>,
}

/// The data key, once it is known.
type KnownKey = Option<Arc<DataKey>>;

impl fmt::Debug for Keystore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keystore").field("backend", &self.backend).field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Keystore {
    /// Keys in `backend`, with a master key and files that revoke in `folder`. `passphrases` open locked secret keys, and a master key that is
    /// derived from one.
    ///
    /// # Errors
    ///
    /// As [`Backend::exists`].
    pub fn new(
        backend: Box<dyn Backend>,
        folder: &Path,
        passphrases: Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Keystore> {
        backend.exists()?;
        Ok(Keystore {
            backend,
            folder: folder.to_owned(),
            credentials: None,
            passphrases,
            tokens: None,
            limits: limits.clone(),
            random: Arc::new(SystemRandom),
            known: Known::default(),
            opened: Mutex::default(),
            program: OnceLock::new(),
        })
    }

    /// Sets the folder where systemd puts a service's credentials, for a master key that is a credential.
    #[must_use]
    pub fn with_credentials(self, folder: Option<PathBuf>) -> Keystore {
        Keystore { credentials: folder, ..self }
    }

    /// Sets what opens keys on tokens. Without it they answer with an error that is temporary.
    #[must_use]
    pub fn with_tokens(self, tokens: Option<Arc<dyn Tokens>>) -> Keystore {
        Keystore { tokens, ..self }
    }

    /// Sets the source of randomness for new keys and for sealing; without it, the operating system's.
    #[must_use]
    pub fn with_random(self, random: Arc<dyn Random>) -> Keystore {
        Keystore { random, ..self }
    }

    /// Whether there is a store. The first write makes it.
    ///
    /// # Errors
    ///
    /// As [`Backend::exists`].
    pub fn exists(&self) -> Result<bool> {
        self.backend.exists()
    }

    /// Asks what mail asks: whether certificates can be read, and secret keys opened. A store that does not exist is empty.
    ///
    /// # Errors
    ///
    /// Those of a look-up; `Inaccessible` when the master key is missing or does not fit.
    pub fn probe(&self) -> Result<()> {
        // No certificate can have this address (RFC 6761, section 6.4).
        let none = Address::parse("postseal@invalid")?;
        self.find(ProtocolName::Pgp, &Query::manage(Want::Address(&none)))?;
        self.revocations()?;
        let master = self.look(None, |reader, _| reader.master())?;
        master.map_or(Ok(()), |master| self.opened_key(&master).map(drop))
    }

    /// Stores a binding of the certificate with this primary fingerprint; returns whether it is new.
    ///
    /// # Errors
    ///
    /// `NoKey` when the certificate is not stored.
    pub fn bind(&self, fingerprint: &Handle, binding: &Binding, origin: Origin, at: SystemTime) -> Result<bool> {
        self.write(Event::Trust, |writer, _| writer.bind(fingerprint, binding, origin, at))
    }

    /// Stores the capabilities that the owner of a certificate announced, received at `at`; returns whether that was done. It is not when a later
    /// announcement is stored, or the certificate is not: only the owner of the store adds certificates.
    ///
    /// # Errors
    ///
    /// `TryAgain` when another process keeps writing: this waits for a fraction of a second only.
    pub fn note(&self, announcement: &Announcement, at: SystemTime) -> Result<bool> {
        let mut is_noted = false;
        self.backend.write_if_free(&mut |tx| {
            // What the owner of a certificate said about their program is no change of keys or trust.
            is_noted = Writer::new(tx, &Journal::default()).note(announcement, at)?;
            Ok(())
        })?;
        Ok(is_noted)
    }

    /// Compares everything with its digests and returns what is damaged; an empty list means that nothing is. With `repair`, what can be repaired is,
    /// and the rest is set aside and no longer used.
    ///
    /// # Errors
    ///
    /// Those of the backend, except for `Damaged`, which is among the results.
    pub fn check(&self, repair: Repair) -> Result<Vec<Damage>> {
        let describe = |octets: &[u8]| self.described(octets);
        let looked = match repair {
            Repair::No => self.look(Vec::new(), |reader, _| integrity::check(reader, None, &describe)),
            Repair::Yes if !self.backend.exists()? => Ok(Vec::new()),
            Repair::Yes => self.write(Event::Repair, |writer, _| integrity::check(*writer, Some(writer), &describe)),
        };
        let mut found = match looked {
            // Too damaged to be checked row by row.
            Err(error) if error.kind() == Kind::Damaged => {
                return Ok(vec![Damage { what: format!("pages: {error}"), outcome: Outcome::Left }]);
            }
            looked => looked?,
        };
        if self.look(false, |reader, _| reader.is_to_be_erased())? {
            let outcome = match repair {
                Repair::No => Outcome::Left,
                Repair::Yes => self.erase().map(|()| Outcome::Repaired)?,
            };
            found.push(Damage { what: "removed secret keys: octets of them are left".to_owned(), outcome });
        }
        match self.shared_with() {
            Err(error) if error.kind() == Kind::Damaged => {
                found.push(Damage { what: error.to_string(), outcome: Outcome::Left });
            }
            read => drop(read?),
        }
        Ok(found)
    }

    /// The secret parts of a certificate as they were imported; `None` when there are none.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the master key is missing or does not fit; `Damaged` when what is stored is; `NoKey` when they are on a token.
    pub fn secret_parts(&self, fingerprint: &Handle) -> Result<Option<Secret>> {
        let held = self.held(fingerprint)?;
        match held.as_ref().is_some_and(|held| TokenKeys::recognizes(held.expose())) {
            true => Err(Error::no_key(format!("key {fingerprint}: its secret part is on a token and stays there"))),
            false => Ok(held),
        }
    }

    /// Where the secret parts of a certificate are, if they are on tokens.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the master key is missing or does not fit; `Damaged` when what is stored is.
    pub fn token_keys(&self, fingerprint: &Handle) -> Result<Option<TokenKeys>> {
        self.held(fingerprint)?.map_or(Ok(None), |held| TokenKeys::read(&held))
    }

    /// The names of the keys on tokens, by the fingerprints of their certificates: without opening secret parts, and without modules and PINs. Names that
    /// an older version stored are missing until the keys are imported again.
    ///
    /// # Errors
    ///
    /// Those of a look-up; `Damaged`.
    pub fn token_names(&self) -> Result<BTreeMap<String, Vec<String>>> {
        self.look(BTreeMap::new(), |reader, _| reader.token_names())
    }

    /// Secret parts, or where they are on tokens.
    fn held(&self, fingerprint: &Handle) -> Result<Option<Secret>> {
        let Some((sealed, master)) = self.sealed(fingerprint)? else { return Ok(None) };
        self.opened_key(&master)?.open(fingerprint.as_str(), &sealed).map(Some)
    }

    /// Changes the master key. A file that does not exist is created. The home's own file is removed when it is no longer used, unless the new one is
    /// the same file by another name.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the old master key is missing or does not fit; `Usage` for an invalid name; those of writing.
    pub fn set_master(&self, master: &MasterKey) -> Result<()> {
        let place = self.write(Event::Master, |writer, key| {
            let data_key = self.data_key(writer, key)?;
            let wrapped = data_key.wrap(master, self.places(), self.random.as_ref())?;
            writer.set_master(&wrapped)?;
            Ok(master::file(&wrapped, self.places()))
        })?;
        let own = self.folder.join(master::OWN);
        let is_own = place.is_some_and(|place| files::is_same(&place, &own));
        if is_own { Ok(()) } else { Folder::at(&self.folder).remove(master::OWN) }
    }

    /// The files beside its folder that this store reads. `None` where that is not known: its rows are in a database on a server, or some of its keys
    /// on tokens.
    ///
    /// # Errors
    ///
    /// Those of a look-up.
    pub fn files_beside(&self) -> Result<Option<Vec<PathBuf>>> {
        if self.backend.is_shared() {
            return Ok(None);
        }
        let found = self.look((None, false), |reader, _| Ok((reader.master()?, reader.has_tokens()?)))?;
        let (master, has_tokens) = found;
        let file = master.and_then(|master| master::file(&master, self.places()));
        Ok((!has_tokens).then(|| file.into_iter().collect()))
    }

    fn open_sealed(&self, writer: Writer<'_>, key: &mut KnownKey, fingerprint: &Handle) -> Result<Option<Secret>> {
        let Some(sealed) = writer.sealed(fingerprint)? else { return Ok(None) };
        self.data_key(writer, key)?.open(fingerprint.as_str(), &sealed).map(Some)
    }

    /// The data key; the first time, creates one and a master key in the home.
    fn data_key(&self, writer: Writer<'_>, known: &mut KnownKey) -> Result<Arc<DataKey>> {
        if known.is_none()
            && let Some(master) = writer.master()?
        {
            return self.data_key_of(&master, known);
        }
        if let Some(key) = known {
            return Ok(Arc::clone(key));
        }
        let key = DataKey::generate(self.random.as_ref())?;
        writer.set_master(&key.wrap(&MasterKey::Home, self.places(), self.random.as_ref())?)?;
        Ok(Arc::clone(known.insert(Arc::new(key))))
    }

    fn data_key_of(&self, master: &MasterRow, known: &mut KnownKey) -> Result<Arc<DataKey>> {
        if let Some(key) = known {
            return Ok(Arc::clone(key));
        }
        let key = DataKey::unwrap(master, self.places())?;
        Ok(Arc::clone(known.insert(Arc::new(key))))
    }

    /// The data key, remembered.
    fn opened_key(&self, master: &MasterRow) -> Result<Arc<DataKey>> {
        self.data_key_of(master, &mut self.opened().data_key)
    }

    /// Sealed secret parts, and the wrapped data key; `None` when there are none. Ask for passphrases only after this, so that no lock is held
    /// meanwhile.
    fn sealed(&self, fingerprint: &Handle) -> Result<Option<(Vec<u8>, MasterRow)>> {
        self.look(None, |reader, _| {
            let Some(sealed) = reader.sealed(fingerprint)? else { return Ok(None) };
            let gone = || Error::damaged(self.folder.display(), "what says where the master key is: gone");
            Ok(Some((sealed, reader.master()?.ok_or_else(gone)?)))
        })
    }

    /// Erases the remaining octets of removed secret keys.
    fn erase(&self) -> Result<()> {
        let erased = self.backend.erase_removed().map_err(|error| {
            let what = "octets of the removed secret key stay in it for now";
            Error::new(error.kind(), format!("{error}: {what}")).with_hint(Hint::EraseRemoved)
        });
        erased.and_then(|()| {
            let _changing = self.known.change();
            self.backend.write(&mut |tx| Writer::new(tx, &Journal::default()).has_erased())
        })
    }

    /// The record of a certificate, from its octets alone.
    fn described(&self, octets: &[u8]) -> Option<Record> {
        let nothing = Memory::new();
        let reading = Reading { passphrases: &Arc::default(), limits: &self.limits, beside: &nothing };
        let read = format::of_octets(octets)?.read(&[("certificate", octets)], &reading).ok()?;
        let [found] = read.found.as_slice() else { return None };
        Some(found.record.clone())
    }

    fn places(&self) -> Places<'_> {
        Places { home: &self.folder, credentials: self.credentials.as_deref(), passphrases: &self.passphrases }
    }

    /// Runs `work` on the rows of one moment, with what is remembered of it; returns `none` when there are none. `work` may run twice.
    fn look<T>(&self, none: T, mut work: impl FnMut(Reader<'_>, &Moment) -> Result<T>) -> Result<T> {
        let begun = self.known.begin();
        let mut done = none;
        self.backend.read(&mut |view| {
            let reader = Reader::new(view);
            let version = reader.version()?;
            let moment = self.known.moment(begun, version);
            self.drop_removed(reader, version);
            done = work(reader, &moment)?;
            Ok(())
        })?;
        Ok(done)
    }

    /// Drops opened keys that were removed or replaced. A few at a time, so that no look-up waits for the keys of a thousand users; opening one takes a
    /// passphrase and its derivation, so that the others stay.
    fn drop_removed(&self, reader: Reader<'_>, version: i64) {
        let some = {
            let mut opened = self.opened();
            if opened.compared != Some(version) {
                opened.compared = Some(version);
                opened.unchecked = opened.locked.keys().cloned().collect();
            }
            let rest = opened.unchecked.len().saturating_sub(CHECKED_AT_ONCE);
            opened.unchecked.split_off(rest)
        };
        for fingerprint in some {
            let stored = reader.sealed(&fingerprint).ok().flatten();
            let mut opened = self.opened();
            if opened.locked.get(&fingerprint).map(|(sealed, _)| sealed) != stored.as_ref() {
                opened.locked.remove(&fingerprint);
            }
        }
    }

    /// Runs `work` as one change, which is recorded as `event` where the home has an audit log; creates the store if it does not exist.
    fn write<T>(&self, event: Event, work: impl FnOnce(Writer<'_>, &mut KnownKey) -> Result<T>) -> Result<T> {
        // Temporary files of a killed process may hold a master key.
        sweep(&self.folder);
        let changing = self.known.change();
        let mut key = self.opened().data_key.clone();
        let journal = Journal::default();
        let (mut work, mut done, mut recorded) = (Some(work), None, None);
        let written = self.backend.write(&mut |tx| {
            let writer = Writer::new(tx, &journal);
            done = work.take().map(|work| work(writer, &mut key)).transpose()?;
            recorded = self.record(event, writer, &mut key)?;
            Ok(())
        });
        drop(changing);
        if let (Err(error), Some(recorded)) = (&written, &recorded) {
            self.record_failure(recorded, error);
        }
        written?;
        // One that was created in a change that failed is never seen again.
        self.opened().data_key = key;
        done.ok_or_else(|| Error::new(Kind::Io, "the key store did not run the change"))
    }

    /// Where what is found on the network is kept, if several machines share that.
    pub fn findings(self: &Arc<Self>) -> Option<Arc<dyn Findings>> {
        self.backend.is_shared().then(|| Arc::clone(self) as Arc<dyn Findings>)
    }

    /// How far the clock of the machine that has the rows is from this one's, while that is known; only where the rows are on another machine.
    pub fn clock_skew(&self) -> Option<Duration> {
        self.backend.clock_skew()
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Findings for Keystore {
    fn change(&self, work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()> {
        self.backend.change_findings(work)
    }
}

impl Keys for Keystore {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let mut records = self.look(Vec::new(), |reader, moment| {
            let found = reader.certificates(protocol, query.want, &moment.records)?;
            moment.remember(&found);
            Ok(found)
        })?;
        // The index compares addresses and key IDs loosely; these are the exact rules.
        records.retain(|record| match query.want {
            Want::All => true,
            Want::Certificate(fingerprint) => record.fingerprint() == fingerprint,
            Want::Handle(handle) => record.has(handle),
            Want::Secrets => !record.secrets().is_empty(),
            Want::Address(address) => is_of(record, address),
        });
        Ok(records)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        let mut anchors = self.look(Vec::new(), |reader, moment| {
            let found = reader.anchors(&moment.records)?;
            moment.remember(&found);
            Ok(found)
        })?;
        anchors.retain(|record| record.protocol() == ProtocolName::Smime && record.is_anchor());
        Ok(anchors)
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        self.look(Vec::new(), |reader, moment| {
            moment.statements(|| Ok(reader.statements()?.into_iter().map(Arc::from).collect()))
        })
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.locked(record)?.map_or(Ok(None), |locked| locked.unlock(key))
    }

    fn shared_passphrase(&self, recipient: &Address) -> Result<Option<SharedPassphrase>> {
        self.passphrase_with(recipient)
    }
}

impl Keystore {
    fn locked(&self, record: &Record) -> Result<Option<Arc<dyn Locked>>> {
        let fingerprint = record.fingerprint();
        let Some((sealed, master)) = self.sealed(fingerprint)? else { return Ok(None) };
        let mut opened = self.opened();
        if let Some((seen, locked)) = opened.locked.get(fingerprint)
            && *seen == sealed
        {
            return Ok(Some(Arc::clone(locked)));
        }
        let octets = self.data_key_of(&master, &mut opened.data_key)?.open(fingerprint.as_str(), &sealed)?;
        let locked = match TokenKeys::read(&octets)? {
            Some(keys) => {
                Arc::new(LockedTokenKeys::new(record.protocol(), keys, self.tokens.clone())) as Arc<dyn Locked>
            }
            None => format::of(record.protocol())?.locked(record, octets, &self.passphrases, &self.limits)?,
        };
        opened.locked.insert(fingerprint.clone(), (sealed, Arc::clone(&locked)));
        Ok(Some(locked))
    }
}

fn is_of(record: &Record, address: &Address) -> bool {
    let text = address.to_string();
    record.claimed().iter().any(|own| own.to_string().eq_ignore_ascii_case(&text))
        || record.bindings().iter().any(|binding| matches!(binding, Binding::Address(own) if own == address))
}

/// Opened keys that one look-up compares with the store.
const CHECKED_AT_ONCE: usize = 8;
