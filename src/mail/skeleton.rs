//! The canonical skeleton: the form of a signed or encrypted message, from its first octet to its payload, that all
//! mail readers parse alike.
//!
//! Every octet outside the payload must follow this grammar, or the message has no author. It is the grammar of RFC
//! 5322, 2045, 2046, 1847, 3156 and 8551 without everything that readers handle differently: comments, obsolete forms,
//! lone CR or LF, repeated parameters, boundaries that occur elsewhere. The payload is not checked.
//!
//! ```text
//! message   = [ mbox line ] header empty-line body
//! header    = fields of printable characters, those that count at most once
//! body      = signed | encrypted | cms | inline      ; by Content-Type
//! signed    = margin delimiter payload delimiter signature-part close margin
//! encrypted = margin delimiter version-part delimiter ciphertext-part close margin
//! margin    = printable lines in which the boundary does not occur
//! cms       = base64 and line ends
//! inline    = one block of armor, and blank lines
//! ```

use std::fmt;

use memchr::{memchr, memmem};

use super::{
    Part, Span, armor,
    bare::{self, Bare},
    encoding,
    header::is_plain_from,
    media_type::{self, MediaType},
    words,
};

/// The first deviation of a message from the canonical skeleton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The line, counted from 1, in the octets in which the layer was found.
    pub line: usize,
    /// The deviation, in lower case.
    pub reason: String,
}

impl Deviation {
    /// A deviation that the protocol found in `root`.
    pub fn of(root: Part<'_>, reason: impl Into<String>) -> Self {
        Deviation { line: line_of(root, root.span().start), reason: reason.into() }
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// The first deviation of `root`, a cryptographic layer; `None` if all readers parse it alike.
pub fn deviation(root: Part<'_>) -> Option<Deviation> {
    let Found { at, reason } = Skeleton { root, line_end: line_end(root) }.check().err()?;
    Some(Deviation { line: line_of(root, at), reason })
}

/// The line of octet `at`, counted from 1.
fn line_of(root: Part<'_>, at: usize) -> usize {
    memchr::memchr_iter(b'\n', root.whole(Span { start: 0, end: at })).count() + 1
}

/// A deviation at a position in the message.
struct Found {
    at: usize,
    reason: String,
}

fn found<T>(at: usize, reason: impl Into<String>) -> Result<T, Found> {
    Err(Found { at, reason: reason.into() })
}

struct Skeleton<'a> {
    root: Part<'a>,
    /// CRLF or LF, from the first line. All lines of the skeleton must end the same way.
    line_end: &'static [u8],
}

/// The fields of a part that define its structure.
struct Header {
    /// `text/plain` when the field is absent (RFC 2045, section 5.2).
    media_type: MediaType,
    encoding: Encoding,
    /// In lower case; empty if the field is absent.
    disposition: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Base64,
    Identity,
    QuotedPrintable,
}

impl<'a> Skeleton<'a> {
    fn check(&self) -> Result<(), Found> {
        let start = self.root.span().start;
        // Some readers take the lines of armor or of a binary object, up to an empty line, for a header.
        match bare::begins(self.root.octets()) {
            Some((Bare::Armor, _)) => return found(start, "armor in place of a header"),
            Some((Bare::Cms, _)) => return found(start, "a CMS object in place of a header"),
            Some((Bare::OpenPgp, _)) => return found(start, "OpenPGP packets in place of a header"),
            None => {}
        }
        let header = self.header(self.root)?;
        let kind = (header.media_type.kind.as_str(), header.media_type.subtype.as_str());
        match kind {
            ("multipart", "signed") => self.signed(&header),
            ("multipart", "encrypted") => self.encrypted(&header),
            ("application", "pkcs7-mime" | "x-pkcs7-mime" | "octet-stream") => self.cms(self.root, &header),
            ("text", "plain") => self.inline(&header),
            (kind, subtype) => found(start, format!("{kind}/{subtype} is not a form of a signed or encrypted message")),
        }
    }

