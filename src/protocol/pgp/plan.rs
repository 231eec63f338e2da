//! Decides everything before the first octet is written: signers, recipients, algorithms.

use std::{collections::HashMap, time::SystemTime};

use sequoia_openpgp::Fingerprint;

use super::{
    encrypt::{Naming, Readers},
    select::{Chosen, MessageKeys, SigningKey},
    sign,
};
use crate::{
    base::{Error, Hint, Result},
    crypto::Hash,
    mail::Part,
    protocol::{
        Context, Recipient, Seal, Sealed,
        blind::{self, Blind},
        unfit::Missing,
    },
};

/// The plan for sealing a message, with every key found and unlocked.
pub(super) struct Plan {
    /// The signers and their digest.
    pub(super) signers: Option<Signers>,
    /// The recipients.
    pub(super) readers: Option<Readers>,
    /// The time of the signatures.
    pub(super) at: SystemTime,
    /// What was done and what to warn about.
    pub(super) sealed: Sealed,
}

/// At least one key, and the digest that all of them use.
pub(super) struct Signers {
    /// In the order requested.
    pub(super) keys: Vec<SigningKey>,
    /// The common digest.
    pub(super) hash: Hash,
}

impl Plan {
    /// Takes the keys for `how` from `found`. Refuses (kind `NoKey`) if any is missing or unusable, and (kind `Usage`) if an algorithm is
    /// weak and not admitted.
    pub(super) fn new(root: Part<'_>, how: &Seal, found: &MessageKeys, context: Context<'_>) -> Result<Self> {
        let at = how.at.unwrap_or_else(|| context.clock.now());
        let mut sealed = Sealed::default();
        let signers = signers(root, how, found, context, &mut sealed)?;
        let readers = readers(root, how, found, context, &mut sealed)?;
        if signers.is_none() && readers.is_none() {
            return Err(Error::usage("neither a signer nor a recipient is given"));
        }
        Ok(Plan { signers, readers, at, sealed })
    }
}

fn signers(
    root: Part<'_>,
    how: &Seal,
    found: &MessageKeys,
    context: Context<'_>,
    sealed: &mut Sealed,
) -> Result<Option<Signers>> {
    let mut keys: Vec<SigningKey> = Vec::new();
    for signer in &how.sign {
        let signing = found.signer(signer, root)?;
        if keys.iter().all(|other| other.key.fingerprint() != signing.key.fingerprint()) {
            sealed.signed_by(signing.key.fingerprint().to_hex());
            keys.push(signing.clone());
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let hash = sign::digest(&keys, how.digest, context.legacy)?;
    Ok(Some(Signers { keys, hash }))
}

fn readers(
    root: Part<'_>,
    how: &Seal,
    found: &MessageKeys,
    context: Context<'_>,
    sealed: &mut Sealed,
) -> Result<Option<Readers>> {
    if !how.encrypts() {
        return Ok(None);
    }
    let blind = Blind::of(root);
    sealed.warnings.extend(blind::bcc_warning(root));
    let mut people: Vec<(Naming, Chosen)> = Vec::new();
    let mut places: HashMap<Fingerprint, usize> = HashMap::new();
    let mut missing = Missing::default();
    for recipient in how.readers() {
        let (naming, address) = match recipient {
            Recipient::Hidden(address) => (Naming::Hidden, address),
            Recipient::Named(address) if blind.hides(address) => (Naming::Hidden, address),
            Recipient::Named(address) => (Naming::Named, address),
        };
        let Some(chosen) = missing.found(found.recipient(address)) else { continue };
        sealed.warnings.extend(chosen.warning.iter().chain(&chosen.doubt).cloned());
        if chosen.warning.is_some() {
            sealed
                .hints
                .push(Hint::ConfirmKey { key: chosen.cert.fingerprint().to_hex(), address: address.to_string() });
        }
        let note = if naming == Naming::Hidden { ", not named in the message" } else { "" };
        sealed.encrypted_to(address, chosen.cert.fingerprint().to_hex(), note);
        let place = *places.entry(chosen.cert.fingerprint()).or_insert(people.len());
        match people.get_mut(place) {
            None => people.push((naming, chosen.clone())),
            // The same key for two recipients, one of them named: the message names it anyway.
            Some((other, _)) if naming == Naming::Named => *other = Naming::Named,
            Some(_) => {}
        }
    }
    missing.refuse()?;
    if !how.passwords.is_empty() {
        sealed.did.push(format!("encrypted to {} passwords", how.passwords.len()));
    }
    Readers::new(people, &how.passwords, how.cipher.as_deref(), context.legacy).map(Some)
}
