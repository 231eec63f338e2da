//! Why a key is revoked, as it is typed.

use clap::ValueEnum;
use postseal::keys::RevocationReason;

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli::cmd) enum Reason {
    /// It is not used any more
    NoLongerUsed,
    /// Another key took its place
    Superseded,
    /// Its secret part is, or may be, in other hands
    Compromised,
}

impl Reason {
    /// What the option says, or that no reason is given.
    pub(in crate::cli::cmd) fn of(given: Option<Reason>) -> RevocationReason {
        match given {
            None => RevocationReason::Unspecified,
            Some(Reason::NoLongerUsed) => RevocationReason::NoLongerUsed,
            Some(Reason::Superseded) => RevocationReason::Superseded,
            Some(Reason::Compromised) => RevocationReason::Compromised,
        }
    }
}
