//! RFC 5280 judged for mail: pure functions over bytes, a time and a Budget. No key store, no network.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod access;
mod asking;
mod cert;
mod check;
mod constraints;
mod crl;
mod crl_status;
mod distribution;
mod extensions;
mod general_name;
mod hash;
mod name;
mod news;
mod ocsp;
mod path;
mod policy;
mod public_key;
mod refusal;
mod request;
mod revocation;
mod search;
mod series;
mod statements;
mod status;
pub(crate) mod time;
pub(crate) mod tlv;

pub use asking::{AskStatus, validate_asking};
pub use cert::{Certificate, Usage};
pub(crate) use hash::hash_algorithm;
pub use name::Name;
pub use ocsp::OcspResponse;
pub use path::{Path, Policies, Purpose, Question, Require, validate, validate_by};
pub use public_key::{PublicKey, SignatureAlgorithm};
pub(crate) use public_key::{digest_algorithm, pre_hashed};
pub use refusal::{Place, Refusal, Rule};
pub use request::CertificationRequest;
pub use revocation::{Revocation, check_statement, list_issuer, oldest_list, period};
pub use series::{issuers_of_series, supersedes};
pub use statements::Statements;
pub use status::IssuerId;
