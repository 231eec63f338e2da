//! The SMTP client.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Dialect, Origin, Reply, Timeouts,
    wire::{Fault, Wire, with_dots},
};
use crate::{
    base::Secret,
    mail::{ForwardPath, Mail, ReversePath},
    transport::{
        Stream,
        tls::{Connector, Security},
    },
};

/// How to connect with servers.
#[derive(Clone)]
pub struct Caller {
    /// The name of this host, in EHLO.
    pub name: String,
    /// Makes TLS connections.
    pub connector: Connector,
    /// How long servers may take.
    pub timeouts: Timeouts,
    /// What the servers speak. An LMTP server replies to a message once for each recipient.
    pub dialect: Dialect,
}

/// A connection with a server, without a transaction. It can be used again after a negative reply, unless [`Client::is_lost`].
pub struct Client {
    /// What the log calls the server.
    server: Arc<str>,
    wire: Wire,
    offers: Offers,
    timeouts: Timeouts,
    dialect: Dialect,
    /// The recipients that the server accepted for the current mail.
    expected: usize,
    is_lost: bool,
}

/// The extensions that a server offers, by keyword in upper case, with their parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    keywords: BTreeMap<String, String>,
}

impl Offers {
    /// Whether it is offered; the keyword in upper case.
    pub fn has(&self, keyword: &str) -> bool {
        self.keywords.contains_key(keyword)
    }

    /// The parameters of the keyword.
    pub fn of(&self, keyword: &str) -> Option<&str> {
        self.keywords.get(keyword).map(String::as_str)
    }

    fn read(reply: &Reply) -> Offers {
        let keywords = reply.lines.iter().skip(1).map(|line| {
            let (keyword, rest) = line.split_once([' ', '=']).unwrap_or((line, ""));
            (keyword.to_ascii_uppercase(), rest.to_owned())
        });
        Offers { keywords: keywords.collect() }
    }
}

impl Caller {
    /// Greets the server `host` on a new connection, with TLS as `security` requires.
    ///
    /// # Errors
    ///
    /// The reply to the client that wants to send: the server's reply, or 451.
    pub async fn greet(&self, stream: Box<dyn Stream>, host: &str, security: &Security) -> Result<Client, Reply> {
        let mut client = Client {
            server: Arc::from(host),
            wire: Wire::new(stream),
            offers: Offers::default(),
            timeouts: self.timeouts,
            dialect: self.dialect,
            expected: 1,
            is_lost: false,
        };
        let greeting = client.reply(self.timeouts.command).await?;
        connected("the greeting", greeting)?;
        client.introduce(&self.name).await?;
        if *security == Security::None || (*security == Security::Opportunistic && !client.offers.has("STARTTLS")) {
            return Ok(client);
        }
        if !client.offers.has("STARTTLS") {
            return Err(Reply::later("4.7.4", format!("{host} does not offer STARTTLS, which is required")));
        }
        let reply = client.command("STARTTLS").await?;
        connected("STARTTLS", reply)?;
        let injected = || Reply::later("4.7.0", format!("{host} sent data before TLS"));
        let stream = client.wire.into_stream().ok_or_else(injected)?;
        let handshake = tokio::time::timeout(self.timeouts.command, self.connector.connect(stream, host, security));
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Reply::later("4.7.5", format!("no TLS with {host}: {error}"))),
            Err(_) => return Err(Reply::later("4.7.5", format!("no TLS with {host}: timeout"))),
        };
        client.wire = Wire::new(stream);
        // An attacker may have written the offers before TLS (RFC 3207, section 4.2).
        client.introduce(&self.name).await?;
        Ok(client)
    }
}

impl Client {
    /// Names the server in the log by its address too: `mx1.example.net[192.0.2.1]`.
    #[must_use]
    pub fn at(mut self, address: IpAddr) -> Client {
        self.server = Arc::from(format!("{}[{address}]", self.server));
        self
    }

    /// The extensions of the server.
    pub fn offers(&self) -> &Offers {
        &self.offers
    }

    /// Whether the connection can no longer be used.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Sends one command, and reads the reply.
    ///
    /// # Errors
    ///
    /// 451: there is no reply.
    pub async fn command(&mut self, line: &str) -> Result<Reply, Reply> {
        self.say(format!("{}\r\n", single_line(line)?).as_bytes()).await?;
        self.reply(self.timeouts.command).await
    }