    /// Checks every field of `part`, and the empty line after them.
    fn header(&self, part: Part<'a>) -> Result<Header, Found> {
        let span = part.header_span();
        let mut at = span.start;
        let mut seen: Vec<String> = Vec::new();
        let mut header =
            Header { media_type: MediaType::plain_text(), encoding: Encoding::Identity, disposition: String::new() };
        if part.span() == self.root.span() && part.header_octets().starts_with(b"From ") {
            at += self.mbox_line(part)?;
        }
        while at < span.end {
            let field = self.field(Span { start: at, end: span.end })?;
            if COUNTED.contains(&field.name.as_str()) {
                if seen.contains(&field.name) {
                    return found(at, format!("a second {} field", field.name));
                }
                seen.push(field.name.clone());
            }
            match field.name.as_str() {
                "content-type" => {
                    header.media_type = media_type::strict(&field.value).or_else(|reason| found(at, reason))?;
                }
                "content-transfer-encoding" => header.encoding = transfer_encoding(&field, at)?,
                // A comment may follow (RFC 2045, section 4).
                "mime-version"
                    if !matches!(field.value.split(['(', ' ', '\t']).find(|word| !word.is_empty()), Some("1.0")) =>
                {
                    return found(at, "a MIME version other than 1.0");
                }
                "content-disposition" => {
                    header.disposition = media_type::disposition(&field.value).or_else(|reason| found(at, reason))?;
                }
                "from" if !is_plain_from(&field.value) => {
                    return found(at, "a from field that readers parse differently");
                }
                "from" if !words::are_whole(&field.value) => {
                    return found(at, "an encoded word in the from field that readers decode differently");
                }
                "subject" if !words::are_whole(&field.value) || !words::are_apart(&field.value) => {
                    return found(at, "an encoded word in the subject field that readers decode differently");
                }
                _ => {}
            }
            at = field.end;
        }
        let gap = Span { start: span.end, end: part.body_span().start };
        if self.root.whole(gap) != self.line_end {
            return found(span.end, "the header does not end with an empty line");
        }
        Ok(header)
    }

    /// The length of an mbox `From ` line, which may come before the first field (RFC 4155).
    fn mbox_line(&self, part: Part<'a>) -> Result<usize, Found> {
        let at = part.span().start;
        let line = self.line(Span { start: at, end: part.header_span().end })?;
        // The second word is an address. With a colon in it, some readers would take the line for a field.
        let address = line.split(|octet| *octet == b' ').nth(1).unwrap_or_default();
        let is_address = !address.is_empty() && !address.contains(&b':');
        match is_address && line.iter().all(|octet| matches!(octet, b' '..=b'~')) {
            true => Ok(line.len() + self.line_end.len()),
            false => found(at, "an mbox line of another form"),
        }
    }

    /// The line at the start of `rest`, without its line break.
    fn line(&self, rest: Span) -> Result<&'a [u8], Found> {
        let octets = self.root.whole(rest);
        let length = memmem::find(octets, self.line_end);
        let line = length.and_then(|length| octets.get(..length));
        match line {
            Some(line) if !line.contains(&b'\n') && !line.contains(&b'\r') => Ok(line),
            _ => found(rest.start, "a line that does not end like the first one"),
        }
    }

