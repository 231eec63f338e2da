//! Where fetched messages go.

use std::{borrow::Cow, sync::Arc};

use postseal::{
    base::{Error, Result, SystemClock, SystemRandom},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    mailbox::{
        MessageId, MessageSink, Stored,
        imap::ImapSink,
        location::{Endpoint, Location},
        maildir::MaildirSink,
        remote::Access,
    },
    transport::{
        Blocking,
        relay::{Host, Relay},
        smtp::{Caller, Dialect, Timeouts},
        tls::{Connector, Security},
    },
};

/// A target that is open.
pub(super) enum Target {
    /// A mailbox on this machine.
    Local(Box<dyn MessageSink>),
    /// A mailbox on a server.
    Imap(Box<ImapSink>),
    /// A server that takes mail for one recipient.
    Lmtp(Blocking, Address),
}

/// What a target did with a message.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The id in a mailbox on a server.
    pub(super) id: Option<MessageId>,
}

impl Target {
    /// Opens a target.
    ///
    /// # Errors
    ///
    /// `Usage`: it takes no messages, or there is no recipient. Others: it cannot be opened.
    pub(super) fn open(to: &Location, recipient: Option<&Address>, access: &Access) -> Result<Target> {
        match to {
            Location::Imap(server, Some(mailbox)) => {
                Ok(Target::Imap(Box::new(ImapSink::connect(server, mailbox, access)?)))
            }
            Location::Imap(_, None) => Err(Error::usage(format!("--to {to}: names no mailbox"))),
            Location::Pop3(_) => Err(Error::usage(format!("--to {to}: POP3 servers take no mail"))),
            Location::Lmtp(endpoint) => {
                let recipient = recipient.ok_or_else(|| {
                    Error::usage(format!("--to {to}: no recipient")).with_hint("--for ADDRESS names the recipient")
                })?;
                Ok(Target::Lmtp(lmtp(endpoint)?, recipient.clone()))
            }
            Location::Maildir(folder) => {
                let sink = MaildirSink::open(folder, Arc::new(SystemClock), Arc::new(SystemRandom))?;
                Ok(Target::Local(Box::new(sink)))
            }
            Location::Mbox(_) | Location::Path(_) => Err(Error::usage(format!("--to {to}: not a target"))
                .with_hint("maildir:DIR, imap://USER@HOST/MAILBOX, lmtp:HOST:PORT or lmtp:unix:PATH")),
        }
    }

    /// What to write down before [`Target::take`]. `None`: the target cannot be asked.
    pub(super) fn mark(&mut self, message: &Stored<'_>) -> Result<Option<String>> {
        match self {
            Target::Local(sink) => sink.mark(message),
            Target::Imap(sink) => sink.mark(message),
            Target::Lmtp(..) => Ok(None),
        }
    }

    /// Takes a message. When this returns, the target is responsible for it.
    ///
    /// # Errors
    ///
    /// It was not taken, or it is not known that it was.
    pub(super) fn take(&mut self, mark: Option<&str>, message: &Stored<'_>, parsed: &Message) -> Result<Taken> {
        match self {
            Target::Local(sink) => {
                let message = Stored { octets: &on_disk(message.octets), ..*message };
                match mark {
                    Some(mark) => sink.append_marked(mark, &message)?,
                    None => sink.append(&message)?,
                }
                Ok(Taken::default())
            }
            Target::Imap(sink) => {
                let told = sink.add(message)?;
                let id = match (told, mark) {
                    (Some(id), _) => Some(id),
                    // Without UIDPLUS it has to be looked for.
                    (None, Some(mark)) => sink.find(mark)?,
                    (None, None) => None,
                };
                Ok(Taken { id })
            }
            Target::Lmtp(next_hop, recipient) => {
                let recipients = vec![ForwardPath { address: recipient.clone(), parameters: Vec::new() }];
                let envelope = Envelope { sender: sender(parsed), recipients };
                let mail = Mail { envelope, submitter: Submitter::Unknown, client: None, message: parsed.clone() };
                next_hop.send(&mail)?;
                Ok(Taken::default())
            }
        }
    }

    /// Whether the target has the message that was marked so; `None`: not there.
    ///
    /// # Errors
    ///
    /// The target cannot be asked.
    pub(super) fn find(&mut self, mark: &str) -> Result<Option<Taken>> {
        match self {
            Target::Local(sink) => Ok(sink.has(mark)?.then(Taken::default)),
            Target::Imap(sink) => Ok(sink.find(mark)?.map(|id| Taken { id: Some(id) })),
            Target::Lmtp(..) => Ok(None),
        }
    }

    /// Keeps a connection that is idle for long.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub(super) fn keep_alive(&mut self) -> Result<()> {
        match self {
            Target::Imap(sink) => sink.keep_alive(),
            Target::Local(_) | Target::Lmtp(..) => Ok(()),
        }
    }
}

/// The envelope sender that the last delivery wrote down (RFC 5321, section 4.4), or the null sender.
pub(super) fn sender(message: &Message) -> ReversePath {
    let path = message.root().header("Return-Path").unwrap_or_default();
    let path = path.trim().trim_start_matches('<').trim_end_matches('>');
    ReversePath { address: Address::parse(path).ok(), parameters: Vec::new() }
}

fn lmtp(endpoint: &Endpoint) -> Result<Blocking> {
    let host = match endpoint {
        Endpoint::Unix(path) => Host::Unix(path.clone()),
        Endpoint::Tcp(host, port) => match host.parse() {
            Ok(address) => Host::Address((std::net::IpAddr::clone(&address), *port).into()),
            Err(_) => Host::Name(host.clone(), *port),
        },
    };
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let (connector, timeouts) = (Connector::new(), Timeouts::default());
    let caller = Caller { name, connector, timeouts, dialect: Dialect::Lmtp };
    Blocking::new(|| Ok(Box::new(Relay::new(caller, host, Security::Opportunistic))))
}

/// With LF at the ends of lines, as files have it, if that loses nothing.
fn on_disk(octets: &[u8]) -> Cow<'_, [u8]> {
    let lines = || octets.split_inclusive(|octet| *octet == b'\n');
    if lines().any(|line| line.ends_with(b"\n") && !line.ends_with(b"\r\n")) {
        return Cow::Borrowed(octets);
    }
    let mut written = Vec::with_capacity(octets.len());
    for line in lines() {
        match line.strip_suffix(b"\r\n") {
            Some(line) => written.extend([line, b"\n"].concat()),
            None => written.extend(line),
        }
    }
    Cow::Owned(written)
}