    /// AUTH (RFC 4954) with PLAIN (RFC 4616), or LOGIN if the server offers only that. The reply is 235 if the password is right.
    ///
    /// # Errors
    ///
    /// 451: there is no reply.
    pub async fn log_in(&mut self, name: &str, password: &Secret) -> Result<Reply, Reply> {
        let offered = self.offers.of("AUTH").unwrap_or_default().to_ascii_uppercase();
        let has = |mechanism| offered.split_ascii_whitespace().any(|one| one == mechanism);
        if has("PLAIN") || !has("LOGIN") {
            let response = [b"\0".as_slice(), name.as_bytes(), b"\0", password.expose()].concat();
            return self.command(&format!("AUTH PLAIN {}", STANDARD.encode(response))).await;
        }
        let mut reply = self.command("AUTH LOGIN").await?;
        for response in [name.as_bytes(), password.expose()] {
            if reply.code != 334 {
                break;
            }
            reply = self.command(&STANDARD.encode(response)).await?;
        }
        Ok(reply)
    }

    /// Ends the transaction (RSET).
    ///
    /// # Errors
    ///
    /// The reply is not positive, or there is none.
    pub async fn reset(&mut self) -> Result<(), Reply> {
        let reply = self.command("RSET").await?;
        connected("RSET", reply)
    }

    /// Sends a mail to all its recipients. If the server refuses one of them, nothing is sent. Names the client in `origin`, if the server
    /// supports XFORWARD.
    ///
    /// # Errors
    ///
    /// As [`Client::prepare`] and [`Client::finish`].
    pub async fn send(&mut self, mail: &Mail, origin: Option<&Origin>) -> Result<Reply, Reply> {
        self.prepare(mail, origin).await?;
        self.finish().await
    }

    /// Sends all of a mail but the final dot. Nothing is delivered before [`Client::finish`]: until then the connection counts as lost, and
    /// closing it cancels the mail.
    ///
    /// # Errors
    ///
    /// Nothing is sent: the server's reply, 554 if the server lacks an extension that the mail needs, 451 if the connection broke.
    pub async fn prepare(&mut self, mail: &Mail, origin: Option<&Origin>) -> Result<(), Reply> {
        let refused = self.begin(mail, origin).await?.into_iter().flatten().next();
        if let Some(refusal) = refused {
            self.forget().await;
            return Err(refusal);
        }
        self.content(mail).await
    }

    /// Sends the final dot of a prepared mail.
    ///
    /// # Errors
    ///
    /// The server's reply, or 451 if the connection broke, or if an LMTP server took the mail for some recipients and not for others. The server may have
    /// the mail all the same then (RFC 1047).
    pub async fn finish(&mut self) -> Result<Reply, Reply> {
        let replies = self.finish_each().await?;
        let sent = replies.iter().filter(|reply| reply.is_positive()).count();
        match replies.iter().find(|reply| !reply.is_positive()) {
            Some(refusal) if sent > 0 => {
                Err(Reply::later("4.3.0", format!("partly-sent: {sent} of the recipients have it; then: {refusal}")))
            }
            Some(refusal) => Err(refusal.clone()),
            None => replies.into_iter().next().ok_or_else(|| unexpected("the message", &Reply::plain(250, []))),
        }
    }

    /// The same, with one reply for each accepted recipient.
    async fn finish_each(&mut self) -> Result<Vec<Reply>, Reply> {
        self.say(END).await?;
        self.is_lost = false;
        let count = match self.dialect {
            Dialect::Lmtp => self.expected,
            Dialect::Smtp => 1,
        };
        let mut replies = Vec::with_capacity(self.expected);
        for _ in 0..count {
            let reply = self.reply(self.timeouts.end).await?;
            replies.push(accepted("the message", reply.clone()).err().unwrap_or(reply));
        }
        let last = replies.last().cloned().unwrap_or_else(|| Reply::plain(250, []));
        replies.resize(self.expected, last);
        Ok(replies)
    }

