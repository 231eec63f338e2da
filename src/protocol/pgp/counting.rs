//! Reads packet headers (RFC 9580, section 4.2), to check number and types of packets before Sequoia parses them.

use crate::base::{Error, Limits, Result};

/// One packet.
pub(super) struct Framed<'a> {
    pub(super) tag: u8,
    /// The body. For partial lengths it includes the length octets.
    pub(super) body: &'a [u8],
    /// The packet has no length or partial lengths, so its end is not known here.
    is_open: bool,
    /// The octets after the packet.
    rest: &'a [u8],
}

/// The first packet of `octets`; `None` when they do not start with one. A body that is cut short, has no length or has
/// partial lengths extends to the end.
pub(super) fn first_packet(octets: &[u8]) -> Option<Framed<'_>> {
    let (first, rest) = octets.split_first().filter(|(first, _)| **first & 0x80 != 0)?;
    let number = |octets: &[u8]| octets.iter().fold(0_usize, |sum, octet| sum << 8 | usize::from(*octet));
    let (tag, length, skipped) = if first & 0x40 == 0 {
        let octets = [1, 2, 4, 0].get(usize::from(first & 3)).copied()?;
        (first >> 2 & 0x0f, (octets > 0).then_some(number(rest.get(..octets)?)), octets)
    } else {
        let length = match *rest {
            [short @ ..192, ..] => (Some(usize::from(short)), 1),
            [high @ 192..224, low, ..] => (Some((usize::from(high - 192) << 8) + usize::from(low) + 192), 2),
            [255, ..] => (Some(number(rest.get(1..5)?)), 5),
            [224..255, ..] => (None, 1),
            _ => return None,
        };
        (first & 0x3f, length.0, length.1)
    };
    let body = rest.get(skipped..)?;
    let (body, rest) = body.split_at_checked(length.unwrap_or(body.len())).unwrap_or((body, &[]));
    Some(Framed { tag, body, is_open: length.is_none(), rest })
}

/// The packets of a key file, up to the first octets that are not a packet. Refuses a file with more unrelated packets,
/// or more packets in one certificate, than `limits` allow: Sequoia needs hundreds of octets of memory for each. Also
/// refuses compressed data, which no key file holds (RFC 9580, sections 10.1 and 10.2) and which Sequoia would inflate
/// without limit, and packets of unknown length, which could hide others.
///
/// # Errors
///
/// `Malformed` if the file is refused; it names the file by `place`.
pub(super) fn within_limits<'a>(octets: &'a [u8], place: &str, limits: &Limits) -> Result<&'a [u8]> {
    let (mut rest, mut idle, mut of_one) = (octets, 0, 0);
    while let Some(packet) = first_packet(rest) {
        if packet.tag == COMPRESSED {
            return Err(Error::malformed(
                place,
                "compressed data, which is not allowed in key files (rfc 9580, section 10.1)",
            ));
        }
        if packet.is_open {
            return Err(Error::malformed(place, format!("a packet of type {} without a definite length", packet.tag)));
        }
        rest = packet.rest;
        of_one = if matches!(packet.tag, PUBLIC_KEY | SECRET_KEY) { 0 } else { of_one + 1 };
        idle += usize::from(!KEY_FILE.contains(&packet.tag) || packet.body.is_empty());
        if idle > limits.packets {
            return Err(Error::malformed(place, format!("more than {} packets that belong to no key", limits.packets)));
        }
        if of_one > limits.key_packets {
            return Err(Error::malformed(place, format!("a key of more than {} packets", limits.key_packets)));
        }
    }
    Ok(octets.strip_suffix(rest).unwrap_or(octets))
}

/// Compressed data (RFC 9580, section 5.6).
const COMPRESSED: u8 = 8;
const SECRET_KEY: u8 = 5;
const PUBLIC_KEY: u8 = 6;
/// Packets of key files (RFC 9580, sections 10.1 and 10.2): signatures, keys, subkeys, GnuPG's trust packets, user IDs
/// and user attributes.
const KEY_FILE: [u8; 8] = [2, SECRET_KEY, PUBLIC_KEY, 7, 12, 13, 14, 17];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_framed_in_every_form() {
        for (octets, tag, body, rest) in [
            (b"\x98\x02abc".as_slice(), 6, b"ab".as_slice(), b"c".as_slice()),
            (b"\x99\x00\x02abc", 6, b"ab", b"c"),
            (b"\x9b\x00\x00abc", 6, b"\x00\x00abc", b""),
            (b"\xcd\x02abc", 13, b"ab", b"c"),
            (b"\xcd\xff\x00\x00\x00\x01ab", 13, b"a", b"b"),
            (b"\xcb\xe1abc", 11, b"abc", b""),
            (b"\xcd\x05abc", 13, b"abc", b""),
        ] {
            let packet = first_packet(octets).unwrap();
            assert_eq!((packet.tag, packet.body, packet.rest), (tag, body, rest), "{octets:x?}");
        }
        let long = [&b"\xcd\xc0\x01"[..], &[b'x'; 193], b"y"].concat();
        assert_eq!(first_packet(&long).map(|packet| (packet.body.len(), packet.rest)), Some((193, &b"y"[..])));
        for none in [b"".as_slice(), b"text", b"\xcd", b"\x99\x00", b"\xcd\xff\x00"] {
            assert!(first_packet(none).is_none(), "{none:x?}");
        }
    }

    #[test]
    fn key_files_of_packets_that_mean_nothing_are_refused() {
        let refused =
            |octets: &[u8]| within_limits(octets, "k", &Limits::default()).err().map(|error| error.to_string());
        let key = b"\x98\x02\x04\x00\xb4\x01a";
        assert_eq!(refused(&key.repeat(100_000)), None);
        for idle in [b"\xfc\x00".as_slice(), b"\xd5\x00", b"\xca\x03PGP", b"\xc2\x00"] {
            let octets = [key, idle.repeat(1_001).as_slice()].concat();
            assert_eq!(refused(&octets).as_deref(), Some("k: more than 1000 packets that belong to no key"));
        }
        for open in [b"\xb7ab".as_slice(), b"\xcd\xe1ab", b"\xfc\xe0a\xa3\x01"] {
            let why = refused(&[key, open].concat()).unwrap();
            assert!(why.ends_with("without a definite length"), "{why}");
        }
        for packed in [b"\xa3\x01ab".as_slice(), b"\xc8\x02\x01a", b"\xc8\xe1\x01a\x00", b"\xa0\x02\x01a"] {
            for octets in [packed.to_vec(), [key, packed, key].concat()] {
                let why = "k: compressed data, which is not allowed in key files (rfc 9580, section 10.1)";
                assert_eq!(refused(&octets).as_deref(), Some(why), "{packed:x?}");
            }
        }
        // Octets that are not a packet end the packets.
        let cut = |octets| within_limits(octets, "k", &Limits::default()).unwrap().len();
        assert_eq!((cut(key), cut(&[key, b"text\xa3\x01ab".as_slice()].concat())), (key.len(), key.len()));
        let flooded = [key, b"\xb4\x01a".repeat(60_000).as_slice()].concat();
        assert_eq!(refused(&flooded).as_deref(), Some("k: a key of more than 50000 packets"));
    }
}
