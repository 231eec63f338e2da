//! A mailbox on an IMAP server that takes messages.

use super::{
    client::Client,
    names::{Naming, quoted},
    response::{Code, Fetched, Status, Untagged},
    source::{name, open},
    state,
};
use crate::{
    base::{Error, Result, hex},
    crypto::Hash,
    mailbox::{
        MessageId, MessageSink, Stored,
        remote::{Access, Purpose, Server},
    },
};

/// Appends to one mailbox, with flags and dates.
pub struct ImapSink {
    name: String,
    client: Client,
    wire_name: Vec<u8>,
    validity: u32,
    /// No message that is appended from here on has a lower UID.
    next: u32,
}

impl ImapSink {
    /// Connects with the server. A mailbox that is not there is made.
    ///
    /// # Errors
    ///
    /// As [`super::ImapSource::connect`].
    pub fn connect(server: &Server, mailbox: &str, access: &Access) -> Result<ImapSink> {
        let mut client = Client::connect(server, access)?;
        let wire_name = client.naming().write(mailbox);
        let target = quoted(&wire_name)?;
        let (mut next, mut validity) = (None, None);
        let ask = [b"STATUS ", &target[..], b" (UIDNEXT UIDVALIDITY)"].concat();
        let mut read = |untagged| {
            if let Untagged::MailboxStatus { next: uid, validity: number } = untagged {
                (next, validity) = (uid, number);
            }
            Ok(())
        };
        if client.attempt(&ask, &mut read)?.0 != Status::Ok {
            client.command(&[b"CREATE ", &target[..]].concat(), |_| Ok(()))?;
            client.command(&ask, &mut read)?;
        }
        let (Some(next), Some(validity)) = (next, validity) else {
            return Err(Error::unavailable(format!(
                "{}: {mailbox}: the server gives no UIDNEXT and UIDVALIDITY",
                client.place()
            )));
        };
        Ok(ImapSink { name: name(server, Some(mailbox)), client, wire_name, validity, next })
    }

    /// Appends a message. Its id in the mailbox, as [`super::ImapSource`] gives it, if the server tells it (RFC 4315).
    ///
    /// # Errors
    ///
    /// The server did not confirm that it has the message.
    pub fn add(&mut self, message: &Stored<'_>) -> Result<Option<MessageId>> {
        let target = quoted(&self.wire_name)?;
        let octets = on_the_wire(message.octets);
        let has_utf8 =
            octets.split(|octet| *octet == b'\r').take_while(|line| line.len() > 1).any(|line| !line.is_ascii());
        // RFC 6855, section 4.
        let (start, end): (&[u8], &[u8]) =
            if has_utf8 && self.client.naming() == Naming::Utf8 { (b"UTF8 (~", b")") } else { (b"", b"") };
        let line = [b"APPEND ", &target[..], b" ", state::write(message.state).as_bytes(), start].concat();
        match self.client.with_literal(&line, &octets, end)? {
            (Status::Ok, text) => match text.code {
                Some(Code::AppendUid(validity, uid)) if validity == self.validity => {
                    self.next = uid.saturating_add(1);
                    Ok(Some(id(validity, uid)))
                }
                _ => Ok(None),
            },
            (_, text) => Err(self.client.refused("APPEND", &text)),
        }
    }

    /// Asks the server for nothing, so that it does not end a connection that is idle for long.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub fn keep_alive(&mut self) -> Result<()> {
        self.client.command(b"NOOP", |_| Ok(())).map(drop)
    }

    /// Finds a message that was appended after a mark of [`MessageSink::mark`].
    ///
    /// # Errors
    ///
    /// `Malformed`: it is no such mark. Others: the server cannot be asked.
    pub fn find(&mut self, mark: &str) -> Result<Option<MessageId>> {
        let mark = Mark::parse(mark).ok_or_else(|| Error::malformed(&self.name, "not a mark of this mailbox"))?;
        let validity = open(&mut self.client, &self.wire_name, Purpose::Read)?;
        // In a mailbox that was made anew, it may be anywhere.
        let first = if validity == mark.validity { mark.next } else { 1 };
        let mut candidates = Vec::new();
        self.client.command(format!("UID FETCH {first}:* (UID RFC822.SIZE)").as_bytes(), |untagged| {
            if let Untagged::Fetch(_, Fetched { uid: Some(uid), size: Some(size), .. }) = untagged
                && uid >= first
                && size == mark.size
            {
                candidates.push(uid);
            }
            Ok(())
        })?;
        for uid in candidates {
            let mut is_it = false;
            self.client.command(format!("UID FETCH {uid} (UID BODY.PEEK[])").as_bytes(), |untagged| {
                if let Untagged::Fetch(_, Fetched { uid: Some(own), body: Some(body), .. }) = untagged {
                    is_it |= own == uid && digest(&body) == mark.digest;
                }
                Ok(())
            })?;
            if is_it {
                return Ok(Some(id(validity, uid)));
            }
        }
        Ok(None)
    }
}

impl MessageSink for ImapSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn append(&mut self, message: &Stored<'_>) -> Result<()> {
        self.add(message).map(drop)
    }

    fn mark(&mut self, message: &Stored<'_>) -> Result<Option<String>> {
        let octets = on_the_wire(message.octets);
        Ok(Some(format!("{}.{}.{}.{}", self.validity, self.next, octets.len(), digest(&octets))))
    }

    fn has(&mut self, mark: &str) -> Result<bool> {
        Ok(self.find(mark)?.is_some())
    }
}

/// Where the mailbox ended before an append, and what was appended.
struct Mark {
    validity: u32,
    next: u32,
    size: u64,
    digest: String,
}

impl Mark {
    fn parse(text: &str) -> Option<Mark> {
        let mut fields = text.split('.');
        let mut next = || fields.next();
        Some(Mark {
            validity: next()?.parse().ok()?,
            next: next()?.parse().ok()?,
            size: next()?.parse().ok()?,
            digest: next()?.to_owned(),
        })
    }
}

fn id(validity: u32, uid: u32) -> MessageId {
    MessageId::new(format!("{validity}.{uid}"))
}

fn digest(octets: &[u8]) -> String {
    hex(&Hash::Sha256.digest(octets))
}

/// With CRLF at each end of a line (RFC 9051, section 6.3.12: an RFC 5322 message). A lone CR stays.
fn on_the_wire(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(octets.len() + octets.len() / 32);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                lines.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                lines.extend_from_slice(b"\r\n");
            }
            None => lines.extend_from_slice(line),
        }
    }
    lines
}
