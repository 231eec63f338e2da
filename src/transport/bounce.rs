//! Delivery status notifications (RFC 3464): to the sender of a message that was taken, for recipients whose copy the next hop refused for good.
//!
//! A message is refused with a reply wherever a reply can say it. What is left is a message of which some copies are with the next hop already: a
//! reply that refuses it would be about the others too. Then the sender gets a notification, and the client gets 250.

use std::sync::Arc;

use super::{
    smtp::Reply,
    template::{Template, Writer},
};
use crate::{
    base::{Budget, Error, Result, hex, rfc5322},
    mail::{Address, Envelope, ForwardPath, Mail, Message, Part, ReversePath, Submitter},
};

/// Writes delivery status notifications.
#[derive(Clone)]
pub struct Bounces {
    /// The text for people, with [`BOUNCE_PLACEHOLDERS`]; `None`: a text of ours.
    template: Template,
    writer: Writer,
    /// The name of this host.
    host: String,
}

/// What the template of a notification may name.
pub const BOUNCE_PLACEHOLDERS: &[&str] = &["from", "host", "reasons", "time"];

/// A recipient who gets nothing, and what the next hop said.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The recipient, with what the sender asked for (RFC 3461).
    pub path: ForwardPath,
    /// The reply that refused the copy.
    pub reply: Reply,
}

impl Failed {
    /// Every recipient of a copy that was refused.
    pub fn of(copy: &Mail, reply: &Reply) -> Vec<Failed> {
        copy.envelope.recipients.iter().map(|path| Failed { path: path.clone(), reply: reply.clone() }).collect()
    }
}

impl Bounces {
    /// Notifications that `writer` writes in the name of `host`; without a template, in English and German.
    ///
    /// # Errors
    ///
    /// None of the text of ours.
    pub fn new(template: Option<Template>, writer: Writer, host: &str) -> Result<Bounces> {
        let ours = || Template::parse(TEXT, BOUNCE_PLACEHOLDERS);
        let template = template.map_or_else(ours, Ok);
        let template = template.map_err(|why| Error::malformed("notification", why))?;
        Ok(Bounces { template, writer, host: host.to_owned() })
    }

    /// The notification to the sender of `copy`, of which `failed` get nothing; `author` is that of the message, if it is authentic. `None`: the sender may
    /// be forged, is a program, or asked for none.
    ///
    /// # Errors
    ///
    /// There is no randomness, or the notification exceeds the limits.
    pub fn mail(&self, copy: &Mail, author: Option<&Address>, failed: &[Failed]) -> Result<Option<Mail>> {
        let Some(sender) = told(copy, author) else { return Ok(None) };
        let failed: Vec<&Failed> = failed.iter().filter(|failed| is_wanted(&failed.path)).collect();
        if failed.is_empty() {
            return Ok(None);
        }
        let time = rfc5322(self.writer.clock.now());
        let reasons: Vec<String> =
            failed.iter().map(|failed| format!("<{}>: {}", failed.path.address, failed.reply)).collect();
        // Each line is a value of its own, so that no reply can end a line.
        let value = |name: &str| match name {
            "from" => sender.to_string(),
            "host" => self.host.clone(),
            "time" => time.clone(),
            _ => String::new(),
        };
        let (subject, text) = self.template.filled(value, &[("reasons", reasons)]);
        let mut random = [0; 16];
        self.writer.random.fill(&mut random)?;
        let boundary = format!("=_{}", hex(&random));
        let status = status(&self.host, copy, &failed, &time);
        let message = self.writer.report(
            &sender,
            &subject,
            &[
                ("text/plain; charset=utf-8", text.as_bytes()),
                ("message/delivery-status", status.as_bytes()),
                // RET=HDRS, whatever was asked for: the content is in the sender's own folder of sent mail.
                ("text/rfc822-headers", header(copy.message.root()).as_bytes()),
            ],
            &boundary,
        )?;
        let message = Message::parse(message, &mut Budget::new(self.writer.limits.clone()))?;
        let recipients = vec![ForwardPath { address: sender, parameters: Vec::new() }];
        let envelope = Envelope { sender: ReversePath::default(), recipients };
        Ok(Some(Mail { envelope, submitter: Submitter::Trusted, client: None, message }))
    }
}

