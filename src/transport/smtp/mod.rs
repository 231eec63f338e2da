//! SMTP (RFC 5321) and LMTP (RFC 2033): the server, and the SMTP client.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod aliases;
mod authenticator;
mod client;
mod client_identity;
mod command;
mod login;
mod login_limits;
mod origin;
mod reply;
mod server;
mod session;
mod submitter_connection;
mod transaction;
mod wire;

pub use aliases::Names;
pub use authenticator::{Accounts, Authenticator, CheckPermits};
pub use client::{Caller, Client, Offers};
pub use login_limits::LoginLimits;
pub use origin::Origin;
pub use reply::Reply;
pub use server::{Clients, Dialect, Login, Protection, Server, Settings};
pub use wire::BareLf;

use std::time::Duration;

/// How long a peer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// For one whole command, or the whole reply to it.
    pub command: Duration,
    /// For each piece of a message.
    pub block: Duration,
    /// For the reply to the final dot.
    pub end: Duration,
}

/// Source: RFC 5321, section 4.5.3.2; for the connection, the 30 s of Postfix's `smtp_connect_timeout`.
impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(300),
            block: Duration::from_secs(180),
            end: Duration::from_secs(600),
        }
    }
}
