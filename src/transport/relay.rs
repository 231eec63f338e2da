//! The next hop by SMTP: one server over connections that are reused, or the servers that the recipients' domains name.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpStream, UnixStream},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    MxResolver, NextHop, SendError, Sending, Stream,
    rejection::temporary_failure,
    smtp::{Caller, Client, Origin, Reply},
    tls::Security,
};
use crate::{
    base::Secret,
    mail::{Envelope, Mail},
};

/// A server that accepts mail for every recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// An address and a port.
    Address(SocketAddr),
    /// A name and a port. The name is looked up for each connection.
    Name(String, u16),
    /// A local socket.
    Unix(PathBuf),
}

/// The login at a server.
#[derive(Clone, Debug)]
pub struct Account {
    /// The authentication identity (RFC 4616).
    pub name: String,
    /// The password.
    pub password: Secret,
}

/// Sends mail by SMTP.
pub struct Relay {
    caller: Caller,
    route: Route,
    account: Option<Account>,
    sends_origin: bool,
    /// Idle connections, the one used last at the end.
    idle: Mutex<Vec<(Client, Instant)>>,
    /// One permit per connection in use.
    permits: Semaphore,
}

enum Route {
    Host(Host, Security),
    Mx(Box<MxResolver>),
}

impl Relay {
    /// Sends everything to one server.
    pub fn new(caller: Caller, host: Host, security: Security) -> Relay {
        Self::by(caller, Route::Host(host, security))
    }

    /// Sends to the servers of the recipients' domains (RFC 5321, section 5.1), with STARTTLS where they offer it.
    pub fn direct(caller: Caller, resolver: MxResolver) -> Relay {
        Self::by(caller, Route::Mx(Box::new(resolver)))
    }

    fn by(caller: Caller, route: Route) -> Relay {
        let (idle, permits) = (Mutex::default(), Semaphore::new(MAX_CONNECTIONS));
        Relay { caller, route, account: None, sends_origin: false, idle, permits }
    }

    /// Logs in on each connection. The password is sent only where [`Relay::is_private`].
    #[must_use]
    pub fn logging_in(self, account: Account) -> Relay {
        Relay { account: Some(account), ..self }
    }

    /// Tells the server which client each mail came from, if it supports XFORWARD.
    #[must_use]
    pub fn sending_origin(self) -> Relay {
        Relay { sends_origin: true, ..self }
    }

    /// Whether the server may be told which client a mail came from.
    pub fn sends_origin(&self) -> bool {
        self.sends_origin
    }

    /// Opens a connection with the one server.
    ///
    /// # Errors
    ///
    /// The reply to the client that wants to send.
    pub async fn connect(&self) -> Result<Client, Reply> {
        let Route::Host(host, security) = &self.route else {
            return Err(Reply::new(502, "5.3.3", "Error: no single next server"));
        };
        let name = host.name();
        let stream = self.stream(&name, host.connect()).await?;
        let mut client = self.caller.greet(stream, &name, security).await?;
        if let Some(account) = &self.account {
            if !self.is_private() {
                return Err(Reply::later("4.7.0", format!("{name}: connection not private enough for a login")));
            }
            let reply = client.log_in(&account.name, &account.password).await?;
            if reply.code != 235 {
                // The configuration here is wrong, so the failure is temporary.
                return Err(Reply::later("4.7.8", format!("{name} rejected the login of this server: {reply}")));
            }
        }
        Ok(client)
    }

    /// A connection without a transaction for this mail: an idle one, or a new one.
    async fn client_for(&self, mail: &Mail) -> Result<Client, Reply> {
        while let Some(mut client) = self.idle_connection() {
            if client.reset().await.is_ok() {
                return Ok(client);
            }
        }
        match (&self.route, mail.envelope.recipients.first()) {
            (Route::Mx(resolver), Some(path)) => self.connect_to_domain(resolver, path.address.domain()).await,
            _ => self.connect().await,
        }
    }

    /// Opens a connection with the first server of a domain that accepts one.
    async fn connect_to_domain(&self, resolver: &MxResolver, domain: &str) -> Result<Client, Reply> {
        let mut last = Reply::later("4.4.4", format!("{domain}: mail servers have no addresses"));
        let mut tries = 0;
        for host in resolver.hosts(domain).await? {
            let addresses = match resolver.addresses(&host).await {
                Ok(addresses) => addresses,
                Err(reply) => {
                    last = reply;
                    continue;
                }
            };
            for address in addresses {
                tries += 1;
                if tries > MAX_TRIES {
                    return Err(last);
                }
                let connecting = Host::Address(address);
                let greeted = match self.stream(&host, connecting.connect()).await {
                    Ok(stream) => self.caller.greet(stream, &host, &Security::Opportunistic).await,
                    Err(reply) => Err(reply),
                };
                match greeted {
                    Ok(client) => return Ok(client.at(address.ip())),
                    Err(reply) => last = reply,
                }
            }
        }
        Err(last)
    }

    async fn stream(
        &self,
        name: &str,
        connecting: impl Future<Output = std::io::Result<Box<dyn Stream>>>,
    ) -> Result<Box<dyn Stream>, Reply> {
        let unreachable = |why: String| Reply::later("4.4.1", format!("{name}: {why}"));
        match timeout(self.caller.timeouts.connect, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(unreachable(error.to_string().to_lowercase())),
            Err(_) => Err(unreachable("connection timed out".to_owned())),
        }
    }

