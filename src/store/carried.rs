//! Keys in other forms than key files: text with a byte order mark, and mail.

use std::{borrow::Cow, fmt};

use crate::{
    base::{Budget, Limits},
    mail::{Address, Message, Part, armor::Label, armor::pgp_blocks, header::ContentType},
    protocol::{pgp, smime},
};

/// `octets` without a byte order mark; UTF-16 is converted to UTF-8. RFC 7468, section 2, allows data before the first boundary.
pub(super) fn unmarked(octets: &[u8]) -> Cow<'_, [u8]> {
    if let Some(text) = octets.strip_prefix(b"\xef\xbb\xbf") {
        return Cow::Borrowed(text);
    }
    let (text, read): (_, fn([u8; 2]) -> u16) = match octets {
        [0xff, 0xfe, text @ ..] => (text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => (text, u16::from_be_bytes),
        _ => return Cow::Borrowed(octets),
    };
    let units = text
        .chunks_exact(2)
        .map(|pair| read([pair.first().copied().unwrap_or_default(), pair.last().copied().unwrap_or_default()]));
    let decoded: Result<String, _> = char::decode_utf16(units).collect();
    decoded.map_or(Cow::Borrowed(octets), |text| Cow::Owned(text.into_bytes()))
}

/// Key material in a message. Nothing was checked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// What it was found in.
    pub carrier: Carrier,
    /// A key file of any format.
    pub octets: Vec<u8>,
}

/// The part of a message that holds key material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A body part, with its file name or else its media type.
    Attachment(String),
    /// The Autocrypt field of this author.
    Autocrypt(Address),
    /// The Autocrypt-Gossip field about this recipient.
    Gossip(Address),
    /// An S/MIME signature.
    Signature,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Carrier::Attachment(name) => write!(f, "attachment {name}"),
            Carrier::Autocrypt(author) => write!(f, "Autocrypt field of {author}"),
            Carrier::Gossip(recipient) => write!(f, "Autocrypt-Gossip field for {recipient}"),
            Carrier::Signature => f.write_str("S/MIME signature"),
        }
    }
}

/// The key material in the bodies of `part` and the parts below it. The octets decide, and not the media type, except that media are not looked into.
pub fn in_parts(part: Part<'_>, limits: &Limits) -> Vec<Carried> {
    let mut found = Vec::new();
    gather(part, limits, &mut found);
    found
}

/// The key material in a mail; `None` for anything else than mail, and for mail without keys.
pub(super) fn in_mail(octets: &[u8], limits: &Limits) -> Option<Vec<Carried>> {
    // PEM or armour alone, which may be large.
    if octets.starts_with(b"-----") {
        return None;
    }
    let message = Message::parse(octets.to_vec(), &mut Budget::new(limits.clone())).ok()?;
    let found = if is_mail(&message) { in_parts(message.root(), limits) } else { Vec::new() };
    (!found.is_empty()).then_some(found)
}

/// Whether the header is that of a mail, or of a part of one.
pub fn is_mail(message: &Message) -> bool {
    let root = message.root();
    let says = |name: &str| root.header(name).is_some();
    !root.header_octets().is_empty() && (says("From") || says("MIME-Version") || says("Content-Type"))
}

fn gather(part: Part<'_>, limits: &Limits, found: &mut Vec<Carried>) {
    part.children().for_each(|child| gather(child, limits, found));
    let kind = part.content_type();
    if part.children().len() > 0 || MEDIA.contains(&kind.kind.as_str()) {
        return;
    }
    let octets = part.decoded();
    if holds_keys(&octets, limits) {
        found.push(Carried { carrier: carrier(part), octets: octets.into_owned() });
    }
}

fn carrier(part: Part<'_>) -> Carrier {
    let kind = part.content_type();
    let is = |subtype| kind.is("application", subtype);
    let is_signed = kind.parameter("smime-type").is_some_and(|kind| kind.eq_ignore_ascii_case("signed-data"));
    if is("pkcs7-signature") || is("x-pkcs7-signature") || (is("pkcs7-mime") || is("x-pkcs7-mime")) && is_signed {
        return Carrier::Signature;
    }
    let disposition = part.header("Content-Disposition").map(|value| ContentType::disposition(&value));
    let name = disposition.and_then(|value| value.parameter("filename").map(str::to_owned));
    let name = name.or_else(|| kind.parameter("name").map(str::to_owned));
    Carrier::Attachment(name.unwrap_or_else(|| format!("of type {}/{}", kind.kind, kind.subtype)))
}

/// Whether a body holds keys, or a CMS object, which may carry certificates.
fn holds_keys(octets: &[u8], limits: &Limits) -> bool {
    let is_key = |label| matches!(label, Label::PgpPrivateKey | Label::PgpPublicKey);
    pgp_blocks(octets).any(|block| is_key(block.label))
        || pgp::kind::is_key(octets)
        || smime::keyfile::is_object(octets, limits)
}

/// Types of parts that hold no keys and may be large.
const MEDIA: [&str; 5] = ["audio", "font", "image", "model", "video"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_off() {
        let utf16 =
            |order: fn(u16) -> [u8; 2]| "\u{feff}-----BEGIN".encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for marked in ["\u{feff}-----BEGIN".as_bytes(), &utf16(u16::to_le_bytes), &utf16(u16::to_be_bytes)] {
            assert_eq!(unmarked(marked).as_ref(), b"-----BEGIN", "{marked:?}");
        }
        for other in [b"".as_slice(), b"\xef\xbb", b"-----BEGIN", b"0\x82", b"\xff\xfe\x00\xd8"] {
            assert_eq!(unmarked(other).as_ref(), other, "{other:?}");
        }
    }
}
