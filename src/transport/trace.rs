//! What the log has of each connection and message, for all transports alike: their ids, who sent a message, and what became of it.

use std::{
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use tracing::Span;

use super::smtp::Reply;
use crate::{
    base::{Error, Random, Result},
    mail::{Address, Login, Mail, Submitter},
    report::{Cause, Fate, Metrics},
};

/// The id of one connection in the log: 12 characters of 60 random bits, so that no other connection has it, on this host or another, before
/// or after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Errors of `random`.
    pub fn new(random: &dyn Random) -> Result<SessionId> {
        let mut octets = [0; 12];
        random.fill(&mut octets)?;
        let digit = |octet: u8| DIGITS.get(usize::from(octet % 32)).copied().map_or('0', char::from);
        Ok(SessionId(octets.into_iter().map(digit).collect()))
    }

    /// The id of the connection's message with this number: `SESSION-NUMBER`, an atom of RFC 5322, as the Received field needs it (RFC 5321,
    /// section 4.4).
    pub fn message(&self, number: usize) -> String {
        format!("{self}-{number}")
    }

    /// The lines written within it are about this connection. It exists at every level, because an error is also about a connection.
    pub fn span(&self, listener: &str) -> Span {
        tracing::error_span!("session", session = %self, listener)
    }

    /// The lines written within it are about this message. `queue_id` is the name that a mail server has for it.
    pub(super) fn message_span(&self, number: usize, queue_id: Option<&str>) -> Span {
        tracing::error_span!("message", mail = self.message(number), queue_id)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Crockford's base 32: no letter looks like a digit.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// How a message came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrival {
    /// The client that it came from: by XFORWARD the peer's client.
    pub(super) client: Option<IpAddr>,
    pub(super) hello: Option<String>,
    pub(super) tls: Option<bool>,
    pub(super) login: Option<Login>,
    /// How long its octets took; unknown to a milter.
    pub(super) receiving: Option<Duration>,
    /// How long it waited for memory and for a worker.
    pub(super) waiting: Duration,
}

impl Arrival {
    /// From a program on this machine.
    pub(super) fn of_submitter(submitter: &Submitter) -> Arrival {
        let login = match submitter {
            Submitter::Authenticated(login) => Some(login.clone()),
            Submitter::Host | Submitter::Trusted | Submitter::Unknown => None,
        };
        Arrival { login, ..Arrival::default() }
    }

    /// Writes the line for a message that was received.
    pub(super) fn log(&self, mail: &Mail) {
        let Arrival { client, hello, tls, login, .. } = self;
        tracing::info!(
            event = "received",
            client = client.map(tracing::field::display),
            helo = hello.as_deref(),
            tls,
            login = login.as_ref().map(Login::as_str),
            from = %bracketed(mail.envelope.sender.address.as_ref()),
            recipients = mail.envelope.recipients.len(),
            message_id = message_id(mail),
            octets = mail.message.octets().len(),
            receive_ms = self.receiving.map(milliseconds),
            wait_ms = milliseconds(self.waiting),
        );
    }
}

fn message_id(mail: &Mail) -> Option<String> {
    let field = mail.message.root().fields().find(|field| field.is("Message-ID"))?;
    Some(field.unfolded().trim().to_owned())
}

/// Writes and counts what became of the recipients of a message.
pub(super) struct Endings<'a> {
    pub(super) metrics: &'a Metrics,
    pub(super) listener: &'static str,
    /// When the work of handing the message over began.
    pub(super) since: Instant,
}

