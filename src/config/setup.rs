//! From a configuration to what handles mail.

use std::sync::Arc;

use super::Config;
use crate::{
    base::{Clock, Error, Kind, Random, Result, Secret},
    engine::Setup,
    keys::Passphrases,
    store::Home,
};

impl Config {
    /// Opens the keys and reads the secrets, for [`Hook::new`](crate::engine::Hook::new) and
    /// [`Hook::replace`](crate::engine::Hook::replace): when this fails, the old setup stays in force. `marker` serves where the file names none;
    /// give the same one each time.
    ///
    /// # Errors
    ///
    /// `Config`: the home is not there, or a secret cannot be read. Others as [`Home::open`].
    pub fn setup(&self, clock: Arc<dyn Clock>, random: Arc<dyn Random>, marker: &Secret) -> Result<Setup> {
        if !self.home.is_dir() {
            return Err(Error::new(Kind::Config, format!("{}: no keys are here", self.home.display()))
                .with_hint("postseal --home DIR key import FILE..."));
        }
        let passphrases = self.passphrases.as_ref().map(|from| from.read()).transpose()?;
        let passphrases = passphrases.map(|lines| Passphrases::of_lines(lines.expose())).unwrap_or_default();
        let home = Home::open(&self.home, Arc::new(Passphrases::new(passphrases)), &self.bounds.message)?;
        Ok(Setup {
            keys: Arc::new(home),
            clock,
            random,
            legacy: self.legacy,
            revocation: self.revocation,
            limits: self.bounds.message.clone(),
            policy: self.policy.clone(),
            name: self.hostname.clone(),
            marker: self.marker.as_ref().map_or_else(|| Ok(marker.clone()), |from| from.read())?,
        })
    }
}
