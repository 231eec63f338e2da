//! Header protection written (RFC 9788, section 5.2.1).

use super::{
    super::{
        Message, Part,
        header::{Edit, Field},
    },
    confidentiality::{Confidentiality, Outside},
    scheme::{is_content, is_shown, with_parameter},
};

/// Whether the layers hide the payload, and what of the header with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Encrypted (`hp="cipher"`, RFC 9788, section 2.1.1): HP-Outer inside says what stands outside.
    Cipher(Confidentiality),
    /// Signed only (`hp="clear"`): every field stands outside too.
    Clear,
}

/// The header of the payload (every non-structural field but Bcc and those of the transport copied in, `hp=` on its Content-Type) and the
/// outer header, which has lost its Content-* fields to it (RFC 9788, section 5.2.1; for Legacy Display Elements see
/// [`with_legacy_display`](super::with_legacy_display)).
pub fn protect(message: &Message, mode: Mode) -> (Edit<'_>, Edit<'_>) {
    let mut outer = Edit::new(message.root());
    outer.retain(|field| !is_content(field));
    let mut payload = Edit::within(message.root());
    payload
        .retain(|field| (is_content(field) || field.is("MIME-Version") || is_copied(field)) && !field.is("HP-Outer"));
    let Mode::Cipher(policy) = mode else {
        mark(&mut payload, message.root(), "clear");
        return (payload, outer);
    };
    mark(&mut payload, message.root(), "cipher");
    outer.retain(|field| !is_copied(field) || policy.outside(field) != Outside::Removed);
    let mut shown: Vec<Vec<u8>> = Vec::new();
    for field in outer.kept().copied().filter(is_copied).collect::<Vec<_>>() {
        let Outside::Other(value) = policy.outside(&field) else {
            shown.push(field.raw.to_vec());
            continue;
        };
        let raw = format!("{}: {value}", field.name).into_bytes();
        if shown.contains(&raw) {
            // A subject that is there twice is obscured once.
            outer.retain(|other| other.span != field.span);
        } else {
            outer.replace(&field, raw.clone());
            shown.push(raw);
        }
    }
    for raw in shown.into_iter().rev() {
        payload.insert([b"HP-Outer: ", raw.as_slice()].concat());
    }
    (payload, outer)
}

/// Says on the Content-Type of the payload that it protects the header.
fn mark(payload: &mut Edit<'_>, root: Part<'_>, value: &str) {
    let mut written = root.fields().filter(|field| field.is("Content-Type"));
    let (first, others) = (written.next(), written.count());
    let marked = with_parameter(first, root.content_type(), "hp", value);
    match first {
        Some(field) if others == 0 => payload.replace(&field, marked),
        _ => {
            payload.delete("Content-Type");
            payload.insert(marked);
        }
    }
}

fn is_copied(field: &Field<'_>) -> bool {
    is_shown(field) && !field.is("Bcc") && !field.is("Resent-Bcc")
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Protection, author};
    use super::*;
    use crate::base::{Budget, Limits};

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn read(outer: &str, payload: &str) -> Vec<String> {
        let (outer, payload) = (parse(outer), parse(payload));
        let header = Header::read(outer.root(), Some(payload.root()), Protection::SignedAndEncrypted);
        header.fields().map(|field| format!("{} {}", field.name, field.protection.name())).collect()
    }

    fn written(edit: &Edit<'_>) -> String {
        String::from_utf8(edit.octets()).unwrap()
    }

    #[test]
    fn what_protect_writes_is_read_again() {
        let message = parse(
            "From x Mon\r\nReceived: r\r\nFrom: a@x.org\r\nBcc: hidden@x.org\r\nSubject: secret\r\nTo: b@x.org,\r\n c@x.org\r\nKeywords: k\r\nThread-Topic: secret\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8;\r\nContent-Transfer-Encoding: 8bit\r\n\r\nbody\r\n",
        );
        let (payload, outer) = protect(&message, Mode::Cipher(Confidentiality::Baseline));
        assert_eq!(
            written(&payload),
            "HP-Outer: From: a@x.org\r\nHP-Outer: Subject: [...]\r\nHP-Outer: To: b@x.org,\r\n c@x.org\r\n\
             From: a@x.org\r\nSubject: secret\r\nTo: b@x.org,\r\n c@x.org\r\nKeywords: k\r\nThread-Topic: secret\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8;\r\n hp=\"cipher\"\r\nContent-Transfer-Encoding: 8bit\r\n"
        );
        assert_eq!(
            written(&outer),
            "From x Mon\r\nReceived: r\r\nFrom: a@x.org\r\nBcc: hidden@x.org\r\nSubject: [...]\r\nTo: b@x.org,\r\n c@x.org\r\nMIME-Version: 1.0\r\n"
        );
        let expected = [
            "Bcc unprotected",
            "From signed",
            "Keywords signed-and-encrypted",
            "Subject signed-and-encrypted",
            "Thread-Topic signed-and-encrypted",
            "To signed",
        ];
        assert_eq!(read(&written(&outer), &written(&payload)), expected);

        let (payload, outer) = protect(&message, Mode::Clear);
        assert!(
            written(&payload).contains("hp=\"clear\"\r\n")
                && !written(&payload).contains("HP-Outer")
                && !written(&payload).contains("Bcc")
        );
        assert!(written(&outer).contains("Subject: secret\r\n") && !written(&outer).contains("Content-"));
    }

    #[test]
    fn shy_shows_addresses_and_universal_time_alone() {
        let message = parse(
            "From: Alice <alice@x.org>\nTo: Bob <bob@x.org>\nDate: Wed, 11 Jan 2023 16:08:43 -0500\nSubject: s\nSubject: t\n\nbody\n",
        );
        let (payload, outer) = protect(&message, Mode::Cipher(Confidentiality::Shy));
        let shown = "From: alice@x.org\nTo: bob@x.org\nDate: Wed, 11 Jan 2023 21:08:43 +0000\nSubject: [...]\n";
        assert_eq!(written(&outer), shown);
        let inside = written(&payload);
        assert!(
            inside.starts_with(&shown.lines().map(|line| format!("HP-Outer: {line}\n")).collect::<String>()),
            "{inside}"
        );
        assert!(inside.contains("\nFrom: Alice <alice@x.org>\n"), "{inside}");
        let author = author(parse(&format!("{shown}\n")).root(), Some(parse(&format!("{inside}\n")).root()));
        assert_eq!(author.unwrap().to_string(), "alice@x.org");

        let (payload, outer) = protect(&message, Mode::Cipher(Confidentiality::Nothing));
        assert!(written(&outer).ends_with("Subject: s\nSubject: t\n"));
        assert!(written(&payload).contains("HP-Outer: From: Alice <alice@x.org>\n"));
    }

    #[test]
    fn content_types_that_swallow_parameters_are_written_anew() {
        for value in ["text/html (unclosed", "text/html; name=\"unclosed", "text/html; hp=cipher", "nonsense"] {
            let message = parse(&format!("Content-Type: {value}\n\n"));
            let kind = message.root().content_type().subtype.clone();
            let (payload, _) = protect(&message, Mode::Clear);
            let read = parse(&format!("{}\n", written(&payload)));
            assert_eq!(read.root().content_type().parameter("hp"), Some("clear"), "{value}");
            assert_eq!(read.root().content_type().subtype, kind);
        }
        let (_, bare) = (parse("\n"), parse("Subject: x\n\n"));
        assert!(written(&protect(&bare, Mode::Clear).0).starts_with("Content-Type: text/plain; hp=clear\n"));
    }
}
