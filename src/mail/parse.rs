//! The one-pass parser.
//!
//! It reads the header of each part. In bodies it only looks for lines that start with `--`, and only while a multipart
//! is open: a message without attachments costs no more than its header.

use std::sync::Arc;

use memchr::{memchr, memmem};

use super::{
    Span,
    bare::{self, Bare},
    header::{ContentType, Field, boundary, fields},
};
use crate::base::{Budget, Limits, Result};

/// One part: its position and its structure.
#[derive(Debug)]
pub(super) struct Node {
    /// The header section, without the empty line.
    pub(super) header: Span,
    /// The body, to the end of the part.
    pub(super) body: Span,
    pub(super) content_type: ContentType,
    /// For a multipart with a boundary.
    pub(super) margins: Option<Margins>,
    pub(super) children: Vec<Arc<Node>>,
}

/// The octets around the parts of a multipart.
#[derive(Debug)]
pub(super) struct Margins {
    pub(super) preamble: Span,
    /// Empty, at the end, unless there is a closing boundary.
    pub(super) epilogue: Span,
    /// Whether the closing boundary is present.
    pub(super) closed: bool,
}

impl Node {
    /// A leaf without a header.
    pub(super) fn headless(body: Span, content_type: ContentType) -> Node {
        let header = Span { start: body.start, end: body.start };
        Node { header, body, content_type, margins: None, children: Vec::new() }
    }

    /// Header, empty line and body.
    pub(super) fn span(&self) -> Span {
        Span { start: self.header.start, end: self.body.end }
    }

    /// Ends the part at `end`, which may be before the end of its header: the line break before a boundary belongs to
    /// the boundary, even if it also ends an empty line or a field.
    fn end(&mut self, end: usize) {
        for bound in [&mut self.header.start, &mut self.header.end, &mut self.body.start] {
            *bound = end.min(*bound);
        }
        self.body.end = end;
        if let Some(margins) = &mut self.margins {
            if self.children.is_empty() && !margins.closed {
                margins.preamble = self.body;
            }
            let start = if margins.closed { end.min(margins.epilogue.start) } else { end };
            margins.epilogue = Span { start, end };
        }
    }
}

/// Parses `octets` to a tree of parts, in linear time for any input.
pub(super) fn tree(octets: &[u8], budget: &mut Budget) -> Result<Arc<Node>> {
    let mut parser = Parser { octets, budget, open: Vec::new() };
    let mut from = parser.enter(0)?;
    while let Some(line) = parser.delimiter(from) {
        let first_inside = parser.open.get(line.depth + 1).map(|open| open.node.header.start);
        let Some(multipart) = parser.open.get_mut(line.depth) else { break };
        // A boundary directly after the header or another boundary shares their line break, and leaves an empty part.
        let end = line.before.max(first_inside.unwrap_or(multipart.node.body.start));
        if let Some(margins) = &mut multipart.node.margins {
            if multipart.node.children.is_empty() && first_inside.is_none() {
                margins.preamble.end = end;
            }
            if line.closing {
                margins.closed = true;
                margins.epilogue.start = line.after;
                multipart.boundary = None;
            }
        }
        parser.leave(line.depth + 1, end);
        from = if line.closing { line.after } else { parser.enter(line.after)? };
    }
    Ok(parser.finish())
}

/// The root of a message whose structure is not read: its header, and the rest as one leaf of no known type.
pub(super) fn root_alone(octets: &[u8], limits: &Limits) -> Result<Arc<Node>> {
    let header = limits.unread_header();
    let mut budget = Budget::new(Limits { header, headers: header, ..limits.clone() });
    let (header, body) = Parser { octets, budget: &mut budget, open: Vec::new() }.header(0)?;
    let mut root = Node::headless(header, ContentType::bare("application", "octet-stream"));
    (root.header, root.body) = (header, Span { start: body, end: octets.len() });
    Ok(Arc::new(root))
}

/// `Content-Transfer-Encoding` among `fields`, in lower case without comments; `7bit` if absent or empty (RFC 2045,
/// section 6.1).
pub(super) fn transfer_encoding<'a>(mut fields: impl Iterator<Item = Field<'a>>) -> String {
    let value = fields.find(|field| field.is("content-transfer-encoding")).map(|field| field.unfolded());
    let word = value.as_deref().and_then(|value| {
        value.split(|c: char| c.is_whitespace() || matches!(c, ';' | '(' | '"')).find(|word| !word.is_empty())
    });
    word.unwrap_or("7bit").to_ascii_lowercase()
}

