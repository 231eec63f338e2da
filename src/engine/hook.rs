//! A handler for services: it owns all that it needs, is shared by threads, and is replaced as a whole when the configuration changes.

use std::{
    fmt,
    sync::{Arc, RwLock},
};

use super::{Engine, Handler, HandlerContext, Outcome};
use crate::{
    base::{Clock, Limits, Random, Result, Secret},
    crypto::Legacy,
    keys::Keys,
    mail::{Mail, Message},
    pki::Revocation,
    policy::Policy,
    protocol::Context,
};

/// Everything that handling mail needs.
#[derive(Clone)]
pub struct Setup {
    /// Certificates, secrets and passwords.
    pub keys: Arc<dyn Keys>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random octets come from.
    pub random: Arc<dyn Random>,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
    /// How much must be known about whether certificates are revoked.
    pub revocation: Revocation,
    /// What one message may cost.
    pub limits: Limits,
    /// Who gets what.
    pub policy: Policy,
    /// See [`HandlerContext::name`].
    pub name: String,
    /// See [`HandlerContext::authserv_ids`].
    pub authserv_ids: Vec<String>,
    /// See [`HandlerContext::marker`].
    pub marker: Secret,
}

impl Setup {
    /// An engine over it.
    pub fn engine(&self) -> Engine<'_> {
        let context = Context {
            keys: &*self.keys,
            clock: &*self.clock,
            random: &*self.random,
            legacy: self.legacy,
            revocation: self.revocation,
        };
        Engine::new(context, self.limits.clone())
    }

    fn handler_context(&self) -> HandlerContext<'_> {
        HandlerContext {
            policy: &self.policy,
            name: &self.name,
            authserv_ids: &self.authserv_ids,
            marker: &self.marker,
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Setup({}, {} rules)", self.name, self.policy.rules.len())
    }
}

/// A [`Handler`] whose setup can be exchanged while it works: a mail is handled by one setup from its beginning to its end.
#[derive(Debug)]
pub struct Hook {
    setup: RwLock<Arc<Setup>>,
}

impl Hook {
    /// One that works by `setup`.
    pub fn new(setup: Setup) -> Self {
        Hook { setup: RwLock::new(Arc::new(setup)) }
    }

    /// From the next mail on works by `setup`.
    pub fn replace(&self, setup: Setup) {
        let mut current = self.setup.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = Arc::new(setup);
    }

    /// What it works by now.
    pub fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Handler for Hook {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let setup = self.setup();
        setup.engine().handle(mail, setup.handler_context())
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        let setup = self.setup();
        setup.engine().mark(mail, setup.handler_context())
    }
}
