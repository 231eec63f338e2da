//! Header sections: raw, ordered fields that can only be deleted or inserted at the top, and the meaning of their
//! values.

use std::collections::BTreeMap;

use memchr::memchr;

pub(super) use super::parameters::boundary;
pub use super::parameters::{ContentType, parameter};
use super::{Address, NoAuthor, Part, Span, address, encoding, words};

/// One header field, unparsed.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The name as written; empty for a line that is not a field.
    pub name: &'a str,
    /// All octets, including the last line break.
    pub raw: &'a [u8],
    /// The octets after the colon, with folding, without the last line break.
    pub value: &'a [u8],
    /// The position of `raw`.
    pub span: Span,
}

impl Field<'_> {
    /// Whether the field has this name, in upper or lower case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The fields that mail readers may find in these octets, each as lower-case name and value. Some readers end lines
    /// at a lone CR, or remove characters that are not allowed in a name. A line without a colon is a value without a
    /// name.
    pub fn readings(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        let mut found: Vec<(String, Vec<u8>)> = Vec::new();
        for line in self.raw.split(|octet| matches!(octet, b'\r' | b'\n')) {
            if let (Some((_, value)), Some(b' ' | b'\t')) = (found.last_mut(), line.first()) {
                value.extend_from_slice(line);
                continue;
            }
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_at(memchr(b':', line).unwrap_or_default());
            let graphic = name.iter().filter(|octet| octet.is_ascii_graphic());
            let name = graphic.map(|octet| char::from(octet.to_ascii_lowercase())).collect();
            found.push((name, value.strip_prefix(b":").unwrap_or(value).to_vec()));
        }
        found.into_iter()
    }

    /// The unfolded value (RFC 5322, section 2.2.3), trimmed. Decoded as UTF-8 (RFC 6532), or as windows-1252 if it is
    /// not UTF-8.
    pub fn unfolded(&self) -> String {
        encoding::to_unicode(&self.unfolded_octets(), "us-ascii")
    }

    /// The unfolded value with encoded words (RFC 2047) decoded.
    pub fn decoded(&self) -> String {
        words::decode_octets(&self.unfolded_octets())
    }

    fn unfolded_octets(&self) -> Vec<u8> {
        self.value
            .split_inclusive(|octet| *octet == b'\n')
            .flat_map(unbroken)
            .copied()
            .collect::<Vec<_>>()
            .trim_ascii()
            .to_vec()
    }
}

/// The fields in the header section at `header` in `octets`.
pub(super) fn fields(octets: &[u8], header: Span) -> impl Iterator<Item = Field<'_>> + use<'_> {
    let mut at = header.start;
    std::iter::from_fn(move || {
        let rest = Span { start: at, end: header.end }.of(octets);
        if rest.is_empty() {
            return None;
        }
        let length = first_field(rest);
        let span = Span { start: at, end: at + length };
        at = span.end;
        Some(field(span.of(octets), span))
    })
}

/// Length in octets of the first field of `header`, including continuation lines (RFC 5322, section 2.2.3).
pub fn first_field(header: &[u8]) -> usize {
    let mut length = 0;
    while let Some(line) = header.get(length..).filter(|line| !line.is_empty()) {
        length += memchr(b'\n', line).map_or(line.len(), |end| end + 1);
        if !matches!(header.get(length), Some(b' ' | b'\t')) {
            break;
        }
    }
    length
}

/// The mailbox of the author: the one address in From.
///
/// # Errors
///
/// The reason, if From does not name exactly one mailbox or mail readers may disagree about it.
pub fn author(root: Part<'_>) -> Result<Address, NoAuthor> {
    let from = root.fields().find(|field| field.is("from")).ok_or(NoAuthor::Missing)?;
    match times_read(root, "from") {
        1 => {}
        count => return Err(NoAuthor::Repeated(count)),
    }
    let address = address::only(&from.unfolded())?;
    if is_plain(address.local()) { Ok(address) } else { Err(NoAuthor::Deceptive(address.to_string())) }
}

/// Whether an unfolded From has the form that all readers parse alike: an address, or a name and an address in angle
/// brackets (RFC 5322, section 3.4), without comments, routes, groups or white space in the address. A name that
/// contains another address is refused, because readers may show it as the author.
pub(super) fn is_plain_from(value: &str) -> bool {
    let value = value.trim_matches([' ', '\t']);
    let (name, address) = match value.strip_suffix('>') {
        Some(value) => value.rsplit_once('<').unwrap_or(("<", value)),
        None => ("", value),
    };
    let is_atom = |text: &str| {
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || SPECIALS.contains(c))
    };
    let is_address = address.split_once('@').is_some_and(|(local, domain)| is_atom(local) && is_atom(domain));
    let name = name.trim_matches([' ', '\t']);
    let is_name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => !quoted.contains(['"', '\\']),
        None => !name.contains(|c: char| c != '.' && SPECIALS.contains(c)),
    };
    let shown = words::decode_octets(name.trim_matches('"').as_bytes());
    let is_other =
        shown.contains(['@', '<', '>']) && !shown.trim_matches(['<', '>', '\'', ' ']).eq_ignore_ascii_case(address);
    is_address && is_name && !is_other
}