struct Parser<'a> {
    octets: &'a [u8],
    budget: &'a mut Budget,
    /// The open parts, outermost first.
    open: Vec<Open>,
}

struct Open {
    node: Node,
    /// The default type of its parts.
    child: Default,
    /// The boundary of a multipart that is still open.
    boundary: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum Default {
    Text,
    Message,
}

/// A line that is a boundary of an open multipart.
struct Delimiter {
    /// Index of the multipart in `Parser::open`.
    depth: usize,
    closing: bool,
    /// Start of the line break before it.
    before: usize,
    /// Start of the next line.
    after: usize,
}

impl Parser<'_> {
    /// Opens the part that starts at `start`, and the messages nested in it. Returns the start of its content.
    fn enter(&mut self, mut start: usize) -> Result<usize> {
        loop {
            self.budget.part()?;
            self.budget.depth(self.open.len() + 1)?;
            let (header, body) = self.header(start)?;
            let (open, is_message) = self.part(header, body)?;
            self.open.push(open);
            if !is_message {
                return Ok(body);
            }
            start = body;
        }
    }

    /// The part with this header, and whether its body is a message.
    fn part(&self, header: Span, body: usize) -> Result<(Open, bool)> {
        let value = fields(self.octets, header).find(|field| field.is("content-type")).map(|field| field.value);
        let content_type = match (value, self.open.last().map(|parent| parent.child)) {
            (Some(value), _) => ContentType::within(value, self.budget)?,
            (None, Some(Default::Message)) => ContentType::bare("message", "rfc822"),
            (None, _) if header.end > header.start => ContentType::bare("text", "plain"),
            (None, _) => match self.bare(header.start) {
                Some((Bare::Cms, _)) => ContentType::bare("application", "pkcs7-mime"),
                Some((Bare::OpenPgp, _)) => ContentType::bare("application", "pgp"),
                Some((Bare::Armor, _)) | None => ContentType::bare("text", "plain"),
            },
        };
        let boundary = value.filter(|_| content_type.kind == "multipart").and_then(boundary);
        let is_message = (content_type.is("message", "rfc822") || content_type.is("message", "global"))
            // RFC 6532, section 3.7 allows encoding message/global, and some programs encode message/rfc822. Such a
            // part is a leaf.
            && matches!(transfer_encoding(fields(self.octets, header)).as_str(), "7bit" | "8bit" | "binary");
        let child = if content_type.is("multipart", "digest") { Default::Message } else { Default::Text };
        let at_body = Span { start: body, end: body };
        let node = Node {
            header,
            body: at_body,
            content_type,
            margins: boundary.is_some().then_some(Margins { preamble: at_body, epilogue: at_body, closed: false }),
            children: Vec::new(),
        };
        Ok((Open { node, child, boundary }, is_message))
    }

    /// Content at `start` without a header. Inside a message only armor counts, since parts declare their type.
    fn bare(&self, start: usize) -> Option<(Bare, usize)> {
        bare::begins(self.octets.get(start..)?).filter(|(found, at)| start == 0 || (*found, *at) == (Bare::Armor, 0))
    }

    /// The header section that starts at `start`, and the start of the body after it.
    ///
    /// It ends at the first empty line, as in Thunderbird and Outlook. A line without a colon in it is kept without
    /// meaning. Other readers end the header there; then one stray line could move the following fields, including
    /// From, into the body. A boundary and the end of the octets also end the header. Armor, CMS objects and OpenPGP
    /// packets have no header: a file with only such content is a message too.
    fn header(&mut self, start: usize) -> Result<(Span, usize)> {
        if let Some((_, at)) = self.bare(start) {
            return Ok((Span { start, end: start }, start + at));
        }
        // Search no further than the limit and a CRLF.
        let horizon = start.saturating_add(self.budget.limits().header).saturating_add(2).min(self.octets.len());
        let mut at = start;
        while let Some(rest) = self.octets.get(at..horizon) {
            let end = Span { start, end: at };
            if self.matching(at).is_some() {
                self.budget.header_of_part(at - start)?;
                return Ok((end, at));
            }
            let end_of_line = memchr(b'\n', rest);
            let line = end_of_line.and_then(|length| rest.get(..length)).unwrap_or(rest);
            let next = (at + line.len() + 1).min(horizon);
            // Some programs write CR CR LF for every line break.
            if line.iter().all(|octet| *octet == b'\r') {
                self.budget.header_of_part(at - start)?;
                return Ok((end, next));
            }
            if end_of_line.is_none() {
                break;
            }
            at = next;
        }
        self.budget.header_of_part(horizon - start)?;
        Ok((Span { start, end: horizon }, horizon))
    }

