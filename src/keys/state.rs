//! Whether there is a key for an address.

use super::{Forms, Handle, Source};

/// Whether a mailbox can be encrypted to, or can sign, in one protocol and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There are keys, but they have expired; the reason in words that name the address and each key.
    Expired(String),
    /// None is known, or none that may be used (revoked, too weak, one of several untrusted ones); the reason in words.
    Missing(String),
    /// The keys could not be asked: there may be one, or a revocation of one; the reason in words.
    Unknown(String),
    /// This key can be used.
    Usable {
        /// The certificate's fingerprint.
        key: Handle,
        /// What ties it to the address; `Owner` for a key to sign with.
        source: Source,
        /// A warning for the user: that the key is not trusted.
        warning: Option<String>,
        /// What is known of its owner's mail program: `reads aes256-gcm, announced on 2026-11-24`.
        note: Option<String>,
        /// Whether what it does withstands a quantum computer.
        quantum_safe: bool,
        /// The ciphertexts that it can read, where it is to be encrypted to.
        forms: Forms,
    },
}

impl KeyState {
    /// Whether a key can be used.
    pub fn is_usable(&self) -> bool {
        matches!(self, KeyState::Usable { .. })
    }

    /// The ciphertexts that a key in this state can read; all, where there is none to ask.
    pub fn forms(&self) -> Forms {
        match self {
            KeyState::Usable { forms, .. } => *forms,
            KeyState::Expired(_) | KeyState::Missing(_) | KeyState::Unknown(_) => Forms::ALL,
        }
    }
}
