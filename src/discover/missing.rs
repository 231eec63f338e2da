//! In place of the sources, in a build without them (Cargo feature `discover`): nobody is asked, and whether there is a key is not known.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{Chosen, Fetch, Local, Method, Settings, StatusLocal};
use crate::{
    base::{Error, Kind, Result},
    crypto::SecretKey,
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Reach, Record, StatusSource},
    mail::Address,
};

/// The sources of one configuration.
pub struct Discovery(Vec<Method>);

impl Discovery {
    /// The sources of `settings`.
    pub fn new(settings: Settings, _: Local) -> Arc<Discovery> {
        Arc::new(Discovery(settings.methods))
    }

    /// Each source by its name, in order.
    pub fn sources(self: &Arc<Self>) -> Vec<(&'static str, Arc<dyn Keys>)> {
        self.0.iter().map(|method| (method.name(), Arc::new(Missing) as Arc<dyn Keys>)).collect()
    }

    /// There is no look-up to tell of.
    pub fn observe(&self, _: impl Fn(&'static str, &'static str, Duration) + Send + Sync + 'static) {}

    /// There is no choice to tell of.
    pub fn record(&self, _: impl Fn(&Chosen<'_>) -> Result<()> + Send + Sync + 'static) {}

    /// Whether keys that come with mail are kept.
    pub fn harvests(&self) -> bool {
        false
    }

    /// Keeps nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn harvest(&self, _: &Address, _: &[u8]) -> Result<bool> {
        Ok(false)
    }

    /// Asks nobody.
    ///
    /// # Errors
    ///
    /// None.
    pub fn refresh_due(&self, _: Duration, _: impl FnMut(&Refreshed)) -> Result<()> {
        Ok(())
    }

    /// Whether no source need be asked.
    pub fn suffices(&self, record: &Record, address: &Address) -> bool {
        record.source(address).is_trusted()
    }
}

/// What asking again brought.
#[derive(Clone, Debug, Default)]
pub struct Refreshed {
    /// Copies of certificates that this machine has already.
    pub copies: Vec<Record>,
}

/// The places where the status of certificates is.
pub struct Statuses;

impl Statuses {
    /// None.
    pub fn new(_: Settings, _: StatusLocal) -> Arc<Statuses> {
        Arc::new(Statuses)
    }

    /// Never calls it.
    pub fn observe(&self, _: impl Fn(&Fetch) + Send + Sync + 'static) {}

    /// Fetches nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn renew_due(&self) -> Result<Option<SystemTime>> {
        Ok(None)
    }
}

impl StatusSource for Statuses {
    fn statements_about(&self, _: &[&[u8]], _: Option<Instant>) -> Result<Vec<Arc<[u8]>>> {
        tracing::warn!(event = "revocation-not-fetched", error = "not in this build (Cargo feature `discover`)");
        Ok(Vec::new())
    }
}

struct Missing;

impl Keys for Missing {
    fn find(&self, _: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        match (query.purpose, query.reach) {
            (Purpose::Encrypt, Reach::Network) => {
                Err(Error::new(Kind::TryAgain, "keys on the network: not in this build (Cargo feature `discover`)"))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn secret(&self, _: &Record, _: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        Ok(None)
    }
}
