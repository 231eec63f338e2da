//! Content-Type, Content-Disposition and their parameters: RFC 2045, section 5.1; RFC 2183; RFC 2231.

use std::fmt;

use super::encoding;
use crate::base::{Budget, Result};

/// A structured value with parameters: Content-Type or Content-Disposition (RFC 2045, section 5.1; RFC 2183; RFC 2231
/// decoded).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// The type in lower case: `text`.
    pub kind: String,
    /// The subtype in lower case: `plain`; empty for a disposition.
    pub subtype: String,
    /// Parameters in order, with names in lower case and decoded values.
    pub parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Parses a value of Content-Type. An unreadable one is text/plain (RFC 2045, section 5.2).
    pub fn parse(value: &str) -> ContentType {
        Self::of_octets(value.as_bytes())
    }

    /// Parses a raw value, folded or not, within the Budget.
    pub(super) fn within(value: &[u8], budget: &Budget) -> Result<ContentType> {
        let max = budget.limits().parameters;
        Self::read(value, max).ok_or_else(|| budget.parameters_exceeded("Content-Type"))
    }

    /// Parses a value of Content-Disposition. An unreadable one is `attachment` (RFC 2183, section 2.8).
    pub fn disposition(value: &str) -> ContentType {
        let mut cursor = Cursor { rest: value.as_bytes() };
        let kind = cursor.token().to_ascii_lowercase();
        let kind = if kind.is_empty() { "attachment".into() } else { kind };
        let parameters = cursor.parameters(MAX_PARAMETERS).unwrap_or_default();
        ContentType { kind, subtype: String::new(), parameters: decoded(parameters) }
    }

    /// Whether it is `kind/subtype`, given in lower case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind == kind && self.subtype == subtype
    }

    /// `text/calendar`, in lower case.
    pub fn essence(&self) -> String {
        format!("{}/{}", self.kind, self.subtype)
    }

    /// The parameter `name`, given in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Parses a raw value, folded or not.
    pub(super) fn of_octets(value: &[u8]) -> ContentType {
        Self::read(value, MAX_PARAMETERS).unwrap_or_else(|| Self::bare("text", "plain"))
    }

    /// `None` if it has more than `max` parameters.
    fn read(value: &[u8], max: usize) -> Option<ContentType> {
        let mut cursor = Cursor { rest: value };
        let read = cursor.media_type().unwrap_or_else(|| ("text".into(), "plain".into()));
        Some(ContentType { kind: read.0, subtype: read.1, parameters: decoded(cursor.parameters(max)?) })
    }

    /// A value without parameters.
    pub(super) fn bare(kind: &str, subtype: &str) -> ContentType {
        ContentType { kind: kind.into(), subtype: subtype.into(), parameters: Vec::new() }
    }
}

impl fmt::Display for ContentType {
    /// As written in a header: folded before each parameter, values quoted where necessary, and encoded by RFC 2231 if
    /// not ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.subtype.is_empty() {
            write!(f, "/{}", self.subtype)?;
        }
        self.parameters.iter().try_for_each(|(name, value)| write!(f, ";{}", parameter(name, value)))
    }
}

/// Writes `name="value"` after a space, or after a fold if it is long. A value that is not printable ASCII is encoded
/// by RFC 2231, section 4.
pub fn parameter(name: &str, value: &str) -> String {
    let is_token = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet);
    let written = if !value.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        let percent = |octet: u8| match octet {
            b'*' | b'\'' | b'%' => format!("%{octet:02X}"),
            octet if is_token(octet) => char::from(octet).into(),
            octet => format!("%{octet:02X}"),
        };
        format!("{name}*=utf-8''{}", value.bytes().map(percent).collect::<String>())
    } else if !value.is_empty() && value.bytes().all(is_token) {
        format!("{name}={value}")
    } else {
        format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
    };
    if written.len() > 40 { format!("\r\n {written}") } else { format!(" {written}") }
}

/// The boundary in a raw value of Content-Type, as octets for comparison with octets; `None` if empty.
pub(super) fn boundary(value: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor { rest: value };
    cursor.media_type();
    let (_, _, octets) =
        joined(cursor.parameters(MAX_PARAMETERS)?).into_iter().find(|(name, ..)| name == "boundary")?;
    // A boundary does not end with white space (RFC 2046, section 5.1.1). Lines are trimmed too before they are
    // compared with it.
    let boundary = octets.trim_ascii_end();
    (!boundary.is_empty()).then(|| boundary.to_vec())
}

/// Maximum parameters of a value parsed without a Budget, equal to that in `base::Limits`.
const MAX_PARAMETERS: usize = 128;

