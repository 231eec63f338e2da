//! Chooses the certificate for an address, a use and a time, by the rule of [`crate::protocol::select`]. OpenPGP has no
//! authorities here.

use std::{sync::Arc, time::SystemTime};

use sequoia_openpgp::{
    Cert,
    packet::{
        Key,
        key::{PublicParts, UnspecifiedRole},
    },
};

use super::{
    cert::{self, Usage},
    revocation, suite,
    wishes::Wishes,
    words,
};
use crate::{
    base::{Error, KeyForm, Result},
    crypto::{Legacy, SecretKey},
    keys::{Forms, Handle, KeyState, Keys, ProtocolName, Purpose, Query, Record, Source, Want},
    mail::Address,
    protocol::{
        Context, Role,
        resolved::{Keyring, Usable},
        select::{self, Authority, Copies, Names, Served, Wanted, Words},
        unfit::{Refusal, Unfit},
    },
};

/// The keys of one message.
pub(super) type MessageKeys = Keyring<Chosen, SigningKey>;

/// A certificate to encrypt to, and its encryption keys.
#[derive(Clone)]
pub(super) struct Chosen {
    /// The certificate.
    pub(super) cert: Arc<Cert>,
    /// Its encryption keys, newest first; at least one.
    pub(super) keys: Vec<Key<PublicParts, UnspecifiedRole>>,
    /// What its owner can read.
    pub(super) wishes: Wishes,
    /// What ties it to the address.
    pub(super) tie: Source,
    /// A warning about the choice.
    pub(super) warning: Option<String>,
    /// That the certificate may be revoked, by a key that is not here.
    pub(super) doubt: Option<String>,
}

/// A key to sign with.
#[derive(Clone)]
pub(super) struct SigningKey {
    /// The public part.
    pub(super) key: Key<PublicParts, UnspecifiedRole>,
    /// The private part.
    pub(super) secret: Arc<dyn SecretKey>,
}

impl Usable for Chosen {
    fn state(&self) -> KeyState {
        let (key, warning) = (cert::handle(&self.cert.fingerprint()), self.warning.clone());
        let quantum_safe = self.keys.iter().all(|key| suite::key_algorithm(key).is_quantum_safe());
        KeyState::Usable { key, source: self.tie, warning, note: None, quantum_safe, forms: self.wishes.forms }
    }
}

impl Usable for SigningKey {
    fn state(&self) -> KeyState {
        let key = cert::handle(&self.key.fingerprint());
        let quantum_safe = suite::key_algorithm(&self.key).is_quantum_safe();
        KeyState::Usable { key, source: Source::Owner, warning: None, note: None, quantum_safe, forms: Forms::ALL }
    }
}

/// The key to encrypt to for each of `all`, with the errors of [`select::choose`].
pub(super) fn recipients(all: &[Names], at: SystemTime, context: Context<'_>) -> Vec<Result<Result<Chosen, Refusal>>> {
    all.iter().map(|names| recipient(names, at, context)).collect()
}

fn recipient(names: &Names, at: SystemTime, context: Context<'_>) -> Result<Result<Chosen, Refusal>> {
    let (keys, legacy) = (context.keys, context.legacy);
    let find = |address: &Address| candidates(keys, Role::Recipient, address);
    let (address, candidates) = select::of_mailbox(names, Role::Recipient, &mut (), find)?;
    let wanted = Wanted { address, role: Role::Recipient, words: WORDS };
    let chosen = select::choose(wanted, &candidates, &mut (), |candidate| {
        Ok(candidate.usable(Usage::Encrypt, address, at, legacy, keys).into())
    })?;
    let select::Chosen { key: (cert, usable), tie, warning, .. } = match chosen {
        Ok(chosen) => chosen,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let doubt = revocation::doubt(cert, at, keys)?;
    let wishes = Wishes::of(cert, &usable, at, legacy);
    Ok(Ok(Chosen { cert: Arc::clone(cert), keys: usable, wishes, tie, warning, doubt }))
}

/// The key to sign with for `address`.
///
/// # Errors
///
/// As [`select::choose`].
pub(super) fn signer_for(names: &Names, at: SystemTime, context: Context<'_>) -> Result<Result<SigningKey, Refusal>> {
    let (keys, legacy) = (context.keys, context.legacy);
    let find = |address: &Address| {
        let mut found = candidates(keys, Role::Signer, address)?;
        // A key whose secret part is elsewhere is reported, not skipped.
        found.iter_mut().for_each(|candidate| candidate.elsewhere = elsewhere(keys, &candidate.copies));
        Ok(found)
    };
    let (address, candidates) = select::of_mailbox(names, Role::Signer, &mut (), find)?;
    let wanted = Wanted { address, role: Role::Signer, words: WORDS };
    let serve = |candidate: &Candidate| match candidate.usable(Usage::Sign, address, at, legacy, keys) {
        Err(why) => Ok(Served::Unfit(why)),
        Ok((_, usable)) => with_secret(keys, &candidate.copies, usable),
    };
    Ok(select::choose(wanted, &candidates, &mut (), serve)?.map(|chosen| chosen.key))
}

/// The key to sign with that `handle` names: a certificate by its primary key, or one subkey.
pub(super) fn signer_named(
    handle: &Handle,
    at: SystemTime,
    context: Context<'_>,
) -> Result<Result<SigningKey, Refusal>> {
    let (keys, legacy) = (context.keys, context.legacy);
    let copies =
        match Copies::named(handle, keys.find(ProtocolName::Pgp, &Query::new(Purpose::Sign, Want::Handle(handle)))?) {
            Ok(copies) => copies,
            Err(refusal) => return Ok(Err(refusal)),
        };
    let cert = merged(&copies)?;
    let refuse = |why: &str| Refusal::missing(format!("key {}: {why}", cert.fingerprint().to_hex()));
    let mut usable = match cert::usable(&cert, Usage::Sign, at, legacy, keys) {
        Ok(usable) => usable,
        Err(why) => return Ok(Err(refuse(&why.to_string()))),
    };
    if !copies.fingerprint().is_named_by(handle) {
        usable.retain(|key| cert::handle(&key.fingerprint()).is_named_by(handle));
        if usable.is_empty() {
            let hint = format!("give its certificate: {}", copies.fingerprint());
            return Ok(Err(Refusal::missing(format!("key {handle}: not a usable signing key")).with_hint(hint)));
        }
    }
    Ok(with_secret(keys, &copies, usable)?.only(refuse))
}

/// A certificate and its keys that are usable for the role, newest first; at least one.
type UsableKeys<'c> = (&'c Arc<Cert>, Vec<Key<PublicParts, UnspecifiedRole>>);

