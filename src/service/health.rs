//! What the monitor tells of keys, and whether mail can be handled.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::tokens::TokenProbe;
use crate::{
    base::Result,
    config::Token,
    engine::HandlerConfig,
    keys::{ProtocolName, Query, Want},
    mail::Address,
    report::{KeyFigures, html::KeyEnd},
    store::Keystore,
    token::ProbeLogin,
    transport::Health,
};

/// The health of a service with this configuration.
pub(super) struct ServiceHealth {
    config: HandlerConfig,
    home: Option<Arc<Keystore>>,
    tokens: TokenProbe,
    /// When the figures were computed, and what they were.
    figures: Mutex<Option<(Instant, KeyFigures)>>,
    /// When the keys that end were looked for, and what was found.
    endings: Mutex<Option<(Instant, Vec<KeyEnd>)>>,
}

impl ServiceHealth {
    pub(super) fn new(config: HandlerConfig, home: Option<Arc<Keystore>>) -> ServiceHealth {
        ServiceHealth {
            config,
            home,
            tokens: TokenProbe::new(&[], ProbeLogin::AsUsual),
            figures: Mutex::default(),
            endings: Mutex::default(),
        }
    }

    /// Asks these tokens too.
    pub(super) fn with_tokens(self, tokens: &[Token]) -> ServiceHealth {
        ServiceHealth { tokens: TokenProbe::new(tokens, ProbeLogin::AsUsual), ..self }
    }

    /// The keys that end within the longest of [`KeyFigures::DAYS`], each once.
    fn ending(&self) -> Result<Vec<KeyEnd>> {
        let days = KeyFigures::DAYS.into_iter().max().unwrap_or_default();
        let ending = self.config.ending(Duration::from_secs(days * 24 * 60 * 60))?;
        let mut ends: Vec<KeyEnd> = ending
            .into_iter()
            .map(|one| KeyEnd { at: one.at, protocol: one.protocol.name().into(), key: one.key.to_string() })
            .collect();
        ends.sort_by(|one, other| (one.at, &one.key).cmp(&(other.at, &other.key)));
        ends.dedup();
        Ok(ends)
    }

    fn computed(&self) -> Result<KeyFigures> {
        let days = KeyFigures::DAYS.map(|days| Duration::from_secs(days * 24 * 60 * 60));
        Ok(KeyFigures {
            expiring: self.config.expiring_keys(days)?,
            age_of_oldest_crl: self.config.age_of_oldest_crl()?,
        })
    }
}

impl Health for ServiceHealth {
    /// Asks the key sources as a message would, and the tokens.
    fn ready(&self) -> Result<()> {
        let anyone = Address::parse(&format!("postmaster@{}", self.config.name))?;
        for protocol in [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime] {
            self.config.keys.find(protocol, &Query::manage(Want::Address(&anyone)))?;
        }
        self.home.as_deref().map_or(Ok(()), Keystore::probe)?;
        self.tokens.ask().into_iter().next().map_or(Ok(()), Err)
    }

    fn clock_skew(&self) -> Option<Duration> {
        self.home.as_deref().and_then(Keystore::clock_skew)
    }

    fn keys(&self) -> Option<KeyFigures> {
        // Requests at the same time wait for one computation.
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, figures)) = figures.as_ref().filter(|(since, _)| since.elapsed() < FRESH) {
            return Some(*figures);
        }
        let computed = self.computed();
        if let Err(error) = &computed {
            tracing::warn!(event = "keys-not-counted", %error);
        }
        *figures = computed.ok().map(|figures| (Instant::now(), figures));
        figures.as_ref().map(|(_, figures)| *figures)
    }

    fn endings(&self) -> Vec<KeyEnd> {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, endings)) = endings.as_ref().filter(|(since, _)| since.elapsed() < FRESH) {
            return endings.clone();
        }
        // That they cannot be read is said with the figures.
        let found = self.ending().unwrap_or_default();
        *endings = Some((Instant::now(), found.clone()));
        found
    }
}

/// How long figures about keys are shown. Source: with 1,000 own keys they take a second, and keys expire in days.
const FRESH: Duration = Duration::from_secs(5 * 60);
