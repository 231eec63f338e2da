//! SMTP on standard input and output: `-bs`, for programs that speak SMTP to a child process.

use std::io::{BufRead, Read, Write};

use super::{Sendmail, Writer, qualify};
use crate::{
    base::{Budget, Error, Result},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath},
    report::printable,
    transport::{rejection, smtp::Reply},
};

impl Sendmail<'_> {
    /// Replies to commands (RFC 5321, section 4.1.1) until QUIT or the end of the input. 250 after a message means that the next hop took
    /// every copy. Lines may end in LF alone: the client is a program of the same user.
    ///
    /// # Errors
    ///
    /// `Io`: the client closed the connection.
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
                _ if line.len() + 2 >= MAX_LINE => "500 5.5.2 Error: line too long\r\n".to_owned(),
                "DATA" if session.sender.is_none() => "503 5.5.1 Error: need MAIL command\r\n".to_owned(),
                "DATA" if session.recipients.is_empty() => "503 5.5.1 Error: need RCPT command\r\n".to_owned(),
                "DATA" => {
                    say("354 End data with <CR><LF>.<CR><LF>\r\n")?;
                    let data = data(input, self.limits.message).map_err(gone)?;
                    session.data(data)
                }
                "QUIT" => return say("221 2.0.0 Bye\r\n"),
                _ => session.command(&verb, &line),
            };
            say(&reply)?;
        }
    }
}

/// One session.
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
                Ok("2.0.0 Ok")
            }
            "NOOP" | "HELP" => Ok("2.0.0 Ok"),
            "VRFY" | "EXPN" => {
                return "252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery\r\n".to_owned();
            }
            _ => return "500 5.5.2 Error: command not recognized\r\n".to_owned(),
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
            return Err("503 5.5.1 Error: nested MAIL command".to_owned());
        }
        let (address, parameters) =
            self.path(line, "FROM:", &["RET", "ENVID", "SMTPUTF8"], &["SIZE", "BODY", "AUTH"])?;
        self.sender = Some(ReversePath { address, parameters });
        Ok("2.1.0 Ok")
    }

    fn rcpt(&mut self, line: &str) -> Result<&'static str, String> {
        if self.sender.is_none() {
            return Err("503 5.5.1 Error: need MAIL command".to_owned());
        }
        let (address, parameters) = self.path(line, "TO:", &["NOTIFY", "ORCPT"], &[])?;
        let address = address.ok_or("501 5.1.3 Bad recipient address syntax")?;
        if self.recipients.len() >= MAX_RECIPIENTS {
            return Err("452 4.5.3 Error: too many recipients".to_owned());
        }
        if self.recipients.iter().all(|path| path.address != address) {
            self.recipients.push(ForwardPath { address, parameters });
        }
        Ok("2.1.5 Ok")
    }

    /// The address, `None` for `<>`, and the parameters in `kept`. Those in `dropped` concern the connection alone.
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
            _ => return Err(format!("501 5.5.4 Syntax: {keyword}<address>")),
        };
        // An address may hold a bracket within quotes; no parameter holds one.
        let (path, parameters) = rest
            .strip_prefix('<')
            .and_then(|rest| rest.rsplit_once('>'))
            .ok_or_else(|| format!("501 5.5.4 Syntax: {keyword}<address>"))?;
        let address = match path {
            "" => None,
            path => Some(
                Address::parse(&qualify(path, self.sendmail.writer.domain))
                    .map_err(|_| "501 5.1.3 Bad address syntax")?,
            ),
        };
        let mut found = Vec::new();
        for parameter in parameters.split_whitespace() {
            let name = parameter.split('=').next().unwrap_or_default();
            let is_one_of = |names: &[&str]| names.iter().any(|one| one.eq_ignore_ascii_case(name));
            match (is_one_of(kept), is_one_of(dropped)) {
                (true, _) => found.push(parameter.to_owned()),
                (_, true) => {}
                _ => return Err(format!("555 5.5.4 Unsupported option: {name}")),
            }
        }
        Ok((address, found))
    }

    /// The reply to a message; `None` was too large.
    fn data(&mut self, octets: Option<Vec<u8>>) -> String {
        let sender = self.sender.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        self.count += 1;
        let Some(octets) = octets else { return "552 5.3.4 Message size exceeds fixed limit\r\n".to_owned() };
        match self.deliver(octets, Envelope { sender, recipients }) {
            Ok(()) => "250 2.0.0 Ok\r\n".to_owned(),
            // The client is a program of the same user, who may read the cause.
            Err(error) => {
                let Reply { code, status, .. } = rejection(&error);
                format!("{code} {} {}\r\n", status.unwrap_or_default(), one_line(&error))
            }
        }
    }

    fn deliver(&self, octets: Vec<u8>, envelope: Envelope) -> Result<()> {
        let sendmail = self.sendmail;
        let message = Message::received(octets, &mut Budget::new(sendmail.limits.clone()))?;
        let own = sendmail.addresses(sendmail.writer.user)?.pop();
        let author = envelope.sender.address.clone().or(own).ok_or_else(|| Error::usage("the user has no name"))?;
        // Each message of a session has its own Message-ID.
        let unique = format!("{}.{}", sendmail.writer.unique, self.count);
        let completed = Writer { unique, ..sendmail.writer.clone() }.complete(&message, &author);
        let message = Message::received(completed, &mut Budget::new(sendmail.limits.clone()))?;
        let submitter = sendmail.submitter()?;
        sendmail.copies.deliver(Mail { envelope, submitter, client: None, message }, self.count).map(drop)
    }
}

/// The message up to its final dot, without doubled dots (RFC 5321, section 4.5.2); `None` if it has more than `most` octets.
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

/// Octets of a message per read, if no line ends before.
const MAX_PIECE: u64 = 64 * 1024;

/// Characters of a reply. Source: RFC 5321, section 4.5.3.1.5.
const MAX_REPLY: usize = 480;

/// Recipients of one message. Source: Postfix's `smtpd_recipient_limit`.
const MAX_RECIPIENTS: usize = 1_000;
