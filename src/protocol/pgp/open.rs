//! Opens one layer: PGP/MIME (RFC 3156), its mangled forms, and inline OpenPGP in text and attachments.

use std::borrow::Cow;

use sequoia_openpgp::types::DataFormat;

use super::{
    armor::{self, Cleartext},
    counting::{Framed, first_packet},
    framing::{COMPRESSED, OPS, PKESK, SED, SEIP, SKESK},
    packets::{self, Found, Over, Unpacked, Wrap},
    verify::{self, Shape, Text},
};
use crate::{
    base::{Budget, Error, Result},
    keys::ProtocolName,
    mail::{
        Message, Part, Span,
        armor::{Label, pgp_blocks},
    },
    protocol::{
        Claim, ClaimKind, Context, Opened, blurred,
        entity::{as_text, charset, entity, file_message, is_entity, text_message},
    },
    verdict::{Covers, Layer, LayerKind, Signature, Why},
};

/// The claim that `part` itself makes. `text/html` never makes one, because what a reader shows of it differs from its
/// source.
pub(super) fn claim(part: Part<'_>) -> Option<Claim> {
    let (kind, span) = if is_signed(part) {
        (ClaimKind::Signed, part.span())
    } else if ciphertext(part).is_some() {
        (ClaimKind::Encrypted, part.span())
    } else {
        inline(part)?
    };
    Some(Claim { protocol: ProtocolName::Pgp, kind, span })
}

/// Opens `message`, whose root part makes the claim.
pub(super) fn open(message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    match claim.kind {
        ClaimKind::Encrypted => encrypted(message, claim, context, budget),
        ClaimKind::Inline => inline_message(message, claim, context, budget),
        ClaimKind::InlineSigned => inline_signed(&message, claim, context, budget),
        ClaimKind::Signed => signed(&message, claim, context, budget),
        ClaimKind::Certificates | ClaimKind::Compressed | ClaimKind::Opaque => {
            Err(Error::malformed(claim.words(), "not a form of OpenPGP"))
        }
    }
}

/// Opens multipart/signed (RFC 3156, section 5). A signature that cannot be read is reported, and the payload is
/// returned anyway.
fn signed(message: &Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let mut children = message.root().children();
    // RFC 1847, section 2.1 has exactly two parts. A third part could be taken for signed.
    if children.len() > 2 {
        return Err(Error::malformed("multipart/signed", format!("has {} parts instead of 2", children.len())));
    }
    let first = children.next().ok_or_else(|| Error::malformed("multipart/signed", "has no parts"))?;
    let found = match children.next() {
        Some(part) => detached(part.decoded(), budget)?,
        None => vec![Found::Unreadable(Why::Malformed("it is missing".to_owned()))],
    };
    let signatures = judged(&found, &mut Text::new(first.octets(), Shape::Part), Covers::Whole, context, budget)?;
    let payload = match is_entity(first) {
        true => first.as_message(),
        false => as_text(first.octets().to_vec(), budget)?,
    };
    let layers = vec![layer(LayerKind::Signed { signatures }, claim.span)];
    Ok(Opened { layers, payload, covers: Covers::Whole, beside: None, refusal: None, certificates: Vec::new() })
}

/// Opens multipart/encrypted (RFC 3156, section 4), intact or mangled.
fn encrypted(message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let root = message.root();
    let part = ciphertext(root).ok_or_else(|| Error::malformed("multipart/encrypted", "has no encrypted part"))?;
    let covers = if has_other_text(root, part) { Covers::Part } else { Covers::Whole };
    let octets = match part.decoded() {
        Cow::Owned(octets) => octets,
        Cow::Borrowed(_) => {
            let span = part.body_span();
            message.into_span(span)
        }
    };
    let unpacked = unpack(octets, context, budget)?.1;
    let secrecy = Secrecy::of(&unpacked);
    let layers = layers(&unpacked, claim.span, covers, context, budget).map_err(|error| secrecy.reveal(error))?;
    let payload = entity(unpacked.literal.octets, budget).map_err(|error| secrecy.reveal(error))?;
    Ok(Opened { layers, payload, covers, beside: None, refusal: secrecy.refusal(), certificates: Vec::new() })
}