    /// Sends a mail to those of its recipients that the server accepts. The result has one reply per recipient.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]: nothing was sent.
    pub async fn send_each(&mut self, mail: &Mail, origin: Option<&Origin>) -> Result<Vec<Reply>, Reply> {
        let refused = self.begin(mail, origin).await?;
        if refused.iter().all(Option::is_some) {
            self.forget().await;
            return Ok(refused.into_iter().flatten().collect());
        }
        self.content(mail).await?;
        let mut replies = self.finish_each().await?.into_iter();
        let no_reply = || Reply::later("4.4.2", "the next server did not reply for each recipient");
        Ok(refused.into_iter().map(|refusal| refusal.or_else(|| replies.next()).unwrap_or_else(no_reply)).collect())
    }

    /// MAIL and every RCPT. The result has the reply to each refused recipient.
    async fn begin(&mut self, mail: &Mail, origin: Option<&Origin>) -> Result<Vec<Option<Reply>>, Reply> {
        let content = Content::of(mail);
        self.can_take(mail, content)?;
        let taken = self.offers.of("XFORWARD").unwrap_or_default();
        let mut lines = origin.map(|origin| origin.commands(taken)).unwrap_or_default();
        let told = lines.len();
        lines.push(self.mail_line(&mail.envelope.sender, content));
        lines.extend(mail.envelope.recipients.iter().map(|path| self.recipient_line(path)));
        for line in &lines {
            single_line(line)?;
        }
        let mut refusals = self.converse(&lines).await?.into_iter();
        for refusal in refusals.by_ref().take(told).flatten() {
            // As Postfix: it matters for the next server's log alone.
            tracing::warn!(event = "origin-not-forwarded", reply = %refusal);
        }
        if let Some(refusal) = refusals.next().flatten() {
            self.forget().await;
            return Err(refusal);
        }
        let refusals: Vec<Option<Reply>> = refusals.collect();
        self.expected = refusals.iter().filter(|refusal| refusal.is_none()).count();
        Ok(refusals)
    }

    /// DATA, and the message without its final dot.
    async fn content(&mut self, mail: &Mail) -> Result<(), Reply> {
        let reply = self.command("DATA").await?;
        if reply.code != 354 {
            self.forget().await;
            return Err(accepted("DATA", reply.clone()).err().unwrap_or_else(|| unexpected("DATA", &reply)));
        }
        self.is_lost = true;
        for piece in with_dots(mail.message.octets(), PIECE) {
            let said = self.wire.say(&piece, self.timeouts.block).await;
            said.map_err(|fault| self.lose(fault))?;
        }
        Ok(())
    }

    /// Closes the connection with QUIT. The reply does not matter.
    pub async fn quit(mut self) {
        let _ = self.wire.say(b"QUIT\r\n", QUIT).await;
        let _ = self.reply(QUIT).await;
    }

    async fn introduce(&mut self, name: &str) -> Result<(), Reply> {
        let hello = match self.dialect {
            Dialect::Lmtp => "LHLO",
            Dialect::Smtp => "EHLO",
        };
        let reply = self.command(&format!("{hello} {name}")).await?;
        self.offers = if reply.is_positive() { Offers::read(&reply) } else { Offers::default() };
        if reply.is_positive() || self.dialect == Dialect::Lmtp {
            return connected(hello, reply);
        }
        let reply = self.command(&format!("HELO {name}")).await?;
        connected("HELO", reply)
    }

    /// Sends these commands, pipelined if the server supports it. The result has the negative replies.
    async fn converse(&mut self, lines: &[String]) -> Result<Vec<Option<Reply>>, Reply> {
        let at_once = if self.offers.has("PIPELINING") { PIPELINED } else { 1 };
        let mut refusals = Vec::with_capacity(lines.len());
        for few in lines.chunks(at_once) {
            self.say(format!("{}\r\n", few.join("\r\n")).as_bytes()).await?;
            for line in few {
                let reply = self.reply(self.timeouts.command).await?;
                refusals.push(accepted(line, reply).err());
            }
        }
        Ok(refusals)
    }

    /// Ends a transaction that was refused half-way.
    async fn forget(&mut self) {
        if !self.is_lost && self.reset().await.is_err() {
            self.is_lost = true;
        }
    }

