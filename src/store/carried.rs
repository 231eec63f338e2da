//! Key files in other formats: text with a byte order mark, and mail.

use std::borrow::Cow;

use crate::{
    base::{Budget, Limits},
    mail::{Message, Part, armor::Label, armor::pgp_blocks},
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

/// The parts of a mail that hold certificates or keys, each with its name in errors; `None` for anything else than mail, and for mail without keys.
pub(super) fn in_mail(octets: &[u8], place: &str, limits: &Limits) -> Option<Vec<(String, Vec<u8>)>> {
    // PEM or armour alone, which may be large.
    if octets.starts_with(b"-----") {
        return None;
    }
    let message = Message::parse(octets.to_vec(), &mut Budget::new(limits.clone())).ok()?;
    let root = message.root();
    let says = |name: &str| root.header(name).is_some();
    let is_mail = !root.header_octets().is_empty() && (says("From") || says("MIME-Version") || says("Content-Type"));
    let mut found = Vec::new();
    if is_mail {
        gather(root, place, limits, &mut found);
    }
    (!found.is_empty()).then_some(found)
}

fn gather(part: Part<'_>, place: &str, limits: &Limits, found: &mut Vec<(String, Vec<u8>)>) {
    part.children().for_each(|child| gather(child, place, limits, found));
    if part.children().len() == 0 {
        let octets = part.decoded();
        if holds_keys(&octets, limits) {
            let span = part.span();
            found.push((format!("{place}, part at {}..{}", span.start, span.end), octets.into_owned()));
        }
    }
}

/// Whether a body holds keys, or a CMS object, which may carry certificates. The octets decide, not the media type.
fn holds_keys(octets: &[u8], limits: &Limits) -> bool {
    let is_key = |label| matches!(label, Label::PgpPrivateKey | Label::PgpPublicKey);
    pgp_blocks(octets).any(|block| is_key(block.label))
        || pgp::kind::is_key(octets)
        || smime::keyfile::is_object(octets, limits)
}

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
