//! A message and its parts, as spans over immutable octets.

use std::{borrow::Cow, sync::Arc};

use memchr::memmem;

use super::{
    encoding,
    header::{ContentType, Field, fields},
    parse::{self, Node},
};
use crate::base::{Budget, Error, Limits, Result};

/// A range of octets in a message, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// First octet.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl Span {
    /// The octets of the span in `octets`; empty if it is out of range.
    pub fn of(self, octets: &[u8]) -> &[u8] {
        octets.get(self.start..self.end).unwrap_or_default()
    }
}

/// An immutable message, parsed once. Clones are cheap: they share octets and tree.
///
/// A `Message` may be a part of a larger one ([`Part::as_message`]). Its spans then refer to the octets of the larger
/// one.
#[derive(Clone, Debug)]
pub struct Message {
    octets: Arc<Vec<u8>>,
    root: Arc<Node>,
    unread: Option<Error>,
}

/// A view of one part of a [`Message`], cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    message: &'a Message,
    node: &'a Arc<Node>,
}

impl Message {
    /// Parses any octets without loss. The caller bounds their number ([`Budget::message`]).
    ///
    /// # Errors
    ///
    /// `Malformed` if nesting, number of parts or a header section exceed the Budget.
    pub fn parse(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
        let root = parse::tree(&octets, budget)?;
        Ok(Message { octets: Arc::new(octets), root, unread: None })
    }

    /// As [`Message::parse`], for mail that may go on as it came: if only its structure exceeds the Budget, its root is one part without a known type,
    /// with the header that it has, and [`Message::unread`] says why.
    ///
    /// # Errors
    ///
    /// `Malformed` if the header of the root has more octets than [`Limits::unread_header`](crate::base::Limits::unread_header).
    pub fn received(octets: Vec<u8>, budget: &mut Budget) -> Result<Message> {
        match parse::tree(&octets, budget) {
            Err(error) if error.is_over_budget() => {
                let root = parse::root_alone(&octets, budget.limits())?;
                Ok(Message { octets: Arc::new(octets), root, unread: Some(error) })
            }
            root => Ok(Message { octets: Arc::new(octets), root: root?, unread: None }),
        }
    }

    /// Reads the fields of the header and nothing below it: the rest is one leaf of no known type. For a program that passes the message on.
    ///
    /// # Errors
    ///
    /// `Malformed` if the header has more octets than [`Limits::unread_header`].
    pub fn undivided(octets: Vec<u8>, limits: &Limits) -> Result<Message> {
        let root = parse::root_alone(&octets, limits)?;
        Ok(Message { octets: Arc::new(octets), root, unread: None })
    }

    /// Why the structure of the message was not read. Such a message is neither opened nor sealed.
    pub fn unread(&self) -> Option<&Error> {
        self.unread.as_ref()
    }

    /// The root part.
    pub fn root(&self) -> Part<'_> {
        Part { message: self, node: &self.root }
    }

    /// The octets of this message, or of its part if it is a part of a larger one.
    pub fn octets(&self) -> &[u8] {
        self.root.span().of(&self.octets)
    }

    /// The octets, without a copy if they are not shared and this is a whole message.
    pub fn into_octets(self) -> Vec<u8> {
        let span = self.root.span();
        if span != (Span { start: 0, end: self.octets.len() }) {
            return span.of(&self.octets).to_vec();
        }
        Arc::unwrap_or_clone(self.octets)
    }

    /// The octets at `span`, without a copy if they are not shared.
    pub fn into_span(self, span: Span) -> Vec<u8> {
        let Message { octets, root, .. } = self;
        drop(root);
        match Arc::try_unwrap(octets) {
            Ok(mut octets) => {
                octets.truncate(span.end);
                octets.drain(..span.start.min(octets.len()));
                octets
            }
            Err(shared) => span.of(&shared).to_vec(),
        }
    }

    /// Whether this message and the other one are views of the same octets, so that their spans can be compared.
    pub fn shares_octets(&self, other: &Message) -> bool {
        Arc::ptr_eq(&self.octets, &other.octets)
    }

    /// The text of a leaf from `start` on, a position in the octets of the outermost message, as a leaf of the same
    /// type without a header. It shares the octets.
    pub fn text_from(&self, start: usize) -> Message {
        let end = self.root.body.end;
        let body = Span { start: start.min(end), end };
        let root = Node::headless(body, self.root.content_type.clone());
        Message { octets: Arc::clone(&self.octets), root: Arc::new(root), unread: None }
    }
}

