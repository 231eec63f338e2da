//! The message as it was before its header was protected.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use memchr::memchr2;

use super::{
    super::{Part, header::Field},
    display::{self, body_without_display},
    read::Protection,
    scheme::{is_content, is_shown, is_trace, protected, without_parameters},
};

/// Writes `payload` under the header that the message had before it was sealed. Line ends are as in the two.
///
/// A payload that protects the header and has a From holds the whole header of its sender (RFC 9788, section 5.2.1): of the outer header
/// only the trace fields and an mbox `From ` line are written, in their order: other fields may have been added on the way.
/// Otherwise it holds some fields (older writers protect Subject alone), and the others are those of the outer header.
///
/// Where `cover`, which covers the payload, encrypts it, Legacy Display Elements go too (RFC 9788, section 4.5.3).
///
/// # Errors
///
/// Those of `to`.
pub fn strip(outer: Part<'_>, payload: Part<'_>, cover: Protection, to: &mut dyn Write) -> io::Result<()> {
    let (body, parameters): (Cow<'_, [u8]>, &[&str]) = match cover.is_encrypted() {
        true => (body_without_display(payload), &["hp", "protected-headers", display::PARAMETER]),
        false => (Cow::Borrowed(payload.body()), &["hp", "protected-headers"]),
    };
    if protected(payload).any(|field| field.is("From")) {
        write_whole(outer, payload, parameters, to)?;
    } else {
        write_merged(outer, payload, parameters, to)?;
    }
    // A file that was no mail before it was sealed is none now.
    if outer.header_octets().is_empty() && payload.header_octets().is_empty() {
        return to.write_all(&body);
    }
    to.write_all(b"\r\n")?;
    to.write_all(&body)
}

/// The trace of the outer header, and then the header that is in the payload, in its order.
fn write_whole(outer: Part<'_>, payload: Part<'_>, parameters: &[&str], to: &mut dyn Write) -> io::Result<()> {
    for (_, field) in outer.fields().enumerate().filter(|(index, field)| is_of_transport(*index, field)) {
        write_field(field.raw, to)?;
    }
    let has_version = payload.fields().any(|field| field.is("MIME-Version"));
    let mut content = payload.fields().filter(is_content);
    // A message without a type was given one to say that its header is protected.
    let is_typed = has_version
        || content.any(|field| !field.is("Content-Type") || !is_bare(&without_parameters(field.raw, parameters)));
    if is_typed && !has_version {
        outer.fields().filter(|field| field.is("MIME-Version")).try_for_each(|field| write_field(field.raw, to))?;
    }
    for field in payload.fields() {
        if is_content(&field) {
            let raw = without_parameters(field.raw, if field.is("Content-Type") { parameters } else { &[] });
            if is_typed {
                write_field(&raw, to)?;
            }
        } else if field.is("MIME-Version") || is_shown(&field) {
            write_field(field.raw, to)?;
        }
    }
    Ok(())
}

/// Whether a Content-Type says what is true without it.
fn is_bare(raw: &[u8]) -> bool {
    let value = raw.splitn(2, |octet| *octet == b':').nth(1).unwrap_or_default();
    value.trim_ascii().eq_ignore_ascii_case(b"text/plain")
}

/// The outer header, with the fields that the payload protects in place of its own.
fn write_merged(outer: Part<'_>, payload: Part<'_>, parameters: &[&str], to: &mut dyn Write) -> io::Result<()> {
    let mut inner: BTreeMap<String, Vec<Field<'_>>> = BTreeMap::new();
    for field in protected(payload) {
        inner.entry(field.name.to_ascii_lowercase()).or_default().push(field);
    }
    let has_content = payload.fields().any(|field| is_content(&field));
    let mut placed = BTreeSet::new();
    for field in outer.fields() {
        // MIME-Version speaks of Content-* fields; where the payload has none, sealing brought it.
        if field.is("MIME-Version") && has_content {
            write_field(field.raw, to)?;
        }
        if is_content(&field) || field.is("MIME-Version") {
            continue;
        }
        let name = field.name.to_ascii_lowercase();
        match inner.get(&name) {
            None => write_field(field.raw, to)?,
            Some(replacements) => {
                let raw = replacements.iter().map(|inner| inner.raw).filter(|_| !placed.contains(&name));
                raw.into_iter().try_for_each(|raw| write_field(raw, to))?;
                placed.insert(name);
            }
        }
    }
    for field in protected(payload).filter(|field| !placed.contains(&field.name.to_ascii_lowercase())) {
        write_field(field.raw, to)?;
    }
    for field in payload.fields().filter(is_content) {
        let raw = without_parameters(field.raw, if field.is("Content-Type") { parameters } else { &[] });
        write_field(&raw, to)?;
    }
    Ok(())
}

