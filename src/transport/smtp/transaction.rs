//! One message of a client: from MAIL to the reply to its last octet.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tracing::{Instrument, Span};

use super::{
    Clients, Dialect, Login, Reply, Server,
    client_identity::TrustLevel,
    command::{Order, Sender},
    session::{Next, Session},
    submitter_connection::SubmitterConnection,
    wire::{Fault, Given},
};
use crate::{
    base::{Limits, rfc5322},
    engine::Outcome,
    mail::{self, Address, Envelope, ForwardPath, Mail, ReversePath, Submitter},
    report::{Cause, Limit},
    transport::{
        Listener, NextHop,
        forwarding::Forwarding,
        hops::Loop,
        lmtp,
        memory::Held,
        rejection::{insufficient_storage, temporary_failure},
        submission,
        trace::{Arrival, Endings, failure},
    },
};

/// A message in progress.
pub(super) struct Transaction {
    sender: ReversePath,
    recipients: Vec<ForwardPath>,
    known: HashSet<Address>,
    /// Every recipient, as often as the client named it: LMTP replies to each.
    named: Vec<Address>,
    /// The chunks of BDAT so far.
    octets: Vec<u8>,
    has_chunks: bool,
    /// The reply at the end, if the chunks of BDAT are discarded.
    refusal: Option<Reply>,
    /// The memory for its octets.
    held: Held,
    /// When MAIL came.
    since: Instant,
}

