//! A home: a folder of plain files.
//!
//! ```text
//! HOME/certs/FINGERPRINT.cert        a certificate, public, in its binary form: OpenPGP packets or X.509 in DER
//! HOME/secrets/FINGERPRINT.key       its secret parts, as locked as they came: OpenPGP packets or PKCS#8 in DER
//! HOME/revocations/FINGERPRINT.asc   how to revoke an OpenPGP certificate, armoured
//! HOME/statements/SHA256.der         what issuers say about revocation: CRLs and OCSP responses
//! HOME/bindings                      who the owner says it belongs to
//! HOME/index                         made from the others, and made anew when they changed
//! HOME/lock                          held by whoever writes
//! ```
//!
//! Folders have mode 0700 and files 0600; others' are refused. Any number of processes may read and write at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    bindings::{Bindings, Origin},
    files::{Folder, Lock, Stamp},
    format::{self, Reading},
    index::{Index, Row, Stamps},
    put_together,
};
use crate::{
    base::{Error, Limits, Result, Secret},
    crypto::{Hash, SecretKey},
    keys::{Binding, Handle, Keys, Locked, Passphrases, ProtocolName, Record, Want},
    protocol::{Described, KeyFile},
};

/// Keys in a folder.
#[derive(Debug)]
pub struct Home {
    place: PathBuf,
    passphrases: Arc<Passphrases>,
    limits: Limits,
    view: Mutex<Arc<View>>,
    locked: Mutex<BTreeMap<Handle, HeldSecret>>,
}

/// Secret parts that were read, and when that was true.
#[derive(Debug)]
struct HeldSecret {
    seen: Stamp,
    locked: Arc<dyn Locked>,
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

/// How much is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// A certificate; refused when there is a secret key to it.
    Certificate,
    /// The secret key too. What was encrypted to it can never be read again.
    WithSecret,
}

/// What was read of a home, and when that was true.
#[derive(Debug, Default)]
struct View {
    seen: Option<Seen>,
    index: Index,
    bindings: Bindings,
}

/// What a home looked like. Every writer writes the index last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    stamps: Stamps,
    bindings: Option<Stamp>,
    index: Option<Stamp>,
}

/// The folders of a home that is there.
struct Folders {
    home: Folder,
    certs: Folder,
    secrets: Folder,
}

impl Home {
    /// Opens the home at `place`. One that is not there is empty, and is made by the first that is written to it.
    ///
    /// An error of kind `NoKey` when others can get at it or it is another user's, with the command that mends it.
    pub fn open(place: &Path, passphrases: Arc<Passphrases>, limits: &Limits) -> Result<Home> {
        let home = Home {
            place: place.to_owned(),
            passphrases,
            limits: limits.clone(),
            view: Mutex::default(),
            locked: Mutex::default(),
        };
        home.view()?;
        Ok(home)
    }

    /// Reads key files of any format, each as the place that errors name and its octets, without taking anything in. A bare private key
    /// goes with a certificate in any of the files, or with one that is here; one that no passphrase opens is an error of kind `NoKey`.
    pub fn read(&self, files: &[(&str, &[u8])]) -> Result<KeyFile> {
        let reading = Reading { passphrases: &self.passphrases, limits: &self.limits, beside: self };
        let file = format::read(files, &reading)?;
        file.locked.first().map_or(Ok(()), |error| Err(error.clone()))?;
        Ok(file)
    }

    /// Puts certificates and secret keys in, each together with what is here of it already.
    pub fn add(&self, found: &[Described]) -> Result<Vec<Change>> {
        let mut writer = Writer::new(self)?;
        let changes = found.iter().map(|one| writer.add(one)).collect::<Result<_>>()?;
        writer.finish()?;
        Ok(changes)
    }

    /// Notes why the certificate with this primary fingerprint is believed; says whether that is new.
    pub fn bind(&self, fingerprint: &Handle, binding: &Binding, origin: Origin, at: SystemTime) -> Result<bool> {
        let mut writer = Writer::new(self)?;
        let new = writer.bindings.add(fingerprint, binding, origin, at)?;
        writer.finish()?;
        Ok(new)
    }

