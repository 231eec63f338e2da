//! The network, asked by this process.

use std::{
    sync::{Arc, LazyLock, OnceLock},
    time::Instant,
};

use super::{
    Addresses, Filter, Method, NetworkAccess, NetworkSettings, Person, Resolver, Settings, SignedKeys,
    dane::Validator,
    http::{Bounds, Client, Failure},
    ldap,
};
use crate::{
    base::{Error, Kind, Result},
    mail::Address,
};

/// Asks the network from this process. Nothing is read or opened before the first question.
///
/// # Example
///
/// ```no_run
/// use std::time::{Duration, Instant};
/// use postseal::discover::{
///     DirectAccess, NetworkAccess, Settings,
///     http::{Bounds, Plain},
/// };
///
/// let network = DirectAccess::new(&Settings::default());
/// let deadline = Instant::now() + Duration::from_secs(5);
/// let list = network.get("http://ca.example/list.crl", &Bounds { octets: 1 << 20, deadline, plain: Plain::Allow });
/// println!("{} octets", list.map_err(|failure| failure.to_string())?.len());
/// # Ok::<(), String>(())
/// ```
pub struct DirectAccess {
    settings: LazyLock<NetworkSettings, Box<dyn FnOnce() -> NetworkSettings + Send>>,
    client: OnceLock<Result<Client>>,
    validator: OnceLock<Result<Validator>>,
    directory: OnceLock<Result<ldap::Client>>,
}

impl DirectAccess {
    /// By these settings.
    pub fn new(settings: &Settings) -> DirectAccess {
        let settings = settings.clone();
        DirectAccess::reading(move || NetworkSettings::read(&settings))
    }

    /// By settings whose files were read. No file is opened from here on.
    pub fn by(settings: NetworkSettings) -> DirectAccess {
        DirectAccess::reading(move || settings)
    }

    fn reading(read: impl FnOnce() -> NetworkSettings + Send + 'static) -> DirectAccess {
        DirectAccess {
            settings: LazyLock::new(Box::new(read)),
            client: OnceLock::new(),
            validator: OnceLock::new(),
            directory: OnceLock::new(),
        }
    }

    /// Does what the libraries do once in a process, so that asking takes less of the system afterwards.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the system refuses it.
    pub fn prepare() -> Result<()> {
        Resolver::prepare()
    }

    /// The people that `filter` finds in the directory.
    ///
    /// # Errors
    ///
    /// `Config`: there is no directory among the settings, or its root certificates cannot be read. `TryAgain`: it does not answer.
    pub fn people(&self, filter: &Filter, deadline: Instant) -> Result<Vec<Person>> {
        let later = |failure| Error::new(Kind::TryAgain, format!("directory: {failure}"));
        self.directory()?.people(filter, deadline).map_err(later)
    }

    fn client(&self) -> Result<&Client, Failure> {
        let opened = self.client.get_or_init(|| {
            let settings = &*self.settings;
            let resolver = Resolver::of(settings.name_servers.as_ref().map_err(Clone::clone)?)?;
            let roots = settings.roots.as_ref().map_err(Clone::clone)?;
            Ok(Client::trusting(Arc::new(resolver), Addresses::public_and(settings.allowed.clone()), roots))
        });
        opened.as_ref().map_err(unusable)
    }

    fn validator(&self) -> Result<&Validator, Failure> {
        let opened = self.validator.get_or_init(|| {
            let settings = &*self.settings;
            let prover = settings.prover.as_ref().map_err(Clone::clone)?;
            Validator::new(prover, settings.name_servers.as_ref().map_err(Clone::clone)?)
        });
        opened.as_ref().map_err(unusable)
    }

    fn directory(&self) -> Result<&ldap::Client> {
        let opened = self.directory.get_or_init(|| {
            let settings = &*self.settings;
            let missing = || Error::new(Kind::Config, "[discovery.ldap] is missing");
            let (directory, roots) = settings.directory.as_ref().ok_or_else(missing)?;
            let resolver = Resolver::of(settings.name_servers.as_ref().map_err(Clone::clone)?)?;
            ldap::Client::new(directory, roots.as_ref().map_err(Clone::clone)?, resolver)
        });
        opened.as_ref().map_err(Clone::clone)
    }
}

impl NetworkAccess for DirectAccess {
    fn get(&self, url: &str, bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        self.client()?.get(url, bounds)
    }

    fn post(&self, url: &str, media_type: &str, octets: &[u8], bounds: &Bounds) -> Result<Vec<u8>, Failure> {
        self.client()?.post(url, media_type, octets, bounds)
    }

    fn signed_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<SignedKeys, Failure> {
        self.validator()?.ask(method, address, deadline)
    }

    fn directory_keys(&self, method: Method, address: &Address, deadline: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        self.directory().map_err(|error| unusable(&error))?.keys(method, address, deadline)
    }
}

/// What the settings name cannot be used.
fn unusable(error: &Error) -> Failure {
    Failure::Failed(error.to_string())
}
