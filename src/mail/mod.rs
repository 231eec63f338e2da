//! Mail messages: parsed once to spans over immutable octets and never reserialized; canonical forms; composing.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

pub mod address;
pub mod armor;
mod author;
pub mod autocrypt;
mod bare;
pub mod build;
pub mod canonical;
mod charset;
pub mod compose;
mod directory;
pub mod encoding;
mod envelope;
pub mod form;
pub mod header;
pub mod header_protection;
pub mod html;
mod login;
pub mod mbox;
mod media_type;
mod parameters;
mod parse;
pub mod part;
pub mod partial;
mod signable;
pub mod skeleton;
mod template;
mod words;

pub use address::{Address, Mailbox};
pub use author::NoAuthor;
pub use directory::directory_name;
pub use envelope::{Envelope, ForwardPath, Mail, ReversePath, Submitter};
pub use login::Login;
pub use part::{Message, Part, Span};
pub use template::Template;
