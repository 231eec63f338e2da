//! A literal data packet of unknown length, written as it streams by (RFC 9580, sections 5.9 and 4.2.1.4).

use std::io::{self, Write};

/// Packs what is written to it into a literal data packet, binary, without file name and date.
pub(super) struct Literal<W: Write> {
    to: W,
    held: Vec<u8>,
}

impl<W: Write> Literal<W> {
    /// Writes the packet's header.
    pub(super) fn begin(mut to: W) -> io::Result<Self> {
        to.write_all(&[TAG])?;
        let mut held = Vec::with_capacity(CHUNK);
        held.extend_from_slice(&EMPTY_NAME_AND_DATE);
        Ok(Literal { to, held })
    }

    /// Writes the last chunk, whose length is plain.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let length = u32::try_from(self.held.len()).map_err(io::Error::other)?;
        self.to.write_all(&[FIVE_OCTET_LENGTH])?;
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(&self.held)?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Literal<W> {
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

/// New format, tag 11.
const TAG: u8 = 0xC0 | 11;
/// Binary, a file name of no octets, no date.
const EMPTY_NAME_AND_DATE: [u8; 6] = [b'b', 0, 0, 0, 0, 0];
const CHUNK: usize = 1 << 16;
/// 224 plus the power of two.
const PARTIAL_LENGTH: u8 = 224 + 16;
const FIVE_OCTET_LENGTH: u8 = 255;
