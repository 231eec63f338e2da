//! SMTP on standard input and output: `-bs`, for programs that speak it to a child process instead of a port.

use std::io::{BufRead, Read, Write};

use super::{Sendmail, Writer, qualify};
use crate::{
    base::{Budget, Error, Kind, Result},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath},
    report::printable,
};

impl Sendmail<'_> {
    /// Answers commands (RFC 5321, section 4.1.1) until QUIT or the input ends. 250 after a message is said when somebody else has taken
    /// charge of each of its copies. Lines may end in LF alone: the peer is a program of the same user, and nothing is passed on as it came.
    ///
    /// # Errors
    ///
    /// `Io`: the peer is gone.
    pub fn converse(&self, input: &mut dyn BufRead, output: &mut dyn Write) -> Result<()> {
        let mut session = Session { sendmail: self, sender: None, recipients: Vec::new(), count: 0 };
        let gone = |error: std::io::Error| Error::io("smtp", &error);
        let mut say = |reply: &str| output.write_all(reply.as_bytes()).and_then(|()| output.flush()).map_err(gone);
        say(&format!("220 {} ESMTP\r\n", self.writer.domain))?;
        loop {
            let mut line = Vec::new();
            let most = MAX_LINE as u64;
            Read::take(&mut *input, most).read_until(b'\n', &mut line).map_err(gone)?;
            if line.is_empty() {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let reply = match verb.as_str() {
                _ if line.len() + 2 >= MAX_LINE => "500 5.5.2 line too long\r\n".to_owned(),
                "DATA" if session.recipients.is_empty() => "503 5.5.1 no recipients\r\n".to_owned(),
                "DATA" => {
                    say("354 end with a dot alone\r\n")?;
                    let data = data(input, self.limits.message).map_err(gone)?;
                    session.data(data)
                }
                "QUIT" => return say(&format!("221 2.0.0 {}\r\n", self.writer.domain)),
                _ => session.command(&verb, &line),
            };
            say(&reply)?;
        }
    }
}

/// One conversation.
struct Session<'a> {
    sendmail: &'a Sendmail<'a>,
    /// After MAIL.
    sender: Option<ReversePath>,
    recipients: Vec<ForwardPath>,
    /// Messages so far.
    count: usize,
}

