//! Private keys in memory, on aws-lc-rs wherever it takes the algorithm.

use std::fmt;

use aws_lc_rs::{
    agreement,
    digest::{self, Digest},
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair},
};

use subtle::ConstantTimeEq;

use super::{
    Curve, KeyAlgorithm, PostQuantumSecret, RsaComponents, Scheme, SecretKey, Unwrap,
    brainpool_key::BrainpoolKey,
    fast_rsa::FastRsa,
    legacy::{Elgamal, LegacyRsa},
    number::{bits, padded},
    post_quantum::PostQuantumKey,
    unfit::unfit,
};
use crate::base::{Result, Secret};

/// A private key in memory. aws-lc and the other crates wipe their copies when it is dropped.
///
/// Every constructor takes big-endian numbers unless it says otherwise, checks that the parts belong together, and
/// refuses those that do not with an error of kind `NoKey`.
pub struct SoftwareKey {
    algorithm: KeyAlgorithm,
    inner: Inner,
}

impl SoftwareKey {
    /// An RSA key. Under 2048 and over 8192 bits it is served by RustCrypto, several times slower.
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn rsa(parts: &RsaComponents) -> Result<SoftwareKey> {
        let bits = bits(&parts.n);
        let inner = match bits {
            2048..=8192 => Inner::Rsa(Box::new(FastRsa::new(parts)?)),
            _ => Inner::LegacyRsa(Box::new(LegacyRsa::new(parts)?)),
        };
        Ok(SoftwareKey { algorithm: KeyAlgorithm::Rsa(bits), inner })
    }

    /// An ECDSA key; `public` is the uncompressed point (X9.62, leading 4).
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn ecdsa(curve: Curve, scalar: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::Ecdsa(curve);
        Ok(SoftwareKey { algorithm, inner: Inner::Ecdsa(signing_key(algorithm, curve, scalar, public)?) })
    }

    /// An ECDH key; `public` is the uncompressed point (X9.62, leading 4).
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn ecdh(curve: Curve, scalar: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::Ecdh(curve);
        Ok(SoftwareKey { algorithm, inner: Inner::Agreement(agreement_key(algorithm, curve, scalar, public)?) })
    }

    /// A key on a curve that signs and agrees, as a certificate's may (RFC 5480, section 2.1.1); `public` is the uncompressed point (X9.62, leading
    /// 4). It calls itself an ECDSA key.
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn elliptic(curve: Curve, scalar: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::Ecdsa(curve);
        let signing = signing_key(algorithm, curve, scalar, public)?;
        let agreeing = agreement_key(algorithm, curve, scalar, public)?;
        Ok(SoftwareKey { algorithm, inner: Inner::Elliptic(Box::new(signing), agreeing) })
    }

