//! Decides everything before the first octet is written: signers, recipients, algorithms.

use std::{collections::HashSet, time::SystemTime};

use super::{
    capabilities::Known,
    encrypt::Readers,
    record,
    select::{Chosen, MessageKeys, SigningKey},
    sign::Signers,
};
use crate::{
    base::{Error, Hint, Result},
    mail::{Address, Part},
    pki::Certificate,
    protocol::{
        Context, Recipient, Seal, Sealed,
        blind::{self, Blind},
        unfit::Missing,
    },
};

/// The plan for sealing a message, with every key found and unlocked.
pub(super) struct Plan {
    /// The signers.
    pub(super) signers: Option<Signers>,
    /// The recipients.
    pub(super) readers: Option<Readers>,
    /// What was done and what to warn about.
    pub(super) sealed: Sealed,
}

impl Plan {
    /// Takes the keys for `how` from `found`. Refuses (kind `NoKey`) if any is missing or unusable, and (kind `Usage`) if an algorithm is
    /// weak and not admitted.
    pub(super) fn new(root: Part<'_>, how: &Seal, found: &MessageKeys, context: Context<'_>) -> Result<Self> {
        let at = how.at.unwrap_or_else(|| context.clock.now());
        let mut sealed = Sealed::default();
        let signers = signers(root, how, found, at, context, &mut sealed)?;
        let readers = readers(root, how, found, context, &mut sealed)?;
        if signers.is_none() && readers.is_none() {
            return Err(Error::usage("neither a signer nor a recipient is given"));
        }
        Ok(Plan { signers, readers, sealed })
    }
}

fn signers(
    root: Part<'_>,
    how: &Seal,
    found: &MessageKeys,
    at: SystemTime,
    context: Context<'_>,
    sealed: &mut Sealed,
) -> Result<Option<Signers>> {
    let mut keys: Vec<SigningKey> = Vec::new();
    for signer in &how.sign {
        let signing = found.signer(signer, root)?;
        if keys.iter().all(|other| other.certificate.der() != signing.certificate.der()) {
            sealed.signed_by(record::fingerprint(&signing.certificate).to_string());
            keys.push(signing.clone());
        }
    }
    if keys.is_empty() {
        return Ok(None);
    }
    Signers::new(keys, how.digest, how.padding, at, context.legacy).map(Some)
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
    sealed.warnings.extend(blind::bcc_warning(root));
    let blind = Blind::of(root);
    let mut people: Vec<(Certificate, Option<Known>)> = Vec::new();
    let mut seen: HashSet<[u8; 32]> = HashSet::new();
    let mut missing = Missing::default();
    for (place, recipient) in how.readers().enumerate() {
        let address = match recipient {
            Recipient::Hidden(address) => return Err(unhidden(address)),
            // A single recipient sees only their own name.
            Recipient::Named(address) if blind.hides(address) && is_among_others(how, address) => {
                return Err(unhidden(address));
            }
            Recipient::Named(address) => address,
        };
        let Some(Chosen { certificate, warning, known, .. }) = missing.found(found.recipient(address)) else {
            continue;
        };
        if let Some(warning) = warning {
            let key = record::fingerprint(certificate).to_string();
            sealed.warnings.push(warning.clone());
            sealed.hints.push(Hint::ConfirmKey { key, address: address.to_string() });
        }
        let reads = known.words().map(|words| format!(" ({words})")).unwrap_or_default();
        sealed.encrypted_to(address, record::fingerprint(certificate).to_string(), &reads);
        if seen.insert(certificate.fingerprint()) {
            // The further readers come last.
            let has_say = place < how.to.len();
            people.push((certificate.clone(), has_say.then(|| known.clone())));
        }
    }
    missing.refuse()?;
    if !how.passwords.is_empty() {
        sealed.did.push(format!("encrypted to {} passwords", how.passwords.len()));
    }
    Readers::new(people, how, context.legacy).map(Some)
}

fn is_among_others(how: &Seal, address: &Address) -> bool {
    how.to.iter().any(|one| !matches!(one, Recipient::Named(other) | Recipient::Hidden(other) if other == address))
}

/// The error for a hidden recipient: every RecipientInfo names its recipient's certificate (RFC 5652, section 6.2).
fn unhidden(address: &Address) -> Error {
    Error::usage(format!("{address}: cannot be hidden from the others: S/MIME names every recipient"))
        .with_hint(format!("seal a copy for {address} alone"))
}
