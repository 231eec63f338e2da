//! Derives the key that wraps a content key from the shared secret of two elliptic-curve keys (RFC 5753, section 7; RFC
//! 8418, section 2).

use const_oid::db::rfc5753;
use der::{Encode, asn1::ObjectIdentifier};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{encode, suite};
use crate::{
    base::{Result, Secret},
    crypto::{self, Hash, KeyWrap},
    pki::tlv,
};

/// The key derivation function. Standard and cofactor Diffie-Hellman are the same for the curves used in mail: their
/// cofactor is 1, or RFC 7748 accounts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Derivation {
    /// HKDF (RFC 8418, section 2.2).
    Hkdf(Hash),
    /// The function of X9.63 (RFC 8418, section 2.1; SEC 1, section 3.6.1).
    X963(Hash),
}

impl Derivation {
    /// The derivation for a key agreement algorithm; `None` if unknown.
    pub(super) fn of(oid: ObjectIdentifier) -> Option<Derivation> {
        SCHEMES.iter().find(|(_, known)| *known == oid).map(|(derivation, _)| *derivation)
    }
}

/// The parameters of a key agreement besides the secret.
#[derive(Clone, Debug)]
pub(super) struct Agreement<'a> {
    derivation: Derivation,
    wrap: KeyWrap,
    /// Length in octets of the key that wraps.
    length: usize,
    /// KeyWrapAlgorithm, as in the message.
    algorithm: Vec<u8>,
    /// User keying material.
    ukm: Option<&'a [u8]>,
}

impl<'a> Agreement<'a> {
    /// Reads the keyEncryptionAlgorithm of a KeyAgreeRecipientInfo (RFC 5753, section 7.1.2). `None` if unknown.
    pub(super) fn read(algorithm: &AlgorithmIdentifierRef<'_>, ukm: Option<&'a [u8]>) -> Option<Self> {
        let derivation = Derivation::of(algorithm.oid)?;
        let wrapping = algorithm.parameters?.decode_as::<AlgorithmIdentifierRef<'_>>().ok()?;
        let (wrap, length) = suite::key_wrap(wrapping.oid)?;
        Some(Agreement { derivation, wrap, length, algorithm: wrapping.to_der().ok()?, ukm })
    }

    /// The parameters for sending: AES key wrap without user keying material, because the sender's key is used only
    /// once.
    pub(super) fn new(derivation: Derivation, length: usize) -> Option<Self> {
        let algorithm = encode::algorithm(suite::key_wrap_identifier(KeyWrap::Aes, length)?, &[]);
        Some(Agreement { derivation, wrap: KeyWrap::Aes, length, algorithm, ukm: None })
    }

    /// The keyEncryptionAlgorithm for these parameters.
    pub(super) fn identifier(&self) -> Option<Vec<u8>> {
        let (_, oid) = SCHEMES.iter().find(|(known, _)| *known == self.derivation)?;
        Some(encode::algorithm(*oid, &self.algorithm))
    }

    /// Wraps a content key. An error of kind `NoKey` if its length is not supported.
    pub(super) fn wrap(&self, shared: &Secret, key: &Secret) -> Result<Vec<u8>> {
        self.wrap.wrap(&self.kek(shared)?, key)
    }

    /// Unwraps a content key. Every failure is the same error of kind `NoKey`.
    pub(super) fn unwrap(&self, shared: &Secret, wrapped: &[u8]) -> Result<Secret> {
        self.wrap.unwrap(&self.kek(shared)?, wrapped)
    }

    fn kek(&self, shared: &Secret) -> Result<Secret> {
        let info = self.shared_info();
        match self.derivation {
            Derivation::Hkdf(hash) => crypto::hkdf(hash, self.ukm.unwrap_or_default(), shared, &info, self.length),
            Derivation::X963(hash) => Ok(crypto::x963_kdf(hash, shared, &info, self.length)),
        }
    }

    /// ECC-CMS-SharedInfo (RFC 5753, section 7.2).
    fn shared_info(&self) -> Vec<u8> {
        let bits = u32::try_from(self.length * 8).unwrap_or_default().to_be_bytes();
        let ukm = self.ukm.map(|ukm| encode::value(tlv::constructed(0), &[&encode::octet_string(ukm)]));
        let length = encode::value(tlv::constructed(2), &[&encode::octet_string(&bits)]);
        encode::sequence(&[&self.algorithm, ukm.as_deref().unwrap_or_default(), &length])
    }
}

/// Object identifiers: RFC 5753, section 7.1.4 (standard, then cofactor); RFC 8418, section 7.
const SCHEMES: [(Derivation, ObjectIdentifier); 13] = [
    (Derivation::X963(Hash::Sha1), rfc5753::DH_SINGLE_PASS_STD_DH_SHA_1_KDF_SCHEME),
    (Derivation::X963(Hash::Sha224), rfc5753::DH_SINGLE_PASS_STD_DH_SHA_224_KDF_SCHEME),
    (Derivation::X963(Hash::Sha256), rfc5753::DH_SINGLE_PASS_STD_DH_SHA_256_KDF_SCHEME),
    (Derivation::X963(Hash::Sha384), rfc5753::DH_SINGLE_PASS_STD_DH_SHA_384_KDF_SCHEME),
    (Derivation::X963(Hash::Sha512), rfc5753::DH_SINGLE_PASS_STD_DH_SHA_512_KDF_SCHEME),
    (Derivation::X963(Hash::Sha1), rfc5753::DH_SINGLE_PASS_COFACTOR_DH_SHA_1_KDF_SCHEME),
    (Derivation::X963(Hash::Sha224), rfc5753::DH_SINGLE_PASS_COFACTOR_DH_SHA_224_KDF_SCHEME),
    (Derivation::X963(Hash::Sha256), rfc5753::DH_SINGLE_PASS_COFACTOR_DH_SHA_256_KDF_SCHEME),
    (Derivation::X963(Hash::Sha384), rfc5753::DH_SINGLE_PASS_COFACTOR_DH_SHA_384_KDF_SCHEME),
    (Derivation::X963(Hash::Sha512), rfc5753::DH_SINGLE_PASS_COFACTOR_DH_SHA_512_KDF_SCHEME),
    (Derivation::Hkdf(Hash::Sha256), ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.19")),
    (Derivation::Hkdf(Hash::Sha384), ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.20")),
    (Derivation::Hkdf(Hash::Sha512), ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.21")),
];
