//! The operations of one key on a token.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cryptoki::{
    error::Error as Failed,
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        elliptic_curve::{EcKdf, Ecdh1DeriveParams},
        rsa::{PkcsOaepParams, PkcsOaepSource, PkcsPssParams},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};

use super::{
    Pins,
    failure::Failure,
    module::{Module, Place},
    object::pss_hash,
};
use crate::{
    base::{Error, Result, Secret},
    crypto::{KeyAlgorithm, PublicParts, RawRsa, Scheme, SecretKey, Unwrap},
    keys::{TokenKey, TokenUri},
};

/// What became of an operation that reached the token.
enum Answer<T> {
    Done(T),
    /// The key refuses what it was asked.
    Refused,
    /// The token does not do this at all, for this reason.
    Unsupported(String),
}

/// A private key on a token.
pub(super) struct KeyOnToken {
    module: Arc<Module>,
    pins: Arc<dyn Pins>,
    uri: TokenUri,
    token: TokenUri,
    public: PublicParts,
    /// Of an RSA key.
    padding: Option<RawRsa>,
    /// The token refused a raw operation before.
    is_padding_there: AtomicBool,
}

impl KeyOnToken {
    pub(super) fn new(module: Arc<Module>, pins: Arc<dyn Pins>, key: &TokenKey) -> KeyOnToken {
        let padding = match &key.public {
            PublicParts::Rsa { n, .. } => Some(RawRsa::new(&key.rejection, n)),
            _ => None,
        };
        let (uri, token, public) = (key.uri.clone(), key.uri.token(), key.public.clone());
        KeyOnToken { module, pins, uri, token, public, padding, is_padding_there: AtomicBool::new(false) }
    }

    fn run<T>(&self, work: impl Fn(&Session, ObjectHandle) -> Result<T, Failed>) -> Result<Answer<T>> {
        let place = Place { uri: &self.uri, token: &self.token, public: Some(&self.public), pins: self.pins.as_ref() };
        match self.module.with_key(&place, work) {
            Ok(done) => Ok(Answer::Done(done)),
            Err(Failure::Refused) => Ok(Answer::Refused),
            Err(Failure::Unsupported(why)) => Ok(Answer::Unsupported(why)),
            Err(other) => Err(other.error(self.uri.title())),
        }
    }

    /// The answer to what a stranger sent; `None` when the key refuses it. That the token does not do such things at all is no fault of the message:
    /// it is an error of this machine.
    fn answered<T>(&self, answer: Answer<T>, what: &str) -> Result<Option<T>> {
        match answer {
            Answer::Done(done) => Ok(Some(done)),
            Answer::Refused => Ok(None),
            Answer::Unsupported(why) => {
                let (title, name) = (self.uri.title(), self.algorithm().name());
                Err(Error::inaccessible(format!("{title}: its {name} key does not {what}: {why}")))
            }
        }
    }