impl Session<'_> {
    pub(super) fn mail(&mut self, Sender { path, size }: Sender) -> Result<Reply, Reply> {
        if self.hello.is_none() {
            return Err(self.hello_first());
        }
        if self.transaction.is_some() {
            return Err(Reply::new(503, "5.5.1", "Error: nested MAIL command"));
        }
        if self.server.settings.clients == Clients::Known && self.is_untrusted() {
            return Err(authentication_required());
        }
        if size.is_some_and(|size| size > self.server.settings.limits.message as u64) {
            return Err(too_large());
        }
        self.server.settings.rate_limits.message(&self.submitter(&path), path.address.as_ref())?;
        self.transaction = Some(Transaction {
            sender: path,
            recipients: Vec::new(),
            known: HashSet::new(),
            named: Vec::new(),
            octets: Vec::new(),
            has_chunks: false,
            refusal: None,
            held: Held::default(),
            since: Instant::now(),
        });
        Ok(Reply::new(250, "2.1.0", "Ok"))
    }

    pub(super) fn recipient(&mut self, path: ForwardPath) -> Result<Reply, Reply> {
        let settings = &self.server.settings;
        let is_local = settings.local.iter().any(|pattern| pattern.covers(Some(&path.address)));
        let may_send = is_local || !self.is_untrusted();
        let submitter = self.transaction.as_ref().map(|transaction| self.submitter(&transaction.sender));
        let transaction = self.transaction.as_mut().ok_or_else(need_mail)?;
        if transaction.has_chunks {
            return Err(Reply::new(503, "5.5.1", "Error: RCPT after BDAT"));
        }
        if !may_send {
            return Err(match settings.login {
                Login::None | Login::Sender => {
                    Reply::new(554, "5.7.1", format!("<{}>: Relay access denied", path.address))
                }
                Login::Here(_) | Login::Relayed => authentication_required(),
            });
        }
        if transaction.named.len() >= settings.recipients {
            // Not an error: the client sends to the others in another message (RFC 5321, section 4.5.3.1.10).
            return Ok(Reply::new(452, "4.5.3", "Error: too many recipients"));
        }
        let sender = transaction.sender.address.as_ref();
        settings.rate_limits.recipient(&submitter.unwrap_or_default(), sender)?;
        transaction.named.push(path.address.clone());
        if transaction.known.insert(path.address.clone()) {
            transaction.recipients.push(path);
        }
        Ok(Reply::new(250, "2.1.5", "Ok"))
    }

    pub(super) async fn data(&mut self) -> Result<Next, Fault> {
        let settings = &self.server.settings;
        let refusal = match &self.transaction {
            None => Some(need_mail()),
            Some(transaction) if transaction.has_chunks => Some(Reply::new(503, "5.5.1", "Error: DATA after BDAT")),
            Some(transaction) if transaction.named.is_empty() => Some(need_rcpt()),
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            self.refuse(&refusal);
            return Ok(Next::GoOn);
        }
        self.reply(&Reply::plain(354, ["End data with <CR><LF>.<CR><LF>".to_owned()]));
        self.flush().await?;
        let is_untrusted = self.is_untrusted();
        let Some(transaction) = &mut self.transaction else { return Ok(Next::Close) };
        let has_room = |octets: usize| settings.memory.receive(&mut transaction.held, octets);
        let reading = self.wire.message(settings.limits.message, settings.timeouts.block, has_room);
        let given = tokio::select! {
            given = timeout(WHOLE, reading) => given.unwrap_or_else(|_| Err(Fault::slow())),
            () = self.load.wait_high(HURRIED_MESSAGE), if is_untrusted => Err(Fault::slow()),
        };
        match given {
            Ok(given) => self.take(given).await,
            Err(Fault::Gone(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                self.close("4.4.2", "Error: timeout exceeded").await?;
                Ok(Next::Close)
            }
            Err(fault) => Err(fault),
        }
    }

    /// BDAT (RFC 3030, section 2). A chunk is always read to its end, because the client does not wait.
    pub(super) async fn chunk(&mut self, count: u64, order: Order) -> Result<Next, Fault> {
        let (most, pace) = (self.server.settings.limits.message, self.server.settings.timeouts.block);
        let Some(transaction) = &mut self.transaction else {
            timeout(WHOLE, self.wire.skip(count, pace)).await.unwrap_or_else(|_| Err(Fault::slow()))?;
            self.refuse(&need_mail());
            return Ok(Next::GoOn);
        };
        transaction.has_chunks = true;
        let held = transaction.octets.len();
        let total = usize::try_from(count).ok().and_then(|count| held.checked_add(count));
        if transaction.named.is_empty() {
            transaction.refusal.get_or_insert_with(need_rcpt);
        } else if total.is_none_or(|total| total > most) {
            transaction.refusal.get_or_insert_with(too_large);
        } else if !self.server.settings.memory.receive(&mut transaction.held, total.unwrap_or_default()) {
            transaction.refusal.get_or_insert_with(insufficient_storage);
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
            (None, Order::More) => self.reply(&Reply::new(250, "2.0.0", format!("Ok: {count} bytes"))),
            (None, Order::Last) => {
                let octets = std::mem::take(&mut transaction.octets);
                let has_room = |octets| self.server.settings.memory.receive(&mut transaction.held, octets);
                let given = self.wire.chunks(octets, most, has_room);
                return self.take(given).await;
            }
        }
        Ok(Next::GoOn)
    }

    /// Handles a complete message, and replies.
    async fn take(&mut self, given: Given) -> Result<Next, Fault> {
        let Some(transaction) = self.transaction.take() else { return Ok(Next::Close) };
        self.messages += 1;
        // The peer's name for the message, as Postfix forwards it.
        let queue_id = self.forwarded.as_ref().and_then(|client| client.origin.get("IDENT"));
        let span = self.id.message_span(self.messages, queue_id);
        self.take_message(transaction, given).instrument(span).await
    }

    async fn take_message(&mut self, transaction: Transaction, given: Given) -> Result<Next, Fault> {
        let named = transaction.named.clone();
        let (octets, next) = match given {
            Given::Whole(octets) => (Ok(octets), Next::GoOn),
            Given::Large => (Err(too_large()), Next::GoOn),
            Given::Crowded => (Err(insufficient_storage()), Next::GoOn),
            // What follows may be a smuggled message (RFC 5321, section 2.3.8).
            Given::Bare => (Err(Reply::new(550, "5.5.2", "Error: bare <CR> or <LF> received")), Next::Close),
        };
        let dialect = self.server.settings.dialect;
        let outcome = match octets {
            Ok(octets) => {
                let arrival = self.arrival(&transaction);
                let from = (self.submitter(&transaction.sender), self.sending_address());
                handle(self.server, transaction, arrival, from, self.trace().into_bytes(), octets).await
            }
            Err(reply) => Err((Cause::Limit, reply)),
        };
        let (settings, relay) = (&self.server.settings, &self.server.relay);
        let origin = self.origin().filter(|_| relay.sends_origin());
        let (quarantine, bounces) = (settings.quarantine.as_ref(), settings.bounces.as_ref());
        let next_hop: &dyn NextHop = match &self.upstream {
            Some(connection) => connection,
            None => &**relay,
        };
        let endings = Endings::new(&settings.metrics, self.server.name());
        let handler = &self.server.handler;
        let origin = origin.as_ref();
        let forwarding = Forwarding { handler, next_hop, origin, quarantine, bounces, endings: &endings };
        // The copies take memory until the next server has them.
        let replies = match (outcome, dialect) {
            (Ok((outcome, _held)), Dialect::Smtp) => vec![submission::answer(&outcome, &forwarding).await],
            (Ok((outcome, _held)), Dialect::Lmtp) => lmtp::answers(&outcome, &named, &forwarding).await,
            (Err((cause, reply)), dialect) => {
                endings.refused(cause, &named, &reply);
                vec![reply; if dialect == Dialect::Lmtp { named.len() } else { 1 }]
            }
        };
        for reply in &replies {
            self.reply(reply);
        }
        self.forwarded = None;
        self.junk_commands = 0;
        // The login was on that connection: the client has to log in again.
        let is_lost = self.upstream.as_mut().is_some_and(SubmitterConnection::is_lost);
        Ok(if is_lost { Next::Close } else { next })
    }

    fn arrival(&self, transaction: &Transaction) -> Arrival {
        let from = self.forwarded.as_ref().unwrap_or(&self.client);
        Arrival {
            client: from.address,
            hello: match &self.forwarded {
                Some(client) => client.origin.get("HELO").map(str::to_owned),
                None => self.hello.clone(),
            },
            tls: Some(self.is_encrypted),
            login: self.login(&transaction.sender),
            receiving: Some(transaction.since.elapsed()),
            waiting: Duration::ZERO,
        }
    }

    /// The Received field (RFC 5321, section 4.4), with the id of the message in the log.
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
        let date = rfc5322(self.server.settings.clock.now());
        let id = self.id.message(self.messages);
        format!("Received: from {hello}{address}\r\n\tby {by} (postseal) with {with}{tls}{login} id {id}; {date}\r\n")
    }

    /// The login of this connection, or the one that a peer speaks for.
    fn login(&self, sender: &ReversePath) -> Option<mail::Login> {
        let by_sender = || {
            let is_checked =
                matches!(self.server.settings.login, Login::Sender) && self.client.trust == TrustLevel::Peer;
            let address = sender.address.as_ref().filter(|_| is_checked)?;
            mail::Login::new(&address.to_string())
        };
        self.client.login.clone().or_else(by_sender)
    }

    /// The address that the message was sent from. That of a peer is not the client's.
    fn sending_address(&self) -> Option<IpAddr> {
        match &self.forwarded {
            Some(client) => client.address,
            None => self.client.address.filter(|_| self.client.trust != TrustLevel::Peer),
        }
    }

    fn submitter(&self, sender: &ReversePath) -> Submitter {
        let client = self.forwarded.as_ref().unwrap_or(&self.client);
        // XFORWARD names the origin of a message. It does not change the login of this connection.
        match (self.login(sender), client.trust) {
            (Some(login), _) => Submitter::Authenticated(login),
            (None, TrustLevel::Trusted) => Submitter::Trusted,
            (None, TrustLevel::Peer | TrustLevel::Untrusted) => Submitter::Unknown,
        }
    }
}

