//! SMTP (RFC 5321) and LMTP (RFC 2033), both ends of it.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod aliases;
mod client;
mod command;
mod guest;
mod keeper;
mod login;
mod origin;
mod reply;
mod server;
mod session;
mod transaction;
mod way;
mod wire;

pub(super) use way::Way;

pub use aliases::Aliases;
pub use client::{Caller, Client, Offers};
pub use keeper::{Accounts, Keeper};
pub use origin::Origin;
pub use reply::Reply;
pub use server::{Dialect, Login, Protection, Server, Settings};

use std::time::Duration;

/// How long a peer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To take a connection.
    pub connect: Duration,
    /// For one command or the reply to it, whole.
    pub command: Duration,
    /// For each piece of a message.
    pub block: Duration,
    /// For the reply to a whole message.
    pub end: Duration,
}

/// Source: RFC 5321, section 4.5.3.2; for the connection, the 30 s of Postfix's `smtp_connect_timeout`.
impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(300),
            block: Duration::from_secs(180),
            end: Duration::from_secs(600),
        }
    }
}
