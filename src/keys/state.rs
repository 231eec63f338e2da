//! Whether there is a key for an address.

use super::Handle;
use crate::base::{Error, Kind, Result};

/// Whether a mailbox can be encrypted to, or can sign, in one protocol and now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// There are keys, but they have expired; the reason in words that name the address and each key.
    Expired(String),
    /// None is known, or none that may be used (revoked, too weak, one of several untrusted ones); the reason in words.
    Missing(String),
    /// This key can be used.
    Usable {
        /// The certificate's fingerprint.
        key: Handle,
        /// A warning for the user: that the key is not trusted.
        warning: Option<String>,
        /// What is known of its owner's mail program: `reads aes256-gcm, said on 2026-11-24`.
        note: Option<String>,
    },
}

impl KeyState {
    /// The state that a refusal to seal reports, of kind `KeyExpired` or `NoKey`. Any other error is returned.
    ///
    /// # Errors
    ///
    /// The keys could not be asked.
    pub fn of_refusal(refusal: Error) -> Result<Self> {
        match refusal.kind() {
            Kind::KeyExpired => Ok(KeyState::Expired(refusal.to_string())),
            Kind::NoKey => Ok(KeyState::Missing(refusal.to_string())),
            _ => Err(refusal),
        }
    }

    /// Whether a key can be used.
    pub fn is_usable(&self) -> bool {
        matches!(self, KeyState::Usable { .. })
    }
}
