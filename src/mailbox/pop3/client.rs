//! A connection with a POP3 server: greeting, TLS, login, and commands with their replies.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::reply::{Reply, timestamp};
use crate::{
    base::{Error, Kind, Limits, Result, Secret, hex},
    crypto::Hash,
    mailbox::remote::{self, Access, Exchange, LINE, Plaintext, Server, Tls, Wire},
};

/// A connection that is logged in.
pub(super) struct Client {
    wire: Wire,
    /// CAPA's lines, in upper case; none where the server has no CAPA.
    capabilities: Vec<String>,
    limits: Limits,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the server cannot be reached, the mailbox is in use, or the connection is lost. `Unavailable`: no TLS. `NoKey`: the login is refused. `Malformed`:
    /// the server breaks the protocol.
    pub(super) fn connect(server: &Server, access: &Access) -> Result<Client> {
        let mut wire = Wire::connect(server, access.timeouts)?;
        if server.tls == Tls::Implicit {
            wire.start_tls(remote::roots(), &server.host)?;
        }
        let mut client = Client { wire, capabilities: Vec::new(), limits: access.limits.clone() };
        let greeting = match client.reply()? {
            Reply::Ok(words) => words,
            Reply::Err(words) => return Err(client.refused("the connection", &words)),
            Reply::Challenge(_) => return Err(client.unexpected(b"+")),
        };
        client.ask_capabilities()?;
        if server.tls == Tls::Upgrade && access.plaintext == Plaintext::Loopback {
            if client.can("STLS") {
                client.command("STLS")?;
                client.wire.start_tls(remote::roots(), &server.host)?;
                // An attacker may have written what came before TLS (RFC 2595, section 4).
                client.ask_capabilities()?;
            } else {
                server.may_be_plain(access, "the server does not offer STLS")?;
            }
        }
        client.log_in(server, access, &greeting)?;
        Ok(client)
    }

    /// The server's place, for errors.
    pub(super) fn place(&self) -> &str {
        self.wire.place()
    }

    /// The bounds of messages.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A command that the server has to carry out. The words of its reply.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the server does not. Others: those of [`Client::connect`].
    pub(super) fn command(&mut self, line: &str) -> Result<Vec<u8>> {
        match self.attempt(line)? {
            Reply::Ok(words) => Ok(words),
            Reply::Err(words) => Err(self.refused(line.split(' ').next().unwrap_or_default(), &words)),
            Reply::Challenge(_) => Err(self.unexpected(b"+")),
        }
    }

    /// The lines after the reply to a command, each to `each`, up to the final dot.
    pub(super) fn lines(&mut self, line: &str, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.command(line)?;
        for _ in 0..MAX_LINES {
            let line = self.wire.line(LINE)?;
            match line.strip_prefix(b".") {
                Some(b"") => return Ok(()),
                Some(rest) => each(rest)?,
                None => each(&line)?,
            }
        }
        Err(Error::malformed(self.place(), format!("more than {MAX_LINES} lines in one reply")))
    }

    /// RETR. `None`: the server does not give this message.
    pub(super) fn message(&mut self, number: u32, size: u64) -> Result<Result<Vec<u8>>> {
        match self.attempt(&format!("RETR {number}"))? {
            Reply::Ok(_) => {}
            Reply::Err(words) => return Ok(Err(self.refused(&format!("RETR {number}"), &words))),
            Reply::Challenge(_) => return Err(self.unexpected(b"+")),
        }
        self.wire.expect(usize::try_from(size).unwrap_or(self.limits.message).min(self.limits.message));
        let mut message = Vec::new();
        loop {
            let room = self.limits.message.saturating_sub(message.len());
            let line = self.wire.whole_line(room)?;
            if matches!(line.as_slice(), b".\r\n" | b".\n") {
                return Ok(Ok(message));
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|line| line.split(' ').next() == Some(capability))
    }

    /// CAPA (RFC 2449), which old servers do not have.
    fn ask_capabilities(&mut self) -> Result<()> {
        self.capabilities.clear();
        let mut found = Vec::new();
        self.wire.send(b"CAPA\r\n")?;
        if !matches!(self.reply()?, Reply::Ok(_)) {
            return Ok(());
        }
        loop {
            let line = self.wire.line(LINE)?;
            if line == b"." {
                break;
            }
            if found.len() == MAX_CAPABILITIES {
                return Err(Error::malformed(self.place(), format!("more than {MAX_CAPABILITIES} capabilities")));
            }
            found.push(String::from_utf8_lossy(&line).trim().to_ascii_uppercase());
        }
        self.capabilities = found;
        Ok(())
    }

    fn log_in(&mut self, server: &Server, access: &Access, greeting: &[u8]) -> Result<()> {
        if server.mechanism.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("+APOP")) {
            return self.apop(server, access, greeting);
        }
        let sasl = self.capabilities.iter().find_map(|line| line.strip_prefix("SASL "));
        let offered: Vec<String> = sasl.unwrap_or_default().split_ascii_whitespace().map(ToOwned::to_owned).collect();
        if let Some(exchange) = remote::choose(server, &offered, access)? {
            return self.authenticate(server, exchange);
        }
        let secret = access.credentials.secret(server, "USER")?;
        self.argument(server.user.as_bytes())?;
        self.argument(secret.expose())?;
        let said = self.attempt(&format!("USER {}", server.user))?;
        let line = Zeroizing::new([b"PASS ", secret.expose(), b"\r\n"].concat());
        let said = match said {
            Reply::Ok(_) => {
                self.wire.send(&line)?;
                self.reply()?
            }
            refused => refused,
        };
        self.logged_in(server, said)
    }

