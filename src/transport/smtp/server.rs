//! The SMTP and LMTP server: its settings, and the bound on connections per client.

use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{
    Authenticator, BareLf, LoginLimits, Names, Reply, Timeouts,
    session::{Line, Session},
};
use crate::{
    base::{Clock, Error, Kind, Limits, Network, Result},
    engine::Handler,
    policy::Pattern,
    report::{Limit, Metrics},
    transport::{
        Bounces, Connection, Listener, MemoryLimit, Quarantine, RateLimits, SessionId, Stream, relay::Relay,
        tls::Identity,
    },
};

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// LMTP (RFC 2033): one reply per recipient.
    Lmtp,
    /// SMTP (RFC 5321): one reply per message.
    Smtp,
}

/// Whose mail an SMTP listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Anybody's mail for local recipients, and the mail of known clients for all recipients.
    Anyone,
    /// The mail of known clients alone: those with a login or a trusted address, and peers (RFC 6409, section 4.3).
    Known,
}

/// How a listener is protected.
#[derive(Clone)]
pub enum Protection {
    /// TLS from the first octet (RFC 8314).
    Implicit(Identity),
    /// No TLS.
    None,
    /// STARTTLS (RFC 3207).
    Starttls(Identity),
}

/// How clients log in (RFC 4954).
#[derive(Clone)]
pub enum Login {
    /// With TLS or on this machine only. Passwords are checked here.
    Here(Authenticator),
    /// No login.
    None,
    /// With TLS or on this machine only. The next server checks the password.
    Relayed,
    /// No login here: a peer has checked that the envelope sender is the address of the user who logged in there.
    Sender,
}

/// The settings of a listener.
#[derive(Clone)]
pub struct Settings {
    /// The kind of listener, for the log and the metrics: `submission`, `relay`, `lmtp`.
    pub kind: &'static str,
    /// The protocol.
    pub dialect: Dialect,
    /// Whose mail it takes.
    pub clients: Clients,
    /// The name of this host.
    pub name: String,
    /// TLS.
    pub protection: Protection,
    /// How clients log in.
    pub login: Login,
    /// Limits on login attempts, for all listeners together.
    pub login_limits: Arc<LoginLimits>,
    /// How much mail a sender may send in a while.
    pub rate_limits: RateLimits,
    /// Counts logins, and limits that are reached.
    pub metrics: Arc<Metrics>,
    /// Networks whose clients are trusted: their mail counts as our users'.
    pub trusted: Vec<Network>,
    /// Mail servers that forward the mail of other clients, and name the client by XFORWARD or XCLIENT. A client that they do not name is
    /// unknown. A client at a local socket is a peer too.
    pub peers: Vec<Network>,
    /// What VRFY and EXPN show to known clients; `None`: both are disabled.
    pub aliases: Option<Names>,
    /// Recipients to whom any client may send.
    pub local: Vec<Pattern>,
    /// Limits on one message.
    pub limits: Limits,
    /// Recipients of one message.
    pub recipients: usize,
    /// Connections from one address; trusted networks and peers are not counted.
    pub per_client: usize,
    /// The memory for messages at all listeners together.
    pub memory: MemoryLimit,
    /// How long clients may take.
    pub timeouts: Timeouts,
    /// What is done about lines that end in LF alone.
    pub bare_lf: BareLf,
    /// The time in Received fields.
    pub clock: Arc<dyn Clock>,
    /// Stores held messages.
    pub quarantine: Option<Quarantine>,
    /// Writes notifications to senders whose message went to some recipients only.
    pub bounces: Option<Arc<Bounces>>,
}

/// An SMTP or LMTP server, for many connections at once.
pub struct Server {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) relay: Arc<Relay>,
    pub(super) work: Arc<Semaphore>,
    pub(super) settings: Settings,
    connections: Mutex<HashMap<IpAddr, usize>>,
}

impl Server {
    /// A server that calls `handler` for as many messages at once as `work` has permits, and sends with `relay`.
    pub fn new(handler: Arc<dyn Handler>, relay: Arc<Relay>, work: Arc<Semaphore>, settings: Settings) -> Server {
        Server { handler, relay, work, settings, connections: Mutex::default() }
    }