    /// Whether the server can take this mail unchanged.
    fn can_take(&self, mail: &Mail, content: Content) -> Result<(), Reply> {
        if content == Content::EightBit && !self.offers.has("8BITMIME") {
            return Err(Reply::new(554, "5.6.3", "8-bit content, but the next server does not support 8BITMIME"));
        }
        if needs_utf8(mail) && !self.offers.has("SMTPUTF8") {
            return Err(Reply::new(554, "5.6.7", "international mail, but the next server does not support SMTPUTF8"));
        }
        let octets = mail.message.octets().len() as u64;
        let most = self.offers.of("SIZE").and_then(|most| most.trim().parse().ok()).filter(|most| *most > 0);
        if most.is_some_and(|most: u64| octets > most) {
            let words =
                format!("Message size {octets} exceeds the limit of the next server ({})", most.unwrap_or_default());
            return Err(Reply::new(552, "5.3.4", words));
        }
        Ok(())
    }

    fn mail_line(&self, path: &ReversePath, content: Content) -> String {
        let address = path.address.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut line = format!("MAIL FROM:<{address}>");
        if content == Content::EightBit && self.offers.has("8BITMIME") {
            line.push_str(" BODY=8BITMIME");
        }
        self.add_parameters(&mut line, &path.parameters);
        line
    }

    fn recipient_line(&self, path: &ForwardPath) -> String {
        let mut line = format!("RCPT TO:<{}>", path.address);
        self.add_parameters(&mut line, &path.parameters);
        line
    }

    /// Parameters of an extension that the server lacks are left out (RFC 3461, section 5.2.2).
    fn add_parameters(&self, line: &mut String, parameters: &[String]) {
        for parameter in parameters {
            let keyword = parameter.split('=').next().unwrap_or_default().to_ascii_uppercase();
            let extension = if keyword == "SMTPUTF8" { "SMTPUTF8" } else { "DSN" };
            if self.offers.has(extension) {
                line.push(' ');
                line.push_str(parameter);
            }
        }
    }

    async fn say(&mut self, octets: &[u8]) -> Result<(), Reply> {
        let said = self.wire.say(octets, self.timeouts.command).await;
        said.map_err(|fault| self.lose(fault))
    }

    async fn reply(&mut self, limit: Duration) -> Result<Reply, Reply> {
        let reply = Reply::read(&mut self.wire, limit).await.map_err(|fault| self.lose(fault))?;
        let reply = Reply { server: Some(Arc::clone(&self.server)), ..reply };
        // RFC 5321, section 3.8: the server is about to close.
        self.is_lost |= reply.code == 421;
        Ok(reply)
    }

    fn lose(&mut self, fault: Fault) -> Reply {
        self.is_lost = true;
        let why = match fault {
            Fault::Gone(error) => error.to_string().to_lowercase(),
            Fault::Bare => "its lines do not end in CRLF".to_owned(),
            Fault::Long => "its lines are too long".to_owned(),
        };
        Reply::later("4.4.2", format!("the connection with the next server broke: {why}"))
    }
}

/// Whether there are octets beyond ASCII in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// There are.
    EightBit,
    /// There are none.
    SevenBit,
}

impl Content {
    fn of(mail: &Mail) -> Content {
        if mail.message.octets().is_ascii() { Content::SevenBit } else { Content::EightBit }
    }
}

/// Whether the mail needs SMTPUTF8: it was declared and the header is not ASCII, or an address is not (RFC 6531, section 3.2).
fn needs_utf8(mail: &Mail) -> bool {
    let envelope = &mail.envelope;
    let paths = envelope.recipients.iter().map(|path| &path.address).chain(&envelope.sender.address);
    let is_declared = envelope.sender.parameters.iter().any(|parameter| parameter.eq_ignore_ascii_case("SMTPUTF8"));
    let is_international = |address: &crate::mail::Address| !address.local().is_ascii();
    paths.into_iter().any(is_international) || (is_declared && !mail.message.root().header_octets().is_ascii())
}

/// A negative reply as an error that names the command.
fn accepted(to: &str, reply: Reply) -> Result<(), Reply> {
    if reply.is_positive() {
        return Ok(());
    }
    if !(400..600).contains(&reply.code) {
        return Err(unexpected(to, &reply));
    }
    // RFC 5321, section 3.8: 421 is about our connection. RFC 4954, section 6: these are about our login. The client may try again.
    let code = if matches!(reply.code, 421 | 530 | 534 | 535 | 538) { 451 } else { reply.code };
    let class = code / 100;
    let agrees = |status: &String| status.starts_with(&class.to_string());
    let status = reply.status.filter(agrees).unwrap_or_else(|| format!("{class}.0.0"));
    let command = shown(to);
    let said = reply.lines.join(" ");
    Err(Reply {
        code,
        status: Some(status),
        lines: vec![format!("{said} (in reply to {command})")],
        server: reply.server,
    })
}

