//! How a payload says that it protects the header, and which fields that is about.

use super::super::{Part, header::Field};

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
