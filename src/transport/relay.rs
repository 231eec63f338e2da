//! Where mail goes on by SMTP: to one host always, over connections that are kept.

use std::{
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{
    Stream,
    milter::Courier,
    smtp::{Caller, Client, Reply},
    tls::Security,
};
use crate::{base, mail::Mail};

/// A server that takes everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// By its address.
    Address(SocketAddr),
    /// By its name and a port, looked up each time.
    Name(String, u16),
    /// A local socket.
    Unix(PathBuf),
}

/// The way on.
pub struct Relay {
    caller: Caller,
    host: Host,
    security: Security,
    /// Connections that rest, the one used last at the end.
    kept: Mutex<Vec<(Client, Instant)>>,
}

impl Relay {
    /// To one host, always.
    pub fn new(caller: Caller, host: Host, security: Security) -> Relay {
        Relay { caller, host, security, kept: Mutex::new(Vec::new()) }
    }

    /// A connection with nothing under way: one that was kept, or a new one.
    ///
    /// # Errors
    ///
    /// The reply to whoever wants to send: there is none.
    pub async fn client(&self) -> Result<Client, Reply> {
        while let Some(mut client) = self.take() {
            if client.reset().await.is_ok() {
                return Ok(client);
            }
        }
        self.connect().await
    }

    /// A new connection.
    ///
    /// # Errors
    ///
    /// As [`Relay::client`].
    pub async fn connect(&self) -> Result<Client, Reply> {
        let unreachable = |why: String| Reply::later("4.4.1", format!("{}: {why}", self.host_name()));
        let connecting = async {
            Ok::<Box<dyn Stream>, std::io::Error>(match &self.host {
                Host::Address(address) => Box::new(at_once(TcpStream::connect(address).await?)?),
                Host::Name(name, port) => Box::new(at_once(TcpStream::connect((name.as_str(), *port)).await?)?),
                Host::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        };
        let stream = match timeout(self.caller.patience.connect, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(error.to_string().to_lowercase())),
            Err(_) => return Err(unreachable("no answer".to_owned())),
        };
        self.caller.greet(stream, &self.host_name(), &self.security).await
    }

    /// Keeps a connection for the next mail, unless it is lost or there are enough.
    pub fn keep(&self, client: Client) {
        let mut kept = self.kept();
        if !client.is_lost() && kept.len() < MOST_KEPT {
            kept.push((client, Instant::now()));
        }
    }

    /// Sends a mail for all its recipients or for none.
    ///
    /// # Errors
    ///
    /// As [`Client::send`], or there is no connection.
    pub async fn send(&self, mail: &Mail) -> Result<Reply, Reply> {
        let mut client = self.client().await?;
        let sent = client.send(mail).await;
        self.keep(client);
        sent
    }

    /// Sends a mail for those of its recipients whom the server takes; one reply for each.
    ///
    /// # Errors
    ///
    /// As [`Relay::send`].
    pub async fn send_each(&self, mail: &Mail) -> Result<Vec<Reply>, Reply> {
        let mut client = self.client().await?;
        let sent = client.send_each(mail).await;
        self.keep(client);
        sent
    }

    /// Whether passwords may go this way: nobody can listen, because TLS proves who is there, or because it does not leave this machine.
    pub fn is_private(&self) -> bool {
        let is_local = match &self.host {
            Host::Address(address) => address.ip().is_loopback(),
            Host::Name(name, _) => name == "localhost",
            Host::Unix(_) => true,
        };
        is_local || matches!(self.security, Security::Verified(_))
    }

    fn host_name(&self) -> String {
        match &self.host {
            Host::Address(address) => address.ip().to_string(),
            Host::Name(name, _) => name.clone(),
            Host::Unix(_) => "localhost".to_owned(),
        }
    }

    fn take(&self) -> Option<Client> {
        let mut kept = self.kept();
        kept.retain(|(_, since)| since.elapsed() < MOST_REST);
        kept.pop().map(|(client, _)| client)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Client, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Courier for Relay {
    fn submit(&self, mail: Mail) -> Pin<Box<dyn Future<Output = base::Result<()>> + Send + '_>> {
        Box::pin(async move { Ok(self.send(&mail).await.map(drop)?) })
    }
}

fn at_once(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Connections that may rest. Source: half the 100 processes of Postfix's `default_process_limit`, so that others find a place too.
const MOST_KEPT: usize = 50;
/// How long one may rest. Source: far below the 300 s after which servers hang up (RFC 5321, section 4.5.3.2.7); of one that hung up
/// before, RSET tells.
const MOST_REST: Duration = Duration::from_secs(60);
