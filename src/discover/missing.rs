//! In place of the sources, in a build without them (Cargo feature `discover`): nobody is asked, and whether there is a key is not known.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    Chosen, Fetch, Local, Method, NetworkAccess, Settings, SignedKeys, StatusLocal,
    request::{Bounds, Failure},
};
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

/// Nothing, because nothing is asked.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NetworkSettings;

impl NetworkSettings {
    /// None.
    pub fn ports(&self) -> Option<BTreeSet<u16>> {
        Some(BTreeSet::new())
    }

    /// Reads no file.
    pub fn read(_: &Settings) -> NetworkSettings {
        NetworkSettings
    }
}

/// Asks nobody.
pub struct DirectAccess;

impl DirectAccess {
    /// By no settings.
    pub fn new(_: &Settings) -> DirectAccess {
        DirectAccess
    }

    /// By no settings.
    pub fn by(_: NetworkSettings) -> DirectAccess {
        DirectAccess
    }

    /// Does nothing.
    ///
    /// # Errors
    ///
    /// None.
    pub fn prepare() -> Result<()> {
        Ok(())
    }
}

impl NetworkAccess for DirectAccess {
    fn get(&self, _: &str, _: &Bounds) -> Result<Vec<u8>, Failure> {
        Err(not_here())
    }

    fn post(&self, _: &str, _: &str, _: &[u8], _: &Bounds) -> Result<Vec<u8>, Failure> {
        Err(not_here())
    }

    fn signed_keys(&self, _: Method, _: &Address, _: Instant) -> Result<SignedKeys, Failure> {
        Err(not_here())
    }

    fn directory_keys(&self, _: Method, _: &Address, _: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        Err(not_here())
    }
}

fn not_here() -> Failure {
    Failure::Failed("not in this build (Cargo feature `discover`)".to_owned())
}
