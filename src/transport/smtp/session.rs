//! One connection of a client: a dialogue with bounds on everything.

use std::{collections::HashSet, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};

use super::{
    Client, Dialect, Login, Protection, Reply, Server, Way,
    command::{Command, Order, Sender},
    guest::{Guest, Rank, rank},
    server::ROOM_UNIT,
    wire::{Fault, Given, Wire, given},
};
use crate::{
    base::{Budget, Clock, Kind, Limits, Result as Outcome, SystemClock, rfc5322},
    engine,
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    transport::{lmtp, submission},
};

/// One connection.
pub(super) struct Session<'a> {
    pub(super) server: &'a Server,
    pub(super) wire: Wire,
    /// Replies that wait for the last of the commands that came together (RFC 2920, section 3.2).
    replies: Vec<u8>,
    pub(super) client: Guest,
    pub(super) hello: Option<String>,
    is_extended: bool,
    /// Under TLS, or not leaving this machine.
    pub(super) is_private: bool,
    is_encrypted: bool,
    /// Whom a peer carries mail for, until the end of the transaction.
    pub(super) forwarded: Option<Guest>,
    /// The connection with the upstream on which the client logged in.
    pub(super) upstream: Option<Client>,
    pub(super) transaction: Option<Transaction>,
    errors: usize,
    idling: usize,
}

/// What a connection begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Encrypted,
    Open,
}

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
    room: Option<OwnedSemaphorePermit>,
}

