//! Encryption and key agreement with a recipient's public key.

use aws_lc_rs::{
    agreement,
    rsa::{OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents},
};

use super::{
    KeyAlgorithm, SecretKey as _, SoftwareKey, Unwrap,
    brainpool_key::BrainpoolKey,
    fast_rsa::oaep,
    generate::generate,
    legacy::encrypt_rsa,
    number::{bits, trimmed},
    software::ecdh_agreeing,
    unfit::unserved,
};
use crate::base::{Error, Result, Secret};

/// Encrypts `plain`, a content key, to an RSA key; `n` and `e` are big-endian. The answer is a big-endian number of the modulus' length.
///
/// # Errors
///
/// `NoKey` for an invalid key, and for one that is too short for `plain`.
pub fn encrypt_to_rsa(n: &[u8], e: &[u8], wrap: Unwrap<'_>, plain: &Secret) -> Result<Vec<u8>> {
    let encrypted = match bits(n) {
        2048..=8192 => fast(n, e, wrap, plain).or_else(|| encrypt_rsa(n, e, wrap, plain)),
        _ => encrypt_rsa(n, e, wrap, plain),
    };
    let length = plain.expose().len();
    encrypted.ok_or_else(|| KeyAlgorithm::Rsa(bits(n)).refuses(format_args!("take a key of {length} octets")))
}

/// Agrees on a secret with `peer` by a key that is made for this once; `algorithm` is ECDH, ECDSA, X25519 or X448. Answers the public half and the secret,
/// in the forms of [`SecretKey::agree`](super::SecretKey::agree).
///
/// # Errors
///
/// `NoKey` for another algorithm, and for a point that is not on its curve.
pub fn agree_ephemeral(algorithm: KeyAlgorithm, peer: &[u8]) -> Result<(Vec<u8>, Secret)> {
    let refused = algorithm.refuses("agree with a point that is not of its curve");
    let agreeing = match algorithm {
        KeyAlgorithm::Ecdh(curve) | KeyAlgorithm::Ecdsa(curve) => match ecdh_agreeing(curve) {
            Some(agreeing) => agreeing,
            None => {
                let own = BrainpoolKey::generate(curve)?.ok_or_else(|| unserved(algorithm))?;
                return own.public().zip(own.agree(peer)).ok_or(refused);
            }
        },
        KeyAlgorithm::X25519 => &agreement::X25519,
        KeyAlgorithm::X448 => {
            let (own, public) = generate(algorithm)?;
            return SoftwareKey::x448(&own, &public)?.agree(peer).map(|shared| (public, shared));
        }
        _ => return Err(unserved(algorithm)),
    };
    let failed = |_| Error::unavailable(format!("{} key: generation failed", algorithm.name()));
    let own = agreement::PrivateKey::generate(agreeing).map_err(failed)?;
    let public = own.compute_public_key().map_err(failed)?.as_ref().to_vec();
    let peer = agreement::UnparsedPublicKey::new(agreeing, peer);
    let secret = agreement::agree(&own, peer, refused, |shared| Ok(Secret::new(shared.to_vec())))?;
    Ok((public, secret))
}

/// On aws-lc, which refuses some hashes.
fn fast(n: &[u8], e: &[u8], wrap: Unwrap<'_>, plain: &Secret) -> Option<Vec<u8>> {
    let components = PublicKeyComponents { n: trimmed(n), e: trimmed(e) };
    let key: PublicEncryptingKey = components.try_into().ok()?;
    let mut encrypted = vec![0; key.key_size_bytes()];
    let length = match wrap {
        Unwrap::RsaOaep { hash, mgf, label } => {
            let key = OaepPublicEncryptingKey::new(key).ok()?;
            key.encrypt(oaep(hash, mgf)?, plain.expose(), &mut encrypted, Some(label)).ok()?.len()
        }
        Unwrap::RsaPkcs1 => {
            let key = Pkcs1PublicEncryptingKey::new(key).ok()?;
            key.encrypt(plain.expose(), &mut encrypted).ok()?.len()
        }
    };
    (length == encrypted.len()).then_some(encrypted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Kind,
        crypto::{Curve, Hash, RsaComponents, SecretKey, SoftwareKey, generate},
    };

    #[test]
    fn what_is_encrypted_to_a_key_is_opened_by_it() {
        let parts = RsaComponents::generate(2048).unwrap();
        let key = SoftwareKey::rsa(&parts).unwrap();
        let plain = Secret::new((0..32).collect());
        let mut wraps = vec![Unwrap::RsaPkcs1];
        for hash in Hash::ALL {
            for label in [&b""[..], b"label"] {
                wraps.extend([Hash::Sha1, hash].map(|mgf| Unwrap::RsaOaep { hash, mgf, label }));
            }
        }
        for wrap in wraps {
            // By both crates.
            let slow = encrypt_rsa(&parts.n, &parts.e, wrap, &plain).unwrap();
            let fast = encrypt_to_rsa(&parts.n, &parts.e, wrap, &plain).unwrap();
            for mut wrapped in [slow, fast] {
                assert_eq!(wrapped.len(), 256);
                assert_eq!(key.decrypt(wrap, &wrapped).as_ref(), Ok(&plain), "{wrap:?}");
                wrapped[100] ^= 1;
                assert_ne!(key.decrypt(wrap, &wrapped).ok().as_ref(), Some(&plain), "{wrap:?}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let error = encrypt_to_rsa(&[0xff; 64], &[3], Unwrap::RsaPkcs1, &Secret::new(vec![1; 54])).unwrap_err();
        assert_eq!(error.to_string(), "rsa512 key: cannot take a key of 54 octets");
        let error = encrypt_to_rsa(&[0xfe; 64], &[3], Unwrap::RsaPkcs1, &Secret::new(vec![1; 5])).unwrap_err();
        assert_eq!(error.kind(), Kind::NoKey);
        let error = agree_ephemeral(KeyAlgorithm::Ecdh(Curve::P256), &[4; 65]).unwrap_err();
        assert_eq!(error.to_string(), "p256 key: cannot agree with a point that is not of its curve");
        let error = agree_ephemeral(KeyAlgorithm::Ecdh(Curve::BrainpoolP256), &[4; 65]).unwrap_err();
        assert_eq!(error.to_string(), "brainpoolp256 key: cannot agree with a point that is not of its curve");
        let error = agree_ephemeral(KeyAlgorithm::X25519, &[0; 32]).unwrap_err();
        assert_eq!(error.to_string(), "x25519 key: cannot agree with a point that is not of its curve");
        let error = agree_ephemeral(KeyAlgorithm::Ed25519, &[0; 32]).unwrap_err();
        assert_eq!(error.to_string(), "ed25519 key: cannot work: the curve is not supported");
    }

    #[test]
    fn the_recipient_finds_the_same_secret() {
        let ecdh = [Curve::P256, Curve::P384, Curve::P521, Curve::BrainpoolP384].map(KeyAlgorithm::Ecdh);
        for algorithm in ecdh.into_iter().chain([KeyAlgorithm::X25519]) {
            let (scalar, point) = generate(algorithm).unwrap();
            let key = match algorithm {
                KeyAlgorithm::Ecdh(curve) => SoftwareKey::ecdh(curve, &scalar, &point).unwrap(),
                _ => SoftwareKey::x25519(&scalar, &point).unwrap(),
            };
            let (public, shared) = agree_ephemeral(algorithm, &point).unwrap();
            assert_eq!(key.agree(&public), Ok(shared), "{algorithm:?}");
        }
    }
}
