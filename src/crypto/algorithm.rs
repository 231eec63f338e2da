//! The table of algorithms, a line each: names, identifiers, sizes, strength with its source, cost.
//!
//! A new hash, cipher or curve is one line here and its implementation: the compiler names the matches that run it. X.509 and CMS find it by its object
//! identifier, OpenPGP by its number, PEM and the command line by its name. What no line names is of unknown strength, and counts for nothing.

mod lookup;

use std::ops::Range;

use const_oid::{
    ObjectIdentifier as Oid,
    db::{fips202, rfc5639, rfc5911, rfc5912, rfc6268, rfc9688},
};

pub(super) use lookup::key_facts;
pub(crate) use lookup::openpgp_key_name;

use super::Strength::{self, Broken, Strong, Weak};

/// The lines of a table, and the enum of what they describe.
macro_rules! table {
    ($(#[$meta:meta])* $kind:ident: $facts:ident { $($(#[$doc:meta])* $name:ident { $($field:ident: $value:expr),* $(,)? })* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize)]
        #[non_exhaustive]
        pub enum $kind {
            $($(#[$doc])* $name,)*
        }

        impl $kind {
            /// All of them, in the order of the table.
            pub const ALL: [$kind; [$($kind::$name),*].len()] = [$($kind::$name),*];

            // Few lines have every field.
            #[allow(clippy::needless_update)]
            pub(super) const fn facts(self) -> &'static $facts {
                match self {
                    $($kind::$name => &const { $facts { $($field: $value,)* ..$facts::NONE } },)*
                }
            }

            /// The one with this object identifier.
            pub(crate) fn of_oid(oid: Oid) -> Option<$kind> {
                Self::ALL.into_iter().find(|one| one.facts().oid == Some(oid))
            }

            /// Its object identifier; `None` where it has none.
            pub(crate) fn oid(self) -> Option<Oid> {
                self.facts().oid
            }
        }
    };
}

// Below the macro, which it uses.
mod post_quantum;

pub use post_quantum::{MlDsa, MlKem, SlhDsa};

pub(super) struct HashFacts {
    pub(super) name: &'static str,
    /// Octets of a digest.
    pub(super) length: usize,
    /// Octets taken at a time, for HMAC and the like.
    pub(super) block: usize,
    pub(super) strength: Strength,
    /// In passes of SHA-1 without instructions of its own (300 MB/s). Source: `cargo bench --bench crypto`, rounded up.
    pub(super) cost: usize,
    /// One digest of a few octets, in those of SHA-256. Source: `cargo bench --bench crypto derivation`.
    pub(super) derivation_cost: u64,
    /// RFC 9580, section 9.5.
    openpgp: Option<u8>,
    oid: Option<Oid>,
    /// HMAC with it (RFC 8018, appendix B.1).
    hmac: Option<Oid>,
    /// Signatures with it, the one that we write first: RSASSA-PKCS1-v1_5, ECDSA, DSA.
    rsa: &'static [Oid],
    ecdsa: &'static [Oid],
    dsa: &'static [Oid],
    /// RFC 1423, section 2; what is newer by the same syntax.
    pem: Option<&'static str>,
}

pub(super) struct CipherFacts {
    pub(super) name: &'static str,
    /// Octets of a key. RC2 also takes others: its effective bits do not depend on it.
    pub(super) key: usize,
    /// Octets of a block.
    pub(super) block: usize,
    pub(super) strength: Strength,
    /// In passes of AES (400 MB/s). Source: `cargo bench --bench crypto`, rounded up.
    pub(super) cost: usize,
    /// RFC 9580, section 9.3.
    openpgp: Option<u8>,
    /// In CBC mode. RC2's says nothing of its effective bits and is none of this.
    oid: Option<Oid>,
    /// In CBC mode, the name that we write first (RFC 1423, section 1.1).
    pem: &'static [&'static str],
}

pub(super) struct AeadFacts {
    pub(super) name: &'static str,
    /// Octets of a key.
    pub(super) key: usize,
    pub(super) strength: Strength,
    oid: Option<Oid>,
}

pub(super) struct CurveFacts {
    pub(super) name: &'static str,
    /// Octets of a coordinate, and of a scalar.
    pub(super) length: usize,
    strength: Strength,
    /// One verification, in those of RSA with 4096 bits. Source: measured.
    cost: usize,
    /// The hash function of its size (RFC 9580, section 9.2; RFC 5753, section 7.2).
    hash: Hash,
    oid: Option<Oid>,
}

/// A kind of public key.
pub(super) struct KeyFacts {
    pub(super) name: &'static str,
    pub(super) signs: Signs,
    pub(super) conveys: Conveys,
    /// By its size in bits; none where the curve decides.
    strength: &'static [(Range<usize>, Strength)],
    /// Whether it withstands a quantum computer that runs Shor's algorithm (1994), which the others do not.
    pub(super) quantum_safe: bool,
    /// One verification, in those of RSA with 4096 bits, where neither size nor curve decides. Source: measured.
    pub(super) cost: usize,
    /// RFC 9580, section 9.1; RFC 9980, section 2.3, for those that withstand quantum computers.
    openpgp: &'static [u8],
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signs {
    /// A digest of the message.
    Digest,
    /// The message itself.
    Message,
    /// Nothing.
    Nothing,
}

/// How a key conveys a content key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conveys {
    /// Both sides agree on a secret that wraps it.
    Agrees,
    /// A secret is encapsulated, and wraps it.
    Encapsulates,
    /// Not at all.
    Nothing,
    /// It is encrypted to the key.
    Wraps,
}

/// The source of each line is for its readers.
const fn rated(strength: Strength, _source: &'static str) -> Strength {
    strength
}

/// The source of each line is for its readers.
const fn withstands(_source: &'static str) -> bool {
    true
}

const fn oid(dotted: &str) -> Option<Oid> {
    Some(Oid::new_unwrap(dotted))
}

impl HashFacts {
    const NONE: HashFacts = HashFacts {
        name: "",
        length: 0,
        block: 64,
        strength: Strength::Unknown,
        cost: 1,
        derivation_cost: 4,
        openpgp: None,
        oid: None,
        hmac: None,
        rsa: &[],
        ecdsa: &[],
        dsa: &[],
        pem: None,
    };
}

impl CipherFacts {
    const NONE: CipherFacts = CipherFacts {
        name: "",
        key: 16,
        block: 16,
        strength: Strength::Unknown,
        cost: 1,
        openpgp: None,
        oid: None,
        pem: &[],
    };
}

impl AeadFacts {
    const NONE: AeadFacts = AeadFacts { name: "", key: 32, strength: Strength::Unknown, oid: None };
}

impl CurveFacts {
    const NONE: CurveFacts =
        CurveFacts { name: "", length: 0, strength: Strength::Unknown, cost: 1, hash: Hash::Sha256, oid: None };
}

// Digests are rated for signatures: collisions are what matters.
table! {
    /// A hash function.
    Hash: HashFacts {
        /// RFC 1319.
        Md2 {
            name: "md2", length: 16, block: 16, cost: 64, derivation_cost: 16, oid: Some(rfc5912::ID_MD_2), pem: Some("RSA-MD2"),
            rsa: &[rfc5912::MD_2_WITH_RSA_ENCRYPTION],
            strength: rated(Broken, "RFC 6149; Knudsen, Mathiassen, Muller, Thomsen 2009, collisions"),
        }
        /// RFC 1321.
        Md5 {
            name: "md5", length: 16, derivation_cost: 2, openpgp: Some(1), oid: Some(rfc5912::ID_MD_5), pem: Some("RSA-MD5"),
            rsa: &[rfc5912::MD_5_WITH_RSA_ENCRYPTION],
            strength: rated(Broken, "RFC 6151; Wang, Yu 2005; Stevens et al. 2009, a forged certificate authority"),
        }
        /// ISO/IEC 10118-3.
        Ripemd160 {
            name: "ripemd160", length: 20, cost: 2, openpgp: Some(3), oid: oid("1.3.36.3.2.1"),
            rsa: &[Oid::new_unwrap("1.3.36.3.3.1.2")],
            strength: rated(Broken, "RFC 9580, section 9.5: must not be validated; 80 bits against collisions"),
        }
        /// FIPS 180-4.
        Sha1 {
            name: "sha1", length: 20, derivation_cost: 1, openpgp: Some(2), oid: Some(rfc5912::ID_SHA_1), hmac: oid("1.2.840.113549.2.7"),
            // The second ones are OIW's.
            rsa: &[rfc5912::SHA_1_WITH_RSA_ENCRYPTION, Oid::new_unwrap("1.3.14.3.2.29")],
            ecdsa: &[Oid::new_unwrap("1.2.840.10045.4.1")],
            dsa: &[rfc5912::DSA_WITH_SHA_1, Oid::new_unwrap("1.3.14.3.2.27")],
            pem: Some("RSA-SHA1"),
            strength: rated(Broken, "RFC 9580, section 9.5: must not be validated; Leurent, Peyrin 2020, chosen-prefix collisions for 45,000 USD"),
        }
        /// FIPS 180-4.
        Sha224 {
            name: "sha224", length: 28, derivation_cost: 1, openpgp: Some(11), oid: Some(rfc5912::ID_SHA_224), hmac: Some(rfc6268::ID_HMAC_WITH_SHA_224),
            rsa: &[rfc5912::SHA_224_WITH_RSA_ENCRYPTION], ecdsa: &[rfc5912::ECDSA_WITH_SHA_224], dsa: &[rfc5912::DSA_WITH_SHA_224],
            strength: rated(Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 112 bits"),
        }
        /// FIPS 180-4.
        Sha256 {
            name: "sha256", length: 32, derivation_cost: 1, openpgp: Some(8), oid: Some(rfc5912::ID_SHA_256), hmac: Some(rfc6268::ID_HMAC_WITH_SHA_256),
            rsa: &[rfc5912::SHA_256_WITH_RSA_ENCRYPTION], ecdsa: &[rfc5912::ECDSA_WITH_SHA_256], dsa: &[rfc5912::DSA_WITH_SHA_256],
            pem: Some("RSA-SHA256"),
            strength: rated(Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 128 bits"),
        }
        /// FIPS 180-4.
        Sha384 {
            name: "sha384", length: 48, block: 128, derivation_cost: 2, openpgp: Some(9), oid: Some(rfc5912::ID_SHA_384),
            hmac: Some(rfc6268::ID_HMAC_WITH_SHA_384),
            rsa: &[rfc5912::SHA_384_WITH_RSA_ENCRYPTION], ecdsa: &[rfc5912::ECDSA_WITH_SHA_384], dsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.3")],
            pem: Some("RSA-SHA384"),
            strength: rated(Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 192 bits"),
        }
        /// FIPS 180-4.
        Sha512 {
            name: "sha512", length: 64, block: 128, derivation_cost: 2, openpgp: Some(10), oid: Some(rfc5912::ID_SHA_512),
            hmac: Some(rfc6268::ID_HMAC_WITH_SHA_512),
            rsa: &[rfc5912::SHA_512_WITH_RSA_ENCRYPTION], ecdsa: &[rfc5912::ECDSA_WITH_SHA_512], dsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.4")],
            pem: Some("RSA-SHA512"),
            strength: rated(Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 256 bits"),
        }
        /// FIPS 180-4.
        Sha512_224 {
            name: "sha512-224", length: 28, block: 128, cost: 2, oid: oid("2.16.840.1.101.3.4.2.5"),
            rsa: &[Oid::new_unwrap("1.2.840.113549.1.1.15")],
            strength: rated(Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 112 bits"),
        }
        /// FIPS 180-4.
        Sha512_256 {
            name: "sha512-256", length: 32, block: 128, oid: oid("2.16.840.1.101.3.4.2.6"),
            rsa: &[Oid::new_unwrap("1.2.840.113549.1.1.16")],
            strength: rated(Strong, "FIPS 180-4; SP 800-57 part 1 rev. 5, table 3: 128 bits"),
        }
        /// FIPS 202.
        Sha3_224 {
            name: "sha3-224", length: 28, block: 144, cost: 2, oid: Some(fips202::ID_SHA_3_224),
            rsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.13")], ecdsa: &[rfc9688::ID_ECDSA_WITH_SHA_3_224],
            dsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.5")],
            strength: rated(Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 112 bits"),
        }
        /// FIPS 202.
        Sha3_256 {
            name: "sha3-256", length: 32, block: 136, openpgp: Some(12), oid: Some(fips202::ID_SHA_3_256),
            rsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.14")], ecdsa: &[rfc9688::ID_ECDSA_WITH_SHA_3_256],
            dsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.6")],
            strength: rated(Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 128 bits"),
        }
        /// FIPS 202.
        Sha3_384 {
            name: "sha3-384", length: 48, block: 104, oid: Some(fips202::ID_SHA_3_384),
            rsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.15")], ecdsa: &[rfc9688::ID_ECDSA_WITH_SHA_3_384],
            dsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.7")],
            strength: rated(Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 192 bits"),
        }
        /// FIPS 202.
        Sha3_512 {
            name: "sha3-512", length: 64, block: 72, openpgp: Some(14), oid: Some(fips202::ID_SHA_3_512),
            rsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.16")], ecdsa: &[rfc9688::ID_ECDSA_WITH_SHA_3_512],
            dsa: &[Oid::new_unwrap("2.16.840.1.101.3.4.3.8")],
            strength: rated(Strong, "FIPS 202; SP 800-57 part 1 rev. 5, table 3: 256 bits"),
        }
        /// FIPS 202, with 32 octets of output (RFC 8702, section 3).
        Shake128 {
            name: "shake128", length: 32, block: 168, cost: 2, oid: Some(fips202::ID_SHAKE_128), ecdsa: &[Oid::new_unwrap("1.3.6.1.5.5.7.6.32")],
            strength: rated(Strong, "FIPS 202, table 4: 128 bits with 32 octets; RFC 8702, section 3"),
        }
        /// FIPS 202, with 64 octets of output (RFC 8702, section 3; RFC 8419, section 2.3).
        Shake256 {
            name: "shake256", length: 64, block: 136, cost: 2, oid: Some(fips202::ID_SHAKE_256), ecdsa: &[Oid::new_unwrap("1.3.6.1.5.5.7.6.33")],
            strength: rated(Strong, "FIPS 202, table 4: 256 bits with 64 octets; RFC 8702, section 3"),
        }
    }
}

// Those of 64-bit blocks collide after 32 GiB: Bhargavan, Leurent 2016 (Sweet32).
table! {
    /// A block cipher of OpenPGP (RFC 9580, section 9.3) or CMS (RFC 3370, section 5; RFC 3565).
    Cipher: CipherFacts {
        /// FIPS 197.
        Aes128 {
            name: "aes128", openpgp: Some(7), oid: Some(rfc5911::ID_AES_128_CBC), pem: &["AES-128-CBC"],
            strength: rated(Strong, "FIPS 197; SP 800-131A rev. 2, section 2"),
        }
        /// FIPS 197.
        Aes192 {
            name: "aes192", key: 24, openpgp: Some(8), oid: Some(rfc5911::ID_AES_192_CBC), pem: &["AES-192-CBC"],
            strength: rated(Strong, "FIPS 197; SP 800-131A rev. 2, section 2"),
        }
        /// FIPS 197.
        Aes256 {
            name: "aes256", key: 32, openpgp: Some(9), oid: Some(rfc5911::ID_AES_256_CBC), pem: &["AES-256-CBC"],
            strength: rated(Strong, "FIPS 197; SP 800-131A rev. 2, section 2"),
        }
        /// Schneier 1993, with a key of 128 bits.
        Blowfish {
            name: "blowfish", block: 8, cost: 4, openpgp: Some(4),
            strength: rated(Weak, "blocks of 64 bits: Sweet32; its author's advice since 2007 is Twofish"),
        }
        /// RFC 3713.
        Camellia128 {
            name: "camellia128", cost: 4, openpgp: Some(11), oid: oid("1.2.392.200011.61.1.1.1.2"),
            strength: rated(Strong, "RFC 3713; RFC 5581; ISO/IEC 18033-3"),
        }
        /// RFC 3713.
        Camellia192 {
            name: "camellia192", key: 24, cost: 4, openpgp: Some(12), oid: oid("1.2.392.200011.61.1.1.1.3"),
            strength: rated(Strong, "RFC 3713; RFC 5581; ISO/IEC 18033-3"),
        }
        /// RFC 3713.
        Camellia256 {
            name: "camellia256", key: 32, cost: 4, openpgp: Some(13), oid: oid("1.2.392.200011.61.1.1.1.4"),
            strength: rated(Strong, "RFC 3713; RFC 5581; ISO/IEC 18033-3"),
        }
        /// RFC 2144, with a key of 128 bits.
        Cast5 {
            name: "cast5", block: 8, cost: 4, openpgp: Some(3),
            strength: rated(Weak, "RFC 9580, section 9.3: must not encrypt; Sweet32"),
        }
        /// FIPS 46-3.
        Des {
            name: "des", key: 8, block: 8, cost: 8, oid: oid("1.3.14.3.2.7"), pem: &["DES-CBC"],
            strength: rated(Broken, "FIPS 46-3 withdrawn 2005; RFC 4772: 56 bits, searched in a day since 1999"),
        }
        /// Lai, Massey 1991.
        Idea {
            name: "idea", block: 8, cost: 8, openpgp: Some(1),
            strength: rated(Weak, "RFC 9580, section 9.3: must not encrypt; Sweet32"),
        }
        /// RFC 2268, with 40 effective bits.
        Rc2_40 {
            name: "rc2-40", key: 5, block: 8, cost: 8,
            strength: rated(Broken, "RFC 8551, appendix B.2; 40 bits, searched in hours since 1996"),
        }
        /// RFC 2268, with 64 effective bits.
        Rc2_64 {
            name: "rc2-64", key: 8, block: 8, cost: 8,
            strength: rated(Broken, "RFC 8551, appendix B.2; 64 bits, distributed.net 2002"),
        }
        /// RFC 2268, with 128 effective bits.
        Rc2_128 {
            name: "rc2-128", block: 8, cost: 8,
            strength: rated(Weak, "RFC 8551, appendix B.2: historic; Sweet32"),
        }
        /// Triple DES with three keys (SP 800-67).
        TripleDes {
            name: "3des", key: 24, block: 8, cost: 12, openpgp: Some(2), oid: Some(rfc5911::DES_EDE_3_CBC),
            // The first is RIPEM's, the second OpenSSL's.
            pem: &["DES-EDE-CBC", "DES-EDE3-CBC"],
            strength: rated(Weak, "SP 800-131A rev. 2, section 2: disallowed after 2023; Sweet32"),
        }
        /// Schneier et al. 1998, with a key of 256 bits.
        Twofish {
            name: "twofish", key: 32, cost: 4, openpgp: Some(10),
            strength: rated(Strong, "RFC 9580, section 9.3; Schneier et al. 1998, finalist for AES"),
        }
    }
}

table! {
    /// A cipher that authenticates.
    Aead: AeadFacts {
        /// SP 800-38D.
        Aes128Gcm { name: "aes128-gcm", key: 16, oid: Some(rfc5911::ID_AES_128_GCM), strength: rated(Strong, "FIPS 197; SP 800-38D") }
        /// SP 800-38D.
        Aes192Gcm { name: "aes192-gcm", key: 24, oid: Some(rfc5911::ID_AES_192_GCM), strength: rated(Strong, "FIPS 197; SP 800-38D") }
        /// SP 800-38D.
        Aes256Gcm { name: "aes256-gcm", oid: Some(rfc5911::ID_AES_256_GCM), strength: rated(Strong, "FIPS 197; SP 800-38D") }
        /// RFC 8439.
        ChaCha20Poly1305 { name: "chacha20-poly1305", oid: oid("1.2.840.113549.1.9.16.3.18"), strength: rated(Strong, "RFC 8439") }
    }
}

table! {
    /// Weierstrass curves.
    Curve: CurveFacts {
        /// RFC 5639.
        BrainpoolP256 {
            name: "brainpoolp256", length: 32, cost: 4, hash: Hash::Sha256, oid: Some(rfc5639::BRAINPOOL_P_256_R_1),
            strength: rated(Strong, "RFC 5639; BSI TR-02102-1"),
        }
        /// RFC 5639.
        BrainpoolP384 {
            name: "brainpoolp384", length: 48, cost: 8, hash: Hash::Sha384, oid: Some(rfc5639::BRAINPOOL_P_384_R_1),
            strength: rated(Strong, "RFC 5639; BSI TR-02102-1"),
        }
        /// RFC 5639.
        BrainpoolP512 {
            name: "brainpoolp512", length: 64, cost: 12, hash: Hash::Sha512, oid: Some(rfc5639::BRAINPOOL_P_512_R_1),
            strength: rated(Strong, "RFC 5639; BSI TR-02102-1"),
        }
        /// FIPS 186-5.
        P256 {
            name: "p256", length: 32, hash: Hash::Sha256, oid: Some(rfc5912::SECP_256_R_1),
            strength: rated(Strong, "FIPS 186-5; SP 800-186, section 3.2.1"),
        }
        /// FIPS 186-5.
        P384 {
            name: "p384", length: 48, hash: Hash::Sha384, oid: Some(rfc5912::SECP_384_R_1),
            strength: rated(Strong, "FIPS 186-5; SP 800-186, section 3.2.1"),
        }
        /// FIPS 186-5.
        P521 {
            name: "p521", length: 66, hash: Hash::Sha512, oid: Some(rfc5912::SECP_521_R_1),
            strength: rated(Strong, "FIPS 186-5; SP 800-186, section 3.2.1"),
        }
    }
}

/// A key whose strength its curve decides, or that is not served here: then it is unknown.
const fn key(name: &'static str, signs: Signs, conveys: Conveys, openpgp: &'static [u8]) -> KeyFacts {
    KeyFacts { name, signs, conveys, strength: &[], quantum_safe: false, cost: 1, openpgp }
}

/// Every kind of public key that has a name here.
const KEYS: &[KeyFacts] = &[
    KeyFacts {
        strength: &[
            (0..1024, rated(Broken, "RFC 8301, section 3.2; RSA-768 factored 2009, RSA-829 factored 2020")),
            (
                1024..2048,
                rated(Weak, "RFC 9580, section 12.4: must not sign, verify or encrypt; RFC 8551, section 4.3"),
            ),
            (2048..usize::MAX, rated(Strong, "SP 800-131A rev. 2, section 3; RFC 8551, section 4.3")),
        ],
        ..key("rsa", Signs::Digest, Conveys::Wraps, &[1, 2, 3])
    },
    KeyFacts {
        strength: &[
            (0..1024, rated(Broken, "Kleinjung et al. 2017, a 768-bit discrete logarithm")),
            (1024..usize::MAX, rated(Weak, "RFC 9580, section 12.5: must not sign or verify; FIPS 186-5, section 4")),
        ],
        ..key("dsa", Signs::Digest, Conveys::Nothing, &[17])
    },
    KeyFacts {
        strength: &[
            (0..1024, rated(Broken, "Kleinjung et al. 2017, a 768-bit discrete logarithm")),
            (1024..usize::MAX, rated(Weak, "RFC 9580, section 12.6: must not encrypt")),
        ],
        ..key("elgamal", Signs::Nothing, Conveys::Wraps, &[16, 20])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "RFC 8032; FIPS 186-5, section 7"))],
        ..key("ed25519", Signs::Message, Conveys::Nothing, &[27])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "RFC 8032; FIPS 186-5, section 7"))],
        ..key("ed448", Signs::Message, Conveys::Nothing, &[28])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "RFC 7748; SP 800-186, section 3.2.2"))],
        ..key("x25519", Signs::Nothing, Conveys::Agrees, &[25])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "RFC 7748; SP 800-186, section 3.2.2"))],
        ..key("x448", Signs::Nothing, Conveys::Agrees, &[26])
    },
    // An X.509 key for ECDSA agrees too (RFC 5480, section 2.1.1).
    key("ecdsa", Signs::Digest, Conveys::Agrees, &[19]),
    key("ecdh", Signs::Nothing, Conveys::Agrees, &[18]),
    key("eddsa", Signs::Message, Conveys::Nothing, &[22]),
    KeyFacts {
        strength: &[(ANY, rated(Strong, "FIPS 204; RFC 8032; RFC 9980, section 5.2: both must verify"))],
        quantum_safe: withstands("FIPS 204, table 1: ML-DSA-65, category 3"),
        cost: 2,
        ..key("mldsa65-ed25519", Signs::Message, Conveys::Nothing, &[30])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "FIPS 204; RFC 8032; RFC 9980, section 5.2: both must verify"))],
        quantum_safe: withstands("FIPS 204, table 1: ML-DSA-87, category 5"),
        cost: 8,
        ..key("mldsa87-ed448", Signs::Message, Conveys::Nothing, &[31])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "FIPS 203; RFC 7748; RFC 9980, section 4.2: both would have to be broken"))],
        quantum_safe: withstands("FIPS 203, table 3: ML-KEM-768, category 3"),
        ..key("mlkem768-x25519", Signs::Nothing, Conveys::Encapsulates, &[35])
    },
    KeyFacts {
        strength: &[(ANY, rated(Strong, "FIPS 203; RFC 7748; RFC 9980, section 4.2: both would have to be broken"))],
        quantum_safe: withstands("FIPS 203, table 3: ML-KEM-1024, category 5"),
        ..key("mlkem1024-x448", Signs::Nothing, Conveys::Encapsulates, &[36])
    },
];

/// What has no line.
const UNKNOWN: KeyFacts = key("unknown", Signs::Nothing, Conveys::Nothing, &[]);

const ANY: Range<usize> = 0..usize::MAX;
