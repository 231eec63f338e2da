//! One private-key handle for three protocols.

use std::fmt;

use const_oid::ObjectIdentifier as Oid;
use serde::{Deserialize, Serialize};

use super::{
    Conveys, Curve, Hash, MlDsa, MlKem, Signs, SlhDsa, Strength,
    algorithm::{KeyFacts, key_facts},
};
use crate::base::{Error, Result, Secret};

/// A private key that works but is never seen. Software keys and PKCS#11 tokens implement it.
///
/// A key refuses what its algorithm cannot do with an [`Error`](crate::base::Error) of kind `NoKey`.
///
/// # Example
///
/// ```
/// use postseal::{
///     base::{Result, Secret},
///     crypto::{KeyAlgorithm, Scheme, SecretKey, Unwrap},
/// };
///
/// /// An Ed25519 key in a token.
/// #[derive(Debug)]
/// struct Token;
///
/// impl SecretKey for Token {
///     fn algorithm(&self) -> KeyAlgorithm {
///         KeyAlgorithm::Ed25519
///     }
///     fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
///         match scheme {
///             Scheme::EdDsa => Ok(vec![0; 64]), // The token signs `digest` here.
///             _ => Err(self.algorithm().refuses("sign by this scheme")),
///         }
///     }
///     fn decrypt(&self, _: Unwrap<'_>, _: &[u8]) -> Result<Secret> {
///         Err(self.algorithm().refuses("decrypt"))
///     }
///     fn agree(&self, _: &[u8]) -> Result<Secret> {
///         Err(self.algorithm().refuses("agree on a secret"))
///     }
/// }
///
/// assert_eq!(Token.sign(Scheme::EdDsa, b"digest").map(|signature| signature.len()), Ok(64));
/// ```
pub trait SecretKey: Send + Sync + fmt::Debug {
    /// What kind of key this is.
    fn algorithm(&self) -> KeyAlgorithm;

    /// Signs a digest, or with [`Scheme::EdDsa`] and [`Scheme::Pure`] the octets of a message.
    ///
    /// A key that cannot be reached (a token that is not plugged in) answers every operation with an error that
    /// [is of this machine](crate::base::Error::is_of_machine), of kind `TryAgain`. It is never taken for a refusal: see [`unless_refused`].
    ///
    /// The answer is the RSA signature as a big-endian number of the modulus' length; for ECDSA `r || s`, each of
    /// the curve's length; for Ed25519 the 64 octets of RFC 8032, for Ed448 the 114; for ML-DSA and SLH-DSA the
    /// octets of FIPS 204 and 205; for DSA `r || s`, each of the subgroup order's length.
    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>>;

    /// Undoes RSA encryption of `wrapped`, a big-endian number of the modulus' length (or, for ElGamal, takes
    /// `g^k || m*y^k`, each of the prime's length, and undoes PKCS#1 v1.5).
    ///
    /// With [`Unwrap::RsaPkcs1`] wrong padding is no error: the answer is then as unpredictable as another key's would be, so that the failure shows
    /// as late as with any wrong session key (see `crypto/rejection.rs`).
    fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Secret>;

    /// The shared secret with `peer`: an uncompressed point (X9.62, leading 4) answered by its x-coordinate,
    /// or 32 octets (56 for X448) of RFC 7748 answered by as many.
    fn agree(&self, peer: &[u8]) -> Result<Secret>;

    /// The secret of 32 octets in `ciphertext` (FIPS 203, algorithm 21). A ciphertext of the right length that was made for another key, or was changed,
    /// is no error: the answer is then another secret, as unpredictable as a wrong key's.
    ///
    /// A key that encapsulates nothing refuses, as this does by itself.
    fn decapsulate(&self, ciphertext: &[u8]) -> Result<Secret> {
        Err(self.algorithm().refuses(format_args!("open a capsule of {} octets", ciphertext.len())))
    }
}

