//! In place of the HTTP client, in a build without it (Cargo feature `discover`): no server can be asked.

use std::path::Path;

pub use super::request::{Ask, Bounds, Failure, Plain};
use crate::base::{Error, Result};

/// A client that cannot be made.
#[derive(Debug)]
pub enum Client {}

/// An answer, which there is none of.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The content.
    pub octets: Vec<u8>,
}

impl Client {
    /// Makes none.
    ///
    /// # Errors
    ///
    /// `Unavailable`: HTTP is not in this build.
    pub fn of_named_server(_: Option<&Path>) -> Result<Client> {
        Err(Error::unavailable("http: not in this build (Cargo feature `discover`)"))
    }

    /// Asks no server.
    ///
    /// # Errors
    ///
    /// None.
    pub fn ask(&self, _: &str, _: Ask<'_>, _: &Bounds) -> Result<Answer, Failure> {
        match *self {}
    }
}

impl Answer {
    /// No field.
    pub fn header(&self, _: &str) -> Option<&str> {
        None
    }
}
