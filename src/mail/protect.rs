//! Header protection: RFC 9788 read and written, the older `protected-headers="v1"` read.

use std::collections::BTreeMap;

use super::{Message, Part, header::Edit};

/// What became of one header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Only outside.
    Unprotected,
    /// The same inside and outside.
    Protected,
    /// Inside only, or obscured outside as the sender meant it (HP-Outer).
    Hidden,
    /// Inside and outside contradict each other without the sender's having said so.
    Differs,
}

impl Protection {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Protection::Unprotected => "unprotected",
            Protection::Protected => "protected",
            Protection::Hidden => "hidden",
            Protection::Differs => "differs",
        }
    }
}

/// What the payload says of the headers: for each field name, written as in the message, in order of name.
/// Every field of the outer header is named, but for Content-*, MIME-Version, Received and other trace fields.
pub fn compare(outer: Part<'_>, payload: Part<'_>) -> BTreeMap<String, Protection> {
    let _ = (outer, payload);
    todo!()
}

/// The value of field `name` that a reader should see: the protected one where there is one.
pub fn shown(outer: Part<'_>, payload: Part<'_>, name: &str) -> Option<String> {
    let _ = (outer, payload, name);
    todo!()
}

/// Whether the layers hide the payload (RFC 9788, section 2.1.1: `hp="cipher"`) or only sign it (`hp="clear"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Signed only.
    Clear,
    /// Encrypted: Subject becomes `[...]` outside (the baseline policy, RFC 9788, section 3.2.1), HP-Outer inside.
    Cipher,
}

/// The header of the payload (every non-structural field but Bcc copied in, `hp=` on its Content-Type) and the outer header.
pub fn protect<'a>(message: &'a Message, mode: Mode) -> (Edit<'a>, Edit<'a>) {
    let _ = (message, mode);
    todo!()
}