    /// RSA by a token that removes the padding itself: it says whether the padding was right, so nothing else may.
    fn decrypt_there(&self, padding: &RawRsa, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Option<Secret>> {
        if let Unwrap::RsaOaep { hash, mgf, label } = unwrap {
            let Some(((hash, _), (_, mgf))) = pss_hash(hash).zip(pss_hash(mgf)) else { return Ok(None) };
            let source = if label.is_empty() { PkcsOaepSource::empty() } else { PkcsOaepSource::data_specified(label) };
            let mechanism = Mechanism::RsaPkcsOaep(PkcsOaepParams::new(hash, mgf, source));
            let answer = self.run(|session, key| session.decrypt(&mechanism, key, wrapped))?;
            return Ok(self.answered(answer, "decrypt")?.map(Secret::new));
        }
        // Made before the outcome is known, so that it takes its time in every case.
        let instead = padding.substitute(wrapped);
        // An error of the module is an answer here and no reason to ask again: the time of a second try would tell the first one's outcome.
        let answer = self.run(|session, key| match session.decrypt(&Mechanism::RsaPkcs, key, wrapped) {
            Err(failed) if matches!(Failure::of(&failed), Failure::Lost(_) | Failure::Unsupported(_)) => Err(failed),
            answer => Ok(answer.ok()),
        })?;
        let answer = self.answered(answer, "decrypt")?.flatten();
        // Whether the token is there is asked in every case: when it is gone, that is no wrong padding.
        self.run(|session, key| session.get_attributes(key, &[AttributeType::Class]))?;
        Ok(Some(answer.map_or(instead, Secret::new)))
    }
}

impl SecretKey for KeyOnToken {
    fn algorithm(&self) -> KeyAlgorithm {
        self.public.algorithm()
    }

    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        let algorithm = self.algorithm();
        let unserved = || algorithm.refuses(format_args!("sign with {scheme:?}").to_string().to_lowercase());
        let misfit = || algorithm.refuses(format_args!("sign a digest of {} octets", digest.len()));
        let (mechanism, input, length) = match (&self.public, scheme) {
            (PublicParts::Rsa { n, .. }, Scheme::RsaPkcs1(hash)) => {
                (Mechanism::RsaPkcs, RawRsa::digest_info(hash, digest).ok_or_else(misfit)?, n.len())
            }
            (PublicParts::Rsa { n, .. }, Scheme::RsaPss { hash, mgf, salt }) => {
                let ((hash_alg, _), (_, mgf)) = pss_hash(hash).zip(pss_hash(mgf)).ok_or_else(unserved)?;
                let s_len = u64::try_from(salt).map_err(|_| unserved())?.into();
                if digest.len() != hash.length() {
                    return Err(misfit());
                }
                (Mechanism::RsaPkcsPss(PkcsPssParams { hash_alg, mgf, s_len }), digest.to_vec(), n.len())
            }
            (PublicParts::Elliptic { curve, .. }, Scheme::Ecdsa(_)) => {
                // The leftmost octets, as many as the order has (FIPS 186-5, section 6.4.1): not every token cuts them.
                let kept = digest.get(..curve.length()).unwrap_or(digest);
                (Mechanism::Ecdsa, kept.to_vec(), 2 * curve.length())
            }
            (PublicParts::Ed25519(_), Scheme::EdDsa) => {
                (Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)), digest.to_vec(), 64)
            }
            _ => return Err(unserved()),
        };
        let Answer::Done(signed) = self.run(|session, key| session.sign(&mechanism, key, &input))? else {
            return Err(unserved());
        };
        let missing = length.checked_sub(signed.len()).ok_or_else(misfit)?;
        match self.public {
            // A number: leading zeros may be left out.
            PublicParts::Rsa { .. } => Ok([vec![0; missing], signed].concat()),
            _ if missing == 0 => Ok(signed),
            _ => Err(misfit()),
        }
    }

    fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Secret> {
        let refused = || self.algorithm().refuses("decrypt what was not encrypted to it");
        let Some(padding) = &self.padding else { return Err(self.algorithm().refuses("decrypt")) };
        if !padding.takes(wrapped) {
            return Err(refused());
        }
        if !self.is_padding_there.load(Ordering::Relaxed) {
            let encoded = self.run(|session, key| session.decrypt(&Mechanism::RsaX509, key, wrapped))?;
            if let Answer::Done(encoded) = encoded {
                return padding.unpad(unwrap, Secret::new(encoded), wrapped).ok_or_else(refused);
            }
            // Nothing of the ciphertext can be at fault: it is a number below the modulus.
            self.is_padding_there.store(true, Ordering::Relaxed);
        }
        self.decrypt_there(padding, unwrap, wrapped)?.ok_or_else(refused)
    }

    fn agree(&self, peer: &[u8]) -> Result<Secret> {
        let (length, octets) = match &self.public {
            PublicParts::Elliptic { curve, .. } => (curve.length(), 2 * curve.length() + 1),
            PublicParts::X25519(_) => (32, 32),
            _ => return Err(self.algorithm().refuses("agree on a secret")),
        };
        let refused = || self.algorithm().refuses("agree with a point that is not of its curve");
        if peer.len() != octets {
            return Err(refused());
        }
        let Ok(value_length) = u64::try_from(length) else { return Err(refused()) };
        let shared = self.run(|session, key| {
            let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), peer));
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::GENERIC_SECRET),
                Attribute::Token(false),
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
                Attribute::ValueLen(value_length.into()),
            ];
            let derived = session.derive_key(&mechanism, key, &template)?;
            let value = session.get_attributes(derived, &[AttributeType::Value]);
            session.destroy_object(derived)?;
            Ok(value?.into_iter().find_map(|attribute| match attribute {
                Attribute::Value(octets) => Some(octets),
                _ => None,
            }))
        });
        let shared = self.answered(shared?, "agree on a secret")?.flatten();
        let shared = Secret::new(shared.ok_or_else(refused)?);
        let missing = length.checked_sub(shared.expose().len()).ok_or_else(refused)?;
        // A point of low order forces the secret to zero (RFC 7748, section 6.1).
        if shared.expose().iter().fold(0, |all, octet| all | octet) == 0 {
            return Err(refused());
        }
        if missing == 0 {
            return Ok(shared);
        }
        let mut whole = vec![0; missing];
        whole.extend_from_slice(shared.expose());
        Ok(Secret::new(whole))
    }
}

impl fmt::Debug for KeyOnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyOnToken({}, {})", self.algorithm().name(), self.uri)
    }
}
