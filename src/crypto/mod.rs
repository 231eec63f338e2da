//! Digests, ciphers and private-key handles. No mail and no ASN.1 of CMS.
//!
//! aws-lc-rs does the work wherever it takes the algorithm; `legacy.rs` holds what it refuses.

mod cipher;
mod digest;
mod fast_rsa;
mod kdf;
mod legacy;
mod rejection;
mod secret;
mod software;
mod strength;
mod verify;

pub use cipher::{CfbReader, Cipher, Resync};
pub use digest::{Digester, Hash};
pub use fast_rsa::RsaComponents;
pub use kdf::hkdf;
pub use secret::{Curve, KeyAlgorithm, Scheme, SecretKey, Unwrap};
pub use software::SoftwareKey;
pub use strength::{Legacy, Strength};
pub use verify::{PublicKey, Unverified, verify};
