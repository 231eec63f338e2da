//! Where mail goes on by SMTP: to one host always, over connections that are kept, or to the hosts that the recipients' domains name.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpStream, UnixStream},
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    Exchangers, Stream,
    milter::Courier,
    smtp::{Caller, Client, Origin, Reply},
    tls::Security,
};
use crate::{
    base::{self, Secret},
    mail::{Envelope, Mail},
};

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

/// As whom we log in at a host.
#[derive(Clone, Debug)]
pub struct Account {
    /// The authentication identity (RFC 4616).
    pub name: String,
    /// What proves it.
    pub password: Secret,
}

/// The way on.
pub struct Relay {
    caller: Caller,
    next: Next,
    account: Option<Account>,
    names_clients: bool,
    /// Connections that rest, the one used last at the end.
    kept: Mutex<Vec<(Client, Instant)>>,
    /// One permit for each connection that is used.
    places: Semaphore,
}

enum Next {
    Exchangers(Box<Exchangers>),
    Host(Host, Security),
}

impl Relay {
    /// To one host, always.
    pub fn new(caller: Caller, host: Host, security: Security) -> Relay {
        let next = Next::Host(host, security);
        Self::by(caller, next)
    }

    /// To the hosts that the recipients' domains name (RFC 5321, section 5.1), by STARTTLS where they offer it.
    pub fn direct(caller: Caller, exchangers: Exchangers) -> Relay {
        Self::by(caller, Next::Exchangers(Box::new(exchangers)))
    }

    fn by(caller: Caller, next: Next) -> Relay {
        let (kept, places) = (Mutex::default(), Semaphore::new(MOST_USED));
        Relay { caller, next, account: None, names_clients: false, kept, places }
    }

    /// The same, and each connection logs in first. Where somebody could listen, nothing is sent.
    #[must_use]
    pub fn logging_in(self, account: Account) -> Relay {
        Relay { account: Some(account), ..self }
    }

    /// The same, and it tells the host whose mail each is, where the host takes that (XFORWARD).
    #[must_use]
    pub fn naming_clients(self) -> Relay {
        Relay { names_clients: true, ..self }
    }

    /// Whether whose mail it is may be told.
    pub fn names_clients(&self) -> bool {
        self.names_clients
    }

    /// The mails that one mail becomes on this way: one for each domain where each has hosts of its own. [`Relay::send`] takes no others.
    pub fn legs(&self, mail: Mail) -> Vec<Mail> {
        let Next::Exchangers(_) = self.next else { return vec![mail] };
        let mut legs: BTreeMap<String, Mail> = BTreeMap::new();
        for path in &mail.envelope.recipients {
            let leg = legs.entry(path.address.domain().to_owned()).or_insert_with(|| {
                let envelope = Envelope { sender: mail.envelope.sender.clone(), recipients: Vec::new() };
                Mail { envelope, submitter: mail.submitter.clone(), message: mail.message.clone() }
            });
            leg.envelope.recipients.push(path.clone());
        }
        legs.into_values().collect()
    }

    /// A new connection with the one host.
    ///
    /// # Errors
    ///
    /// The reply to whoever wants to send: there is none.
    pub async fn connect(&self) -> Result<Client, Reply> {
        let Next::Host(host, security) = &self.next else {
            return Err(Reply::new(502, "5.3.3", "there is no one host to talk with"));
        };
        let name = host.name();
        let stream = self.stream(&name, host.connect()).await?;
        let mut client = self.caller.greet(stream, &name, security).await?;
        if let Some(account) = &self.account {
            if !self.is_private() {
                return Err(Reply::later("4.7.0", format!("{name}: not known well enough for passwords")));
            }
            let reply = client.log_in(&account.name, &account.password).await?;
            if reply.code != 235 {
                // Ours to mend, so that the mail is to be tried again.
                return Err(Reply::later("4.7.8", format!("{name} refuses our login: {reply}")));
            }
        }
        Ok(client)
    }

    /// A connection for a mail, with nothing under way: one that was kept, or a new one.
    async fn client_for(&self, mail: &Mail) -> Result<Client, Reply> {
        while let Some(mut client) = self.take() {
            if client.reset().await.is_ok() {
                return Ok(client);
            }
        }
        match (&self.next, mail.envelope.recipients.first()) {
            (Next::Exchangers(exchangers), Some(path)) => self.exchanger(exchangers, path.address.domain()).await,
            _ => self.connect().await,
        }
    }

