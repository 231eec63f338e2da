//! Opens one layer: a PEM message in a text body, or in a file of its own.

use std::borrow::Cow;

use super::{
    boundary::{self, Block},
    canonical, decrypt,
    header::{self, Header, ProcType},
    text, verify,
};
use crate::{
    base::{Budget, Error, Hint, Result, upper_hex},
    keys::ProtocolName,
    mail::{
        Message, Part, Span,
        encoding::{base64_decode, is_base64},
    },
    protocol::{Claim, ClaimKind, Context, Opened, blurred},
    verdict::{Covers, Layer, LayerKind, Signature, State, Why},
};

/// The claim that `part` itself makes, by the first message in its text. HTML never makes one, because what a reader
/// shows of it differs from its source.
pub(super) fn claim(part: Part<'_>) -> Option<Claim> {
    if part.children().len() > 0 {
        return None;
    }
    if part.transfer_encoding() == "base64" && !part.glance(boundary::NAME).1 {
        return None;
    }
    let text = body(part)?;
    let found = find(&text)?;
    let kind = match found.proc_type {
        ProcType::Encrypted => ClaimKind::Encrypted,
        ProcType::MicClear => ClaimKind::InlineSigned,
        ProcType::Crl | ProcType::CrlRetrievalRequest | ProcType::MicOnly => ClaimKind::Opaque,
    };
    let at = part.body_span();
    let span = match (found.alone, &text) {
        (true, _) => part.span(),
        (false, Cow::Borrowed(_)) => {
            Span { start: at.start + found.block.span.start, end: at.start + found.block.span.end }
        }
        // The body is encoded, so the block has no exact span in the message. The span only says that it is not the
        // whole part.
        (false, Cow::Owned(_)) => Span { start: at.start, end: at.end.saturating_sub(1).max(at.start) },
    };
    Some(Claim { protocol: ProtocolName::Pem, kind, span })
}

/// Opens `message`, whose root part makes the claim.
pub(super) fn open(message: &Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let root = message.root();
    let text = body(root).ok_or_else(|| Error::malformed("text", "has no pem message"))?;
    let whole = boundary::whole(&text).filter(|_| claim.is_whole(root));
    let block = whole.or_else(|| find(&text).map(|found| found.block));
    let block = block.ok_or_else(|| Error::malformed("text", "has no pem message"))?;
    if !block.closed {
        return Err(Error::malformed("pem message", "its end is missing"));
    }
    let (header, encapsulated) = text::read(block.inside.of(&text), budget)?;
    // Octets that are not base64 are shown by readers, but are not signed.
    let is_clean = !matches!(header.proc_type, ProcType::Encrypted | ProcType::MicOnly) || is_base64(encapsulated);
    let covers = if claim.is_whole(root) && !header.says_more() && is_clean { Covers::Whole } else { Covers::Part };
    let layer = |kind| Layer { protocol: ProtocolName::Pem, kind, span: claim.span };
    let mut refusal = None;
    let (layers, canonical) = match header.proc_type {
        ProcType::Crl => {
            return Err(Error::malformed("pem message", "holds revocation lists and no text")
                .with_hint(Hint::ImportRevocations));
        }
        ProcType::CrlRetrievalRequest => {
            return Err(Error::malformed("pem message", "requests revocation lists and holds no text"));
        }
        ProcType::Encrypted => {
            verify::checkable(&header, context.legacy)?;
            let opened = decrypt::opened(&header, encapsulated, context, budget)?;
            let signatures = verify::judged(&opened.header, &opened.canonical, covers, context, budget);
            let signatures = signatures.map_err(|error| blurred(error, &opened.refusal))?;
            // With CBC an attacker who changes the ciphertext changes the text. The integrity check detects this (RFC
            // 1421, section 4.1.2.2), so a text that fails it is not shown.
            if signatures.iter().all(is_wrong) {
                return Err(opened.refusal);
            }
            let authenticated = signatures.iter().any(|signature| matches!(signature.state, State::Valid(_)));
            refusal = (!authenticated).then_some(opened.refusal);
            let encrypted = LayerKind::Encrypted {
                cipher: opened.cipher.name().to_owned(),
                authenticated,
                recipients: recipients(&header),
                // RSA, and keys that both sides had before.
                quantum_safe: false,
            };
            (vec![layer(encrypted), layer(LayerKind::Signed { signatures })], opened.canonical)
        }
        ProcType::MicClear | ProcType::MicOnly => {
            let canonical = match header.proc_type {
                ProcType::MicClear => canonical::of_clear(encapsulated),
                _ => base64_decode(encapsulated),
            };
            let signatures = verify::judged(&header, &canonical, covers, context, budget)?;
            (vec![layer(LayerKind::Signed { signatures })], canonical)
        }
    };
    let payload = Message::parse(entity(root, &header, canonical), budget).map_err(|error| match &refusal {
        Some(refusal) => blurred(error, refusal),
        None if header.proc_type == ProcType::Encrypted => error.within_encryption(),
        None => error,
    })?;
    let beside = (!claim.is_whole(root)).then_some(block.span);
    Ok(Opened { layers, payload, covers, beside, refusal, certificates: Vec::new() })
}

