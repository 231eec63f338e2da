//! What covers each header field: the algorithm of RFC 9788, section 4.3.1.

use std::collections::BTreeMap;

use super::{
    super::{Address, NoAuthor, Part, header},
    scheme::{Scheme, is_shown, protected},
};

/// What covers a header field, or the payload (RFC 9788, section 4.3). Only a signature that holds counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// Encrypted: it was not readable on the way, and no signature says who wrote it.
    Encrypted,
    /// A valid signature covers it; everybody on the way could read it.
    Signed,
    /// A valid signature covers it, and it was not seen on the way.
    SignedAndEncrypted,
    /// Nothing covers it.
    #[default]
    Unprotected,
}

impl Protection {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Protection::Encrypted => "encrypted",
            Protection::Signed => "signed",
            Protection::SignedAndEncrypted => "signed-and-encrypted",
            Protection::Unprotected => "unprotected",
        }
    }

    /// Whether a valid signature covers it.
    pub fn is_signed(self) -> bool {
        matches!(self, Protection::Signed | Protection::SignedAndEncrypted)
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(self) -> bool {
        matches!(self, Protection::Encrypted | Protection::SignedAndEncrypted)
    }

    /// What is left for a field that also stood outside.
    fn in_the_open(self) -> Self {
        if self.is_signed() { Protection::Signed } else { Protection::Unprotected }
    }
}

/// One header field as a reader should see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField {
    /// The name as written.
    pub name: String,
    /// The value, decoded: the payload's where it protects the header and has the field. Of several fields the first.
    pub value: String,
    /// What covers it.
    pub protection: Protection,
    /// Whether the value is the payload's.
    pub is_inner: bool,
    /// The value outside, where it contradicts the payload's and the sender did not say so (HP-Outer).
    pub outside: Option<String>,
}

/// The header of a message as a reader should see it. Content-*, MIME-Version, Received and other trace fields are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header(Vec<HeaderField>);

impl Header {
    /// Compares the header outside with that of the payload, which `cover` covers. Without a payload nothing is covered.
    pub fn read(outer: Part<'_>, payload: Option<Part<'_>>, cover: Protection) -> Self {
        let mut sets = Sets::default();
        outer.fields().filter(is_shown).for_each(|field| sets.outside.add(field.name, &field.decoded()));
        let scheme = payload.and_then(Scheme::of);
        if let (Some(payload), Some(_)) = (payload, scheme) {
            protected(payload).for_each(|field| sets.inside.add(field.name, &field.decoded()));
            sets.declared = declared(payload);
        }
        let mut written = sets.outside.written.clone();
        written.extend(sets.inside.written.clone());
        let fields = written.iter().map(|(key, name)| sets.judge(key, name, scheme, cover));
        Header(fields.collect())
    }

