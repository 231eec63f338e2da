//! What IMAP and POP3 have in common: the server's place, the connection with bounds and timeouts, TLS, and logins.

mod sasl;
mod scram;
mod tls;
mod wire;

use std::{sync::Arc, time::Duration};

pub(super) use sasl::{Exchange, choose, refused};
pub(super) use tls::{Roots, roots};
pub(super) use wire::Wire;

use super::{MessageId, MessageSource};
use crate::base::{Error, Kind, Limits, Random, Result, Secret};

/// A mailbox on a server, which can be told to let messages go, and to wait for more.
pub trait RemoteSource: MessageSource {
    /// What makes ids mean what they meant before: a UIDVALIDITY for each mailbox that was read so far. Empty where ids never change
    /// their meaning.
    fn generations(&self) -> Vec<(String, u32)>;

    /// Takes messages out of the mailbox. One that is no longer there counts as taken out.
    ///
    /// # Errors
    ///
    /// It is not known that all of them are gone.
    fn remove(&mut self, ids: &[MessageId], how: &Removal) -> Result<Gone>;

    /// Waits until there may be new messages, or until `stop`, which is asked every second. [`MessageSource::next`] finds them then.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    fn wait(&mut self, stop: &dyn Fn() -> bool) -> Result<()>;

    /// Ends the connection. Deletions are done when this returns.
    ///
    /// # Errors
    ///
    /// The server did not confirm that.
    fn finish(&mut self) -> Result<()>;
}

/// Where messages go that are taken out of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// They are deleted.
    Delete,
    /// They go to this folder of the same account.
    MoveTo(String),
}

/// When messages are out of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// They are.
    Now,
    /// When [`RemoteSource::finish`] or [`RemoteSource::wait`] has returned well. If the connection is lost before, they stay.
    AtTheEnd,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reading: the mailbox is opened so that nothing can change in it.
    Read,
    /// Reading, and taking messages out.
    Remove,
}

/// The place of a server, as a URL says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The name or the address of the host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// When TLS begins.
    pub tls: Tls,
    /// The account.
    pub user: String,
    /// The mechanism that the URL asks for (RFC 5092, section 3.2): `SCRAM-SHA-256`.
    pub mechanism: Option<String>,
}

/// When TLS begins (RFC 8314).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// With the connection.
    Implicit,
    /// With STARTTLS or STLS.
    Upgrade,
}

/// How servers are reached and logged in to.
#[derive(Clone)]
pub struct Access {
    /// Has the passwords.
    pub credentials: Arc<dyn Credentials>,
    /// Whether a password may go over a connection without TLS.
    pub plaintext: Plaintext,
    /// How long servers may take.
    pub timeouts: Timeouts,
    /// What one message may cost.
    pub limits: Limits,
    /// Randomness, for SCRAM.
    pub random: Arc<dyn Random>,
}

/// Has the password of an account.
pub trait Credentials: Send + Sync {
    /// The password, or the token if `mechanism` is XOAUTH2. It is asked for at each login.
    ///
    /// # Errors
    ///
    /// There is none.
    fn secret(&self, server: &Server, mechanism: &str) -> Result<Secret>;
}

/// Where connections without TLS may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// To this machine, where the server does not offer TLS.
    #[default]
    Loopback,
    /// Anywhere, without asking for TLS. The networks on the way can read the password and the mail.
    Anywhere,
}

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To accept a connection.
    pub connect: Duration,
    /// To say the next octet.
    pub silence: Duration,
    /// To answer a command. What is announced with its length has more time: a second for each 4 KiB.
    pub command: Duration,
    /// Between two questions for new mail, where the server does not tell by itself.
    pub poll: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(30),
            silence: Duration::from_secs(60),
            command: Duration::from_secs(600),
            poll: Duration::from_secs(60),
        }
    }
}

impl Server {
    /// `imap.example.org:993`, for errors.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// `imaps://bob%40example.org@imap.example.org:993/`, where `protocol` is `imap`.
    pub(super) fn url(&self, protocol: &str) -> String {
        let secure = if self.tls == Tls::Implicit { "s" } else { "" };
        let is_plain = |c: &char| c.is_alphanumeric() || "-._~!$'()*+,&=".contains(*c);
        let mut user = String::new();
        for c in self.user.chars() {
            match is_plain(&c) {
                true => user.push(c),
                false => c.encode_utf8(&mut [0; 4]).bytes().for_each(|octet| user.push_str(&format!("%{octet:02X}"))),
            }
        }
        format!("{protocol}{secure}://{user}@{}/", self.place())
    }

    /// Whether the name means this machine.
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Refuses a connection without TLS that is not allowed.
    pub(super) fn may_be_plain(&self, access: &Access, why: &str) -> Result<()> {
        if access.plaintext == Plaintext::Anywhere || self.is_loopback() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Unavailable,
            format!("{}: {why}, and no password goes to another machine without TLS", self.place()),
        )
        .with_hint("use the URL of the port with implicit TLS (imaps: or pop3s:)"))
    }
}

/// What a server said, short enough for an error.
pub(super) fn quoted(said: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(said).chars().take(SHOWN).collect();
    let more = if said.len() > text.len() { "..." } else { "" };
    format!("{text:?}{more}")
}

/// Characters of a server's words that an error shows.
const SHOWN: usize = 200;
/// Octets that a server has to send in a second of what it announced with a length. Source: 32 kbit/s, slower than any line in use.
const RATE: usize = 4 * 1024;
/// Octets of one line. Source: ten times the 8,192 that RFC 7162, section 4 tells servers to accept; lists of UIDs are not asked for in one line.
pub(super) const LINE: usize = 80 * 1024;