impl<'a> Part<'a> {
    /// Header and body, without the line break that belongs to the boundary after it (RFC 2046, section 5.1.1).
    pub fn octets(&self) -> &'a [u8] {
        self.span().of(&self.message.octets)
    }

    /// The position of [`Part::octets`].
    pub fn span(&self) -> Span {
        self.node.span()
    }

    /// The header section, without the empty line that ends it.
    pub fn header_octets(&self) -> &'a [u8] {
        self.header_span().of(&self.message.octets)
    }

    /// The position of [`Part::header_octets`].
    pub fn header_span(&self) -> Span {
        self.node.header
    }

    /// The body, still encoded.
    pub fn body(&self) -> &'a [u8] {
        self.body_span().of(&self.message.octets)
    }

    /// The position of [`Part::body`].
    pub fn body_span(&self) -> Span {
        self.node.body
    }

    /// The octets at `span` in the outermost message.
    pub(super) fn whole(&self, span: Span) -> &'a [u8] {
        span.of(&self.message.octets)
    }

    /// The fields in order. A line that is not a field (an mbox `From ` line, a line without a colon) has an empty
    /// name.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        fields(&self.message.octets, self.node.header)
    }

    /// The unfolded and trimmed value of the first field with this name, in upper or lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.fields().find(|field| field.is(name)).map(|field| field.unfolded())
    }

    /// The content type. If absent or unreadable it is `text/plain`, in multipart/digest `message/rfc822` (RFC 2045,
    /// section 5.2; RFC 2046, section 5.1.5).
    pub fn content_type(&self) -> &'a ContentType {
        &self.node.content_type
    }

    /// `7bit`, `8bit`, `binary`, `base64` or `quoted-printable`, in lower case; `7bit` if absent.
    pub fn transfer_encoding(&self) -> String {
        parse::transfer_encoding(self.fields())
    }

    /// The parts of a multipart, or the message in a message/rfc822.
    pub fn children(&self) -> impl ExactSizeIterator<Item = Part<'a>> + use<'a> {
        let message = self.message;
        self.node.children.iter().map(move |node| Part { message, node })
    }

    /// The octets before the first boundary; empty if not a multipart. The line break before the boundary belongs to
    /// the boundary.
    pub fn preamble(&self) -> &'a [u8] {
        self.margins().0.of(&self.message.octets)
    }

    /// The octets after the line of the last boundary; empty if not a multipart.
    pub fn epilogue(&self) -> &'a [u8] {
        self.margins().1.of(&self.message.octets)
    }

    /// The positions of [`Part::preamble`] and [`Part::epilogue`]; empty at the body's start and end if not a
    /// multipart.
    pub fn margins(&self) -> (Span, Span) {
        let Span { start, end } = self.node.body;
        let none = (Span { start, end: start }, Span { start: end, end });
        self.node.margins.as_ref().map_or(none, |margins| (margins.preamble, margins.epilogue))
    }

    /// Whether a multipart has its closing boundary; true for other parts.
    pub fn is_closed(&self) -> bool {
        self.node.margins.as_ref().is_none_or(|margins| margins.closed)
    }

    /// The body with base64 or quoted-printable decoded. Invalid characters are skipped (RFC 2045, sections 6.7 and
    /// 6.8).
    pub fn decoded(&self) -> Cow<'a, [u8]> {
        // A multipart may only have 7bit, 8bit or binary (RFC 2045, section 6.4). Any other encoding is ignored.
        if !self.node.children.is_empty() {
            return Cow::Borrowed(self.body());
        }
        match self.transfer_encoding().as_str() {
            "base64" => Cow::Owned(encoding::base64_decode(self.body())),
            "quoted-printable" => Cow::Owned(encoding::quoted_printable_decode(self.body())),
            _ => Cow::Borrowed(self.body()),
        }
    }

    /// The first octets of the decoded body, and whether all of it holds `words`. Base64 is decoded piece by piece for this.
    pub fn glance(&self, words: &[u8]) -> (Vec<u8>, bool) {
        if self.node.children.is_empty() && self.transfer_encoding() == "base64" {
            return encoding::base64_glance(self.body(), words);
        }
        let decoded = self.decoded();
        let start = decoded.get(..encoding::GLANCE).unwrap_or(&decoded).to_vec();
        (start, memmem::find(&decoded, words).is_some())
    }

    /// The body decoded to Unicode by its charset (RFC 2046, section 4.1.2).
    pub fn text(&self) -> String {
        encoding::to_unicode(&self.decoded(), self.content_type().parameter("charset").unwrap_or("us-ascii"))
    }

    /// This leaf, decoded. Shares octets and tree unless it is in base64 or quoted-printable.
    pub fn plain(&self) -> Message {
        match self.decoded() {
            Cow::Borrowed(_) => self.as_message(),
            Cow::Owned(octets) => {
                let root = Node::headless(Span { start: 0, end: octets.len() }, self.node.content_type.clone());
                Message { octets: Arc::new(octets), root: Arc::new(root), unread: None }
            }
        }
    }

    /// This part as a message of its own, sharing octets and tree.
    pub fn as_message(&self) -> Message {
        Message { octets: Arc::clone(&self.message.octets), root: Arc::clone(self.node), unread: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    fn message(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    #[test]
    fn into_octets_copies_only_what_is_shared() {
        let octets = b"A: b\r\n\r\nbody".to_vec();
        let place = octets.as_ptr();
        let whole = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
        let copied = whole.clone().into_octets();
        assert_ne!(copied.as_ptr(), place);
        let same = whole.into_octets();
        assert_eq!(same.as_ptr(), place);
    }

    #[test]
    fn a_part_is_a_message_of_its_own() {
        let whole = message("Content-Type: multipart/mixed; boundary=b\n\n--b\nA: 1\n\none\n--b\n\ntwo\n--b--\n");
        let first = whole.root().children().next().unwrap().as_message();
        assert_eq!(first.octets(), b"A: 1\n\none");
        assert_eq!(first.root().header("a").as_deref(), Some("1"));
        assert_eq!(first.into_octets(), b"A: 1\n\none");
    }

    #[test]
    fn bodies_are_decoded() {
        let part =
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: Quoted-Printable\n\nna=EFve=\n\n";
        assert_eq!(message(part).root().decoded().as_ref(), b"na\xefve\n");
        assert_eq!(message(part).root().text(), "na\u{ef}ve\n");
        assert_eq!(message("Content-Transfer-Encoding: base64\n\naGk=\n").root().decoded().as_ref(), b"hi");
        assert_eq!(
            message("Content-Transfer-Encoding: x-other (what?)\n\naGk=\n").root().transfer_encoding(),
            "x-other"
        );
    }
}
