//! Recognizes files without a mail header: armor, a CMS object, OpenPGP packets.

use super::armor;

/// The content at the start of a file without a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// OpenPGP armor, or a PEM boundary.
    Armor,
    /// A ContentInfo of CMS (RFC 5652, section 3), in BER or in PEM (RFC 7468, sections 8 and 9).
    Cms,
    /// OpenPGP packets (RFC 9580, section 4).
    OpenPgp,
}

/// The content at the start of `octets`, if they have no header, and its position: a UTF-8 byte order mark may come
/// before text.
pub(super) fn begins(octets: &[u8]) -> Option<(Bare, usize)> {
    let text = octets.strip_prefix(BYTE_ORDER_MARK).unwrap_or(octets);
    let at = octets.len() - text.len();
    if armor::begins(text) {
        return Some((Bare::Armor, at));
    }
    if PEM_LABELS.iter().any(|label| text.starts_with(label)) {
        return Some((Bare::Cms, at));
    }
    if is_content_info(octets) {
        return Some((Bare::Cms, 0));
    }
    is_openpgp(octets).then_some((Bare::OpenPgp, 0))
}

/// Whether a SEQUENCE starts that begins with an object identifier of PKCS. No mail header starts like this.
fn is_content_info(octets: &[u8]) -> bool {
    let Some([tag, length]) = octets.first_chunk() else { return false };
    let length_octets = if *length > 0x80 { usize::from(length & 0x7f) } else { 0 };
    *tag == SEQUENCE
        && length_octets <= MAX_LENGTH_OCTETS
        && octets.get(2 + length_octets..).is_some_and(|rest| {
            // Nine octets for 1.2.840.113549.1.7, eleven for 1.2.840.113549.1.9.16.1.
            rest.first() == Some(&OBJECT_IDENTIFIER) && rest.get(2..).is_some_and(|oid| oid.starts_with(PKCS))
        })
}

/// Whether a packet starts that begins a message, a signature or a key, with a valid version. No text starts like this,
/// because the version octet is a control character.
fn is_openpgp(octets: &[u8]) -> bool {
    let Some((first, rest)) = octets.split_first().filter(|(first, _)| **first & 0x80 != 0) else { return false };
    let (tag, length_octets) = match first & 0x40 {
        0 => (first >> 2 & 0x0f, [1, 2, 4, 0].get(usize::from(first & 3)).copied().unwrap_or_default()),
        _ => (
            first & 0x3f,
            match rest.first() {
                Some(192..=223) => 2,
                Some(255) => 5,
                _ => 1,
            },
        ),
    };
    let version = rest.get(length_octets).copied().unwrap_or(u8::MAX);
    match tag {
        // Encrypted session keys, signatures, one-pass signatures and keys (RFC 9580, sections 5.1 to 5.5).
        1..=6 => matches!(version, 2..=6),
        // Compressed data: its algorithm (section 9.4).
        8 => version <= 3,
        // Encrypted data (section 5.13), and LibrePGP's.
        18 | 20 => matches!(version, 1 | 2),
        _ => false,
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const PEM_LABELS: [&[u8]; 3] =
    [b"-----BEGIN CMS-----", b"-----BEGIN PKCS #7 SIGNED DATA-----", b"-----BEGIN PKCS7-----"];
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 1.2.840.113549.1, followed by 7 or 9.
const PKCS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01";
/// Maximum length octets; more would exceed memory.
const MAX_LENGTH_OCTETS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_a_header_are_known_by_their_first_octets() {
        for (octets, found) in [
            (b"-----BEGIN PGP MESSAGE-----\n".as_slice(), Some((Bare::Armor, 0))),
            (b"\xef\xbb\xbf-----BEGIN PGP MESSAGE-----\n", Some((Bare::Armor, 3))),
            (b"\xef\xbb\xbf-----BEGIN PKCS7-----\n", Some((Bare::Cms, 3))),
            (b"-----BEGIN CMS-----\r\n", Some((Bare::Cms, 0))),
            (b"-----BEGIN CERTIFICATE-----\n", None),
            (b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", Some((Bare::Cms, 0))),
            (b"0\x82\x05\x00\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", Some((Bare::Cms, 0))),
            // A certificate.
            (b"0\x82\x05\x000\x82\x04\x00\xa0\x03\x02\x01\x02", None),
            (b"0: a\n\n", None),
            (b"0\xff", None),
            (b"\x84\x8c\x03abcdefgh", Some((Bare::OpenPgp, 0))),
            (b"\xc1\xc0\x4c\x03abcdefgh", Some((Bare::OpenPgp, 0))),
            (b"\x90\x0d\x03\x00\x08", Some((Bare::OpenPgp, 0))),
            (b"\xa3\x01", Some((Bare::OpenPgp, 0))),
            (b"\xd2\xff\x00\x00\x01\x00\x01x", Some((Bare::OpenPgp, 0))),
            (b"\x89\x01\x33\x04\x00", Some((Bare::OpenPgp, 0))),
            // Text in UTF-8 and Latin-1, and a picture.
            ("\u{c4}rger: x\n\n".as_bytes(), None),
            ("\u{feff}From: a@example.org\n\n".as_bytes(), None),
            (b"\xc4rger: x\n\n", None),
            (b"\x93quoted\x94: x\n\n", None),
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", None),
            (b"\x89PNG\r\n\x1a\n", None),
            (b"From: a@example.org\n\n", None),
            (b"", None),
        ] {
            assert_eq!(begins(octets), found, "{octets:?}");
        }
    }
}
