//! Whether octets are a CMS object that hides everything, without any key.

use super::ber::{self, After};
use crate::{
    base::{Budget, Error, Result},
    pki::tlv::{INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, primitive},
};

/// Whether `octets` are one ContentInfo of EnvelopedData or AuthEnvelopedData (RFC 5652, section 6; RFC 5083), line breaks at the end aside,
/// and hold nothing but its fields. Attributes that are neither encrypted nor authenticated are none of those: anything can stand in them.
pub fn is_ciphertext(octets: Vec<u8>, budget: &Budget) -> bool {
    alone(octets, budget).and_then(|skeleton| enveloped(&skeleton)).is_ok()
}

/// Whether `octets` are one ContentInfo of SignedData without content (RFC 8551, section 3.5.3), line breaks at the end aside.
pub fn is_detached_signature(octets: Vec<u8>, budget: &Budget) -> bool {
    alone(octets, budget).and_then(|skeleton| detached(&skeleton)).is_ok()
}

/// The skeleton of the one object that `octets` are.
fn alone(octets: Vec<u8>, budget: &Budget) -> Result<Vec<u8>> {
    let taken = ber::take_content(octets, After::LineBreaks, budget)?;
    if taken.is_alone { Ok(taken.skeleton) } else { Err(other()) }
}

/// Reads SignedData without content to its end.
fn detached(skeleton: &[u8]) -> Result<()> {
    let (kind, mut fields) = content_info(skeleton)?;
    fields.expect(INTEGER)?;
    fields.expect(SET)?;
    let mut encapsulated = fields.sequence()?;
    encapsulated.expect(OID)?;
    encapsulated.finish()?;
    fields.optional(constructed(0))?;
    fields.optional(constructed(1))?;
    fields.expect(SET)?;
    fields.finish()?;
    if kind == SIGNED { Ok(()) } else { Err(other()) }
}

/// Reads EnvelopedData or AuthEnvelopedData to its end.
fn enveloped(skeleton: &[u8]) -> Result<()> {
    let (kind, mut fields) = content_info(skeleton)?;
    fields.expect(INTEGER)?;
    fields.expect(SET)?;
    let mut content = fields.sequence()?;
    content.expect(OID)?;
    content.expect(SEQUENCE)?;
    content.expect(primitive(0))?;
    content.finish()?;
    match kind {
        ENVELOPED => fields.finish(),
        AUTH_ENVELOPED => {
            fields.optional(constructed(1))?;
            fields.expect(OCTET_STRING)?;
            fields.finish()
        }
        _ => Err(other()),
    }
}

/// The type of a ContentInfo, and the fields of the SEQUENCE in it.
fn content_info(skeleton: &[u8]) -> Result<(&[u8], Reader<'_>)> {
    let mut whole = Reader::new(skeleton, PLACE);
    let mut info = whole.sequence()?;
    whole.finish()?;
    let kind = info.expect(OID)?.value;
    let mut content = info.expect(constructed(0))?.reader();
    info.finish()?;
    let fields = content.sequence()?;
    content.finish()?;
    Ok((kind, fields))
}

fn other() -> Error {
    Error::malformed(PLACE, "it holds something else")
}

const PLACE: &str = "cms";
/// 1.2.840.113549.1.7.2 (RFC 5652, section 5.1).
const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// 1.2.840.113549.1.7.3 (RFC 5652, section 6.1).
const ENVELOPED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
/// 1.2.840.113549.1.9.16.1.23 (RFC 5083, section 2.1).
const AUTH_ENVELOPED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    fn budget() -> Budget {
        Budget::new(Limits::default())
    }

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut der = vec![tag];
        ber::push_length(value.len(), &mut der);
        der.extend_from_slice(value);
        der
    }

    fn indefinite(tag: u8, value: &[u8]) -> Vec<u8> {
        [&[tag, 0x80], value, &[0, 0]].concat()
    }

    /// An envelope with this content and these octets behind each of its elements.
    fn envelope(wrap: fn(u8, &[u8]) -> Vec<u8>, kind: &[u8], content: &[u8], behind: [&[u8]; 4]) -> Vec<u8> {
        let [in_content, in_data, in_info, after] = behind;
        let info = wrap(0x30, &[b"\x06\x01\x2a\x30\x00".as_slice(), content, in_content].concat());
        let data = wrap(0x30, &[b"\x02\x01\x00\x31\x00".as_slice(), &info, in_data].concat());
        let wrapped = [tlv(6, kind), wrap(0xa0, &data), in_info.to_vec()].concat();
        [wrap(0x30, &wrapped), after.to_vec()].concat()
    }

    #[test]
    fn an_envelope_hides_everything_and_nothing_else_does() {
        const WORDS: &[u8] = b"\x04\x11The secret is 42.";
        for wrap in [tlv, indefinite] {
            for content in [b"\x80\x04abcd".as_slice(), b"\xa0\x80\x04\x04abcd\x00\x00"] {
                let with = |behind: [&[u8]; 4]| is_ciphertext(envelope(wrap, ENVELOPED, content, behind), &budget());
                assert!(with([b"", b"", b"", b""]) && with([b"", b"", b"", b"\r\n"]));
                for at in 0..4 {
                    for words in [WORDS, b"The secret is 42.\0\0", b"\0\0"] {
                        let mut behind: [&[u8]; 4] = [b"", b"", b"", b""];
                        behind[at] = words;
                        // An element that ends early hides nothing, wherever its end is.
                        assert!(!with(behind), "{at} {words:?}");
                    }
                }
                // Attributes that nobody protects.
                assert!(!with([b"", b"\xa1\x13\x04\x11The secret is 42.", b"", b""]));
                assert!(!is_ciphertext(envelope(wrap, SIGNED, content, [b""; 4]), &budget()));
                assert!(is_ciphertext(
                    envelope(wrap, AUTH_ENVELOPED, content, [b"", b"\x04\x01x", b"", b""]),
                    &budget()
                ));
            }
        }
        assert!(!is_ciphertext(b"0".to_vec(), &budget()) && !is_ciphertext(Vec::new(), &budget()));
    }
}