/// Opens the cleartext framework (RFC 9580, section 7) in a text body.
fn inline_signed(message: &Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let root = message.root();
    let covers = covers(claim, root);
    let decoded = root.decoded();
    let block = block(&decoded).ok_or_else(|| Error::malformed("text", "has no openpgp block"))?;
    let octets = decoded.get(block.span.start..block.span.end).unwrap_or_default();
    let Cleartext { text, signatures } = armor::cleartext(octets)?;
    let found = detached(Cow::Borrowed(signatures), budget)?;
    let signatures = judged(&found, &mut Text::new(&text, Shape::Cleartext), covers, context, budget)?;
    let charset = charset(&text, None, root.content_type().parameter("charset"));
    let payload = Message::parse(text_message(&charset, text), budget)?;
    let beside = (covers == Covers::Part).then_some(block.span);
    Ok(Opened {
        layers: vec![layer(LayerKind::Signed { signatures }, claim.span)],
        payload,
        covers,
        beside,
        refusal: None,
        certificates: Vec::new(),
    })
}

/// Opens an armored or binary message in a text body or an attachment.
fn inline_message(message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
    let root = message.root();
    let (covers, is_text, name) = (covers(claim, root), is_text(root), name(root));
    let content = root.content_type();
    let mime = content.parameter("format").is_some_and(|format| format.eq_ignore_ascii_case("mime"));
    let outer = content.parameter("charset").map(str::to_owned);
    let decoded = root.decoded();
    let span = block(&decoded).map_or(Span { start: 0, end: decoded.len() }, |block| block.span);
    let beside = (covers == Covers::Part).then_some(span);
    let octets = match decoded {
        Cow::Owned(mut octets) => {
            octets.truncate(span.end);
            octets.drain(..span.start.min(octets.len()));
            octets
        }
        Cow::Borrowed(_) => {
            let start = root.body_span().start;
            message.into_span(Span { start: start + span.start, end: start + span.end })
        }
    };
    let (headers, unpacked) = unpack(octets, context, budget)?;
    let secrecy = Secrecy::of(&unpacked);
    let layers = layers(&unpacked, claim.span, covers, context, budget).map_err(|error| secrecy.reveal(error))?;
    let literal = unpacked.literal;
    if mime {
        let payload = entity(literal.octets, budget).map_err(|error| secrecy.reveal(error))?;
        return Ok(Opened { layers, payload, covers, beside, refusal: secrecy.refusal(), certificates: Vec::new() });
    }
    let payload = if is_text && !literal.octets.contains(&0) {
        let charset_name = headers.iter().find(|(name, _)| name == "charset").map(|(_, value)| value.as_str());
        let charset_name = charset_name.or((literal.format == DataFormat::Unicode).then_some("utf-8"));
        text_message(&charset(&literal.octets, charset_name, outer.as_deref()), literal.octets)
    } else {
        file_message(name.as_deref(), literal.octets)
    };
    let payload = Message::parse(payload, budget).map_err(|error| secrecy.reveal(error))?;
    Ok(Opened { layers, payload, covers, beside, refusal: secrecy.refusal(), certificates: Vec::new() })
}

/// How much errors may reveal about the content of a message.
enum Secrecy {
    /// It was not encrypted: everything.
    Clear,
    /// It was encrypted, and its integrity was checked: everything.
    Checked,
    /// It was encrypted and could have been modified: only this error.
    Unchecked(Error),
}

impl Secrecy {
    fn of(unpacked: &Unpacked) -> Secrecy {
        let is_encrypted = unpacked.wraps.iter().any(|wrap| matches!(wrap, Wrap::Encrypted { .. }));
        match &unpacked.refusal {
            Some(refusal) => Secrecy::Unchecked(refusal.clone()),
            None if is_encrypted => Secrecy::Checked,
            None => Secrecy::Clear,
        }
    }

    fn reveal(&self, error: Error) -> Error {
        match self {
            Secrecy::Clear => error,
            Secrecy::Checked => error.within_encryption(),
            Secrecy::Unchecked(refusal) => blurred(error, refusal),
        }
    }

    fn refusal(self) -> Option<Error> {
        match self {
            Secrecy::Clear | Secrecy::Checked => None,
            Secrecy::Unchecked(refusal) => Some(refusal),
        }
    }
}

/// Decodes armor if there is any, then walks the packets. Also returns the headers of the armor.
fn unpack(octets: Vec<u8>, context: Context<'_>, budget: &mut Budget) -> Result<(Vec<(String, String)>, Unpacked)> {
    let (headers, octets) = match armor::is_armored(&octets) || !is_binary(&octets) {
        true => armor::dearmor(octets, "MESSAGE").map(|block| (block.headers, block.octets))?,
        false => (Vec::new(), octets),
    };
    Ok((headers, packets::unpack(octets, context, budget)?))
}

