//! Tags, lengths and values of ASN.1 (X.690): elements as spans of the octets they came in.
//!
//! Unlike the der crate it accepts encodings that occur in real certificates and that no signature depends on: lengths in more octets than needed,
//! defaults that are encoded, set members out of order. Indefinite lengths it refuses; `protocol/smime` has resolved those.

use std::fmt;

use der::asn1::ObjectIdentifier;

use crate::base::{Error, Result};

/// Elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    place: &'static str,
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    /// The identifier octet.
    pub(crate) tag: u8,
    /// The content octets.
    pub(crate) value: &'a [u8],
    /// Identifier, length and content.
    pub(crate) whole: &'a [u8],
    place: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `octets`; `place` names it in errors, such as `certificate`.
    pub(crate) fn new(octets: &'a [u8], place: &'static str) -> Self {
        Reader { rest: octets, place }
    }

    /// Whether nothing is left.
    pub(crate) fn is_finished(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever it is.
    pub(crate) fn any(&mut self) -> Result<Element<'a>> {
        let (element, rest) = split(self.rest, self.place).ok_or_else(|| self.refuse("an element is cut short"))?;
        self.rest = rest;
        Ok(element)
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>> {
        match self.optional(tag)? {
            Some(element) => Ok(element),
            None => Err(self.refuse(format_args!("no element with tag {tag:#04x} where one belongs"))),
        }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// What is in the next element, a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Reader<'a>> {
        Ok(self.expect(SEQUENCE)?.reader())
    }

    /// Refuses octets that are left over.
    pub(crate) fn finish(self) -> Result<()> {
        if self.is_finished() { Ok(()) } else { Err(self.refuse("octets after its end")) }
    }

    /// An error of this place.
    pub(crate) fn refuse(&self, reason: impl fmt::Display) -> Error {
        Error::malformed(self.place, reason)
    }
}

impl<'a> Element<'a> {
    /// The elements inside.
    pub(crate) fn reader(self) -> Reader<'a> {
        Reader::new(self.value, self.place)
    }

    /// A BOOLEAN; any octet but 0 is true.
    pub(crate) fn boolean(self) -> Result<bool> {
        match self.value {
            [octet] => Ok(*octet != 0),
            _ => Err(self.refuse("a BOOLEAN is not one octet")),
        }
    }

    /// The octets of a BIT STRING, and how many bits of the last are unused.
    pub(crate) fn bits(self) -> Result<(&'a [u8], u8)> {
        match self.value.split_first() {
            Some((unused @ 0..=7, octets)) if *unused == 0 || !octets.is_empty() => Ok((octets, *unused)),
            _ => Err(self.refuse("a BIT STRING without a count of unused bits")),
        }
    }

    /// The octets of a BIT STRING that holds octets.
    pub(crate) fn octets_of_bits(self) -> Result<&'a [u8]> {
        match self.bits()? {
            (octets, 0) => Ok(octets),
            _ => Err(self.refuse("a BIT STRING of no whole octets")),
        }
    }

    /// A number of RFC 5280's counters (path lengths, skipped certificates). Too large ones become `u32::MAX`, which no path reaches.
    pub(crate) fn count(self) -> Result<u32> {
        match self.value {
            [] => Err(self.refuse("an INTEGER without octets")),
            [first, ..] if first & 0x80 != 0 => Err(self.refuse("a negative INTEGER where a count belongs")),
            octets => Ok(octets.iter().fold(0u32, |count, octet| {
                count.checked_mul(256).and_then(|count| count.checked_add(u32::from(*octet))).unwrap_or(u32::MAX)
            })),
        }
    }

    /// The octets of a positive INTEGER without leading zeros, big-endian.
    pub(crate) fn unsigned(self) -> Result<&'a [u8]> {
        match self.value.first() {
            Some(first) if first & 0x80 == 0 => {
                let zeros = self.value.iter().take_while(|octet| **octet == 0).count();
                Ok(self.value.get(zeros..).unwrap_or_default())
            }
            _ => Err(self.refuse("an INTEGER that is not positive")),
        }
    }

    /// Whether this is that object identifier.
    pub(crate) fn is(self, oid: &ObjectIdentifier) -> bool {
        self.tag == OID && self.value == oid.as_bytes()
    }

    /// The object identifier; `None` when it is none.
    pub(crate) fn oid(self) -> Option<ObjectIdentifier> {
        (self.tag == OID).then(|| ObjectIdentifier::from_bytes(self.value).ok()).flatten()
    }

    /// An error of this place.
    pub(crate) fn refuse(self, reason: impl fmt::Display) -> Error {
        Error::malformed(self.place, reason)
    }
}

