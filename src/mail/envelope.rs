//! The SMTP envelope.

use std::{collections::HashSet, net::IpAddr};

use serde::{Deserialize, Serialize};

use super::{Address, Login, Message};

/// Sender and recipients (RFC 5321, section 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct Envelope {
    /// The reverse-path.
    pub sender: ReversePath,
    /// The recipients in order, without duplicates.
    pub recipients: Vec<ForwardPath>,
}

impl Envelope {
    /// Adds the recipients of another envelope that are not in this one.
    pub fn join(&mut self, other: &Envelope) {
        let known: HashSet<&Address> = self.recipients.iter().map(|path| &path.address).collect();
        let new: Vec<ForwardPath> =
            other.recipients.iter().filter(|path| !known.contains(&path.address)).cloned().collect();
        self.recipients.extend(new);
    }
}

/// The argument of MAIL FROM (RFC 5321, section 4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
pub struct ReversePath {
    /// The address; `None` for the null sender `<>`.
    pub address: Option<Address>,
    /// ESMTP parameters of the message, passed on unchanged: `RET=HDRS`, `ENVID=...`, `SMTPUTF8` (RFC 3461, RFC 6531).
    /// SIZE, BODY and AUTH concern the connection and are not included.
    pub parameters: Vec<String>,
}

/// The argument of one RCPT TO (RFC 5321, section 4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ForwardPath {
    /// The mailbox.
    pub address: Address,
    /// ESMTP parameters, passed on unchanged: `NOTIFY=...`, `ORCPT=...` (RFC 3461).
    pub parameters: Vec<String>,
}

/// The client that submitted the message, as far as the transport knows.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Submitter {
    /// Unknown: mail from the internet.
    #[default]
    Unknown,
    /// An authenticated user: the SASL authentication identity (RFC 4954), or the local user's name.
    Authenticated(Login),
    /// This host, which sends on what came to one of its addresses. It signs as no author.
    Host,
    /// A client in a network that the configuration trusts.
    Trusted,
}

/// An envelope and an immutable message.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Sender and recipients.
    pub envelope: Envelope,
    /// The client that submitted the message.
    pub submitter: Submitter,
    /// The client's address, where the transport knows it: not behind a relay that does not name it.
    pub client: Option<IpAddr>,
    /// The message.
    pub message: Message,
}