/// A certificate that was found for an address.
struct Candidate {
    copies: Copies,
    /// The certificate, or why it cannot be read.
    cert: Result<Arc<Cert>>,
    /// Where the secret part is, if it is not here and this is known. Determined only for signing.
    elsewhere: Option<String>,
}

impl Candidate {
    /// The certificate and its usable keys for `usage` at `at`; otherwise the reason, worded to follow its name.
    fn usable(
        &self,
        usage: Usage,
        address: &Address,
        at: SystemTime,
        legacy: Legacy,
        keys: &dyn Keys,
    ) -> Result<UsableKeys<'_>, Unfit> {
        let cert = self.cert.as_ref().map_err(|error| format!("cannot be read: {error}"))?;
        let usable = cert::usable(cert, usage, at, legacy, keys)?;
        if !self.copies.is_named_for(address) && !cert::certified(cert, at, legacy, keys).contains(address) {
            return Err("its user id is not valid".to_owned().into());
        }
        Ok((cert, usable))
    }
}

impl select::Candidate<()> for Candidate {
    fn copies(&self) -> &Copies {
        &self.copies
    }

    fn made(&self) -> Option<SystemTime> {
        self.cert.as_ref().ok().map(|cert| cert.primary_key().key().creation_time())
    }

    fn may_sign(&self) -> bool {
        self.copies.has_secrets() || self.elsewhere.is_some()
    }

    fn authority(&self, (): &mut ()) -> Result<Authority> {
        Ok(Authority::Silent(None))
    }
}

fn candidates(keys: &dyn Keys, role: Role, address: &Address) -> Result<Vec<Candidate>> {
    let found = Copies::grouped(keys.find(ProtocolName::Pgp, &Query::new(role.purpose(), Want::Address(address)))?);
    Ok(found.into_iter().map(|copies| Candidate { cert: merged(&copies), copies, elsewhere: None }).collect())
}

/// Merges the copies of one certificate, so that a revocation or an expiry in any of them counts.
pub(super) fn merged(copies: &Copies) -> Result<Arc<Cert>> {
    let mut merged: Option<Arc<Cert>> = None;
    for record in copies.records() {
        let cert = cert::parse(record)?;
        merged = Some(match merged {
            None => cert,
            Some(other) if Arc::ptr_eq(&other, &cert) => other,
            Some(other) => {
                let both = Cert::clone(&other).merge_public(Cert::clone(&cert));
                Arc::new(both.map_err(|error| {
                    Error::malformed(format!("key {}", record.fingerprint()), words::reason(&error))
                })?)
            }
        });
    }
    merged.ok_or_else(|| Error::no_key(format!("key {}: not found", copies.fingerprint())))
}

fn with_secret(
    keys: &dyn Keys,
    copies: &Copies,
    usable: Vec<Key<PublicParts, UnspecifiedRole>>,
) -> Result<Served<SigningKey>> {
    for key in usable {
        for record in copies.with_secrets() {
            match select::secret(keys, record, &cert::handle(&key.fingerprint()))? {
                Ok(Some(secret)) => return Ok(Served::Key(SigningKey { key, secret })),
                Ok(None) => {}
                Err(refusal) => return Ok(Served::Locked(refusal)),
            }
        }
    }
    let why = elsewhere(keys, copies).unwrap_or_else(|| "the secret part of its signing key is missing".to_owned());
    Ok(Served::Unfit(why.into()))
}

/// Where the missing secret part of a key is, for instance on a smart card. `None` if unknown.
fn elsewhere(keys: &dyn Keys, copies: &Copies) -> Option<String> {
    copies.records().iter().find_map(|record: &Arc<Record>| {
        let mut absent = record.handles().iter().filter(|handle| !record.secrets().contains(handle));
        absent.find_map(|handle| keys.secret(record, handle).err()).map(|error| error.to_string())
    })
}

const WORDS: Words = Words { noun: "key", kind: "", signing: KeyForm::OpenPgp };