    /// The field at the start of `rest` (RFC 5322, section 2.2), with UTF-8 allowed in its value (RFC 6532, section
    /// 3.1).
    fn field(&self, rest: Span) -> Result<Field, Found> {
        let mut at = rest.start;
        let first = self.line(rest)?;
        let Some(colon) = memchr(b':', first) else { return found(at, "a line that is not a header field") };
        let (name, value) = first.split_at_checked(colon).unwrap_or_default();
        if name.is_empty() || name.len() > MAX_NAME || !name.iter().all(u8::is_ascii_graphic) {
            return found(at, "a line that is not a header field");
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let mut text = value.get(1..).unwrap_or_default().to_vec();
        at += first.len() + self.line_end.len();
        let end_of_first = at;
        while self
            .root
            .whole(Span { start: at, end: rest.end })
            .first()
            .is_some_and(|octet| matches!(octet, b' ' | b'\t'))
        {
            let line = self.line(Span { start: at, end: rest.end })?;
            if line.trim_ascii().is_empty() {
                return found(at, "a continuation line of only white space");
            }
            text.extend_from_slice(line);
            at += line.len() + self.line_end.len();
        }
        let value = String::from_utf8(text);
        let is_control = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
        match value {
            Ok(value) if !value.contains(is_control) => {
                Ok(Field { name, value, is_folded: at > end_of_first, end: at })
            }
            Ok(_) => found(rest.start, format!("a control character in the {name} field")),
            Err(_) => found(rest.start, format!("octets that are not UTF-8 in the {name} field")),
        }
    }

    /// Checks multipart/signed (RFC 1847, section 2.1): the payload, and a leaf with the signature, of the type in
    /// `protocol`.
    fn signed(&self, header: &Header) -> Result<(), Found> {
        let (_, signature) = self.two_parts(header)?;
        let start = signature.span().start;
        let own = self.header(signature)?;
        let name = own.media_type.to_string();
        if header.media_type.parameter("protocol").is_some_and(|protocol| !protocol.eq_ignore_ascii_case(&name)) {
            return found(start, format!("the signature part is {name}, which the parameter protocol does not name"));
        }
        match name.as_str() {
            "application/pgp-signature" => self.armored(signature, &own, armor::Label::PgpSignature),
            "application/pkcs7-signature" | "application/x-pkcs7-signature" => self.cms(signature, &own),
            _ => found(start, format!("{name} is not a signature type")),
        }
    }

    /// Checks multipart/encrypted (RFC 3156, section 4): the version and the ciphertext.
    fn encrypted(&self, header: &Header) -> Result<(), Found> {
        let (version, ciphertext) = self.two_parts(header)?;
        let own = self.header(version)?;
        if own.media_type.to_string() != "application/pgp-encrypted" {
            return found(version.span().start, "the first part is not application/pgp-encrypted");
        }
        if own.encoding != Encoding::Identity || version.body().trim_ascii() != b"Version: 1" {
            return found(version.body_span().start, "the first part holds more than its version");
        }
        let own = self.header(ciphertext)?;
        if own.media_type.to_string() != "application/octet-stream" {
            return found(ciphertext.span().start, "the second part is not application/octet-stream");
        }
        self.armored(ciphertext, &own, armor::Label::PgpMessage)
    }

    /// The two parts of the root, with no other octets between (RFC 2046, section 5.1.1 without padding). The boundary
    /// must not occur elsewhere.
    fn two_parts(&self, header: &Header) -> Result<(Part<'a>, Part<'a>), Found> {
        let body = self.root.body_span();
        let Some(boundary) = header.media_type.parameter("boundary").filter(|boundary| is_boundary(boundary)) else {
            return found(self.root.span().start, "a multipart without a valid boundary (RFC 2046)");
        };
        if header.encoding != Encoding::Identity {
            return found(self.root.span().start, "a multipart with a transfer encoding");
        }
        let delimiter = format!("--{boundary}");
        let octets = self.root.whole(body);
        let places: Vec<usize> = memmem::find_iter(octets, &delimiter).take(4).collect();
        let &[first, second, last] = places.as_slice() else {
            return found(body.start, format!("the boundary occurs {} times instead of 3", count(places.len())));
        };
        for (at, tail) in [(first, ""), (second, ""), (last, "--")] {
            let (before, after) = octets.split_at_checked(at).unwrap_or_default();
            let rest = after.get(delimiter.len()..).and_then(|rest| rest.strip_prefix(tail.as_bytes()));
            let ends = rest.is_some_and(|rest| rest.starts_with(self.line_end) || (rest.is_empty() && at == last));
            if !ends || !(at == 0 || before.ends_with(self.line_end)) {
                return found(body.start + at, "a line that starts like a boundary");
            }
        }
        let mut children = self.root.children();
        let (Some(one), Some(two), None) = (children.next(), children.next(), children.next()) else {
            return found(body.start, "not the two parts of this form");
        };
        // The parser assigns a boundary to the innermost multipart that declares it. Parts that begin elsewhere are
        // those of another reader.
        let after = |at: usize| body.start + at + delimiter.len() + self.line_end.len();
        let before = |at: usize| (body.start + at).saturating_sub(self.line_end.len());
        if one.span() != (Span { start: after(first), end: before(second) })
            || two.span() != (Span { start: after(second), end: before(last) })
        {
            return found(body.start + second, "a boundary that an inner part declares too");
        }
        let (preamble, epilogue) = self.root.margins();
        self.margin(preamble)?;
        self.margin(epilogue)?;
        Ok((one, two))
    }

    /// Checks the octets before the first boundary or after the last, which no reader shows: printable lines. The
    /// boundary was already found not to occur in them.
    fn margin(&self, span: Span) -> Result<(), Found> {
        let is_line = |line: &[u8]| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            line.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\t'))
        };
        match self.root.whole(span).split(|octet| *octet == b'\n').all(is_line) {
            true => Ok(()),
            false => found(span.start, "octets that are not printable outside the parts"),
        }
    }

