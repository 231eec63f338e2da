//! The master key, which protects the secret keys in a copy of the database.
//!
//! Every secret is sealed with AES-256-GCM (NIST SP 800-38D) under a data key of 256 random bits, bound to the fingerprint of its certificate. The
//! data key is wrapped in the same way under the master key, so that a new master key needs no re-encryption of secrets.

use std::path::{Path, PathBuf};

use super::{backend::MasterRow, files::Folder};
use crate::{
    base::{Error, Kind, Random, Result, Secret, hex, secret_of_hex},
    crypto::{Aead, Hash, argon2id, hmac},
    keys::Passphrases,
};

/// Where a home's master key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MasterKey {
    /// The file `master.key` in the home, created when it is first needed. Protects copies of the database alone.
    Home,
    /// A file elsewhere: 64 hexadecimal digits.
    File(PathBuf),
    /// A credential of this name that systemd gives the service (`LoadCredential=`), with the same content.
    Credential(String),
    /// Derived from a passphrase by Argon2id (RFC 9106, section 4, the second recommended option).
    Passphrase(Secret),
}

/// Where to look for master keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    /// The home.
    pub(super) home: &'a Path,
    /// Where systemd puts credentials (`$CREDENTIALS_DIRECTORY`).
    pub(super) credentials: Option<&'a Path>,
    /// Known passphrases, and how to ask for one.
    pub(super) passphrases: &'a Passphrases,
}

/// The key that seals secrets.
#[derive(Debug)]
pub(super) struct DataKey(Secret);

impl DataKey {
    /// A new one.
    pub(super) fn generate(random: &dyn Random) -> Result<DataKey> {
        octets(random).map(|octets: [u8; KEY]| DataKey(Secret::new(octets.to_vec())))
    }

    /// The one that `master` wraps.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the master key is missing or does not fit.
    pub(super) fn unwrap(master: &MasterRow, places: Places<'_>) -> Result<DataKey> {
        let open = |key: &Secret| unsealed(key, WRAPPED, &master.wrapped);
        let opened = match master.kind.as_str() {
            PASSPHRASE => places
                .passphrases
                .open("the master key", |passphrase| derived(passphrase, &master.salt).map(|key| open(&key)))?,
            kind => open(&of_file(&place(kind, &master.name, places)?)?),
        };
        let refused = || Error::inaccessible(format!("master key ({}): does not fit", described(master, places)));
        opened.map(DataKey).ok_or_else(refused)
    }

    /// Wraps it under a master key; a file that does not exist is created.
    pub(super) fn wrap(&self, master: &MasterKey, places: Places<'_>, random: &dyn Random) -> Result<MasterRow> {
        let (kind, name, salt, key) = match master {
            MasterKey::Passphrase(passphrase) => {
                let salt: [u8; SALT] = octets(random)?;
                (PASSPHRASE, String::new(), salt.to_vec(), derived(passphrase, &salt)?)
            }
            MasterKey::Home => (FILE, String::new(), Vec::new(), file_or_new(&place(FILE, "", places)?, random)?),
            MasterKey::File(path) => {
                let path = std::path::absolute(path).map_err(|error| Error::io(path.display(), &error))?;
                let name = path.to_str().ok_or_else(|| Error::usage(format!("{}: not UTF-8", path.display())))?;
                (FILE, name.to_owned(), Vec::new(), file_or_new(&path, random)?)
            }
            MasterKey::Credential(name) => {
                if name.is_empty() || name.contains('/') {
                    return Err(Error::usage(format!("credential {name:?}: not a name")));
                }
                (CREDENTIAL, name.clone(), Vec::new(), of_file(&place(CREDENTIAL, name, places)?)?)
            }
        };
        let wrapped = sealed(&key, WRAPPED, &self.0, random)?;
        Ok(MasterRow { kind: kind.to_owned(), name, salt, wrapped })
    }

    /// Wraps it under a new master key; returns the row, and the text of the file with that key.
    pub(super) fn wrap_anew(&self, random: &dyn Random) -> Result<(MasterRow, Secret)> {
        let key: [u8; KEY] = octets(random)?;
        let text = Secret::new(format!("{}\n", hex(&key)).into_bytes());
        let wrapped = sealed(&Secret::new(key.to_vec()), WRAPPED, &self.0, random)?;
        Ok((MasterRow { kind: FILE.to_owned(), name: String::new(), salt: Vec::new(), wrapped }, text))
    }

    /// The key of the codes in the audit log.
    pub(super) fn audit_key(&self) -> Secret {
        Secret::new(hmac(Hash::Sha256, &self.0, b"codes of the audit log"))
    }

    /// Seals the secret parts of a certificate.
    pub(super) fn seal(&self, fingerprint: &str, secret: &Secret, random: &dyn Random) -> Result<Vec<u8>> {
        sealed(&self.0, &about(fingerprint), secret, random)
    }

