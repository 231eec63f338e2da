//! Writes DER, and frames for content that is written separately, so that a large message is never held in memory.

use std::time::SystemTime;

use der::asn1::ObjectIdentifier;

pub(super) use crate::pki::tlv::{OCTET_STRING, SEQUENCE, SET, constructed, primitive};
use crate::{
    base::rfc3339,
    pki::tlv::{BIT_STRING, GENERALIZED_TIME, INTEGER, OID, UTC_TIME},
};

/// A value with this tag, its content given in parts.
pub(super) fn value(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length = content.iter().map(|piece| piece.len()).sum();
    let mut octets = Vec::with_capacity(length + 6);
    header(tag, length, &mut octets);
    content.iter().for_each(|piece| octets.extend_from_slice(piece));
    octets
}

/// SEQUENCE.
pub(super) fn sequence(content: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, content)
}

/// SET OF, sorted as in DER (X.690, section 11.6).
pub(super) fn set_of(elements: Vec<Vec<u8>>) -> Vec<u8> {
    tagged_set_of(SET, elements)
}

/// SET OF with an implicit tag.
pub(super) fn tagged_set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    let pieces: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    value(tag, &pieces)
}

/// OCTET STRING.
pub(super) fn octet_string(octets: &[u8]) -> Vec<u8> {
    value(OCTET_STRING, &[octets])
}

/// BIT STRING of whole octets.
pub(super) fn bit_string(octets: &[u8]) -> Vec<u8> {
    value(BIT_STRING, &[&[0], octets])
}

/// INTEGER from an unsigned big-endian number.
pub(super) fn unsigned(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    let number = number.get(zeros..).unwrap_or_default();
    let needs_sign = number.first().is_none_or(|first| first & 0x80 != 0);
    value(INTEGER, &[if needs_sign { &[0] } else { &[] }, number])
}

/// INTEGER from its content octets.
pub(super) fn integer(content: &[u8]) -> Vec<u8> {
    value(INTEGER, &[content])
}

/// OBJECT IDENTIFIER.
pub(super) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    value(OID, &[oid.as_bytes()])
}

/// AlgorithmIdentifier; `parameters` is the whole encoded value, empty if absent.
pub(super) fn algorithm(algorithm: ObjectIdentifier, parameters: &[u8]) -> Vec<u8> {
    sequence(&[&oid(algorithm), parameters])
}

/// Time (RFC 5652, section 11.3) in whole seconds: UTCTime until 2049, GeneralizedTime later.
pub(super) fn time(time: SystemTime) -> Vec<u8> {
    let mut digits: String = rfc3339(time).chars().filter(char::is_ascii_digit).take(14).collect();
    digits.push('Z');
    match digits.strip_prefix("20").or_else(|| digits.strip_prefix("19")) {
        Some(short) if ("1950".."2050").contains(&digits.as_str()) => value(UTC_TIME, &[short.as_bytes()]),
        _ => value(GENERALIZED_TIME, &[digits.as_bytes()]),
    }
}

/// The octets before and after a content of known length.
pub(super) struct Frame {
    /// The octets before the content.
    pub(super) head: Vec<u8>,
    /// The octets after the content.
    pub(super) tail: Vec<u8>,
    content: usize,
}

impl Frame {
    /// A value with this tag and a content of `content` octets.
    pub(super) fn new(tag: u8, content: usize) -> Self {
        let mut head = Vec::new();
        header(tag, content, &mut head);
        Frame { head, tail: Vec::new(), content }
    }

    /// Finished octets, without separate content.
    pub(super) fn of(octets: Vec<u8>) -> Self {
        Frame { head: octets, tail: Vec::new(), content: 0 }
    }

    /// All octets, if there is no separate content.
    pub(super) fn into_octets(self) -> Vec<u8> {
        [self.head, self.tail].concat()
    }

    /// Wraps the frame in a value with this tag, between the elements `before` and `after`.
    pub(super) fn within(self, tag: u8, before: &[&[u8]], after: &[&[u8]]) -> Self {
        let Frame { head: inner, mut tail, content } = self;
        let pieces = || before.iter().chain(after).map(|piece| piece.len());
        let mut head = Vec::new();
        header(tag, pieces().sum::<usize>() + inner.len() + content + tail.len(), &mut head);
        before.iter().for_each(|piece| head.extend_from_slice(piece));
        head.extend_from_slice(&inner);
        after.iter().for_each(|piece| tail.extend_from_slice(piece));
        Frame { head, tail, content }
    }
}

fn header(tag: u8, length: usize, to: &mut Vec<u8>) {
    to.push(tag);
    let octets = length.to_be_bytes();
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    let significant = octets.get(zeros..).unwrap_or_default();
    match (length, u8::try_from(significant.len())) {
        (0..=0x7f, _) => to.push(significant.first().copied().unwrap_or(0)),
        (_, Ok(count)) => {
            to.push(0x80 | count);
            to.extend_from_slice(significant);
        }
        // A usize has at most 16 octets.
        (_, Err(_)) => {}
    }
}

/// NULL.
pub(super) const NULL: &[u8] = &[0x05, 0x00];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        for (length, expected) in [
            (0, &[0x04, 0x00][..]),
            (0x7f, &[0x04, 0x7f]),
            (0x80, &[0x04, 0x81, 0x80]),
            (0xff, &[0x04, 0x81, 0xff]),
            (0x100, &[0x04, 0x82, 0x01, 0x00]),
            (0x0102_0304, &[0x04, 0x84, 0x01, 0x02, 0x03, 0x04]),
        ] {
            assert_eq!(Frame::new(OCTET_STRING, length).head, expected);
        }
    }

    #[test]
    fn a_frame_is_what_the_whole_would_be() {
        let content = vec![7; 200];
        let frame =
            Frame::new(OCTET_STRING, content.len()).within(0xa0, &[], &[]).within(SEQUENCE, &[NULL], &[NULL, NULL]);
        let framed = [frame.head, content.clone(), frame.tail].concat();
        assert_eq!(framed, sequence(&[NULL, &value(0xa0, &[&octet_string(&content)]), NULL, NULL]));
    }

    #[test]
    fn numbers_stay_positive() {
        assert_eq!(unsigned(&[0, 0]), [2, 1, 0]);
        assert_eq!(unsigned(&[0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
    }

    #[test]
    fn times_of_two_kinds() {
        let at = |seconds| time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(1_795_435_200), b"\x17\x0d261123120000Z");
        assert_eq!(at(2_524_607_999), b"\x17\x0d491231235959Z");
        assert_eq!(at(2_524_608_000), b"\x18\x0f20500101000000Z");
    }

    #[test]
    fn sets_are_sorted() {
        assert_eq!(set_of(vec![vec![2, 1, 9], vec![2, 1, 3]]), [0x31, 6, 2, 1, 3, 2, 1, 9]);
    }
}
