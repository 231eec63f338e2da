//! Distinguished names: compared as RFC 5280, section 7.1 says, and shown as RFC 4514 says.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
    iter,
};

use const_oid::db::{rfc2985, rfc3280, rfc4519};
use der::asn1::ObjectIdentifier;
use icu_normalizer::ComposingNormalizer;

use super::tlv::{self, Element, OID, Reader, SEQUENCE, SET, dotted};
use crate::base::{Result, hex};

/// A distinguished name. Two are equal when RFC 5280, section 7.1 says so (case, spaces and string types do not matter).
#[derive(Clone, Debug)]
pub struct Name {
    der: Vec<u8>,
    normal: Vec<u8>,
    /// Where each relative distinguished name ends in `normal`.
    ends: Vec<usize>,
}

impl Name {
    /// Reads a Name as it is encoded (RFC 5280, section 4.1.2.4).
    ///
    /// # Errors
    ///
    /// `Malformed` when it cannot be read.
    pub fn parse(der: &[u8]) -> Result<Name> {
        let mut reader = Reader::new(der, "name");
        let name = Name::read(reader.expect(SEQUENCE)?)?;
        reader.finish()?;
        Ok(name)
    }

    pub(super) fn read(name: Element<'_>) -> Result<Name> {
        let (mut normal, mut ends) = (Vec::new(), Vec::new());
        let mut relatives = name.reader();
        while !relatives.is_finished() {
            normal.extend(normal_relative(relatives.expect(SET)?)?);
            ends.push(normal.len());
        }
        Ok(Name { der: name.whole.to_vec(), normal, ends })
    }

    /// This name with one more relative distinguished name, a SET as it is encoded: what `nameRelativeToCRLIssuer` means
    /// (RFC 5280, section 4.2.1.13).
    pub(super) fn with_relative(&self, relative: &[u8]) -> Result<Name> {
        let mut content = Reader::new(&self.der, "name").expect(SEQUENCE)?.value.to_vec();
        content.extend(relative);
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
        Name::parse(&[&[SEQUENCE, 0x84][..], &length, &content].concat())
    }

    /// As it was encoded.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The octets that are equal for equal names.
    pub fn normal(&self) -> &[u8] {
        &self.normal
    }

    /// Whether it has no parts, as the subject of a certificate may have that is named by its alternative names.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether it lies in the subtree below `base` (RFC 5280, section 4.2.1.10).
    pub fn is_within(&self, base: &Name) -> bool {
        let end = base.ends.len().checked_sub(1).and_then(|last| self.ends.get(last)).copied();
        self.normal.get(..end.unwrap_or(0)) == Some(&base.normal) && self.ends.len() >= base.ends.len()
    }

    /// The values of its emailAddress attributes (RFC 5280, section 4.1.2.6).
    pub(super) fn email_addresses(&self) -> Vec<String> {
        let attributes = self.relatives().into_iter().flatten();
        attributes.filter(|(kind, _)| kind.is(&EMAIL_ADDRESS)).filter_map(|(_, value)| text(value)).collect()
    }

    /// The types and values of each relative distinguished name.
    fn relatives(&self) -> Vec<Vec<(Element<'_>, Element<'_>)>> {
        // Parsing has read all of this once.
        let Ok(mut reader) = Reader::new(&self.der, "name").sequence() else { return Vec::new() };
        iter::from_fn(|| attributes(reader.expect(SET).ok()?).ok()).collect()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl fmt::Display for Name {
    /// RFC 4514, section 2: last part first, control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, relative) in self.relatives().into_iter().rev().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            for (at, (kind, value)) in relative.into_iter().enumerate() {
                if at > 0 {
                    f.write_str("+")?;
                }
                show(kind, value, f)?;
            }
        }
        Ok(())
    }
}

fn attributes(relative: Element<'_>) -> Result<Vec<(Element<'_>, Element<'_>)>> {
    let mut attributes = Vec::new();
    let mut reader = relative.reader();
    while !reader.is_finished() {
        let mut attribute = reader.sequence()?;
        attributes.push((attribute.expect(OID)?, attribute.any()?));
        attribute.finish()?;
    }
    Ok(attributes)
}

/// The members in an order that their encoding does not decide, each part with its length before it.
fn normal_relative(relative: Element<'_>) -> Result<Vec<u8>> {
    let with_length = |octets: &[u8]| [&octets.len().to_be_bytes()[..], octets].concat();
    let attributes = attributes(relative)?;
    let mut members: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(kind, value)| [with_length(kind.value), with_length(&normal_value(*value))].concat())
        .collect();
    members.sort();
    Ok([members.len().to_be_bytes().to_vec(), members.concat()].concat())
}

/// What RFC 4518 makes of a string, behind a zero; the element as it is where that is not defined.
fn normal_value(value: Element<'_>) -> Vec<u8> {
    match text(value).and_then(|text| prepared(&text)) {
        Some(text) => [&[0], text.as_bytes()].concat(),
        None => [&[1], value.whole].concat(),
    }
}

