//! Pages for people: one about messages, one about a mailbox, one about a running service.
//!
//! A page is one file. It has no script, loads nothing, and its Content Security Policy forbids both. Text from a message is escaped, characters that
//! hide or reorder text are shown by their numbers, and no link is made from it. The size of a page is bounded.

mod chart;
mod covered;
mod exhibit;
mod frame;
mod keys;
mod layers;
mod mailbox;
mod markup;
mod messages;
mod octets;
mod reading;
mod signatures;
mod status;
mod tone;
mod verdict;

pub use exhibit::Exhibit;
pub use frame::policy;
pub use keys::KeyNode;
pub use mailbox::{Ending, Failure, MailboxPage, Month, Row};
pub use messages::MessagePage;
pub use status::{KeyEnd, Status, status};
pub use tone::Tone;
pub use verdict::Next;
