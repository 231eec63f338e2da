//! The posts that a front was told of. It asks for copies of these, and of no post that it made up.

use std::sync::{Mutex, PoisonError};

use postcard::{ser_flavors::Flavor, serialize_with_flavor};

use super::forms::PostingForm;
use crate::{
    base::{Error, Kind, Recent, Result},
    crypto::{Digester, Hash},
};

/// Digests of posts.
#[derive(Debug)]
pub(super) struct Posted(Mutex<Recent<Vec<u8>, ()>>);

impl Default for Posted {
    fn default() -> Self {
        Posted(Mutex::new(Recent::new(MOST)))
    }
}

impl Posted {
    /// The front is told of this one.
    pub(super) fn note(&self, posting: &PostingForm) {
        // One that is not written cannot be told either.
        let Ok(digest) = digest(posting) else { return };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(digest, ());
    }

    /// # Errors
    ///
    /// `TryAgain`: the front was not told of it, or it was told of many others since.
    pub(super) fn check(&self, posting: &PostingForm) -> Result<()> {
        let digest = digest(posting)?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&digest).ok_or_else(|| Error::new(Kind::TryAgain, "lists: a post that nobody sent"))?;
        Ok(())
    }
}

fn digest(posting: &PostingForm) -> Result<Vec<u8>> {
    let digest = serialize_with_flavor(posting, Digesting(Hash::Sha256.digester()));
    digest.map_err(|error| Error::unavailable(format!("lists: a post: {error}").to_lowercase()))
}

/// A value on its way into a digest.
struct Digesting(Digester);

impl Flavor for Digesting {
    type Output = Vec<u8>;

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.try_extend(&[octet])
    }

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.0.update(octets);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0.finish())
    }
}

/// Posts whose copies may be asked for. Source: as many as a busy host has on their way, a hundred times over; 4 MiB.
const MOST: usize = 16_384;
