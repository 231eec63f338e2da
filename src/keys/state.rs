//! Whether there is a key for an address.

use super::Handle;

/// Whether a mailbox can be encrypted to, or can sign, in one protocol and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There are keys, but they have expired; the reason in words that name the address and each key.
    Expired(String),
    /// None is known, or none that may be used (revoked, too weak, one of several that are not trusted); the reason in words.
    Missing(String),
    /// The keys could not be asked: there may be one, or a revocation of one; the reason in words.
    Unknown(String),
    /// This one serves.
    Usable {
        /// The certificate's fingerprint.
        key: Handle,
        /// What the user should know: that it is not trusted.
        warning: Option<String>,
        /// What is known of its owner's mail program: `reads aes256-gcm, said on 2026-11-24`.
        note: Option<String>,
    },
}

impl KeyState {
    /// Whether a key serves.
    pub fn is_usable(&self) -> bool {
        matches!(self, KeyState::Usable { .. })
    }
}
