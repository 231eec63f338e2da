//! Header protection written (RFC 9788, section 5.2.1).

use super::{
    super::{
        Message,
        header::{ContentType, Edit, Field},
    },
    scheme::{is_content, is_shown},
};

/// Whether the layers hide the payload (RFC 9788, section 2.1.1: `hp="cipher"`) or only sign it (`hp="clear"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Encrypted: Subject becomes `[...]` outside, Comments and Keywords vanish (the baseline policy, RFC 9788, section 3.2.1), Thread-Topic too,
    /// HP-Outer inside.
    Cipher,
    /// Signed only.
    Clear,
}

/// The header of the payload (every non-structural field but Bcc and those of the transport copied in, `hp=` on its Content-Type) and the
/// outer header, which has lost its Content-* fields to it (RFC 9788, section 5.2.1; without Legacy Display Elements).
pub fn protect(message: &Message, mode: Mode) -> (Edit<'_>, Edit<'_>) {
    let mut outer = Edit::new(message.root());
    outer.retain(|field| !is_content(field));
    let mut payload = Edit::within(message.root());
    payload
        .retain(|field| (is_content(field) || field.is("MIME-Version") || is_copied(field)) && !field.is("HP-Outer"));
    payload.delete("Content-Type");
    let content_type = message.root().fields().find(|field| field.is("Content-Type"));
    payload.insert(with_hp(content_type, message.root().content_type(), mode));
    if mode == Mode::Clear {
        return (payload, outer);
    }
    // Thread-Topic is Outlook's copy of the subject.
    for name in ["Comments", "Keywords", "Thread-Topic"] {
        outer.delete(name);
    }
    if message.root().header("Subject").is_some() {
        outer.delete("Subject");
        outer.insert("Subject: [...]");
        payload.insert("HP-Outer: Subject: [...]");
    }
    let copied: Vec<_> =
        outer.kept().filter(|field| is_copied(field)).map(|field| [b"HP-Outer: ", field.raw].concat()).collect();
    for raw in copied.into_iter().rev() {
        payload.insert(raw);
    }
    (payload, outer)
}

fn is_copied(field: &Field<'_>) -> bool {
    is_shown(field) && !field.is("Bcc") && !field.is("Resent-Bcc")
}

/// Content-Type as it was, with `hp` for what it had of that.
fn with_hp(field: Option<Field<'_>>, content_type: &ContentType, mode: Mode) -> Vec<u8> {
    let mode = if mode == Mode::Cipher { "cipher" } else { "clear" };
    let appended = field.map(|field| {
        let raw = field.raw.trim_ascii_end();
        [raw.strip_suffix(b";").unwrap_or(raw), b";\r\n hp=\"", mode.as_bytes(), b"\""].concat()
    });
    // A comment or a quotation that is not closed swallows what is appended.
    let is_read = |raw: &Vec<u8>| {
        let value = raw.splitn(2, |octet| *octet == b':').nth(1).map(ContentType::of_octets);
        value.is_some_and(|read| {
            read.parameter("hp") == Some(mode) && read.kind == content_type.kind && read.subtype == content_type.subtype
        })
    };
    appended.filter(is_read).unwrap_or_else(|| {
        let mut anew = content_type.clone();
        anew.parameters.retain(|(name, _)| name != "hp");
        anew.parameters.push(("hp".into(), mode.into()));
        format!("Content-Type: {anew}").into_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Header, Protection};
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
        let (payload, outer) = protect(&message, Mode::Cipher);
        assert_eq!(
            written(&payload),
            "HP-Outer: From: a@x.org\r\nHP-Outer: To: b@x.org,\r\n c@x.org\r\nHP-Outer: Subject: [...]\r\n\
             Content-Type: text/plain; charset=utf-8;\r\n hp=\"cipher\"\r\nFrom: a@x.org\r\nSubject: secret\r\nTo: b@x.org,\r\n c@x.org\r\nKeywords: k\r\nThread-Topic: secret\r\n\
             MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n"
        );
        assert_eq!(
            written(&outer),
            "From x Mon\r\nSubject: [...]\r\nReceived: r\r\nFrom: a@x.org\r\nBcc: hidden@x.org\r\nTo: b@x.org,\r\n c@x.org\r\nMIME-Version: 1.0\r\n"
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