    /// Removes a certificate, its bindings and, if told to, its secret key. The file that revokes it stays.
    pub fn remove(&self, record: &Record, removal: Removal) -> Result<()> {
        let fingerprint = &record.fingerprint;
        if !record.secrets.is_empty() && removal == Removal::Certificate {
            return Err(Error::no_key(format!("key {fingerprint}: there is a secret key to it"))
                .with_hint("what was encrypted to it can then never be read again; if you are sure, add --secret"));
        }
        let mut writer = Writer::new(self)?;
        writer.folders.secrets.remove(&key_file(fingerprint.as_str()))?;
        writer.folders.certs.remove(&cert_file(fingerprint.as_str()))?;
        writer.index.remove(fingerprint);
        writer.bindings.remove(fingerprint);
        writer.finish()
    }

    /// Keeps the file that revokes a certificate, and says where.
    pub fn keep_revocation(&self, fingerprint: &Handle, octets: &[u8]) -> Result<PathBuf> {
        let folder = Folder::create(&self.place.join(REVOCATIONS))?;
        let name = format!("{fingerprint}.asc");
        folder.write(&name, octets)?;
        Ok(folder.path().join(name))
    }

    /// Keeps a CRL or an OCSP response, DER; says whether it is new.
    pub fn keep_statement(&self, der: &[u8]) -> Result<bool> {
        let folder = Folder::create(&Folder::create(&self.place)?.path().join(STATEMENTS))?;
        let name = format!("{}.der", Handle::from_octets(&Hash::Sha256.digest(der)));
        let new = folder.read(&name)?.is_none();
        if new {
            folder.write(&name, der)?;
        }
        Ok(new)
    }

    /// The secret parts of a certificate as they are held; `None` when there are none.
    pub fn secret_parts(&self, fingerprint: &Handle) -> Result<Option<Secret>> {
        match Folders::open(&self.place)? {
            Some(folders) => folders.secrets.read(&key_file(fingerprint.as_str())),
            None => Ok(None),
        }
    }

    /// What is here now: read again only when something changed.
    fn view(&self) -> Result<Arc<View>> {
        let Some(folders) = Folders::open(&self.place)? else { return Ok(Arc::default()) };
        let mut held = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = folders.seen()?;
        if held.seen != Some(seen) {
            let index = match folders.index()? {
                Some(index) => index,
                None => folders.reindex()?,
            };
            let bindings = folders.bindings()?;
            *held = Arc::new(View { seen: Some(seen), index, bindings });
        }
        Ok(Arc::clone(&held))
    }
}

impl Keys for Home {
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let view = self.view()?;
        let Some(folders) = Folders::open(&self.place)? else { return Ok(Vec::new()) };
        let bound: BTreeSet<&str> = match want {
            Want::Address(address) => view.bindings.to(address).map(Handle::as_str).collect(),
            Want::All | Want::Handle(_) => BTreeSet::new(),
        };
        let mut records = Vec::new();
        for (fingerprint, row) in view.index.find(protocol, want, |fingerprint| bound.contains(fingerprint)) {
            // Gone since the index was read: then it is not here.
            if let Some(octets) = folders.certs.read(&cert_file(fingerprint))? {
                records.push(Arc::new(row.record(&Handle::parse(fingerprint)?, octets.expose(), &view.bindings)));
            }
        }
        Ok(records)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        let view = self.view()?;
        let mut anchors = Vec::new();
        for fingerprint in view.bindings.anchors() {
            anchors.extend(self.find(ProtocolName::Smime, &Want::Handle(fingerprint))?);
        }
        anchors.retain(|record| record.bindings.contains(&Binding::Anchor));
        Ok(anchors)
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        let Some(folder) = Folder::open(&self.place.join(STATEMENTS))? else { return Ok(Vec::new()) };
        let mut statements = Vec::new();
        for name in folder.names(".der")? {
            statements.extend(folder.read(&format!("{name}.der"))?.map(|octets| Arc::from(octets.expose())));
        }
        Ok(statements)
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        let Some(folders) = Folders::open(&self.place)? else { return Ok(None) };
        let name = key_file(record.fingerprint.as_str());
        let Some(stamp) = folders.secrets.stamp_of(&name)? else { return Ok(None) };
        let mut held = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let locked = match held.get(&record.fingerprint) {
            Some(secret) if secret.seen == stamp => Arc::clone(&secret.locked),
            _ => {
                let Some(octets) = folders.secrets.read(&name)? else { return Ok(None) };
                let locked = format::of(record.protocol)?.locked(record, octets, &self.passphrases, &self.limits)?;
                held.insert(record.fingerprint.clone(), HeldSecret { seen: stamp, locked: Arc::clone(&locked) });
                locked
            }
        };
        drop(held);
        locked.unlock(key)
    }
}

