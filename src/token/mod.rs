//! Private keys on tokens by PKCS#11 (version 2.40 and 3.0): smart cards, security modules, SoftHSM.
//!
//! [`OpenTokens`] finds keys by their names (RFC 7512), uses them, lists them and makes new ones. It needs no home: a handle of it is a
//! [`SecretKey`](crate::crypto::SecretKey) as any other. A home keeps [`TokenKeys`](crate::keys::TokenKeys) in the place of secret octets.
//!
//! `key` is the operations of one key; `module` is a loaded module with its sessions; `object` reads and makes the objects of a token; `failure` says
//! what an error of a module means. A module is loaded and initialized once per process (PKCS#11 2.40, section 5.4, C_Initialize), so the table of
//! loaded modules is the one thing here that the whole process shares.

#[cfg(feature = "pkcs11")]
mod failure;
#[cfg(feature = "pkcs11")]
mod key;
#[cfg(feature = "pkcs11")]
mod limited;
#[cfg(not(feature = "pkcs11"))]
mod missing;
#[cfg(feature = "pkcs11")]
mod module;
#[cfg(feature = "pkcs11")]
mod object;
#[cfg(feature = "pkcs11")]
mod open;
mod pin;
#[cfg(feature = "pkcs11")]
mod slots;

#[cfg(not(feature = "pkcs11"))]
pub use missing::OpenTokens;
#[cfg(feature = "pkcs11")]
pub use open::OpenTokens;
pub use pin::{KnownPins, KnownToken, Pin, Pins, ProbeLogin};

use crate::{crypto::PublicParts, keys::TokenUri};

/// A private key that was found on a token.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// Its name, with its identifier.
    pub uri: TokenUri,
    /// Its public part; `None` when the token does not have it, or the algorithm is not supported.
    pub public: Option<PublicParts>,
}

/// What is on a token.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// The private keys.
    pub keys: Vec<FoundKey>,
    /// The X.509 certificates, DER each.
    pub certificates: Vec<Vec<u8>>,
}
