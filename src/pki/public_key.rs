//! Public keys and signature algorithms as X.509 and CMS write them (RFC 3279, 4055, 5480, 5758, 8410).

use crate::{
    base::Result,
    crypto::{self, Hash, KeyAlgorithm, Strength, Unverified},
};

/// A SubjectPublicKeyInfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {}

impl PublicKey {
    /// Reads DER.
    pub fn parse(_spki: &[u8]) -> Result<PublicKey> {
        todo!()
    }
    /// The SubjectPublicKeyInfo as it was.
    pub fn der(&self) -> &[u8] {
        todo!()
    }
    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        todo!()
    }
    /// For crypto/. An error of kind `Unavailable` names an algorithm that nobody here knows.
    pub fn as_crypto(&self) -> Result<crypto::PublicKey<'_>> {
        todo!()
    }
}

/// An AlgorithmIdentifier that signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {}

impl SignatureAlgorithm {
    /// Reads an AlgorithmIdentifier. `digest` is the hash that goes with a bare key algorithm such as rsaEncryption, as CMS has it (RFC 5652, section 5.3).
    pub fn parse(_algorithm: &[u8], _digest: Option<Hash>) -> Result<SignatureAlgorithm> {
        todo!()
    }
    /// The hash over the octets; `None` where the algorithm takes the octets themselves (Ed25519, Ed448).
    pub fn hash(&self) -> Option<Hash> {
        todo!()
    }
    /// `rsa2048-sha256`, with `key`.
    pub fn name(&self, _key: &PublicKey) -> String {
        todo!()
    }
    /// Of the digest and the key together.
    pub fn strength(&self, _key: &PublicKey) -> Strength {
        todo!()
    }
    /// Verifies `signature` in the encoding of X.509 and CMS (DER for ECDSA and DSA) over `digest` (the octets themselves where there is no hash).
    pub fn verify(&self, _key: &PublicKey, _digest: &[u8], _signature: &[u8]) -> std::result::Result<(), Unverified> {
        todo!()
    }
}
