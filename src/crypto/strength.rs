//! How strong an algorithm can be; `algorithm.rs` has the table.

use serde::{Deserialize, Serialize};

/// Weakest first, so that `min` of several is the strength of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Of an algorithm that the table in `algorithm.rs` does not name. It counts for nothing, and says nothing against the signer.
    Unknown,
    /// Forged or recovered for little money, or not to be validated by its standard: stands at Unsigned, whatever it verifies to.
    Broken,
    /// Within reach of a well-funded attacker: stands at most at Signed.
    Weak,
    /// No known attack.
    Strong,
}

impl Strength {
    /// The word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Strength::Broken => "broken",
            Strength::Weak => "weak",
            Strength::Strong => "strong",
            Strength::Unknown => "unknown",
        }
    }
}

/// Whether what is obsolete may be used, for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Legacy {
    /// They count, and are written on request; the report still names them.
    Admit,
    /// Weak and broken algorithms are read and reported, count for nothing, and are never written.
    #[default]
    Refuse,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Cipher, Curve, Hash, KeyAlgorithm, openpgp_key_name};

    #[test]
    fn boundaries_are_where_the_sources_say() {
        assert_eq!(KeyAlgorithm::Rsa(1023).strength(), Strength::Broken);
        assert_eq!(KeyAlgorithm::Rsa(1024).strength(), Strength::Weak);
        assert_eq!(KeyAlgorithm::Rsa(2047).strength(), Strength::Weak);
        assert_eq!(KeyAlgorithm::Rsa(2048).strength(), Strength::Strong);
        assert_eq!(KeyAlgorithm::Dsa(4096).strength(), Strength::Weak);
        assert_eq!(KeyAlgorithm::Elgamal(768).strength(), Strength::Broken);
        assert_eq!(KeyAlgorithm::Ecdsa(Curve::P256).strength(), Strength::Strong);
        assert_eq!(Hash::Sha1.strength(), Strength::Broken);
        assert_eq!(Hash::Ripemd160.strength(), Strength::Broken);
        assert_eq!(Hash::Md5.strength().min(Hash::Sha512.strength()), Strength::Broken);
        assert_eq!(Cipher::Cast5.strength(), Strength::Weak);
    }

    #[test]
    fn what_withstands_quantum_computers_is_in_the_table() {
        for number in 0..=255 {
            let algorithm = KeyAlgorithm::Other(openpgp_key_name(number));
            // RFC 9980, section 2.3.
            assert_eq!(algorithm.is_quantum_safe(), (30..=36).contains(&number), "{algorithm:?}");
            assert!(!algorithm.is_quantum_safe() || algorithm.strength() == Strength::Strong, "{algorithm:?}");
        }
        for algorithm in [KeyAlgorithm::Rsa(16384), KeyAlgorithm::X448, KeyAlgorithm::Ecdh(Curve::P521)] {
            assert!(!algorithm.is_quantum_safe(), "{algorithm:?}");
        }
    }

    #[test]
    fn the_unknown_is_weaker_than_anything_and_not_called_broken() {
        assert_eq!(KeyAlgorithm::Other("p192").strength(), Strength::Unknown);
        assert_eq!(KeyAlgorithm::Other("eddsa").strength(), Strength::Unknown);
        assert!(Strength::Unknown < Strength::Broken);
    }
}
