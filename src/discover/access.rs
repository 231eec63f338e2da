//! What is asked of the network for keys and the status of certificates.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{
    Method,
    request::{Bounds, Failure},
};
use crate::mail::Address;

/// Asks hosts of strangers, and the servers that a configuration names, by the settings of that configuration. What comes is octets of a stranger: the caller
/// reads them, and decides what they are worth.
pub trait NetworkAccess: Send + Sync {
    /// Fetches a URL.
    ///
    /// # Errors
    ///
    /// [`Failure`]
    fn get(&self, url: &str, bounds: &Bounds) -> Result<Vec<u8>, Failure>;

    /// Posts `octets` of this media type.
    ///
    /// # Errors
    ///
    /// [`Failure`]; a redirect is one.
    fn post(&self, url: &str, media_type: &str, octets: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Failure>;

    /// The keys of `address` in signed DNS, by [`Method::Openpgpkey`] or [`Method::Smimea`].
    ///
    /// # Errors
    ///
    /// [`Failure`]: there may be a key. A wrong signature is one.
    fn signed_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<SignedKeys, Failure>;

    /// The certificates of `address` in the directory, as they are in its entries, by [`Method::LdapPgp`] or [`Method::LdapSmime`].
    ///
    /// # Errors
    ///
    /// [`Failure`]
    fn directory_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<Vec<Vec<u8>>, Failure>;
}

/// What signed DNS has for an address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum SignedKeys {
    /// These certificates, one after the other.
    Found(Vec<u8>),
    /// None; the reason if there is more to say.
    Missing(String),
}
