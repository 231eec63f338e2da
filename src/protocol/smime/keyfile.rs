//! Reads key files, matches private keys with their certificates, and unlocks them.
//!
//! Formats: PEM (RFC 7468) and DER with certificates, PKCS#7 bundles, PKCS#8, PKCS#1, SEC 1 and PKCS#12.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    key_material::{self, KeyMaterial},
    pem_bundle::{self, PemBlock},
    pkcs8::{self, PublicPart},
    record::{certificate, record},
};
use crate::{
    base::{Budget, Error, Limits, Result, Secret},
    crypto::SecretKey,
    keys::{Handle, Keys, Locked, Passphrases, ProtocolName, Query, Record, Want},
    pki::{Certificate, PublicKey},
    protocol::{Described, KeyFile},
};

/// Whether `octets` look like a key file: a DER SEQUENCE, or text with a PEM block.
pub fn recognizes(octets: &[u8]) -> bool {
    key_material::recognizes(octets)
}

/// Whether `octets` are text with a PEM block, or exactly one SEQUENCE. A mail body may start with the tag octet of a
/// SEQUENCE by chance: it is the digit 0.
pub fn is_object(octets: &[u8], limits: &Limits) -> bool {
    key_material::is_object(octets, limits)
}

/// Reads files, each given as its name for errors and its octets. A private key may be in another file than its
/// certificate, or belong to a certificate in `beside`. Items that are not keys, and certificates that cannot be read,
/// are skipped and listed. Keys that no passphrase opens are listed apart.
///
/// # Errors
///
/// `Malformed` if a file holds nothing else; `NoKey` for a private key without its certificate.
pub fn read(files: &[(&str, &[u8])], passphrases: &Passphrases, limits: &Limits, beside: &dyn Keys) -> Result<KeyFile> {
    let mut material = KeyMaterial::default();
    for (place, octets) in files {
        material.read(octets, place, passphrases, limits)?;
    }
    let KeyMaterial { certificates, keys, statements, skipped, locked, .. } = material;
    let found = certificates.into_iter().map(|record| Described { record, secret: None, proven: Vec::new() });
    let mut file = KeyFile { found: found.collect(), skipped, locked, statements, ..KeyFile::default() };
    for key in keys {
        let public = PublicPart::of(key.plain.expose())?;
        let mut owners = owners(&public, file.found.iter().map(|one| &one.record))?;
        if owners.is_empty() {
            owners = self::owners(
                &public,
                beside.find(ProtocolName::Smime, &Query::manage(Want::All))?.iter().map(|held| &**held),
            )?;
        }
        if owners.is_empty() {
            return Err(Error::no_key(format!("{}: no certificate for it", key.place))
                .with_hint("give the file with its certificate too"));
        }
        owners.iter().for_each(|owner| attach(&mut file.found, owner, &key.secret));
    }
    Ok(file)
}

/// The certificates of a file that begins with a PEM block and has blocks of certificates only, each read when it is reached, so that many take little
/// memory; `None` for any other file. A block that cannot be read is an error of kind `Malformed`.
pub fn certificates<'a>(octets: &'a [u8], place: &'a str) -> Option<impl Iterator<Item = Result<Record>> + 'a> {
    let is_plain = octets.starts_with(b"-----BEGIN ") && pem_bundle::labels(octets).all(|label| label == CERTIFICATE);
    let read = move |block: PemBlock<'_>| {
        let octets = block.octets.ok_or_else(|| Error::malformed(place, "not base64, or cut short"))?;
        let certificate = Certificate::parse(octets.expose()).map_err(|error| Error::malformed(place, error))?;
        // Without what was parsed.
        Ok(record(&certificate).with_bytes(octets.expose().to_vec()))
    };
    is_plain.then(|| pem_bundle::blocks(octets).map(read))
}

/// Reads one certificate in DER.
///
/// # Errors
///
/// `Malformed` if it cannot be read.
pub fn describe(octets: &[u8], place: &str) -> Result<Described> {
    let certificate = Certificate::parse(octets).map_err(|error| Error::malformed(place, error))?;
    Ok(Described { record: record(&certificate), secret: None, proven: Vec::new() })
}

/// Merges two copies of one certificate: owner's bindings, secret keys, and the latest announced capabilities.
pub fn merge(old: &Record, new: &Record) -> Record {
    old.clone().merged_with(new)
}

