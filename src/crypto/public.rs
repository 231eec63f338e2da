//! Public keys that verify, and why a signature does not.

use super::{Curve, KeyAlgorithm, MlDsa, SlhDsa, number::bits};

/// A public key that verifies; numbers are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey<'a> {
    /// DSA of up to 8192 bits.
    Dsa(DsaPublic<'a>),
    /// An uncompressed point (X9.62, leading 4).
    Ecdsa {
        /// The curve it is on.
        curve: Curve,
        /// `4 || x || y`.
        point: &'a [u8],
    },
    /// 32 octets of RFC 8032.
    Ed25519(&'a [u8]),
    /// 57 octets of RFC 8032.
    Ed448(&'a [u8]),
    /// ML-DSA.
    MlDsa {
        /// The parameter set.
        set: MlDsa,
        /// The octets of FIPS 204, section 7.2.
        key: &'a [u8],
    },
    /// SLH-DSA.
    SlhDsa {
        /// The parameter set.
        set: SlhDsa,
        /// The octets of FIPS 205, section 9.1.
        key: &'a [u8],
    },
    /// RSA of any size that a mail may have.
    Rsa {
        /// The modulus.
        n: &'a [u8],
        /// The public exponent.
        e: &'a [u8],
    },
}

impl PublicKey<'_> {
    /// What kind of key this is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        match self {
            PublicKey::Dsa(key) => KeyAlgorithm::Dsa(bits(key.p)),
            PublicKey::Ecdsa { curve, .. } => KeyAlgorithm::Ecdsa(*curve),
            PublicKey::Ed25519(_) => KeyAlgorithm::Ed25519,
            PublicKey::Ed448(_) => KeyAlgorithm::Ed448,
            PublicKey::MlDsa { set, .. } => KeyAlgorithm::MlDsa(*set),
            PublicKey::SlhDsa { set, .. } => KeyAlgorithm::SlhDsa(*set),
            PublicKey::Rsa { n, .. } => KeyAlgorithm::Rsa(bits(n)),
        }
    }
}

/// Why a signature does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// The key cannot be used with the scheme, or neither is served here.
    Algorithm,
    /// The key is no key: a point off the curve, an even modulus, ...
    Key,
    /// The signature was not made by this key over this digest.
    Signature,
}

/// The numbers of a DSA public key, big-endian (FIPS 186-4, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DsaPublic<'a> {
    /// The prime.
    pub p: &'a [u8],
    /// The subgroup's order.
    pub q: &'a [u8],
    /// The generator.
    pub g: &'a [u8],
    /// The public number.
    pub y: &'a [u8],
}