/// An object identifier's content octets as numbers with dots.
pub(crate) fn dotted(octets: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0u128;
    for octet in octets {
        // Longer arcs than UUIDs need do not occur; they are shown as the largest, and never compared by this text.
        arc = arc.checked_mul(128).map_or(u128::MAX, |arc| arc | u128::from(octet & 0x7f));
        if octet & 0x80 == 0 {
            if arcs.is_empty() {
                let root = (arc / 40).min(2);
                arcs.push(root.to_string());
                arc -= root * 40;
            }
            arcs.push(arc.to_string());
            arc = 0;
        }
    }
    arcs.join(".")
}

/// The content octets of an INTEGER without those that say nothing: some issuers write them in the certificate and not in the list.
pub(super) fn minimal(mut integer: &[u8]) -> &[u8] {
    while let Some((first, rest)) = integer.split_first()
        && matches!((first, rest.first()), (0x00, Some(0..=0x7f)) | (0xff, Some(0x80..=0xff)))
    {
        integer = rest;
    }
    integer
}

fn split<'a>(octets: &'a [u8], place: &'static str) -> Option<(Element<'a>, &'a [u8])> {
    let (&tag, mut rest) = octets.split_first()?;
    // High tag numbers occur in nothing that is read here, and would desynchronize.
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (&first, after) = rest.split_first()?;
    rest = after;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x88 => {
            let (length, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            length.iter().try_fold(0usize, |length, octet| length.checked_mul(256)?.checked_add(usize::from(*octet)))?
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    let whole = octets.get(..octets.len() - rest.len())?;
    Some((Element { tag, value, whole, place }, rest))
}

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The identifier octet of a primitive context-specific tag.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// The identifier octet of a constructed context-specific tag.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_every_form_but_the_indefinite() {
        for octets in [&[4, 1, 7][..], &[4, 0x81, 1, 7], &[4, 0x84, 0, 0, 0, 1, 7]] {
            let element = Reader::new(octets, "test").any().unwrap();
            assert_eq!((element.tag, element.value, element.whole), (4, &[7][..], octets));
        }
        for octets in [
            &[][..],
            &[4],
            &[4, 2, 7],
            &[0x24, 0x80, 4, 1, 7, 0, 0],
            &[4, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7],
            &[4, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 7],
            &[0x1f, 0x81, 0, 1, 7],
        ] {
            assert_eq!(Reader::new(octets, "test").any().unwrap_err().to_string(), "test: an element is cut short");
        }
    }

    #[test]
    fn object_identifiers_in_dots() {
        for text in ["1.2.840.113549.1.1.11", "2.5.29.32.0", "0.9.2342.19200300.100.1.25"] {
            assert_eq!(dotted(ObjectIdentifier::new_unwrap(text).as_bytes()), text);
        }
        assert_eq!(dotted(&[0x88, 0x37, 1]), "2.999.1");
        let uuid = [&[0x69][..], &[0x83], &[0xff; 17], &[0x7f]].concat();
        assert_eq!(dotted(&uuid), format!("2.25.{}", u128::MAX));
    }

    #[test]
    fn counts() {
        let count = |value: &[u8]| Element { tag: INTEGER, value, whole: value, place: "test" }.count();
        assert_eq!(count(&[0]), Ok(0));
        assert_eq!(count(&[1, 0]), Ok(256));
        assert_eq!(count(&[0x7f; 9]), Ok(u32::MAX));
        assert!(count(&[]).is_err() && count(&[0xff]).is_err());
    }
}
