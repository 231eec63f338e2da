//! The tokens of a configuration.

use std::sync::Arc;

use crate::{
    base::{Error, Result},
    config::{SecretFrom, Token},
    keys::TokenUri,
    token::{KnownPins, KnownToken, OpenTokens, Pin, Pins},
};

/// Opens keys on the tokens of a configuration, and on those that URIs name with their modules. `pins` is asked for the PINs that are nowhere else.
pub fn open_tokens(tokens: &[Token], pins: Arc<dyn Pins>) -> OpenTokens {
    let known = tokens.iter().map(|token| KnownToken {
        uri: token.uri.clone(),
        module: token.module.clone(),
        pins: token.pin.clone().map(|pin| Arc::new(ConfiguredPin(pin)) as Arc<dyn Pins>),
    });
    OpenTokens::new(KnownPins { tokens: known.collect() }, pins)
}

/// A PIN that the configuration names.
#[derive(Debug)]
struct ConfiguredPin(SecretFrom);

impl Pins for ConfiguredPin {
    fn pin(&self, _: &TokenUri) -> Result<Option<Pin>> {
        let read = self.0.read().map_err(|error| Error::inaccessible(format!("pin {error}")))?;
        Ok(Some(Pin::Given(read)))
    }
}

/// Knows no PIN: a service has no terminal to ask at.
#[derive(Debug)]
pub(super) struct NoPins;

impl Pins for NoPins {
    fn pin(&self, _: &TokenUri) -> Result<Option<Pin>> {
        Ok(None)
    }
}
