//! One private-key handle for three protocols.

use std::fmt;

use super::Hash;
use crate::base::{Result, Secret};

/// A private key that works but is never seen. Software keys and PKCS#11 tokens implement it.
///
/// A key refuses what its algorithm cannot do with an [`Error`](crate::base::Error) of kind `NoKey`.
pub trait SecretKey: Send + Sync + fmt::Debug {
    /// What kind of key this is.
    fn algorithm(&self) -> KeyAlgorithm;

    /// Signs a digest.
    ///
    /// The answer is the RSA signature as a big-endian number of the modulus' length; for ECDSA `r || s`, each of
    /// the curve's length; for Ed25519 the 64 octets of RFC 8032; for DSA `r || s`, each of the subgroup order's length.
    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>>;

    /// Undoes RSA encryption (or, for ElGamal, takes `g^k || m*y^k`, each of the modulus' length, and undoes PKCS#1 v1.5).
    fn decrypt(&self, unwrap: Unwrap, wrapped: &[u8]) -> Result<Secret>;

    /// The shared secret with `peer`: an uncompressed point (X9.62, leading 4) answered by its x-coordinate,
    /// or 32 octets (56 for X448) of RFC 7748 answered by as many.
    fn agree(&self, peer: &[u8]) -> Result<Secret>;
}

/// What a private key can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// DSA with a prime of so many bits.
    Dsa(usize),
    /// Elliptic-curve Diffie-Hellman on a Weierstrass curve.
    Ecdh(Curve),
    /// ECDSA.
    Ecdsa(Curve),
    /// Ed25519 of RFC 8032.
    Ed25519,
    /// Ed448 of RFC 8032.
    Ed448,
    /// ElGamal with a prime of so many bits.
    Elgamal(usize),
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// X25519 of RFC 7748.
    X25519,
    /// X448 of RFC 7748.
    X448,
    /// Something else, by name.
    Other(&'static str),
}

/// Weierstrass curves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Curve {
    /// RFC 5639.
    BrainpoolP256,
    /// RFC 5639.
    BrainpoolP384,
    /// RFC 5639.
    BrainpoolP512,
    /// FIPS 186-5.
    P256,
    /// FIPS 186-5.
    P384,
    /// FIPS 186-5.
    P521,
}

/// How a digest is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// DSA (FIPS 186-4).
    Dsa,
    /// ECDSA over a digest made by this hash.
    Ecdsa(Hash),
    /// EdDSA over the digest octets as the message (RFC 9580, section 5.2.3.3).
    EdDsa,
    /// RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2).
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 of the same hash and a salt of its length (RFC 8017, section 8.1).
    RsaPss(Hash),
}

/// How a wrapped key is unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unwrap {
    /// RSAES-OAEP with MGF1 of the same hash and an empty label (RFC 8017, section 7.1).
    RsaOaep(Hash),
    /// RSAES-PKCS1-v1_5 (RFC 8017, section 7.2). Failure must not be told apart from success by time.
    RsaPkcs1,
}
