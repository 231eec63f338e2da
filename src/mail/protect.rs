//! Header protection: RFC 9788 read and written, the older `protected-headers="v1"` read.

use std::collections::BTreeMap;

use super::{
    Message, Part,
    header::{ContentType, Edit, Field},
};

/// What became of one header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Inside and outside contradict each other without the sender's having said so.
    Differs,
    /// Inside only, or obscured outside, as the sender meant it (HP-Outer).
    Hidden,
    /// The same inside and outside, or lost outside on the way.
    Protected,
    /// Only outside.
    Unprotected,
}

impl Protection {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Protection::Differs => "differs",
            Protection::Hidden => "hidden",
            Protection::Protected => "protected",
            Protection::Unprotected => "unprotected",
        }
    }
}

/// What the payload says of the headers: for each field name, written as in the payload or else outside, in order of name.
/// Every field of the outer header is named, but for Content-*, MIME-Version, Received and other trace fields; and every field of the
/// payload, when it protects the header.
pub fn compare(outer: Part<'_>, payload: Part<'_>) -> BTreeMap<String, Protection> {
    let mut outside = Values::default();
    outer.fields().filter(is_shown).for_each(|field| outside.add(field.name, &field.decoded()));
    let scheme = Scheme::of(payload);
    let mut inside = Values::default();
    let mut meant_outside = Values::default();
    for field in payload.fields().filter(|_| scheme.is_some()) {
        if field.is("HP-Outer") {
            // RFC 9788, 4.2.1: a field within the field.
            let decoded = field.decoded();
            if let Some((name, value)) = decoded.split_once(':') {
                meant_outside.add(name.trim(), value);
            }
        } else if is_shown(&field) {
            inside.add(field.name, &field.decoded());
        }
    }
    let judge = |name: &String| {
        let values = (inside.of(name), outside.of(name));
        match (values, &scheme) {
            ((None, _), _) | (_, None) => Protection::Unprotected,
            ((Some(inner), Some(outer)), _) if inner == outer => Protection::Protected,
            // RFC 9788, 4.3.1: confidential is what HP-Outer does not show with that value.
            ((_, outer), Some(Scheme::Cipher)) if meant_outside.of(name) == outer => Protection::Hidden,
            ((Some(inner), None), Some(Scheme::Cipher)) if meant_outside.of(name) == Some(inner) => {
                Protection::Protected
            }
            ((_, None), Some(Scheme::Clear)) => Protection::Protected,
            ((_, None), Some(Scheme::Legacy)) => Protection::Hidden,
            ((_, Some([subject])), Some(Scheme::Legacy))
                if name == "subject" && OBSCURED.contains(&subject.as_str()) =>
            {
                Protection::Hidden
            }
            _ => Protection::Differs,
        }
    };
    let mut written = outside.written.clone();
    written.extend(inside.written.clone());
    written.into_iter().map(|(name, written)| (written, judge(&name))).collect()
}

/// The value of field `name` that a reader should see, decoded: the protected one where there is one.
pub fn shown(outer: Part<'_>, payload: Part<'_>, name: &str) -> Option<String> {
    let value = |part: Part<'_>| part.fields().find(|field| field.is(name)).map(|field| field.decoded());
    Scheme::of(payload).and_then(|_| value(payload)).or_else(|| value(outer))
}

/// The fields of the payload that stand for those of the message; none when it does not protect the header. What transports write is
/// not among them: nobody sends a `Received` or an `Authentication-Results` of his own.
pub fn protected<'a>(payload: Part<'a>) -> impl Iterator<Item = Field<'a>> + use<'a> {
    let protects = Scheme::of(payload).is_some();
    payload.fields().filter(move |field| protects && is_shown(field))
}

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

/// How a payload says that it protects the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Cipher,
    Clear,
    /// draft-autocrypt-lamps-protected-headers: RFC 9788, appendix F.3.
    Legacy,
}

impl Scheme {
    fn of(payload: Part<'_>) -> Option<Scheme> {
        let content_type = payload.content_type();
        match content_type.parameter("hp") {
            Some("cipher") => Some(Scheme::Cipher),
            Some("clear") => Some(Scheme::Clear),
            _ => (content_type.parameter("protected-headers") == Some("v1")).then_some(Scheme::Legacy),
        }
    }
}

/// The values of each field, by lower-case name.
#[derive(Default)]
struct Values {
    values: BTreeMap<String, Vec<String>>,
    written: BTreeMap<String, String>,
}