    /// Keeps a connection with the one server for the next mail, unless it is lost or enough are idle.
    fn keep(&self, client: Client) {
        if let Route::Mx(_) = self.route {
            tokio::spawn(client.quit());
            return;
        }
        let mut idle = self.idle();
        if !client.is_lost() && idle.len() < MAX_IDLE {
            idle.push((client, Instant::now()));
        }
    }

    /// No mail gets its final dot before the servers accepted all recipients and have the content of every mail of its batch
    /// (`BATCH`).
    async fn send_batches(&self, mails: &[Mail], origin: Option<&Origin>) -> Result<Vec<Result<Reply, Reply>>, Reply> {
        let mut results: Vec<Result<Reply, Reply>> = Vec::new();
        for batch in mails.chunks(BATCH) {
            // All permits at once: two batches that each hold some and wait for more would block each other.
            let _permits = self.permits(batch.len()).await?;
            let prepared = match self.prepare(batch, origin).await {
                Ok(prepared) => prepared,
                Err(reply) if results.is_empty() => return Err(reply),
                Err(reply) => {
                    results.resize(mails.len(), Err(reply));
                    break;
                }
            };
            let finishing = prepared.into_iter().map(|mut client| {
                tokio::spawn(async move {
                    let reply = client.finish().await;
                    (client, reply)
                })
            });
            for finished in finishing.collect::<Vec<_>>() {
                results.push(match finished.await {
                    Ok((client, reply)) => {
                        self.keep(client);
                        reply
                    }
                    Err(_) => Err(temporary_failure()),
                });
            }
            if let Some(Err(reply)) = results.iter().find(|result| result.is_err()).cloned() {
                results.resize(mails.len(), Err(reply));
                break;
            }
        }
        Ok(results)
    }

    async fn prepare(&self, mails: &[Mail], origin: Option<&Origin>) -> Result<Vec<Client>, Reply> {
        let mut prepared = Vec::new();
        for mail in mails {
            let mut client = self.client_for(mail).await?;
            let said = client.prepare(mail, origin).await;
            if let Err(reply) = said {
                self.keep(client);
                return Err(reply);
            }
            prepared.push(client);
        }
        Ok(prepared)
    }

    async fn permits(&self, count: usize) -> Result<SemaphorePermit<'_>, Reply> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.permits
            .acquire_many(count)
            .await
            .map_err(|_| Reply::later("4.3.2", "Service unavailable, try again later"))
    }

    /// Whether a password may be sent: the server's certificate is verified, or the connection stays on this machine.
    pub fn is_private(&self) -> bool {
        let Route::Host(host, security) = &self.route else { return false };
        let is_local = match host {
            Host::Address(address) => address.ip().is_loopback(),
            Host::Name(name, _) => name == "localhost",
            Host::Unix(_) => true,
        };
        is_local || matches!(security, Security::Verified(_))
    }

    fn idle_connection(&self) -> Option<Client> {
        let mut idle = self.idle();
        idle.retain(|(_, since)| since.elapsed() < MAX_IDLE_TIME);
        idle.pop().map(|(client, _)| client)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Client, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NextHop for Relay {
    /// One mail per domain, where each domain has servers of its own.
    fn split(&self, mail: Mail) -> Vec<Mail> {
        let Route::Mx(_) = self.route else { return vec![mail] };
        let mut parts: BTreeMap<String, Mail> = BTreeMap::new();
        for path in &mail.envelope.recipients {
            let part = parts.entry(path.address.domain().to_owned()).or_insert_with(|| {
                let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: Vec::new() };
                Mail { envelope, submitter: mail.submitter.clone(), client: mail.client, message: mail.message.clone() }
            });
            part.envelope.recipients.push(path.clone());
        }
        parts.into_values().collect()
    }

    fn send_all<'a>(
        &'a self,
        mails: &'a [Mail],
        origin: Option<&'a Origin>,
    ) -> Sending<'a, Vec<Result<Reply, SendError>>> {
        Box::pin(async move {
            let results = self.send_batches(mails, origin).await?;
            Ok(results.into_iter().map(|result| result.map_err(SendError::from)).collect())
        })
    }

    fn send_each<'a>(&'a self, mail: &'a Mail, origin: Option<&'a Origin>) -> Sending<'a, Vec<Reply>> {
        Box::pin(async move {
            let _permit = self.permits(1).await?;
            let mut client = self.client_for(mail).await?;
            let sent = client.send_each(mail, origin).await;
            self.keep(client);
            Ok(sent?)
        })
    }
}

impl Host {
    fn name(&self) -> String {
        match self {
            Host::Address(address) => address.ip().to_string(),
            Host::Name(name, _) => name.clone(),
            Host::Unix(_) => "localhost".to_owned(),
        }
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Host::Address(address) => Box::new(without_delay(TcpStream::connect(address).await?)?),
            Host::Name(name, port) => Box::new(without_delay(TcpStream::connect((name.as_str(), *port)).await?)?),
            Host::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

fn without_delay(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Mails sent in one batch. Source: a fifth of the connections; a message with more different copies is rare.
const BATCH: usize = 10;
/// Connections in use at once. Source: as many as may be idle.
const MAX_CONNECTIONS: usize = 50;
/// Idle connections. Source: half the 100 processes of Postfix's `default_process_limit`, which leaves the rest to other clients.
const MAX_IDLE: usize = 50;
/// Addresses tried for one mail. Source: twice the 5 of Postfix's `smtp_mx_address_limit`.
const MAX_TRIES: usize = 10;
/// How long a connection may be idle. Source: far below the 300 s after which servers close it (RFC 5321, section 4.5.3.2.7). RSET shows
/// whether the server closed it earlier.
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);
