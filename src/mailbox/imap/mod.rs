//! IMAP (RFC 9051, RFC 3501): mailboxes on a server.

mod client;
mod names;
mod response;
mod sink;
mod source;
mod state;

pub use names::Naming;
pub use response::{Code, Fetched, Listed, Raw, Response, Status, Text, Untagged};
pub use sink::ImapSink;
pub use source::ImapSource;
