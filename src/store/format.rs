//! The key files of each protocol: how they are recognized, read, merged and unlocked.

use std::sync::Arc;

use super::carried::{in_mail, unmarked};
use crate::{
    base::{Budget, Error, Kind, Limits, Result, Secret},
    keys::{Binding, Handle, Keys, Locked, Passphrases, ProtocolName, Record},
    protocol::{
        Described, KeyFile, pem,
        pgp::{
            self,
            secret_parts::{self, Sifted},
        },
        smime,
    },
};

/// The key files of one protocol.
#[cfg_attr(
    not(feature = "store"),
    expect(dead_code, reason = "only a home puts secret parts of several files together")
)]
pub(super) trait Format: Sync {
    /// Which protocol.
    fn protocol(&self) -> ProtocolName;

    /// Whether `octets` look like one of its files. Checks the structure only, and is cheap.
    fn recognizes(&self, octets: &[u8]) -> bool;

    /// Reads files, each a name for errors and its octets; all of them were recognized.
    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile>;

    /// Merges two copies of one certificate.
    fn merge(&self, old: &Record, new: &Record) -> Result<Record>;

    /// Whether two certificates have the same key, as a renewed certificate may, so that they share secret parts.
    fn share_key(&self, _: &Record, _: &Record) -> Result<bool> {
        Ok(false)
    }

    /// Checks imported secret parts of a certificate against the stored ones. A bare private key needs no check: it was opened to find its
    /// certificate.
    fn sift(&self, found: Described, _: Option<&Secret>, _: &Reading<'_>, _: &mut Budget) -> Result<Sifted> {
        Ok(Sifted { described: found, unfit: Vec::new(), unproven: Vec::new() })
    }

    /// Merges two copies of the secret parts of one certificate, the newer one second. What is `proven` in it replaces what is held. A bare private
    /// key is one key, whose passphrase may have changed.
    fn merge_secret(&self, held: &Secret, new: &Secret, proven: &[Handle]) -> Result<Secret> {
        Ok(if proven.is_empty() { held.clone() } else { new.clone() })
    }

    /// The secret parts of `record`, unlocked when asked for.
    fn locked(
        &self,
        record: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>>;

    /// The bindings of a certificate given for one run. Those of an X.509 certificate or a bare key come only from a path to a trust anchor, or from
    /// `key trust`.
    fn given(&self) -> Vec<Binding> {
        Vec::new()
    }
}

/// What reading key files needs.
pub(super) struct Reading<'a> {
    /// Passphrases that may open them.
    pub(super) passphrases: &'a Arc<Passphrases>,
    /// Limits on the cost.
    pub(super) limits: &'a Limits,
    /// Where to look for the certificates of bare private keys and of revocations.
    pub(super) beside: &'a dyn Keys,
}

/// Reads key files of any format; a file may hold several, and may be a mail. A file without keys is an error of kind `Malformed`.
pub(super) fn read(files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
    let mut all = KeyFile::default();
    let mut bare = Vec::new();
    for (place, octets) in files {
        let octets = unmarked(octets);
        match in_mail(&octets, place, reading.limits) {
            Some(parts) => all.append(read_mail(place, &parts, reading)?),
            None => bare.push((*place, octets)),
        }
    }
    let bare: Vec<(&str, &[u8])> = bare.iter().map(|(place, octets)| (*place, octets.as_ref())).collect();
    if let Some((place, _)) = bare.iter().find(|(_, octets)| of_octets(octets).is_none()) {
        return Err(without_keys(place));
    }
    for format in FORMATS {
        let of_this = |(_, octets): &&(&str, &[u8])| format.recognizes(octets);
        let files: Vec<(&str, &[u8])> = bare.iter().filter(of_this).copied().collect();
        if !files.is_empty() {
            all.append(format.read(&files, reading)?);
        }
    }
    Ok(all)
}

/// Reads the parts of a mail one by one, and skips those without keys.
fn read_mail(place: &str, parts: &[(String, Vec<u8>)], reading: &Reading<'_>) -> Result<KeyFile> {
    let mut all = KeyFile::default();
    for (place, octets) in parts {
        for format in FORMATS.into_iter().filter(|format| format.recognizes(octets)) {
            match format.read(&[(place, octets)], reading) {
                Err(error) if error.kind() == Kind::Malformed => all.skipped.push(error.to_string()),
                read => all.append(read?),
            }
        }
    }
    let is_empty = all.found.is_empty()
        && all.deprecated.is_empty()
        && all.locked.is_empty()
        && all.revocations.is_empty()
        && all.elsewhere.is_empty()
        && all.statements.is_empty()
        && all.lost.is_empty();
    if is_empty { Err(without_keys(place)) } else { Ok(all) }
}

