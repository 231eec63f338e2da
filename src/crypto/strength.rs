//! How strong each algorithm is, decided in one table with a source for each line.

use std::ops::Range;

/// Weakest first, so that `min` of several is the strength of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Of an algorithm that the table does not name. It counts for nothing, and says nothing against the signer.
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

    /// The strength of a digest in signatures, by its name in reports (`sha256`).
    pub fn of_digest(name: &str) -> Strength {
        look_up(Use::Digest, name, 0)
    }

    /// The strength of a symmetric cipher, by its name in reports (`aes256`).
    pub fn of_cipher(name: &str) -> Strength {
        look_up(Use::Cipher, name, 0)
    }

    /// The strength of a public-key algorithm, by its name (`rsa`, `ed25519`, `p256`) and its size in bits: the modulus
    /// of RSA, the prime of DSA and ElGamal. Curves are sized by their name, and `bits` does not matter to them.
    pub fn of_key(name: &str, bits: usize) -> Strength {
        look_up(Use::Key, name, bits)
    }
}

/// Whether what is obsolete may be used, for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Legacy {
    /// They count, and are written on request; the report still names them.
    Admit,
    /// Weak and broken algorithms are read and reported, count for nothing, and are never written.
    #[default]
    Refuse,
}

fn look_up(used: Use, name: &str, bits: usize) -> Strength {
    let found = TABLE.iter().find(|line| line.used == used && line.name == name && line.bits.contains(&bits));
    found.map_or(Strength::Unknown, |line| line.strength)
}

struct Line {
    used: Use,
    name: &'static str,
    bits: Range<usize>,
    strength: Strength,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Cipher,
    Digest,
    Key,
}

// The source of each line is for its readers alone.
const fn cipher(name: &'static str, strength: Strength, _source: &'static str) -> Line {
    Line { used: Use::Cipher, name, bits: ANY, strength }
}

const fn digest(name: &'static str, strength: Strength, _source: &'static str) -> Line {
    Line { used: Use::Digest, name, bits: ANY, strength }
}

const fn curve(name: &'static str, strength: Strength, _source: &'static str) -> Line {
    Line { used: Use::Key, name, bits: ANY, strength }
}

const fn key(name: &'static str, bits: Range<usize>, strength: Strength, _source: &'static str) -> Line {
    Line { used: Use::Key, name, bits, strength }
}

const ANY: Range<usize> = 0..usize::MAX;

