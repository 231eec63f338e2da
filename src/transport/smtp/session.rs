//! One connection of a client, with bounds on everything.

use std::net::SocketAddr;

use tokio::{sync::watch, time::timeout};

use super::{
    Dialect, Protection, Reply, Server,
    client_identity::{ClientIdentity, TrustLevel},
    command::Command,
    server::HURRIED,
    submitter_connection::SubmitterConnection,
    transaction::Transaction,
    wire::{Fault, Wire},
};
use crate::{
    base::Result,
    transport::{Load, SessionId, Stream},
};

/// One connection.
pub(super) struct Session<'a> {
    pub(super) server: &'a Server,
    pub(super) wire: Wire,
    /// Its id in the log.
    pub(super) id: SessionId,
    /// Messages so far.
    pub(super) messages: usize,
    /// Replies to pipelined commands, not sent yet (RFC 2920, section 3.2).
    replies: Vec<u8>,
    pub(super) load: Load,
    pub(super) client: ClientIdentity,
    pub(super) hello: Option<String>,
    pub(super) is_extended: bool,
    /// Under TLS, or on this machine.
    pub(super) is_private: bool,
    pub(super) is_encrypted: bool,
    /// The client that a peer forwards mail for, until the end of the transaction.
    pub(super) forwarded: Option<ClientIdentity>,
    /// The connection with the next server on which the client logged in.
    pub(super) upstream: Option<SubmitterConnection>,
    pub(super) transaction: Option<Transaction>,
    errors: usize,
    pub(super) failed_logins: usize,
    /// Commands since the last message that did not send mail.
    pub(super) junk_commands: usize,
}

/// The state of a new connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Encrypted,
    Open,
}

