//! Whether octets are a fully encrypted CMS object, checked without a key.

use der::Decode;
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{
    ber::{self, After, Taken},
    suite::ContentCipher,
};
use crate::{
    base::{Budget, Error, Result},
    pki::{
        Certificate, Name,
        tlv::{BIT_STRING, Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, primitive},
    },
    protocol::kind::reads_as_text,
};

/// Whether `octets` are exactly one ContentInfo of EnvelopedData or AuthEnvelopedData (RFC 5652, section 6; RFC 5083),
/// except for line breaks at the end. It must be encrypted to at least one certificate with a cipher that is not
/// historic. Unencrypted attributes are refused, because they can hold anything.
pub fn is_ciphertext(octets: Vec<u8>, budget: &Budget) -> bool {
    let hides = |taken: Taken| {
        let cipher = enveloped(&taken.skeleton)?;
        let content = taken.content.unwrap_or_default();
        let is_whole = match &cipher {
            ContentCipher::Aead { .. } => !content.is_empty(),
            // A block has the length of the initialization vector.
            ContentCipher::Cbc { iv, .. } => {
                matches!(iv.len(), 8 | 16) && !content.is_empty() && content.len().is_multiple_of(iv.len())
            }
        };
        Ok::<_, Error>(is_whole && !cipher.is_historic() && !reads_as_text(&content))
    };
    alone(octets, budget).and_then(hides).unwrap_or_default()
}

/// Whether `octets` are exactly one ContentInfo of SignedData without content (RFC 8551, section 3.5.3), except for
/// line breaks at the end.
pub fn is_detached_signature(octets: Vec<u8>, budget: &Budget) -> bool {
    alone(octets, budget).and_then(|taken| detached(&taken.skeleton)).is_ok()
}

/// The ContentInfo, if `octets` hold nothing else.
fn alone(octets: Vec<u8>, budget: &Budget) -> Result<Taken> {
    let taken = ber::take_content(octets, After::LineBreaks, budget)?;
    if taken.is_alone { Ok(taken) } else { Err(other()) }
}

/// Reads SignedData without content to its end.
fn detached(skeleton: &[u8]) -> Result<()> {
    let (kind, mut fields) = content_info(skeleton)?;
    fields.expect(INTEGER)?;
    no_words(fields.expect(SET)?)?;
    let mut encapsulated = fields.sequence()?;
    encapsulated.expect(OID)?;
    encapsulated.finish()?;
    if let Some(certificates) = fields.optional(constructed(0))? {
        let mut certificates = certificates.reader();
        while !certificates.is_finished() {
            Certificate::parse(certificates.expect(SEQUENCE)?.whole)?;
        }
    }
    let mut signers = fields.expect(SET)?.reader();
    fields.finish()?;
    while !signers.is_finished() {
        signer(signers.expect(SEQUENCE)?)?;
    }
    if kind == SIGNED { Ok(()) } else { Err(other()) }
}

/// Reads a SignerInfo without unsigned attributes to its end (RFC 5652, section 5.3).
fn signer(info: Element<'_>) -> Result<()> {
    let mut fields = info.reader();
    fields.expect(INTEGER)?;
    identifier(&mut fields)?;
    no_words(fields.expect(SEQUENCE)?)?;
    // Signed attributes were written by the signer, so any text is allowed.
    fields.optional(constructed(0))?;
    no_words(fields.expect(SEQUENCE)?)?;
    no_words(fields.expect(OCTET_STRING)?)?;
    fields.finish()
}

