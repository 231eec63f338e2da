//! What was found: layers, signatures, and why each signature is what it is.

use std::{fmt, time::SystemTime};

use crate::{
    crypto::Strength,
    keys::{Announcement, Authenticated, ProtocolName},
    mail::{Address, Span},
};

/// One cryptographic layer (RFC 9787, section 4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Whose format it is.
    pub protocol: ProtocolName,
    /// What it does.
    pub kind: LayerKind,
    /// Where it lies in the octets that it was found in (for a layer inside an encrypted one, the decrypted octets).
    pub span: Span,
}

/// What a layer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// Packs, and says nothing about anyone.
    Compressed {
        /// `zip`, `zlib`, `bzip2`.
        algorithm: String,
    },
    /// Hides.
    Encrypted {
        /// `aes256-ocb`, `3des`, ...
        cipher: String,
        /// Whether the ciphertext was protected against changes (MDC or AEAD) and was unchanged.
        authenticated: bool,
        /// Key IDs or fingerprints as in the message; `hidden` for a wildcard, `password` for a password.
        recipients: Vec<String>,
        /// Whether no way to the content falls to a quantum computer: every encrypted key in the message is for an algorithm that withstands
        /// one, or for a password.
        quantum_safe: bool,
    },
    /// Signs.
    Signed {
        /// In the order found.
        signatures: Vec<Signature>,
    },
}

/// One signature: an answer, whatever it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Whether it holds.
    pub state: State,
    /// For a valid signature, what keeps it from counting for more: a weak algorithm, or a certificate path that does not hold.
    /// For any other, nothing (the state says why).
    pub reservation: Option<Why>,
    /// The signing key's fingerprint, or the key ID that the signature names.
    pub signer: Option<String>,
    /// The mailboxes that the signer's certificate claims, checked or not: a hint for people, and never evidence.
    pub claimed: Vec<Address>,
    /// The mailboxes that a trust path ties to the signer.
    pub authenticated: Vec<Authenticated>,
    /// How much of the payload it covers.
    pub covers: Covers,
    /// When it says it was made.
    pub at: Option<SystemTime>,
    /// `rsa2048-sha256`.
    pub algorithms: String,
    /// The weakest of what it uses.
    pub strength: Strength,
    /// Whether it cannot be forged with a quantum computer.
    pub quantum_safe: bool,
    /// What had to be put right in the message before it could be checked, one lower-case line each. Says nothing against it.
    pub notes: Vec<String>,
    /// What it says of its signer's program, when the signer's certificate is among the keys asked and they do not know it yet.
    pub announcement: Option<Announcement>,
}

/// Whether a signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not: the octets differ, or the key was not good for it.
    Invalid(Why),
    /// It cannot be checked: no key, or an algorithm that we do not know.
    Unknown(Why),
    /// The octets are those that a key in good standing signed.
    Valid(Matches),
}

impl State {
    /// The word in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            State::Invalid(_) => "invalid",
            State::Unknown(_) => "unknown",
            State::Valid(_) => "valid",
        }
    }
}

/// Evidence that a digest over the covered octets verified under a public key that was in good standing.
///
/// `tests/layers/main.rs` confines `Matches::assertion` to the files that do that check; it is the one answer to "who claims that this was checked?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Matches(());

impl Matches {
    /// Call it directly after the public-key operation and the checks of the key succeeded, and nowhere else.
    pub(crate) fn assertion() -> Self {
        Matches(())
    }
}

/// How much of the payload a signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Covers {
    /// Some of it: there is unsigned text beside it.
    Part,
    /// Exactly all of it.
    Whole,
}

/// Why a signature does not hold, cannot be judged, or is weak.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The algorithm named is broken, as `md5` or `rsa768`.
    BrokenAlgorithm(String),
    /// The certificate expired before the time of the check (RFC 5280, section 6.1.3 (a)(2)).
    CertificateExpired,
    /// The certificate was not valid yet at the time of the check.
    CertificateNotYetValid,
    /// The octets were made to have the digest of others, by the known attacks on this hash function.
    Collision(String),
    /// The certificate has no valid binding for the signing key at that time.
    KeyNotBound,
    /// The key expired before the signature was made, by the time that the signature says (OpenPGP).
    KeyExpired,
    /// The key did not exist yet when the signature was made, by the time that the signature says (OpenPGP).
    KeyNotYetValid,
    /// The key is here, and of this version, which is not read any more (OpenPGP; RFC 9580, section 5.5.2.1).
    KeyDeprecated(u8),
    /// The key is revoked; the reason as its owner gave it.
    KeyRevoked(String),
    /// The signature packet makes no sense.
    Malformed(String),
    /// The octets are not those that were signed.
    Mismatch,
    /// The signing key is not here.
    NoKey,
    /// The certificate path to a trust anchor does not hold: which certificate, and which rule (RFC 5280, section 6).
    Path(String),
    /// The signature has an end, and it is over.
    SignatureExpired,
    /// The signature says it was made later than now.
    SignatureNotYetValid,
    /// The algorithm is not known here.
    UnknownAlgorithm(String),
    /// The algorithm named is weak, as `sha1` or `rsa1024`.
    WeakAlgorithm(String),
    /// The key is not meant for signing messages.
    WrongUsage,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::BrokenAlgorithm(name) => write!(f, "{name} is broken"),
            Why::CertificateExpired => f.write_str("the certificate had expired by the time of the check"),
            Why::CertificateNotYetValid => f.write_str("the certificate was not valid yet at the time of the check"),
            Why::Collision(name) => write!(f, "the octets were made to collide with others under {name}"),
            Why::KeyNotBound => f.write_str("the certificate does not bind the signing key at that time"),
            Why::KeyExpired => f.write_str("the key had expired when the signature was made"),
            Why::KeyNotYetValid => f.write_str("the key did not exist yet when the signature was made"),
            Why::KeyDeprecated(version) => write!(f, "the key is of version {version}, which is not used any more"),
            Why::KeyRevoked(reason) => write!(f, "the key is revoked: {reason}"),
            Why::Malformed(reason) => write!(f, "the signature is malformed: {reason}"),
            Why::Mismatch => f.write_str("the octets are not those that were signed"),
            Why::NoKey => f.write_str("the signing key is not here"),
            Why::Path(reason) => f.write_str(reason),
            Why::SignatureExpired => f.write_str("the signature has expired"),
            Why::SignatureNotYetValid => f.write_str("the signature is dated in the future"),
            Why::UnknownAlgorithm(name) => write!(f, "unknown algorithm {name}"),
            Why::WeakAlgorithm(name) => write!(f, "{name} is weak"),
            Why::WrongUsage => f.write_str("the key is not meant for signing"),
        }
    }
}
