//! Keys of versions too old to be used.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Handle;

/// An OpenPGP key of version 2 or 3 (RFC 9580, section 5.5.2.1): its key ID can be forged, and its fingerprint is an MD5 digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
