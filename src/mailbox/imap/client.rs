//! A connection with an IMAP server: greeting, TLS, login, and commands with their answers (RFC 9051, RFC 3501).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    names::{Naming, quoted},
    response::{Code, Raw, Response, Status, Text, Untagged, announced},
};
use crate::{
    base::{Error, Kind, Limits, Result},
    mailbox::remote::{self, Access, Exchange, LINE, Server, Tls, Wire},
};

/// A connection that is logged in.
pub(super) struct Client {
    wire: Wire,
    /// Commands sent.
    commands: u64,
    /// What the server can do, in upper case.
    capabilities: Vec<String>,
    naming: Naming,
    limits: Limits,
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the server cannot be reached, or the connection is lost. `Unavailable`: no TLS. `NoKey`: the login is refused. `Malformed`: the
    /// server breaks the protocol.
    pub(super) fn connect(server: &Server, access: &Access) -> Result<Client> {
        let mut wire = Wire::connect(server, access.timeouts)?;
        if server.tls == Tls::Implicit {
            wire.start_tls(remote::roots(), &server.host)?;
        }
        let limits = access.limits.clone();
        let mut client = Client { wire, commands: 0, capabilities: Vec::new(), naming: Naming::Utf7, limits };
        let is_logged_in = client.greeting()?;
        if server.tls == Tls::Upgrade {
            client.upgrade(server, access, is_logged_in)?;
        }
        if !is_logged_in {
            client.log_in(server, access)?;
        }
        if client.can("ENABLE") && client.can("UTF8=ACCEPT") {
            let mut enabled = Vec::new();
            client.command(b"ENABLE UTF8=ACCEPT", |untagged| {
                if let Untagged::Enabled(names) = untagged {
                    enabled = names;
                }
                Ok(())
            })?;
            if enabled.iter().any(|name| name == "UTF8=ACCEPT") {
                client.naming = Naming::Utf8;
            }
        }
        Ok(client)
    }

