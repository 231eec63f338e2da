//! Decrypts ENCRYPTED messages with the key of a recipient (RFC 1421, section 4.6.1.1.1).

use std::collections::BTreeSet;

use super::{
    header::{Header, KeyInfo},
    record::{Candidate, Named, rsa},
    shared::{InterchangeKey, two_keys},
};
use crate::{
    base::{Budget, Error, Hint, Result, Secret},
    crypto::{Cipher, Unwrap, cbc_decrypt, unless_refused},
    keys::{Handle, ProtocolName, Purpose, Query, Want},
    mail::encoding::base64_decode,
    protocol::{Context, undecryptable},
};

/// A decrypted message.
pub(super) struct Decrypted {
    /// The text in canonical form.
    pub(super) canonical: Vec<u8>,
    /// The header with its signatures decrypted. A signature that does not decrypt is empty, and fails to verify.
    pub(super) header: Header,
    /// The cipher of the text.
    pub(super) cipher: Cipher,
    /// The error for a failed integrity check. It equals the error for wrong padding, because an attacker who can tell
    /// them apart can decrypt (Vaudenay 2002).
    pub(super) refusal: Error,
}

/// Decrypts `encapsulated`, the text of a message with this header.
///
/// An error of kind `NoKey` if no recipient's secret key is available, `Unavailable` if the cipher is unknown.
pub(super) fn opened(
    header: &Header,
    encapsulated: &[u8],
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Decrypted> {
    let info = header.dek_info.as_ref().ok_or_else(|| Error::malformed("pem header", "no DEK-Info"))?;
    let cipher = Cipher::of_pem(&info.algorithm)
        .ok_or_else(|| Error::unavailable(format!("pem message: encrypted by {}: not known", info.algorithm)))?;
    let ciphertext = base64_decode(encapsulated);
    let sealed = Sealed { cipher, iv: &info.parameters, ciphertext: &ciphertext };
    let found = sealed.open(header, context, budget).map_err(Error::within_encryption)?;
    let Found { dek, canonical, refusal } = found;
    let mut header = header.clone();
    for mic in header.originators.iter_mut().filter_map(|one| one.mic_info.as_mut()) {
        // RFC 1421, section 4.6.2.3: with the same key and initialization vector as the text.
        if cbc_decrypt(cipher, &dek, &info.parameters, &mut mic.value).is_err() {
            mic.value.clear();
        }
    }
    Ok(Decrypted { canonical, header, cipher, refusal })
}

/// The data-encrypting key and the text, before the integrity check.
struct Found {
    dek: Secret,
    canonical: Vec<u8>,
    refusal: Error,
}

struct Sealed<'a> {
    cipher: Cipher,
    iv: &'a [u8],
    ciphertext: &'a [u8],
}

impl Sealed<'_> {
    fn open(&self, header: &Header, context: Context<'_>, budget: &mut Budget) -> Result<Found> {
        let (mut locked, mut refusal) = (None, no_recipient());
        let (mut fitting, mut misfit) = (0, None);
        // A person may be asked for one.
        let is_shared = wrapped(header).any(|(_, info)| matches!(info, KeyInfo::Symmetric { .. }));
        let shared = if is_shared { InterchangeKey::all(context)? } else { Vec::new() };
        for (named, info) in wrapped(header) {
            match info {
                KeyInfo::Symmetric { algorithm, dek, .. } => {
                    for key in shared.iter().filter(|key| key.algorithm() == algorithm) {
                        if let Some(dek) = key.decrypt(dek)
                            && let Some((dek, canonical)) = self.decrypt(&dek, budget)
                        {
                            return Ok(Found { dek, canonical, refusal });
                        }
                    }
                }
                KeyInfo::Asymmetric { algorithm, dek } if algorithm == "RSA" => {
                    let meant = meant(named, context)?;
                    if !meant.is_empty() {
                        refusal = undecryptable(ProtocolName::Pem);
                    }
                    for candidate in if meant.is_empty() { all(context)? } else { meant } {
                        budget.unwrapping(candidate.key.algorithm().unwrap_cost())?;
                        match unwrap(&candidate, dek, context) {
                            Ok(Some(dek)) => {
                                match self.key(&dek) {
                                    Some(_) => fitting += 1,
                                    None => misfit = Some(dek.clone()),
                                }
                                // No separate error: it would reveal that the key has the right length (Bleichenbacher
                                // 1998).
                                if fitting <= MAX_KEYS
                                    && let Some((dek, canonical)) = self.decrypt(&dek, budget)
                                {
                                    return Ok(Found { dek, canonical, refusal });
                                }
                            }
                            Ok(None) => {}
                            Err(error) => locked = locked.or(Some(error)),
                        }
                    }
                }
                KeyInfo::Asymmetric { .. } => {}
            }
        }
        if let (0, Some(misfit)) = (fitting, misfit) {
            // Decrypt with a random key, to take the same time as with a key of the right length.
            _ = cbc_decrypt(self.cipher, &misfit, self.iv, &mut self.ciphertext.to_vec());
        }
        Err(locked.unwrap_or(refusal))
    }

    /// The key in the form that the cipher needs; `None` if its length is wrong.
    fn key(&self, dek: &Secret) -> Option<Secret> {
        match (self.cipher, dek.expose().len()) {
            (Cipher::TripleDes, 16) => Some(two_keys(dek)),
            (cipher, length) if length == cipher.key_length() => Some(dek.clone()),
            _ => None,
        }
    }

    /// `None` if the key does not decrypt the text, or the Budget allows no more tries. The two look the same, so that
    /// the number of available keys is not revealed.
    fn decrypt(&self, dek: &Secret, budget: &mut Budget) -> Option<(Secret, Vec<u8>)> {
        let dek = self.key(dek)?;
        budget.deciphered(self.ciphertext.len().saturating_mul(self.cipher.cost())).ok()?;
        let mut text = self.ciphertext.to_vec();
        cbc_decrypt(self.cipher, &dek, self.iv, &mut text).ok()?;
        Some((dek, text))
    }
}

