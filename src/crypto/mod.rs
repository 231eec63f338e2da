//! Digests, ciphers and private-key handles. No mail and no ASN.1 of CMS.

mod digest;
mod secret;
mod strength;

pub use digest::{Digester, Hash};
pub use secret::{Curve, KeyAlgorithm, Scheme, SecretKey, Unwrap};
pub use strength::{Legacy, Strength};
