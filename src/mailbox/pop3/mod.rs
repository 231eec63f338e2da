//! POP3 (RFC 1939, RFC 2449, RFC 5034): the one mailbox of an account.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod client;
mod reply;
mod source;

pub use reply::{Reply, numbered};
pub use source::Pop3Source;