    /// Checks a leaf that contains exactly one armor block and blank lines.
    fn armored(&self, part: Part<'a>, header: &Header, label: armor::Label) -> Result<(), Found> {
        let start = part.body_span().start;
        self.leaf(part, header)?;
        let text = part.decoded();
        match armor::stray_line(&text, label) {
            None => Ok(()),
            Some(line) => found(start, format!("line {line} of the part does not belong to its armor")),
        }
    }

    /// Checks a leaf that contains a CMS object: base64 and line breaks (RFC 8551, section 3.1.2), or the object in
    /// binary.
    fn cms(&self, part: Part<'a>, header: &Header) -> Result<(), Found> {
        let start = part.body_span().start;
        self.leaf(part, header)?;
        match header.encoding {
            Encoding::Base64 if begins_with_a_sequence(part.body()) => Ok(()),
            Encoding::Identity if part.body().first() == Some(&SEQUENCE) => Ok(()),
            Encoding::Base64 | Encoding::Identity | Encoding::QuotedPrintable => {
                found(start, "something other than a CMS object in base64")
            }
        }
    }

    /// Checks a text that is one armor block of OpenPGP or PEM, or one cleartext-signed text. Its content is checked by
    /// the protocol.
    fn inline(&self, header: &Header) -> Result<(), Found> {
        let start = self.root.body_span().start;
        self.leaf(self.root, header)?;
        if header.disposition == "attachment" {
            return found(self.root.span().start, "a text that is an attachment");
        }
        let text = self.root.decoded();
        let format = header.media_type.parameter("format").unwrap_or("fixed").to_ascii_lowercase();
        let is_flowed = format == "flowed" && header.media_type.parameter("delsp").is_none_or(|delsp| delsp == "no");
        if format != "fixed" && !(is_flowed && flows_nowhere(&text)) {
            return found(self.root.span().start, "an unsigned format parameter that lets readers join lines");
        }
        if !is_printable(&text) {
            return found(start, "a control character in the text");
        }
        if !armor::is_alone(&text) {
            return found(start, "text outside the armor");
        }
        match has_one_reading(&text, header.media_type.parameter("charset")) {
            true => Ok(()),
            false => found(start, "an unsigned charset that gives the text another reading"),
        }
    }

    /// Checks a leaf whose transfer encoding all readers decode to the same octets.
    fn leaf(&self, part: Part<'a>, header: &Header) -> Result<(), Found> {
        let start = part.body_span().start;
        if part.children().len() > 0 {
            return found(start, "parts where a leaf is expected");
        }
        let body = part.body();
        match header.encoding {
            Encoding::Base64 if !encoding::is_base64(body) => found(start, "octets that are not base64"),
            Encoding::QuotedPrintable if !encoding::is_quoted_printable(body) => {
                found(start, "quoted-printable that does not follow RFC 2045")
            }
            Encoding::Base64 | Encoding::Identity | Encoding::QuotedPrintable => Ok(()),
        }
    }
}