    /// AUTH (RFC 5034). The first answer goes after the server asked for it, because the command line is short (RFC 2449, section 4).
    fn authenticate(&mut self, server: &Server, mut exchange: Exchange) -> Result<()> {
        let mut initial = exchange.initial();
        let mut said = self.attempt(&format!("AUTH {}", exchange.name()))?;
        for _ in 0..MAX_CHALLENGES {
            let challenge = match said {
                Reply::Challenge(challenge) => challenge,
                Reply::Ok(_) => return exchange.finish().map_err(|error| error.of(self.place())),
                Reply::Err(words) if is_busy(&words) => return Err(self.refused("the login", &words)),
                Reply::Err(words) => {
                    return Err(exchange.refused(self.place(), &server.user, &remote::quoted(&words)));
                }
            };
            let answer = match initial.take() {
                Some(initial) => initial,
                None => {
                    let decoded = STANDARD.decode(challenge.trim_ascii());
                    let decoded = decoded.map_err(|_| self.unexpected(&challenge))?;
                    exchange.answer(&decoded).map_err(|error| error.of(self.place()))?
                }
            };
            let encoded = Zeroizing::new(STANDARD.encode(&*answer));
            self.wire.send(&Zeroizing::new([encoded.as_bytes(), b"\r\n"].concat()))?;
            said = self.reply()?;
        }
        Err(Error::malformed(self.place(), "a login without an end"))
    }

    /// APOP (RFC 1939, section 7) is MD5 over what the server says and the password, and an attacker on the way can guess the password from it.
    fn apop(&mut self, server: &Server, access: &Access, greeting: &[u8]) -> Result<()> {
        let Some(timestamp) = timestamp(greeting) else {
            return Err(Error::unavailable(format!("{}: the server does not offer APOP", self.place())));
        };
        let secret = access.credentials.secret(server, "APOP")?;
        self.argument(server.user.as_bytes())?;
        let input = Secret::new([timestamp, secret.expose()].concat());
        let said = self.attempt(&format!("APOP {} {}", server.user, hex(&Hash::Md5.digest(input.expose()))))?;
        self.logged_in(server, said)
    }

    fn logged_in(&self, server: &Server, said: Reply) -> Result<()> {
        match said {
            Reply::Ok(_) => Ok(()),
            Reply::Err(words) if is_busy(&words) => Err(self.refused("the login", &words)),
            Reply::Err(words) => Err(remote::refused(self.place(), &server.user, &remote::quoted(&words))),
            Reply::Challenge(_) => Err(self.unexpected(b"+")),
        }
    }

    fn attempt(&mut self, line: &str) -> Result<Reply> {
        self.wire.send(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Reply> {
        let line = self.wire.line(LINE)?;
        Reply::parse(&line).ok_or_else(|| self.unexpected(&line))
    }

    /// Refuses what would be another command.
    fn argument(&self, octets: &[u8]) -> Result<()> {
        if octets.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            return Err(Error::usage(format!("{}: a line break in the name or the password", self.place())));
        }
        Ok(())
    }

    fn refused(&self, what: &str, words: &[u8]) -> Error {
        let kind = if is_busy(words) { Kind::TryAgain } else { Kind::Unavailable };
        Error::new(kind, format!("{}: {what} was refused: {}", self.place(), remote::quoted(words)))
    }

    fn unexpected(&self, line: &[u8]) -> Error {
        Error::malformed(self.place(), format!("not a reply of POP3 that belongs here: {}", remote::quoted(line)))
    }
}

/// Whether it may work later: another session has the mailbox (RFC 2449, section 8; RFC 3206).
fn is_busy(words: &[u8]) -> bool {
    let words = words.to_ascii_uppercase();
    [&b"[IN-USE]"[..], b"[LOGIN-DELAY]", b"[SYS/TEMP]"].iter().any(|code| words.starts_with(code))
}

/// Lines of one list. Source: a mailbox of a million messages.
const MAX_LINES: usize = 1_000_000;
/// Source: ten times those of Dovecot.
const MAX_CAPABILITIES: usize = 100;
/// Source: ten times those of SCRAM.
const MAX_CHALLENGES: usize = 20;