    /// Whether the server can do this; in upper case.
    pub(super) fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }

    /// How names of mailboxes are written.
    pub(super) fn naming(&self) -> Naming {
        self.naming
    }

    /// The server's place, for errors.
    pub(super) fn place(&self) -> &str {
        self.wire.place()
    }

    /// The bounds of messages.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sends a command that the server has to carry out. `each` gets what the server says meanwhile.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the server does not carry it out. Others: those of [`Client::connect`] and of `each`.
    pub(super) fn command(&mut self, line: &[u8], each: impl FnMut(Untagged) -> Result<()>) -> Result<Text> {
        let what = String::from_utf8_lossy(line).split(' ').take(2).collect::<Vec<_>>().join(" ");
        let what = if what.starts_with("UID ") { what } else { what.split(' ').next().unwrap_or_default().to_owned() };
        match self.attempt(line, each)? {
            (Status::Ok, text) => Ok(text),
            (_, text) => Err(self.refused(&what, &text)),
        }
    }

    /// The same for a command that the server may refuse: its status and its words.
    pub(super) fn attempt(&mut self, line: &[u8], each: impl FnMut(Untagged) -> Result<()>) -> Result<(Status, Text)> {
        let tag = self.next_tag();
        self.wire.send(&[tag.as_bytes(), b" ", line, b"\r\n"].concat())?;
        self.finish(&tag, each)
    }

    /// Sends a command whose last argument is a literal. The octets go without waiting where the server allows it (RFC 7888).
    pub(super) fn with_literal(&mut self, line: &[u8], octets: &[u8], end: &[u8]) -> Result<(Status, Text)> {
        let tag = self.next_tag();
        let goes_on = self.can("LITERAL+") || (self.can("LITERAL-") && octets.len() <= 4096);
        let plus = if goes_on { "+" } else { "" };
        let marker = format!("{{{}{plus}}}\r\n", octets.len());
        self.wire.send(&[tag.as_bytes(), b" ", line, marker.as_bytes()].concat())?;
        if !goes_on {
            // A refusal comes in the place of the continuation.
            if let Some(refused) = self.continuation(&tag)? {
                return Ok(refused);
            }
        }
        for piece in octets.chunks(PIECE) {
            self.wire.send(piece)?;
        }
        self.wire.send(&[end, b"\r\n"].concat())?;
        self.finish(&tag, |_| Ok(()))
    }

    /// Waits for news of the open mailbox (RFC 2177), until `end`, or until `stop`. Whether there are more messages.
    pub(super) fn idle(&mut self, end: std::time::Instant, stop: &dyn Fn() -> bool) -> Result<bool> {
        let tag = self.next_tag();
        self.wire.send(format!("{tag} IDLE\r\n").as_bytes())?;
        if let Some((_, text)) = self.continuation(&tag)? {
            return Err(self.refused("IDLE", &text));
        }
        let mut has_news = false;
        for _ in 0..MAX_UNTAGGED {
            if has_news || !self.wire.wait(end, stop)? {
                break;
            }
            match self.response()? {
                Response::Untagged(Untagged::Exists(_)) => has_news = true,
                Response::Untagged(untagged) => self.note(&untagged)?,
                other => return Err(self.unexpected(&format!("{other:?}"))),
            }
        }
        self.wire.send(b"DONE\r\n")?;
        match self.finish(&tag, |untagged| {
            has_news |= matches!(untagged, Untagged::Exists(_));
            Ok(())
        })? {
            (Status::Ok, _) => Ok(has_news),
            (_, text) => Err(self.refused("IDLE", &text)),
        }
    }

    /// Waits as long without IDLE.
    pub(super) fn sleep(&mut self, end: std::time::Instant, stop: &dyn Fn() -> bool) -> Result<()> {
        self.wire.wait(end, stop).map(drop)
    }

    /// LOGOUT. The answer does not matter.
    pub(super) fn log_out(&mut self) {
        let _ = self.wire.send(b"z LOGOUT\r\n");
        while let Ok(Response::Untagged(_)) = self.response() {}
    }

    /// The error for a command that was not carried out.
    pub(super) fn refused(&self, what: &str, text: &Text) -> Error {
        Error::unavailable(format!("{}: {what} was refused: {}", self.place(), remote::quoted(&text.words)))
    }

    /// Whether the connection is logged in from the start.
    fn greeting(&mut self) -> Result<bool> {
        let (status, text) = match self.response()? {
            Response::Untagged(Untagged::Status(status, text)) => (status, text),
            other => return Err(self.unexpected(&format!("{other:?}"))),
        };
        if let Some(Code::Capability(names)) = text.code.clone() {
            self.capabilities = names;
        }
        match status {
            Status::Ok => Ok(false),
            Status::Preauth => Ok(true),
            _ => Err(self.bye(&text)),
        }
    }

    /// STARTTLS (RFC 9051, section 6.2.1). Nothing that came before TLS is used after it.
    fn upgrade(&mut self, server: &Server, access: &Access, is_logged_in: bool) -> Result<()> {
        if access.plaintext == remote::Plaintext::Anywhere {
            return Ok(());
        }
        // A server that is logged in cannot begin TLS, and an attacker can write such a greeting.
        if is_logged_in {
            return server.may_be_plain(access, "the server is logged in before TLS");
        }
        if self.capabilities.is_empty() {
            self.ask_capabilities()?;
        }
        if !self.can("STARTTLS") {
            return server.may_be_plain(access, "the server does not offer STARTTLS");
        }
        self.command(b"STARTTLS", |_| Ok(()))?;
        self.capabilities.clear();
        self.wire.start_tls(remote::roots(), &server.host)?;
        self.ask_capabilities()
    }

    fn ask_capabilities(&mut self) -> Result<()> {
        let mut found = Vec::new();
        self.command(b"CAPABILITY", |untagged| {
            if let Untagged::Capability(names) = untagged {
                found = names;
            }
            Ok(())
        })?;
        self.capabilities = found;
        Ok(())
    }

    fn log_in(&mut self, server: &Server, access: &Access) -> Result<()> {
        if self.capabilities.is_empty() {
            self.ask_capabilities()?;
        }
        let offered: Vec<String> =
            self.capabilities.iter().filter_map(|name| name.strip_prefix("AUTH=")).map(ToOwned::to_owned).collect();
        let text = match remote::choose(server, &offered, access)? {
            Some(exchange) => self.authenticate(server, exchange)?,
            None if self.can("LOGINDISABLED") => {
                let why = format!("{}: the server offers no login that this program has", self.place());
                return Err(Error::unavailable(why));
            }
            None => self.plain_login(server, access)?,
        };
        // What it can do changes with the login.
        match text.code {
            Some(Code::Capability(names)) => self.capabilities = names,
            _ => self.ask_capabilities()?,
        }
        Ok(())
    }

    /// LOGIN (RFC 9051, section 6.2.3), for servers without SASL.
    fn plain_login(&mut self, server: &Server, access: &Access) -> Result<Text> {
        let secret = access.credentials.secret(server, "LOGIN")?;
        let password = Zeroizing::new(quoted(secret.expose())?);
        let line = Zeroizing::new([b"LOGIN ", &quoted(server.user.as_bytes())?[..], b" ", &password].concat());
        match self.attempt(&line, |_| Ok(()))? {
            (Status::Ok, text) => Ok(text),
            (_, text) => Err(remote::refused(self.place(), &server.user, &remote::quoted(&text.words))),
        }
    }

    /// AUTHENTICATE (RFC 9051, section 6.2.2), with the first answer in the command where the server allows it (RFC 4959).
    fn authenticate(&mut self, server: &Server, mut exchange: Exchange) -> Result<Text> {
        let tag = self.next_tag();
        let mut initial = exchange.initial();
        let mut line = Zeroizing::new(format!("{tag} AUTHENTICATE {}", exchange.name()));
        if self.can("SASL-IR")
            && let Some(initial) = initial.take()
        {
            line.push(' ');
            line.push_str(&Zeroizing::new(STANDARD.encode(&*initial)));
        }
        line.push_str("\r\n");
        self.wire.send(line.as_bytes())?;
        for _ in 0..MAX_UNTAGGED {
            match self.response()? {
                Response::Continue(challenge) => {
                    let answer = match initial.take() {
                        Some(initial) => initial,
                        None => {
                            let challenge = STANDARD.decode(challenge.trim_ascii());
                            let challenge = challenge.map_err(|_| self.unexpected("a challenge that is not base64"))?;
                            exchange.answer(&challenge).map_err(|error| error.of(self.place()))?
                        }
                    };
                    let encoded = Zeroizing::new(STANDARD.encode(&*answer));
                    self.wire.send(&Zeroizing::new([encoded.as_bytes(), b"\r\n"].concat()))?;
                }
                Response::Untagged(untagged) => self.note(&untagged)?,
                Response::Tagged(own, Status::Ok, text) if own == tag.as_bytes() => {
                    exchange.finish().map_err(|error| error.of(self.place()))?;
                    return Ok(text);
                }
                Response::Tagged(own, _, text) if own == tag.as_bytes() => {
                    return Err(exchange.refused(self.place(), &server.user, &remote::quoted(&text.words)));
                }
                Response::Tagged(..) => return Err(self.unexpected("an answer with another tag")),
            }
        }
        Err(self.unexpected("a login without an end"))
    }

    /// Waits for `+`; or the refusal.
    fn continuation(&mut self, tag: &str) -> Result<Option<(Status, Text)>> {
        for _ in 0..MAX_UNTAGGED {
            match self.response()? {
                Response::Continue(_) => return Ok(None),
                Response::Untagged(untagged) => self.note(&untagged)?,
                Response::Tagged(own, status, text) if own == tag.as_bytes() && status != Status::Ok => {
                    return Ok(Some((status, text)));
                }
                Response::Tagged(..) => return Err(self.unexpected("an answer to a command that is not complete")),
            }
        }
        Err(self.unexpected("too many responses"))
    }

    /// Reads up to the end of the command with this tag.
    fn finish(&mut self, tag: &str, mut each: impl FnMut(Untagged) -> Result<()>) -> Result<(Status, Text)> {
        for _ in 0..MAX_UNTAGGED {
            match self.response()? {
                Response::Untagged(untagged) => {
                    self.note(&untagged)?;
                    each(untagged)?;
                }
                Response::Tagged(own, status, text) if own == tag.as_bytes() => return Ok((status, text)),
                Response::Tagged(own, ..) => {
                    return Err(self.unexpected(&format!("an answer with the tag {}, not {tag}", remote::quoted(&own))));
                }
                Response::Continue(_) => return Err(self.unexpected("a continuation that was not asked for")),
            }
        }
        Err(self.unexpected(&format!("more than {MAX_UNTAGGED} responses to one command")))
    }

    /// A BYE at any moment ends the work.
    fn note(&self, untagged: &Untagged) -> Result<()> {
        match untagged {
            Untagged::Status(Status::Bye, text) => Err(self.bye(text)),
            _ => Ok(()),
        }
    }

    /// One response. The literals of one are as long together as a message may be.
    fn response(&mut self) -> Result<Response> {
        let mut raw = Raw::default();
        let (mut literals, mut is_first) = (0, true);
        loop {
            let room = LINE.saturating_sub(raw.text.len());
            let line = self.wire.line(room)?;
            raw.text.extend_from_slice(&line);
            let is_words = is_first && Raw::is_words(&line);
            is_first = false;
            let Some(octets) = announced(&line).filter(|_| !is_words) else { break };
            let left = self.limits.message.saturating_add(LINE).saturating_sub(literals);
            let octets = usize::try_from(octets).ok().filter(|octets| *octets <= left);
            let Some(octets) = octets.filter(|_| raw.literals.len() < MAX_LITERALS) else {
                let why = format!(
                    "the server sends more in one response than the {} octets of a message",
                    self.limits.message
                );
                return Err(Error::malformed(self.place(), why));
            };
            literals += octets;
            let literal = self.wire.octets(octets)?;
            raw.literals.push(literal);
        }
        let shown = remote::quoted(&raw.text);
        raw.parse().ok_or_else(|| Error::malformed(self.place(), format!("not a response of IMAP: {shown}")))
    }

    fn next_tag(&mut self) -> String {
        self.commands += 1;
        format!("p{}", self.commands)
    }

    fn unexpected(&self, what: &str) -> Error {
        let what: String = what.chars().take(200).collect();
        Error::malformed(self.place(), format!("the server sent what does not belong here: {what}"))
    }

    fn bye(&self, text: &Text) -> Error {
        let words = remote::quoted(&text.words);
        Error::new(Kind::TryAgain, format!("{}: the server ended the connection: {words}", self.place()))
    }
}

/// Responses to one command. Source: twice the messages of the largest mailboxes known to work (a few millions).
const MAX_UNTAGGED: usize = 10_000_000;
/// Literals in one response. Source: a message is asked for alone.
const MAX_LITERALS: usize = 16;
/// Octets sent at once, so that a slow line is not taken for a dead one.
const PIECE: usize = 64 * 1024;
