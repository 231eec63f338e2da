//! Verification of signatures over a digest.

use aws_lc_rs::{
    digest::{self, Digest},
    rsa::PublicKeyComponents,
    signature::{self, EcdsaVerificationAlgorithm, RsaParameters, UnparsedPublicKey},
};

use super::{
    Curve, Hash, KeyAlgorithm, Scheme,
    legacy::verify_rsa,
    software::{bits, import, trimmed},
};

/// A public key that verifies; numbers are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey<'a> {
    /// An uncompressed point (X9.62, leading 4).
    Ecdsa {
        /// The curve it is on.
        curve: Curve,
        /// `4 || x || y`.
        point: &'a [u8],
    },
    /// 32 octets of RFC 8032.
    Ed25519(&'a [u8]),
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
            PublicKey::Ecdsa { curve, .. } => KeyAlgorithm::Ecdsa(*curve),
            PublicKey::Ed25519(_) => KeyAlgorithm::Ed25519,
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

/// Verifies `signature`, in the form in which [`SecretKey::sign`](super::SecretKey::sign) answers, over `digest`.
///
/// Strength is not judged here: see [`Strength`](super::Strength).
pub fn verify(key: PublicKey<'_>, scheme: Scheme, digest: &[u8], signature: &[u8]) -> Result<(), Unverified> {
    match (key, scheme) {
        (PublicKey::Ecdsa { curve, point }, Scheme::Ecdsa(_)) => {
            let algorithm = ecdsa(curve).ok_or(Unverified::Algorithm)?;
            let digest = import(curve, digest).ok_or(Unverified::Algorithm)?;
            let key = UnparsedPublicKey::new(algorithm, point).parse().map_err(|_| Unverified::Key)?;
            key.verify_digest_sig(&digest, signature).map_err(|_| Unverified::Signature)
        }
        (PublicKey::Ed25519(point), Scheme::EdDsa) => {
            let key = UnparsedPublicKey::new(&signature::ED25519, point).parse().map_err(|_| Unverified::Key)?;
            key.verify_sig(digest, signature).map_err(|_| Unverified::Signature)
        }
        (PublicKey::Rsa { n, e }, Scheme::RsaPkcs1(_) | Scheme::RsaPss(_)) => {
            let Some((parameters, algorithm)) = rsa(scheme, bits(n)) else {
                return verify_rsa(n, e, scheme, digest, signature);
            };
            let digest = Digest::import_less_safe(digest, algorithm).map_err(|_| Unverified::Signature)?;
            let key = PublicKeyComponents { n: trimmed(n), e: trimmed(e) };
            let key = key.to_parsed_public_key(parameters).map_err(|_| Unverified::Key)?;
            key.verify_digest_sig(&digest, signature).map_err(|_| Unverified::Signature)
        }
        _ => Err(Unverified::Algorithm),
    }
}

fn ecdsa(curve: Curve) -> Option<&'static EcdsaVerificationAlgorithm> {
    match curve {
        Curve::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED),
        Curve::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED),
        Curve::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED),
        _ => None,
    }
}

/// What aws-lc takes.
fn rsa(scheme: Scheme, bits: usize) -> Option<(&'static RsaParameters, &'static digest::Algorithm)> {
    let parameters = match (scheme, bits) {
        (Scheme::RsaPkcs1(Hash::Sha1), 1024..=8192) => &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Scheme::RsaPkcs1(Hash::Sha256), 1024..=8192) => &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (Scheme::RsaPkcs1(Hash::Sha384), 2048..=8192) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (Scheme::RsaPkcs1(Hash::Sha512), 1024..=8192) => &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (Scheme::RsaPss(Hash::Sha256), 2048..=8192) => &signature::RSA_PSS_2048_8192_SHA256,
        (Scheme::RsaPss(Hash::Sha384), 2048..=8192) => &signature::RSA_PSS_2048_8192_SHA384,
        (Scheme::RsaPss(Hash::Sha512), 2048..=8192) => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    };
    let algorithm = match scheme {
        Scheme::RsaPkcs1(Hash::Sha1) => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Scheme::RsaPkcs1(Hash::Sha256) | Scheme::RsaPss(Hash::Sha256) => &digest::SHA256,
        Scheme::RsaPkcs1(Hash::Sha384) | Scheme::RsaPss(Hash::Sha384) => &digest::SHA384,
        _ => &digest::SHA512,
    };
    Some((parameters, algorithm))
}
