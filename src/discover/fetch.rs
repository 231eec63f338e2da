//! What [`Statuses`](super::Statuses) takes of this machine, and what it reports.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::NetworkAccess;
use crate::{
    base::{Clock, Limits, Random},
    crypto::Legacy,
    keys::{Findings, Keys, StatementStore},
};

/// What [`Statuses`](super::Statuses) takes of this machine.
#[derive(Clone)]
pub struct StatusLocal {
    /// Its keys: trust anchors, and the statements that are here.
    pub keys: Arc<dyn Keys>,
    /// What asks the network.
    pub network: Arc<dyn NetworkAccess>,
    /// Where statements are kept; `None`: in memory.
    pub store: Option<Arc<dyn StatementStore>>,
    /// Where it is noted what was fetched and what failed, for all processes; `None`: in memory.
    pub home: Option<PathBuf>,
    /// Where it is noted for several machines, instead of `home`.
    pub findings: Option<Arc<dyn Findings>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For nonces.
    pub random: Arc<dyn Random>,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
    /// Bounds of what is read.
    pub limits: Limits,
}

/// What a place has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// A CRL (RFC 5280, section 4.2.1.13).
    Crl,
    /// The answers of an OCSP responder (RFC 6960).
    Ocsp,
}

impl StatementKind {
    /// The word in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            StatementKind::Crl => "crl",
            StatementKind::Ocsp => "ocsp",
        }
    }

    #[cfg(feature = "discover")]
    pub(crate) fn of_name(name: &str) -> Option<StatementKind> {
        [StatementKind::Crl, StatementKind::Ocsp].into_iter().find(|kind| kind.name() == name)
    }
}

/// One attempt to fetch a statement.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// CRL or OCSP.
    pub kind: StatementKind,
    /// The place.
    pub url: String,
    /// What came of it.
    pub outcome: FetchOutcome,
    /// How long it took.
    pub took: Duration,
}

/// What came of an attempt to fetch a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchOutcome {
    /// It is kept.
    Fetched,
    /// What came does not say what the status is; the reason.
    Refused(String),
    /// Nothing came; the reason.
    Failed(String),
    /// Nothing was asked: the place failed not long ago; the reason.
    LeftAlone(String),
}

impl FetchOutcome {
    /// The word in the log and in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            FetchOutcome::Fetched => "fetched",
            FetchOutcome::Refused(_) => "refused",
            FetchOutcome::Failed(_) => "failed",
            FetchOutcome::LeftAlone(_) => "left-alone",
        }
    }

    /// Why there is no statement; empty if there is one.
    pub fn reason(&self) -> &str {
        match self {
            FetchOutcome::Fetched => "",
            FetchOutcome::Refused(why) | FetchOutcome::Failed(why) | FetchOutcome::LeftAlone(why) => why,
        }
    }
}
