//! Locks secret keys with another passphrase, or with none.

use sequoia_openpgp::{
    Cert, Packet,
    cert::amalgamation::key::PrimaryKey as _,
    packet::{
        Key,
        key::{SecretKeyMaterial, SecretParts, UnspecifiedRole},
    },
    serialize::MarshalInto,
};

use super::{
    cert::{self, handle},
    generate::{Profile, lock},
    keyfile::is_stub,
    locked::{open, title},
    words::reason,
};
use crate::{
    base::{Budget, Error, Limits, Result, Secret},
    keys::{Passphrases, Record},
};

/// The secret parts of one certificate, each locked with `passphrase`, or not locked for `None`. `passphrases` open them as they are. Stubs stay.
///
/// # Errors
///
/// `NoKey` when no passphrase fits; `Malformed` when the secret parts cannot be read, or opening them costs more than `limits` allow.
pub fn relock(
    secret: &Secret,
    passphrase: Option<&Secret>,
    passphrases: &Passphrases,
    limits: &Limits,
) -> Result<Secret> {
    let failed = |error| Error::malformed("secret key", reason(&error));
    let cert = cert::read(secret.expose()).map_err(failed)?;
    let mut budget = Budget::new(limits.clone()).for_each_password(passphrases.tries());
    let mut packets: Vec<Packet> = Vec::new();
    for held in cert.keys().secret().filter(|held| !is_stub(held.key().secret())) {
        let plain = plain(&cert, held.key(), passphrases, &mut budget)?.0;
        let profile = Profile::of_version(plain.version());
        let locked = lock(plain, profile, passphrase).map_err(failed)?;
        packets.push(match held.primary() {
            true => locked.role_into_primary().into(),
            false => locked.role_into_subordinate().into(),
        });
    }
    let (cert, _) = cert.insert_packets(packets).map_err(failed)?;
    cert.as_tsk().to_vec().map(Secret::new).map_err(failed)
}

/// The passphrase that locks the primary key of `record`, whose secret parts are `secret`; `None` when nothing locks it.
///
/// # Errors
///
/// As [`relock`].
pub(super) fn passphrase_of(
    record: &Record,
    secret: &Secret,
    passphrases: &Passphrases,
    limits: &Limits,
) -> Result<Option<Secret>> {
    let cert = cert::read(secret.expose()).map_err(|error| Error::malformed("secret key", reason(&error)))?;
    let mut budget = Budget::new(limits.clone()).for_each_password(passphrases.tries());
    for held in cert.keys().secret() {
        if handle(&held.key().fingerprint()) == *record.fingerprint() {
            return Ok(plain(&cert, held.key(), passphrases, &mut budget)?.1);
        }
    }
    Err(Error::no_key(format!("key {}: its secret part is missing", record.fingerprint())))
}

/// A key without its lock, and the passphrase that opened it.
fn plain(
    cert: &Cert,
    key: &Key<SecretParts, UnspecifiedRole>,
    passphrases: &Passphrases,
    budget: &mut Budget,
) -> Result<(Key<SecretParts, UnspecifiedRole>, Option<Secret>)> {
    match key.secret() {
        SecretKeyMaterial::Unencrypted(_) => Ok((key.clone(), None)),
        SecretKeyMaterial::Encrypted(locked) => {
            let opened = open(key, locked, &title(cert, &handle(&key.fingerprint())), passphrases, budget)?;
            Ok((opened.key, Some(opened.passphrase)))
        }
    }
}
