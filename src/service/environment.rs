//! What a handler needs besides its configuration.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Asking, OpenSources, open_tokens, record_choices,
    tokens::{NoPins, TOKEN_LIMIT},
    with_network, with_statuses,
};
use crate::{
    base::{Clock, Random, Result, SystemClock, SystemRandom},
    config::Config,
    crypto::Legacy,
    discover::{Discovery, StatusLocal, Statuses},
    keys::{Chain, Keys, Memory, Passphrases, StatementStore, Tokens},
    store::{self, Keystore},
};

/// Keys, time and randomness.
#[derive(Clone)]
pub struct Environment {
    /// Certificates, secrets and passwords.
    pub keys: Arc<dyn Keys>,
    /// Where capabilities learned from mail are stored; `None`: nowhere.
    pub home: Option<Arc<Keystore>>,
    /// The sources on the network, where keys that come with mail are kept; `None`: the network is not asked.
    pub discovery: Option<Arc<Discovery>>,
    /// What fetches the status of certificates for mail; `None`: nothing is fetched.
    pub statuses: Option<Arc<Statuses>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The source of random octets.
    pub random: Arc<dyn Random>,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
}

/// Makes the environment for a configuration.
pub(super) type MakeEnvironment = Box<dyn FnMut(&Config) -> Result<Environment> + Send>;

/// The same for several threads.
pub(super) type SharedMaker = Arc<Mutex<MakeEnvironment>>;

/// Makes the environment for `config`.
pub(super) fn make(maker: &SharedMaker, config: &Config) -> Result<Environment> {
    (maker.lock().unwrap_or_else(PoisonError::into_inner))(config)
}

impl Environment {
    /// The key sources and the passphrases that `config` names, with the clock and the randomness of this machine.
    ///
    /// # Errors
    ///
    /// `Config`: the passphrases cannot be read. Others: a source cannot be opened.
    pub fn of(config: &Config) -> Result<Environment> {
        Environment::asking(config, &Asking::default())
    }

    /// The same; the network is asked as `asking` says.
    ///
    /// # Errors
    ///
    /// As [`Environment::of`] and [`Asking::access`].
    pub fn asking(config: &Config, asking: &Asking) -> Result<Environment> {
        let lines = match &config.passphrases {
            Some(passphrases) => Passphrases::of_lines(passphrases.read()?.expose()),
            None => Vec::new(),
        };
        let mut given = Memory::new();
        lines.iter().cloned().for_each(|password| given.add_password(password));
        let tokens = Arc::new(open_tokens(&config.tokens, Arc::new(NoPins)).answering_within(TOKEN_LIMIT));
        // The home of a tenant could name any module, which is code that runs in the service.
        let tokens = config.tenant.is_none().then_some(tokens as Arc<dyn Tokens>);
        let passphrases = Arc::new(Passphrases::new(lines));
        let opened = OpenSources::with_tokens(&config.keys, &passphrases, &config.bounds.message, tokens)?;
        for skipped in &opened.skipped {
            tracing::warn!(event = "key-skipped", reason = %skipped);
        }
        let mut sources: Vec<Arc<dyn Keys>> = vec![Arc::new(given)];
        sources.extend(opened.keys);
        let (keys, clock) = (Chain::new(sources, store::merge), Arc::new(SystemClock) as Arc<dyn Clock>);
        let access = asking.access(config)?;
        let (keys, discovery) = match (config.network()?, &access) {
            (Some(settings), Some(access)) => {
                let limits = &config.bounds.message;
                let (place, home) = (config.home(), opened.home.as_ref());
                let (access, now) = (Arc::clone(access), Arc::clone(&clock));
                let (keys, discovery) = with_network(keys, &settings, place, home, access, now, limits);
                if let Some(home) = &opened.home {
                    record_choices(&discovery, home);
                }
                (keys, Some(discovery))
            }
            _ => (keys, None),
        };
        let keys: Arc<dyn Keys> = Arc::new(keys);
        let statuses = config.status_settings().zip(access).map(|(settings, network)| {
            let local = StatusLocal {
                keys: Arc::clone(&keys),
                network,
                store: opened.home.clone().map(|home| home as Arc<dyn StatementStore>),
                home: config.home().map(Path::to_path_buf),
                findings: opened.home.as_ref().and_then(Keystore::findings),
                clock: Arc::clone(&clock),
                random: Arc::new(SystemRandom),
                legacy: config.legacy,
                limits: config.bounds.message.clone(),
            };
            Statuses::new(settings.clone(), local)
        });
        Ok(Environment {
            keys,
            home: opened.home,
            discovery,
            statuses,
            clock,
            random: Arc::new(SystemRandom),
            legacy: config.legacy,
        })
    }

    /// The keys for mail. The figures about keys use the others, so that the monitor asks nobody.
    pub(super) fn keys_for_mail(&self) -> Arc<dyn Keys> {
        match &self.statuses {
            Some(statuses) => Arc::new(with_statuses(Arc::clone(&self.keys), statuses)),
            None => Arc::clone(&self.keys),
        }
    }
}