/// The answer of a key to what a stranger sent; `None` when the key refused it, for whatever reason, so that all refusals look alike.
///
/// # Errors
///
/// The key could not be asked: a token is gone, a PIN is wrong. That says nothing about what was sent, and is temporary.
///
/// # Example
///
/// ```
/// use postseal::{base::{Error, Kind}, crypto::unless_refused};
///
/// assert_eq!(unless_refused::<()>(Err(Error::no_key("rsa2048 key: cannot decrypt"))), Ok(None));
/// let gone = Error::new(Kind::TryAgain, "token mail: is not there");
/// assert_eq!(unless_refused::<()>(Err(gone.clone())), Err(gone));
/// ```
pub fn unless_refused<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_of_machine() => Err(error),
        Err(_) => Ok(None),
    }
}

/// What a private key can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// DSA with a prime of so many bits.
    Dsa(usize),
    /// Elliptic-curve Diffie-Hellman on a Weierstrass curve.
    Ecdh(Curve),
    /// ECDSA.
    Ecdsa(Curve),
    /// Ed25519 of RFC 8032.
    Ed25519,
    /// Ed448 of RFC 8032.
    Ed448,
    /// ElGamal with a prime of so many bits.
    Elgamal(usize),
    /// ML-DSA of FIPS 204.
    MlDsa(MlDsa),
    /// ML-KEM of FIPS 203.
    MlKem(MlKem),
    /// SLH-DSA of FIPS 205.
    SlhDsa(SlhDsa),
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// X25519 of RFC 7748.
    X25519,
    /// X448 of RFC 7748.
    X448,
    /// Something else, by name.
    // No secret key of this kind works, so that no process has to know one of another.
    #[serde(skip)]
    Other(Name),
}

// serde would ask of a reference that what is read lives as long, of a variant that is never read too.
type Name = &'static str;

impl KeyAlgorithm {
    /// The name in reports, with the size where the algorithm does not fix it: `rsa2048`, `dsa1024`, `ed25519`, `p256`.
    pub fn name(self) -> String {
        match self.bits() {
            0 => self.family().to_owned(),
            bits => format!("{}{bits}", self.family()),
        }
    }

    /// How strong a key of this kind is.
    pub fn strength(self) -> Strength {
        match self {
            KeyAlgorithm::Ecdh(curve) | KeyAlgorithm::Ecdsa(curve) => curve.strength(),
            _ => self.facts().strength(self.bits()),
        }
    }

    /// Whether it withstands a quantum computer: its signatures cannot be forged with one, and what it conveys stays secret.
    pub fn is_quantum_safe(self) -> bool {
        self.facts().quantum_safe
    }

    /// What it signs.
    pub fn signs(self) -> Signs {
        self.facts().signs
    }

    /// How it conveys a content key. Of an X.509 key for ECDSA that is agreement: its certificate says whether it may.
    pub fn conveys(self) -> Conveys {
        self.facts().conveys
    }

    /// The one of FIPS 203, 204 or 205 with this object identifier, of a key or of its signatures.
    pub(crate) fn of_post_quantum(oid: Oid) -> Option<KeyAlgorithm> {
        let signing =
            MlDsa::of_oid(oid).map(KeyAlgorithm::MlDsa).or_else(|| SlhDsa::of_oid(oid).map(KeyAlgorithm::SlhDsa));
        signing.or_else(|| MlKem::of_oid(oid).map(KeyAlgorithm::MlKem))
    }

    /// Its object identifier, where it is one of FIPS 203, 204 or 205.
    pub(crate) fn post_quantum_oid(self) -> Option<Oid> {
        match self {
            KeyAlgorithm::MlDsa(set) => set.oid(),
            KeyAlgorithm::MlKem(set) => set.oid(),
            KeyAlgorithm::SlhDsa(set) => set.oid(),
            _ => None,
        }
    }

    /// The refusal of what a key of this kind cannot do; `what` is `sign`, `decrypt`, `agree on a secret`, ...
    pub fn refuses(self, what: impl fmt::Display) -> Error {
        Error::no_key(format!("{} key: cannot {what}", self.name()))
    }

