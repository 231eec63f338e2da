//! The stand-in of a build without the feature `pkcs11`: keys on tokens are named, and not reached.

use std::{sync::Arc, time::Duration};

use super::{Contents, KnownPins, Pins, ProbeLogin};
use crate::{
    base::{Error, Random, Result},
    crypto::{KeyAlgorithm, PublicParts, SecretKey},
    keys::{TokenKey, TokenUri, Tokens},
};

/// Tokens, none of which can be reached.
#[derive(Debug)]
pub struct OpenTokens {
    known: usize,
}

impl OpenTokens {
    /// Takes what is known, and uses none of it.
    pub fn new(known: KnownPins, _: Arc<dyn Pins>) -> OpenTokens {
        OpenTokens { known: known.tokens.len() }
    }

    /// The same.
    #[must_use]
    pub fn answering_within(self, _: Duration) -> OpenTokens {
        self
    }

    /// An error for each token that is known.
    pub fn probe(&self, _: ProbeLogin) -> Vec<Error> {
        (0..self.known).map(|_| refusal()).collect()
    }

    /// Always an error.
    ///
    /// # Errors
    ///
    /// `Inaccessible`.
    pub fn contents(&self, _: &TokenUri) -> Result<Contents> {
        Err(refusal())
    }

    /// Always an error.
    ///
    /// # Errors
    ///
    /// `Inaccessible`.
    pub fn generate(&self, _: &TokenUri, _: KeyAlgorithm, _: &dyn Random) -> Result<(TokenUri, PublicParts)> {
        Err(refusal())
    }
}

impl Tokens for OpenTokens {
    fn key(&self, _: &TokenKey) -> Result<Arc<dyn SecretKey>> {
        Err(refusal())
    }
}

fn refusal() -> Error {
    Error::inaccessible("tokens: this build has no pkcs11")
}