/// The text of a directory string, or of an IA5String (RFC 4518, section 2.1). TeletexString is read as Latin-1, as everybody writes it.
fn text(value: Element<'_>) -> Option<String> {
    match value.tag {
        tlv::UTF8_STRING => String::from_utf8(value.value.to_vec()).ok(),
        NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            value.value.is_ascii().then(|| value.value.iter().copied().map(char::from).collect())
        }
        TELETEX_STRING => Some(value.value.iter().copied().map(char::from).collect()),
        BMP_STRING => {
            let (units, rest) = value.value.as_chunks();
            let units = units.iter().copied().map(u16::from_be_bytes);
            if rest.is_empty() { char::decode_utf16(units).collect::<std::result::Result<_, _>>().ok() } else { None }
        }
        UNIVERSAL_STRING => {
            let (units, rest) = value.value.as_chunks();
            let chars = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            if rest.is_empty() { chars.collect() } else { None }
        }
        _ => None,
    }
}

/// RFC 4518, section 2, with the case folded (appendix A); `None` for what section 2.4 prohibits.
fn prepared(text: &str) -> Option<String> {
    let mapped = if text.is_ascii() {
        text.chars().filter_map(map).map(|c| c.to_ascii_lowercase()).collect()
    } else {
        // Upper, then lower case folds what RFC 3454, table B.2 folds: sharp s, final sigma.
        let folded: String =
            text.chars().filter_map(map).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
        ComposingNormalizer::new_nfkc().normalize(&folded).into_owned()
    };
    if mapped.chars().any(prohibited) {
        return None;
    }
    // Section 2.6.1: one space between words, none around them.
    Some(mapped.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

/// RFC 4518, section 2.2: `None` for what is mapped to nothing.
fn map(c: char) -> Option<char> {
    match c {
        '\t'..='\r' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' => Some(' '),
        '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Some(' '),
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{6dd}' | '\u{70f}' => None,
        '\u{1806}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{2063}' | '\u{206a}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' => None,
        '\u{fff9}'..='\u{fffc}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' => None,
        c => Some(c),
    }
}

/// RFC 4518, section 2.4, as far as it does not depend on the version of Unicode.
fn prohibited(c: char) -> bool {
    matches!(c, '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
}

fn show(kind: Element<'_>, value: Element<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let known = KEYWORDS.iter().find(|(oid, _)| kind.is(oid)).map(|(_, keyword)| Cow::from(*keyword));
    match text(value).filter(|_| known.is_some()) {
        Some(text) => write!(f, "{}={}", known.unwrap_or_default(), escaped(&text)),
        // Section 2.4: the encoding in hexadecimal.
        None => {
            write!(f, "{}=#{}", known.unwrap_or_else(|| dotted(kind.value).into()), hex(value.whole))
        }
    }
}

/// RFC 4514, section 2.4; characters that no reader sees, or that turn the text around, in hexadecimal too.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', c]),
            ' ' if at == 0 || at == last => escaped.push_str("\\ "),
            '#' if at == 0 => escaped.push_str("\\#"),
            c if map(c).is_none_or(|mapped| mapped == ' ' && c != ' ') => {
                let mut octets = [0; 4];
                escaped.extend(c.encode_utf8(&mut octets).bytes().map(|octet| format!("\\{octet:02X}")));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

const EMAIL_ADDRESS: ObjectIdentifier = rfc2985::PKCS_9_AT_EMAIL_ADDRESS;

/// RFC 4514, section 3, and what else occurs in certificates, by the names of RFC 4519 and RFC 2985.
const KEYWORDS: [(ObjectIdentifier, &str); 16] = [
    (rfc4519::COMMON_NAME, "CN"),
    (rfc4519::SURNAME, "SN"),
    (rfc4519::SERIAL_NUMBER, "serialNumber"),
    (rfc4519::COUNTRY_NAME, "C"),
    (rfc4519::LOCALITY_NAME, "L"),
    (rfc4519::ST, "ST"),
    (rfc4519::STREET, "STREET"),
    (rfc4519::ORGANIZATION_NAME, "O"),
    (rfc4519::ORGANIZATIONAL_UNIT_NAME, "OU"),
    (rfc4519::TITLE, "title"),
    (rfc4519::GIVEN_NAME, "givenName"),
    (rfc3280::PSEUDONYM, "pseudonym"),
    (ObjectIdentifier::new_unwrap("2.5.4.97"), "organizationIdentifier"),
    (rfc4519::USER_ID, "UID"),
    (rfc4519::DOMAIN_COMPONENT, "DC"),
    (EMAIL_ADDRESS, "emailAddress"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(value.len()).unwrap()], value].concat()
    }

    fn name(relatives: &[&[(&str, u8, &[u8])]]) -> Name {
        let attribute = |(oid, tag, value): &(&str, u8, &[u8])| {
            let oid = element(OID, ObjectIdentifier::new_unwrap(oid).as_bytes());
            element(SEQUENCE, &[oid, element(*tag, value)].concat())
        };
        let relatives =
            relatives.iter().map(|members| element(SET, &members.iter().map(attribute).collect::<Vec<_>>().concat()));
        Name::parse(&element(SEQUENCE, &relatives.collect::<Vec<_>>().concat())).unwrap()
    }

    fn common(tag: u8, value: &[u8]) -> Name {
        name(&[&[("2.5.4.3", tag, value)]])
    }

    #[test]
    fn equal_in_case_spaces_and_string_types() {
        let plain = common(PRINTABLE_STRING, b"Ann Smith");
        for (tag, value) in [
            (tlv::UTF8_STRING, &b"  ANN \t smith "[..]),
            (BMP_STRING, b"\0A\0n\0n\0 \0S\0m\0i\0t\0h"),
            (TELETEX_STRING, b"ann smith"),
            (UNIVERSAL_STRING, b"\0\0\0A\0\0\0n\0\0\0n\0\0\0 \0\0\0S\0\0\0m\0\0\0i\0\0\0t\0\0\0h"),
            (tlv::UTF8_STRING, "A\u{ad}nn\u{2003}\u{ff33}mith".as_bytes()),
        ] {
            assert_eq!(common(tag, value), plain);
        }
        assert_ne!(common(PRINTABLE_STRING, b"AnnSmith"), plain);
        assert_ne!(name(&[&[("2.5.4.10", PRINTABLE_STRING, b"Ann Smith")]]), plain);
        let utf8 = |text: &str| common(tlv::UTF8_STRING, text.as_bytes());
        assert_eq!(utf8("STRASSE"), utf8("stra\u{df}e"));
        assert_eq!(utf8("e\u{301}"), utf8("\u{c9}"));
        // Prohibited or undecodable: equal only to itself, octet by octet.
        assert_ne!(utf8("A\u{e000}"), utf8("a\u{e000}"));
        assert_ne!(common(tlv::UTF8_STRING, b"\xffA"), common(tlv::UTF8_STRING, b"\xffa"));
        assert_eq!(common(tlv::UTF8_STRING, b"\xffA"), common(tlv::UTF8_STRING, b"\xffA"));
    }

    #[test]
    fn members_of_one_relative_name_have_no_order_and_relative_names_have_one() {
        let (cn, o) = (("2.5.4.3", PRINTABLE_STRING, &b"a"[..]), ("2.5.4.10", PRINTABLE_STRING, &b"b"[..]));
        assert_eq!(name(&[&[cn, o]]), name(&[&[o, cn]]));
        assert_ne!(name(&[&[cn], &[o]]), name(&[&[o], &[cn]]));
        assert_ne!(name(&[&[cn], &[o]]), name(&[&[cn, o]]));
    }

    #[test]
    fn subtrees() {
        let (cn, o) = (("2.5.4.3", PRINTABLE_STRING, &b"a"[..]), ("2.5.4.10", PRINTABLE_STRING, &b"B"[..]));
        let (base, below) = (name(&[&[o]]), name(&[&[("2.5.4.10", tlv::UTF8_STRING, b"b")], &[cn]]));
        assert!(below.is_within(&base) && base.is_within(&base) && below.is_within(&name(&[])));
        assert!(!base.is_within(&below) && !below.is_within(&name(&[&[cn]])) && !name(&[]).is_within(&base));
        assert_eq!(
            base.with_relative(&element(SET, &element(SEQUENCE, &[&[6, 3, 0x55, 4, 3][..], &[19, 1, b'A']].concat()))),
            Ok(below)
        );
    }

    /// RFC 4514, section 4.
    #[test]
    fn shown_as_in_the_examples_of_the_rfc() {
        let dc = "0.9.2342.19200300.100.1.25";
        let base = [(dc, IA5_STRING, &b"net"[..]), (dc, IA5_STRING, b"example")];
        let shown = name(&[
            &base[..1],
            &base[1..],
            &[("2.5.4.11", PRINTABLE_STRING, b"Sales"), ("2.5.4.3", PRINTABLE_STRING, b"J.  Smith")],
        ]);
        assert_eq!(shown.to_string(), "OU=Sales+CN=J.  Smith,DC=example,DC=net");
        let shown = common(PRINTABLE_STRING, b"James \"Jim\" Smith, III");
        assert_eq!(shown.to_string(), "CN=James \\\"Jim\\\" Smith\\, III");
        assert_eq!(common(PRINTABLE_STRING, b"Before\rAfter").to_string(), "CN=Before\\0DAfter");
        assert_eq!(name(&[&[("1.3.6.1.4.1.1466.0", 4, b"Hi")]]).to_string(), "1.3.6.1.4.1.1466.0=#04024869");
        assert_eq!(common(tlv::UTF8_STRING, "Lu\u{10d}i\u{107}".as_bytes()).to_string(), "CN=Lu\u{10d}i\u{107}");
        assert_eq!(common(tlv::UTF8_STRING, "# \u{202e}x ".as_bytes()).to_string(), "CN=\\# \\E2\\80\\AEx\\ ");
    }
}
