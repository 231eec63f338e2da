//! A message and its parts: spans over immutable octets.

use std::sync::Arc;

use super::header::{ContentType, Field};
use crate::base::{Budget, Result};

/// A range of octets in a message, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// First octet.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

/// An immutable message, parsed once. Cheap to clone: clones share octets and tree.
///
/// A `Message` may be a part of a larger one ([`Part::as_message`]); then its spans are still those of the larger octets.
#[derive(Clone, Debug)]
pub struct Message {
    octets: Arc<Vec<u8>>,
    // tree: Arc<[Node]>, root: usize
}

/// A view of one part of a [`Message`]; copy it freely.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    message: &'a Message,
    node: usize,
}

impl Message {
    /// Parses the octets, whatever they are, without loss. Errors only when over the Budget.
    pub fn parse(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
        let _ = (octets, budget);
        todo!()
    }

    /// The root part.
    pub fn root(&self) -> Part<'_> {
        Part { message: self, node: 0 }
    }

    /// The octets of this message (of the root part, when it is a part of a larger one).
    pub fn octets(&self) -> &[u8] {
        todo!()
    }

    /// The octets themselves when nobody else holds them and this is a whole message; otherwise a copy.
    pub fn into_octets(self) -> Vec<u8> {
        todo!()
    }
}

impl<'a> Part<'a> {
    /// Header and body, without the line break that belongs to the boundary after it (RFC 2046, section 5.1.1).
    pub fn octets(&self) -> &'a [u8] {
        todo!()
    }
    /// Where [`Part::octets`] lie.
    pub fn span(&self) -> Span {
        todo!()
    }
    /// The header section, without the empty line that ends it.
    pub fn header_octets(&self) -> &'a [u8] {
        todo!()
    }
    /// The body, still encoded.
    pub fn body(&self) -> &'a [u8] {
        todo!()
    }
    /// Where [`Part::body`] lies.
    pub fn body_span(&self) -> Span {
        todo!()
    }
    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        std::iter::empty()
    }
    /// The first field of that name, in any case: its unfolded raw value, trimmed.
    pub fn header(&self, name: &str) -> Option<String> {
        let _ = name;
        todo!()
    }
    /// The content type; `text/plain` when absent or unreadable, `message/rfc822` inside multipart/digest (RFC 2045, 5.2; RFC 2046, 5.1.5).
    pub fn content_type(&self) -> &'a ContentType {
        todo!()
    }
    /// `7bit`, `8bit`, `binary`, `base64`, `quoted-printable`, lower case; `7bit` when absent.
    pub fn transfer_encoding(&self) -> String {
        todo!()
    }
    /// The parts of a multipart, or the one message in a message/rfc822.
    pub fn children(&self) -> impl ExactSizeIterator<Item = Part<'a>> + use<'a> {
        std::iter::empty()
    }
    /// What stands before the first boundary; empty unless multipart.
    pub fn preamble(&self) -> &'a [u8] {
        todo!()
    }
    /// What stands after the last boundary; empty unless multipart.
    pub fn epilogue(&self) -> &'a [u8] {
        todo!()
    }
    /// Whether a multipart's closing boundary is there.
    pub fn is_closed(&self) -> bool {
        todo!()
    }
    /// The body with base64 or quoted-printable undone; bad characters are skipped as RFC 2045 (6.7, 6.8) says.
    pub fn decoded(&self) -> std::borrow::Cow<'a, [u8]> {
        todo!()
    }
    /// The body decoded to Unicode by its charset.
    pub fn text(&self) -> String {
        todo!()
    }
    /// This part as a message of its own, sharing octets and tree.
    pub fn as_message(&self) -> Message {
        todo!()
    }
}
