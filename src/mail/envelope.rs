//! The SMTP envelope.

use super::{Address, Login, Message};

/// Who sends and who receives, as SMTP has it (RFC 5321, section 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope {
    /// The reverse-path.
    pub sender: ReversePath,
    /// In order; no address twice.
    pub recipients: Vec<ForwardPath>,
}

/// What MAIL FROM said (RFC 5321, section 4.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReversePath {
    /// `None` is the null sender `<>`.
    pub address: Option<Address>,
    /// The ESMTP parameters that concern the message and are passed on as they came: `RET=HDRS`, `ENVID=...`, `SMTPUTF8` (RFC 3461, 6531).
    /// SIZE, BODY and AUTH belong to the connection and are not here.
    pub parameters: Vec<String>,
}

/// What one RCPT TO said (RFC 5321, section 4.1.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardPath {
    /// The mailbox.
    pub address: Address,
    /// The ESMTP parameters, passed on as they came: `NOTIFY=...`, `ORCPT=...` (RFC 3461).
    pub parameters: Vec<String>,
}

/// Who handed the message over, as far as the transport knows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Submitter {
    /// Nobody in particular: mail from the world.
    #[default]
    Unknown,
    /// Somebody who logged in: the SASL authentication identity (RFC 4954), or the local user's name.
    Authenticated(Login),
    /// A client in a network that the configuration trusts.
    Trusted,
}

/// An envelope and one immutable message.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Who.
    pub envelope: Envelope,
    /// From whom this machine has it.
    pub submitter: Submitter,
    /// What.
    pub message: Message,
}
