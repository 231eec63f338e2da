//! The cost of string-to-key derivations (RFC 9580, section 3.7).

use sequoia_openpgp::{crypto::S2K, types::SymmetricAlgorithm};

use super::suite;
use crate::{
    base::{Error, Limits, Result},
    crypto::{self, Hash},
};

/// The cost of one derivation of a key for `cipher`, in units of
/// [`Budget::derivation`](crate::base::Budget::derivation).
///
/// # Errors
///
/// `Malformed` if it needs more memory than `limits` allow; `what` names the packet in the error.
pub(super) fn cost(s2k: &S2K, cipher: SymmetricAlgorithm, limits: &Limits, what: &str) -> Result<u64> {
    let length = cipher.key_size().unwrap_or(LONGEST_KEY);
    match s2k {
        S2K::Argon2 { t, m, .. } => {
            // 2^m KiB.
            let memory = 1_u64.checked_shl(u32::from(*m)).unwrap_or(u64::MAX);
            let octets = usize::try_from(memory.saturating_mul(1024)).unwrap_or(usize::MAX);
            if octets > limits.argon2_memory {
                return Err(Error::malformed(what, format!("its argon2 needs 2^{m} KiB, more than is allowed")));
            }
            Ok(crypto::argon2_cost(memory, u32::from(*t)))
        }
        S2K::Iterated { hash, hash_bytes, .. } => {
            Ok(crypto::s2k_cost(suite::hash(*hash).unwrap_or(Hash::Sha3_512), u64::from(*hash_bytes), length))
        }
        // The other methods hash the password once.
        _ => Ok(1),
    }
}

/// Length in octets of the longest cipher key (RFC 9580, section 9.3).
const LONGEST_KEY: usize = 32;