impl Values {
    fn add(&mut self, name: &str, value: &str) {
        let key = name.to_ascii_lowercase();
        self.written.entry(key.clone()).or_insert_with(|| name.to_owned());
        // Folding is no difference.
        self.values.entry(key).or_default().push(value.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    fn of(&self, name: &str) -> Option<&[String]> {
        self.values.get(name).map(Vec::as_slice)
    }
}

/// RFC 9787, section 1.1.1: structural fields say how the body is built; the rest says something of the message.
fn is_shown(field: &Field<'_>) -> bool {
    !(field.name.is_empty() || is_content(field) || is_trace(field) || field.is("MIME-Version") || field.is("HP-Outer"))
}

fn is_copied(field: &Field<'_>) -> bool {
    is_shown(field) && !field.is("Bcc") && !field.is("Resent-Bcc")
}

fn is_content(field: &Field<'_>) -> bool {
    field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
}

/// What transports put on top (RFC 5321, 4.4; RFC 6376; RFC 8601; RFC 8617).
fn is_trace(field: &Field<'_>) -> bool {
    TRACE.iter().any(|name| field.is(name))
        || field.name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("arc-"))
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

/// What the older scheme's writers (Enigmail, Thunderbird, K-9, Mailpile) put in place of the subject.
const OBSCURED: [&str; 4] = ["...", "[...]", "Encrypted Message", "Encrypted message"];
const TRACE: [&str; 6] =
    ["Authentication-Results", "Delivered-To", "DKIM-Signature", "Received", "Received-SPF", "Return-Path"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn compared(outer: &str, payload: &str) -> Vec<(String, &'static str)> {
        let (outer, payload) = (parse(outer), parse(payload));
        compare(outer.root(), payload.root()).into_iter().map(|(name, protection)| (name, protection.name())).collect()
    }

    fn written(edit: &Edit<'_>) -> String {
        String::from_utf8(edit.octets()).unwrap()
    }

    const OUTER: &str = "Received: x\r\nFrom: a@x.org\r\nto: b@x.org\r\nSubject: [...]\r\nList-Id: l\r\nContent-Type: multipart/encrypted\r\n\r\n";

    #[test]
    fn the_example_of_rfc_9788_section_1_9() {
        let payload = "From: a@x.org\r\nTo:\r\n b@x.org\r\nSubject: Handling the Jones contract\r\nKeywords: Contract\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\
                       HP-Outer: From: a@x.org\r\nHP-Outer: To: b@x.org\r\nHP-Outer: Subject: [...]\r\n\r\n";
        let expected = [
            ("From", "protected"),
            ("Keywords", "hidden"),
            ("List-Id", "unprotected"),
            ("Subject", "hidden"),
            ("To", "protected"),
        ];
        assert_eq!(compared(OUTER, payload), expected.map(|(name, what)| (name.to_owned(), what)));
        let (outer, payload) = (parse(OUTER), parse(payload));
        assert_eq!(shown(outer.root(), payload.root(), "subject").as_deref(), Some("Handling the Jones contract"));
        assert_eq!(shown(outer.root(), payload.root(), "List-Id").as_deref(), Some("l"));
    }

    #[test]
    fn contradictions_are_named() {
        let outer = "From: a@x.org\nSubject: Pay Eve\n\n";
        for (payload, subject) in [
            ("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; hp=clear\n\n", "differs"),
            (
                "From: a@x.org\nSubject: Pay Bob\nHP-Outer: Subject: [...]\nContent-Type: text/plain; hp=cipher\n\n",
                "differs",
            ),
            ("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; hp=cipher\n\n", "differs"),
            ("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; protected-headers=v1\n\n", "differs"),
            ("From: a@x.org\nSubject: Pay Bob\nSubject: Pay Eve\nContent-Type: text/plain; hp=clear\n\n", "differs"),
            ("From: a@x.org\nSubject: =?utf-8?q?Pay?=\n Eve\nContent-Type: text/plain; hp=clear\n\n", "protected"),
            ("From: a@x.org\nSubject: Pay Bob\n\n", "unprotected"),
        ] {
            assert_eq!(compared(outer, payload)[1], ("Subject".to_owned(), subject), "{payload}");
        }
        let payload = "Subject: x\nDate: y\nHP-Outer: Date: y\nContent-Type: text/plain; hp=\"cipher\"\n\n";
        assert_eq!(compared("\n", payload), [("Date".to_owned(), "protected"), ("Subject".to_owned(), "hidden")]);
    }

    #[test]
    fn the_older_scheme_is_read() {
        let payload = "Subject: Secret\nContent-Type: multipart/mixed; protected-headers=\"v1\"; boundary=b\n\n";
        assert_eq!(compared("Subject: ...\n\n", payload), [("Subject".to_owned(), "hidden")]);
        assert_eq!(compared("X: y\n\n", payload), [("Subject".to_owned(), "hidden"), ("X".to_owned(), "unprotected")]);
    }

    #[test]
    fn what_protect_writes_compare_reads() {
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
            ("Bcc", "unprotected"),
            ("From", "protected"),
            ("Keywords", "hidden"),
            ("Subject", "hidden"),
            ("Thread-Topic", "hidden"),
            ("To", "protected"),
        ];
        assert_eq!(
            compared(&written(&outer), &written(&payload)),
            expected.map(|(name, what)| (name.to_owned(), what))
        );

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