/// Characters with a meaning in address lists (RFC 5322, section 3.2.3), except the dot.
const SPECIALS: &str = "()<>[]:;@\\,\"";

/// How often mail readers may find field `name`. Some end lines at a lone CR, or remove characters that are not allowed
/// in a name.
pub fn times_read(part: Part<'_>, name: &str) -> usize {
    let lines = part.header_octets().split(|octet| matches!(octet, b'\r' | b'\n'));
    let names = lines.enumerate().filter(|(at, line)| *at == 0 || !line.starts_with(b" ") && !line.starts_with(b"\t"));
    let names = names.filter_map(|(_, line)| line.get(..memchr(b':', line)?));
    names
        .filter(|read| {
            read.iter().filter(|octet| octet.is_ascii_graphic()).map(u8::to_ascii_lowercase).eq(name.bytes())
        })
        .count()
}

/// Whether no reader takes the local part for another address: it has no encoded word, which some readers decode
/// (Mailsploit, 2017), and no character that ends an address if quotes are ignored.
fn is_plain(local: &str) -> bool {
    !local.contains("=?") && !local.contains(|c: char| c.is_whitespace() || "@<>()[],:;\"\\".contains(c))
}

/// A modified header section: the raw fields of a part without those deleted, below those inserted.
#[derive(Clone, Debug)]
pub struct Edit<'a> {
    /// An mbox `From ` line, which stays first.
    mbox: Option<Field<'a>>,
    fields: Vec<Field<'a>>,
    /// What stands in the place of some of them, by where they begin.
    replaced: BTreeMap<usize, Vec<u8>>,
    top: Vec<Vec<u8>>,
    line_break: &'static [u8],
}

impl<'a> Edit<'a> {
    /// Starts with the fields of `part`.
    pub fn new(part: Part<'a>) -> Self {
        let mut fields: Vec<_> = part.fields().collect();
        let is_mbox = fields.first().is_some_and(|field| field.name.is_empty() && field.raw.starts_with(b"From "));
        let mbox = is_mbox.then(|| fields.remove(0));
        let end = memchr(b'\n', part.octets()).unwrap_or_default();
        let is_lf = end > 0 && part.octets().get(end - 1) != Some(&b'\r') || part.octets().starts_with(b"\n");
        let line_break: &[u8] = if is_lf { b"\n" } else { b"\r\n" };
        Edit { mbox, fields, replaced: BTreeMap::new(), top: Vec::new(), line_break }
    }

    /// Starts with the fields of `part` for a header inside a message, without an mbox `From ` line.
    pub fn within(part: Part<'a>) -> Self {
        Edit { mbox: None, ..Self::new(part) }
    }

    /// Deletes every field with this name, in upper or lower case.
    pub fn delete(&mut self, name: &str) {
        self.fields.retain(|field| !field.is(name));
    }

    /// Keeps only the fields for which `keep` returns true. It is also called for lines that are not fields.
    pub fn retain(&mut self, keep: impl Fn(&Field<'a>) -> bool) {
        self.mbox = self.mbox.filter(&keep);
        self.fields.retain(keep);
    }

    /// Puts another field in the place of `field`, which is one of those kept. `raw` is complete and folded, without its last line break.
    pub fn replace(&mut self, field: &Field<'_>, raw: impl Into<Vec<u8>>) {
        self.replaced.insert(field.span.start, raw.into());
    }

    /// Inserts a field above all others. `raw` is complete and folded, without its last line break.
    pub fn insert(&mut self, raw: impl Into<Vec<u8>>) {
        self.top.insert(0, raw.into());
    }

    /// The header section without its empty line. Every line break has the style (CRLF or LF) of the part's first line.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        let kept =
            self.fields.iter().map(|field| self.replaced.get(&field.span.start).map_or(field.raw, Vec::as_slice));
        let inserted = self.top.iter().map(Vec::as_slice);
        for raw in self.mbox.iter().map(|field| field.raw).chain(inserted).chain(kept) {
            for line in raw.split_inclusive(|octet| *octet == b'\n') {
                octets.extend_from_slice(unbroken(line));
                octets.extend_from_slice(self.line_break);
            }
        }
        octets
    }

    /// The line break used in [`Edit::octets`].
    pub fn line_break(&self) -> &'static [u8] {
        self.line_break
    }

    /// The original fields that are kept.
    pub fn kept(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter()
    }
}

