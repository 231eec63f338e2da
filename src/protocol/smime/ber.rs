//! Reads BER (X.690) as Outlook, Apple Mail, Thunderbird and `openssl cms -stream` send it, in one pass, and converts
//! it to DER.
//!
//! Signed octets of definite length keep their encoding: certificates, CRLs, and signed or authenticated attributes.
//! Content octets are joined in place, so that a large message is in memory once.

use crate::{
    base::{Budget, Error, Result},
    mail::Span,
};

/// A ContentInfo (RFC 5652, section 3) with its content octets removed.
#[derive(Debug)]
pub(super) struct Taken {
    /// The ContentInfo in DER, with an empty OCTET STRING in place of the content.
    pub(super) skeleton: Vec<u8>,
    /// The value octets of eContent or encryptedContent, without tags and lengths, in the memory of the message. `None`
    /// if absent (detached), which differs from empty.
    pub(super) content: Option<Vec<u8>>,
    /// Whether nothing follows the object.
    pub(super) is_alone: bool,
}

/// Octets that may follow a ContentInfo. RFC 8551, section 3.2: a body is one ContentInfo and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The line breaks at the end of a body without transfer encoding, or of a file.
    LineBreaks,
    /// None.
    Nothing,
}

/// Separates a ContentInfo into content and the rest. Errors (`Malformed`) if it is not BER, is cut short, nests too
/// deep or has too many elements. Parts of the content do not count as elements.
pub(super) fn take_content(mut octets: Vec<u8>, after: After, budget: &Budget) -> Result<Taken> {
    let mut walk = Walk::new(&mut octets, Shape::ContentInfo);
    walk.run(budget)?;
    let is_break = |octet: &u8| after == After::LineBreaks && matches!(octet, b'\r' | b'\n');
    let is_alone = walk.octets.get(walk.at..).unwrap_or_default().iter().all(is_break);
    let (skeleton, content) = (walk.der(), walk.content);
    let content = content.map(|span| {
        octets.truncate(span.end);
        octets.drain(..span.start.min(octets.len()));
        octets
    });
    Ok(Taken { skeleton, content, is_alone })
}

/// Converts one element from BER to DER: minimal definite lengths, strings in one part. Sets keep their order. Octets
/// after the element are ignored.
pub(super) fn to_der(octets: &[u8], budget: &Budget) -> Result<Vec<u8>> {
    let mut octets = octets.to_vec();
    let mut walk = Walk::new(&mut octets, Shape::Any);
    walk.run(budget)?;
    Ok(walk.der())
}

/// Length in octets of the element at the start of `octets`; `None` if it is not BER.
pub(super) fn length(octets: &[u8], budget: &Budget) -> Option<usize> {
    let mut octets = octets.to_vec();
    let mut walk = Walk::new(&mut octets, Shape::Any);
    walk.run(budget).ok()?;
    Some(walk.at)
}

/// Appends a DER length (X.690, section 8.1.3).
pub(super) fn push_length(length: usize, der: &mut Vec<u8>) {
    let octets = length.to_be_bytes();
    let needed = length_octets(length) - 1;
    if needed == 0 {
        der.extend(octets.last());
        return;
    }
    der.push(0x80 | u8::try_from(needed).unwrap_or_default());
    der.extend_from_slice(octets.get(octets.len() - needed..).unwrap_or_default());
}

/// The kind of structure, which decides what keeps its encoding.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Any,
    ContentInfo,
}

/// A walk over BER without recursion, with the elements found and those still open.
struct Walk<'a> {
    octets: &'a mut [u8],
    shape: Shape,
    at: usize,
    nodes: Vec<Node>,
    open: Vec<Open>,
    content: Option<Span>,
}

/// An element, or a part of one.
struct Node {
    parent: Option<usize>,
    head: Head,
    /// Value octets that are copied unchanged; empty for a constructed element.
    value: Span,
    /// Length of all value octets in DER.
    length: usize,
}

/// The start of an element in DER.
enum Head {
    /// This tag, unchanged.
    AsIs(Span),
    /// No tag: it is a part of a string, or its value includes tag and length.
    Nothing,
    /// This tag, changed to primitive.
    Primitive(Span),
}

/// A constructed element whose end was not reached yet.
struct Open {
    node: usize,
    /// Its first octet.
    tag: u8,
    /// `None` if end-of-contents octets end it.
    end: Option<usize>,
    /// Elements inside must end here or before.
    bound: usize,
    /// Number of elements found in it.
    children: usize,
    what: What,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Container,
    /// A constructed string, whose elements are parts.
    String,
}

/// The tag and length octets of an element.
struct Header {
    /// The first octet.
    tag: u8,
    tag_span: Span,
    /// Start of the value.
    start: usize,
    /// End of the value; `None` for an indefinite length.
    end: Option<usize>,
}

impl<'a> Walk<'a> {
    fn new(octets: &'a mut [u8], shape: Shape) -> Self {
        Walk { octets, shape, at: 0, nodes: Vec::new(), open: Vec::new(), content: None }
    }

