//! One connection of a client: a dialogue with bounds on everything.

use std::net::SocketAddr;

use tokio::{sync::watch, time::timeout};

use super::{
    Client, Dialect, Protection, Reply, Server,
    command::Command,
    guest::{Guest, Rank},
    transaction::Transaction,
    wire::{Fault, Wire},
};
use crate::{base::Result, transport::Stream};

/// One connection.
pub(super) struct Session<'a> {
    pub(super) server: &'a Server,
    pub(super) wire: Wire,
    /// Replies that wait for the last of the commands that came together (RFC 2920, section 3.2).
    replies: Vec<u8>,
    pub(super) client: Guest,
    pub(super) hello: Option<String>,
    pub(super) is_extended: bool,
    /// Under TLS, or not leaving this machine.
    pub(super) is_private: bool,
    pub(super) is_encrypted: bool,
    /// Whom a peer carries mail for, until the end of the transaction.
    pub(super) forwarded: Option<Guest>,
    /// The connection with the upstream on which the client logged in.
    pub(super) upstream: Option<Client>,
    pub(super) transaction: Option<Transaction>,
    errors: usize,
    pub(super) failed_logins: usize,
    pub(super) idling: usize,
}

/// What a connection begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Encrypted,
    Open,
}

/// Whether the dialogue goes on.
pub(super) enum Next {
    Close,
    GoOn,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        server: &'a Server,
        stream: Box<dyn Stream>,
        peer: Option<SocketAddr>,
        line: Line,
    ) -> Session<'a> {
        let is_encrypted = line == Line::Encrypted;
        Session {
            server,
            wire: Wire::new(stream),
            replies: Vec::new(),
            client: Guest::new(server, peer),
            hello: None,
            is_extended: false,
            is_private: is_encrypted || peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback()),
            is_encrypted,
            forwarded: None,
            upstream: None,
            transaction: None,
            errors: 0,
            failed_logins: 0,
            idling: 0,
        }
    }

    /// Talks until the client has enough, or until `stopping` turns true between two commands.
    pub(super) async fn converse(mut self, mut stopping: watch::Receiver<bool>) -> Result<()> {
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
        let stream = accepting.await.map_err(|_| Fault::slow())?.map_err(Fault::Gone)?;
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

    pub(super) fn forget(&mut self) {
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
    pub(super) async fn part(&mut self, status: &str, words: &str) -> Result<(), Fault> {
        self.reply(&Reply::new(421, status, words));
        self.flush().await
    }
}

/// Whether a client knows of extensions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extended {
    No,
    Yes,
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
