//! Opens one layer: multipart/signed, or a ContentInfo in application/pkcs7-mime (RFC 8551, section 3).

use memchr::{memchr, memmem};

use super::{
    ber::{self, After, Taken},
    claim,
    content::Shape,
    decapsulate,
    removed::{self, Decapsulated},
    signed::SignedData,
    verify,
};
use crate::{
    base::{Budget, Error, Result},
    keys::ProtocolName,
    mail::{Message, Part, Span, encoding},
    pki::tlv::{self, Element, OID, Reader, constructed},
    protocol::{
        Claim, Context, Opened, blurred,
        entity::{as_text, entity, is_entity},
    },
    verdict::{Covers, Layer, LayerKind, Signature, Why},
};

/// Opens `message`, whose root part makes the claim.
pub(super) fn open(message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let root = message.root();
    if claim::is_wrapped(root) {
        let reason = "microsoft exchange wrapped an s/mime message into its own format (tnef)";
        let hint = "ask for the original message; the server must not convert outgoing mail to rich text";
        return Err(Error::malformed("application/ms-tnef", reason).with_hint(hint));
    }
    if claim::is_signed(root) {
        return multipart(&message, claim.span, context, budget);
    }
    let (octets, after) = octets(message);
    content_info(ber::take_content(octets, after, budget)?, claim.span, context, budget)
}

/// Opens multipart/signed (RFC 8551, section 3.5.3). A signature that cannot be read is reported, and the payload is
/// returned anyway.
fn multipart(message: &Message, span: Span, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let mut children = message.root().children();
    // RFC 1847, section 2.1 has exactly two parts. A third part could be taken for signed.
    if children.len() > 2 {
        return Err(Error::malformed("multipart/signed", format!("has {} parts instead of 2", children.len())));
    }
    let first = children.next().ok_or_else(|| Error::malformed("multipart/signed", "has no parts"))?;
    let Judged { signatures, certificates } = match children.next() {
        Some(part) => detached(first, part, context, budget)?,
        None => Judged::unreadable("it is missing".to_owned()),
    };
    let payload = match is_entity(first) {
        true => first.as_message(),
        false => as_text(first.octets().to_vec(), budget)?,
    };
    let layers = vec![layer(LayerKind::Signed { signatures }, span)];
    Ok(Opened { layers, payload, covers: Covers::Whole, beside: None, refusal: None, certificates })
}

/// The signatures of a SignedData, and the certificates in it, DER each.
struct Judged {
    signatures: Vec<Signature>,
    certificates: Vec<Vec<u8>>,
}

impl Judged {
    fn new(signed: &SignedData<'_>, signatures: Vec<Signature>) -> Judged {
        let certificates = signed.certificates.iter().map(|certificate| certificate.der().to_vec()).collect();
        Judged { signatures, certificates }
    }

    fn unreadable(reason: String) -> Judged {
        Judged { signatures: vec![verify::unreadable(Why::Malformed(reason))], certificates: Vec::new() }
    }
}

/// The signatures of a multipart/signed, in a ContentInfo of signedData without content.
fn detached(first: Part<'_>, part: Part<'_>, context: Context<'_>, budget: &mut Budget) -> Result<Judged> {
    let malformed = |reason: String| Ok(Judged::unreadable(reason));
    let (octets, after) = unarmored(part.decoded().into_owned(), after(&part.transfer_encoding()));
    let taken = match ber::take_content(octets, after, budget) {
        Ok(taken) if taken.is_alone => taken,
        Ok(_) => return malformed("octets follow it".to_owned()),
        Err(error) => return malformed(error.to_string()),
    };
    let signed = match inside(&taken.skeleton) {
        Ok((SIGNED, data)) => SignedData::read(data, budget),
        Ok((kind, _)) => return malformed(format!("it holds {} instead of a signature", kind_name(kind))),
        Err(error) => Err(error),
    };
    match signed {
        // With a second content it is not visible which of them is signed (content-type confusion).
        Ok(_) if taken.content.is_some() => {
            malformed("it holds content of its own besides the shown content".to_owned())
        }
        Ok(signed) => Ok(Judged::new(&signed, verify::judged(&signed, first.octets(), Shape::Part, context, budget)?)),
        Err(error) => malformed(error.to_string()),
    }
}

