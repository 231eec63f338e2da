//! Raw ordered headers, that can only be inserted at the top or deleted; and what their values mean.

use super::{Address, Message, Part, Span};

/// One header field as it stands in the octets.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name as written.
    pub name: &'a str,
    /// All octets from the name up to and with the last line break.
    pub raw: &'a [u8],
    /// What follows the colon, with folding, without the last line break.
    pub value: &'a [u8],
    /// Where `raw` lies.
    pub span: Span,
}

impl Field<'_> {
    /// Whether this is the field `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
    /// The value unfolded and trimmed, undecodable octets replaced.
    pub fn unfolded(&self) -> String {
        todo!()
    }
    /// The value unfolded, with encoded words (RFC 2047) decoded.
    pub fn decoded(&self) -> String {
        todo!()
    }
}

/// A structured value with parameters: Content-Type and Content-Disposition (RFC 2045, 5.1; RFC 2183; RFC 2231 undone).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// `text`, lower case.
    pub kind: String,
    /// `plain`, lower case; empty for a disposition.
    pub subtype: String,
    /// Names in lower case, values decoded, in order.
    pub parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Reads a value; anything unreadable is text/plain.
    pub fn parse(value: &str) -> ContentType {
        let _ = value;
        todo!()
    }
    /// Whether it is `kind/subtype` (lower case).
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }
    /// The parameter `name` (lower case).
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The one mailbox that wrote the message: `None` when From is missing, repeated, or has several mailboxes (DESIGN 3).
pub fn author(root: Part<'_>) -> Option<Address> {
    let _ = root;
    todo!()
}

/// A header section in the making: raw fields of `from`, less those deleted, under those inserted.
#[derive(Clone, Debug)]
pub struct Edit<'a> {
    fields: Vec<Field<'a>>,
    top: Vec<Vec<u8>>,
}

impl<'a> Edit<'a> {
    /// Starts from the fields of `part`.
    pub fn new(part: Part<'a>) -> Self {
        Edit { fields: part.fields().collect(), top: Vec::new() }
    }
    /// Deletes every field of that name (any case).
    pub fn delete(&mut self, name: &str) {
        self.fields.retain(|field| !field.is(name));
    }
    /// Keeps only the fields for which `keep` answers true.
    pub fn retain(&mut self, keep: impl Fn(&Field<'a>) -> bool) {
        self.fields.retain(|field| keep(field));
    }
    /// Inserts a field above all others. `raw` is complete and folded, without its last line break.
    pub fn insert(&mut self, raw: impl Into<Vec<u8>>) {
        self.top.insert(0, raw.into());
    }
    /// The fields, each with a line break, the inserted ones and every break in the style (CRLF or LF) of the first field of `from`;
    /// without the empty line.
    pub fn octets(&self) -> Vec<u8> {
        todo!()
    }
}

/// Kept so that the imports of this sketch are used.
#[doc(hidden)]
pub fn _unused(_: &Message) {}
