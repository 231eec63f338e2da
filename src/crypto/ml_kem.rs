//! ML-KEM (FIPS 203) on aws-lc-rs, which takes private keys in their expanded form alone; the crate ml-kem expands seeds.

use aws_lc_rs::kem::{
    Algorithm, AlgorithmId, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_512, ML_KEM_768, ML_KEM_1024,
};
use subtle::ConstantTimeEq;

use super::{Hash, KeyAlgorithm, MlKem, PostQuantumSecret};
use crate::base::{Result, Secret};

/// A private key.
pub(super) struct MlKemKey {
    key: DecapsulationKey<AlgorithmId>,
    public: Vec<u8>,
}

impl MlKemKey {
    /// The key of a seed or of the expanded form; `None` when it is neither, or when both are there and differ (RFC 9935, section 8).
    pub(super) fn new(set: MlKem, secret: &PostQuantumSecret) -> Option<MlKemKey> {
        let expanded = match secret {
            PostQuantumSecret::Seed(seed) => expand(set, seed)?,
            PostQuantumSecret::Expanded(expanded) => expanded.clone(),
            PostQuantumSecret::Both { seed, expanded } => {
                let own = expand(set, seed)?;
                bool::from(own.expose().ct_eq(expanded.expose())).then_some(own)?
            }
        };
        let octets = expanded.expose();
        if octets.len() != set.expanded_length() {
            return None;
        }
        // dk_PKE, ek, H(ek), z (FIPS 203, algorithm 16); the check of section 7.3.
        let start = set.public_length() - 32;
        let public = octets.get(start..start + set.public_length())?;
        let hash = octets.get(start + set.public_length()..)?.get(..32)?;
        if !bool::from(Hash::Sha3_256.digest(public).ct_eq(hash)) {
            return None;
        }
        let key = DecapsulationKey::new(algorithm(set), octets).ok()?;
        Some(MlKemKey { key, public: public.to_vec() })
    }

    /// The public key.
    pub(super) fn public(&self) -> Vec<u8> {
        self.public.clone()
    }

    /// The secret in a ciphertext (FIPS 203, algorithm 21), of any ciphertext that has the length; `None` for another length.
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        let shared = self.key.decapsulate(Ciphertext::from(ciphertext)).ok()?;
        Some(Secret::new(shared.as_ref().to_vec()))
    }
}

/// Makes a secret of 32 octets for the owner of the public key `key`, and its ciphertext (FIPS 203, algorithm 20).
///
/// # Errors
///
/// `NoKey` when `key` is no public key of this set.
///
/// # Example
///
/// ```
/// use postseal::crypto::{KeyAlgorithm, MlKem, PostQuantumSecret, SecretKey, SoftwareKey, encapsulate, generate};
///
/// let algorithm = KeyAlgorithm::MlKem(MlKem::MlKem768);
/// let (seed, public) = generate(algorithm)?;
/// let (ciphertext, sent) = encapsulate(MlKem::MlKem768, &public)?;
/// let key = SoftwareKey::post_quantum(algorithm, &PostQuantumSecret::Seed(seed), &public)?;
/// assert_eq!((ciphertext.len(), key.decapsulate(&ciphertext)? == sent), (1088, true));
/// # Ok::<(), postseal::base::Error>(())
/// ```
pub fn encapsulate(set: MlKem, key: &[u8]) -> Result<(Vec<u8>, Secret)> {
    let refused = || KeyAlgorithm::MlKem(set).refuses("be encrypted to: it is not in the form of FIPS 203");
    let key = EncapsulationKey::new(algorithm(set), key).map_err(|_| refused())?;
    let (ciphertext, shared) = key.encapsulate().map_err(|_| refused())?;
    Ok((ciphertext.as_ref().to_vec(), Secret::new(shared.as_ref().to_vec())))
}

/// The expanded form of the key with this seed (FIPS 203, algorithm 16); `None` for a seed of another length.
#[allow(deprecated, reason = "aws-lc-rs takes no seeds")]
fn expand(set: MlKem, seed: &Secret) -> Option<Secret> {
    use ml_kem::{DecapsulationKey, ExpandedKeyEncoding as _, MlKem512, MlKem768, MlKem1024, Seed};
    let seed = Seed::try_from(seed.expose()).ok()?;
    Some(match set {
        MlKem::MlKem512 => Secret::new(DecapsulationKey::<MlKem512>::from_seed(seed).to_expanded_bytes().to_vec()),
        MlKem::MlKem768 => Secret::new(DecapsulationKey::<MlKem768>::from_seed(seed).to_expanded_bytes().to_vec()),
        MlKem::MlKem1024 => Secret::new(DecapsulationKey::<MlKem1024>::from_seed(seed).to_expanded_bytes().to_vec()),
    })
}

fn algorithm(set: MlKem) -> &'static Algorithm<AlgorithmId> {
    match set {
        MlKem::MlKem512 => &ML_KEM_512,
        MlKem::MlKem768 => &ML_KEM_768,
        MlKem::MlKem1024 => &ML_KEM_1024,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 203, section 7.3; RFC 9935, section 8.
    #[test]
    fn parts_that_do_not_belong_together_are_no_key() {
        let set = MlKem::MlKem768;
        let (seed, other) = (Secret::new(vec![3; 64]), Secret::new(vec![4; 64]));
        let expanded = expand(set, &seed).unwrap();
        let changed = |at: usize| {
            let mut octets = expanded.expose().to_vec();
            octets[at] ^= 1;
            MlKemKey::new(set, &PostQuantumSecret::Expanded(Secret::new(octets))).is_none()
        };
        let length = set.expanded_length();
        // The public key in it, and its hash; the last 32 octets are any.
        assert_eq!([length - 1, length - 33, length - 64, length - 65].map(changed), [false, true, true, true]);
        let both = |seed: &Secret| PostQuantumSecret::Both { seed: seed.clone(), expanded: expanded.clone() };
        assert!(MlKemKey::new(set, &both(&seed)).is_some() && MlKemKey::new(set, &both(&other)).is_none());
        for octets in [&expanded.expose()[1..], &[expanded.expose(), &[0]].concat()] {
            assert!(MlKemKey::new(set, &PostQuantumSecret::Expanded(Secret::new(octets.to_vec()))).is_none());
        }
    }
}
