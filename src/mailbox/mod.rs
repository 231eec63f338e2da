//! Mailboxes: places where messages lie. Each is read through [`MessageSource`], and written, where it can be, through [`MessageSink`].

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

pub mod folder;
pub mod imap;
pub mod local;
pub mod location;
pub mod maildir;
pub mod mbox;
pub mod packed;
pub mod pop3;
pub mod remote;

use std::fmt;

use crate::base::Result;

/// A place where messages lie: a Maildir, an mbox, a folder of files, a folder on a server.
///
/// Reading changes nothing: no flag, no file name, no time of access that a mail reader would show.
pub trait MessageSource {
    /// What it is called in reports: a path, or a URL without a password.
    fn name(&self) -> &str;

    /// The next message, in a stable order; `None` after the last one. A message whose id is in `done` is passed over without its
    /// octets being read where that is possible.
    ///
    /// # Errors
    ///
    /// The source cannot be read further. What concerns one message alone is [`Entry::content`].
    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>>;

    /// How far it is: for a progress bar.
    fn progress(&self) -> Progress;
}

/// A place that takes messages.
pub trait MessageSink {
    /// What it is called in reports.
    fn name(&self) -> &str;

    /// Takes one message. When this returns, the message is on disk, or the server has confirmed it.
    ///
    /// # Errors
    ///
    /// It was not taken, or it is not known that it was. Nothing half written can be seen.
    fn append(&mut self, message: &Stored<'_>) -> Result<()>;

    /// What to write down before [`MessageSink::append_marked`], so that [`MessageSink::has`] can say later whether it was done. One line of visible
    /// characters. `None`: this sink cannot be asked.
    ///
    /// # Errors
    ///
    /// There is no randomness.
    fn mark(&mut self, _message: &Stored<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    /// Appends a message that was marked.
    ///
    /// # Errors
    ///
    /// As [`MessageSink::append`].
    fn append_marked(&mut self, _mark: &str, message: &Stored<'_>) -> Result<()> {
        self.append(message)
    }

    /// Whether the message that was marked so is there.
    ///
    /// # Errors
    ///
    /// The sink cannot be read, or the mark is not one of this sink.
    fn has(&mut self, _mark: &str) -> Result<bool> {
        Ok(false)
    }
}

/// One message of a source.
#[derive(Debug)]
pub struct Entry {
    /// Which one.
    pub id: MessageId,
    /// Its octets as they are there, or why this one cannot be read.
    pub content: Result<Vec<u8>>,
    /// What is known about it beside its octets.
    pub state: State,
}

/// A message on its way into a sink.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// The octets.
    pub octets: &'a [u8],
    /// Flags and date.
    pub state: &'a State,
}

/// What a mailbox knows about a message beside its octets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The flags that every kind of mailbox has.
    pub flags: Flags,
    /// IMAP keywords (RFC 9051, section 2.3.2), without the backslashed ones.
    pub keywords: Vec<String>,
    /// When it was received, in seconds since 1970 UTC (IMAP's INTERNALDATE).
    pub received: Option<i64>,
    /// What stands beside it in a mailbox of its kind: the `From ` line of an mbox with its line end, the name of a file in a folder. A sink of
    /// the same kind writes it again; others ignore it.
    pub label: Option<Vec<u8>>,
}

/// The flags of a message (RFC 9051, section 2.3.2). Maildir names them by letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `\Seen`, `S`.
    pub seen: bool,
    /// `\Answered`, `R`.
    pub answered: bool,
    /// `\Flagged`, `F`.
    pub flagged: bool,
    /// `\Deleted`, `T`.
    pub deleted: bool,
    /// `\Draft`, `D`.
    pub draft: bool,
}

/// Names a message within its source, and stays the same when the source is read again: the name of a file without its flags, a UIDVALIDITY
/// and UID, a UIDL, an offset with a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(String);

/// How far a source was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Messages, or octets of one long file: what `total` counts.
    pub done: u64,
    /// When it is known.
    pub total: Option<u64>,
}

impl MessageId {
    /// An id of visible characters, as the source makes it.
    pub fn new(id: impl Into<String>) -> Self {
        MessageId(id.into())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