/// The packets of a detached signature, armored or binary; an entry with the reason if they cannot be read.
fn detached(octets: Cow<'_, [u8]>, budget: &mut Budget) -> Result<Vec<Found>> {
    if is_binary(&octets) {
        return packets::signatures(&octets, budget);
    }
    match armor::dearmor(octets.into_owned(), "SIGNATURE") {
        Ok(block) => packets::signatures(&block.octets, budget),
        Err(error) => Ok(vec![Found::Unreadable(Why::Malformed(error.to_string()))]),
    }
}

fn judged(
    found: &[Found],
    text: &mut Text<'_>,
    covers: Covers,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Vec<Signature>> {
    found.iter().map(|one| verify::judge(one, text, covers, context, budget)).collect()
}

/// The layers of an unpacked message, outermost first, with their signatures judged.
fn layers(
    unpacked: &Unpacked,
    span: Span,
    covers: Covers,
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<Vec<Layer>> {
    let mut text = Text::new(&unpacked.literal.octets, Shape::Literal);
    let mut layers = Vec::new();
    for wrap in &unpacked.wraps {
        let kind = match wrap {
            Wrap::Compressed(algorithm) => LayerKind::Compressed { algorithm: (*algorithm).to_owned() },
            Wrap::Encrypted { cipher, authenticated, recipients, quantum_safe } => LayerKind::Encrypted {
                cipher: cipher.clone(),
                authenticated: *authenticated,
                recipients: recipients.clone(),
                quantum_safe: *quantum_safe,
            },
            Wrap::Signed { signatures, over: Over::Text, .. } => {
                LayerKind::Signed { signatures: judged(signatures, &mut text, covers, context, budget)? }
            }
            Wrap::Signed { signatures, over: Over::Container, .. } => {
                let why = || Why::Malformed("it covers compressed or encrypted data instead of text".to_owned());
                LayerKind::Signed { signatures: signatures.iter().map(|_| verify::unreadable(why(), covers)).collect() }
            }
        };
        layers.push(layer(kind, span));
    }
    Ok(layers)
}

fn layer(kind: LayerKind, span: Span) -> Layer {
    Layer { protocol: ProtocolName::Pgp, kind, span }
}

fn covers(claim: &Claim, part: Part<'_>) -> Covers {
    if claim.is_whole(part) { Covers::Whole } else { Covers::Part }
}

/// Whether it is a PGP/MIME signature (RFC 3156, section 5). If the protocol parameter is missing, the type of the
/// signature part decides.
fn is_signed(part: Part<'_>) -> bool {
    let content = part.content_type();
    if !content.is("multipart", "signed") {
        return false;
    }
    match content.parameter("protocol") {
        Some(protocol) => protocol.eq_ignore_ascii_case("application/pgp-signature") && part.children().len() > 0,
        None => part.children().nth(1).is_some_and(|child| child.content_type().is("application", "pgp-signature")),
    }
}

/// The part of multipart/encrypted that holds the message. Also in the form that Exchange makes of it: a
/// multipart/mixed of an empty text or HTML, the version and the message (draft-dkg-openpgp-pgpmime-message-mangling,
/// section 4.1).
fn ciphertext(part: Part<'_>) -> Option<Part<'_>> {
    let content = part.content_type();
    let children: Vec<Part<'_>> = part.children().take(MIXED_UP + 1).collect();
    if content.is("multipart", "encrypted") {
        let version = children.iter().any(|child| child.content_type().is("application", "pgp-encrypted"));
        let protocol = content
            .parameter("protocol")
            .map_or(version, |protocol| protocol.eq_ignore_ascii_case("application/pgp-encrypted"));
        let held = |child: &&Part<'_>| child.content_type().is("application", "octet-stream");
        let armored = |child: &&Part<'_>| armor::is_armored(&child.decoded());
        return children.iter().find(held).or_else(|| children.iter().find(armored)).copied().filter(|_| protocol);
    }
    match children.as_slice() {
        [text, version, message]
            if content.is("multipart", "mixed")
                && shows_nothing(*text)
                && version.content_type().is("application", "pgp-encrypted")
                && message.content_type().is("application", "octet-stream") =>
        {
            Some(*message)
        }
        _ => None,
    }
}

/// Whether the part is an empty text, or HTML with tags only. It is left out when the message is opened.
fn shows_nothing(text: Part<'_>) -> bool {
    let content = text.content_type();
    if content.is("text", "plain") {
        return text.body().trim_ascii().is_empty();
    }
    let mut is_tag = false;
    let mut shown = text.body().iter().filter(|octet| {
        is_tag = **octet == b'<' || is_tag && **octet != b'>';
        !is_tag && **octet != b'>' && !octet.is_ascii_whitespace()
    });
    content.is("text", "html") && shown.next().is_none()
}

/// Whether a multipart/encrypted shows more than the version and the message (RFC 3156, section 4: exactly two parts).
fn has_other_text(root: Part<'_>, message: Part<'_>) -> bool {
    let is_known = |child: &Part<'_>| {
        child.span() == message.span()
            || child.content_type().is("application", "pgp-encrypted")
            || child.body().trim_ascii().is_empty()
    };
    root.children().any(|child| !is_known(&child))
}

/// A claim by armor or packets in the body of a leaf part. With text around it, it covers only part of the body.
fn inline(part: Part<'_>) -> Option<(ClaimKind, Span)> {
    if part.children().len() > 0 || !may_be_inline(part) {
        return None;
    }
    if part.transfer_encoding() == "base64" {
        // Most attachments hold no armor, and decoding them takes as much memory again.
        let (start, holds_armor) = part.glance(armor::BEGIN);
        if !holds_armor {
            return is_message(&start, part).then_some((ClaimKind::Inline, part.span()));
        }
    }
    let decoded = part.decoded();
    let Some(block) = block(&decoded) else {
        return is_message(&decoded, part).then_some((ClaimKind::Inline, part.span()));
    };
    let kind = match block.label {
        Label::PgpSigned => ClaimKind::InlineSigned,
        _ => ClaimKind::Inline,
    };
    let span = part.body_span();
    let span = match (block.alone, &decoded) {
        (true, _) => part.span(),
        (false, Cow::Borrowed(_)) => Span { start: span.start + block.span.start, end: span.start + block.span.end },
        // The body is encoded, so the block has no exact span in the message. The span only says that it is not the
        // whole part.
        (false, Cow::Owned(_)) => Span { start: span.start, end: span.end.saturating_sub(1).max(span.start) },
    };
    Some((kind, span))
}

/// The first armor block in a text that is a message.
struct Inline {
    label: Label,
    span: Span,
    /// Whether only white space surrounds it.
    alone: bool,
}

fn block(text: &[u8]) -> Option<Inline> {
    let first = pgp_blocks(text).find(|block| matches!(block.label, Label::PgpMessage | Label::PgpSigned))?;
    let blank = |octets: Option<&[u8]>| octets.is_none_or(|octets| octets.iter().all(u8::is_ascii_whitespace));
    let alone = blank(text.get(..first.span.start)) && blank(text.get(first.span.end..));
    Some(Inline { label: first.label, span: first.span, alone })
}

/// Whether a leaf part is searched for inline OpenPGP. Keys and detached signatures are not messages.
fn may_be_inline(part: Part<'_>) -> bool {
    let content = part.content_type();
    is_text(part)
        || content.is("application", "octet-stream")
        || content.is("application", "pgp-encrypted")
        || (content.kind != "multipart" && content.kind != "text" && is_named(part))
}

/// Whether its file name has an OpenPGP suffix.
fn is_named(part: Part<'_>) -> bool {
    name(part).is_some_and(|name| SUFFIXES.iter().any(|suffix| name.ends_with(suffix)))
}

fn is_text(part: Part<'_>) -> bool {
    let content = part.content_type();
    content.is("text", "plain") || content.is("application", "pgp")
}

/// The file name in lower case.
fn name(part: Part<'_>) -> Option<String> {
    let disposition = part.header("Content-Disposition").map(|value| crate::mail::header::ContentType::parse(&value));
    let name = disposition.as_ref().and_then(|value| value.parameter("filename"));
    name.or(part.content_type().parameter("name")).map(str::to_lowercase)
}

/// Whether the decoded body of `part`, without armor, is an OpenPGP message. With an OpenPGP file name or type, the
/// first packet's type decides (RFC 9580, section 4.2). Otherwise only an encrypted session key of an existing version
/// counts.
fn is_message(octets: &[u8], part: Part<'_>) -> bool {
    let Some(Framed { tag, body, .. }) = first_packet(octets) else { return false };
    match tag {
        PKESK | SKESK => matches!(body.first(), Some(3..=6)),
        COMPRESSED | OPS | SED | SEIP => part.content_type().is("application", "pgp") || is_named(part),
        _ => false,
    }
}

/// Whether these are packets rather than text: the first bit of every packet is set (RFC 9580, section 4.2).
fn is_binary(octets: &[u8]) -> bool {
    octets.first().is_some_and(|first| first & 0x80 != 0)
}

/// Number of parts in the form that Exchange makes.
const MIXED_UP: usize = 3;

/// File name suffixes of encrypted or signed attachments.
const SUFFIXES: [&str; 3] = [".asc", ".gpg", ".pgp"];