    /// The field `name`, in any case.
    pub fn field(&self, name: &str) -> Option<&HeaderField> {
        self.0.iter().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// All fields, each name once, in order of lower-case name.
    pub fn fields(&self) -> impl Iterator<Item = &HeaderField> {
        self.0.iter()
    }
}

/// The one mailbox that wrote the message, by the header outside and by that of the payload, if it has one.
///
/// A From that says one thing outside and another inside names no author, even when the sender says so (HP-Outer): a reader of mail shows one of
/// the two. An address without its display name is the same author, when the sender says so (RFC 9788, section 3.2.2).
///
/// # Errors
///
/// As [`header::author`], and [`NoAuthor::Contradicted`].
pub fn author(outer: Part<'_>, payload: Option<Part<'_>>) -> Result<Address, NoAuthor> {
    let author = header::author(outer)?;
    let Some(payload) = payload else { return Ok(author) };
    let mut inside = Values::default();
    protected(payload).filter(|field| field.is("From")).for_each(|field| inside.add("From", &field.decoded()));
    let Some(value) = inside.shown("from") else { return Ok(author) };
    let mut outside = Values::default();
    outer.fields().filter(|field| field.is("From")).for_each(|field| outside.add("From", &field.decoded()));
    let is_bare = || match (Scheme::of(payload), outside.of("from")) {
        (Some(Scheme::Cipher), Some([only])) => {
            Address::parse(only).as_ref() == Ok(&author) && declared(payload).of("from") == outside.of("from")
        }
        _ => false,
    };
    let is_same = inside.of("from") == outside.of("from") || is_bare();
    let agrees = is_same && header::author(payload).as_ref() == Ok(&author);
    if agrees { Ok(author) } else { Err(NoAuthor::Contradicted(value)) }
}

/// What the payload says stands outside.
fn declared(payload: Part<'_>) -> Values {
    let mut declared = Values::default();
    for field in payload.fields().filter(|field| field.is("HP-Outer")) {
        // RFC 9788, section 4.2.1: a field within the field.
        if let Some((name, value)) = field.decoded().split_once(':') {
            declared.add(name.trim(), value);
        }
    }
    declared
}

/// The values in the three places where a field may stand (HeaderSetsFromMessage of RFC 9788, section 4.2.1).
#[derive(Default)]
struct Sets {
    inside: Values,
    outside: Values,
    /// What the sender says stands outside.
    declared: Values,
}

impl Sets {
    fn judge(&self, key: &str, name: &str, scheme: Option<Scheme>, cover: Protection) -> HeaderField {
        let outside = self.outside.of(key);
        let Some(inside) = self.inside.of(key) else {
            let value = self.outside.shown(key).unwrap_or_default();
            let protection = Protection::Unprotected;
            return HeaderField { name: name.to_owned(), value, protection, is_inner: false, outside: None };
        };
        let is_in = |place: &[String]| inside.iter().any(|value| place.contains(value));
        // The RFC believes HP-Outer. What stands outside with the same value was seen, whatever HP-Outer says.
        let was_seen = is_in(outside.unwrap_or_default())
            || match scheme {
                Some(Scheme::Cipher) => is_in(self.declared.of(key).unwrap_or_default()),
                Some(Scheme::Legacy) => false,
                Some(Scheme::Clear) | None => true,
            };
        let is_said = match scheme {
            Some(Scheme::Cipher) => self.declared.of(key) == outside,
            Some(Scheme::Legacy) => {
                let obscured = |value: &String| OBSCURED.contains(&value.as_str());
                key == "subject" && outside.is_some_and(|values| values.iter().all(obscured))
            }
            Some(Scheme::Clear) | None => false,
        };
        let contradicts = outside.is_some_and(|outside| outside != inside) && !is_said;
        HeaderField {
            name: name.to_owned(),
            value: self.inside.shown(key).unwrap_or_default(),
            protection: if was_seen { cover.in_the_open() } else { cover },
            is_inner: true,
            outside: contradicts.then(|| self.outside.other(key, inside)),
        }
    }
}

/// The values of each field, by lower-case name.
#[derive(Default)]
struct Values {
    values: BTreeMap<String, Vec<String>>,
    /// The first as it is to be shown.
    shown: BTreeMap<String, String>,
    /// The name as written.
    written: BTreeMap<String, String>,
}

impl Values {
    fn add(&mut self, name: &str, value: &str) {
        let key = name.to_ascii_lowercase();
        self.written.entry(key.clone()).or_insert_with(|| name.to_owned());
        self.shown.entry(key.clone()).or_insert_with(|| value.to_owned());
        // Folding is no difference.
        self.values.entry(key).or_default().push(value.split_whitespace().collect::<Vec<_>>().join(" "));
    }

    fn of(&self, key: &str) -> Option<&[String]> {
        self.values.get(key).map(Vec::as_slice)
    }

    fn shown(&self, key: &str) -> Option<String> {
        self.shown.get(key).cloned()
    }