    /// The next boundary at or after `from`, which is the start of a line.
    fn delimiter(&self, from: usize) -> Option<Delimiter> {
        if self.open.iter().all(|open| open.boundary.is_none()) {
            return None;
        }
        if let Some(found) = self.matching(from) {
            return Some(found);
        }
        let rest = self.octets.get(from..)?;
        memmem::find_iter(rest, b"\n--").find_map(|at| self.matching(from + at + 1))
    }

    /// The boundary in the line at `start`, if it is one. It belongs to the innermost multipart with that boundary.
    fn matching(&self, start: usize) -> Option<Delimiter> {
        let rest = self.octets.get(start..).filter(|rest| rest.starts_with(b"--"))?;
        if self.open.iter().all(|open| open.boundary.is_none()) {
            return None;
        }
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        // Boundaries may be followed by white space (RFC 2046, section 5.1.1), and CR may be doubled. With anything
        // else the line is not a boundary, so one boundary may be the prefix of another.
        let line = rest.get(2..length).unwrap_or_default();
        let line = line.trim_ascii_end();
        let closes = line.strip_suffix(b"--");
        let (depth, closing) = self.open.iter().enumerate().rev().find_map(|(depth, open)| {
            let boundary = open.boundary.as_deref()?;
            (boundary == line).then_some((depth, false)).or((Some(boundary) == closes).then_some((depth, true)))
        })?;
        let before = self.octets.get(..start).unwrap_or_default();
        let before = before.strip_suffix(b"\n").map_or(before, |line| line.strip_suffix(b"\r").unwrap_or(line)).len();
        Some(Delimiter { depth, closing, before, after: (start + length + 1).min(self.octets.len()) })
    }

    /// Ends every part at `depth` and deeper at `end`.
    fn leave(&mut self, depth: usize, end: usize) {
        while self.open.len() > depth.max(1) {
            let Some(mut done) = self.open.pop() else { return };
            done.node.end(end);
            if let Some(parent) = self.open.last_mut() {
                parent.node.children.push(Arc::new(done.node));
            }
        }
    }

    /// Ends the message.
    fn finish(mut self) -> Arc<Node> {
        let end = self.octets.len();
        self.leave(1, end);
        let nothing = Span::default();
        let mut root = match self.open.pop() {
            Some(open) => open.node,
            None => Node::headless(nothing, ContentType::bare("text", "plain")),
        };
        root.end(end);
        Arc::new(root)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Message, Part};
    use crate::base::{Budget, Limits};

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    /// The tree in one line: `mixed[plain "body" plain "body"]`.
    fn shape(part: Part<'_>) -> String {
        let children: Vec<_> = part.children().map(shape).collect();
        match children.is_empty() {
            true => format!("{} {:?}", part.content_type().subtype, String::from_utf8_lossy(part.body())),
            false => format!("{}[{}]", part.content_type().subtype, children.join(" ")),
        }
    }

