//! Judges one message of a mailbox.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::outline::Outline;
use crate::{
    base::{Error, Result},
    engine::{Engine, Opening, Within},
    mail::Message,
    mailbox::{Entry, MessageId, State},
    report::{self, Report},
};

/// A message of a mailbox, opened as far as it goes.
#[derive(Debug)]
pub struct Judged {
    /// Which one.
    pub id: MessageId,
    /// What the mailbox knows about it.
    pub state: State,
    /// What is counted of it.
    pub outline: Outline,
    /// The message, whatever it is; `None` when its octets could not be read.
    pub message: Option<Message>,
    /// Its verdict, or why there is none.
    pub opening: Result<Opening>,
}

/// Opens and judges a message. What goes wrong with it, a panic included, is a result, so that the others are judged.
///
/// # Example
///
/// ```
/// use postseal::{
///     base::{Limits, Result, SystemClock, SystemRandom},
///     crypto::Legacy,
///     engine::Engine,
///     keys::Memory,
///     mailbox::local::{Reading, places},
///     pki::Revocation,
///     protocol::Context,
///     scan::judge,
///     verdict::Standing,
/// };
///
/// # fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("box");
/// # std::fs::write(&path, "From a Mon Nov 30 12:00:00 2026\nFrom: a@example.org\n\nHello.\n\n").unwrap();
/// // `path` is an mbox, a Maildir, a folder with either, or a message.
/// let keys = Memory::new();
/// let context =
///     Context { keys: &keys, clock: &SystemClock, random: &SystemRandom, legacy: Legacy::Refuse, revocation: Revocation::Soft };
/// let limits = Limits::default();
/// let engine = Engine::new(context, limits.clone());
/// let mut unsigned = 0;
/// for place in places(&path)?.places {
///     let mut source = place.open(Reading { format: None, limit: limits.message })?;
///     while let Some(entry) = source.next(&|_| false)? {
///         let judged = judge(&engine, entry);
///         unsigned += u32::from(judged.opening?.verdict().standing() == Standing::Unsigned);
///     }
/// }
/// assert_eq!(unsigned, 1);
/// # Ok(())
/// # }
/// ```
pub fn judge(engine: &Engine<'_>, entry: Entry) -> Judged {
    let Entry { id, content, state } = entry;
    let message = content.and_then(|octets| Message::received(octets, &mut engine.budget()));
    let opening = match &message {
        Ok(message) => opened(engine, message, &id),
        Err(error) => Err(error.clone()),
    };
    let outline = opening.as_ref().map_or_else(|_| Outline::unreadable(), Outline::of);
    Judged { id, state, outline, message: message.ok(), opening }
}

fn opened(engine: &Engine<'_>, message: &Message, id: &MessageId) -> Result<Opening> {
    if let Some(error) = message.unread() {
        return Err(error.clone());
    }
    let opened = catch_unwind(AssertUnwindSafe(|| engine.open(message.clone())));
    opened.unwrap_or_else(|_| Err(Error::unavailable(format!("message {id}: the program failed on it"))))
}

impl Judged {
    /// Why it was not opened to its payload, if it was not.
    pub fn error(&self) -> Option<&Error> {
        match &self.opening {
            Ok(opening) => opening.error(),
            Err(error) => Some(error),
        }
    }

    /// The report as one line of JSON without its end: that of a message in a file, with the id in the mailbox `file`. The messages in it
    /// are judged by `engine`.
    pub fn json(&self, file: &str, engine: &Engine<'_>) -> String {
        let id = Some(self.id.as_str());
        match &self.opening {
            Ok(opening) => {
                let found = engine.within(opening);
                let within: Vec<Report<'_>> = found.iter().map(Within::report).collect();
                report::json(&Report { id, within: &within, ..opening.report(file) })
            }
            Err(error) => report::json_of_error(file, id, error),
        }
    }
}