/// Who submitted a message, and the address.
type From = (Submitter, Option<IpAddr>);

/// Handles a message with its Received field on top, when memory and a permit are free. Returns the outcome and the memory that it uses, or the
/// reply and its cause.
async fn handle(
    server: &Server,
    transaction: Transaction,
    mut arrival: Arrival,
    (submitter, client): From,
    trace: Vec<u8>,
    mut octets: Vec<u8>,
) -> Result<(Outcome, Held), (Cause, Reply)> {
    let (limits, handler) = (server.settings.limits.clone(), Arc::clone(&server.handler));
    let (host, metrics) = (server.settings.name.clone(), Arc::clone(&server.settings.metrics));
    let listener = server.name();
    let (start, waiting) = (Instant::now(), metrics.waiting(listener));
    let Some(mut share) = server.settings.memory.work(octets.len()).await else {
        metrics.limit_reached(listener, Limit::Memory);
        return Err((Cause::Limit, insufficient_storage()));
    };
    let permit = Arc::clone(&server.work).acquire_owned().await;
    let permit =
        permit.map_err(|_| (Cause::Failure, Reply::new(421, "4.3.2", "Service unavailable, shutting down")))?;
    drop(waiting);
    arrival.waiting = start.elapsed();
    let Transaction { sender, recipients, held, .. } = transaction;
    let envelope = Envelope { sender, recipients };
    let span = Span::current();
    let work = tokio::task::spawn_blocking(move || {
        let (_held, _within) = ((permit, held), span.entered());
        let whole = Limits { message: limits.message.saturating_add(trace.len()), ..limits };
        octets.splice(..0, trace);
        let failed = |error| (Cause::Failure, failure(&error));
        let message = handler.receive(octets, &whole).map_err(failed)?;
        let mail = Mail { envelope, submitter, client, message };
        arrival.log(&mail);
        if let Some(found) = Loop::of(&mail.message, &host) {
            metrics.limit_reached(listener, found.limit());
            tracing::warn!(event = "mail-loop", limit = found.limit().name());
            return Err((Cause::Limit, found.reply()));
        }
        let outcome = handler.handle(mail).map_err(failed)?;
        share.shrink(outcome.octets());
        Ok((outcome, share))
    });
    work.await.unwrap_or_else(|_| Err((Cause::Failure, temporary_failure())))
}

/// RFC 4954, section 6.
fn authentication_required() -> Reply {
    Reply::new(530, "5.7.0", "Authentication required")
}

fn too_large() -> Reply {
    Reply::new(552, "5.3.4", "Message size exceeds fixed limit")
}

fn need_mail() -> Reply {
    Reply::new(503, "5.5.1", "Error: need MAIL command")
}

fn need_rcpt() -> Reply {
    Reply::new(503, "5.5.1", "Error: need RCPT command")
}

/// How long a whole message may take. Source: 64 MiB at 300 kbit/s.
const WHOLE: Duration = Duration::from_secs(1_800);
/// The same for a client that is not known, while the listener fills.
const HURRIED_MESSAGE: Duration = Duration::from_secs(60);