    /// The first value that is not among `those`, or else the first.
    fn other(&self, key: &str, those: &[String]) -> String {
        let values = self.of(key).unwrap_or_default();
        values.iter().find(|value| !those.contains(value)).or(values.first()).cloned().unwrap_or_default()
    }
}

/// What writers of the older scheme (Enigmail, Thunderbird, K-9, Mailpile) put in place of the subject.
const OBSCURED: [&str; 4] = ["...", "[...]", "Encrypted Message", "Encrypted message"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    fn parse(text: &str) -> Message {
        Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn header(outer: &str, payload: &str, cover: Protection) -> Header {
        let (outer, payload) = (parse(outer), parse(payload));
        Header::read(outer.root(), Some(payload.root()), cover)
    }

    /// `Subject signed-and-encrypted`, with a `!` when it is contradicted outside.
    fn read(outer: &str, payload: &str, cover: Protection) -> Vec<String> {
        let mark = |field: &HeaderField| if field.outside.is_some() { "!" } else { "" };
        let header = header(outer, payload, cover);
        header.fields().map(|field| format!("{} {}{}", field.name, field.protection.name(), mark(field))).collect()
    }

    const ALL: [Protection; 4] =
        [Protection::Encrypted, Protection::Signed, Protection::SignedAndEncrypted, Protection::Unprotected];

    const OUTER: &str = "Received: x\r\nFrom: a@x.org\r\nto: b@x.org\r\nSubject: [...]\r\nList-Id: l\r\nContent-Type: multipart/encrypted\r\n\r\n";

    /// Each field is covered as far as the payload is, and no further (section 4.3.1, steps 5 to 7).
    #[test]
    fn the_example_of_rfc_9788_section_1_9() {
        let payload = "From: a@x.org\r\nTo:\r\n b@x.org\r\nSubject: Handling the Jones contract\r\nKeywords: Contract\r\nContent-Type: text/plain; hp=\"cipher\"\r\n\
                       HP-Outer: From: a@x.org\r\nHP-Outer: To: b@x.org\r\nHP-Outer: Subject: [...]\r\n\r\n";
        for cover in ALL {
            let (hidden, open) = match cover {
                Protection::Encrypted => ("encrypted", "unprotected"),
                Protection::Signed => ("signed", "signed"),
                Protection::SignedAndEncrypted => ("signed-and-encrypted", "signed"),
                Protection::Unprotected => ("unprotected", "unprotected"),
            };
            let expected =
                [("From", open), ("Keywords", hidden), ("List-Id", "unprotected"), ("Subject", hidden), ("To", open)];
            assert_eq!(read(OUTER, payload, cover), expected.map(|(name, what)| format!("{name} {what}")));
        }
        let header = header(OUTER, payload, Protection::Signed);
        assert_eq!(header.field("subject").unwrap().value, "Handling the Jones contract");
        assert_eq!(header.field("List-ID").unwrap().value, "l");
    }

    #[test]
    fn what_is_encrypted_and_stands_outside_was_seen() {
        let cover = Protection::SignedAndEncrypted;
        let outer = "From: a@x.org\nSubject: Pay Bob\n\n";
        let payload = |hp: &str| format!("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; {hp}\n");
        for hp in ["hp=cipher\n", "hp=cipher\nHP-Outer: Subject: [...]\n", "hp=clear\n", "protected-headers=v1\n"] {
            assert_eq!(read(outer, &payload(hp), cover)[1].trim_end_matches('!'), "Subject signed", "{hp}");
        }
        // Declared, and lost on the way.
        assert_eq!(read("\n", &payload("hp=cipher\nHP-Outer: Subject: Pay Bob\n"), cover)[1], "Subject signed");
        assert_eq!(read("\n", &payload("hp=clear\n"), cover)[1], "Subject signed");
    }

    #[test]
    fn contradictions_are_named() {
        let outer = "From: a@x.org\nSubject: Pay Eve\n\n";
        for (payload, contradicted) in [
            ("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; hp=clear\n\n", Some("Pay Eve")),
            (
                "From: a@x.org\nSubject: Pay Bob\nHP-Outer: Subject: [...]\nContent-Type: text/plain; hp=cipher\n\n",
                Some("Pay Eve"),
            ),
            (
                "From: a@x.org\nSubject: Pay Bob\nHP-Outer: Subject: Pay Eve\nContent-Type: text/plain; hp=cipher\n\n",
                None,
            ),
            ("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; hp=cipher\n\n", Some("Pay Eve")),
            ("From: a@x.org\nSubject: Pay Bob\nContent-Type: text/plain; protected-headers=v1\n\n", Some("Pay Eve")),
            (
                "From: a@x.org\nSubject: Pay Eve\nSubject: Pay Bob\nContent-Type: text/plain; hp=clear\n\n",
                Some("Pay Eve"),
            ),
            ("From: a@x.org\nSubject: =?utf-8?q?Pay?=\n Eve\nContent-Type: text/plain; hp=clear\n\n", None),
            ("From: a@x.org\nSubject: Pay Bob\n\n", None),
        ] {
            let header = header(outer, payload, Protection::Signed);
            assert_eq!(header.field("Subject").unwrap().outside.as_deref(), contradicted, "{payload}");
        }
        let twice = "Subject: Pay Bob\nSubject: Pay Eve\n\n";
        let header = header(twice, "Subject: Pay Bob\nContent-Type: text/plain; hp=clear\n\n", Protection::Signed);
        assert_eq!(header.field("Subject").unwrap().outside.as_deref(), Some("Pay Eve"));
    }

    #[test]
    fn only_what_the_payload_marks_is_covered() {
        for mark in ["", "; hp=other", "; hp=Cipher", "; protected-headers=v2"] {
            let payload = format!("Subject: Pay Bob\nContent-Type: text/plain{mark}\n\n");
            assert_eq!(read("Subject: Pay Eve\n\n", &payload, Protection::Signed), ["Subject unprotected"], "{mark}");
            assert_eq!(
                header("Subject: Pay Eve\n\n", &payload, Protection::Signed).fields().next().unwrap().value,
                "Pay Eve"
            );
        }
        let alone =
            Header::read(parse("Subject: s\nContent-Type: text/plain; hp=clear\n\n").root(), None, Protection::Signed);
        assert_eq!(alone.field("Subject").unwrap().protection, Protection::Unprotected);
    }

    #[test]
    fn the_older_scheme_is_read() {
        let payload = "Subject: Secret\nContent-Type: multipart/mixed; protected-headers=\"v1\"; boundary=b\n\n";
        let cover = Protection::SignedAndEncrypted;
        assert_eq!(read("Subject: ...\n\n", payload, cover), ["Subject signed-and-encrypted"]);
        assert_eq!(read("X: y\n\n", payload, cover), ["Subject signed-and-encrypted", "X unprotected"]);
        assert_eq!(read("Subject: ...\n\n", payload, Protection::Signed), ["Subject signed"]);
    }

    #[test]
    fn a_from_inside_that_is_another_names_no_author() {
        let outer = parse("From: Eve <eve@x.org>\n\n");
        for (payload, is_contradicted) in [
            ("From: Eve <eve@x.org>\nContent-Type: text/plain; hp=clear\n\n", false),
            ("Content-Type: text/plain; hp=clear\n\n", false),
            ("From: alice@x.org\nContent-Type: text/plain\n\n", false),
            ("From: alice@x.org\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: alice@x.org\nHP-Outer: From: Eve <eve@x.org>\nContent-Type: text/plain; hp=cipher\n\n", true),
            // Only the name may be hidden: there is one outside.
            ("From: Eve2 <eve@x.org>\nHP-Outer: From: Eve <eve@x.org>\nContent-Type: text/plain; hp=cipher\n\n", true),
            ("From: alice@x.org\nContent-Type: text/plain; protected-headers=v1\n\n", true),
            ("From: Eve <eve@x.org>\nFrom: alice@x.org\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: Eve <eve@x.org>\rFrom: alice@x.org\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: =?utf-8?q?Eve_=3Ceve=40x.org=3E?=\nContent-Type: text/plain; hp=clear\n\n", true),
        ] {
            let found = author(outer.root(), Some(parse(payload).root()));
            assert_eq!(matches!(found, Err(NoAuthor::Contradicted(_))), is_contradicted, "{payload:?}");
            assert_eq!(found.is_ok(), !is_contradicted, "{payload:?}");
        }
        let outer = parse("From: eve@x.org\n\n");
        for (payload, is_contradicted) in [
            ("From: Eve <eve@x.org>\nHP-Outer: From: eve@x.org\nContent-Type: text/plain; hp=cipher\n\n", false),
            ("From: Eve <eve@x.org>\nContent-Type: text/plain; hp=cipher\n\n", true),
            ("From: Eve <eve@x.org>\nContent-Type: text/plain; hp=clear\n\n", true),
            ("From: Eve <alice@x.org>\nHP-Outer: From: eve@x.org\nContent-Type: text/plain; hp=cipher\n\n", true),
        ] {
            let found = author(outer.root(), Some(parse(payload).root()));
            assert_eq!(found.is_err(), is_contradicted, "{payload:?}");
        }
    }
}
