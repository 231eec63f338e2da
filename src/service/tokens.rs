//! The tokens of a configuration.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use crate::{
    base::{Error, Kind, Result},
    config::{SecretFrom, Token},
    keys::TokenUri,
    token::{KnownPins, KnownToken, OpenTokens, Pin, Pins, ProbeLogin},
};

/// How long an operation of a key on a token may take where nobody types a PIN. Source: the slowest smart cards take seconds for a key of 4096 bits, a few messages
/// may wait for one card, and clients wait ten minutes for the reply to a message (RFC 5321, section 4.5.3.2.6).
pub const TOKEN_LIMIT: Duration = Duration::from_secs(30);

/// Opens keys on the tokens of a configuration, and on those that URIs name with their modules. `pins` is asked for the PINs that are nowhere else.
pub fn open_tokens(tokens: &[Token], pins: Arc<dyn Pins>) -> OpenTokens {
    let known = tokens.iter().map(|token| KnownToken {
        uri: token.uri.clone(),
        module: token.module.clone(),
        pins: token.pin.clone().map(|pin| Arc::new(ConfiguredPin(pin)) as Arc<dyn Pins>),
    });
    OpenTokens::new(KnownPins { tokens: known.collect() }, pins)
}

/// Asks the tokens of a configuration whether they are there. A module that hangs is waited for a few seconds.
#[derive(Debug)]
pub struct TokenProbe {
    tokens: Arc<OpenTokens>,
    is_empty: bool,
    login: ProbeLogin,
    /// One question at a time.
    asking: Mutex<()>,
    /// Whether the answer to an earlier question is still to come.
    is_waiting: Arc<AtomicBool>,
}

impl TokenProbe {
    /// A probe of these tokens.
    pub fn new(tokens: &[Token], login: ProbeLogin) -> TokenProbe {
        let is_empty = tokens.is_empty();
        let tokens = Arc::new(open_tokens(tokens, Arc::new(NoPins)));
        TokenProbe { tokens, is_empty, login, asking: Mutex::default(), is_waiting: Arc::default() }
    }

    /// What is wrong with the tokens that have a module: `TryAgain` for one that is not there or does not answer, `Inaccessible` for one that refuses the
    /// PIN.
    pub fn ask(&self) -> Vec<Error> {
        if self.is_empty {
            return Vec::new();
        }
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_waiting.swap(true, Ordering::SeqCst) {
            return vec![silent()];
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (tokens, login, is_waiting) = (Arc::clone(&self.tokens), self.login, Arc::clone(&self.is_waiting));
        let started = thread::Builder::new().name("tokens".to_owned()).spawn(move || {
            let wrong = tokens.probe(login);
            is_waiting.store(false, Ordering::SeqCst);
            // Nobody may wait any more.
            let _ = sender.send(wrong);
        });
        match started {
            Ok(_) => receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| vec![silent()]),
            Err(error) => {
                self.is_waiting.store(false, Ordering::SeqCst);
                vec![Error::io("a thread for tokens", &error)]
            }
        }
    }
}

fn silent() -> Error {
    Error::new(Kind::TryAgain, format!("tokens: no answer within {} seconds", PATIENCE.as_secs()))
}

/// How long tokens may take. Source: smart cards answer within a second, and the monitor has five for the whole answer.
const PATIENCE: Duration = Duration::from_secs(3);

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
