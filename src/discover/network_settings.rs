//! What asking the network takes of a configuration and of this machine, with the content of files in the place of their names: it can be sent to a process
//! that opens no file.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    Directory, Dnssec, Settings,
    addresses::PUBLIC_PORTS,
    dane::Prover,
    dns::NameServers,
    roots::{self, Roots},
};
use crate::base::{Error, Kind, Network, Result};

/// What a [`DirectAccess`](super::DirectAccess) knows. What cannot be read is an error of those look-ups that need it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NetworkSettings {
    /// Networks that may be asked beside public addresses.
    pub(super) allowed: Vec<Network>,
    pub(super) name_servers: Result<NameServers>,
    /// Of HTTPS servers.
    pub(super) roots: Result<Roots>,
    pub(super) prover: Result<Prover>,
    /// With the root certificates of its servers.
    pub(super) directory: Option<(Directory, Result<Roots>)>,
}

impl NetworkSettings {
    /// The ports of TCP that servers of these settings have; `None`: any, because within networks that are allowed every port may be asked.
    pub fn ports(&self) -> Option<BTreeSet<u16>> {
        if !self.allowed.is_empty() {
            return None;
        }
        let names = self.name_servers.as_ref().ok().and_then(|servers| servers.addresses().ok()).unwrap_or_default();
        let directory = self.directory.iter().flat_map(|(directory, _)| &directory.servers);
        let named = names.iter().map(SocketAddr::port).chain(directory.map(|server| server.port));
        Some(PUBLIC_PORTS.into_iter().chain(named).collect())
    }

    /// Reads the files that `settings` name, and those of this machine.
    pub fn read(settings: &Settings) -> NetworkSettings {
        let roots = roots::read(settings.roots.as_deref());
        let directory = settings.directory.as_ref().map(|directory| {
            let roots = match &directory.roots {
                None if settings.roots.is_none() => roots.clone(),
                file => roots::read(file.as_deref()),
            };
            (Directory { roots: None, ..directory.clone() }, roots)
        });
        let prover = match &settings.dnssec {
            Dnssec::Resolver => Ok(Prover::Resolver),
            Dnssec::Validate(None) => Ok(Prover::Own(None)),
            Dnssec::Validate(Some(file)) => {
                let text = fs::read_to_string(file);
                let text =
                    text.map_err(|error| Error::new(Kind::Config, Error::io(file.display(), &error).to_string()));
                text.map(|text| Prover::Own(Some((file.display().to_string(), text))))
            }
        };
        let name_servers = NameServers::read(&settings.name_servers);
        NetworkSettings { allowed: settings.allowed.clone(), name_servers, roots, prover, directory }
    }
}