impl<'a> Endings<'a> {
    /// Handing over begins now.
    pub(super) fn new(metrics: &'a Metrics, listener: &'static str) -> Endings<'a> {
        Endings { metrics, listener, since: Instant::now() }
    }

    /// The next hop answered for these recipients.
    pub(super) fn answered<'t>(&self, to: impl IntoIterator<Item = &'t Address>, reply: &Reply) {
        self.metrics.next_hop_replied(class(reply));
        let fate = if reply.is_positive() { Fate::Relayed } else { failed(reply) };
        self.end(fate, Cause::NextHop, to, Some(reply));
    }

    /// These recipients get nothing for now, or for good: by the reply.
    pub(super) fn refused<'t>(&self, cause: Cause, to: impl IntoIterator<Item = &'t Address>, reply: &Reply) {
        self.end(failed(reply), cause, to, Some(reply));
    }

    /// Writes a line for these recipients, or several if they are many.
    pub(super) fn end<'t>(
        &self,
        fate: Fate,
        cause: Cause,
        to: impl IntoIterator<Item = &'t Address>,
        reply: Option<&Reply>,
    ) {
        let to: Vec<&Address> = to.into_iter().collect();
        self.metrics.ended(self.listener, fate, cause, to.len());
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        let relay_ms = milliseconds(self.since.elapsed());
        let (by, shown) = (cause.name(), reply.map(tracing::field::display));
        let server = reply.and_then(|reply| reply.server.as_deref());
        for to in lists(to.iter().copied()) {
            match fate {
                Fate::Deferred => tracing::info!(event = "deferred", to, by, server, reply = shown, relay_ms),
                Fate::Discarded => tracing::info!(event = "discarded", to, by),
                // `message-held` names the file, `milter-response` the answer.
                Fate::Held => {}
                Fate::Refused => tracing::info!(event = "refused", to, by, server, reply = shown, relay_ms),
                Fate::Relayed => {
                    let queued_as = reply.and_then(Reply::queue_id);
                    tracing::info!(event = "relayed", to, server, queued_as, reply = shown, relay_ms);
                }
            }
        }
    }
}

/// What a reply that is not positive means.
pub(super) fn failed(reply: &Reply) -> Fate {
    if (500..600).contains(&reply.code) { Fate::Refused } else { Fate::Deferred }
}

/// A reply by its class for the metrics. `network` has the status x.4.x (RFC 3463, section 3.5): the next hop cannot be reached, or the
/// connection broke.
pub(super) fn class(reply: &Reply) -> &'static str {
    let is_of_network = reply.status.as_deref().and_then(|status| status.split('.').nth(1)) == Some("4");
    match reply.code {
        200..300 => "2xx",
        _ if is_of_network => "network",
        500..600 => "5xx",
        _ => "4xx",
    }
}

/// The reply to a message that met `error`. The cause goes to the log.
pub(super) fn failure(error: &Error) -> Reply {
    tracing::warn!(event = "message-failed", kind = error.kind().name(), %error);
    super::rejection(error)
}

/// `<a@example.org>,<b@example.org>`: in one string, or in several when it would be long. Never empty.
pub(super) fn lists<'t>(addresses: impl IntoIterator<Item = &'t Address>) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for address in addresses {
        let one = bracketed(Some(address));
        match lists.last_mut().filter(|list| list.len() + one.len() < LIST) {
            Some(list) => {
                list.push(',');
                list.push_str(&one);
            }
            None => lists.push(one),
        }
    }
    if lists.is_empty() { vec![String::new()] } else { lists }
}

fn bracketed(address: Option<&Address>) -> String {
    address.map_or_else(|| "<>".to_owned(), |address| format!("<{address}>"))
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Octets of a list of recipients. Source: below what the log writes of a value (`cli/log.rs`).
const LIST: usize = 1_500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemRandom;

    #[test]
    fn ids_are_atoms_and_differ() {
        let (one, other) = (SessionId::new(&SystemRandom).unwrap(), SessionId::new(&SystemRandom).unwrap());
        assert_ne!(one, other);
        let id = one.message(7);
        assert!(id.len() == 14 && id.ends_with("-7"), "{id}");
        assert!(id.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-'), "{id}");
    }

    #[test]
    fn many_recipients_are_several_lists() {
        let addresses: Vec<Address> =
            (0..100).map(|number| Address::parse(&format!("recipient{number}@example.org")).unwrap()).collect();
        let lists = lists(&addresses);
        assert!(lists.len() > 1 && lists.iter().all(|list| list.len() <= LIST));
        let all: Vec<&str> = lists.iter().flat_map(|list| list.split(',')).collect();
        assert_eq!(all.len(), 100);
        assert_eq!(all[99], "<recipient99@example.org>");
        assert_eq!(super::lists([]), [""]);
    }
}
