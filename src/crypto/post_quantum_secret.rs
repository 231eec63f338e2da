//! The forms in which private keys that resist quantum computers are stored.

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