    /// An Ed25519 key from its seed and public key, 32 octets each (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn ed25519(seed: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::Ed25519;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed.expose(), public).map_err(|_| unfit(algorithm))?;
        Ok(SoftwareKey { algorithm, inner: Inner::Ed25519(pair) })
    }

    /// An Ed448 key from its seed and public key, 57 octets each (RFC 8032, section 5.2.5).
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn ed448(seed: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::Ed448;
        let key = ed448_key(seed).filter(|key| key.verifying_key().to_bytes().as_slice() == public);
        Ok(SoftwareKey { algorithm, inner: Inner::Ed448(Box::new(key.ok_or_else(|| unfit(algorithm))?)) })
    }

    /// A key of ML-DSA, ML-KEM or SLH-DSA, and its public key in the octets of FIPS 203, 204 or 205.
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together, or the algorithm is another one.
    pub fn post_quantum(algorithm: KeyAlgorithm, secret: &PostQuantumSecret, public: &[u8]) -> Result<SoftwareKey> {
        let key = PostQuantumKey::new(algorithm, secret).filter(|key| key.public() == public);
        Ok(SoftwareKey { algorithm, inner: Inner::PostQuantum(Box::new(key.ok_or_else(|| unfit(algorithm))?)) })
    }

    /// An X25519 key from its scalar and public key, 32 little-endian octets each (RFC 7748, section 5).
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn x25519(scalar: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::X25519;
        let agreeing = &agreement::X25519;
        let key = agreement::PrivateKey::from_private_key(agreeing, scalar.expose()).map_err(|_| unfit(algorithm))?;
        let own = key.compute_public_key().map_err(|_| unfit(algorithm))?;
        if own.as_ref() != public {
            return Err(unfit(algorithm));
        }
        Ok(SoftwareKey { algorithm, inner: Inner::Agreement(AgreementKey::Fast(agreeing, key)) })
    }

    /// An X448 key from its scalar and public key, 56 little-endian octets each (RFC 7748, section 5).
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn x448(scalar: &Secret, public: &[u8]) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::X448;
        if x448_public(scalar).is_none_or(|own| own != public) {
            return Err(unfit(algorithm));
        }
        Ok(SoftwareKey { algorithm, inner: Inner::X448(scalar.clone()) })
    }

    /// An ElGamal key: the prime, the generator, the public number and the private exponent.
    ///
    /// # Errors
    ///
    /// `NoKey` when the parts do not belong together.
    pub fn elgamal(p: &[u8], g: &[u8], y: &[u8], x: &Secret) -> Result<SoftwareKey> {
        let algorithm = KeyAlgorithm::Elgamal(bits(p));
        let key = Elgamal::new(p, g, y, x).ok_or_else(|| unfit(algorithm))?;
        Ok(SoftwareKey { algorithm, inner: Inner::Elgamal(Box::new(key)) })
    }
}

impl SecretKey for SoftwareKey {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        let answer = match (&self.inner, scheme) {
            (Inner::Ecdsa(key), Scheme::Ecdsa(_)) => key.sign(digest)?,
            (Inner::Elliptic(key, _), Scheme::Ecdsa(_)) => key.sign(digest)?,
            (Inner::Ed25519(pair), Scheme::EdDsa) => {
                pair.try_sign(digest).ok().map(|signature| signature.as_ref().to_vec())
            }
            (Inner::Ed448(key), Scheme::EdDsa) => Some(key.sign_raw(digest).to_bytes().to_vec()),
            (Inner::PostQuantum(key), Scheme::Pure) => key.sign(digest),
            (Inner::Rsa(key), Scheme::RsaPkcs1(_) | Scheme::RsaPss { .. }) => key.sign(scheme, digest)?,
            (Inner::LegacyRsa(key), Scheme::RsaPkcs1(_) | Scheme::RsaPss { .. }) => key.sign(scheme, digest),
            _ => return Err(self.algorithm.refuses(format_args!("sign with {scheme:?}").to_string().to_lowercase())),
        };
        answer.ok_or_else(|| self.algorithm.refuses(format_args!("sign a digest of {} octets", digest.len())))
    }

    fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Secret> {
        let answer = match &self.inner {
            Inner::Rsa(key) => key.decrypt(unwrap, wrapped)?,
            Inner::LegacyRsa(key) => key.decrypt(unwrap, wrapped),
            Inner::Elgamal(key) => key.decrypt(wrapped),
            _ => return Err(self.algorithm.refuses("decrypt")),
        };
        answer.ok_or_else(|| self.algorithm.refuses("decrypt what was not encrypted to it"))
    }

    fn agree(&self, peer: &[u8]) -> Result<Secret> {
        let answer = match &self.inner {
            Inner::Agreement(key) | Inner::Elliptic(_, key) => key.agree(peer),
            Inner::X448(scalar) => x448(scalar, peer),
            _ => return Err(self.algorithm.refuses("agree on a secret")),
        };
        answer.ok_or_else(|| self.algorithm.refuses("agree with a point that is not of its curve"))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        let answer = match &self.inner {
            Inner::PostQuantum(key) => key.decapsulate(ciphertext),
            _ => None,
        };
        answer.ok_or_else(|| self.algorithm.refuses(format_args!("open a capsule of {} octets", ciphertext.len())))
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareKey({})", self.algorithm.name())
    }
}

