//! How the service asks the network for keys and revocations: by a process that has nothing else, or by itself.

use std::{fs::File, sync::Arc};

use super::{
    judging::check_enforced,
    roles::{Role, Roles},
};
use crate::{
    base::{Random, Result, SystemRandom},
    config::{Config, Isolation},
    discover::{DirectAccess, NetworkAccess, NetworkSettings},
    isolation::{NetworkProcess, NetworkRole},
    report::{Ended, Metrics},
};

/// How the network is asked. Clones share the process. By default, this process asks.
#[derive(Clone, Default)]
pub struct Asking(Option<Arc<NetworkProcess>>);

impl Asking {
    /// By a process of `roles`, if a configuration does not say otherwise.
    pub(super) fn by(roles: &Roles, metrics: &Arc<Metrics>) -> Asking {
        let (roles, metrics) = (roles.clone(), Arc::clone(metrics));
        Asking(Some(NetworkProcess::new(
            move |ends| roles.start(Role::Network, ends),
            move || metrics.process_ended(Ended::Network),
        )))
    }

    /// What asks by the settings of `config`; `None`: it has nothing to ask. The files that the settings name are read now, where another process asks.
    ///
    /// # Errors
    ///
    /// `Config`: the password of the directory cannot be read, or the kernel enforces less than `config` requires. `Unavailable`: the process does not start.
    pub fn access(&self, config: &Config) -> Result<Option<Arc<dyn NetworkAccess>>> {
        let settings = match config.network()? {
            Some(settings) => settings,
            None => match config.status_settings() {
                Some(settings) => settings.clone(),
                None => return Ok(None),
            },
        };
        let process = match &self.0 {
            // A policy that is log-only asks nobody.
            Some(process) if config.isolation != Isolation::None && !config.is_log_only() => process,
            _ => return Ok(Some(Arc::new(DirectAccess::new(&settings)))),
        };
        let access = process.access(NetworkSettings::read(&settings));
        let access = access.map_err(|error| error.with_hint("isolation = \"none\" asks the network in one process"))?;
        check_enforced(Role::Network, access.enforced(), config.isolation)?;
        Ok(Some(Arc::new(access)))
    }
}

/// Asks the network for the service at the other end of `connection` until it is gone. This process gives up everything else before the first question.
///
/// # Errors
///
/// `TryAgain`: the service says what it may not. `Unavailable`: the kernel refuses a limit.
pub fn ask_network(connection: File) -> Result<()> {
    // The first random number of a process looks for the devices of the machine.
    SystemRandom.fill(&mut [0])?;
    NetworkRole::start(connection)?.serve(|settings| Arc::new(DirectAccess::by(settings)))
}
