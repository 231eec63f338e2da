//! Certificates that the owner of this machine declared revoked.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Why a key is revoked. The reasons of RFC 9580, section 5.2.3.31, that an owner gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[non_exhaustive]
pub enum RevocationReason {
    /// Its secret part is, or may be, in other hands. Everything that it ever signed is in doubt.
    Compromised,
    /// No reason is given, so that everything that it ever signed is in doubt.
    #[default]
    Unspecified,
    /// It is not used any more. What it signed before stays valid.
    NoLongerUsed,
    /// Another key took its place. What it signed before stays valid.
    Superseded,
}

impl RevocationReason {
    /// Every reason, the worst first.
    pub const ALL: [RevocationReason; 4] = [
        RevocationReason::Compromised,
        RevocationReason::Unspecified,
        RevocationReason::NoLongerUsed,
        RevocationReason::Superseded,
    ];

    /// Its name on the command line and in a store.
    pub fn name(self) -> &'static str {
        match self {
            RevocationReason::Compromised => "compromised",
            RevocationReason::Unspecified => "unspecified",
            RevocationReason::NoLongerUsed => "no-longer-used",
            RevocationReason::Superseded => "superseded",
        }
    }
}

impl fmt::Display for RevocationReason {
    /// `key compromised`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RevocationReason::Compromised => "key compromised",
            RevocationReason::Unspecified => "no reason given",
            RevocationReason::NoLongerUsed => "no longer in use",
            RevocationReason::Superseded => "superseded",
        })
    }
}

/// That the owner of this machine declared a certificate revoked: no authority says so. It counts wherever a revocation by the issuer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct Withdrawal {
    /// Why.
    pub reason: RevocationReason,
    /// When it was declared, in whole seconds.
    pub since: SystemTime,
}

impl Withdrawal {
    /// Declared at `at`, of which whole seconds count.
    pub fn new(reason: RevocationReason, at: SystemTime) -> Withdrawal {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Withdrawal { reason, since: UNIX_EPOCH + Duration::from_secs(seconds) }
    }
}