    /// Opens what [`DataKey::seal`] made.
    pub(super) fn open(&self, fingerprint: &str, octets: &[u8]) -> Result<Secret> {
        let damaged = || Error::damaged(format!("secret key of {fingerprint}"), "damaged, or another certificate's");
        unsealed(&self.0, &about(fingerprint), octets).ok_or_else(damaged)
    }
}

/// The name of the home's own master key file.
pub(super) const OWN: &str = "master.key";

/// The file of a master key; `None` for a passphrase.
pub(super) fn file(master: &MasterRow, places: Places<'_>) -> Option<PathBuf> {
    place(&master.kind, &master.name, places).ok()
}

/// Whether no person is asked for it.
pub(super) fn opens_itself(master: &MasterRow) -> bool {
    master.kind != PASSPHRASE
}

fn described(master: &MasterRow, places: Places<'_>) -> String {
    match (master.kind.as_str(), place(&master.kind, &master.name, places)) {
        (PASSPHRASE, _) | (_, Err(_)) => master.kind.clone(),
        (_, Ok(path)) => path.display().to_string(),
    }
}

fn place(kind: &str, name: &str, places: Places<'_>) -> Result<PathBuf> {
    match (kind, places.credentials) {
        (FILE, _) if name.is_empty() => Ok(places.home.join(OWN)),
        (FILE, _) => Ok(PathBuf::from(name)),
        (CREDENTIAL, Some(folder)) => Ok(folder.join(name)),
        (CREDENTIAL, None) => Err(Error::inaccessible(format!("master key: systemd gave no credential {name:?}"))
            .with_hint(format!("it is for a service with LoadCredential={name}:FILE"))),
        _ => Err(Error::new(Kind::Config, format!("master key: of a kind that is not known: {kind:?}"))
            .with_hint("a newer postseal made it; use that one")),
    }
}

fn of_file(path: &Path) -> Result<Secret> {
    read(path)?.ok_or_else(|| {
        Error::inaccessible(format!("{}: the master key is not there", path.display()))
            .with_hint("put it back from its copy: without it no secret key of the home can be used")
    })
}

fn file_or_new(path: &Path, random: &dyn Random) -> Result<Secret> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let key: [u8; KEY] = octets(random)?;
    let text = Secret::new(format!("{}\n", hex(&key)).into_bytes());
    let (folder, name) = folder_and_name(path)?;
    Folder::at(folder).write(name, text.expose())?;
    Ok(Secret::new(key.to_vec()))
}

fn read(path: &Path) -> Result<Option<Secret>> {
    let (folder, name) = folder_and_name(path)?;
    let Some(text) = Folder::at(folder).read(name)? else { return Ok(None) };
    let key = secret_of_hex(text.expose().trim_ascii()).filter(|key| key.expose().len() == KEY);
    key.map(Some).ok_or_else(|| {
        Error::damaged(path.display(), "a master key is 64 hexadecimal digits")
            .with_hint(format!("a new one: openssl rand -hex {KEY}"))
    })
}

fn folder_and_name(path: &Path) -> Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let found = path.parent().zip(name);
    found.ok_or_else(|| Error::usage(format!("{}: not the name of a file", path.display())))
}

fn derived(passphrase: &Secret, salt: &[u8]) -> Result<Secret> {
    argon2id(passphrase, salt, MEMORY, PASSES, LANES, KEY)
}

/// Nonce, ciphertext, tag.
fn sealed(key: &Secret, about: &[u8], secret: &Secret, random: &dyn Random) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE] = octets(random)?;
    let mut octets = secret.expose().to_vec();
    let tag = Aead::Aes256Gcm.seal(key, nonce, about, &mut octets)?;
    Ok([&nonce[..], &octets, &tag].concat())
}

fn unsealed(key: &Secret, about: &[u8], octets: &[u8]) -> Option<Secret> {
    let (nonce, rest) = octets.split_at_checked(NONCE)?;
    let (octets, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    let mut octets = octets.to_vec();
    Aead::Aes256Gcm.open(key, nonce, about, &mut octets, tag).ok()?;
    Some(Secret::new(octets))
}

fn about(fingerprint: &str) -> Vec<u8> {
    [b"postseal secret key ", fingerprint.as_bytes()].concat()
}

fn octets<const N: usize>(random: &dyn Random) -> Result<[u8; N]> {
    let mut octets = [0; N];
    random.fill(&mut octets)?;
    Ok(octets)
}

const CREDENTIAL: &str = "credential";
const FILE: &str = "file";
const PASSPHRASE: &str = "passphrase";
const WRAPPED: &[u8] = b"postseal data key";

const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;

/// RFC 9106, section 4: 128 bits of salt, 64 MiB, 3 passes, 4 lanes.
const SALT: usize = 16;
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