fn field(raw: &[u8], span: Span) -> Field<'_> {
    let text = unbroken(raw);
    let split = memchr(b':', raw).and_then(|colon| Some((text.get(..colon)?, text.get(colon + 1..)?)));
    let named = split.and_then(|(name, value)| {
        // White space before the colon is obsolete (RFC 5322, section 4.5), but accepted.
        let name = std::str::from_utf8(name).ok()?.trim_end_matches([' ', '\t']);
        (!name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic())).then_some((name, value))
    });
    let (name, value) = named.unwrap_or(("", text));
    Field { name, raw, value, span }
}

/// The line without its line break.
fn unbroken(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use crate::base::{Budget, Limits};

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn author_of(header: &str) -> Option<String> {
        author(parse(&format!("{header}\n\n")).root()).ok().map(|address| address.to_string())
    }

    #[test]
    fn fields_keep_their_octets() {
        let message = parse("From x Mon\r\nA : 1\r\n 2\r\n\t3\r\nno field\r\nB:\r\n\r\n");
        let names: Vec<_> = message.root().fields().map(|field| field.name).collect();
        assert_eq!(names, ["", "A", "", "B"]);
        let raw: Vec<_> = message.root().fields().flat_map(|field| field.raw.to_vec()).collect();
        assert_eq!(raw, message.root().header_octets());
        assert_eq!(message.root().header("a").as_deref(), Some("1 2\t3"));
        assert_eq!(message.root().header("B").as_deref(), Some(""));
    }

    #[test]
    fn a_plain_from_is_one_name_and_one_address() {
        for from in [
            "alice@example.org",
            "<alice@example.org>",
            " Alice <alice@example.org>",
            "Alice B. C <alice@example.org>",
            "\"Liddell, Alice\" <alice@example.org>",
            "=?utf-8?q?Alic=C3=A9?= <alice@example.org>",
            "Ålice <alice@example.org>",
            "\"alice@example.org\" <alice@example.org>",
            "\"'alice@example.org'\" <alice@example.org>",
        ] {
            assert!(is_plain_from(from), "{from}");
        }
        for from in [
            "",
            "Alice",
            "\"alice\"@example.org",
            "alice @ example.org",
            "alice(x)@example.org",
            "alice@example.org (Alice)",
            "(x) alice@example.org",
            "a@example.org, b@example.org",
            "Alice: alice@example.org;",
            "Alice <@a,@b:alice@example.org>",
            "Alice <alice@example.org> x",
            "Alice <bob@example.org> <alice@example.org>",
            "bob@example.org <alice@example.org>",
            "\"bob@example.org\" <alice@example.org>",
            "\"a\\\"b\" <alice@example.org>",
            "=?utf-8?q?bob=40example.org?= <alice@example.org>",
            "=?utf-8?q?Bob_=3Cbob?= <alice@example.org>",
            "Alice <alice@[127.0.0.1]>",
        ] {
            assert!(!is_plain_from(from), "{from}");
        }
    }

    #[test]
    fn an_edit_inserts_at_the_top_and_deletes() {
        let message = parse("From x Mon\nA: 1\n 2\nB: 3\na: 4\n\n");
        let mut edit = Edit::new(message.root());
        assert_eq!(edit.octets(), message.root().header_octets());
        edit.delete("A");
        edit.insert("D: 5\r\n 6");
        edit.insert("C: 7");
        assert_eq!(edit.octets(), b"From x Mon\nC: 7\nD: 5\n 6\nB: 3\n");
        assert_eq!(Edit::new(parse("A: 1\r\nB: 2").root()).octets(), b"A: 1\r\nB: 2\r\n");
    }

    #[test]
    fn the_author_is_one_mailbox_or_none() {
        assert_eq!(author_of("From: Alice <a@x.org>").as_deref(), Some("a@x.org"));
        assert_eq!(author_of("from : \"a@x.org\" <b@y.org>").as_deref(), Some("b@y.org"));
        assert_eq!(author_of("From: =?utf-8?q?a=40x.org?= <b@y.org>").as_deref(), Some("b@y.org"));
        for header in [
            "To: a@x.org",
            "From: a@x.org\nFrom: a@x.org",
            "From: a@x.org\nFROM : b@x.org",
            "From: a@x.org, b@y.org",
            "From: friends: a@x.org;",
            "From: undisclosed:;",
            "From: a@x.org <b@y.org>",
            "From: <a@x.org> <b@y.org>",
            "From: =?utf-8?q?a=40x.org?=",
            "From: a@x.org\rFrom: b@y.org",
            "From: a@x.org\0",
            "Subject: x\rFrom: b@y.org\nFrom: a@x.org",
            "From: a@x.org\nSubject: x\rFROM\t: b@y.org",
            "From\0: b@y.org\nFrom: a@x.org",
            "From\u{a0}: b@y.org\nFrom: a@x.org",
            " From: b@y.org\nFrom: a@x.org",
            "From: =?utf-8?q?a=40x.org=00?=@y.org",
            "From: \"a@x.org\"@y.org",
            "From: <@x.org:b@y.org>",
            "From:",
        ] {
            assert_eq!(author_of(header), None, "{header:?}");
        }
    }
}
