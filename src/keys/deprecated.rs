//! Keys that are here and too old to be read.

use std::fmt;

use super::Handle;

/// An OpenPGP key of version 2 or 3 (RFC 9580, section 5.5.2.1): others with the same key ID are easily made, and its fingerprint rests on MD5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecated {
    /// Its key ID.
    pub id: Handle,
    /// 2 or 3.
    pub version: u8,
}

impl fmt::Display for Deprecated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} is of version {}, which RFC 4880 gave up and nothing here reads", self.id, self.version)
    }
}