fn without_keys(place: &str) -> Error {
    Error::malformed(place, "holds no certificate and no key")
        .with_hint("OpenPGP, PEM, DER and PKCS#12 are understood, and mail that carries them")
}

/// The format of the keys of `protocol`.
pub(super) fn of(protocol: ProtocolName) -> Result<&'static dyn Format> {
    let found = FORMATS.into_iter().find(|format| format.protocol() == protocol);
    found.ok_or_else(|| Error::usage(format!("keys of {}: are not kept here", protocol.name())))
}

/// The first format that recognizes `octets`.
pub(super) fn of_octets(octets: &[u8]) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.recognizes(octets))
}

/// OpenPGP certificates and secret keys.
struct Pgp;

/// X.509 certificates and PKCS#8 private keys.
struct Smime;

/// Bare RSA keys, and the files of RIPEM, whose certificates are X.509's.
struct Pem;

impl Format for Pem {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::Pem
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        pem::keyfile::recognizes(octets)
    }

    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
        let mut all = KeyFile::default();
        for (place, octets) in files {
            let contents = pem::keyfile::read(octets, place, reading.passphrases, reading.limits)?;
            all.found.extend(contents.found);
            all.skipped.extend(contents.skipped);
            all.locked.extend(contents.locked);
            for certificate in &contents.certificates {
                match smime::keyfile::describe(certificate, place) {
                    Ok(found) => all.found.push(found),
                    Err(error) => all.skipped.push(error.to_string()),
                }
            }
        }
        Ok(all)
    }

    fn merge(&self, old: &Record, new: &Record) -> Result<Record> {
        Ok(pem::keyfile::merge(old, new))
    }

    fn locked(
        &self,
        record: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>> {
        Ok(Arc::new(pem::keyfile::LockedKey::new(record, secret, Arc::clone(passphrases), limits)))
    }
}

impl Format for Pgp {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::Pgp
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        pgp::keyfile::recognizes(octets)
    }

    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
        let mut all = KeyFile::default();
        for (place, octets) in files {
            all.append(pgp::keyfile::describe(octets, place)?);
        }
        pgp::keyfile::apply_revocations(&mut all, reading.beside)?;
        Ok(all)
    }

    fn merge(&self, old: &Record, new: &Record) -> Result<Record> {
        pgp::keyfile::merge(old, new)
    }

    fn sift(
        &self,
        found: Described,
        held: Option<&Secret>,
        reading: &Reading<'_>,
        budget: &mut Budget,
    ) -> Result<Sifted> {
        secret_parts::sift(found, held, reading.passphrases, budget)
    }

    fn merge_secret(&self, held: &Secret, new: &Secret, proven: &[Handle]) -> Result<Secret> {
        secret_parts::merge_secret(held, new, proven)
    }

    fn locked(
        &self,
        _: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>> {
        Ok(Arc::new(pgp::keyfile::LockedKeys::new(secret, Arc::clone(passphrases), limits)))
    }

    fn given(&self) -> Vec<Binding> {
        vec![Binding::UserIds]
    }
}

impl Format for Smime {
    fn protocol(&self) -> ProtocolName {
        ProtocolName::Smime
    }

    fn recognizes(&self, octets: &[u8]) -> bool {
        // RIPEM uses the same labels for another format.
        smime::keyfile::recognizes(octets) && !pem::keyfile::recognizes(octets)
    }

    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile> {
        smime::keyfile::read(files, reading.passphrases, reading.limits, reading.beside)
    }

    fn merge(&self, old: &Record, new: &Record) -> Result<Record> {
        Ok(smime::keyfile::merge(old, new))
    }

    fn share_key(&self, one: &Record, other: &Record) -> Result<bool> {
        smime::keyfile::share_key(one, other)
    }

    fn locked(
        &self,
        record: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>> {
        Ok(Arc::new(smime::keyfile::LockedKey::new(record, secret, Arc::clone(passphrases), limits)?))
    }
}

const FORMATS: [&dyn Format; 3] = [&Pem, &Pgp, &Smime];