enum Inner {
    Agreement(AgreementKey),
    Ecdsa(EcdsaKey),
    Ed25519(Ed25519KeyPair),
    Ed448(Box<cx448::SigningKey>),
    Elliptic(Box<EcdsaKey>, AgreementKey),
    Elgamal(Box<Elgamal>),
    LegacyRsa(Box<LegacyRsa>),
    PostQuantum(Box<PostQuantumKey>),
    Rsa(Box<FastRsa>),
    X448(Secret),
}

/// What signs on a curve.
enum EcdsaKey {
    Brainpool(Box<BrainpoolKey>),
    Fast(Curve, EcdsaKeyPair),
}

impl EcdsaKey {
    fn sign(&self, digest: &[u8]) -> Result<Option<Vec<u8>>> {
        match self {
            EcdsaKey::Brainpool(key) => key.sign(digest),
            EcdsaKey::Fast(curve, pair) => Ok(import(*curve, digest)
                .and_then(|digest| pair.sign_digest(&digest).ok())
                .map(|signature| signature.as_ref().to_vec())),
        }
    }
}

/// What agrees on a curve, or on that of RFC 7748 with 255 bits.
enum AgreementKey {
    Brainpool(Box<BrainpoolKey>),
    Fast(&'static agreement::Algorithm, agreement::PrivateKey),
}

impl AgreementKey {
    /// `None` for points off the curve and, for X25519, those that force the secret to zero.
    fn agree(&self, peer: &[u8]) -> Option<Secret> {
        match self {
            AgreementKey::Brainpool(key) => key.agree(peer),
            AgreementKey::Fast(algorithm, key) => {
                let peer = agreement::UnparsedPublicKey::new(algorithm, peer);
                agreement::agree(key, peer, (), |shared| Ok(Secret::new(shared.to_vec()))).ok()
            }
        }
    }
}

fn signing_key(algorithm: KeyAlgorithm, curve: Curve, scalar: &Secret, public: &[u8]) -> Result<EcdsaKey> {
    let scalar = padded(scalar, curve.length()).ok_or_else(|| unfit(algorithm))?;
    let Some(signing) = ecdsa_signing(curve) else {
        return brainpool_key(algorithm, curve, &scalar, public).map(EcdsaKey::Brainpool);
    };
    let pair = EcdsaKeyPair::from_private_key_and_public_key(signing, scalar.expose(), public);
    Ok(EcdsaKey::Fast(curve, pair.map_err(|_| unfit(algorithm))?))
}

fn agreement_key(algorithm: KeyAlgorithm, curve: Curve, scalar: &Secret, public: &[u8]) -> Result<AgreementKey> {
    let scalar = padded(scalar, curve.length()).ok_or_else(|| unfit(algorithm))?;
    let Some(agreeing) = ecdh_agreeing(curve) else {
        return brainpool_key(algorithm, curve, &scalar, public).map(AgreementKey::Brainpool);
    };
    let key = agreement::PrivateKey::from_private_key(agreeing, scalar.expose()).map_err(|_| unfit(algorithm))?;
    let own = key.compute_public_key().map_err(|_| unfit(algorithm))?;
    if own.as_ref() != public {
        return Err(unfit(algorithm));
    }
    Ok(AgreementKey::Fast(agreeing, key))
}

fn brainpool_key(algorithm: KeyAlgorithm, curve: Curve, scalar: &Secret, public: &[u8]) -> Result<Box<BrainpoolKey>> {
    let key = BrainpoolKey::new(curve, scalar).filter(|key| key.public().as_deref() == Some(public));
    key.map(Box::new).ok_or_else(|| unfit(algorithm))
}

/// A digest of any hash as the one that aws-lc wants on `curve`.
///
/// ECDSA takes the leftmost bits of the digest as a number, as many as the group order has (FIPS 186-5, section 6.4.1).
/// P-256 and P-384 fill whole octets, and no digest reaches the 521 bits of P-521, so to cut at the right and to fill
/// with zeros at the left changes nothing but the length.
pub(super) fn import(curve: Curve, digest: &[u8]) -> Option<Digest> {
    let algorithm = match curve {
        Curve::P256 => &digest::SHA256,
        Curve::P384 => &digest::SHA384,
        Curve::P521 => &digest::SHA512,
        _ => return None,
    };
    let length = algorithm.output_len();
    let kept = digest.get(..length).unwrap_or(digest);
    let mut fitted = vec![0; length - kept.len()];
    fitted.extend_from_slice(kept);
    Digest::import_less_safe(&fitted, algorithm).ok()
}

/// The key of an Ed448 seed; `None` for one of another length.
pub(super) fn ed448_key(seed: &Secret) -> Option<cx448::SigningKey> {
    cx448::SigningKey::try_from(seed.expose()).ok()
}

/// The public key of an X448 key: what it agrees on with the base point (RFC 7748, section 6.2).
pub(super) fn x448_public(scalar: &Secret) -> Option<Vec<u8>> {
    let mut base = [0; 56];
    base[0] = 5;
    x448(scalar, &base).map(|public| public.expose().to_vec())
}

fn x448(scalar: &Secret, peer: &[u8]) -> Option<Secret> {
    // `None` for a point of low order (RFC 7748, section 6.2), but for those that are written as a larger number.
    let shared = cx448::x448::x448(scalar.expose().try_into().ok()?, peer.try_into().ok()?)?;
    if bool::from(shared.ct_eq(&[0; 56])) {
        return None;
    }
    Some(Secret::new(shared.to_vec()))
}

pub(super) fn ecdsa_signing(curve: Curve) -> Option<&'static EcdsaSigningAlgorithm> {
    match curve {
        Curve::P256 => Some(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Curve::P384 => Some(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Curve::P521 => Some(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => None,
    }
}

pub(super) fn ecdh_agreeing(curve: Curve) -> Option<&'static agreement::Algorithm> {
    match curve {
        Curve::P256 => Some(&agreement::ECDH_P256),
        Curve::P384 => Some(&agreement::ECDH_P384),
        Curve::P521 => Some(&agreement::ECDH_P521),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Kind, unhex},
        crypto::{Hash, PublicKey, Unverified, public_of, verify},
    };

    fn secret(hex: &str) -> Secret {
        Secret::new(unhex(hex))
    }

    const CURVES: [Curve; 6] =
        [Curve::P256, Curve::P384, Curve::P521, Curve::BrainpoolP256, Curve::BrainpoolP384, Curve::BrainpoolP512];

    /// A scalar and its point.
    fn generate(curve: Curve) -> (Secret, Vec<u8>) {
        crate::crypto::generate(KeyAlgorithm::Ecdsa(curve)).unwrap()
    }

    #[test]
    fn ecdsa_signs_a_digest_of_every_hash() {
        for curve in CURVES {
            let (scalar, point) = generate(curve);
            let key = SoftwareKey::ecdsa(curve, &scalar, &point).unwrap();
            for hash in Hash::ALL {
                let (scheme, digest) = (Scheme::Ecdsa(hash), hash.digest(b"text"));
                let signature = key.sign(scheme, &digest).unwrap();
                assert_eq!(signature.len(), 2 * curve.length());
                let public = PublicKey::Ecdsa { curve, point: &point };
                assert_eq!(verify(public, scheme, &digest, &signature), Ok(()), "{curve:?} {hash}");
                let refused = verify(public, scheme, &hash.digest(b"texT"), &signature);
                assert_eq!(refused, Err(Unverified::Signature), "{curve:?} {hash}");
            }
        }
    }

    #[test]
    fn one_scalar_signs_and_agrees() {
        for curve in CURVES {
            let (scalar, point) = generate(curve);
            let key = SoftwareKey::elliptic(curve, &scalar, &point).unwrap();
            assert_eq!(key.algorithm(), KeyAlgorithm::Ecdsa(curve));
            let (scheme, digest) = (Scheme::Ecdsa(Hash::Sha256), Hash::Sha256.digest(b"text"));
            let signature = key.sign(scheme, &digest).unwrap();
            assert_eq!(verify(PublicKey::Ecdsa { curve, point: &point }, scheme, &digest, &signature), Ok(()));
            let (_, peer) = generate(curve);
            let alone = SoftwareKey::ecdh(curve, &scalar, &point).unwrap();
            assert_eq!(key.agree(&peer), alone.agree(&peer));
            assert!(SoftwareKey::elliptic(curve, &scalar, &peer).is_err());
        }
    }

    #[test]
    fn ecdh_agrees_both_ways() {
        for curve in CURVES {
            let ((ours, our_point), (theirs, their_point)) = (generate(curve), generate(curve));
            let ours = SoftwareKey::ecdh(curve, &ours, &our_point).unwrap();
            let theirs = SoftwareKey::ecdh(curve, &theirs, &their_point).unwrap();
            let shared = ours.agree(&their_point).unwrap();
            assert_eq!(shared.expose().len(), curve.length());
            assert_eq!(theirs.agree(&our_point), Ok(shared));
        }
    }

    /// RFC 8032, section 7.1, test 3.
    #[test]
    fn ed25519_test_3() {
        let seed = secret("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
        let public = unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        let signature = SoftwareKey::ed25519(&seed, &public).unwrap().sign(Scheme::EdDsa, &[0xaf, 0x82]).unwrap();
        let expected = "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
                        18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a";
        assert_eq!(signature, unhex(expected));
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn x25519_of_alice_and_bob() {
        let alice = secret("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let bob = unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
        let public = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(SoftwareKey::x25519(&alice, &public).unwrap().agree(&bob).unwrap().expose(), unhex(shared));
    }

    fn fives_25519() -> SoftwareKey {
        let scalar = Secret::new(vec![0x55; 32]);
        SoftwareKey::x25519(&scalar, &public_of(KeyAlgorithm::X25519, &scalar).unwrap()).unwrap()
    }

    fn fives_448() -> SoftwareKey {
        let scalar = Secret::new(vec![0x55; 56]);
        SoftwareKey::x448(&scalar, &public_of(KeyAlgorithm::X448, &scalar).unwrap()).unwrap()
    }

    #[test]
    fn low_order_points_are_refused() {
        let key = fives_25519();
        let error = key.agree(&[0; 32]).unwrap_err();
        assert_eq!(error.to_string(), "x25519 key: cannot agree with a point that is not of its curve");
        let key = fives_448();
        assert_eq!(key.agree(&[0; 56]).unwrap_err().kind(), Kind::NoKey);
        // The prime of the field, which is 0.
        let zero = [[0xff; 28], [0xff; 28]].concat().into_iter().enumerate();
        let zero: Vec<u8> = zero.map(|(at, octet)| if at == 28 { 0xfe } else { octet }).collect();
        assert_eq!(key.agree(&zero).unwrap_err().kind(), Kind::NoKey);
        assert_eq!(key.agree(&[5; 55]).unwrap_err().kind(), Kind::NoKey);
    }

    #[test]
    fn an_inverse_that_is_none_is_found_anew() {
        let parts = RsaComponents::generate(2048).unwrap();
        let scheme = Scheme::RsaPkcs1(Hash::Sha256);
        let signed = |q_inverse| {
            let parts = RsaComponents { q_inverse, ..parts.clone() };
            SoftwareKey::rsa(&parts).unwrap().sign(scheme, &Hash::Sha256.digest(b"text")).unwrap()
        };
        let right = signed(parts.q_inverse.clone());
        assert!(parts.q_inverse.is_some());
        for wrong in [None, Some(Secret::new(vec![2])), Some(parts.q.clone()), Some(Secret::new(Vec::new()))] {
            assert_eq!(signed(wrong), right);
        }
    }

    #[test]
    fn parts_of_two_keys_are_refused() {
        let ((scalar, _), (_, point)) = (generate(Curve::P256), generate(Curve::P256));
        for error in [
            SoftwareKey::ecdsa(Curve::P256, &scalar, &point).unwrap_err(),
            SoftwareKey::ecdh(Curve::P256, &scalar, &point).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), "p256 key: its parts do not belong together");
            assert_eq!(error.kind(), Kind::NoKey);
        }
        let seed = Secret::new(vec![1; 32]);
        let error = SoftwareKey::ed25519(&seed, &[2; 32]).unwrap_err();
        assert_eq!(error.to_string(), "ed25519 key: its parts do not belong together");
        for error in [
            SoftwareKey::x25519(&seed, &[2; 32]).unwrap_err(),
            SoftwareKey::x448(&Secret::new(vec![1; 56]), &[2; 56]).unwrap_err(),
        ] {
            assert!(error.to_string().ends_with("key: its parts do not belong together"), "{error}");
        }
        let one = RsaComponents::generate(2048).unwrap();
        let two = RsaComponents::generate(2048).unwrap();
        for wrong in [
            RsaComponents { q: two.q.clone(), ..one.clone() },
            RsaComponents { p: two.p.clone(), q: two.q.clone(), ..one.clone() },
            RsaComponents { d: two.d.clone(), ..one.clone() },
            RsaComponents { d: two.d.clone(), p: two.p.clone(), q: two.q.clone(), ..one.clone() },
            RsaComponents { n: two.n.clone(), ..one.clone() },
            RsaComponents { e: vec![3], ..one },
        ] {
            let error = SoftwareKey::rsa(&wrong).unwrap_err();
            assert_eq!(error.to_string(), "rsa2048 key: its parts do not belong together");
        }
    }

    #[test]
    fn what_a_key_cannot_do_is_refused_by_name() {
        let key = fives_25519();
        let error = key.sign(Scheme::RsaPkcs1(Hash::Sha256), &[0; 32]).unwrap_err();
        assert_eq!(error.to_string(), "x25519 key: cannot sign with rsapkcs1(sha256)");
        assert_eq!(key.decrypt(Unwrap::RsaPkcs1, &[]).unwrap_err().to_string(), "x25519 key: cannot decrypt");
        let error = RsaComponents::generate(1024).unwrap_err();
        assert_eq!(error.to_string(), "rsa key: 1024 bits are not offered");
        let key = SoftwareKey::rsa(&RsaComponents::generate(2048).unwrap()).unwrap();
        let error = key.sign(Scheme::RsaPkcs1(Hash::Sha256), &[0; 31]).unwrap_err();
        assert_eq!(error.to_string(), "rsa2048 key: cannot sign a digest of 31 octets");
        assert_eq!(key.agree(&[]).unwrap_err().to_string(), "rsa2048 key: cannot agree on a secret");
    }

    #[test]
    fn debug_prints_no_secret() {
        let parts = RsaComponents::generate(2048).unwrap();
        let digits: String = parts.d.expose().iter().take(4).map(|octet| format!("{octet}, ")).collect();
        assert!(!format!("{parts:?}").contains(digits.trim_end()));
        assert!(format!("{parts:?}").contains("d: Secret(..)"));
        assert_eq!(format!("{:?}", SoftwareKey::rsa(&parts).unwrap()), "SoftwareKey(rsa2048)");
        let key = fives_448();
        assert_eq!(format!("{key:?}"), "SoftwareKey(x448)");
    }

    #[test]
    fn numbers_may_have_leading_zeros() {
        assert_eq!((bits(&[0, 0, 1, 0]), bits(&[]), bits(&[0])), (9, 0, 0));
        assert_eq!(padded(&Secret::new(vec![0, 0, 7]), 2).unwrap().expose(), [0, 7]);
        assert_eq!(padded(&Secret::new(vec![1, 0, 7]), 2), None);
    }
}
