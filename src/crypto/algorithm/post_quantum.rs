//! The algorithms that resist quantum computers, a line for each parameter set: sizes, identifiers, strength with its source (FIPS 203, 204, 205; RFC
//! 9881, 9909, 9935).

use const_oid::ObjectIdentifier as Oid;

use super::{ANY, Conveys, Hash, KeyFacts, Signs, key, oid, rated};
use crate::crypto::Strength::Strong;

pub(super) struct MlDsaFacts {
    name: &'static str,
    oid: Option<Oid>,
    /// Octets of a public key, of an expanded private key, and of a signature.
    public: usize,
    expanded: usize,
    signature: usize,
    /// Octets of a digest that is signed in the place of a message: twice the collision strength (RFC 9882, section 3.3).
    digest: usize,
}

pub(super) struct MlKemFacts {
    name: &'static str,
    oid: Option<Oid>,
    /// Octets of a public key, of an expanded private key, and of a ciphertext.
    public: usize,
    expanded: usize,
    ciphertext: usize,
    /// Octets of the AES key that wraps a content key (RFC 9936, section 2.1).
    wrap: usize,
}

pub(super) struct SlhDsaFacts {
    name: &'static str,
    oid: Option<Oid>,
    /// The security parameter n, in octets.
    n: usize,
    /// Octets of a signature.
    signature: usize,
    /// The hash of its trees, which makes message digests too (RFC 9814, section 4).
    hash: Hash,
}

impl MlDsaFacts {
    const NONE: MlDsaFacts = MlDsaFacts { name: "", oid: None, public: 0, expanded: 0, signature: 0, digest: 0 };
}

impl MlKemFacts {
    const NONE: MlKemFacts = MlKemFacts { name: "", oid: None, public: 0, expanded: 0, ciphertext: 0, wrap: 32 };
}

impl SlhDsaFacts {
    const NONE: SlhDsaFacts = SlhDsaFacts { name: "", oid: None, n: 0, signature: 0, hash: Hash::Sha512 };
}

table! {
    /// A parameter set of ML-DSA (FIPS 204, table 1).
    #[allow(clippy::enum_variant_names)]
    MlDsa: MlDsaFacts {
        /// Category 2.
        MlDsa44 { name: "ml-dsa-44", oid: oid("2.16.840.1.101.3.4.3.17"), public: 1312, expanded: 2560, signature: 2420, digest: 32 }
        /// Category 3.
        MlDsa65 { name: "ml-dsa-65", oid: oid("2.16.840.1.101.3.4.3.18"), public: 1952, expanded: 4032, signature: 3309, digest: 48 }
        /// Category 5.
        MlDsa87 { name: "ml-dsa-87", oid: oid("2.16.840.1.101.3.4.3.19"), public: 2592, expanded: 4896, signature: 4627, digest: 64 }
    }
}

table! {
    /// A parameter set of ML-KEM (FIPS 203, table 2).
    #[allow(clippy::enum_variant_names)]
    MlKem: MlKemFacts {
        /// Category 1.
        MlKem512 { name: "ml-kem-512", oid: oid("2.16.840.1.101.3.4.4.1"), public: 800, expanded: 1632, ciphertext: 768, wrap: 16 }
        /// Category 3.
        MlKem768 { name: "ml-kem-768", oid: oid("2.16.840.1.101.3.4.4.2"), public: 1184, expanded: 2400, ciphertext: 1088 }
        /// Category 5.
        MlKem1024 { name: "ml-kem-1024", oid: oid("2.16.840.1.101.3.4.4.3"), public: 1568, expanded: 3168, ciphertext: 1568 }
    }
}

table! {
    /// A parameter set of SLH-DSA (FIPS 205, table 2).
    SlhDsa: SlhDsaFacts {
        /// Category 1, small signatures.
        Sha2_128s { name: "slh-dsa-sha2-128s", oid: oid("2.16.840.1.101.3.4.3.20"), n: 16, signature: 7856, hash: Hash::Sha256 }
        /// Category 1, fast signing.
        Sha2_128f { name: "slh-dsa-sha2-128f", oid: oid("2.16.840.1.101.3.4.3.21"), n: 16, signature: 17088, hash: Hash::Sha256 }
        /// Category 3, small signatures.
        Sha2_192s { name: "slh-dsa-sha2-192s", oid: oid("2.16.840.1.101.3.4.3.22"), n: 24, signature: 16224 }
        /// Category 3, fast signing.
        Sha2_192f { name: "slh-dsa-sha2-192f", oid: oid("2.16.840.1.101.3.4.3.23"), n: 24, signature: 35664 }
        /// Category 5, small signatures.
        Sha2_256s { name: "slh-dsa-sha2-256s", oid: oid("2.16.840.1.101.3.4.3.24"), n: 32, signature: 29792 }
        /// Category 5, fast signing.
        Sha2_256f { name: "slh-dsa-sha2-256f", oid: oid("2.16.840.1.101.3.4.3.25"), n: 32, signature: 49856 }
        /// Category 1, small signatures.
        Shake128s { name: "slh-dsa-shake-128s", oid: oid("2.16.840.1.101.3.4.3.26"), n: 16, signature: 7856, hash: Hash::Shake128 }
        /// Category 1, fast signing.
        Shake128f { name: "slh-dsa-shake-128f", oid: oid("2.16.840.1.101.3.4.3.27"), n: 16, signature: 17088, hash: Hash::Shake128 }
        /// Category 3, small signatures.
        Shake192s { name: "slh-dsa-shake-192s", oid: oid("2.16.840.1.101.3.4.3.28"), n: 24, signature: 16224, hash: Hash::Shake256 }
        /// Category 3, fast signing.
        Shake192f { name: "slh-dsa-shake-192f", oid: oid("2.16.840.1.101.3.4.3.29"), n: 24, signature: 35664, hash: Hash::Shake256 }
        /// Category 5, small signatures.
        Shake256s { name: "slh-dsa-shake-256s", oid: oid("2.16.840.1.101.3.4.3.30"), n: 32, signature: 29792, hash: Hash::Shake256 }
        /// Category 5, fast signing.
        Shake256f { name: "slh-dsa-shake-256f", oid: oid("2.16.840.1.101.3.4.3.31"), n: 32, signature: 49856, hash: Hash::Shake256 }
    }
}