    fn facts(self) -> &'static KeyFacts {
        key_facts(match self {
            KeyAlgorithm::Dsa(_) => "dsa",
            KeyAlgorithm::Ecdh(_) => "ecdh",
            KeyAlgorithm::Ecdsa(_) => "ecdsa",
            KeyAlgorithm::Ed25519 => "ed25519",
            KeyAlgorithm::Ed448 => "ed448",
            KeyAlgorithm::Elgamal(_) => "elgamal",
            KeyAlgorithm::MlDsa(set) => set.name(),
            KeyAlgorithm::MlKem(set) => set.name(),
            KeyAlgorithm::SlhDsa(set) => set.name(),
            KeyAlgorithm::Rsa(_) => "rsa",
            KeyAlgorithm::X25519 => "x25519",
            KeyAlgorithm::X448 => "x448",
            KeyAlgorithm::Other(name) => name,
        })
    }

    fn family(self) -> &'static str {
        match self {
            KeyAlgorithm::Ecdh(curve) | KeyAlgorithm::Ecdsa(curve) => curve.name(),
            KeyAlgorithm::Other(name) => name,
            _ => self.facts().name,
        }
    }

    /// How long one verification takes at most, in those of RSA with 4096 bits: by the square of the length above that, and above 1024 bits
    /// for DSA, whose exponents are not small. Source: measured, 14 ms for RSA of 16384 bits, 31 ms for DSA of 8192, 3, 6 and 10 ms for the
    /// brainpool curves, and up to 5 ms for SLH-DSA.
    pub fn cost(self) -> usize {
        if let KeyAlgorithm::Ecdsa(curve) = self {
            return curve.cost();
        }
        if let KeyAlgorithm::SlhDsa(_) = self {
            return SLH_DSA_COST;
        }
        let unit = if matches!(self, KeyAlgorithm::Dsa(_)) { 1024 } else { 4096 };
        (self.bits() / unit).saturating_pow(2).max(self.facts().cost)
    }

    /// How long unwrapping one session key takes at most, in those of RSA with 3072 bits: by the cube of the length above that. Source: measured, 2.6 ms
    /// for RSA of 3072 bits, 6 ms for 4096; an agreement on a curve takes no longer than a verification.
    pub fn unwrap_cost(self) -> usize {
        match self {
            KeyAlgorithm::Ecdh(curve) => KeyAlgorithm::Ecdsa(curve).cost(),
            KeyAlgorithm::Rsa(bits) | KeyAlgorithm::Elgamal(bits) => {
                (bits.saturating_pow(3) / 3072_usize.saturating_pow(3)).max(1)
            }
            other => other.cost(),
        }
    }

    /// 0 where the family says all.
    fn bits(self) -> usize {
        match self {
            KeyAlgorithm::Dsa(bits) | KeyAlgorithm::Elgamal(bits) | KeyAlgorithm::Rsa(bits) => bits,
            _ => 0,
        }
    }
}

/// One verification of SLH-DSA, in those of RSA with 4096 bits: that of the slowest set, with the hash that is slowest.
const SLH_DSA_COST: usize = 8;

/// How a digest is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Scheme {
    /// DSA (FIPS 186-4).
    Dsa,
    /// ECDSA over a digest made by this hash.
    Ecdsa(Hash),
    /// EdDSA over the digest octets as the message (RFC 9580, section 5.2.3.3).
    EdDsa,
    /// ML-DSA (FIPS 204, section 5.2) or SLH-DSA (FIPS 205, section 10.2.1) over the digest octets as the message, with an empty context.
    Pure,
    /// RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2).
    RsaPkcs1(Hash),
    /// RSASSA-PSS (RFC 8017, section 8.1).
    RsaPss {
        /// The hash that made the digest.
        hash: Hash,
        /// The hash of MGF1.
        mgf: Hash,
        /// The salt's length in octets.
        salt: usize,
    },
}

impl Scheme {
    /// RSASSA-PSS as everyone makes it: MGF1 of the same hash, and a salt of its length.
    pub fn pss(hash: Hash) -> Scheme {
        Scheme::RsaPss { hash, mgf: hash, salt: hash.length() }
    }
}

/// How a wrapped key is unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unwrap<'a> {
    /// RSAES-OAEP (RFC 8017, section 7.1).
    RsaOaep {
        /// The hash of the label.
        hash: Hash,
        /// The hash of MGF1.
        mgf: Hash,
        /// The label that the padding covers; almost always empty.
        label: &'a [u8],
    },
    /// RSAES-PKCS1-v1_5 (RFC 8017, section 7.2), with implicit rejection.
    RsaPkcs1,
}