    fn mixed(boundary: &str, body: &str) -> String {
        shape(parse(&format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n{body}")).root())
    }

    #[test]
    fn a_header_ends_at_the_first_empty_line() {
        for (text, header, body) in [
            ("A: b\r\n\r\nbody", "A: b\r\n", "body"),
            ("A: b\n\nbody\n", "A: b\n", "body\n"),
            ("A: b\r\r\n\r\r\nbody", "A: b\r\r\n", "body"),
            ("A: b\r\n", "A: b\r\n", ""),
            ("A: b", "A: b", ""),
            ("\nbody", "", "body"),
            ("", "", ""),
            ("From a Mon Nov 23\nA: b\nnonsense\nC: d\n\nbody", "From a Mon Nov 23\nA: b\nnonsense\nC: d\n", "body"),
            ("A: b\n \n c\n\nbody", "A: b\n \n c\n", "body"),
            ("-----BEGIN PGP MESSAGE-----\n\nbody", "", "-----BEGIN PGP MESSAGE-----\n\nbody"),
            ("-----BEGIN PGP: x-----", "-----BEGIN PGP: x-----", ""),
            ("-----x-----\nA: b\n\nbody", "-----x-----\nA: b\n", "body"),
            ("A: b\n-----BEGIN PGP MESSAGE-----\n\nbody", "A: b\n-----BEGIN PGP MESSAGE-----\n", "body"),
        ] {
            let message = parse(text);
            assert_eq!(message.root().header_octets(), header.as_bytes(), "{text:?}");
            assert_eq!(message.root().body(), body.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn the_line_break_before_a_boundary_is_the_boundarys() {
        assert_eq!(
            mixed("b", "--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n\r\n--b--\r\n"),
            r#"mixed[plain "one" plain "two\r\n"]"#
        );
        assert_eq!(mixed("b", "--b\n\n--b\nA: b\n--b\n--b--"), r#"mixed[plain "" plain "" plain ""]"#);
    }

    #[test]
    fn boundaries_match_whole_lines() {
        assert_eq!(
            mixed("b", "--b \t\n\none\n--bb\n--b-\n-- b\n--b--x\n--b--  \n"),
            r#"mixed[plain "one\n--bb\n--b-\n-- b\n--b--x"]"#
        );
        assert_eq!(mixed("b", " --b\nx--b\n--b\n\none\n"), r#"mixed[plain "one\n"]"#);
        assert_eq!(mixed("b", "no boundary at all"), "mixed \"no boundary at all\"");
    }

    #[test]
    fn preamble_epilogue_and_missing_end() {
        let message = parse("Content-Type: multipart/mixed; boundary=b\n\npre\n\n--b\n\none\n--b--\nepi\nlogue\n");
        assert_eq!(message.root().preamble(), b"pre\n");
        assert_eq!(message.root().epilogue(), b"epi\nlogue\n");
        assert!(message.root().is_closed());
        let message = parse("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n");
        assert!(!message.root().is_closed());
        assert_eq!(message.root().epilogue(), b"");
    }

    #[test]
    fn nested_multiparts_may_share_the_start_of_a_boundary() {
        let inner = "Content-Type: multipart/alternative; boundary=b1\n\n--b1\n\none\n--b1--\n";
        assert_eq!(
            mixed("b", &format!("--b\n{inner}\n--b\n\ntwo\n--b--\n")),
            r#"mixed[alternative[plain "one"] plain "two"]"#
        );
        // The outer boundary ends an inner multipart that was never closed.
        let inner = "Content-Type: multipart/alternative; boundary=b1\n\n--b1\n\none\n";
        assert_eq!(
            mixed("b", &format!("--b\n{inner}--b\n\ntwo\n--b--\n")),
            r#"mixed[alternative[plain "one"] plain "two"]"#
        );
        // The same boundary twice: the innermost has it until it is closed.
        let inner = "Content-Type: multipart/alternative; boundary=b\n\n--b\n\none\n--b--\n";
        assert_eq!(
            mixed("b", &format!("--b\n{inner}\n--b\n\ntwo\n--b--\n")),
            r#"mixed[alternative[plain "one"] plain "two"]"#
        );
    }

    #[test]
    fn messages_within_messages() {
        let inner = "Content-Type: message/rfc822\n\nSubject: in\n\ninner\n";
        assert_eq!(mixed("b", &format!("--b\n{inner}--b--\n")), r#"mixed[rfc822[plain "inner"]]"#);
        let encoded = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW4KCg==\n";
        assert_eq!(mixed("b", &format!("--b\n{encoded}--b--\n")), r#"mixed[rfc822 "U3ViamVjdDogaW4KCg=="]"#);
        let digest = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\ninner\n--b--\n";
        assert_eq!(shape(parse(digest).root()), r#"digest[rfc822[plain "inner"]]"#);
    }

    #[test]
    fn the_budget_bounds_depth_parts_and_header() {
        let error =
            |text: String| Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap_err().to_string();
        let nested: String =
            (0..300).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
        assert_eq!(error(nested), "message: more than 64 levels of nested parts");
        assert_eq!(
            error("Content-Type: message/rfc822\n\n".repeat(300)),
            "message: more than 64 levels of nested parts"
        );
        let many = format!("Content-Type: multipart/mixed; boundary=b\n\n{}", "--b\n".repeat(1_000));
        assert_eq!(error(many), "message: more than 1000 parts");
        assert_eq!(error("A: b\n".repeat(5_000_000)), "header: more than 262144 octets");
        assert_eq!(error("A".repeat(262_145)), "header: more than 262144 octets");
        assert_eq!(parse(&format!("{}\r\n\r\n", "A".repeat(262_142))).root().header_octets().len(), 262_144);
    }
}