/// Opens the content of a ContentInfo by its type. Octets after it make the layer cover only a part.
fn content_info(taken: Taken, span: Span, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let Taken { skeleton, content, is_alone } = taken;
    let (kind, data) = inside(&skeleton)?;
    let opened = match kind {
        SIGNED => opaque(&SignedData::read(data, budget)?, content, span, context, budget)?,
        _ => match decapsulate::decapsulate(&skeleton, content, context, budget)? {
            Some(inner) => within(inner, span, context, budget)?,
            None => return Err(Error::unavailable(format!("application/pkcs7-mime: holds {}", kind_name(kind)))),
        },
    };
    Ok(if is_alone { opened } else { of_a_part(opened) })
}

/// Marks signatures as covering only a part, because octets follow the object.
fn of_a_part(mut opened: Opened) -> Opened {
    for layer in &mut opened.layers {
        if let LayerKind::Signed { signatures } = &mut layer.kind {
            signatures.iter_mut().for_each(|signature| signature.covers = Covers::Part);
        }
    }
    Opened { covers: Covers::Part, ..opened }
}

/// Opens the content of an encrypted or compressed layer. If the plaintext is not authenticated, errors in it are
/// reported only as failure to decrypt.
fn within(inner: Decapsulated, span: Span, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let (is_encrypted, refusal) = (matches!(inner.layer, LayerKind::Encrypted { .. }), inner.refusal.clone());
    let opened = content(inner, span, context, budget);
    match refusal {
        Some(refusal) => match opened {
            Ok(opened) => Ok(Opened { refusal: Some(refusal), ..opened }),
            Err(error) => Err(blurred(error, &refusal)),
        },
        None if is_encrypted => opened.map_err(Error::within_encryption),
        None => opened,
    }
}

/// Opens the content: an entity, or another CMS content type without MIME in between (RFC 5652, section 6.1).
fn content(mut inner: Decapsulated, span: Span, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let mut layers = vec![layer(inner.layer.clone(), span)];
    let mut certificates = Vec::new();
    if let Some(signed) = inner.signed.take() {
        let taken = ber::take_content(signed, After::Nothing, budget)?;
        let signed = SignedData::read(inside(&taken.skeleton)?.1, budget)?;
        let judged = verify::judged(&signed, &inner.octets, Shape::Encapsulated, context, budget)?;
        let judged = Judged::new(&signed, judged);
        layers.push(layer(LayerKind::Signed { signatures: judged.signatures }, span));
        certificates = judged.certificates;
    }
    if inner.content_type == removed::DATA {
        return Ok(Opened {
            layers,
            payload: entity(inner.octets, budget)?,
            covers: Covers::Whole,
            beside: None,
            refusal: None,
            certificates,
        });
    }
    budget.layer()?;
    let taken = ber::take_content(inner.into_content_info(), After::Nothing, budget)?;
    let opened = content_info(taken, span, context, budget)?;
    layers.extend(opened.layers);
    certificates.extend(opened.certificates);
    Ok(Opened { layers, certificates, ..opened })
}