struct Field {
    /// The name in lower case.
    name: String,
    /// The unfolded value.
    value: String,
    /// Whether it has a continuation line.
    is_folded: bool,
    /// Start of the next field.
    end: usize,
}

/// One token (RFC 2045, section 6.1), with nothing after it and not on a continuation line: some readers take white
/// space for a part of the name.
fn transfer_encoding(field: &Field, at: usize) -> Result<Encoding, Found> {
    let name = field.value.strip_prefix(' ').unwrap_or(&field.value).to_ascii_lowercase();
    match name.as_str() {
        _ if field.is_folded => found(at, "a transfer encoding on a line of its own"),
        "7bit" | "8bit" | "binary" => Ok(Encoding::Identity),
        "base64" => Ok(Encoding::Base64),
        "quoted-printable" => Ok(Encoding::QuotedPrintable),
        _ => found(at, "a transfer encoding that is not one of the five names"),
    }
}

/// Whether the text is the same in every charset that an attacker could put into the header in place of `charset`: it
/// is ASCII in a charset that agrees with ASCII, or it is UTF-8, which other charsets do not resemble.
fn has_one_reading(text: &[u8], charset: Option<&str>) -> bool {
    let charset = charset.unwrap_or("us-ascii").to_ascii_lowercase();
    match text.is_ascii() {
        true => {
            charset == "us-ascii" || charset == "utf-8" || ASCII_LIKE.iter().any(|prefix| charset.starts_with(prefix))
        }
        false => charset == "utf-8" && std::str::from_utf8(text).is_ok(),
    }
}

/// Whether format=flowed changes nothing in the text (RFC 3676): no line continues in the next (section 4.1; trailing
/// white space is not signed), and none starts with a space, which readers remove (section 4.4). The line above a
/// signature block never continues (section 4.3), also with a dash escape.
fn flows_nowhere(text: &[u8]) -> bool {
    let mut lines = text.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.all(|line| !line.starts_with(b" ") && (!line.ends_with(b" ") || matches!(line, b"-- " | b"- -- ")))
}

/// Whether a text has no control characters except line breaks, tabs and form feeds, and no lone CR.
fn is_printable(text: &[u8]) -> bool {
    let lines = text.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let is_control = |octet: &u8| octet.is_ascii_control() && !matches!(octet, b'\t' | b'\x0c');
    lines.into_iter().all(|line| !line.iter().any(is_control))
}

/// Whether base64 starts with the octet [`SEQUENCE`]: its first two characters hold twelve bits.
fn begins_with_a_sequence(base64: &[u8]) -> bool {
    let mut characters = base64.iter().filter(|octet| !octet.is_ascii_whitespace());
    characters.next() == Some(&b'M') && matches!(characters.next(), Some(b'A'..=b'P'))
}

/// Whether it is a boundary (RFC 2046, section 5.1.1) without spaces and encoded words.
fn is_boundary(boundary: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&octet);
    (1..=70).contains(&boundary.len()) && boundary.bytes().all(allowed) && !boundary.contains("=?")
}

fn line_end(root: Part<'_>) -> &'static [u8] {
    let octets = root.octets();
    match memchr(b'\n', octets).and_then(|end| end.checked_sub(1)).and_then(|at| octets.get(at)) {
        Some(b'\r') => b"\r\n",
        _ => b"\n",
    }
}

fn count(places: usize) -> String {
    if places > 3 { "more than 3".to_owned() } else { places.to_string() }
}

/// Fields allowed only once (RFC 5322, section 3.6; RFC 2045): of several, some readers take the first, some the last.
const COUNTED: [&str; 16] = [
    "bcc",
    "cc",
    "content-base",
    "content-description",
    "content-disposition",
    "content-id",
    "content-location",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "mime-version",
    "reply-to",
    "sender",
    "subject",
    "to",
];

/// Prefixes of charset names that agree with ASCII.
const ASCII_LIKE: [&str; 3] = ["iso-8859-", "koi8-", "windows-125"];

/// Maximum octets of a field name. The longest names in use have about 60.
const MAX_NAME: usize = 100;

/// The first tag of a CMS object.
const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests;
