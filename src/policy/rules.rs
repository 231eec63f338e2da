//! Rules, and what they order.

use crate::keys::ProtocolName;

/// One thing that is done to a mail, with nothing left to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes as it came, on purpose.
    Clear,
    /// It is signed as its author.
    Sign(ProtocolName),
    /// It is encrypted to the group's recipients.
    Encrypt(ProtocolName),
    /// Both.
    SignAndEncrypt(ProtocolName),
    /// Its layers are taken off where a key is here.
    Decrypt,
    /// What was found is written into Authentication-Results (RFC 8601).
    Annotate,
    /// These words go before the subject.
    TagSubject(String),
    /// A header field on top.
    AddHeader(String, String),
    /// Every header field of this name goes.
    RemoveHeader(String),
}
