//! Private keys in RIPEM's format: PKCS#8 with the password-based encryption of PKCS#5, version 1.5 (RFC 8018, appendix
//! A.3).

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use const_oid::db::rfc5912;
use der::{
    AnyRef, Decode, Sequence, Tag, Tagged,
    asn1::{ObjectIdentifier, OctetStringRef, UintRef},
};

use crate::{
    base::{Budget, Error, Hint, Limits, Result, Secret},
    crypto::{Cipher, Hash, RsaComponents, SecretKey, SoftwareKey, cbc_decrypt, pbkdf1, pbkdf1_cost},
    keys::{Handle, Locked, Passphrases, Record},
};

/// The private key of one record, unlocked when needed.
pub struct LockedKey {
    fingerprint: Handle,
    title: String,
    octets: Secret,
    passphrases: Arc<Passphrases>,
    limits: Limits,
    opened: Mutex<Option<Arc<dyn SecretKey>>>,
}

impl LockedKey {
    /// Takes PKCS#8 in DER, encrypted or not, as in [`Described::secret`](crate::protocol::Described::secret).
    pub fn new(record: &Record, octets: Secret, passphrases: Arc<Passphrases>, limits: &Limits) -> LockedKey {
        let fingerprint = record.fingerprint().clone();
        let title = match record.claimed().first() {
            Some(address) => format!("key {fingerprint} of {address}"),
            None => format!("key {fingerprint}"),
        };
        LockedKey { fingerprint, title, octets, passphrases, limits: limits.clone(), opened: Mutex::default() }
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
        let parts = open(&self.octets, &self.title, &self.passphrases, &mut budget)?;
        let key: Arc<dyn SecretKey> = Arc::new(SoftwareKey::rsa(&parts)?);
        *opened = Some(Arc::clone(&key));
        Ok(Some(key))
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedKey({})", self.fingerprint)
    }
}

/// Unlocks the RSA key in a PrivateKeyInfo or an EncryptedPrivateKeyInfo. An error of kind `NoKey` if no passphrase
/// fits, `Malformed` if it cannot be read or exceeds `budget`.
pub(super) fn open(
    octets: &Secret,
    title: &str,
    passphrases: &Passphrases,
    budget: &mut Budget,
) -> Result<RsaComponents> {
    if let Ok(parts) = components(octets.expose()) {
        return Ok(parts);
    }
    let unreadable = |_| Error::malformed(title, "not an RSA private key encrypted as in PKCS#5");
    let locked = EncryptedPrivateKeyInfo::from_der(octets.expose()).map_err(unreadable)?;
    let found = ENCRYPTIONS.into_iter().find(|(kind, _)| *kind == locked.algorithm.kind);
    let (_, hash) = found
        .ok_or_else(|| Error::unavailable(format!("{title}: encrypted by {}: not known", locked.algorithm.kind)))?;
    let parameters = locked.algorithm.parameters;
    let named = |error: Error| Error::new(error.kind(), format!("{title}: {error}"));
    let opened = passphrases.open(title, |passphrase| {
        budget.derivation(pbkdf1_cost(hash, parameters.iterations)).map_err(named)?;
        let derived = pbkdf1(hash, passphrase, parameters.salt.as_bytes(), parameters.iterations, 16)?;
        let (key, iv) = derived.expose().split_at_checked(8).unwrap_or_default();
        let mut plain = locked.octets.as_bytes().to_vec();
        let decrypted = cbc_decrypt(Cipher::Des, &Secret::new(key.to_vec()), iv, &mut plain);
        let plain = Secret::new(plain);
        Ok(decrypted.ok().and_then(|()| components(plain.expose()).ok()))
    })?;
    opened.ok_or_else(|| Error::no_key(format!("{title}: no passphrase fits")).with_hint(Hint::Passphrase))
}

/// Reads a PrivateKeyInfo (RFC 5208, section 5) with the algorithm rsaEncryption, or rsa of X.509 (1988).
fn components(octets: &[u8]) -> der::Result<RsaComponents> {
    let info = PrivateKeyInfo::from_der(octets)?;
    let algorithm = ObjectIdentifier::from_der(first(info.algorithm.value())?)?;
    if ![RSA_ENCRYPTION, RSA_1988].contains(&algorithm) {
        return Err(Tag::ObjectIdentifier.value_error().into());
    }
    let key = RsaPrivateKey::from_der(info.key.as_bytes())?;
    let secret = |number: UintRef<'_>| Secret::new(number.as_bytes().to_vec());
    Ok(RsaComponents {
        n: key.n.as_bytes().to_vec(),
        e: key.e.as_bytes().to_vec(),
        d: secret(key.d),
        p: secret(key.p),
        q: secret(key.q),
        q_inverse: None,
    })
}

/// The first of several elements.
fn first(elements: &[u8]) -> der::Result<&[u8]> {
    let mut reader = der::SliceReader::new(elements)?;
    der::Reader::tlv_bytes(&mut reader)
}

/// PrivateKeyInfo (RFC 5208, section 5), without its attributes.
struct PrivateKeyInfo<'a> {
    algorithm: AnyRef<'a>,
    key: &'a OctetStringRef,
}

impl<'a> PrivateKeyInfo<'a> {
    fn from_der(octets: &'a [u8]) -> der::Result<Self> {
        let whole = AnyRef::from_der(octets)?;
        whole.tag().assert_eq(Tag::Sequence)?;
        let mut fields = der::SliceReader::new(whole.value())?;
        let _version: u8 = der::Reader::decode(&mut fields)?;
        let algorithm: AnyRef<'a> = der::Reader::decode(&mut fields)?;
        let key = der::Reader::decode(&mut fields)?;
        Ok(PrivateKeyInfo { algorithm, key })
    }
}

/// EncryptedPrivateKeyInfo (RFC 5208, section 6).
#[derive(Sequence)]
struct EncryptedPrivateKeyInfo<'a> {
    algorithm: Encryption<'a>,
    octets: &'a OctetStringRef,
}

#[derive(Sequence)]
struct Encryption<'a> {
    kind: ObjectIdentifier,
    parameters: PbeParameter<'a>,
}

/// PBEParameter (RFC 8018, appendix A.3).
#[derive(Clone, Copy, Sequence)]
struct PbeParameter<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
}

/// RSAPrivateKey (RFC 8017, appendix A.1.2).
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    n: UintRef<'a>,
    e: UintRef<'a>,
    d: UintRef<'a>,
    p: UintRef<'a>,
    q: UintRef<'a>,
    d_p: UintRef<'a>,
    d_q: UintRef<'a>,
    q_inverse: UintRef<'a>,
}

const RSA_ENCRYPTION: ObjectIdentifier = rfc5912::RSA_ENCRYPTION;
/// RFC 1423, section 4.1.1.
const RSA_1988: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.8.1.1");
/// RFC 8018, appendix A.3: DES in CBC mode with a key derived by this hash.
const ENCRYPTIONS: [(ObjectIdentifier, Hash); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.1"), Hash::Md2),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.3"), Hash::Md5),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.10"), Hash::Sha1),
];
