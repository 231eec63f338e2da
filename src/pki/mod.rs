//! RFC 5280 judged for mail: pure functions over bytes, a time and a Budget. No key store, no network.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod cert;
mod crl;
mod crl_status;
mod distribution;
mod extensions;
mod general_name;
mod name;
mod ocsp;
mod path;
mod public_key;
mod revocation;
mod time;
mod tlv;

pub use cert::{Certificate, Usage};
pub use name::Name;
pub use ocsp::OcspResponse;
pub use path::{Path, Policies, Purpose, Question, Refusal, Require, validate};
pub use public_key::{PublicKey, SignatureAlgorithm};
pub use revocation::{Revocation, check_statement};
