//! The engine for long-running programs: owned parts, shared by threads, replaced as a whole when the configuration changes.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, RwLock},
};

use super::{Engine, Handler, HandlerContext, Outcome, Posting, edit::Edits, marker};
use crate::{
    base::{Clock, Limits, Random, Result, Secret},
    crypto::Legacy,
    keys::Keys,
    mail::{Mail, Message},
    pki::Revocation,
    policy::Policy,
    protocol::Context,
    report::authserv::Believed,
};

/// Everything that handling mail needs.
#[derive(Clone)]
pub struct HandlerConfig {
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
    /// The rules.
    pub policy: Policy,
    /// See [`HandlerContext::name`].
    pub name: String,
    /// See [`HandlerContext::authserv_ids`].
    pub authserv_ids: Vec<String>,
    /// See [`HandlerContext::marker`].
    pub marker: Secret,
}

impl HandlerConfig {
    /// An engine that uses it.
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

    /// Whether the mail was handled before, for all of its recipients ([`Handler::mark`]).
    pub fn is_marked(&self, mail: &Mail) -> bool {
        marker::is_on(mail, &self.marker, self.handler_context().believed())
    }

    /// The octets of the message without any Authentication-Results, also of hosts that are believed: no host looked at it on its way in. `None`: there are
    /// none in it.
    pub fn without_results(&self, message: &Message) -> Option<Vec<u8>> {
        let nobody = Believed { own: &self.name, hosts: &[] };
        Edits::default().apply(message, |field| nobody.removes(field))
    }

    pub(crate) fn handler_context(&self) -> HandlerContext<'_> {
        HandlerContext {
            policy: &self.policy,
            name: &self.name,
            authserv_ids: &self.authserv_ids,
            marker: &self.marker,
        }
    }
}

impl fmt::Debug for HandlerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerConfig({}, {} rules)", self.name, self.policy.rules.len())
    }
}

/// A [`Handler`] whose configuration can be replaced while it works. Each mail is handled by one configuration from start to end.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use postseal::{
///     base::{Budget, Limits, Result, Secret, SystemClock, SystemRandom},
///     crypto::Legacy,
///     engine::{Handler, HandlerConfig, ReloadableHandler},
///     keys::Memory,
///     mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
///     pki::Revocation,
///     policy::{Disposition, Pattern, Policy},
/// };
///
/// # fn main() -> Result<()> {
/// let handler = ReloadableHandler::new(HandlerConfig {
///     keys: Arc::new(Memory::new()),
///     clock: Arc::new(SystemClock),
///     random: Arc::new(SystemRandom),
///     legacy: Legacy::Refuse,
///     revocation: Revocation::Soft,
///     limits: Limits::default(),
///     policy: Policy { local: vec![Pattern::parse("example.org")?], ..Policy::default() },
///     name: "mail.example.org".to_owned(),
///     authserv_ids: Vec::new(),
///     marker: Secret::new(vec![7; 32]), // random octets
/// });
/// let to = ForwardPath { address: Address::parse("bob@example.org")?, parameters: Vec::new() };
/// let text = b"From: eve@example.com\r\n\r\nHello.\r\n".to_vec();
/// let outcome = handler.handle(Mail {
///     envelope: Envelope { sender: ReversePath::default(), recipients: vec![to] },
///     submitter: Submitter::Unknown,
///     client: None,
///     message: Message::parse(text, &mut Budget::new(Limits::default()))?,
/// })?;
/// // No rule decides: inbound mail is annotated.
/// assert_eq!(outcome.decision.groups[0].disposition, Disposition::Relay);
/// assert!(outcome.mails[0].message.octets().starts_with(b"Authentication-Results: mail.example.org;"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ReloadableHandler {
    config: RwLock<Arc<HandlerConfig>>,
}

impl ReloadableHandler {
    /// A handler with this configuration.
    pub fn new(config: HandlerConfig) -> Self {
        ReloadableHandler { config: RwLock::new(Arc::new(config)) }
    }

    /// Uses `config` from the next mail on.
    pub fn replace(&self, config: HandlerConfig) {
        let mut current = self.config.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *current = Arc::new(config);
    }

    /// The configuration in use.
    pub fn config(&self) -> Arc<HandlerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Handler for ReloadableHandler {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let config = self.config();
        config.engine().handle(mail, config.handler_context())
    }

    fn copies(&self, posting: &Posting, numbers: Range<usize>) -> Result<Vec<Mail>> {
        let config = self.config();
        config.engine().copies(posting, numbers, config.handler_context())
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        let config = self.config();
        config.engine().mark(mail, config.handler_context())
    }
}