    fn run(&mut self, budget: &Budget) -> Result<()> {
        loop {
            self.close()?;
            if self.open.is_empty() && !self.nodes.is_empty() {
                break;
            }
            self.element(budget)?;
        }
        for node in (0..self.nodes.len()).rev() {
            let Some(Node { parent: Some(parent), head, length, .. }) = self.nodes.get(node) else { continue };
            let (parent, whole) = (*parent, head.octets(*length) + length);
            if let Some(parent) = self.nodes.get_mut(parent) {
                parent.length += whole;
            }
        }
        Ok(())
    }

    /// Closes every element that ends here.
    fn close(&mut self) -> Result<()> {
        while let Some(open) = self.open.last() {
            match open.end {
                Some(end) if self.at == end => {}
                None if self.octets.get(self.at..self.at + 2) == Some(&[0, 0]) && self.at + 2 <= open.bound => {
                    self.at += 2
                }
                _ => break,
            }
            self.open.pop();
        }
        Ok(())
    }

    fn element(&mut self, budget: &Budget) -> Result<()> {
        let bound = self.open.last().map_or(self.octets.len(), |open| open.bound);
        let header = header(self.octets, self.at, bound)?;
        budget.asn1_elements(self.nodes.len() + 1)?;
        budget.asn1_depth(self.open.len() + 1)?;
        let role = self.role(&header);
        if let Some(open) = self.open.last_mut() {
            open.children += 1;
        }
        let (start, end) = (header.start, header.end);
        match (role, end) {
            (ElementRole::Content, _) => {
                let span = self.put_together(&header, bound, budget)?;
                self.content = Some(span);
                self.push(Head::Primitive(header.tag_span), Span { start, end: start });
            }
            (ElementRole::Covered, Some(end)) => {
                self.push(Head::Nothing, Span { start: header.tag_span.start, end });
                self.at = end;
            }
            (ElementRole::Piece, _) if !is_piece(&header, self.open.last()) => {
                return Err(malformed("a constructed string holds another type"));
            }
            (role, end) => {
                let what =
                    if role == ElementRole::Piece || is_string(header.tag) { What::String } else { What::Container };
                let constructed = header.tag & CONSTRUCTED != 0;
                let head = match (role, what, constructed) {
                    (ElementRole::Piece, ..) => Head::Nothing,
                    (_, What::String, true) => Head::Primitive(header.tag_span),
                    _ => Head::AsIs(header.tag_span),
                };
                self.at = start;
                if constructed {
                    let node = self.push(head, Span { start, end: start });
                    let bound = end.unwrap_or(bound);
                    self.open.push(Open { node, tag: header.tag, end, bound, children: 0, what });
                } else {
                    let end = end.ok_or_else(|| malformed("a primitive element has no length"))?;
                    self.push(head, Span { start, end });
                    self.at = end;
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, head: Head, value: Span) -> usize {
        let parent = self.open.last().map(|open| open.node);
        self.nodes.push(Node { parent, head, value, length: value.end.saturating_sub(value.start) });
        self.nodes.len() - 1
    }

    /// The role of an element at this position of a ContentInfo.
    fn role(&self, header: &Header) -> ElementRole {
        if self.open.last().is_some_and(|open| open.what == What::String) {
            return ElementRole::Piece;
        }
        if self.shape == Shape::Any {
            return ElementRole::Plain;
        }
        let before = self.open.last().map_or(0, |open| open.children);
        let mut tags = [0; 6];
        for (tag, open) in tags.iter_mut().zip(&self.open) {
            *tag = open.tag;
        }
        let explicit = self.open.iter().rev().nth(1).map_or(0, |open| open.children);
        match (tags, header.tag) {
            // ContentInfo, [0], SignedData or CompressedData, EncapsulatedContentInfo, [0]: its second element.
            ([0x30, 0xa0, 0x30, 0x30, 0xa0, 0], 0x04 | 0x24)
                if (explicit, before) == (2, 0) && self.content.is_none() =>
            {
                ElementRole::Content
            }
            // ContentInfo, [0], EnvelopedData and similar, EncryptedContentInfo: its third element.
            ([0x30, 0xa0, 0x30, 0x30, 0, 0], 0x80 | 0xa0) if before == 2 && self.content.is_none() => {
                ElementRole::Content
            }
            // Certificates and CRLs of SignedData; attributes of AuthEnvelopedData.
            ([0x30, 0xa0, 0x30, 0xa0 | 0xa1, 0, 0], _) if header.tag & CONSTRUCTED != 0 => ElementRole::Covered,
            // Signed attributes: ContentInfo, [0], SignedData, signerInfos, SignerInfo.
            ([0x30, 0xa0, 0x30, 0x31, 0x30, 0], 0xa0) => ElementRole::Covered,
            _ => ElementRole::Plain,
        }
    }

    /// Joins the parts of the content at the position of the first.
    fn put_together(&mut self, outer: &Header, bound: usize, budget: &Budget) -> Result<Span> {
        let start = outer.start;
        if outer.tag & CONSTRUCTED == 0 {
            let end = outer.end.ok_or_else(|| malformed("the content has no length"))?;
            self.at = end;
            return Ok(Span { start, end });
        }
        let mut written = start;
        let mut open = vec![(outer.end, outer.end.unwrap_or(bound))];
        self.at = start;
        while let Some((end, bound)) = open.last().copied() {
            if end == Some(self.at) {
                open.pop();
                continue;
            }
            if end.is_none() && self.octets.get(self.at..self.at + 2) == Some(&[0, 0]) && self.at + 2 <= bound {
                self.at += 2;
                open.pop();
                continue;
            }
            let piece = header(self.octets, self.at, bound)?;
            match (piece.tag, piece.end) {
                (0x04, Some(end)) => {
                    self.octets.copy_within(piece.start..end, written);
                    written += end - piece.start;
                    self.at = end;
                }
                (0x24, end) => {
                    open.push((end, end.unwrap_or(bound)));
                    budget.asn1_depth(self.open.len() + open.len())?;
                    self.at = piece.start;
                }
                _ => return Err(malformed("the content holds something other than octet strings")),
            }
        }
        Ok(Span { start, end: written })
    }

    fn der(&self) -> Vec<u8> {
        let whole = self.nodes.first().map_or(0, |root| root.length + root.head.octets(root.length));
        let mut der = Vec::with_capacity(whole);
        for node in &self.nodes {
            match &node.head {
                Head::AsIs(tag) => {
                    der.extend_from_slice(tag.of(self.octets));
                    push_length(node.length, &mut der);
                }
                Head::Nothing => {}
                Head::Primitive(tag) => {
                    let tag = tag.of(self.octets);
                    der.extend(tag.first().map(|first| first & !CONSTRUCTED));
                    der.extend_from_slice(tag.get(1..).unwrap_or_default());
                    push_length(node.length, &mut der);
                }
            }
            der.extend_from_slice(node.value.of(self.octets));
        }
        der
    }
}

impl Head {
    /// Length of tag and length octets for a value of `length` octets.
    fn octets(&self, length: usize) -> usize {
        match self {
            Head::AsIs(tag) | Head::Primitive(tag) => tag.end - tag.start + length_octets(length),
            Head::Nothing => 0,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum ElementRole {
    /// The content octets, which are removed.
    Content,
    /// Signed: its encoding is kept if its length is definite.
    Covered,
    /// A part of a constructed string.
    Piece,
    Plain,
}

/// Reads tag and length at `at`. The element must end at `bound` or before.
fn header(octets: &[u8], at: usize, bound: usize) -> Result<Header> {
    let mut next = at;
    let mut take = || {
        let octet = octets.get(next).filter(|_| next < bound).copied().ok_or_else(|| malformed("it ends early"));
        next += 1;
        octet
    };
    let tag = take()?;
    let mut tag_octets = 1;
    if tag & NUMBER == NUMBER {
        while {
            tag_octets += 1;
            take()? & 0x80 != 0
        } {
            if tag_octets > MAX_TAG_OCTETS {
                return Err(malformed("a tag is too long"));
            }
        }
    }
    let first = take()?;
    let length = match first {
        0x80 if tag & CONSTRUCTED == 0 => return Err(malformed("a primitive element has no length")),
        0x80 => None,
        0xff => return Err(malformed("a length is of a reserved form")),
        long if long & 0x80 != 0 => {
            let mut length: usize = 0;
            for _ in 0..long & 0x7f {
                let octet = take()?;
                length = length.checked_mul(256).ok_or_else(|| malformed("it ends early"))? | usize::from(octet);
            }
            Some(length)
        }
        short => Some(usize::from(short)),
    };
    if tag == 0 {
        return Err(malformed("it has an unexpected end-of-contents"));
    }
    let end = match length {
        Some(length) => {
            let end = next.checked_add(length).filter(|end| *end <= bound);
            Some(end.ok_or_else(|| malformed("it ends early"))?)
        }
        None => None,
    };
    Ok(Header { tag, tag_span: Span { start: at, end: at + tag_octets }, start: next, end })
}

/// Whether the tag is that of a string type that BER may split into parts (X.690, sections 8.7 and 8.23), including
/// times. A split BIT STRING is left unchanged, because mail has none.
fn is_string(tag: u8) -> bool {
    matches!(tag & !CONSTRUCTED, 0x04 | 0x0c | 0x12..=0x16 | 0x17..=0x1e)
}

/// Whether the element can be a part: an OCTET STRING, or the string's own type.
fn is_piece(header: &Header, string: Option<&Open>) -> bool {
    let tag = header.tag & !CONSTRUCTED;
    tag == 0x04 || string.is_some_and(|string| string.tag & !CONSTRUCTED == tag)
}

fn length_octets(length: usize) -> usize {
    match length {
        0..=0x7f => 1,
        _ => 1 + usize::try_from(usize::BITS - length.leading_zeros()).unwrap_or_default().div_ceil(8),
    }
}

fn malformed(reason: &str) -> Error {
    Error::malformed("asn.1", reason)
}

const CONSTRUCTED: u8 = 0x20;
const NUMBER: u8 = 0x1f;
/// Tag numbers of up to 28 bits; those of CMS and X.509 need no more than 5.
const MAX_TAG_OCTETS: usize = 5;

#[cfg(test)]
mod tests;