impl Folders {
    fn open(place: &Path) -> Result<Option<Folders>> {
        let Some(home) = Folder::open(place)? else { return Ok(None) };
        match (Folder::open(&place.join(CERTS))?, Folder::open(&place.join(SECRETS))?) {
            (Some(certs), Some(secrets)) => Ok(Some(Folders { home, certs, secrets })),
            _ => Ok(None),
        }
    }

    fn create(place: &Path) -> Result<Folders> {
        Ok(Folders {
            home: Folder::create(place)?,
            certs: Folder::create(&place.join(CERTS))?,
            secrets: Folder::create(&place.join(SECRETS))?,
        })
    }

    fn stamps(&self) -> Result<Stamps> {
        Ok(Stamps { certs: self.certs.stamp()?, secrets: self.secrets.stamp()? })
    }

    fn seen(&self) -> Result<Seen> {
        Ok(Seen { stamps: self.stamps()?, bindings: self.home.stamp_of(BINDINGS)?, index: self.home.stamp_of(INDEX)? })
    }

    fn bindings(&self) -> Result<Bindings> {
        let place = self.home.path().join(BINDINGS);
        match self.home.read(BINDINGS)? {
            Some(octets) => Bindings::read(octets.expose(), &place.display().to_string()),
            None => Ok(Bindings::default()),
        }
    }

    /// The index, if it is there and tells of the folders as they are.
    fn index(&self) -> Result<Option<Index>> {
        let stamps = self.stamps()?;
        let octets = self.home.read(INDEX)?;
        Ok(octets.and_then(|octets| Index::read(std::str::from_utf8(octets.expose()).ok()?, stamps)))
    }

    /// The index made anew. Where nothing can be written it is only used.
    fn reindex(&self) -> Result<Index> {
        let Ok(_lock) = self.home.lock() else { return self.scan() };
        // Somebody may have written it while we waited.
        if let Some(index) = self.index()? {
            return Ok(index);
        }
        let stamps = self.stamps()?;
        let index = self.scan()?;
        let _ = self.home.write(INDEX, index.write(stamps).as_bytes());
        Ok(index)
    }

    fn scan(&self) -> Result<Index> {
        let mut index = Index::default();
        for name in self.certs.names(CERT_SUFFIX)? {
            if let Some(held) = self.held(&name)? {
                index.set(&held.record);
            }
        }
        Ok(index)
    }

    /// What is held of a certificate: with its secret parts and, where these tell, even if the certificate itself is lost.
    fn held(&self, fingerprint: &str) -> Result<Option<Described>> {
        let (cert_file, key_file) = (cert_file(fingerprint), key_file(fingerprint));
        let (cert, secret) = (self.certs.read(&cert_file)?, self.secrets.read(&key_file)?);
        let Some(octets) = cert.as_ref().or(secret.as_ref()) else { return Ok(None) };
        let place = |folder: &Folder, name: &str| folder.path().join(name).display().to_string();
        let cert_place = place(&self.certs, &cert_file);
        let format = format::of_octets(octets.expose()).ok_or_else(|| format::misplaced(&cert_place))?;
        let named = |one: &Described| one.record.fingerprint.as_str() == fingerprint;
        let misplaced = || format::misplaced(&cert_place);
        let described = match cert {
            Some(octets) => {
                let found = format.describe(octets.expose(), &cert_place)?.into_iter().find(named);
                Some(found.ok_or_else(misplaced)?)
            }
            None => None,
        };
        match secret {
            Some(secret) => {
                let key_place = place(&self.secrets, &key_file);
                let whole = format.attach(described, secret, &key_place)?;
                if whole.as_ref().is_some_and(|one| !named(one)) {
                    Err(format::misplaced(&key_place))
                } else {
                    Ok(whole)
                }
            }
            None => Ok(described),
        }
    }
}