/// Reads EnvelopedData or AuthEnvelopedData to its end, and returns its content encryption.
fn enveloped(skeleton: &[u8]) -> Result<ContentCipher> {
    let (kind, mut fields) = content_info(skeleton)?;
    fields.expect(INTEGER)?;
    recipients(fields.expect(SET)?)?;
    let mut content = fields.sequence()?;
    let content_type = content.expect(OID)?.value;
    let algorithm = AlgorithmIdentifierRef::from_der(content.expect(SEQUENCE)?.whole).map_err(|_| other())?;
    content.expect(primitive(0))?;
    content.finish()?;
    let cipher = ContentCipher::read(&algorithm)?;
    match (kind, &cipher) {
        (ENVELOPED, ContentCipher::Cbc { .. }) => fields.finish()?,
        (AUTH_ENVELOPED, ContentCipher::Aead { tag, .. }) => {
            let mac = fields.expect(OCTET_STRING)?;
            fields.finish()?;
            if mac.value.len() != *tag {
                return Err(other());
            }
        }
        _ => return Err(other()),
    }
    if CONTENTS.contains(&content_type) { Ok(cipher) } else { Err(other()) }
}

/// Reads RecipientInfos to their end: at least one, each for a certificate's key (RFC 5652, sections 6.2.1 and 6.2.2; RFC 9629, section 3).
/// Recipients with a password or a symmetric key are refused, because this machine cannot know them.
fn recipients(infos: Element<'_>) -> Result<()> {
    let mut infos = infos.reader();
    if infos.is_finished() {
        return Err(other());
    }
    while !infos.is_finished() {
        if let Some(info) = infos.optional(constructed(4))? {
            encapsulated(info)?;
            continue;
        }
        match infos.optional(constructed(1))? {
            Some(agreed) => {
                let mut fields = agreed.reader();
                fields.expect(INTEGER)?;
                // The originator's ephemeral key.
                let mut originator = fields.expect(constructed(0))?.reader();
                let mut key = originator.expect(constructed(1))?.reader();
                originator.finish()?;
                no_words(key.expect(SEQUENCE)?)?;
                no_words(key.expect(BIT_STRING)?)?;
                key.finish()?;
                fields.optional(constructed(1))?.map_or(Ok(()), no_words)?;
                no_words(fields.expect(SEQUENCE)?)?;
                let mut keys = fields.sequence()?;
                fields.finish()?;
                while !keys.is_finished() {
                    let mut key = keys.sequence()?;
                    agreed_identifier(&mut key)?;
                    no_words(key.expect(OCTET_STRING)?)?;
                    key.finish()?;
                }
            }
            None => {
                let mut fields = infos.sequence()?;
                fields.expect(INTEGER)?;
                identifier(&mut fields)?;
                no_words(fields.expect(SEQUENCE)?)?;
                no_words(fields.expect(OCTET_STRING)?)?;
                fields.finish()?;
            }
        }
    }
    Ok(())
}

/// Reads an OtherRecipientInfo, which must hold a KEMRecipientInfo (RFC 9629, section 3): another kind could hold anything.
fn encapsulated(info: Element<'_>) -> Result<()> {
    let mut info = info.reader();
    if info.expect(OID)?.value != ORI_KEM {
        return Err(other());
    }
    let mut fields = info.sequence()?;
    info.finish()?;
    fields.expect(INTEGER)?;
    identifier(&mut fields)?;
    no_words(fields.expect(SEQUENCE)?)?;
    no_words(fields.expect(OCTET_STRING)?)?;
    no_words(fields.expect(SEQUENCE)?)?;
    no_words(fields.expect(INTEGER)?)?;
    fields.optional(constructed(0))?.map_or(Ok(()), no_words)?;
    no_words(fields.expect(SEQUENCE)?)?;
    no_words(fields.expect(OCTET_STRING)?)?;
    fields.finish()
}

/// Reads IssuerAndSerialNumber, or `[0]` with a key identifier (RFC 5652, sections 5.3 and 6.2.1).
fn identifier(fields: &mut Reader<'_>) -> Result<()> {
    match fields.optional(primitive(0))? {
        Some(identifier) => no_words(identifier),
        None => issuer_and_serial(fields),
    }
}

/// Reads IssuerAndSerialNumber, or `[0]` with a RecipientKeyIdentifier without date and other attributes (RFC 5652,
/// section 6.2.2).
fn agreed_identifier(fields: &mut Reader<'_>) -> Result<()> {
    let Some(identifier) = fields.optional(constructed(0))? else { return issuer_and_serial(fields) };
    let mut identifier = identifier.reader();
    no_words(identifier.expect(OCTET_STRING)?)?;
    identifier.finish()
}

