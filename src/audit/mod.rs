//! The audit log: one line for each change of keys and trust, and for each decision on mail, each bound to the line before it.
//!
//! A line is a JSON object. `prev` is the hash of the line before, and `hash` is the SHA-256 (FIPS 180-4) of the octets of the line up to
//! `,"hash"`. So a line that is changed, removed, inserted or moved does not fit any more, and [`verify`] names it. `mac`, where there is one, is an
//! HMAC-SHA256 (RFC 2104) of the same octets: without its key, no line can be made that passes.
//!
//! ```
//! use postseal::{
//!     audit::{Actor, Durability, Event, Log, Note, verify},
//!     base::Result,
//! };
//!
//! # fn main() -> Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("audit.log");
//! let log = Log::new(&path, Actor::of_process("example"));
//! let note = Note::new(Event::Trust).with("certificate", "0123456789ABCDEF");
//! let head = log.append(&[note], Durability::Disk, None)?;
//! // The first line says that the log begins.
//! assert_eq!(head.number, 2);
//!
//! let text = std::fs::read(&path).unwrap();
//! let checked = verify(&[("audit.log", &text)], None);
//! assert!(checked.findings.is_empty());
//! assert_eq!(checked.head, Some(head));
//! # Ok(())
//! # }
//! ```

mod actor;
mod entry;
mod export;
mod log;
mod verify;

pub use actor::Actor;
pub use entry::{Entry, Event, Head, Note};
pub use export::{Form, exported};
pub use log::{Durability, Log, Sink, files};
pub use verify::{Checked, Finding, Grade, verify};