/// The body, if it is text in which a PEM message may be.
pub(super) fn body(part: Part<'_>) -> Option<Cow<'_, [u8]>> {
    part.content_type().is("text", "plain").then(|| part.decoded())
}

/// The first message in a text.
struct Found {
    block: Block,
    proc_type: ProcType,
    /// Whether only white space surrounds it.
    alone: bool,
}

fn find(text: &[u8]) -> Option<Found> {
    let (block, proc_type) =
        boundary::blocks(text).find_map(|block| text::proc_type_of(block.inside.of(text)).map(|kind| (block, kind)))?;
    let blank = |octets: Option<&[u8]>| octets.is_none_or(|octets| octets.iter().all(u8::is_ascii_whitespace));
    let alone = blank(text.get(..block.span.start)) && blank(text.get(block.span.end..));
    Some(Found { block, proc_type, alone })
}

/// Whether the signature does not match the text, whatever the key.
fn is_wrong(signature: &Signature) -> bool {
    match &signature.state {
        State::Invalid(why) => matches!(why, Why::Mismatch | Why::Malformed(_)),
        State::Unknown(_) | State::Valid(_) => false,
    }
}

/// The recipients that the message names.
fn recipients(header: &Header) -> Vec<String> {
    let name = |recipient: &header::Recipient| {
        let shared = recipient.shared_key.as_ref().map(|id| id.entity.clone());
        let certificate = || {
            let id = recipient.certificate_id.as_ref()?;
            let issuer = crate::pki::Name::parse(&id.issuer).ok()?;
            let serial = upper_hex(&id.serial);
            Some(format!("{serial} of {issuer}"))
        };
        recipient.name.clone().or(shared).or_else(certificate).unwrap_or_else(|| "hidden".to_owned())
    };
    header.recipients.iter().map(name).collect()
}

/// The text as a message. A MIME text is one already. Otherwise it gets the type of its part, if that has one.
///
/// Content-Domain is not signed. An attacker who inserts it could turn the first paragraph of a text into a header,
/// which readers do not show. So the text must also begin like MIME.
fn entity(root: Part<'_>, header: &Header, mut text: Vec<u8>) -> Vec<u8> {
    let is_mime = header.content_domain.as_deref().is_some_and(|domain| domain.eq_ignore_ascii_case("MIME"));
    if is_mime && begins_as_mime(&text) {
        return text;
    }
    let typed = root.header("Content-Type").is_some();
    let head = if typed {
        format!(
            "Content-Type: text/plain; charset={}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            charset(&text, root.content_type().parameter("charset"))
        )
    } else {
        "\r\n".to_owned()
    };
    text.splice(..0, head.into_bytes());
    text
}

/// Whether only MIME fields come before the first empty line (RFC 2045, section 3).
fn begins_as_mime(text: &[u8]) -> bool {
    let names = |line: &[u8], name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let is_field = |line: &[u8]| {
        let folded = line.first().is_some_and(|octet| b" \t".contains(octet));
        folded || ((names(line, b"content-") || names(line, b"mime-version:")) && line.contains(&b':'))
    };
    let mut lines = text.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end).take_while(|line| !line.is_empty());
    lines.next().is_some_and(|first| names(first, b"content-type:") || names(first, b"mime-version:"))
        && lines.all(is_field)
}

/// The charset of the outer part if the text fits it, or UTF-8 if it is UTF-8.
fn charset(text: &[u8], outer: Option<&str>) -> String {
    let token = |name: &&str| {
        !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.:+".contains(&octet))
    };
    match (outer.filter(token), std::str::from_utf8(text)) {
        (Some(outer), _) => outer.to_ascii_lowercase(),
        (None, Ok(_)) => "utf-8".to_owned(),
        (None, Err(_)) => "windows-1252".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    /// The domain is not signed: it must not hide signed text.
    #[test]
    fn a_text_that_is_no_mime_stays_a_text() {
        let mut budget = Budget::new(Limits::default());
        let mail = Message::parse(b"Content-Type: text/plain\n\nx".to_vec(), &mut budget).unwrap();
        let (header, _) = text::read(b"Proc-Type: 4,MIC-CLEAR\nContent-Domain: MIME\n\n", &budget).unwrap();
        let mut body = |text: &str| {
            let entity = entity(mail.root(), &header, text.into());
            String::from_utf8(Message::parse(entity, &mut budget).unwrap().root().body().to_vec()).unwrap()
        };
        for text in [
            "Note: never pay\r\n\r\nPay 100\r\n",
            "Content-Type is a word\r\n\r\nPay\r\n",
            "MIME-Version: 1.0\r\nNote: never pay\r\n\r\nPay 100\r\n",
            "\r\nPay\r\n",
        ] {
            assert_eq!(body(text), text);
        }
        assert_eq!(
            body("MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=us-ascii\r\n\r\nPay\r\n"),
            "Pay\r\n"
        );
    }

    #[test]
    fn only_plain_text_holds_blocks() {
        let block = "-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nProc-Type: 4,MIC-CLEAR\n\nPay\n-----END PRIVACY-ENHANCED MESSAGE-----\n";
        let claimed = |head: &str| {
            let mail = Message::parse(format!("{head}{block}").into(), &mut Budget::new(Limits::default())).unwrap();
            claim(mail.root()).is_some_and(|claim| claim.is_whole(mail.root()))
        };
        assert!(claimed("") && claimed("Content-Type: text/plain\n\n"));
        for head in ["Content-Type: text/html\n\n", "Content-Type: text/html\n\n<pre>\n", "From: a@b.c\n\nPay more\n"] {
            assert!(!claimed(head), "{head}");
        }
    }
}