    async fn receive(
        self: Arc<Self>,
        connection: Connection,
        id: SessionId,
        stopping: watch::Receiver<bool>,
    ) -> Result<()> {
        let Connection { mut stream, peer, load } = connection;
        let address = peer.map(|peer| peer.ip().to_canonical());
        let Some(_slot) = self.slot_for(address) else {
            let (client, limit) = (address.map(tracing::field::display), Limit::ConnectionsOfClient);
            self.settings.metrics.limit_reached(self.name(), limit);
            tracing::warn!(event = "too-many-connections", client, limit = limit.name());
            refuse(&mut stream, "Error: too many connections from this address").await;
            return Ok(());
        };
        tracing::info!(event = "connected", client = address.map(tracing::field::display));
        let (stream, line) = match &self.settings.protection {
            Protection::Implicit(identity) => {
                let late = || Error::new(Kind::TryAgain, "tls: timeout in the handshake");
                let accepting = timeout(HANDSHAKE, identity.accept(stream));
                let accepted = tokio::select! {
                    accepted = accepting => accepted.map_err(|_| late())?,
                    () = load.wait_high(HURRIED), if !self.knows(peer) => return Err(late()),
                };
                (accepted.map_err(|error| Error::io("tls", &error))?, Line::Encrypted)
            }
            Protection::None | Protection::Starttls(_) => (stream, Line::Open),
        };
        Session::new(&self, stream, id, peer, line, load).converse(stopping).await
    }

    /// A slot for one more connection from this address.
    fn slot_for(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Slot> {
        let Some(address) = address.filter(|address| !self.is_known(*address)) else {
            return Some(Slot { server: Arc::clone(self), address: None });
        };
        let mut connections = self.connections();
        let count = connections.entry(address).or_default();
        if *count >= self.settings.per_client {
            return None;
        }
        *count += 1;
        Some(Slot { server: Arc::clone(self), address: Some(address) })
    }

    /// What a client has to send first.
    pub(super) fn hello_command(&self) -> &'static str {
        match self.settings.dialect {
            Dialect::Lmtp => "LHLO",
            Dialect::Smtp => "HELO/EHLO",
        }
    }

    pub(super) fn is_trusted(&self, address: IpAddr) -> bool {
        self.settings.trusted.iter().any(|network| network.contains(address))
    }

    pub(super) fn is_peer(&self, address: IpAddr) -> bool {
        self.settings.peers.iter().any(|network| network.contains(address))
    }

    fn is_known(&self, address: IpAddr) -> bool {
        self.is_trusted(address) || self.is_peer(address)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Server {
    fn name(&self) -> &'static str {
        self.settings.kind
    }

    /// Trusted clients, peers, and addresses that logged in before.
    fn knows(&self, client: Option<SocketAddr>) -> bool {
        client.is_none_or(|client| {
            let address = client.ip().to_canonical();
            self.is_known(address) || self.settings.login_limits.has_logged_in(address)
        })
    }

    fn turn_away(self: Arc<Self>, mut connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { refuse(&mut connection.stream, "Error: too many connections").await })
    }

    fn serve(
        self: Arc<Self>,
        connection: Connection,
        session: SessionId,
        stopping: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(self.receive(connection, session, stopping))
    }
}

/// Sends 421 in place of a greeting (RFC 5321, section 3.8).
async fn refuse(stream: &mut Box<dyn Stream>, words: &str) {
    let _ = timeout(REFUSAL, stream.write_all(&Reply::new(421, "4.7.0", words).octets())).await;
}

/// Counts a connection while it lasts.
struct Slot {
    server: Arc<Server>,
    /// None for a client that is not counted.
    address: Option<IpAddr>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut connections = self.server.connections();
        if let Some(count) = connections.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                connections.remove(&address);
            }
        }
    }
}

/// How long a client that is not known may be silent while the listener fills. Source: Postfix's `smtpd_timeout` under stress.
pub(super) const HURRIED: Duration = Duration::from_secs(10);
const HANDSHAKE: Duration = Duration::from_secs(60);
const REFUSAL: Duration = Duration::from_secs(5);