/// Every wrapped key, and the identifier of its recipient.
fn wrapped(header: &Header) -> impl Iterator<Item = (Named<'_>, &KeyInfo)> {
    let own = header.originators.iter().filter_map(|one| {
        let named =
            Named { name: one.name.as_deref(), certificate: one.certificate_id.as_ref(), key: one.key.as_deref() };
        Some((named, one.key_info.as_ref()?))
    });
    let others = header.recipients.iter().filter_map(|one| {
        let named =
            Named { name: one.name.as_deref(), certificate: one.certificate_id.as_ref(), key: one.key.as_deref() };
        Some((named, one.key_info.as_ref()?))
    });
    others.chain(own)
}

/// Available secret keys that the message names.
fn meant(named: Named<'_>, context: Context<'_>) -> Result<Vec<Candidate>> {
    let mut found = named.stored(context.keys)?;
    found.retain(|candidate| candidate.record.as_ref().is_some_and(|record| !record.secrets().is_empty()));
    Ok(distinct(found))
}

/// All available secret keys: PEM allows any name, so an unknown one may mean one of our keys.
fn all(context: Context<'_>) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for protocol in [ProtocolName::Pem, ProtocolName::Smime] {
        let records = context.keys.find(protocol, &Query::new(Purpose::Decrypt, Want::Secrets))?;
        found.extend(
            records
                .iter()
                .filter(|record| !record.secrets().is_empty())
                .filter_map(|record| Candidate::of_record(record).ok()),
        );
    }
    Ok(distinct(found))
}

/// Removes duplicates: a key may be stored both bare and in a certificate.
fn distinct(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen = BTreeSet::new();
    candidates.retain(|candidate| seen.insert(Handle::from_octets(candidate.key.octets())));
    candidates
}

/// The error when no available key is named.
fn no_recipient() -> Error {
    Error::no_key("pem message: no secret key opens it").with_hint(Hint::ImportSecretKey)
}

/// Unwraps a key; `None` if it was wrapped for another recipient. An error if the key is locked or cannot be reached.
fn unwrap(candidate: &Candidate, wrapped: &[u8], context: Context<'_>) -> Result<Option<Secret>> {
    let Some(record) = &candidate.record else { return Ok(None) };
    let Some(handle) = record.secrets().first() else { return Ok(None) };
    let Some(secret) = context.keys.secret(record, handle)? else { return Ok(None) };
    let length = rsa(&candidate.key)?.0.len();
    if wrapped.len() > length {
        return Ok(None);
    }
    // Leading zero octets of the number may be omitted.
    let mut number = vec![0; length - wrapped.len()];
    number.extend_from_slice(wrapped);
    unless_refused(secret.decrypt(Unwrap::RsaPkcs1, &number))
}

/// Maximum keys of the right length tried on the text. Source: a regular message has one; eight allow for a recipient
/// of several mailing lists.
const MAX_KEYS: usize = 8;