impl Session<'_> {
    fn command(&mut self, verb: &str, line: &str) -> String {
        let domain = self.sendmail.writer.domain;
        let done = match verb {
            "EHLO" => {
                self.reset();
                let size = self.sendmail.limits.message;
                return format!(
                    "250-{domain}\r\n250-PIPELINING\r\n250-SIZE {size}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n"
                );
            }
            "HELO" => {
                self.reset();
                return format!("250 {domain}\r\n");
            }
            "MAIL" => self.mail(line),
            "RCPT" => self.rcpt(line),
            "RSET" => {
                self.reset();
                Ok("2.0.0 forgotten")
            }
            "NOOP" | "HELP" => Ok("2.0.0 ok"),
            "VRFY" | "EXPN" => return "252 2.5.0 send some mail and see\r\n".to_owned(),
            _ => return "502 5.5.1 unknown command\r\n".to_owned(),
        };
        match done {
            Ok(words) => format!("250 {words}\r\n"),
            Err(refusal) => format!("{refusal}\r\n"),
        }
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    fn mail(&mut self, line: &str) -> Result<&'static str, String> {
        if self.sender.is_some() {
            return Err("503 5.5.1 one sender at a time".to_owned());
        }
        let (address, parameters) =
            self.path(line, "FROM:", &["RET", "ENVID", "SMTPUTF8"], &["SIZE", "BODY", "AUTH"])?;
        self.sender = Some(ReversePath { address, parameters });
        Ok("2.1.0 ok")
    }

    fn rcpt(&mut self, line: &str) -> Result<&'static str, String> {
        if self.sender.is_none() {
            return Err("503 5.5.1 no sender yet".to_owned());
        }
        let (address, parameters) = self.path(line, "TO:", &["NOTIFY", "ORCPT"], &[])?;
        let address = address.ok_or("550 5.1.3 nobody")?;
        if self.recipients.len() >= MAX_RECIPIENTS {
            return Err("452 4.5.3 too many recipients".to_owned());
        }
        if self.recipients.iter().all(|path| path.address != address) {
            self.recipients.push(ForwardPath { address, parameters });
        }
        Ok("2.1.5 ok")
    }

    /// The address, `None` for `<>`, and the parameters that are `kept`; those `dropped` belong to the connection.
    fn path(
        &self,
        line: &str,
        keyword: &str,
        kept: &[&str],
        dropped: &[&str],
    ) -> Result<(Option<Address>, Vec<String>), String> {
        let (_, rest) = line.split_once(' ').unwrap_or_default();
        let rest = rest.trim_start();
        let rest = match rest.split_at_checked(keyword.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(keyword) => rest.trim_start(),
            _ => return Err(format!("501 5.5.4 {keyword}<address>")),
        };
        // An address may hold a bracket within quotes; no parameter holds one.
        let (path, parameters) =
            rest.strip_prefix('<').and_then(|rest| rest.rsplit_once('>')).ok_or("501 5.5.4 <address>")?;
        let address = match path {
            "" => None,
            path => Some(
                Address::parse(&qualify(path, self.sendmail.writer.domain)).map_err(|_| "553 5.1.3 not an address")?,
            ),
        };
        let mut found = Vec::new();
        for parameter in parameters.split_whitespace() {
            let name = parameter.split('=').next().unwrap_or_default();
            let is_one_of = |names: &[&str]| names.iter().any(|one| one.eq_ignore_ascii_case(name));
            match (is_one_of(kept), is_one_of(dropped)) {
                (true, _) => found.push(parameter.to_owned()),
                (_, true) => {}
                _ => return Err("555 5.5.4 unknown parameter".to_owned()),
            }
        }
        Ok((address, found))
    }

    /// What is said to a message; `None` was too large.
    fn data(&mut self, octets: Option<Vec<u8>>) -> String {
        let sender = self.sender.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        self.count += 1;
        let Some(octets) = octets else { return "552 5.3.4 message too large\r\n".to_owned() };
        match self.deliver(octets, Envelope { sender, recipients }) {
            Ok(()) => "250 2.0.0 taken\r\n".to_owned(),
            Err(error) => {
                let code = match error.kind() {
                    Kind::KeyExpired | Kind::Malformed | Kind::NoKey | Kind::Usage => "550 5.7.1",
                    _ => "451 4.3.0",
                };
                format!("{code} {}\r\n", one_line(&error))
            }
        }
    }

    fn deliver(&self, octets: Vec<u8>, envelope: Envelope) -> Result<()> {
        let sendmail = self.sendmail;
        let message = Message::parse(octets, &mut Budget::new(sendmail.limits.clone()))?;
        let own = sendmail.addresses(sendmail.writer.user)?.pop();
        let author = envelope.sender.address.clone().or(own).ok_or_else(|| Error::usage("the user has no name"))?;
        // Each message of a conversation is another one.
        let unique = format!("{}.{}", sendmail.writer.unique, self.count);
        let completed = Writer { unique, ..sendmail.writer.clone() }.complete(&message, &author);
        let message = Message::parse(completed, &mut Budget::new(sendmail.limits.clone()))?;
        let submitter = sendmail.submitter()?;
        sendmail.deliver(Mail { envelope, submitter, message }).map(drop)
    }
}

/// Up to a line that is a dot alone, without the dots before dots (RFC 5321, section 4.5.2); `None` when there is more than `most`.
fn data(input: &mut dyn BufRead, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut octets = Vec::new();
    let (mut is_too_large, mut is_line_start) = (false, true);
    loop {
        let mut line = Vec::new();
        Read::take(&mut *input, MAX_PIECE).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if is_line_start && matches!(line.as_slice(), b".\n" | b".\r\n") {
            return Ok((!is_too_large).then_some(octets));
        }
        let piece = if is_line_start { line.strip_prefix(b".").unwrap_or(&line) } else { &line };
        is_line_start = line.ends_with(b"\n");
        is_too_large |= octets.len() + piece.len() > most;
        if !is_too_large {
            octets.extend_from_slice(piece);
        }
    }
}

fn one_line(error: &Error) -> String {
    let shown = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
    printable(&error.to_string()).chars().map(shown).take(MAX_REPLY).collect()
}

/// Octets of a command with its line break. Source: the 512 of RFC 5321, section 4.5.3.1.4, and the 500 that DSN adds (RFC 3461, section
/// 4), rounded up.
const MAX_LINE: usize = 2_048;

/// Octets of a message that are read at once, if no line ends before.
const MAX_PIECE: u64 = 64 * 1024;

/// Characters of a reply. Source: RFC 5321, section 4.5.3.1.5.
const MAX_REPLY: usize = 480;

/// Recipients of one message. Source: Postfix's `smtpd_recipient_limit`.
const MAX_RECIPIENTS: usize = 1_000;