/// Copies of one message that the next hop refused for good, while it took others.
pub(super) struct Refused<'a> {
    bounces: Option<&'a Arc<Bounces>>,
    author: Option<&'a Address>,
    copy: Option<Mail>,
    failed: Vec<Failed>,
}

impl<'a> Refused<'a> {
    /// None so far. `author` is that of the message, if it is authentic.
    pub(super) fn new(bounces: Option<&'a Arc<Bounces>>, author: Option<&'a Address>) -> Refused<'a> {
        Refused { bounces, author, copy: None, failed: Vec::new() }
    }

    /// Notes a copy that was refused with `reply`; `false`, and notes nothing, where a notification cannot say it: the refusal is not for good, or the
    /// sender may not be told.
    pub(super) fn takes(&mut self, copy: &Mail, reply: &Reply) -> bool {
        if self.bounces.is_none() || reply.is_temporary() || told(copy, self.author).is_none() {
            return false;
        }
        self.failed.extend(Failed::of(copy, reply));
        self.copy.get_or_insert_with(|| copy.clone());
        true
    }

    /// The one notification of the message; `None`: there is nothing to say, or the sender asked for none.
    pub(super) fn mail(&self) -> Option<Mail> {
        let (bounces, copy) = (self.bounces?, self.copy.as_ref()?);
        bounces.mail(copy, self.author, &self.failed).unwrap_or_else(|error| {
            tracing::warn!(event = "bounce-not-sent", %error);
            None
        })
    }
}

/// Who is told. A notification to a sender that anyone could have written would reach people who never sent the message (RFC 3834, section 4;
/// RFC 5321, section 6.1): it goes to a client that logged in or that is trusted, and to the author of an authentic message.
fn told(copy: &Mail, author: Option<&Address>) -> Option<Address> {
    let sender = copy.envelope.sender.address.as_ref()?;
    let is_known = match copy.submitter {
        Submitter::Authenticated(_) | Submitter::Trusted => true,
        // What this host sends on has a sender of this host.
        Submitter::Host => false,
        Submitter::Unknown => author == Some(sender),
    };
    (is_known && !is_automatic(copy.message.root())).then(|| sender.clone())
}

/// Whether a program wrote it, or a list sent it (RFC 3834, section 2; RFC 2919).
fn is_automatic(root: Part<'_>) -> bool {
    let says = |name: &str| root.header(name).map(|value| value.trim().to_ascii_lowercase());
    let is_auto = says("Auto-Submitted").is_some_and(|value| value.split(';').next().map(str::trim) != Some("no"));
    let is_bulk = says("Precedence").is_some_and(|value| ["bulk", "junk", "list"].contains(&value.as_str()));
    is_auto || is_bulk || ["List-Id", "List-Post", "List-Unsubscribe"].iter().any(|name| root.header(name).is_some())
}

/// Whether the sender wants to know of a failure (RFC 3461, section 4.1). Without NOTIFY, yes.
fn is_wanted(path: &ForwardPath) -> bool {
    parameter(&path.parameters, "NOTIFY")
        .is_none_or(|wanted| wanted.to_ascii_uppercase().split(',').any(|one| one == "FAILURE"))
}

fn parameter<'a>(parameters: &'a [String], name: &str) -> Option<&'a str> {
    let of = |parameter: &'a String| {
        let (found, value) = parameter.split_once('=')?;
        found.eq_ignore_ascii_case(name).then_some(value)
    };
    parameters.iter().find_map(of)
}

