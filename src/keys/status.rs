//! Revocations that are fetched when they are needed, and where they are kept.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::Keys;
use crate::base::Result;

/// Fetches CRLs and OCSP responses that are not here.
pub trait StatusSource: Send + Sync {
    /// Statements, DER each, about the certificates of a path, which are given in DER from the leaf to the trust anchor: what says that each of them is
    /// revoked or not, as far as that could be found out by the `deadline`. A server that does not answer is not an error.
    ///
    /// # Errors
    ///
    /// A certificate, or what is kept on this machine, cannot be read.
    fn statements_about(&self, path: &[&[u8]], deadline: Option<Instant>) -> Result<Vec<Arc<[u8]>>>;
}

/// Keeps CRLs and OCSP responses, for all processes that use the same keys.
pub trait StatementStore: Send + Sync {
    /// Keeps one, DER. A newer one of the same series takes the place of an older one as of `at`, if the certificate of their issuer is here or in
    /// `beside`.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    fn keep_statement(&self, der: &[u8], beside: &dyn Keys, at: SystemTime) -> Result<Kept>;
}

/// What was done with a CRL or an OCSP response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is stored, and was not before.
    Added,
    /// It is not stored: a newer one of the same series is.
    Outdated,
    /// It is stored, and replaces older ones.
    Replaced,
    /// It was stored already.
    Unchanged,
}