/// Whether the session continues.
pub(super) enum Next {
    Close,
    GoOn,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        server: &'a Server,
        stream: Box<dyn Stream>,
        id: SessionId,
        peer: Option<SocketAddr>,
        line: Line,
        load: Load,
    ) -> Session<'a> {
        let is_encrypted = line == Line::Encrypted;
        Session {
            server,
            wire: Wire::new(stream).with_bare_lf(server.settings.bare_lf),
            id,
            messages: 0,
            replies: Vec::new(),
            load,
            client: ClientIdentity::new(server, peer),
            hello: None,
            is_extended: false,
            is_private: is_encrypted || peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback()),
            is_encrypted,
            forwarded: None,
            upstream: None,
            transaction: None,
            errors: 0,
            failed_logins: 0,
            junk_commands: 0,
        }
    }

    /// Serves the client until it quits, or until `stopping` turns true while no message is in progress.
    pub(super) async fn converse(mut self, mut stopping: watch::Receiver<bool>) -> Result<()> {
        let word = match self.server.settings.dialect {
            Dialect::Lmtp => "LMTP",
            Dialect::Smtp => "ESMTP",
        };
        let greeting = format!("{} {word} postseal", self.server.settings.name);
        self.reply(&Reply::plain(220, [greeting]));
        // A client that disconnects or is too slow still has its mail: only a reply takes responsibility.
        let _ = self.dialogue(&mut stopping).await;
        if let Some(client) = self.upstream.take() {
            client.quit().await;
        }
        Ok(())
    }

    async fn dialogue(&mut self, stopping: &mut watch::Receiver<bool>) -> Result<(), Fault> {
        let limit = self.server.settings.timeouts.command;
        loop {
            if !self.wire.is_pending() || self.replies.len() > MAX_REPLIES {
                self.flush().await?;
            }
            let (is_at_rest, is_untrusted) = (self.transaction.is_none(), self.is_untrusted());
            let line = tokio::select! {
                line = self.wire.line(MAX_LINE, limit) => Some(line),
                () = self.load.wait_high(HURRIED), if is_untrusted => Some(Err(Fault::slow())),
                stop = stopping.wait_for(|stop| *stop), if is_at_rest => { drop(stop); None }
            };
            let Some(line) = line else { return self.close("4.3.2", "Service unavailable, shutting down").await };
            let line = match line {
                Ok(line) => line,
                Err(Fault::Long) => {
                    self.refuse(&Reply::new(500, "5.5.2", "Error: line too long"));
                    continue;
                }
                Err(Fault::Bare) => {
                    self.reply(&Reply::new(521, "5.5.2", "Error: bare <CR> or <LF> received"));
                    return self.flush().await;
                }
                Err(Fault::Gone(error)) if error.kind() == std::io::ErrorKind::TimedOut => {
                    return self.close("4.4.2", "Error: timeout exceeded").await;
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
            if self.errors > MAX_ERRORS || self.junk_commands > MAX_JUNK_COMMANDS {
                return self.close("4.7.0", "Error: too many errors").await;
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<Next, Fault> {
        if !matches!(command, Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::Bdat { .. }) {
            self.junk_commands += 1;
        }
        let said = match command {
            Command::Auth { mechanism, initial } => return self.log_in(&mechanism, initial).await,
            Command::Bdat { count, order } => return self.chunk(count, order).await,
            Command::Data => return self.data().await,
            Command::Ehlo(name) => self.greet(name, Dialect::Smtp, Extended::Yes),
            Command::Helo(name) => self.greet(name, Dialect::Smtp, Extended::No),
            Command::Lhlo(name) => self.greet(name, Dialect::Lmtp, Extended::Yes),
            Command::Expn(name) => self.expand(&name),
            Command::Help => Ok(Reply::new(214, "2.0.0", "Commands of RFC 5321; see the postseal manual")),
            Command::Mail(sender) => self.mail(sender),
            Command::Noop => Ok(Reply::new(250, "2.0.0", "Ok")),
            Command::Quit => {
                self.reply(&Reply::new(221, "2.0.0", "Bye"));
                return Ok(Next::Close);
            }
            Command::Rcpt(recipient) => self.recipient(recipient),
            Command::Rset => {
                self.forget();
                Ok(Reply::new(250, "2.0.0", "Ok"))
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
            let text = format!("Error: command not recognized, send {}", self.server.hello_command());
            return Err(Reply::new(500, "5.5.1", text));
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
            if self.client.trust == TrustLevel::Peer {
                lines.push("XCLIENT NAME ADDR PORT PROTO HELO LOGIN".to_owned());
                lines.push("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE".to_owned());
            }
        }
        Ok(Reply::plain(250, lines))
    }

    async fn start_tls(&mut self) -> Result<Next, Fault> {
        let Protection::Starttls(identity) = &self.server.settings.protection else {
            self.refuse(&Reply::new(502, "5.5.1", "Error: command not implemented"));
            return Ok(Next::GoOn);
        };
        if self.is_encrypted {
            self.refuse(&Reply::new(554, "5.5.1", "Error: TLS already active"));
            return Ok(Next::Close);
        }
        if self.wire.is_pending() {
            // Pipelined commands would be taken for commands under TLS (RFC 3207, section 4.2).
            self.refuse(&Reply::new(554, "5.5.0", "Error: SMTP protocol synchronization"));
            return Ok(Next::Close);
        }
        self.reply(&Reply::new(220, "2.0.0", "Ready to start TLS"));
        self.flush().await?;
        let wire = std::mem::replace(&mut self.wire, Wire::new(Box::new(tokio::io::empty())));
        let Some(stream) = wire.into_stream() else { return Ok(Next::Close) };
        let accepting = timeout(self.server.settings.timeouts.command, identity.accept(stream));
        let stream = accepting.await.map_err(|_| Fault::slow())?.map_err(Fault::Gone)?;
        self.wire = Wire::new(stream).with_bare_lf(self.server.settings.bare_lf);
        (self.is_encrypted, self.is_private) = (true, true);
        self.forget();
        // RFC 3207, section 4.2: discard what the client said before TLS.
        (self.hello, self.client.login, self.upstream) = (None, None, None);
        Ok(Next::GoOn)
    }

    /// Whether the client has no login and no trusted address.
    pub(super) fn is_untrusted(&self) -> bool {
        self.client.trust == TrustLevel::Untrusted && self.client.login.is_none()
    }

    /// The reply to a command that needs a greeting first.
    pub(super) fn hello_first(&self) -> Reply {
        Reply::new(503, "5.5.1", format!("Error: send {} first", self.server.hello_command()))
    }

    /// Ends the transaction.
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
        self.wire.say(&replies, self.server.settings.timeouts.command).await
    }

    /// Sends 421, the server closes the connection (RFC 5321, section 3.8).
    pub(super) async fn close(&mut self, status: &str, words: &str) -> Result<(), Fault> {
        self.reply(&Reply::new(421, status, words));
        self.flush().await
    }
}

/// Whether the client supports extensions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extended {
    No,
    Yes,
}

const EXTENSIONS: [&str; 7] = ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "HELP"];
/// Source: 512 octets (RFC 5321, section 4.5.3.1.4), 500 more for DSN (RFC 3461, section 5.4), 10 for SMTPUTF8; rounded up.
const MAX_LINE: usize = 2_048;
/// Octets of replies that may wait for the end of pipelined commands.
const MAX_REPLIES: usize = 4 * 1024;
/// Source: Postfix's `smtpd_hard_error_limit`.
const MAX_ERRORS: usize = 20;
/// Commands that do not send mail. Source: Postfix's `smtpd_junk_command_limit`.
const MAX_JUNK_COMMANDS: usize = 100;