/// RFC 3464, section 2: the fields of the message, and those of each recipient.
fn status(host: &str, copy: &Mail, failed: &[&Failed], time: &str) -> String {
    let mut text = String::new();
    if let Some(id) = parameter(&copy.envelope.sender.parameters, "ENVID") {
        text += &format!("Original-Envelope-Id: {}\r\n", plain(&unescaped(id)));
    }
    text += &format!("Reporting-MTA: dns; {}\r\nArrival-Date: {time}\r\n", plain(host));
    for Failed { path, reply } in failed {
        text += "\r\n";
        if let Some((kind, address)) = parameter(&path.parameters, "ORCPT").and_then(|value| value.split_once(';')) {
            text += &format!("Original-Recipient: {}; {}\r\n", plain(kind), plain(&unescaped(address)));
        }
        text += &format!("Final-Recipient: rfc822; {}\r\nAction: failed\r\n", plain(&path.address.to_string()));
        text += &format!("Status: {}\r\n", plain(reply.status.as_deref().unwrap_or("5.0.0")));
        if let Some(server) = &reply.server {
            let name = server.split('[').next().unwrap_or_default();
            text += &format!("Remote-MTA: dns; {}\r\n", plain(name));
        }
        text += &format!("Diagnostic-Code: smtp; {}\r\n", plain(&reply.to_string()));
        text += &format!("Last-Attempt-Date: {time}\r\n");
    }
    text
}

/// One line of printable ASCII, short enough for a line of mail.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(MAX_VALUE).collect()
}

/// Decodes xtext (RFC 3461, section 4).
fn unescaped(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *octet == b'+') {
            Some(value) => {
                octets.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                octets.push(*octet);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// The header of the copy that was refused, as far as it is ASCII: what was protected in it is not shown.
fn header(root: Part<'_>) -> String {
    let text = String::from_utf8_lossy(root.header_octets());
    let lines = text.lines().filter(|line| !line.is_empty());
    let line = |line: &str| -> String {
        let plain: String =
            line.chars().map(|c| if c.is_ascii_graphic() || c == ' ' || c == '\t' { c } else { '?' }).collect();
        plain.chars().take(MAX_LINE).collect()
    };
    lines.take(MAX_LINES).map(|one| line(one) + "\r\n").collect()
}

/// The text of ours.
const TEXT: &str = "\
Subject: Undelivered mail: not all recipients got it

This is the mail system at {host}.

Your message was not delivered to:

{reasons}

The other recipients have it. The header of what was not delivered is
attached.

--

Dies ist das Mailsystem von {host}.

Ihre Nachricht wurde nicht zugestellt an die oben genannten Adressen.
Die anderen Empfänger haben sie erhalten. Die Kopfzeilen der nicht
zugestellten Nachricht sind angehängt.
";

/// Characters of a field's value. Source: a line of mail has 998 octets (RFC 5322, section 2.1.1).
const MAX_VALUE: usize = 900;
/// Octets of a line of the header that is attached.
const MAX_LINE: usize = 998;
/// Lines of the header that is attached.
const MAX_LINES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_decoded() {
        for (text, is) in
            [("a+2Bb", "a+b"), ("rfc822", "rfc822"), ("+", "+"), ("+4", "+4"), ("+zz", "+zz"), ("+0A", "\n")]
        {
            assert_eq!(unescaped(text), is);
        }
        assert_eq!(plain("a\r\nBcc: b\u{fc}"), "a??Bcc: b?");
    }

    #[test]
    fn a_sender_who_wants_no_notice_of_failures_gets_none() {
        let path = |parameters: &[&str]| ForwardPath {
            address: Address::parse("a@b.org").unwrap(),
            parameters: parameters.iter().map(ToString::to_string).collect(),
        };
        assert!(is_wanted(&path(&[])) && is_wanted(&path(&["notify=success,Failure"])));
        assert!(!is_wanted(&path(&["NOTIFY=NEVER"])) && !is_wanted(&path(&["NOTIFY=DELAY,SUCCESS"])));
    }

    #[test]
    fn programs_and_lists_are_not_told() {
        let is_automatic = |header: &str| {
            let octets = format!("From: a@b.org\r\n{header}\r\n\r\nx\r\n").into_bytes();
            let message = Message::parse(octets, &mut Budget::new(crate::base::Limits::default())).unwrap();
            is_automatic(message.root())
        };
        for header in [
            "Auto-Submitted: auto-replied",
            "Precedence: Bulk",
            "List-Id: <x.org>",
            "auto-submitted: AUTO-GENERATED; x=y",
        ] {
            assert!(is_automatic(header), "{header}");
        }
        for header in ["Auto-Submitted: no", "Precedence: special", "Subject: List-Id"] {
            assert!(!is_automatic(header), "{header}");
        }
    }
}
