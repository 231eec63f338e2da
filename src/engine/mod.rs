//! The pipeline: open, judge, gather facts, decide, act. Every transport and every verb calls the engine and nothing below it.

mod accounting;
mod act;
mod annotate;
mod context;
mod copies;
mod decided;
mod edit;
mod expiry;
mod facts;
mod handle;
mod inspect;
mod judged;
mod leg;
mod lines;
mod list;
mod list_approval;
mod list_fields;
mod list_notice;
mod list_request;
mod log_only;
mod marker;
mod notes;
mod onward;
mod opaque;
mod open;
mod own_key;
pub mod page;
mod parts;
mod plaintext;
mod posting;
mod reloadable;
mod resolve;
mod return_path;
mod seal;
mod sent_on;
mod within;
mod written;

pub use accounting::{Times, Unopened, UsedKeys};
pub use annotate::Shown;
pub use context::HandlerContext;
pub use expiry::Ending;
pub use facts::Gathered;
pub use handle::{HANDLED, Handler, Outcome};
pub use judged::Judged;
pub use list::KeyStates;
pub use open::Opening;
pub use parts::OpenedParts;
pub(crate) use posting::Asked;
pub use posting::Posting;
pub use reloadable::{HandlerConfig, ReloadableHandler};
pub use within::Within;

use std::sync::atomic::AtomicUsize;

use crate::{
    base::{Budget, Limits},
    keys::{Keys, ProtocolName},
    mail::Part,
    protocol::{
        Claim, Context, Protocol,
        pem::{self, Pem},
        pgp::Pgp,
        smime::Smime,
    },
};

/// Opens, judges and seals messages with one set of keys, clock, limits and options. Used for many messages.
///
/// # Example
///
/// ```
/// use postseal::{
///     base::{Limits, Result, SystemClock, SystemRandom},
///     crypto::Legacy,
///     engine::Engine,
///     keys::{Memory, ProtocolName},
///     mail::Message,
///     pki::Revocation,
///     protocol::{Context, Seal, Signer},
///     verdict::Standing,
/// };
///
/// # fn main() -> Result<()> {
/// let context = Context {
///     keys: &Memory::new(),
///     clock: &SystemClock,
///     random: &SystemRandom,
///     legacy: Legacy::Refuse,
///     revocation: Revocation::Soft,
/// };
/// let engine = Engine::new(context, Limits::default());
/// let message = Message::parse(b"From: alice@example.org\r\n\r\nHello.\r\n".to_vec(), &mut engine.budget())?;
///
/// let opening = engine.open(message.clone())?;
/// assert_eq!(opening.verdict().standing(), Standing::Unsigned);
///
/// // Without keys there is none to sign with.
/// let how = Seal { sign: vec![Signer::Author], ..Seal::default() };
/// assert!(engine.seal(ProtocolName::Pgp, &message, &how, &mut Vec::new()).is_err());
/// # Ok(())
/// # }
/// ```
pub struct Engine<'a> {
    context: Context<'a>,
    limits: Limits,
    protocols: Vec<Box<dyn Protocol>>,
    /// How many more times the message may be opened for an address that its mail goes on from.
    onward_left: AtomicUsize,
}

impl<'a> Engine<'a> {
    /// An engine for all protocols that this build has.
    pub fn new(context: Context<'a>, limits: Limits) -> Self {
        let protocols: Vec<Box<dyn Protocol>> = vec![Box::new(Pgp), Box::new(Smime), Box::new(Pem)];
        Engine { context, limits, protocols, onward_left: AtomicUsize::new(usize::MAX) }
    }

    /// The same engine over other keys.
    fn with_keys<'k>(&self, keys: &'k dyn Keys) -> Engine<'k>
    where
        'a: 'k,
    {
        Engine::new(Context { keys, ..self.context }, self.limits.clone())
    }

    /// A full budget for one message.
    pub fn budget(&self) -> Budget {
        Budget::new(self.limits.clone())
    }

    /// What `part` itself claims to be, and who can open it. The first protocol that recognizes it has it; but what begins with a PEM message
    /// is PEM's, whatever others would find in its text.
    fn claim(&self, part: Part<'_>) -> Option<(&dyn Protocol, Claim)> {
        let is_bare = pem::boundary::is_bare(part.octets());
        let readers = self.protocols.iter().map(AsRef::as_ref);
        let mut readers = readers.filter(|protocol| !is_bare || protocol.name() == ProtocolName::Pem);
        readers.find_map(|protocol| Some((protocol, protocol.claim(part)?)))
    }
}