/// Opens SignedData with its content inside (RFC 8551, section 3.5.2), or certificates only (section 3.8).
fn opaque(
    signed: &SignedData<'_>,
    content: Option<Vec<u8>>,
    span: Span,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Opened> {
    let Some(content) = content else {
        if signed.signers.is_empty() {
            return Ok(Opened {
                layers: Vec::new(),
                payload: certificates(signed, budget)?,
                covers: Covers::Whole,
                beside: None,
                refusal: None,
                // They are parts of the payload.
                certificates: Vec::new(),
            });
        }
        let reason = "holds a signature without the signed content";
        return Err(Error::malformed("application/pkcs7-mime", reason));
    };
    let judged = verify::judged(signed, &content, Shape::Encapsulated, context, budget)?;
    let Judged { signatures, certificates } = Judged::new(signed, judged);
    let layers = vec![layer(LayerKind::Signed { signatures }, span)];
    let payload = entity(content, budget)?;
    Ok(Opened { layers, payload, covers: Covers::Whole, beside: None, refusal: None, certificates })
}

/// The certificates and CRLs of a certs-only message as parts of their own (RFC 2585, section 4), readable for
/// everyone.
fn certificates(signed: &SignedData<'_>, budget: &mut Budget) -> Result<Message> {
    let mut octets = b"Content-Type: multipart/mixed; boundary=certificates\r\n".to_vec();
    let certificates = signed.certificates.iter().map(|one| ("pkix-cert", "cer", one.der()));
    for (kind, ending, der) in certificates.chain(signed.revocations.iter().map(|der| ("pkix-crl", "crl", *der))) {
        let header = format!(
            "\r\n--certificates\r\nContent-Type: application/{kind}\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment; filename=\"smime.{ending}\"\r\n\r\n"
        );
        octets.extend_from_slice(header.as_bytes());
        octets.extend_from_slice(&encoding::base64_encode(der));
    }
    octets.extend_from_slice(b"\r\n--certificates--\r\n");
    Message::parse(octets, budget)
}

/// The content type of a ContentInfo, and its content.
fn inside(skeleton: &[u8]) -> Result<(&[u8], Element<'_>)> {
    let mut fields = Reader::new(skeleton, "application/pkcs7-mime").sequence()?;
    let kind = fields.expect(OID)?.value;
    let mut content = fields.expect(constructed(0))?.reader();
    let data = content.any()?;
    // Exactly one content: octets after it would be ignored, so they are refused.
    content.finish()?;
    fields.finish()?;
    Ok((kind, data))
}

/// The decoded body, without a copy if the message is not shared, and the octets allowed after the object.
fn octets(message: Message) -> (Vec<u8>, After) {
    let root = message.root();
    let encoding = root.transfer_encoding();
    if encoding == "quoted-printable" {
        return unarmored(root.decoded().into_owned(), After::LineBreaks);
    }
    let span = root.body_span();
    let mut octets = message.into_span(span);
    if encoding == "base64" && !is_pem(&octets) {
        encoding::base64_decode_in_place(&mut octets);
    }
    unarmored(octets, after(&encoding))
}

/// The octets allowed after the object in a decoded body, by its transfer encoding.
fn after(encoding: &str) -> After {
    if encoding == "base64" { After::Nothing } else { After::LineBreaks }
}

/// Decodes PEM (RFC 7468, sections 8 and 9), and base64 without a header that announces it.
fn unarmored(mut octets: Vec<u8>, after: After) -> (Vec<u8>, After) {
    // A ContentInfo is a SEQUENCE. Its tag is the digit 0, with which the base64 of a ContentInfo never starts.
    if octets.first() == Some(&tlv::SEQUENCE) {
        return (octets, after);
    }
    if is_pem(&octets) {
        let start = memchr(b'\n', octets.trim_ascii_start()).unwrap_or_default() + octets.len()
            - octets.trim_ascii_start().len();
        octets.drain(..start.min(octets.len()));
        octets.truncate(memmem::find(&octets, b"-----END ").unwrap_or(octets.len()));
    }
    let is_base64 = |octet: &u8| octet.is_ascii_alphanumeric() || b"+/=".contains(octet) || octet.is_ascii_whitespace();
    if octets.iter().all(is_base64) {
        encoding::base64_decode_in_place(&mut octets);
        return (octets, After::Nothing);
    }
    (octets, after)
}

fn is_pem(octets: &[u8]) -> bool {
    octets.trim_ascii_start().starts_with(b"-----BEGIN ")
}

fn layer(kind: LayerKind, span: Span) -> Layer {
    Layer { protocol: ProtocolName::Smime, kind, span }
}

/// The name of a content type, or its object identifier.
fn kind_name(kind: &[u8]) -> String {
    let known = KINDS.iter().find(|(own, _)| *own == kind).map(|(_, name)| (*name).to_owned());
    known.unwrap_or_else(|| tlv::dotted(kind))
}

/// Content types of CMS: 1.2.840.113549.1.7.1 to .6 and 1.2.840.113549.1.9.16.1 (RFC 5652, sections 4 to 8; RFC 5083; RFC 3274).
const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const KINDS: [(&[u8], &str); 9] = [
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", "data"),
    (SIGNED, "signed data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", "enveloped data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x04", "signed and enveloped data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05", "digested data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06", "encrypted data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x02", "authenticated data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09", "compressed data"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", "authenticated enveloped data"),
];