/// A home while it is written to: locked, and without an index until the end, so that whatever happens no index lies.
struct Writer {
    folders: Folders,
    index: Index,
    bindings: Bindings,
    _lock: Lock,
}

impl Writer {
    fn new(home: &Home) -> Result<Writer> {
        let folders = Folders::create(&home.place)?;
        let lock = folders.home.lock()?;
        let index = match folders.index()? {
            Some(index) => index,
            None => folders.scan()?,
        };
        let bindings = folders.bindings()?;
        folders.home.remove(INDEX)?;
        Ok(Writer { folders, index, bindings, _lock: lock })
    }

    fn add(&mut self, new: &Described) -> Result<Change> {
        let fingerprint = new.record.fingerprint.as_str();
        let old = self.folders.held(fingerprint)?;
        let mut together = match &old {
            Some(old) => put_together(old, new)?,
            None => Described { record: new.record.clone(), secret: new.secret.clone() },
        };
        if together.secret.is_none() {
            self.find_secret(&mut together)?;
        }
        let change = match &old {
            None => Change::Added,
            Some(old) if self.index.has(fingerprint) && same(old, &together) => Change::Unchanged,
            Some(_) => Change::Updated,
        };
        if change != Change::Unchanged {
            // The secret first: a certificate is never here without the key that came with it.
            if let Some(secret) = &together.secret {
                self.folders.secrets.write(&key_file(fingerprint), secret.expose())?;
            }
            self.folders.certs.write(&cert_file(fingerprint), &together.record.bytes)?;
            self.index.set(&together.record);
        }
        Ok(change)
    }

    /// The secret parts of a certificate whose key another one here has too.
    fn find_secret(&self, new: &mut Described) -> Result<()> {
        let format = format::of(new.record.protocol)?;
        for fingerprint in self.index.with_secrets(new.record.protocol) {
            let Some(held) = self.folders.held(fingerprint)? else { continue };
            if format.share_key(&held.record, &new.record)? {
                new.record.secrets = vec![new.record.fingerprint.clone()];
                new.secret = held.secret;
                return Ok(());
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.folders.home.write(BINDINGS, self.bindings.write().as_bytes())?;
        self.folders.home.write(INDEX, self.index.write(self.folders.stamps()?).as_bytes())
    }
}

impl Row {
    fn record(&self, fingerprint: &Handle, bytes: &[u8], bindings: &Bindings) -> Record {
        Record {
            protocol: self.protocol(),
            fingerprint: fingerprint.clone(),
            handles: self.handles(),
            claimed: self.claimed(),
            bindings: bindings.of(fingerprint),
            bytes: bytes.to_vec().into(),
            secrets: self.secrets(),
        }
    }
}

fn same(one: &Described, other: &Described) -> bool {
    one.record.bytes == other.record.bytes && one.secret == other.secret
}

fn cert_file(fingerprint: &str) -> String {
    format!("{fingerprint}{CERT_SUFFIX}")
}

fn key_file(fingerprint: &str) -> String {
    format!("{fingerprint}.key")
}

const BINDINGS: &str = "bindings";
const CERTS: &str = "certs";
const CERT_SUFFIX: &str = ".cert";
const INDEX: &str = "index";
const REVOCATIONS: &str = "revocations";
const STATEMENTS: &str = "statements";
const SECRETS: &str = "secrets";
