//! What a handler needs besides its configuration.

use std::sync::Arc;

use super::{OpenSources, with_network};
use crate::{
    base::{Clock, Random, Result, SystemClock, SystemRandom},
    config::Config,
    crypto::Legacy,
    discover::Discovery,
    keys::{Chain, Keys, Memory, Passphrases},
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
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The source of random octets.
    pub random: Arc<dyn Random>,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
}

impl Environment {
    /// The key sources and the passphrases that `config` names, with the clock and the randomness of this machine.
    ///
    /// # Errors
    ///
    /// `Config`: the passphrases cannot be read. Others: a source cannot be opened.
    pub fn of(config: &Config) -> Result<Environment> {
        let lines = match &config.passphrases {
            Some(passphrases) => Passphrases::of_lines(passphrases.read()?.expose()),
            None => Vec::new(),
        };
        let mut given = Memory::new();
        lines.iter().cloned().for_each(|password| given.add_password(password));
        let opened = OpenSources::of(&config.keys, &Arc::new(Passphrases::new(lines)), &config.bounds.message)?;
        for skipped in &opened.skipped {
            tracing::warn!(event = "key-skipped", reason = %skipped);
        }
        let mut sources: Vec<Arc<dyn Keys>> = vec![Arc::new(given)];
        sources.extend(opened.keys);
        let (keys, clock) = (Chain::new(sources, store::merge), Arc::new(SystemClock) as Arc<dyn Clock>);
        let (keys, discovery) = match config.network()? {
            Some(settings) => {
                let limits = &config.bounds.message;
                let (keys, discovery) = with_network(keys, &settings, config.home(), Arc::clone(&clock), limits);
                (keys, Some(discovery))
            }
            None => (keys, None),
        };
        Ok(Environment {
            keys: Arc::new(keys),
            home: opened.home,
            discovery,
            clock,
            random: Arc::new(SystemRandom),
            legacy: config.legacy,
        })
    }
}
