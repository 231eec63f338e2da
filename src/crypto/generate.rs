//! New keys on curves, and the public halves of those that came without.

use aws_lc_rs::{
    agreement::{self, PrivateKey},
    encoding::{AsBigEndian, Curve25519SeedBin, EcPrivateKeyBin},
    error::Unspecified,
    signature::{Ed25519KeyPair, KeyPair as _},
};

use super::{
    KeyAlgorithm, PostQuantumSecret,
    brainpool_key::BrainpoolKey,
    number::padded,
    post_quantum::PostQuantumKey,
    slh_dsa::SlhDsaKey,
    software::{ecdh_agreeing, ed448_key, x448_public},
    unfit::{unfit, unserved},
};
use crate::base::{Error, Result, Secret};

/// A new key on a Weierstrass curve, on those of RFC 7748 and RFC 8032, or one that resists quantum computers: the private half, a big-endian scalar
/// of the curve's length, the octets of RFC 7748 or RFC 8032, the seed of ML-DSA (32 octets) or ML-KEM (64), or the octets of FIPS 205, and the public
/// half as [`public_of`] answers it.
///
/// RSA keys are made by [`RsaComponents::generate`](super::RsaComponents::generate).
///
/// # Errors
///
/// `NoKey` for another algorithm; `Unavailable` when generation fails.
pub fn generate(algorithm: KeyAlgorithm) -> Result<(Secret, Vec<u8>)> {
    let failed = |_| Error::unavailable(format!("{} key: generation failed", algorithm.name()));
    let secret = match algorithm {
        KeyAlgorithm::Ecdh(curve) | KeyAlgorithm::Ecdsa(curve) => match ecdh_agreeing(curve) {
            Some(agreeing) => {
                let key = PrivateKey::generate(agreeing).map_err(failed)?;
                let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes().map_err(failed)?;
                Secret::new(scalar.as_ref().to_vec())
            }
            None => BrainpoolKey::generate(curve)?.ok_or_else(|| unserved(algorithm))?.secret(),
        },
        KeyAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::generate().map_err(failed)?;
            Secret::new(pair.seed().map_err(failed)?.as_be_bytes().map_err(failed)?.as_ref().to_vec())
        }
        KeyAlgorithm::X25519 => {
            let key = PrivateKey::generate(&agreement::X25519).map_err(failed)?;
            let scalar: Curve25519SeedBin<'_> = key.as_be_bytes().map_err(failed)?;
            Secret::new(scalar.as_ref().to_vec())
        }
        KeyAlgorithm::X448 => octets(56).map_err(failed)?,
        KeyAlgorithm::Ed448 => octets(57).map_err(failed)?,
        KeyAlgorithm::MlDsa(_) => octets(32).map_err(failed)?,
        KeyAlgorithm::MlKem(_) => octets(64).map_err(failed)?,
        KeyAlgorithm::SlhDsa(set) => SlhDsaKey::generate(set).ok_or_else(|| failed(Unspecified))?,
        _ => return Err(unserved(algorithm)),
    };
    let public = public_of(algorithm, &secret)?;
    Ok((secret, public))
}

/// Random octets.
fn octets(length: usize) -> std::result::Result<Secret, Unspecified> {
    let mut octets = vec![0; length];
    aws_lc_rs::rand::fill(&mut octets)?;
    Ok(Secret::new(octets))
}

/// The public half of a private one in the forms of [`generate`]: an uncompressed point (X9.62, leading 4), 32 octets (56 for X448, 57 for Ed448) of RFC
/// 7748 or RFC 8032, or the octets of FIPS 203, 204 or 205.
///
/// # Errors
///
/// `NoKey` for anything else than a private key of this algorithm, and for an algorithm other than those of [`generate`].
pub fn public_of(algorithm: KeyAlgorithm, secret: &Secret) -> Result<Vec<u8>> {
    let agreed = |agreeing, scalar: &[u8]| -> Option<Vec<u8>> {
        let key = PrivateKey::from_private_key(agreeing, scalar).ok()?;
        Some(key.compute_public_key().ok()?.as_ref().to_vec())
    };
    let public = match algorithm {
        KeyAlgorithm::Ecdh(curve) | KeyAlgorithm::Ecdsa(curve) => {
            padded(secret, curve.length()).and_then(|scalar| match ecdh_agreeing(curve) {
                Some(agreeing) => agreed(agreeing, scalar.expose()),
                None => BrainpoolKey::new(curve, &scalar)?.public(),
            })
        }
        KeyAlgorithm::Ed25519 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(secret.expose()).ok();
            pair.map(|pair| pair.public_key().as_ref().to_vec())
        }
        KeyAlgorithm::X25519 => agreed(&agreement::X25519, secret.expose()),
        KeyAlgorithm::X448 => x448_public(secret),
        KeyAlgorithm::Ed448 => ed448_key(secret).map(|key| key.verifying_key().to_bytes().to_vec()),
        KeyAlgorithm::MlDsa(_) | KeyAlgorithm::MlKem(_) => {
            let secret = PostQuantumSecret::Seed(secret.clone());
            PostQuantumKey::new(algorithm, &secret).map(|key| key.public())
        }
        KeyAlgorithm::SlhDsa(_) => {
            let secret = PostQuantumSecret::Expanded(secret.clone());
            PostQuantumKey::new(algorithm, &secret).map(|key| key.public())
        }
        _ => return Err(unserved(algorithm)),
    };
    public.ok_or_else(|| unfit(algorithm))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::unhex,
        crypto::{Curve, SoftwareKey},
    };

    #[test]
    fn what_is_generated_makes_a_key() {
        for curve in [Curve::P256, Curve::P384, Curve::P521, Curve::BrainpoolP256, Curve::BrainpoolP512] {
            let (scalar, public) = generate(KeyAlgorithm::Ecdsa(curve)).unwrap();
            assert_eq!((scalar.expose().len(), public.len()), (curve.length(), 2 * curve.length() + 1));
            SoftwareKey::elliptic(curve, &scalar, &public).unwrap();
        }
        let (seed, public) = generate(KeyAlgorithm::Ed25519).unwrap();
        SoftwareKey::ed25519(&seed, &public).unwrap();
        let (scalar, public) = generate(KeyAlgorithm::X25519).unwrap();
        assert_eq!((scalar.expose().len(), public.len()), (32, 32));
    }

    /// RFC 7748, section 6.1; RFC 8032, section 7.1, test 1.
    #[test]
    fn published_halves_belong_together() {
        let alice = Secret::new(unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
        let public = unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(public_of(KeyAlgorithm::X25519, &alice), Ok(public));
        let seed = Secret::new(unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
        let public = unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(public_of(KeyAlgorithm::Ed25519, &seed), Ok(public));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let error = public_of(KeyAlgorithm::Ecdsa(Curve::P256), &Secret::new(vec![0; 32])).unwrap_err();
        assert_eq!(error.to_string(), "p256 key: its parts do not belong together");
        let error = public_of(KeyAlgorithm::Ed25519, &Secret::new(vec![1; 31])).unwrap_err();
        assert_eq!(error.to_string(), "ed25519 key: its parts do not belong together");
        let error = generate(KeyAlgorithm::Rsa(2048)).unwrap_err();
        assert_eq!(error.to_string(), "rsa2048 key: cannot work: the curve is not supported");
    }
}
