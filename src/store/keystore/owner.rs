//! What the owner decides about stored certificates: no longer to trust one, to hold it for revoked, to remove it, and to lock its secret key
//! otherwise.

use std::time::SystemTime;

use super::Keystore;
use crate::{
    audit::Event,
    base::{Error, Hint, Result, Secret},
    keys::{Binding, Handle, Record, RevocationReason, Withdrawal},
    mail::Address,
    store::{binding::Origin, format, integrity::Writer},
};

/// What to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The certificate. Refused when it has a secret key that no other stored certificate has too.
    Certificate,
    /// The certificate and its secret key. Messages encrypted to it can never be read again.
    WithSecret,
}

impl Keystore {
    /// Removes certificates, their bindings and, if asked, their secret keys: all of them or, when one cannot be removed, none. Erases the octets of the
    /// keys from the store, its log and its free pages. Revocation files stay.
    ///
    /// A secret key that another stored certificate has too (a certificate that an authority issued for the key of a self-signed one) stays with that
    /// one. One that the owner declared revoked is not removed: imported again, it would be as good as before.
    ///
    /// # Errors
    ///
    /// `NoKey` when one is not stored, or has a secret key that is not to be removed, or is declared revoked; `TryAgain` when they are removed but the
    /// octets of a secret key could not be erased yet, because another process reads them: [`Keystore::check`] erases them later.
    pub fn remove_all(&self, records: &[&Record], removal: Removal) -> Result<()> {
        let had_secret = self.write(Event::Remove, |writer, _| {
            let mut had_secret = false;
            for record in records {
                had_secret |= remove_one(writer, record, removal)?;
            }
            if had_secret {
                writer.must_erase()?;
            }
            Ok(had_secret)
        })?;
        for record in records {
            self.opened().locked.remove(record.fingerprint());
        }
        if had_secret { self.erase() } else { Ok(()) }
    }

    /// Removes one certificate, as [`Keystore::remove_all`] does.
    ///
    /// # Errors
    ///
    /// As [`Keystore::remove_all`].
    pub fn remove(&self, record: &Record, removal: Removal) -> Result<()> {
        self.remove_all(&[record], removal)
    }

    /// Takes back the trust in a certificate for `address`, or for everything. Returns what it was trusted for: empty when it was not. That the owner
    /// declared it revoked stays.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not stored.
    pub fn untrust(&self, fingerprint: &Handle, address: Option<&Address>) -> Result<Vec<Binding>> {
        self.write(Event::Untrust, |writer, _| {
            writer.unbind(fingerprint, |binding| match (binding, address) {
                (Binding::Revoked(_), _) => false,
                (Binding::Address(bound), Some(address)) => bound == address,
                (_, address) => address.is_none(),
            })
        })
    }

    /// Declares a certificate revoked: it is chosen for nothing more, and signatures by it are invalid, whatever an authority says. Importing it again
    /// changes nothing. Returns whether this is new.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not stored.
    pub fn withdraw(&self, fingerprint: &Handle, reason: RevocationReason, at: SystemTime) -> Result<bool> {
        let withdrawal = Withdrawal::new(reason, at);
        self.write(Event::Revoke, |writer, _| {
            let known = writer.record(fingerprint)?;
            if known.and_then(|record| record.withdrawal().copied()).is_some_and(|known| known.reason <= reason) {
                return Ok(false);
            }
            writer.bind(fingerprint, &Binding::Revoked(withdrawal), Origin::Trusted, at)
        })
    }

    /// Takes [`Keystore::withdraw`] back; returns whether the certificate was declared revoked.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not stored.
    pub fn reinstate(&self, fingerprint: &Handle) -> Result<bool> {
        let gone = self.write(Event::Reinstate, |writer, _| {
            writer.unbind(fingerprint, |one| matches!(one, Binding::Revoked(_)))
        })?;
        Ok(!gone.is_empty())
    }

    /// Replaces the secret parts of a stored certificate by `secret`, the same keys locked otherwise, and erases the octets of the old ones.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not stored or has no secret parts; others as [`Keystore::remove`].
    pub fn relock(&self, changed: &[(Handle, Secret)]) -> Result<()> {
        self.write(Event::Passphrase, |writer, key| {
            for (fingerprint, secret) in changed {
                if writer.sealed(fingerprint)?.is_none() {
                    return Err(Error::no_key(format!("key {fingerprint}: there is no secret key to it")));
                }
                let sealed = self.data_key(writer, key)?.seal(fingerprint.as_str(), secret, self.random.as_ref())?;
                writer.keep_sealed(fingerprint, &sealed)?;
            }
            writer.must_erase()
        })?;
        for (fingerprint, _) in changed {
            self.opened().locked.remove(fingerprint);
        }
        self.erase()
    }
}

/// Removes one certificate; returns whether octets of a secret key have to be erased.
fn remove_one(writer: Writer<'_>, record: &Record, removal: Removal) -> Result<bool> {
    let fingerprint = record.fingerprint();
    if record.withdrawal().is_some() {
        return Err(Error::no_key(format!("key {fingerprint}: is declared revoked, which would be forgotten with it"))
            .with_hint(Hint::UndoRevocation));
    }
    let has_secret = writer.sealed(fingerprint)?.is_some();
    // Stubs of keys that are elsewhere may be removed.
    if removal == Removal::Certificate && !record.secrets().is_empty() && has_secret && !is_held_twice(writer, record)?
    {
        return Err(
            Error::no_key(format!("key {fingerprint}: there is a secret key to it")).with_hint(Hint::RemoveSecret)
        );
    }
    let has_secret = has_secret || writer.is_lost(fingerprint)?;
    if !writer.forget(fingerprint)? {
        return Err(Error::no_key(format!("key {fingerprint}: no certificate here")));
    }
    Ok(has_secret)
}

/// Whether another stored certificate has the same secret key.
fn is_held_twice(writer: Writer<'_>, record: &Record) -> Result<bool> {
    let format = format::of(record.protocol())?;
    for other in writer.with_secrets(record.protocol())? {
        let other = Handle::parse(&other)?;
        if other != *record.fingerprint()
            && let Some(other) = writer.record(&other)?
            && format.share_key(&other, record)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}
