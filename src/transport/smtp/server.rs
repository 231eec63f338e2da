//! The server: what it is told to be, and who may come in.

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
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
    Aliases, Keeper, Patience,
    session::{Line, Session},
};
use crate::{
    base::{Error, Kind, Limits, Result},
    engine::Handler,
    policy::Pattern,
    report::Metrics,
    transport::{Connection, Door, MemoryLimit, Network, Quarantine, relay::Relay, tls::Identity},
};

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// LMTP (RFC 2033): one reply a recipient.
    Lmtp,
    /// SMTP (RFC 5321): one reply a message.
    Smtp,
}

/// How a listener is protected.
#[derive(Clone)]
pub enum Protection {
    /// By TLS from the first octet (RFC 8314).
    Implicit(Identity),
    /// Not.
    None,
    /// By TLS on STARTTLS (RFC 3207).
    Starttls(Identity),
}

/// How clients log in (RFC 4954).
#[derive(Clone)]
pub enum Login {
    /// By TLS or on this machine only; it is checked here whether it is they.
    Here(Keeper),
    /// They do not.
    None,
    /// By TLS or on this machine only; the upstream says whether it is they.
    Relayed,
}

/// How a listener works.
#[derive(Clone)]
pub struct Settings {
    /// What is spoken.
    pub dialect: Dialect,
    /// This host.
    pub name: String,
    /// How it is protected.
    pub protection: Protection,
    /// How clients log in.
    pub login: Login,
    /// Where logins are counted.
    pub metrics: Arc<Metrics>,
    /// Whose mail counts as our users'.
    pub trusted: Vec<Network>,
    /// Mail servers that bring other people's mail and say whose it is by XFORWARD or XCLIENT. What they do not say is not known: their own
    /// addresses prove nothing. Whoever connects to a local socket is one of them.
    pub peers: Vec<Network>,
    /// What VRFY and EXPN tell to those who are known; `None`: nothing to anybody.
    pub aliases: Option<Aliases>,
    /// For whom anybody may leave mail here.
    pub local: Vec<Pattern>,
    /// Bounds on one message.
    pub limits: Limits,
    /// Recipients of one message.
    pub recipients: usize,
    /// Connections from one address; trusted networks and peers are not counted.
    pub per_client: usize,
    /// What messages may take of it, at all listeners together.
    pub memory: MemoryLimit,
    /// How long clients may take.
    pub patience: Patience,
    /// Where held messages go.
    pub quarantine: Option<Quarantine>,
}

/// An SMTP or LMTP server, for many connections at once.
pub struct Server {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) relay: Arc<Relay>,
    pub(super) work: Arc<Semaphore>,
    pub(super) settings: Settings,
    guests: Mutex<HashMap<IpAddr, usize>>,
}

impl Server {
    /// A server that asks `handler`, for as many messages at once as `work` has permits, and passes on by `relay`.
    pub fn new(handler: Arc<dyn Handler>, relay: Arc<Relay>, work: Arc<Semaphore>, settings: Settings) -> Server {
        Server { handler, relay, work, settings, guests: Mutex::default() }
    }

    async fn receive(self: Arc<Self>, connection: Connection, stopping: watch::Receiver<bool>) -> Result<()> {
        let Connection { mut stream, peer } = connection;
        let address = peer.map(|peer| peer.ip().to_canonical());
        let Some(_place) = self.place_for(address) else {
            tracing::warn!(?address, "too many connections");
            let _ = timeout(REFUSAL, stream.write_all(b"421 4.7.0 too many connections from you\r\n")).await;
            return Ok(());
        };
        let (stream, line) = match &self.settings.protection {
            Protection::Implicit(identity) => {
                let late = |_| Error::new(Kind::TryAgain, "tls: the handshake takes too long");
                let accepted = timeout(HANDSHAKE, identity.accept(stream)).await.map_err(late)?;
                (accepted.map_err(|error| Error::io("tls", &error))?, Line::Encrypted)
            }
            Protection::None | Protection::Starttls(_) => (stream, Line::Open),
        };
        Session::new(&self, stream, peer, line).converse(stopping).await
    }

    /// A place for one more connection from there.
    fn place_for(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Place> {
        let Some(address) = address.filter(|address| !self.is_known(*address)) else {
            return Some(Place { server: Arc::clone(self), address: None });
        };
        let mut guests = self.guests();
        let count = guests.entry(address).or_default();
        if *count >= self.settings.per_client {
            return None;
        }
        *count += 1;
        Some(Place { server: Arc::clone(self), address: Some(address) })
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

    fn guests(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door for Server {
    fn name(&self) -> &'static str {
        match self.settings.dialect {
            Dialect::Lmtp => "lmtp",
            Dialect::Smtp => "submission",
        }
    }

    fn welcome(
        self: Arc<Self>,
        connection: Connection,
        stopping: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(self.receive(connection, stopping))
    }
}

/// Held by a connection while it lasts.
struct Place {
    server: Arc<Server>,
    /// None where nobody counts.
    address: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut guests = self.server.guests();
        if let Some(count) = guests.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                guests.remove(&address);
            }
        }
    }
}

const HANDSHAKE: Duration = Duration::from_secs(60);
const REFUSAL: Duration = Duration::from_secs(5);
