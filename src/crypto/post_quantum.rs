//! Private keys that resist quantum computers, of the three standards.

use super::{KeyAlgorithm, ml_dsa::MlDsaKey, ml_kem::MlKemKey, slh_dsa::SlhDsaKey};
use crate::base::Secret;

/// A private key of ML-DSA, ML-KEM or SLH-DSA as it is stored (RFC 9881, section 6; RFC 9935, section 6; RFC 9909, section 6).
#[derive(Clone, Debug)]
pub enum PostQuantumSecret {
    /// The seed: 32 octets for ML-DSA, 64 for ML-KEM.
    Seed(Secret),
    /// The octets of FIPS 203, 204 or 205.
    Expanded(Secret),
    /// Both, which must belong together.
    Both {
        /// The seed.
        seed: Secret,
        /// What it expands to.
        expanded: Secret,
    },
}

/// A private key that works.
pub(super) enum PostQuantumKey {
    MlDsa(MlDsaKey),
    MlKem(MlKemKey),
    SlhDsa(SlhDsaKey),
}

impl PostQuantumKey {
    /// `None` for another algorithm, and for what is no private key of it.
    pub(super) fn new(algorithm: KeyAlgorithm, secret: &PostQuantumSecret) -> Option<PostQuantumKey> {
        match algorithm {
            KeyAlgorithm::MlDsa(set) => MlDsaKey::new(set, secret).map(PostQuantumKey::MlDsa),
            KeyAlgorithm::MlKem(set) => MlKemKey::new(set, secret).map(PostQuantumKey::MlKem),
            KeyAlgorithm::SlhDsa(set) => SlhDsaKey::new(set, secret).map(PostQuantumKey::SlhDsa),
            _ => None,
        }
    }

    /// The public key.
    pub(super) fn public(&self) -> Vec<u8> {
        match self {
            PostQuantumKey::MlDsa(key) => key.public(),
            PostQuantumKey::MlKem(key) => key.public(),
            PostQuantumKey::SlhDsa(key) => key.public(),
        }
    }

    /// A signature over a message; `None` when it signs nothing.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            PostQuantumKey::MlDsa(key) => key.sign(message),
            PostQuantumKey::MlKem(_) => None,
            PostQuantumKey::SlhDsa(key) => key.sign(message),
        }
    }

    /// The secret in a ciphertext; `None` for one of another length, and when it encapsulates nothing.
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        match self {
            PostQuantumKey::MlKem(key) => key.decapsulate(ciphertext),
            PostQuantumKey::MlDsa(_) | PostQuantumKey::SlhDsa(_) => None,
        }
    }
}