/// Whether two certificates have the same public key.
///
/// # Errors
///
/// `Malformed` if one of them cannot be read.
pub fn share_key(one: &Record, other: &Record) -> Result<bool> {
    Ok(certificate(one)?.public_key() == certificate(other)?.public_key())
}

/// The keys without the self-signed certificates for whose key there is one that an authority issued, and of several of one key the newest alone. Those of
/// other protocols stay.
///
/// # Errors
///
/// `Malformed` if one of them cannot be read.
pub fn newest(held: Vec<Arc<Record>>) -> Result<Vec<Arc<Record>>> {
    let mut found: Vec<Arc<Record>> = Vec::new();
    for record in held {
        let same = |other: &Arc<Record>| {
            let is_smime = [&record, other].iter().all(|one| one.protocol() == ProtocolName::Smime);
            Ok::<_, Error>(is_smime && share_key(&record, other)?)
        };
        let mut at = None;
        for (number, other) in found.iter().enumerate() {
            if same(other)? {
                at = Some(number);
            }
        }
        match at.and_then(|at| found.get_mut(at)) {
            None => found.push(record),
            Some(other) => {
                let rank = |one: &Record| certificate(one).map(|read| (!read.is_self_signed(), read.validity().0));
                if rank(&record)? > rank(other)? {
                    *other = record;
                }
            }
        }
    }
    Ok(found)
}

/// The private key of one certificate, unlocked when needed.
pub struct LockedKey {
    fingerprint: Handle,
    title: String,
    public: PublicKey,
    octets: Secret,
    passphrases: Arc<Passphrases>,
    limits: Limits,
    opened: Mutex<Option<Arc<dyn SecretKey>>>,
}

impl LockedKey {
    /// Takes PKCS#8 in DER, encrypted or not, as in [`Described::secret`].
    ///
    /// # Errors
    ///
    /// `Malformed` if the certificate of `record` cannot be read.
    pub fn new(record: &Record, octets: Secret, passphrases: Arc<Passphrases>, limits: &Limits) -> Result<LockedKey> {
        let fingerprint = record.fingerprint().clone();
        let public = certificate(record)?.public_key().clone();
        let title = match record.claimed().first() {
            Some(address) => format!("key {fingerprint} of {address}"),
            None => format!("key {fingerprint}"),
        };
        let limits = limits.clone();
        Ok(LockedKey { fingerprint, title, public, octets, passphrases, limits, opened: Mutex::default() })
    }
}

impl Locked for LockedKey {
    fn unlock(&self, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        if *key != self.fingerprint {
            return Ok(None);
        }
        // Held while unlocking, so that two threads do not both ask for the passphrase.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = opened.as_ref() {
            return Ok(Some(Arc::clone(opened)));
        }
        let mut budget = Budget::new(self.limits.clone()).for_each_password(self.passphrases.tries());
        let plain = key_material::unlocked(&self.octets, &self.title, &self.passphrases, &mut budget)?;
        let belongs = pkcs8::open(plain.expose(), &self.public)?;
        let belongs = belongs.ok_or_else(|| Error::no_key(format!("{}: it is another certificate's", self.title)))?;
        *opened = Some(Arc::clone(&belongs));
        Ok(Some(belongs))
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedKey({})", self.fingerprint)
    }
}

/// The label of a certificate (RFC 7468, section 5.1), with what ends its line.
const CERTIFICATE: &[u8] = b"CERTIFICATE-----";

/// The certificates with the public key of a private key. There may be several: a renewed certificate can keep its key.
fn owners<'a>(public: &PublicPart, records: impl Iterator<Item = &'a Record>) -> Result<Vec<Record>> {
    let mut owners = Vec::new();
    for record in records {
        if public.is(certificate(record)?.public_key()) {
            owners.push(record.clone());
        }
    }
    Ok(owners)
}

fn attach(found: &mut Vec<Described>, owner: &Record, secret: &Secret) {
    if !found.iter().any(|one| one.record.fingerprint() == owner.fingerprint()) {
        found.push(Described { record: owner.clone(), secret: None, proven: Vec::new() });
    }
    for one in found.iter_mut().filter(|one| one.record.fingerprint() == owner.fingerprint()) {
        one.record.set_secrets([owner.fingerprint().clone()]);
        one.secret = Some(secret.clone());
        one.proven = vec![owner.fingerprint().clone()];
    }
}