const TABLE: &[Line] = &[
    // Digests, for signatures: collisions are what matters.
    digest("md2", Strength::Broken, "RFC 6149; Knudsen, Mathiassen, Muller, Thomsen 2009, collisions"),
    digest("md4", Strength::Broken, "RFC 6150; Wang, Lai, Feng, Chen, Yu 2005, collisions by hand"),
    digest("md5", Strength::Broken, "RFC 6151; Wang, Yu 2005; Stevens et al. 2009, a forged certificate authority"),
    digest("ripemd160", Strength::Broken, "RFC 9580, section 9.5: must not be validated; 80 bits against collisions"),
    digest(
        "sha1",
        Strength::Broken,
        "RFC 9580, section 9.5: must not be validated; Leurent, Peyrin 2020, chosen-prefix collisions for 45,000 USD",
    ),
    digest("sha224", Strength::Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 112 bits"),
    digest("sha256", Strength::Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 128 bits"),
    digest("sha384", Strength::Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 192 bits"),
    digest("sha512", Strength::Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 256 bits"),
    digest("sha512-224", Strength::Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 112 bits"),
    digest("sha512-256", Strength::Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 128 bits"),
    digest("sha3-224", Strength::Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 112 bits"),
    digest("sha3-256", Strength::Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 128 bits"),
    digest("sha3-384", Strength::Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 192 bits"),
    digest("sha3-512", Strength::Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 256 bits"),
    digest("shake128", Strength::Strong, "FIPS 202, table 4: 128 bits with 32 octets; RFC 8702, section 3"),
    digest("shake256", Strength::Strong, "FIPS 202, table 4: 256 bits with 64 octets; RFC 8702, section 3"),
    // Ciphers. Those of 64-bit blocks collide after 32 GiB: Bhargavan, Leurent 2016 (Sweet32).
    cipher("3des", Strength::Weak, "SP 800-131A rev. 2, section 2: disallowed after 2023; Sweet32"),
    cipher("aes128", Strength::Strong, "FIPS 197; SP 800-131A rev. 2, section 2"),
    cipher("aes128-gcm", Strength::Strong, "FIPS 197; SP 800-38D"),
    cipher("aes192", Strength::Strong, "FIPS 197; SP 800-131A rev. 2, section 2"),
    cipher("aes192-gcm", Strength::Strong, "FIPS 197; SP 800-38D"),
    cipher("aes256", Strength::Strong, "FIPS 197; SP 800-131A rev. 2, section 2"),
    cipher("aes256-gcm", Strength::Strong, "FIPS 197; SP 800-38D"),
    cipher("blowfish", Strength::Weak, "blocks of 64 bits: Sweet32; its author's advice since 2007 is Twofish"),
    cipher("camellia128", Strength::Strong, "RFC 3713; RFC 5581; ISO/IEC 18033-3"),
    cipher("camellia192", Strength::Strong, "RFC 3713; RFC 5581; ISO/IEC 18033-3"),
    cipher("camellia256", Strength::Strong, "RFC 3713; RFC 5581; ISO/IEC 18033-3"),
    cipher("cast5", Strength::Weak, "RFC 9580, section 9.3: must not encrypt; Sweet32"),
    cipher("chacha20-poly1305", Strength::Strong, "RFC 8439"),
    cipher("des", Strength::Broken, "FIPS 46-3 withdrawn 2005; RFC 4772: 56 bits, searched in a day since 1999"),
    cipher("idea", Strength::Weak, "RFC 9580, section 9.3: must not encrypt; Sweet32"),
    cipher("rc2-40", Strength::Broken, "RFC 8551, appendix B.2; 40 bits, searched in hours since 1996"),
    cipher("rc2-64", Strength::Broken, "RFC 8551, appendix B.2; 64 bits, distributed.net 2002"),
    cipher("rc2-128", Strength::Weak, "RFC 8551, appendix B.2: historic; Sweet32"),
    cipher("twofish", Strength::Strong, "RFC 9580, section 9.3; Schneier et al. 1998, finalist for AES"),
    // Public keys.
    key("rsa", 0..1024, Strength::Broken, "RFC 8301, section 3.2; RSA-768 factored 2009, RSA-829 factored 2020"),
    key(
        "rsa",
        1024..2048,
        Strength::Weak,
        "RFC 9580, section 12.4: must not sign, verify or encrypt; RFC 8551, section 4.3",
    ),
    key("rsa", 2048..usize::MAX, Strength::Strong, "SP 800-131A rev. 2, section 3; RFC 8551, section 4.3"),
    key("dsa", 0..1024, Strength::Broken, "Kleinjung et al. 2017, a 768-bit discrete logarithm"),
    key(
        "dsa",
        1024..usize::MAX,
        Strength::Weak,
        "RFC 9580, section 12.5: must not sign or verify; FIPS 186-5, section 4",
    ),
    key("elgamal", 0..1024, Strength::Broken, "Kleinjung et al. 2017, a 768-bit discrete logarithm"),
    key("elgamal", 1024..usize::MAX, Strength::Weak, "RFC 9580, section 12.6: must not encrypt"),
    curve("brainpoolp256", Strength::Strong, "RFC 5639; BSI TR-02102-1"),
    curve("brainpoolp384", Strength::Strong, "RFC 5639; BSI TR-02102-1"),
    curve("brainpoolp512", Strength::Strong, "RFC 5639; BSI TR-02102-1"),
    curve("ed25519", Strength::Strong, "RFC 8032; FIPS 186-5, section 7"),
    curve("ed448", Strength::Strong, "RFC 8032; FIPS 186-5, section 7"),
    curve("p256", Strength::Strong, "FIPS 186-5; SP 800-186, section 3.2.1"),
    curve("p384", Strength::Strong, "FIPS 186-5; SP 800-186, section 3.2.1"),
    curve("p521", Strength::Strong, "FIPS 186-5; SP 800-186, section 3.2.1"),
    curve("x25519", Strength::Strong, "RFC 7748; SP 800-186, section 3.2.2"),
    curve("x448", Strength::Strong, "RFC 7748; SP 800-186, section 3.2.2"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Aead, Cipher, Curve, Hash, KeyAlgorithm};

    #[test]
    fn no_two_lines_overlap() {
        for (at, line) in TABLE.iter().enumerate() {
            for other in &TABLE[..at] {
                let overlap = line.bits.start.max(other.bits.start) < line.bits.end.min(other.bits.end);
                assert!(!(line.used == other.used && line.name == other.name && overlap), "{}", line.name);
            }
        }
    }

    #[test]
    fn every_algorithm_we_run_is_in_the_table() {
        let named = |used, name: &str| TABLE.iter().any(|line| line.used == used && line.name == name);
        assert!(Hash::ALL.iter().all(|hash| named(Use::Digest, hash.name())));
        assert!(Cipher::ALL.iter().all(|cipher| named(Use::Cipher, cipher.name())));
        assert!(Aead::ALL.iter().all(|cipher| named(Use::Cipher, cipher.name())));
    }

    #[test]
    fn boundaries_are_where_the_sources_say() {
        assert_eq!(Strength::of_key("rsa", 1023), Strength::Broken);
        assert_eq!(Strength::of_key("rsa", 1024), Strength::Weak);
        assert_eq!(Strength::of_key("rsa", 2047), Strength::Weak);
        assert_eq!(Strength::of_key("rsa", 2048), Strength::Strong);
        assert_eq!(KeyAlgorithm::Dsa(4096).strength(), Strength::Weak);
        assert_eq!(KeyAlgorithm::Elgamal(768).strength(), Strength::Broken);
        assert_eq!(KeyAlgorithm::Ecdsa(Curve::P256).strength(), Strength::Strong);
        assert_eq!(Hash::Sha1.strength(), Strength::Broken);
        assert_eq!(Hash::Ripemd160.strength(), Strength::Broken);
        assert_eq!(Hash::Md5.strength().min(Hash::Sha512.strength()), Strength::Broken);
        assert_eq!(Cipher::Cast5.strength(), Strength::Weak);
    }

    #[test]
    fn the_unknown_is_weaker_than_anything_and_not_called_broken() {
        assert_eq!(Strength::of_digest("sha256 "), Strength::Unknown);
        assert_eq!(Strength::of_key("p192", 192), Strength::Unknown);
        assert!(Strength::Unknown < Strength::Broken);
    }
}
