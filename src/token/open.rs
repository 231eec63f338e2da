//! Tokens by their names.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Contents, KnownPins, KnownToken, Pin, Pins, ProbeLogin,
    key::KeyOnToken,
    limited::LimitedKey,
    module::{Module, Place},
    object,
};
use crate::{
    base::{Error, Random, Result, Secret},
    crypto::{KeyAlgorithm, PublicParts, SecretKey},
    keys::{TokenKey, TokenUri, Tokens},
};

/// The tokens of this machine, by their modules.
///
/// # Example
///
/// ```no_run
/// use std::sync::Arc;
/// use postseal::{
///     base::{Result, Secret},
///     keys::TokenUri,
///     token::{KnownPins, OpenTokens, Pin, Pins},
/// };
///
/// #[derive(Debug)]
/// struct Typed;
///
/// impl Pins for Typed {
///     fn pin(&self, token: &TokenUri) -> Result<Option<Pin>> {
///         Ok(Some(Pin::Typed(Secret::new(b"1234".to_vec()))))
///     }
/// }
///
/// let tokens = OpenTokens::new(KnownPins::default(), Arc::new(Typed));
/// let token = TokenUri::parse("pkcs11:token=mail?module-path=/usr/lib/softhsm/libsofthsm2.so")?;
/// for key in tokens.contents(&token)?.keys {
///     println!("{}", key.uri);
/// }
/// # Ok::<(), postseal::base::Error>(())
/// ```
#[derive(Debug)]
pub struct OpenTokens {
    known: KnownPins,
    pins: Arc<dyn Pins>,
    limit: Option<Duration>,
}

impl OpenTokens {
    /// Modules and PINs are those of `known`, then those that a URI names; `pins` is asked for PINs that neither has, or
    /// for all if it [comes first](Pins::comes_first).
    pub fn new(known: KnownPins, pins: Arc<dyn Pins>) -> OpenTokens {
        OpenTokens { known, pins, limit: None }
    }

    /// The same for a program that serves many: an operation of a key has this long. While the module of a token leaves one without an answer for
    /// longer than that, all operations of its keys fail at once, as with a token that is not there.
    #[must_use]
    pub fn answering_within(self, limit: Duration) -> OpenTokens {
        OpenTokens { limit: Some(limit), ..self }
    }

    /// The keys and certificates on the one token that `uri` names, after a login; keys by their object and identifier if it has them.
    ///
    /// # Errors
    ///
    /// `TryAgain` when the token is not there; `Inaccessible` without the right PIN, or when no module is known.
    pub fn contents(&self, uri: &TokenUri) -> Result<Contents> {
        let (module, pins) = self.module(uri)?;
        let token = &uri.token();
        let place = Place { uri, token, public: None, pins: pins.as_ref() };
        let found = module.with_session(&place, |session, token| object::contents(session, token, uri));
        let mut found = found.map_err(|failure| failure.error(uri.title()))?;
        for key in &mut found.keys {
            key.uri = key.uri.clone().with_module(uri.module_path()).with_pin_source(uri.pin_source());
        }
        Ok(found)
    }

    /// Asks each token that is known beforehand, with its module, whether it is there and works. It logs in where the PIN is known beforehand too.
    /// Returns what is wrong, in the order of the tokens. A module may keep this waiting.
    pub fn probe(&self, login: ProbeLogin) -> Vec<Error> {
        let probe = |known: &KnownToken| {
            known.module.as_ref()?;
            let has_pin = known.pins.is_some() || known.uri.pin_source().is_some();
            let login = if has_pin { login } else { ProbeLogin::None };
            let (module, pins) = self.module(&known.uri).ok()?;
            let place = Place { uri: &known.uri, token: &known.uri.token(), public: None, pins: pins.as_ref() };
            module.probe(&place, login).err().map(|failure| failure.error(known.uri.title()))
        };
        self.known.tokens.iter().filter_map(probe).collect()
    }