fn issuer_and_serial(fields: &mut Reader<'_>) -> Result<()> {
    let mut fields = fields.sequence()?;
    Name::parse(fields.expect(SEQUENCE)?.whole)?;
    no_words(fields.expect(INTEGER)?)?;
    fields.finish()
}

/// Refuses a readable text in an element that should look random or holds no text.
fn no_words(element: Element<'_>) -> Result<()> {
    if reads_as_text(element.value) { Err(other()) } else { Ok(()) }
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
/// Allowed content types: data, signed, enveloped and digested data of CMS, and the additions of RFC 3274 and RFC 5083
/// (RFC 5652, section 4; RFC 8551, section 2.4).
const CONTENTS: [&[u8]; 5] = [
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
    SIGNED,
    ENVELOPED,
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09",
    AUTH_ENVELOPED,
];
/// 1.2.840.113549.1.7.2 (RFC 5652, section 5.1).
const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// 1.2.840.113549.1.7.3 (RFC 5652, section 6.1).
const ENVELOPED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03";
/// id-ori-kem, 1.2.840.113549.1.9.16.13.3 (RFC 9629, section 3).
const ORI_KEM: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x0d\x03";
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

    /// id-data, and AES in both modes with a zero for an initialization vector.
    const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    const AES_CBC: &[u8] =
        b"\x30\x1d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x04\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const AES_GCM: &[u8] =
        b"\x30\x1e\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e\x30\x11\x04\x0c\0\0\0\0\0\0\0\0\0\0\0\0\x02\x01\x10";

    /// A KeyTransRecipientInfo for a key identifier.
    fn reader() -> Vec<u8> {
        let rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        tlv(0x30, &[b"\x02\x01\x02\x80\x04\x01\x02\x03\x04".as_slice(), rsa, b"\x04\x04\xff\xfe\xfd\xfc"].concat())
    }

    /// An envelope with this content and these octets after each of its elements.
    fn envelope(wrap: fn(u8, &[u8]) -> Vec<u8>, kind: &[u8], content: &[u8], behind: [&[u8]; 4]) -> Vec<u8> {
        let [in_content, in_data, in_info, after] = behind;
        let cipher = if kind == ENVELOPED { AES_CBC } else { AES_GCM };
        let info = wrap(0x30, &[DATA, cipher, content, in_content].concat());
        let data = wrap(0x30, &[b"\x02\x01\x00".as_slice(), &tlv(SET, &reader()), &info, in_data].concat());
        let wrapped = [tlv(6, kind), wrap(0xa0, &data), in_info.to_vec()].concat();
        [wrap(0x30, &wrapped), after.to_vec()].concat()
    }

    #[test]
    fn an_envelope_hides_everything_and_nothing_else_does() {
        const WORDS: &[u8] = b"\x04\x11The secret is 42.";
        for wrap in [tlv, indefinite] {
            for content in [b"\x80\x100123456789abcdef".as_slice(), b"\xa0\x80\x04\x100123456789abcdef\x00\x00"] {
                let with = |behind: [&[u8]; 4]| is_ciphertext(envelope(wrap, ENVELOPED, content, behind), &budget());
                assert!(with([b"", b"", b"", b""]) && with([b"", b"", b"", b"\r\n"]));
                for at in 0..4 {
                    for words in [WORDS, b"The secret is 42.\0\0", b"\0\0"] {
                        let mut behind: [&[u8]; 4] = [b"", b"", b"", b""];
                        behind[at] = words;
                        // Octets after the end of an element are not encrypted, wherever they are.
                        assert!(!with(behind), "{at} {words:?}");
                    }
                }
                // Unauthenticated attributes.
                assert!(!with([b"", b"\xa1\x13\x04\x11The secret is 42.", b"", b""]));
                assert!(!is_ciphertext(envelope(wrap, SIGNED, content, [b""; 4]), &budget()));
                assert!(is_ciphertext(
                    envelope(wrap, AUTH_ENVELOPED, content, [b"", b"\x04\x100123456789abcdef", b"", b""]),
                    &budget()
                ));
            }
        }
        assert!(!is_ciphertext(b"0".to_vec(), &budget()) && !is_ciphertext(Vec::new(), &budget()));
    }

    /// By OpenSSL 3.0: EnvelopedData for a key on P-256.
    const OPENSSL: &str = "MIIBNQYJKoZIhvcNAQcDoIIBJjCCASICAQIxgc6hgcsCAQOgUaFPMAkGByqGSM49AgEDQgAEn7n7hOxUd2zlV5e+qui5Rbleud3h40c0Q85/T3lQ5blhJZWY\
        XQCRr0LcUOGJLcIy9t4NzhAbbpNDNDRNaxfRpjAYBgkrgQUQhkg/AAIwCwYJYIZIAWUDBAEtMFkwVzArMBMxETAPBgNVBAMMCFN0cmFuZ2VyAhQ+0KxszPZgj+oiA3aoSDLbwANf\
        ewQopysGJufdh6VBUYgz8Ov4cMt7Mnsc5vvgWPeMHpoUL9u7Zrv/bsdp5zBMBgkqhkiG9w0BBwEwHQYJYIZIAWUDBAEqBBClNFyPRjkyPWZmW3seTMcKgCAf+H6Jj85lGAF5tziX\
        ReRJK8MBZHgbM4k563WcmfmUrQ==";

    #[test]
    fn what_hides_nothing_is_no_ciphertext() {
        let octets = crate::mail::encoding::base64_decode(OPENSSL.as_bytes());
        assert!(is_ciphertext(octets.clone(), &budget()));
        let cipher = octets.windows(5).rposition(|window| window == b"\x03\x04\x01\x2a\x04").unwrap();
        let mut unknown = octets.clone();
        unknown[cipher + 3] = 0x7f;
        assert!(!is_ciphertext(unknown, &budget()), "an unknown cipher");
        let mut words = octets.clone();
        let content = words.len() - 32;
        words[content..].copy_from_slice(b"The secret is 42. The secret is ");
        assert!(!is_ciphertext(words, &budget()), "words in the place of ciphertext");
        let point = octets.windows(4).position(|window| window == b"\x03\x42\x00\x04").unwrap() + 4;
        let mut words = octets.clone();
        words[point..point + 32].copy_from_slice(b"The secret is 42. The secret is ");
        assert!(!is_ciphertext(words, &budget()), "words in the place of the originator's key");
        let with = |recipients: &[u8], content: &[u8]| {
            let info = tlv(0x30, &[DATA, AES_CBC, content].concat());
            let data = tlv(0x30, &[b"\x02\x01\x00".as_slice(), &tlv(SET, recipients), &info].concat());
            is_ciphertext(tlv(0x30, &[tlv(6, ENVELOPED), tlv(0xa0, &data)].concat()), &budget())
        };
        let content = b"\x80\x100123456789abcdef";
        assert!(with(&reader(), content));
        assert!(!with(b"", content), "no recipient");
        assert!(!with(b"\xa4\x13\x06\x03\x2a\x03\x04\x0c\x0cThe secret i", content), "another kind of recipient");
        assert!(!with(&[reader(), b"\x04\x04The ".to_vec()].concat(), content), "something after the recipient");
        assert!(!with(&reader(), b""), "no content");
        let spoken = |key: &[u8]| {
            let rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
            tlv(0x30, &[b"\x02\x01\x02\x80\x04\x01\x02\x03\x04".as_slice(), rsa, &tlv(4, key)].concat())
        };
        assert!(with(&spoken(&[0xa5; 64]), content));
        assert!(!with(&spoken(b"The secret is 42. The secret is 42."), content), "words in the place of a key");
        assert!(!with(&reader(), b"\x80\x00"), "an empty content");
        assert!(!with(&reader(), b"\x80\x0f0123456789abcde"), "no whole blocks");
    }
}