/// [`accepted`] for a command that is about no message: the server refuses this host, and the message may be sent later (Postfix's
/// `smtp_skip_5xx_greeting`).
fn connected(to: &str, reply: Reply) -> Result<(), Reply> {
    accepted(to, reply).map_err(|refusal| match refusal.code {
        500.. => Reply::later("4.4.0", format!("the next server does not serve this host: {refusal}")),
        _ => refusal,
    })
}

/// The error for a reply that the command cannot have. It must not reach the client (RFC 5321, section 4.3.2, has 3yz for DATA alone).
fn unexpected(to: &str, reply: &Reply) -> Reply {
    let command = shown(to);
    Reply::later("4.5.0", format!("unexpected reply {} of the next server to {command}", reply.code))
}

/// A command for a reply text: MAIL without its parameters.
fn shown(command: &str) -> &str {
    command.split(" BODY=").next().unwrap_or(command)
}

/// A command that is certainly one line.
fn single_line(line: &str) -> Result<&str, Reply> {
    if line.chars().any(char::is_control) {
        return Err(Reply::new(553, "5.1.0", "Error: control character in an address or parameter"));
    }
    Ok(line)
}

/// Pipelined commands. Their replies fit into the buffers of any connection.
const PIPELINED: usize = 100;
/// The end of a message after its last line.
const END: &[u8] = b".\r\n";
/// Octets of a message per write.
const PIECE: usize = 256 * 1024;
/// How long to wait for the reply to QUIT.
const QUIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::{Address, Envelope, Message, Submitter},
    };

    /// Speaks with a server that takes XFORWARD and refuses what it is told by it; answers with the lines that it heard.
    async fn heard(origin: Option<&Origin>) -> Vec<String> {
        let (here, there) = tokio::io::duplex(1024);
        let server = tokio::spawn(async move {
            let (from, mut to) = tokio::io::split(there);
            let mut lines = BufReader::new(from).lines();
            let mut heard = Vec::new();
            to.write_all(b"220 mx\r\n").await.unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                let reply = match line.split(' ').next().unwrap_or_default() {
                    "EHLO" => "250-mx\r\n250-PIPELINING\r\n250 XFORWARD ADDR HELO\r\n",
                    "XFORWARD" => "501 5.5.4 no\r\n",
                    "DATA" => "354 go on\r\n",
                    "MAIL" | "RCPT" | "." => "250 2.0.0 ok\r\n",
                    _ => "",
                };
                to.write_all(reply.as_bytes()).await.unwrap();
                heard.push(line);
            }
            heard
        });
        let caller = Caller {
            name: "us.test".to_owned(),
            connector: Connector::new(),
            timeouts: Timeouts::default(),
            dialect: Dialect::Smtp,
        };
        let mut client = caller.greet(Box::new(here), "mx", &Security::None).await.unwrap();
        let address = |text: &str| Address::parse(text).unwrap();
        let sender = ReversePath { address: Some(address("a@x.org")), parameters: Vec::new() };
        let recipients = vec![ForwardPath { address: address("b@y.org"), parameters: Vec::new() }];
        let message = Message::parse(b"Subject: x\r\n\r\nx\r\n".to_vec(), &mut Budget::new(Limits::default())).unwrap();
        let mail =
            Mail { envelope: Envelope { sender, recipients }, submitter: Submitter::Unknown, client: None, message };
        assert_eq!(client.send(&mail, origin).await.unwrap().code, 250);
        assert!(!client.is_lost());
        drop(client);
        server.await.unwrap()
    }

    #[tokio::test]
    async fn a_refused_xforward_does_not_stop_the_mail() {
        let origin = Origin::default().at("192.0.2.7".parse().unwrap());
        let told = ["EHLO us.test", "XFORWARD ADDR=192.0.2.7 HELO=[UNAVAILABLE]", "MAIL FROM:<a@x.org>"];
        assert_eq!(heard(Some(&origin)).await[..3], told);
        assert_eq!(heard(None).await[..2], ["EHLO us.test", "MAIL FROM:<a@x.org>"]);
    }
}