    /// Makes a key on the token that `uri` names, with the label that it names as `object`. The result is its name and its public part.
    ///
    /// # Errors
    ///
    /// `Usage` without a label, or when a key has it already; `Unavailable` when the token does not have the algorithm. Others as
    /// [`OpenTokens::contents`].
    pub fn generate(
        &self,
        uri: &TokenUri,
        algorithm: KeyAlgorithm,
        random: &dyn Random,
    ) -> Result<(TokenUri, PublicParts)> {
        let label = uri.attribute("object").ok_or_else(|| Error::usage(format!("{uri}: names no object")))?;
        let mut id = [0; 16];
        random.fill(&mut id)?;
        let (module, pins) = self.module(uri)?;
        let token = &uri.token();
        let place = Place { uri, token, public: None, pins: pins.as_ref() };
        let taken = module.with_session(&place, |session, _| object::is_taken(session, label));
        if taken.map_err(|failure| failure.error(uri.title()))? {
            return Err(Error::usage(format!("{}: there is a key of this name: {label}", uri.title()))
                .with_hint("name another object"));
        }
        let made = module.with_session(&place, |session, token| {
            Ok((token.clone(), object::generate(session, algorithm, label, &id)?))
        });
        let what = || format!("{}: a new {} key", uri.title(), algorithm.name());
        let (token, public) = made.map_err(|failure| failure.error(what()))?;
        let name = token.with("object", label).with("type", "private").with_id(&id);
        Ok((name.with_module(uri.module_path()).with_pin_source(uri.pin_source()), public))
    }

    /// The module of a token, and who knows its PIN.
    fn module(&self, uri: &TokenUri) -> Result<(Arc<Module>, Arc<dyn Pins>)> {
        let known = self.known.tokens.iter().find(|known| known.uri.covers(uri));
        let path = known.and_then(|known| known.module.clone()).or_else(|| uri.module_path().map(PathBuf::from));
        let path = path.ok_or_else(|| {
            Error::inaccessible(format!("{}: no module is known for it", uri.title()))
                .with_hint("add ?module-path=FILE to the URI, or name the module in [[token]]")
        })?;
        let pins = match (known, uri.pin_source()) {
            _ if self.pins.comes_first() => Arc::clone(&self.pins),
            (Some(KnownToken { pins: Some(pins), .. }), _) => Arc::clone(pins),
            (_, Some(file)) => Arc::new(PinFile(file.to_owned())) as Arc<dyn Pins>,
            _ => Arc::clone(&self.pins),
        };
        Ok((Module::at(&path), pins))
    }
}

impl Tokens for OpenTokens {
    fn key(&self, key: &TokenKey) -> Result<Arc<dyn SecretKey>> {
        let (module, pins) = self.module(&key.uri)?;
        let given_up = module.given_up();
        let opened = Arc::new(KeyOnToken::new(module, pins, key));
        Ok(match self.limit {
            Some(limit) => Arc::new(LimitedKey::new(opened, key.uri.title(), limit, given_up)),
            None => opened,
        })
    }
}

/// The file that `pin-source` names.
#[derive(Debug)]
struct PinFile(PathBuf);

impl Pins for PinFile {
    fn pin(&self, _: &TokenUri) -> Result<Option<Pin>> {
        let place = self.0.display();
        let inaccessible =
            |error: &std::io::Error| Error::inaccessible(Error::io(format!("pin {place}"), error).to_string());
        let octets = Secret::new(std::fs::read(&self.0).map_err(|error| inaccessible(&error))?);
        let first = octets.expose().split(|octet| *octet == b'\n').next().unwrap_or_default();
        let first = first.strip_suffix(b"\r").unwrap_or(first);
        match first.is_empty() {
            true => Err(Error::inaccessible(format!("pin {place}: is empty"))),
            false => Ok(Some(Pin::Given(Secret::new(first.to_vec())))),
        }
    }
}
