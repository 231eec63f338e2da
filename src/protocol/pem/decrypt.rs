//! Opens ENCRYPTED messages: finds the key of one of its readers, and undoes what it hides (RFC 1421, section 4.6.1.1.1).

use std::collections::BTreeSet;

use super::{
    header::{Header, KeyInfo},
    record::{Candidate, Named, rsa},
    shared::{InterchangeKey, two_keys},
};
use crate::{
    base::{Budget, Error, Result, Secret},
    crypto::{Cipher, Unwrap, cbc_decrypt},
    keys::{Handle, ProtocolName, Want},
    mail::encoding::base64_decode,
    protocol::{Context, undecryptable},
};

/// What was hidden.
pub(super) struct Decrypted {
    /// The text in canonical form.
    pub(super) canonical: Vec<u8>,
    /// The header with its signatures decrypted. One that the key does not decrypt is empty, and verifies for nobody.
    pub(super) header: Header,
    /// What it was hidden by.
    pub(super) cipher: Cipher,
    /// What is said when the integrity check does not hold: the same as when the padding is wrong, because whoever learns which of the two
    /// it was can decrypt with that (Vaudenay 2002).
    pub(super) refusal: Error,
}

/// Decrypts `encapsulated`, the text of a message with that header.
///
/// An error of kind `NoKey` when no secret key here is a reader's, `Unavailable` for a cipher that nobody knows.
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
        // RFC 1421, section 4.6.2.3: under the same key and vector as the text.
        if cbc_decrypt(cipher, &dek, &info.parameters, &mut mic.value).is_err() {
            mic.value.clear();
        }
    }
    Ok(Decrypted { canonical, header, cipher, refusal })
}

/// The data-encrypting key and the text, unless the integrity check refuses it.
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
        let (mut locked, mut refusal) = (None, nobody());
        let (mut fitting, mut misfit) = (0, None);
        let shared = InterchangeKey::all(context)?;
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
                        match unwrapped(&candidate, dek, context) {
                            Ok(Some(dek)) => {
                                match self.key(&dek) {
                                    Some(_) => fitting += 1,
                                    None => misfit = Some(dek.clone()),
                                }
                                // No error of its own: that a key has the right length is what nobody may learn (Bleichenbacher 1998).
                                if fitting <= MOST_KEYS
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
            // As long as with a key of the right length, and in vain: it is replaced by a random one.
            _ = cbc_decrypt(self.cipher, &misfit, self.iv, &mut self.ciphertext.to_vec());
        }
        Err(locked.unwrap_or(refusal))
    }

    /// The key as the cipher takes it; `None` when it has not the length.
    fn key(&self, dek: &Secret) -> Option<Secret> {
        match (self.cipher, dek.expose().len()) {
            (Cipher::TripleDes, 16) => Some(two_keys(dek)),
            (cipher, length) if length == cipher.key_length() => Some(dek.clone()),
            _ => None,
        }
    }

    /// `None` when the key does not decrypt it, or the Budget allows no more tries: to tell the two apart would tell how many keys are here.
    fn decrypt(&self, dek: &Secret, budget: &mut Budget) -> Option<(Secret, Vec<u8>)> {
        let dek = self.key(dek)?;
        budget.deciphered(self.ciphertext.len().saturating_mul(self.cipher.cost())).ok()?;
        let mut text = self.ciphertext.to_vec();
        cbc_decrypt(self.cipher, &dek, self.iv, &mut text).ok()?;
        Some((dek, text))
    }
}

/// Every wrapped key, and what is said of whose it is.
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

/// Keys with a secret half here that are named.
fn meant(named: Named<'_>, context: Context<'_>) -> Result<Vec<Candidate>> {
    let mut found = named.stored(context.keys)?;
    found.retain(|candidate| candidate.record.as_ref().is_some_and(|record| !record.secrets.is_empty()));
    Ok(distinct(found))
}

/// All keys with a secret half here: names are any, so that one that we do not know may be ours.
fn all(context: Context<'_>) -> Result<Vec<Candidate>> {
    let mut found = Vec::new();
    for protocol in [ProtocolName::Pem, ProtocolName::Smime] {
        let records = context.keys.find(protocol, &Want::All)?;
        found.extend(
            records
                .iter()
                .filter(|record| !record.secrets.is_empty())
                .filter_map(|record| Candidate::of_record(record).ok()),
        );
    }
    Ok(distinct(found))
}

/// One key may have a certificate and be here bare too.
fn distinct(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen = BTreeSet::new();
    candidates.retain(|candidate| seen.insert(Handle::from_octets(candidate.key.octets())));
    candidates
}

/// The one answer when it names no key that is here.
fn nobody() -> Error {
    Error::no_key("pem message: no secret key here opens it").with_hint("postseal key import FILE, or --keys FILE")
}

/// The key that was wrapped; `None` when it was wrapped for somebody else.
fn unwrapped(candidate: &Candidate, wrapped: &[u8], context: Context<'_>) -> Result<Option<Secret>> {
    let Some(record) = &candidate.record else { return Ok(None) };
    let Some(handle) = record.secrets.first() else { return Ok(None) };
    let Some(secret) = context.keys.secret(record, handle)? else { return Ok(None) };
    let length = rsa(&candidate.key)?.0.len();
    if wrapped.len() > length {
        return Ok(None);
    }
    // A number whose first octets are zero may come without them.
    let mut number = vec![0; length - wrapped.len()];
    number.extend_from_slice(wrapped);
    Ok(secret.decrypt(Unwrap::RsaPkcs1, &number).ok())
}

/// Keys of the right length that are tried on the text. Source: an honest message has one; eight leave room for a reader of several lists.
const MOST_KEYS: usize = 8;
