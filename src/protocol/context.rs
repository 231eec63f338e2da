//! What opening and sealing are given.

use crate::{
    base::{Clock, Random},
    crypto::Legacy,
    keys::Keys,
    pki::Revocation,
};

/// The context of opening and sealing. No protocol has any other source of time, keys or randomness.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Certificates, secrets and passwords.
    pub keys: &'a dyn Keys,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where random octets come from.
    pub random: &'a dyn Random,
    /// Whether broken and obsolete forms are admitted for this run.
    pub legacy: Legacy,
    /// How much must be known about whether certificates are revoked.
    pub revocation: Revocation,
}
