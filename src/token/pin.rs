//! Where PINs come from.

use std::{fmt::Debug, path::PathBuf, sync::Arc};

use crate::{
    base::{Result, Secret},
    keys::TokenUri,
};

/// A PIN, and how it came.
#[derive(Clone, Debug)]
pub enum Pin {
    /// From a file or another place that was named beforehand. It is not tried when a failure would lock the token.
    Given(Secret),
    /// Typed by a person just now, who knows how many tries are left.
    Typed(Secret),
}

impl Pin {
    /// The PIN.
    pub fn secret(&self) -> &Secret {
        match self {
            Pin::Given(secret) | Pin::Typed(secret) => secret,
        }
    }
}

/// Knows PINs, or asks for them.
pub trait Pins: Send + Sync + Debug {
    /// The PIN of `token`; `None` when there is none. It is asked when a login is due: once for each token and process, as long as the token stays.
    ///
    /// # Errors
    ///
    /// A file with it cannot be read.
    fn pin(&self, token: &TokenUri) -> Result<Option<Pin>>;

    /// Whether this is asked before the places that a configuration or a URI names, and not after them.
    fn comes_first(&self) -> bool {
        false
    }
}

/// Whether a probe logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeLogin {
    /// As an operation does.
    AsUsual,
    /// Only if no wrong PIN was given to the token since the last right one, by whatever program: a probe that is repeated does not lock it.
    IfUntried,
    /// No.
    None,
}

/// What is known of tokens beforehand.
#[derive(Clone, Debug, Default)]
pub struct KnownPins {
    /// The first whose [`KnownToken::uri`] covers a key counts.
    pub tokens: Vec<KnownToken>,
}

/// A token that is known beforehand.
#[derive(Clone, Debug)]
pub struct KnownToken {
    /// Which tokens this is about.
    pub uri: TokenUri,
    /// Their module.
    pub module: Option<PathBuf>,
    /// Their PIN; `None`: other places are asked.
    pub pins: Option<Arc<dyn Pins>>,
}
