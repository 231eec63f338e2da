//! The SMTP envelope.

use super::{Address, Message};

/// Who sends and who receives, as SMTP has it (RFC 5321, 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope {
    /// `None` is the null sender `<>`.
    pub sender: Option<Address>,
    /// In order, none twice.
    pub recipients: Vec<Address>,
}

/// An envelope and one immutable message.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Who.
    pub envelope: Envelope,
    /// What.
    pub message: Message,
}