/// Whether the dialogue goes on.
pub(super) enum Next {
    Close,
    GoOn,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        server: &'a Server,
        stream: Box<dyn crate::transport::Stream>,
        address: Option<IpAddr>,
        line: Line,
    ) -> Session<'a> {
        let is_encrypted = line == Line::Encrypted;
        Session {
            server,
            wire: Wire::new(stream),
            replies: Vec::new(),
            client: Guest { address, login: None, rank: rank(server, address) },
            hello: None,
            is_extended: false,
            is_private: is_encrypted || address.is_none_or(|address| address.is_loopback()),
            is_encrypted,
            forwarded: None,
            upstream: None,
            transaction: None,
            errors: 0,
            idling: 0,
        }
    }

    /// Talks until the client has enough, or until `stopping` turns true between two commands.
    pub(super) async fn converse(mut self, mut stopping: watch::Receiver<bool>) -> Outcome<()> {
        let word = match self.server.settings.dialect {
            Dialect::Lmtp => "LMTP",
            Dialect::Smtp => "ESMTP",
        };
        let greeting = format!("{} {word} postseal", self.server.settings.name);
        self.reply(&Reply::plain(220, [greeting]));
        // Whoever goes away, or is too slow, has his mail still: nothing was taken on that no reply was given to.
        let _ = self.dialogue(&mut stopping).await;
        if let Some(client) = self.upstream.take() {
            client.quit().await;
        }
        Ok(())
    }

    async fn dialogue(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), Fault> {
        let patience = self.server.settings.patience.command;
        loop {
            if !self.wire.is_pending() || self.replies.len() > MOST_REPLIES {
                self.flush().await?;
            }
            let is_at_rest = self.transaction.is_none();
            let line = tokio::select! {
                line = self.wire.line(MOST_LINE, patience) => Some(line),
                stop = stopping.wait_for(|stop| *stop), if is_at_rest => { drop(stop); None }
            };
            let Some(line) = line else { return self.part("4.3.2", "shutting down").await };
            let line = match line {
                Ok(line) => line,
                Err(Fault::Long) => {
                    self.refuse(&Reply::new(500, "5.5.2", "a line too long"));
                    continue;
                }
                Err(Fault::Bare) => {
                    self.reply(&Reply::new(521, "5.5.2", "lines end in CRLF (RFC 5321, section 2.3.8)"));
                    return self.flush().await;
                }
                Err(Fault::Gone(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                    return self.part("4.4.2", "too slow").await;
                }
                Err(gone) => return Err(gone),
            };
            let done = match Command::parse(&line, &self.server.settings.name) {
                Ok(command) => self.obey(command).await?,
                Err(reply) => {
                    self.refuse(&reply);
                    Next::GoOn
                }
            };
            if let Next::Close = done {
                return self.flush().await;
            }
            if self.errors > MOST_ERRORS || self.idling > MOST_IDLING {
                return self.part("4.7.0", "too many errors, or too little mail").await;
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<Next, Fault> {
        if !matches!(command, Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::Bdat { .. }) {
            self.idling += 1;
        }
        let said = match command {
            Command::Auth { mechanism, initial } => return self.log_in(&mechanism, initial).await,
            Command::Bdat { count, order } => return self.chunk(count, order).await,
            Command::Data => return self.data().await,
            Command::Ehlo(name) => self.greet(name, Dialect::Smtp, Extended::Yes),
            Command::Helo(name) => self.greet(name, Dialect::Smtp, Extended::No),
            Command::Lhlo(name) => self.greet(name, Dialect::Lmtp, Extended::Yes),
            Command::Expn(name) => self.expand(&name),
            Command::Help => Ok(Reply::new(214, "2.0.0", "RFC 5321; and see the manual of postseal")),
            Command::Mail(sender) => self.mail(sender),
            Command::Noop => Ok(Reply::new(250, "2.0.0", "ok")),
            Command::Quit => {
                self.reply(&Reply::new(221, "2.0.0", "bye"));
                return Ok(Next::Close);
            }
            Command::Rcpt(recipient) => self.recipient(recipient),
            Command::Rset => {
                self.forget();
                Ok(Reply::new(250, "2.0.0", "ok"))
            }
            Command::Starttls => return self.start_tls().await,
            Command::Vrfy(name) => self.verify(&name),
            Command::Xclient(attributes) => self.become_client(&attributes),
            Command::Xforward(attributes) => self.forward(&attributes),
        };
        match said {
            Ok(reply) => self.reply(&reply),
            Err(reply) => self.refuse(&reply),
        }
        Ok(Next::GoOn)
    }

    fn greet(&mut self, name: String, dialect: Dialect, extended: Extended) -> Result<Reply, Reply> {
        let settings = &self.server.settings;
        if dialect != settings.dialect {
            let word = if settings.dialect == Dialect::Lmtp { "LHLO" } else { "EHLO" };
            return Err(Reply::new(500, "5.5.1", format!("here one says {word}")));
        }
        let mut lines = vec![settings.name.clone()];
        self.transaction = None;
        self.hello = Some(name);
        self.is_extended = extended == Extended::Yes;
        if self.is_extended {
            lines.extend(EXTENSIONS.map(str::to_owned));
            lines.push(format!("SIZE {}", settings.limits.message));
            if matches!(settings.protection, Protection::Starttls(_)) && !self.is_encrypted {
                lines.push("STARTTLS".to_owned());
            }
            if self.may_log_in() {
                lines.push("AUTH PLAIN LOGIN".to_owned());
            }
            if self.client.rank == Rank::Peer {
                lines.push("XCLIENT NAME ADDR PORT PROTO HELO LOGIN".to_owned());
                lines.push("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE".to_owned());
            }
        }
        Ok(Reply::plain(250, lines))
    }

    fn mail(&mut self, Sender { path, size }: Sender) -> Result<Reply, Reply> {
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
            room: None,
        });
        Ok(Reply::new(250, "2.1.0", "ok"))
    }

    fn recipient(&mut self, path: ForwardPath) -> Result<Reply, Reply> {
        let settings = &self.server.settings;
        let is_local = settings.local.iter().any(|pattern| pattern.covers(Some(&path.address)));
        let may = is_local || !self.is_stranger();
        let transaction = self.transaction.as_mut().filter(|transaction| !transaction.has_chunks);
        let transaction = transaction.ok_or_else(|| Reply::new(503, "5.5.1", "from whom?"))?;
        if !may {
            return Err(match settings.login {
                Login::None => Reply::new(554, "5.7.1", "not relayed for you"),
                Login::Relayed => Reply::new(530, "5.7.0", "log in first"),
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

    async fn data(&mut self) -> Result<Next, Fault> {
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
        let has_room = |octets: usize| take_room(self.server, &mut transaction.room, octets);
        let reading = self.wire.message(settings.limits.message, settings.patience.block, has_room);
        let given = timeout(WHOLE, reading).await.unwrap_or_else(|_| Err(slow()));
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
    async fn chunk(&mut self, count: u64, order: Order) -> Result<Next, Fault> {
        let (most, pace) = (self.server.settings.limits.message, self.server.settings.patience.block);
        let Some(transaction) = &mut self.transaction else {
            timeout(WHOLE, self.wire.skip(count, pace)).await.unwrap_or_else(|_| Err(slow()))?;
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
        } else if !take_room(self.server, &mut transaction.room, total.unwrap_or_default()) {
            transaction.refusal.get_or_insert_with(crowded);
        }
        match (&transaction.refusal, usize::try_from(count)) {
            (None, Ok(count)) => {
                let reading = timeout(WHOLE, self.wire.chunk(count, pace));
                transaction.octets.extend(reading.await.unwrap_or_else(|_| Err(slow()))?);
            }
            _ => {
                transaction.octets = Vec::new();
                timeout(WHOLE, self.wire.skip(count, pace)).await.unwrap_or_else(|_| Err(slow()))?;
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
                handle(self.server, transaction, submitter, [trace.into_bytes(), octets]).await
            }
            Err(reply) => Err(reply),
        };
        let settings = &self.server.settings;
        let mut way =
            Way { own: self.upstream.as_mut(), relay: &self.server.relay, quarantine: settings.quarantine.as_ref() };
        let replies = match (outcome, dialect) {
            (Ok(outcome), Dialect::Smtp) => vec![submission::answer(&outcome, &mut way).await],
            (Ok(outcome), Dialect::Lmtp) => lmtp::answers(&outcome, &named, &mut way).await,
            (Err(reply), Dialect::Smtp) => vec![reply],
            (Err(reply), Dialect::Lmtp) => vec![reply; named.len()],
        };
        for reply in &replies {
            tracing::info!(door = self.door(), reply = ?reply.to_string(), "answered");
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
        match (&guest.login, guest.rank) {
            (Some(login), _) => Submitter::Authenticated(login.clone()),
            (None, Rank::User) => Submitter::Trusted,
            (None, Rank::Peer | Rank::Stranger) => Submitter::Unknown,
        }
    }

    async fn start_tls(&mut self) -> Result<Next, Fault> {
        let Protection::Starttls(identity) = &self.server.settings.protection else {
            self.refuse(&Reply::new(502, "5.5.1", "no TLS here"));
            return Ok(Next::GoOn);
        };
        if self.is_encrypted || self.wire.is_pending() {
            // What came with it would be taken for something said under TLS (RFC 3207, section 4.2).
            self.refuse(&Reply::new(503, "5.5.1", "not now"));
            return Ok(Next::Close);
        }
        self.reply(&Reply::new(220, "2.0.0", "go on"));
        self.flush().await?;
        let wire = std::mem::replace(&mut self.wire, Wire::new(Box::new(tokio::io::empty())));
        let Some(stream) = wire.into_stream() else { return Ok(Next::Close) };
        let accepting = timeout(self.server.settings.patience.command, identity.accept(stream));
        let stream = accepting.await.map_err(|_| slow())?.map_err(Fault::Gone)?;
        self.wire = Wire::new(stream);
        (self.is_encrypted, self.is_private) = (true, true);
        self.forget();
        // RFC 3207, section 4.2: nothing that was said before counts.
        (self.hello, self.client.login, self.upstream) = (None, None, None);
        Ok(Next::GoOn)
    }

    /// Whether nothing is known of the client that would give it more rights than anybody has.
    pub(super) fn is_stranger(&self) -> bool {
        self.client.rank == Rank::Stranger && self.client.login.is_none()
    }

    fn forget(&mut self) {
        self.transaction = None;
        self.forwarded = None;
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        self.replies.extend(reply.octets());
    }

    pub(super) fn refuse(&mut self, reply: &Reply) {
        self.errors += 1;
        self.reply(reply);
    }

    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        let replies = std::mem::take(&mut self.replies);
        self.wire.say(&replies, self.server.settings.patience.command).await
    }

    /// Says that this is the end (RFC 5321, section 3.8).
    async fn part(&mut self, status: &str, words: &str) -> Result<(), Fault> {
        self.reply(&Reply::new(421, status, words));
        self.flush().await
    }

    fn door(&self) -> &'static str {
        crate::transport::Door::name(self.server)
    }
}

/// Carries a message through the corridor, its trace field on top, when it is its turn.
async fn handle(
    server: &Server,
    transaction: Transaction,
    submitter: Submitter,
    pieces: [Vec<u8>; 2],
) -> Result<engine::Outcome, Reply> {
    let (limits, handler) = (server.settings.limits.clone(), Arc::clone(&server.handler));
    let permit = Arc::clone(&server.work).acquire_owned().await;
    let permit = permit.map_err(|_| Reply::new(421, "4.3.2", "shutting down"))?;
    let Transaction { sender, recipients, room, .. } = transaction;
    let envelope = Envelope { sender, recipients };
    let work = tokio::task::spawn_blocking(move || {
        let _held = (permit, room);
        let whole =
            Limits { message: limits.message.saturating_add(pieces.iter().take(1).map(Vec::len).sum()), ..limits };
        let message = Message::parse(pieces.concat(), &mut Budget::new(whole))?;
        if message.root().fields().filter(|field| field.is("Received")).count() > MOST_HOPS {
            return Err(crate::base::Error::malformed("message", "it goes round in a loop"));
        }
        handler.handle(Mail { envelope, submitter, message })
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

/// Whether a client knows of extensions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extended {
    No,
    Yes,
}

/// Makes sure that there is room for so many octets of one message.
fn take_room(server: &Server, taken: &mut Option<OwnedSemaphorePermit>, octets: usize) -> bool {
    let have = taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
    let Ok(need) = u32::try_from(octets.div_ceil(ROOM_UNIT).saturating_sub(have)) else { return false };
    let Ok(more) = Arc::clone(&server.room).try_acquire_many_owned(need) else { return false };
    match taken {
        Some(taken) => taken.merge(more),
        None => *taken = Some(more),
    }
    true
}

fn too_large(most: usize) -> Reply {
    Reply::new(552, "5.3.4", format!("no more than {most} octets"))
}

fn crowded() -> Reply {
    Reply::new(452, "4.3.1", "no room for so much mail at once")
}

fn slow() -> Fault {
    Fault::Gone(std::io::ErrorKind::TimedOut.into())
}

const EXTENSIONS: [&str; 7] = ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "HELP"];
/// Source: 512 octets (RFC 5321, section 4.5.3.1.4), 500 more for DSN (RFC 3461, section 5.4), 10 for SMTPUTF8; rounded up.
const MOST_LINE: usize = 2_048;
/// What may wait before it is said.
const MOST_REPLIES: usize = 4 * 1024;
/// Source: Postfix's `smtpd_hard_error_limit`.
const MOST_ERRORS: usize = 20;
/// Commands that bring no mail nearer. Source: Postfix's `smtpd_junk_command_limit`.
const MOST_IDLING: usize = 100;
/// Source: Postfix's `hopcount_limit` is 50, RFC 5321, section 6.3 asks for at least 100.
const MOST_HOPS: usize = 100;
/// How long a whole message may take. Source: 64 MiB at 300 kbit/s.
const WHOLE: Duration = Duration::from_secs(1_800);
