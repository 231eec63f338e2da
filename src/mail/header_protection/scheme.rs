//! How a payload says that it protects the header, and which fields that is about.

use super::super::{
    Part,
    header::{ContentType, Field},
};

/// How a payload says that it protects the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `hp="cipher"` (RFC 9788, section 2.1.1): HP-Outer says what stands outside.
    Cipher,
    /// `hp="clear"`: everything stands outside too.
    Clear,
    /// `protected-headers="v1"` (draft-autocrypt-lamps-protected-headers; RFC 9788, appendix F.3).
    Legacy,
}

impl Scheme {
    /// What the Content-Type of the payload's root says.
    pub(super) fn of(payload: Part<'_>) -> Option<Scheme> {
        let content_type = payload.content_type();
        match content_type.parameter("hp") {
            Some("cipher") => Some(Scheme::Cipher),
            Some("clear") => Some(Scheme::Clear),
            _ => (content_type.parameter("protected-headers") == Some("v1")).then_some(Scheme::Legacy),
        }
    }
}

/// The fields of the payload that stand for those of the message; none when it does not protect the header. Trace fields are not
/// among them: no sender writes a `Received` or an `Authentication-Results`.
pub(super) fn protected<'a>(payload: Part<'a>) -> impl Iterator<Item = Field<'a>> + use<'a> {
    let protects = Scheme::of(payload).is_some();
    payload.fields().filter(move |field| protects && is_shown(field))
}

/// RFC 9787, section 1.1.1: structural fields say how the body is built; the rest says something of the message.
pub(super) fn is_shown(field: &Field<'_>) -> bool {
    !(field.name.is_empty() || is_content(field) || is_trace(field) || field.is("MIME-Version") || field.is("HP-Outer"))
}

/// Whether the field says how the body is built.
pub(super) fn is_content(field: &Field<'_>) -> bool {
    field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// What transports put on top (RFC 5321, 4.4; RFC 6376; RFC 8601; RFC 8617).
pub(super) fn is_trace(field: &Field<'_>) -> bool {
    TRACE.iter().any(|name| field.is(name))
        || field.name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("arc-"))
}

const TRACE: [&str; 6] =
    ["Authentication-Results", "Delivered-To", "DKIM-Signature", "Received", "Received-SPF", "Return-Path"];

/// Content-Type as it was, with the parameter `name` in place of what it had of that. Without a `field`, or where the parameter would not be
/// read behind it, it is written anew.
pub(super) fn with_parameter(field: Option<Field<'_>>, content_type: &ContentType, name: &str, value: &str) -> Vec<u8> {
    let appended = field.map(|field| {
        let raw = field.raw.trim_ascii_end();
        let raw = raw.strip_suffix(b";").unwrap_or(raw);
        [raw, format!(";\r\n {name}=\"{value}\"").as_bytes()].concat()
    });
    // A comment or a quotation that is not closed swallows what is appended.
    let is_read = |raw: &Vec<u8>| {
        let read = raw.splitn(2, |octet| *octet == b':').nth(1).map(ContentType::of_octets);
        read.is_some_and(|read| {
            let is_kind = read.kind == content_type.kind && read.subtype == content_type.subtype;
            is_kind && read.parameter(name) == Some(value)
        })
    };
    appended.filter(is_read).unwrap_or_else(|| {
        let mut anew = content_type.clone();
        anew.parameters.retain(|(own, _)| own != name);
        anew.parameters.push((name.to_owned(), value.to_owned()));
        format!("Content-Type: {anew}").into_bytes()
    })
}

/// A raw field less some parameters, each with the semicolon before it; everything else keeps its octets.
pub(super) fn without_parameters(raw: &[u8], names: &[&str]) -> Vec<u8> {
    let mut pieces = pieces(raw).into_iter();
    let mut kept = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        let name: Vec<u8> =
            piece.iter().copied().skip_while(u8::is_ascii_whitespace).take_while(|c| *c != b'=').collect();
        let name = String::from_utf8_lossy(&name).trim().to_ascii_lowercase();
        if !names.contains(&name.as_str()) {
            kept.push(b';');
            kept.extend_from_slice(piece);
        }
    }
    kept
}

/// Splits at semicolons that are not within quotes.
fn pieces(raw: &[u8]) -> Vec<&[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    raw.split(|&c| {
        let separates = c == b';' && !quoted;
        if c == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == b'\\' && !escaped;
        separates
    })
    .collect()
}