/// A parameter as written: `name*1*=value` has section 1 and is extended.
struct Parameter {
    name: String,
    section: Option<u32>,
    extended: bool,
    value: Vec<u8>,
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// `kind/subtype` in lower case.
    fn media_type(&mut self) -> Option<(String, String)> {
        let kind = self.token().to_ascii_lowercase();
        self.skip_blank();
        self.rest = self.rest.strip_prefix(b"/")?;
        let subtype = self.token().to_ascii_lowercase();
        (!kind.is_empty() && !subtype.is_empty()).then_some((kind, subtype))
    }

    /// Reads all parameters, tolerating missing semicolons and white space anywhere; `None` if there are more than
    /// `max`.
    fn parameters(&mut self, max: usize) -> Option<Vec<Parameter>> {
        let mut parameters = Vec::new();
        while !self.rest.is_empty() {
            let name = self.token().to_ascii_lowercase();
            self.skip_blank();
            match self.rest.strip_prefix(b"=") {
                Some(rest) if !name.is_empty() => {
                    self.rest = rest;
                    let value = self.value();
                    if parameters.len() == max {
                        return None;
                    }
                    parameters.push(Parameter::new(&name, value));
                }
                // Not a parameter: a stray separator, a word, or a value without a name.
                _ if name.is_empty() => self.rest = self.rest.get(1..).unwrap_or_default(),
                _ => {}
            }
        }
        Some(parameters)
    }

    /// A word up to white space, a separator or a comment; empty if it has characters that a token must not have (RFC
    /// 2045, section 5.1).
    fn token(&mut self) -> String {
        self.skip_blank();
        let word = self.take_until(|octet| octet.is_ascii_whitespace() || b";/=(\"".contains(&octet));
        if word.iter().all(u8::is_ascii_graphic) { String::from_utf8_lossy(word).into_owned() } else { String::new() }
    }

    fn value(&mut self) -> Vec<u8> {
        self.skip_blank();
        if let Some(rest) = self.rest.strip_prefix(b"\"") {
            self.rest = rest;
            return self.quoted();
        }
        // An unquoted value may contain anything but a semicolon: `=` in boundaries, parentheses and spaces in file
        // names.
        let before = self.rest;
        let word = self.take_until(|octet| octet.is_ascii_whitespace() || octet == b';');
        let tail = self.take_until(|octet| b"=;\r\n".contains(&octet));
        if tail.trim_ascii_start().starts_with(b"(") || !matches!(self.rest.first(), None | Some(b';')) {
            self.rest = before.get(word.len()..).unwrap_or_default();
            return word.to_vec();
        }
        before.get(..word.len() + tail.len()).unwrap_or_default().trim_ascii_end().to_vec()
    }

