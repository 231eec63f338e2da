//! Writes packets of unknown length as a stream, with partial body lengths (RFC 9580, section 4.2.1.4).

use std::io::{self, Write};

/// Writes octets into one packet.
pub(super) struct Partial<W: Write> {
    to: W,
    held: Vec<u8>,
}

impl<W: Write> Partial<W> {
    /// A literal data packet, binary, without file name and date (RFC 9580, section 5.9).
    pub(super) fn literal(to: W) -> io::Result<Self> {
        Partial::begin(LITERAL, &EMPTY_NAME_AND_DATE, to)
    }

    /// A symmetrically encrypted and integrity protected packet of version 1 (RFC 9580, section 5.13.1).
    pub(super) fn protected(to: W) -> io::Result<Self> {
        Partial::begin(SEIP, &[1], to)
    }

    fn begin(tag: u8, start: &[u8], mut to: W) -> io::Result<Self> {
        to.write_all(&[tag])?;
        let mut held = Vec::with_capacity(CHUNK);
        held.extend_from_slice(start);
        Ok(Partial { to, held })
    }

    /// Writes the last part with its ordinary length.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let length = u32::try_from(self.held.len()).map_err(io::Error::other)?;
        self.to.write_all(&[FIVE_OCTET_LENGTH])?;
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(&self.held)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Partial<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let taken = octets.len().min(CHUNK - self.held.len());
        let (now, _) = octets.split_at(taken);
        self.held.extend_from_slice(now);
        if self.held.len() == CHUNK {
            self.to.write_all(&[PARTIAL_LENGTH])?;
            self.to.write_all(&self.held)?;
            self.held.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// New format, types 11 and 18.
const LITERAL: u8 = 0xC0 | 11;
const SEIP: u8 = 0xC0 | 18;
/// Binary format, an empty file name, no date.
const EMPTY_NAME_AND_DATE: [u8; 6] = [b'b', 0, 0, 0, 0, 0];
const CHUNK: usize = 1 << 16;
/// 224 plus the exponent of two.
const PARTIAL_LENGTH: u8 = 224 + 16;
const FIVE_OCTET_LENGTH: u8 = 255;
