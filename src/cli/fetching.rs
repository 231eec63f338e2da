//! `--revocation-fetch`: the status of certificates is fetched for a verdict.

use std::{collections::BTreeSet, sync::Mutex};

use clap::Args;
use postseal::{
    base::Result,
    discover::{self, Settings},
};

use super::{cmd::config, session::Session, show, values::RevocationFetch};

/// The option.
#[derive(Args, Debug)]
pub(crate) struct Fetching {
    /// Fetch CRLs and OCSP responses where no current ones are here, as [discovery] of $POSTSEAL_CONFIG says
    #[arg(long, value_enum, default_value = "off")]
    revocation_fetch: RevocationFetch,
}

impl Fetching {
    /// Whether the network is asked.
    pub(crate) fn is_on(&self) -> bool {
        self.revocation_fetch != RevocationFetch::Off
    }

    /// Runs `work` with a session that fetches, if that is wanted. A place that has no statement is a warning.
    pub(crate) fn run<T>(&self, session: &Session, work: impl FnOnce(&Session) -> Result<T>) -> Result<T> {
        let revocation_fetch = match self.revocation_fetch {
            RevocationFetch::Off => return work(session),
            RevocationFetch::Crl => discover::RevocationFetch::Crl,
            RevocationFetch::Ocsp => discover::RevocationFetch::Ocsp,
            RevocationFetch::Both => discover::RevocationFetch::Both,
        };
        let config = config::given(None)?;
        let network = config.as_ref().map_or(session.limits().network, |config| config.bounds.message.network);
        let settings = config.map_or_else(Settings::default, |config| config.discovery);
        let session = session.fetching(Settings { revocation_fetch, ..settings }, network)?;
        let told = Mutex::new(BTreeSet::new());
        session.statuses()?.observe(move |fetch| {
            let why = format!("{}: {}", fetch.url, fetch.outcome.reason());
            let is_new = told.lock().is_ok_and(|mut told| told.insert(why.clone()));
            if !fetch.outcome.reason().is_empty() && is_new {
                show::warning(&why);
            }
        });
        work(&session)
    }
}
