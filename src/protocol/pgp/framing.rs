//! Splits octets into OpenPGP packets (RFC 9580, section 4.2) without parsing their bodies.

/// Iterates over the packets in `octets`. The last item is `None` if its header cannot be read or the packet is cut
/// short.
pub(super) struct Packets<'a> {
    rest: &'a [u8],
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    /// Its type ID.
    pub(super) tag: u8,
    /// Its body; for partial lengths, only the first part.
    pub(super) body: &'a [u8],
}

impl<'a> Packets<'a> {
    /// Reads binary packets, without armor.
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Packets { rest: octets }
    }

    fn packet(&mut self) -> Option<Packet<'a>> {
        let first = self.octet()?;
        if first & 0x80 == 0 {
            return None;
        }
        if first & 0x40 == 0 {
            let octets = [1, 2, 4].get(usize::from(first & 3)).copied();
            // Length type 3 (indeterminate): the packet would extend to the end of the file.
            let length = octets.and_then(|octets| self.take(octets)).map(number)?;
            return Some(Packet { tag: first >> 2 & 0x0f, body: self.take(length)? });
        }
        let tag = first & 0x3f;
        let (mut is_piece, length) = self.length()?;
        let body = self.take(length)?;
        while is_piece {
            let length;
            (is_piece, length) = self.length()?;
            self.take(length)?;
        }
        Some(Packet { tag, body })
    }

    /// The length, and whether it is a partial length (another part follows).
    fn length(&mut self) -> Option<(bool, usize)> {
        Some(match self.octet()? {
            short @ 0..=191 => (false, usize::from(short)),
            high @ 192..=223 => (false, (usize::from(high) - 192) * 256 + usize::from(self.octet()?) + 192),
            piece @ 224..=254 => (true, 1_usize.checked_shl(u32::from(piece & 0x1f))?),
            255 => (false, number(self.take(4)?)),
        })
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Option<Packet<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.packet();
        if packet.is_none() {
            self.rest = &[];
        }
        Some(packet)
    }
}

fn number(octets: &[u8]) -> usize {
    octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet))
}

/// Public-key encrypted session key (RFC 9580, section 5.1).
pub(super) const PKESK: u8 = 1;
/// Signature (section 5.2).
pub(super) const SIGNATURE: u8 = 2;
/// Symmetric-key encrypted session key (section 5.3).
pub(super) const SKESK: u8 = 3;
/// One-pass signature (section 5.4).
pub(super) const OPS: u8 = 4;
/// Compressed data (section 5.6).
pub(super) const COMPRESSED: u8 = 8;
/// Symmetrically encrypted data (section 5.7).
pub(super) const SED: u8 = 9;
/// Marker (section 5.8).
pub(super) const MARKER: u8 = 10;
/// Symmetrically encrypted and integrity protected data (section 5.13).
pub(super) const SEIP: u8 = 18;
/// LibrePGP's encrypted data (draft-koch-librepgp, section 5.16).
pub(super) const AED: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(octets: &[u8]) -> Vec<Option<(u8, usize)>> {
        Packets::new(octets).map(|packet| packet.map(|packet| (packet.tag, packet.body.len()))).collect()
    }

    #[test]
    fn frames_of_both_forms() {
        assert_eq!(tags(b"\xd2\x02ab\x88\x01c"), [Some((18, 2)), Some((2, 1))]);
        assert_eq!(tags(b"\x89\x00\x01a\x8a\x00\x00\x00\x01b"), [Some((2, 1)), Some((2, 1))]);
        assert_eq!(tags(b"\xd2\xff\x00\x00\x00\x01a"), [Some((18, 1))]);
        assert_eq!(tags(&[&[0xd2, 0xc0, 0x01][..], &[0; 193]].concat()), [Some((18, 193))]);
        // Parts of two octets and of one, then the last part.
        assert_eq!(tags(b"\xd2\xe1ab\xe0c\x02de\xca\x00"), [Some((18, 2)), Some((10, 0))]);
        assert_eq!(tags(b""), []);
        for broken in [b"\xd2".as_slice(), b"\xd2\x05abcd", b"text", b"\xd2\xe1ab", b"\xa7abc", b"\x8b"] {
            assert_eq!(tags(broken), [None], "{broken:?}");
        }
    }
}