    /// The rest of a quoted string, to its end or the end of the value, unfolded.
    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        while let Some((octet, rest)) = self.rest.split_first() {
            self.rest = rest;
            match octet {
                b'"' => return value,
                b'\r' | b'\n' => {}
                b'\\' => {
                    if let Some((escaped, rest)) = rest.split_first() {
                        self.rest = rest;
                        value.push(*escaped);
                    }
                }
                _ => value.push(*octet),
            }
        }
        value
    }

    /// Skips white space and comments (RFC 5322, section 3.2.2).
    fn skip_blank(&mut self) {
        let mut depth = 0usize;
        while let Some((octet, rest)) = self.rest.split_first() {
            match octet {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    self.rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                octet if depth > 0 || octet.is_ascii_whitespace() => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    fn take_until(&mut self, end: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().position(|octet| end(*octet)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        word
    }
}

impl Parameter {
    fn new(name: &str, value: Vec<u8>) -> Self {
        let (base, extended) = name.strip_suffix('*').map_or((name, false), |base| (base, true));
        let numbered = base.rsplit_once('*').and_then(|(base, number)| Some((base, number.parse().ok()?)));
        let (base, section) = numbered.map_or((base, None), |(base, section)| (base, Some(section)));
        Parameter { name: base.into(), section, extended, value }
    }
}

/// Joins the sections of each parameter (RFC 2231, section 3) and decodes percent signs. Returns name, charset if
/// given, and octets.
fn joined(parameters: Vec<Parameter>) -> Vec<(String, Option<String>, Vec<u8>)> {
    let mut order: Vec<String> = Vec::new();
    let mut pieces = std::collections::BTreeMap::<String, Vec<Parameter>>::new();
    for parameter in parameters {
        let of_name = pieces.entry(parameter.name.clone()).or_default();
        if of_name.is_empty() {
            order.push(parameter.name.clone());
        }
        of_name.push(parameter);
    }
    let mut values = Vec::new();
    for name in order {
        let mut pieces = pieces.remove(&name).unwrap_or_default();
        // RFC 2231 takes precedence over the plain form, as in RFC 6266, section 4.3. Of two plain ones, the first
        // counts.
        if pieces.iter().any(|piece| piece.extended || piece.section.is_some()) {
            pieces.retain(|piece| piece.extended || piece.section.is_some());
            pieces.sort_by_key(|piece| piece.section);
            pieces.dedup_by_key(|piece| piece.section);
        } else {
            pieces.truncate(1);
        }
        let mut charset = None;
        let mut octets = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let mut value = piece.value.as_slice();
            if piece.extended && index == 0 {
                let mut split = value.splitn(3, |octet| *octet == b'\'');
                if let (Some(label), Some(_language), Some(rest)) = (split.next(), split.next(), split.next()) {
                    charset = Some(String::from_utf8_lossy(label).into_owned()).filter(|label| !label.is_empty());
                    value = rest;
                }
            }
            if piece.extended { octets.extend(percent_decoded(value)) } else { octets.extend_from_slice(value) }
        }
        values.push((name, charset, octets));
    }
    values
}

fn decoded(parameters: Vec<Parameter>) -> Vec<(String, String)> {
    let unicode = |(name, charset, octets): (String, Option<String>, Vec<u8>)| {
        let text = encoding::to_unicode(&octets, charset.as_deref().unwrap_or("us-ascii"));
        // RFC 2047, section 5 forbids encoded words here, but Outlook and others use them for file names.
        let is_name = matches!(name.as_str(), "name" | "filename") && charset.is_none();
        let text = if is_name { encoding::decode_words(&text) } else { text };
        (name, text)
    };
    joined(parameters).into_iter().map(unicode).collect()
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        let hex = if *first == b'%' { after.first_chunk().and_then(|digits| encoding::hex(*digits)) } else { None };
        octets.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(value: &str, name: &str) -> Option<String> {
        ContentType::parse(value).parameter(name).map(str::to_owned)
    }

    #[test]
    fn media_types() {
        for (value, expected) in [
            ("Text/HTML", "text/html"),
            ("text / plain; charset=x", "text/plain"),
            ("text(comment)/(another (nested))html ; a=b", "text/html"),
            ("multipart/mixed;boundary=x", "multipart/mixed"),
            ("text", "text/plain"),
            ("", "text/plain"),
            ("/plain", "text/plain"),
            ("application/", "text/plain"),
            ("te\u{e9}t/html", "text/plain"),
        ] {
            let read = ContentType::parse(value);
            assert_eq!(format!("{}/{}", read.kind, read.subtype), expected, "{value:?}");
        }
        assert_eq!(ContentType::disposition("INLINE; filename=a").kind, "inline");
        assert_eq!(ContentType::disposition("; filename=a").kind, "attachment");
    }

    #[test]
    fn parameters_as_people_write_them() {
        for (value, name, expected) in [
            ("a/b; x=\"q \\\"uoted\\\"\"; y=1", "x", "q \"uoted\""),
            ("a/b; X = y (comment)", "x", "y"),
            ("a/b x=1 y=2", "y", "2"),
            ("a/b;;; x=1;", "x", "1"),
            ("a/b; filename=two words.txt; y=1", "filename", "two words.txt"),
            ("a/b; boundary=----=_Part(1)/2=", "boundary", "----=_Part(1)/2="),
            ("a/b; x=\"unterminated", "x", "unterminated"),
            ("a/b; x=1; x=2", "x", "1"),
            ("a/b; name=\"=?utf-8?q?=C3=A9?=\"", "name", "\u{e9}"),
            ("text; charset=utf-8", "charset", "utf-8"),
        ] {
            assert_eq!(parameter(value, name).as_deref(), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn rfc_2231_sections_and_charsets() {
        let url = "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/x\"";
        assert_eq!(parameter(url, "url").as_deref(), Some("ftp://cs.utk.edu/x"));
        let title = "application/x-stuff; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20more%20; title*2=\"isn't it!\"";
        assert_eq!(parameter(title, "title").as_deref(), Some("This is even more ***fun*** isn't it!"));
        assert_eq!(parameter("a/b; filename=x; filename*=iso-8859-1''%E9", "filename").as_deref(), Some("\u{e9}"));
        assert_eq!(parameter("a/b; filename*=utf-8''%zz%C3%A9", "filename").as_deref(), Some("%zz\u{e9}"));
    }

    #[test]
    fn boundaries_are_octets() {
        assert_eq!(boundary(b"multipart/mixed; boundary=\"\xe9 \"").as_deref(), Some(&b"\xe9"[..]));
        assert_eq!(boundary(b"multipart/mixed; boundary=\"\""), None);
        assert_eq!(boundary(b"multipart/mixed; boundary=\"a\r\n b\"").as_deref(), Some(&b"a b"[..]));
    }
}
