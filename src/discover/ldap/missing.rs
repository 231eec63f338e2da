//! In place of the directory, in a build without it (Cargo feature `ldap`).

use std::time::Instant;

use super::{Directory, Filter, Method, Person, Resolver, http::Failure, roots::Roots};
use crate::{
    base::{Error, Result},
    mail::Address,
};

/// Asks no directory.
pub(super) struct Client;

impl Client {
    pub(super) fn new(_: &Directory, _: &Roots, _: Resolver) -> Result<Client> {
        Err(Error::unavailable("directories: not in this build (Cargo feature `ldap`)"))
    }

    pub(super) fn keys(&self, _: Method, _: &Address, _: Instant) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(Vec::new())
    }

    pub(super) fn people(&self, _: &Filter, _: Instant) -> Result<Vec<Person>, Failure> {
        Ok(Vec::new())
    }
}
