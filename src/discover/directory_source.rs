//! The directory as a source of a [`Discovery`].

use std::time::Instant;

use super::{
    Discovery, Filter, Method, Person, Resolver,
    cache::Answer,
    http::Failure,
    ldap,
    look_up::{failed, later},
};
use crate::{
    base::{Error, Kind, Result},
    mail::Address,
};

impl Discovery {
    /// The people that `filter` finds in the directory.
    ///
    /// # Errors
    ///
    /// `Config`: there is no directory among the settings, or its root certificates cannot be read. `TryAgain`: it does not answer.
    pub fn people(&self, filter: &Filter, deadline: Instant) -> Result<Vec<Person>> {
        self.directory()?.people(filter, deadline).map_err(|failure| later(format!("directory: {failure}")))
    }

    pub(super) fn ask_directory(&self, method: Method, address: &Address, deadline: Instant) -> Answer {
        let asked = self.directory().map_err(|error| Failure::Failed(error.to_string()));
        match asked.and_then(|directory| directory.keys(method, address, deadline)) {
            Ok(values) if values.is_empty() => Answer::Missing(String::new()),
            Ok(values) => self.reduced(method, address, &values.iter().map(Vec::as_slice).collect::<Vec<_>>()),
            Err(failure) => failed(failure),
        }
    }

    fn directory(&self) -> Result<&ldap::Client> {
        let opened = self.directory.get_or_init(|| {
            let missing = || Error::new(Kind::Config, "[discovery.ldap] is missing");
            let directory = self.settings.directory.as_ref().ok_or_else(missing)?;
            ldap::Client::new(directory, Resolver::new(&self.settings.name_servers)?)
        });
        opened.as_ref().map_err(Clone::clone)
    }
}
