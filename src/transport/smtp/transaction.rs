//! One message of a client: from MAIL to the answer to its last octet.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Client, Dialect, Login, Reply, Server, Way,
    command::{Order, Sender},
    guest::Rank,
    session::{Next, Session},
    wire::{Fault, Given, given},
};
use crate::{
    base::{Budget, Clock, Kind, Limits, SystemClock, rfc5322},
    engine::Outcome,
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    transport::{Door, lmtp, memory::Held, submission},
};

/// A message under way.
pub(super) struct Transaction {
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    known: HashSet<Address>,
    /// Every recipient as often as he was named: LMTP answers to each.
    named: Vec<Address>,
    /// What BDAT brought so far.
    octets: Vec<u8>,
    has_chunks: bool,
    /// Why what BDAT brings is thrown away.
    refusal: Option<Reply>,
    /// The memory that its octets take.
    held: Held,
}

impl Session<'_> {
    pub(super) fn mail(&mut self, Sender { path, size }: Sender) -> Result<Reply, Reply> {
        if self.hello.is_none() {
            return Err(Reply::new(503, "5.5.1", "who is there?"));
        }
        if self.transaction.is_some() {
            return Err(Reply::new(503, "5.5.1", "one message after the other"));
        }
        let most = self.server.settings.limits.message as u64;
        if size.is_some_and(|size| size > most) {
            return Err(Reply::new(552, "5.3.4", format!("no more than {most} octets")));
        }
        self.transaction = Some(Transaction {
            sender: path,
            recipients: Vec::new(),
            known: HashSet::new(),
            named: Vec::new(),
            octets: Vec::new(),
            has_chunks: false,
            refusal: None,
            held: Held::default(),
        });
        Ok(Reply::new(250, "2.1.0", "ok"))
    }

    pub(super) fn recipient(&mut self, path: ForwardPath) -> Result<Reply, Reply> {
        let settings = &self.server.settings;
        let is_local = settings.local.iter().any(|pattern| pattern.covers(Some(&path.address)));
        let may = is_local || !self.is_stranger();
        let transaction = self.transaction.as_mut().filter(|transaction| !transaction.has_chunks);
        let transaction = transaction.ok_or_else(|| Reply::new(503, "5.5.1", "from whom?"))?;
        if !may {
            return Err(match settings.login {
                Login::None => Reply::new(554, "5.7.1", "not relayed for you"),
                Login::Here(_) | Login::Relayed => Reply::new(530, "5.7.0", "log in first"),
            });
        }
        if transaction.named.len() >= settings.recipients {
            // Not an error of the client's: he sends to the others in another message (RFC 5321, section 4.5.3.1.10).
            return Ok(Reply::new(452, "4.5.3", format!("no more than {} recipients", settings.recipients)));
        }
        transaction.named.push(path.address.clone());
        if transaction.known.insert(path.address.clone()) {
            transaction.recipients.push(path);
        }
        Ok(Reply::new(250, "2.1.5", "ok"))
    }

    pub(super) async fn data(&mut self) -> Result<Next, Fault> {
        let settings = &self.server.settings;
        let refusal = match &self.transaction {
            None => Some(Reply::new(503, "5.5.1", "from whom?")),
            Some(transaction) if transaction.has_chunks => Some(Reply::new(503, "5.5.1", "BDAT, or DATA, not both")),
            Some(transaction) if transaction.named.is_empty() => Some(Reply::new(503, "5.5.1", "to whom?")),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            self.refuse(&refusal);
            return Ok(Next::GoOn);
        }
        self.reply(&Reply::plain(354, ["go on; a dot alone ends it".to_owned()]));
        self.flush().await?;
        let Some(transaction) = &mut self.transaction else { return Ok(Next::Close) };
        let has_room = |octets: usize| settings.memory.receive(&mut transaction.held, octets);
        let reading = self.wire.message(settings.limits.message, settings.patience.block, has_room);
        let given = timeout(WHOLE, reading).await.unwrap_or_else(|_| Err(Fault::slow()));
        match given {
            Ok(given) => self.take(given).await,
            Err(Fault::Gone(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                self.part("4.4.2", "too slow").await?;
                Ok(Next::Close)
            }
            Err(fault) => Err(fault),
        }
    }

    /// RFC 3030, section 2. A chunk is always read to its end, because the client does not wait.
    pub(super) async fn chunk(&mut self, count: u64, order: Order) -> Result<Next, Fault> {
        let (most, pace) = (self.server.settings.limits.message, self.server.settings.patience.block);
        let Some(transaction) = &mut self.transaction else {
            timeout(WHOLE, self.wire.skip(count, pace)).await.unwrap_or_else(|_| Err(Fault::slow()))?;
            self.refuse(&Reply::new(503, "5.5.1", "from whom?"));
            return Ok(Next::GoOn);
        };
        transaction.has_chunks = true;
        let held = transaction.octets.len();
        let total = usize::try_from(count).ok().and_then(|count| held.checked_add(count));
        if transaction.named.is_empty() {
            transaction.refusal.get_or_insert_with(|| Reply::new(503, "5.5.1", "to whom?"));
        } else if total.is_none_or(|total| total > most) {
            transaction.refusal.get_or_insert_with(|| too_large(most));
        } else if !self.server.settings.memory.receive(&mut transaction.held, total.unwrap_or_default()) {
            transaction.refusal.get_or_insert_with(crowded);
        }
        match (&transaction.refusal, usize::try_from(count)) {
            (None, Ok(count)) => {
                let reading = timeout(WHOLE, self.wire.chunk(count, pace));
                transaction.octets.extend(reading.await.unwrap_or_else(|_| Err(Fault::slow()))?);
            }
            _ => {
                transaction.octets = Vec::new();
                timeout(WHOLE, self.wire.skip(count, pace)).await.unwrap_or_else(|_| Err(Fault::slow()))?;
            }
        }
        match (transaction.refusal.clone(), order) {
            (Some(refusal), Order::Last) => {
                self.forget();
                self.refuse(&refusal);
            }
            (Some(refusal), Order::More) => self.refuse(&refusal),
            (None, Order::More) => self.reply(&Reply::new(250, "2.0.0", format!("{count} octets"))),
            (None, Order::Last) => {
                let octets = std::mem::take(&mut transaction.octets);
                return self.take(given(octets, most)).await;
            }
        }
        Ok(Next::GoOn)
    }

    /// Answers to a complete message.
    async fn take(&mut self, given: Given) -> Result<Next, Fault> {
        let Some(transaction) = self.transaction.take() else { return Ok(Next::Close) };
        let named = transaction.named.clone();
        let most = self.server.settings.limits.message;
        let (octets, next) = match given {
            Given::Whole(octets) => (Ok(octets), Next::GoOn),
            Given::Large => (Err(too_large(most)), Next::GoOn),
            Given::Crowded => (Err(crowded()), Next::GoOn),
            // What follows may be what somebody wanted to smuggle in.
            Given::Bare => {
                let words = "a bare CR or LF in the message (RFC 5321, section 2.3.8)";
                (Err(Reply::new(550, "5.5.2", words)), Next::Close)
            }
        };
        let dialect = self.server.settings.dialect;
        let outcome = match octets {
            Ok(octets) => {
                let (trace, submitter) = (self.trace(), self.submitter());
                handle(self.server, transaction, submitter, trace.into_bytes(), octets).await
            }
            Err(reply) => Err(reply),
        };
        let (settings, relay) = (&self.server.settings, &self.server.relay);
        let origin = self.origin().filter(|_| relay.names_clients());
        let quarantine = settings.quarantine.as_ref();
        let mut way = Way { own: self.upstream.as_mut(), relay, origin: origin.as_ref(), quarantine };
        // What goes on takes memory until the next server has it.
        let replies = match (outcome, dialect) {
            (Ok((outcome, _held)), Dialect::Smtp) => vec![submission::answer(&outcome, &mut way).await],
            (Ok((outcome, _held)), Dialect::Lmtp) => lmtp::answers(&outcome, &named, &mut way).await,
            (Err(reply), Dialect::Smtp) => vec![reply],
            (Err(reply), Dialect::Lmtp) => vec![reply; named.len()],
        };
        for reply in &replies {
            tracing::info!(door = self.server.name(), reply = ?reply.to_string(), "answered");
            self.reply(reply);
        }
        self.forwarded = None;
        self.idling = 0;
        // Whoever logged in on it does not have to be told: he logs in again.
        let is_lost = self.upstream.as_ref().is_some_and(Client::is_lost);
        Ok(if is_lost { Next::Close } else { next })
    }

    /// The field that every server on the way adds (RFC 5321, section 4.4).
    fn trace(&self) -> String {
        let from = self.forwarded.as_ref().unwrap_or(&self.client);
        let address = match from.address {
            Some(IpAddr::V6(address)) => format!(" ([IPv6:{address}])"),
            Some(IpAddr::V4(address)) => format!(" ([{address}])"),
            None => String::new(),
        };
        let hello = self.hello.as_deref().unwrap_or("unknown");
        let with = match (self.server.settings.dialect, self.is_extended) {
            (Dialect::Lmtp, _) => "LMTP",
            (Dialect::Smtp, true) => "ESMTP",
            (Dialect::Smtp, false) => "SMTP",
        };
        // RFC 3848.
        let (tls, login) =
            (if self.is_encrypted { "S" } else { "" }, if self.client.login.is_some() { "A" } else { "" });
        let by = &self.server.settings.name;
        let date = rfc5322(SystemClock.now());
        format!("Received: from {hello}{address}\r\n\tby {by} (postseal) with {with}{tls}{login}; {date}\r\n")
    }

    fn submitter(&self) -> Submitter {
        let guest = self.forwarded.as_ref().unwrap_or(&self.client);
        // XFORWARD is about where a message comes from. Who logged in on this connection stays who it is.
        match (&self.client.login, guest.rank) {
            (Some(login), _) => Submitter::Authenticated(login.clone()),
            (None, Rank::User) => Submitter::Trusted,
            (None, Rank::Peer | Rank::Stranger) => Submitter::Unknown,
        }
    }
}

