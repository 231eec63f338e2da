//! POP3 (RFC 1939, RFC 2449, RFC 5034): the one mailbox of an account.

mod client;
mod reply;
mod source;

pub use reply::{Reply, numbered};
pub use source::Pop3Source;