impl MlDsa {
    /// The name in reports: `ml-dsa-65`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The length in octets of a public key.
    pub fn public_length(self) -> usize {
        self.facts().public
    }

    /// The length in octets of a private key that is expanded from its seed.
    pub fn expanded_length(self) -> usize {
        self.facts().expanded
    }

    /// The length in octets of a signature.
    pub fn signature_length(self) -> usize {
        self.facts().signature
    }

    /// The shortest digest in octets that is as strong as the key (RFC 9882, section 3.3).
    pub fn digest_length(self) -> usize {
        self.facts().digest
    }
}

impl MlKem {
    /// The name in reports: `ml-kem-768`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The length in octets of a public key.
    pub fn public_length(self) -> usize {
        self.facts().public
    }

    /// The length in octets of a private key that is expanded from its seed.
    pub fn expanded_length(self) -> usize {
        self.facts().expanded
    }

    /// The length in octets of a ciphertext.
    pub fn ciphertext_length(self) -> usize {
        self.facts().ciphertext
    }

    /// The length in octets of the AES key that every reader of this set can unwrap with (RFC 9936, section 2.1).
    pub fn wrap_length(self) -> usize {
        self.facts().wrap
    }
}

impl SlhDsa {
    /// The name in reports: `slh-dsa-sha2-128s`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The length in octets of a public key.
    pub fn public_length(self) -> usize {
        2 * self.facts().n
    }

    /// The length in octets of a private key, in which the public one is the second half.
    pub fn private_length(self) -> usize {
        4 * self.facts().n
    }

    /// The security parameter n in octets (FIPS 205, table 2).
    pub fn n(self) -> usize {
        self.facts().n
    }

    /// The length in octets of a signature.
    pub fn signature_length(self) -> usize {
        self.facts().signature
    }

    /// The hash of its trees, which makes the digest of a message too (RFC 9814, section 4).
    pub fn hash(self) -> Hash {
        self.facts().hash
    }
}

/// The kinds of keys, a line each, as in the table of the others.
pub(super) const KEYS: &[KeyFacts] = &[
    signing("ml-dsa-44", "FIPS 204, table 1: category 2"),
    signing("ml-dsa-65", "FIPS 204, table 1: category 3"),
    signing("ml-dsa-87", "FIPS 204, table 1: category 5"),
    conveying("ml-kem-512", "FIPS 203, section 8: category 1"),
    conveying("ml-kem-768", "FIPS 203, section 8: category 3"),
    conveying("ml-kem-1024", "FIPS 203, section 8: category 5"),
    signing("slh-dsa-sha2-128s", "FIPS 205, table 2: category 1"),
    signing("slh-dsa-sha2-128f", "FIPS 205, table 2: category 1"),
    signing("slh-dsa-sha2-192s", "FIPS 205, table 2: category 3"),
    signing("slh-dsa-sha2-192f", "FIPS 205, table 2: category 3"),
    signing("slh-dsa-sha2-256s", "FIPS 205, table 2: category 5"),
    signing("slh-dsa-sha2-256f", "FIPS 205, table 2: category 5"),
    KeyFacts { openpgp: &[32], ..signing("slh-dsa-shake-128s", "FIPS 205, table 2: category 1") },
    KeyFacts { openpgp: &[33], ..signing("slh-dsa-shake-128f", "FIPS 205, table 2: category 1") },
    signing("slh-dsa-shake-192s", "FIPS 205, table 2: category 3"),
    signing("slh-dsa-shake-192f", "FIPS 205, table 2: category 3"),
    KeyFacts { openpgp: &[34], ..signing("slh-dsa-shake-256s", "FIPS 205, table 2: category 5") },
    signing("slh-dsa-shake-256f", "FIPS 205, table 2: category 5"),
];

const fn signing(name: &'static str, _source: &'static str) -> KeyFacts {
    KeyFacts { strength: STRONG, quantum_safe: true, ..key(name, Signs::Message, Conveys::Nothing, &[]) }
}

const fn conveying(name: &'static str, _source: &'static str) -> KeyFacts {
    KeyFacts { strength: STRONG, quantum_safe: true, ..key(name, Signs::Nothing, Conveys::Encapsulates, &[]) }
}

/// Each has the strength of its category, whatever its size.
const STRONG: &[(std::ops::Range<usize>, crate::crypto::Strength)] = &[(ANY, rated(Strong, "see each line"))];

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 204, table 2; FIPS 203, table 3; FIPS 205, table 2: what the sizes have in common.
    #[test]
    fn sizes_fit_each_other() {
        for set in MlKem::ALL {
            // dk is dk_PKE, ek, a hash and z.
            assert_eq!(set.expanded_length(), set.public_length() - 32 + set.public_length() + 64, "{}", set.name());
        }
        for set in SlhDsa::ALL {
            assert_eq!((set.public_length(), set.private_length()), (2 * set.n(), 4 * set.n()), "{}", set.name());
            assert!(set.hash().length() >= 2 * set.n(), "{}", set.name());
        }
        for set in MlDsa::ALL {
            assert!(set.expanded_length() > set.public_length() && set.digest_length() <= 64, "{}", set.name());
        }
    }
}