/// Carries a message through the corridor, its trace field on top, when it is its turn; what comes of it, and the memory that it takes.
async fn handle(
    server: &Server,
    transaction: Transaction,
    submitter: Submitter,
    trace: Vec<u8>,
    mut octets: Vec<u8>,
) -> Result<(Outcome, Held), Reply> {
    let (limits, handler) = (server.settings.limits.clone(), Arc::clone(&server.handler));
    let mut share = server.settings.memory.work(octets.len()).await.ok_or_else(crowded)?;
    let permit = Arc::clone(&server.work).acquire_owned().await;
    let permit = permit.map_err(|_| Reply::new(421, "4.3.2", "shutting down"))?;
    let Transaction { sender, recipients, held, .. } = transaction;
    let envelope = Envelope { sender, recipients };
    let work = tokio::task::spawn_blocking(move || {
        let _held = (permit, held);
        let whole = Limits { message: limits.message.saturating_add(trace.len()), ..limits };
        octets.splice(..0, trace);
        let message = Message::parse(octets, &mut Budget::new(whole))?;
        if message.root().fields().filter(|field| field.is("Received")).count() > MOST_HOPS {
            return Err(crate::base::Error::malformed("message", "it goes round in a loop"));
        }
        let outcome = handler.handle(Mail { envelope, submitter, message })?;
        // Each is written to the next server in a copy with the dots of SMTP.
        share.shrink(outcome.mails.iter().map(|mail| 2 * mail.message.octets().len()).sum());
        Ok((outcome, share))
    });
    let outcome = work.await.map_err(|_| Reply::later("4.3.0", "internal error"))?;
    outcome.map_err(|error| {
        tracing::warn!(kind = ?error.kind(), %error, "not handled");
        match error.kind() {
            // RFC 3463, section 3.7: a content that cannot be handled.
            Kind::Malformed => Reply::new(554, "5.6.0", error.to_string()),
            Kind::NoKey | Kind::KeyExpired => Reply::new(550, "5.7.1", error.to_string()),
            _ => Reply::later("4.7.1", "not now"),
        }
    })
}

fn too_large(most: usize) -> Reply {
    Reply::new(552, "5.3.4", format!("no more than {most} octets"))
}

fn crowded() -> Reply {
    Reply::new(452, "4.3.1", "no room for so much mail at once")
}

/// Source: Postfix's `hopcount_limit` is 50, RFC 5321, section 6.3 asks for at least 100.
const MOST_HOPS: usize = 100;
/// How long a whole message may take. Source: 64 MiB at 300 kbit/s.
const WHOLE: Duration = Duration::from_secs(1_800);
