//! What a handler needs besides its configuration.

use std::sync::Arc;

use crate::{
    base::{Clock, Random, Result, SystemClock, SystemRandom},
    config::{self, Config},
    crypto::Legacy,
    keys::{Chain, Keys, Memory, Passphrases},
    store::{self, Home},
};

/// Keys, time and randomness.
#[derive(Clone)]
pub struct Environment {
    /// Certificates, secrets and passwords.
    pub keys: Arc<dyn Keys>,
    /// Where capabilities learned from mail are stored; `None`: nowhere.
    pub home: Option<Arc<Home>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The source of random octets.
    pub random: Arc<dyn Random>,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
}

impl Environment {
    /// The home and the passphrases that `config` names, with the clock and the randomness of this machine.
    ///
    /// # Errors
    ///
    /// `Config`: the passphrases cannot be read. Others: the home cannot be opened.
    pub fn of(config: &Config) -> Result<Environment> {
        let lines = match &config.passphrases {
            Some(passphrases) => Passphrases::of_lines(passphrases.read()?.expose()),
            None => Vec::new(),
        };
        let mut given = Memory::new();
        lines.iter().cloned().for_each(|password| given.add_password(password));
        let home = Home::open(&config.home, Arc::new(Passphrases::new(lines)), &config.bounds.message)?;
        let home = Arc::new(home.with_credentials(config::credentials_directory()));
        let sources: Vec<Arc<dyn Keys>> = vec![Arc::new(given), Arc::clone(&home) as Arc<dyn Keys>];
        Ok(Environment {
            keys: Arc::new(Chain::new(sources, store::merge)),
            home: Some(home),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            legacy: config.legacy,
        })
    }
}