    /// A connection with the first host for a domain that takes one.
    async fn exchanger(&self, exchangers: &Exchangers, domain: &str) -> Result<Client, Reply> {
        let mut last = Reply::later("4.4.4", format!("{domain}: its hosts have no addresses"));
        let mut tries = 0;
        for host in exchangers.hosts(domain).await? {
            let addresses = match exchangers.addresses(&host).await {
                Ok(addresses) => addresses,
                Err(reply) => {
                    last = reply;
                    continue;
                }
            };
            for address in addresses {
                tries += 1;
                if tries > MOST_TRIES {
                    return Err(last);
                }
                let connecting = Host::Address(address);
                let greeted = match self.stream(&host, connecting.connect()).await {
                    Ok(stream) => self.caller.greet(stream, &host, &Security::Opportunistic).await,
                    Err(reply) => Err(reply),
                };
                match greeted {
                    Ok(client) => return Ok(client),
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
        match timeout(self.caller.patience.connect, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(unreachable(error.to_string().to_lowercase())),
            Err(_) => Err(unreachable("no answer".to_owned())),
        }
    }

    /// Keeps a connection with the one host for the next mail, unless it is lost or there are enough.
    fn keep(&self, client: Client) {
        if let Next::Exchangers(_) = self.next {
            tokio::spawn(client.quit());
            return;
        }
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
        let mut replies = self.send_all(std::slice::from_ref(mail), None).await?;
        replies.pop().unwrap_or_else(|| Err(Reply::later("4.3.0", "nothing is known of it")))
    }

    /// Sends several mails, and none of them before the servers have agreed to all recipients and have all contents but the last dot, as
    /// far as `TOGETHER` allows. Answers with what became of each.
    ///
    /// # Errors
    ///
    /// Nothing was sent: as [`Client::prepare`], or there is no connection.
    pub async fn send_all(&self, mails: &[Mail], origin: Option<&Origin>) -> Result<Vec<Result<Reply, Reply>>, Reply> {
        let mut results: Vec<Result<Reply, Reply>> = Vec::new();
        for few in mails.chunks(TOGETHER) {
            // All places at once: who has some and waits for others would be in the way of those who do the same.
            let _places = self.places(few.len()).await?;
            let prepared = match self.prepare(few, origin).await {
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
                    Err(_) => Err(Reply::later("4.3.0", "internal error")),
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

    async fn places(&self, count: usize) -> Result<SemaphorePermit<'_>, Reply> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.places.acquire_many(count).await.map_err(|_| Reply::later("4.3.2", "shutting down"))
    }

    /// Sends a mail for those of its recipients whom the server takes; one reply for each.
    ///
    /// # Errors
    ///
    /// As [`Relay::send`].
    pub async fn send_each(&self, mail: &Mail, origin: Option<&Origin>) -> Result<Vec<Reply>, Reply> {
        let _place = self.places(1).await?;
        let mut client = self.client_for(mail).await?;
        let sent = client.send_each(mail, origin).await;
        self.keep(client);
        sent
    }

    /// Whether passwords may go this way: nobody can listen, because TLS proves who is there, or because it does not leave this machine.
    pub fn is_private(&self) -> bool {
        let Next::Host(host, security) = &self.next else { return false };
        let is_local = match host {
            Host::Address(address) => address.ip().is_loopback(),
            Host::Name(name, _) => name == "localhost",
            Host::Unix(_) => true,
        };
        is_local || matches!(security, Security::Verified(_))
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
        Box::pin(async move {
            for leg in self.legs(mail) {
                self.send(&leg).await?;
            }
            Ok(())
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
            Host::Address(address) => Box::new(at_once(TcpStream::connect(address).await?)?),
            Host::Name(name, port) => Box::new(at_once(TcpStream::connect((name.as_str(), *port)).await?)?),
            Host::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }
}

fn at_once(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Mails that are sent together. Source: a fifth of the connections; a message with more different copies is rare.
const TOGETHER: usize = 10;
/// Connections used at once. Source: as those that rest.
const MOST_USED: usize = 50;
/// Connections that may rest. Source: half the 100 processes of Postfix's `default_process_limit`, so that others find a place too.
const MOST_KEPT: usize = 50;
/// Addresses tried for one mail. Source: twice the 5 of Postfix's `smtp_mx_address_limit`.
const MOST_TRIES: usize = 10;
/// How long one may rest. Source: far below the 300 s after which servers hang up (RFC 5321, section 4.5.3.2.7); of one that hung up
/// before, RSET tells.
const MOST_REST: Duration = Duration::from_secs(60);