/// A trace field, or the line that a mailbox puts before the first field. One in which some reader may find another field, or the end of
/// the header, is none.
fn is_of_transport(index: usize, field: &Field<'_>) -> bool {
    let is_mailbox_line = index == 0 && field.name.is_empty() && field.raw.starts_with(b"From ");
    let is_plain = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        memchr2(b'\r', 0, line).is_none() && !line.trim_ascii().is_empty()
    };
    let raw = field.raw.strip_suffix(b"\n").unwrap_or(field.raw);
    (is_trace(field) || is_mailbox_line) && raw.split(|octet| *octet == b'\n').all(is_plain)
}

fn write_field(raw: &[u8], to: &mut dyn Write) -> io::Result<()> {
    to.write_all(raw)?;
    if raw.ends_with(b"\n") { Ok(()) } else { to.write_all(b"\r\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_goes_with_its_semicolon() {
        let raw = b"Content-Type: text/plain; charset=\"a;hp=b\"; hp=\"cipher\"; format=flowed\r\n";
        let kept = without_parameters(raw, &["hp"]);
        assert_eq!(kept, b"Content-Type: text/plain; charset=\"a;hp=b\"; format=flowed\r\n");
    }

    #[test]
    fn the_last_parameter_leaves_the_line_break() {
        let kept = without_parameters(b"Content-Type: text/plain;\r\n hp=\"clear\"\r\n", &["hp"]);
        assert_eq!(kept, b"Content-Type: text/plain");
    }

    fn stripped(outer: &str, payload: &str) -> String {
        let parse = |text: &str| {
            let mut budget = crate::base::Budget::new(crate::base::Limits::default());
            crate::mail::Message::parse(text.into(), &mut budget).unwrap()
        };
        let mut out = Vec::new();
        strip(parse(outer).root(), parse(payload).root(), Protection::SignedAndEncrypted, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_whole_inner_header_leaves_nothing_of_the_outer_one_but_its_trace() {
        let outer = "From x Mon\r\nReceived: r\r\nReply-To: eve@x.org\r\nFrom: a@x.org\r\nno field\r\nSubject: HACKED\r\nCc: eve@x.org\r\n\
                     MIME-Version: 1.0\r\nDKIM-Signature: d\r\nList-Id: l\r\n\r\n";
        for hp in ["hp=clear", "hp=cipher", "protected-headers=v1"] {
            let payload = format!(
                "Received: eve\r\nAuthentication-Results: x; dkim=pass\r\nFrom: b@x.org\r\nDate: d\r\n\
                 HP-Outer: From: a@x.org\r\nContent-Type: text/html; {hp}\r\n\r\nbody"
            );
            assert_eq!(
                stripped(outer, &payload),
                "From x Mon\r\nReceived: r\r\nDKIM-Signature: d\r\nMIME-Version: 1.0\r\nFrom: b@x.org\r\nDate: d\r\n\
                 Content-Type: text/html\r\n\r\nbody",
                "{hp}"
            );
        }
    }

    #[test]
    fn a_trace_field_that_hides_another_is_not_written() {
        let payload = "From: b@x.org\r\nContent-Type: text/plain; hp=clear\r\n\r\nbody";
        for hiding in ["Received: r\rSubject: HACKED\r\n", "Received: r\r\n \r\n Pay Eve.\r\n", "Received: r\0\r\n"] {
            let written = stripped(&format!("{hiding}From: b@x.org\r\n\r\n"), payload);
            assert_eq!(written, "From: b@x.org\r\n\r\nbody", "{hiding:?}");
        }
        let folded = stripped("Received: r\r\n\tx\r\nFrom: b@x.org\r\n\r\n", payload);
        assert!(folded.starts_with("Received: r\r\n\tx\r\nFrom"), "{folded:?}");
    }

    #[test]
    fn a_payload_that_protects_some_fields_has_the_others_from_outside() {
        let outer = "From: a@x.org\r\nSubject: ...\r\nTo: b@x.org\r\n\r\n";
        let payload = "Subject: s\r\nContent-Type: text/plain; protected-headers=\"v1\"\r\n\r\nbody";
        assert_eq!(
            stripped(outer, payload),
            "From: a@x.org\r\nSubject: s\r\nTo: b@x.org\r\nContent-Type: text/plain\r\n\r\nbody"
        );
        // What is no mark that the verdict knows is none here.
        for other in ["", "; hp=other", "; protected-headers=v2"] {
            let payload = format!("From: b@x.org\r\nContent-Type: text/plain{other}\r\n\r\nbody");
            assert!(stripped(outer, &payload).starts_with("From: a@x.org\r\nSubject: ...\r\n"), "{other}");
        }
    }
}
