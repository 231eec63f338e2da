//! PINs of tokens: from `--pin-file`, or typed.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use postseal::{
    base::{Budget, Error, Limits, Result, Secret},
    keys::{Passphrases, TokenUri},
    report::printable,
    token::{Pin, Pins},
};

use super::{ask, input};

/// Who knows the PINs of tokens in this run.
#[derive(Debug)]
pub(crate) struct PinsOfRun {
    file: Option<PathBuf>,
    /// What the file says: a pipe is read once.
    read: Mutex<Option<Secret>>,
}

impl PinsOfRun {
    /// Those of `file`; without one, they are asked for.
    pub(crate) fn new(file: Option<PathBuf>) -> PinsOfRun {
        PinsOfRun { file, read: Mutex::default() }
    }
}

impl Pins for PinsOfRun {
    fn comes_first(&self) -> bool {
        self.file.is_some()
    }

    fn pin(&self, token: &TokenUri) -> Result<Option<Pin>> {
        let Some(file) = &self.file else {
            if !ask::is_possible() {
                return Ok(None);
            }
            return Ok(ask::secret(&format!("PIN of {}: ", printable(&token.token().to_string())))?.map(Pin::Typed));
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.is_none() {
            let octets = Secret::new(input::octets(Some(file), &Budget::new(Limits::default()))?);
            *read = Passphrases::of_lines(octets.expose()).into_iter().next();
        }
        let none = || Error::inaccessible(format!("{}: no PIN in it", file.display()));
        read.clone().map(Pin::Given).map(Some).ok_or_else(none)
    }
}
