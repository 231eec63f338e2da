//! Writes ASCII armor as a stream (RFC 9580, section 6.2), with CRLF line breaks.

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The type of an armor block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// `BEGIN PGP MESSAGE`.
    Message,
    /// `BEGIN PGP SIGNATURE`.
    Signature,
}

/// Whether to write the CRC-24 line. RFC 9580, section 6.1 forbids it for version 6 signatures and version 2 of the
/// encrypted container. Readers written for RFC 4880 may insist on it elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    /// Left out.
    Absent,
    /// Written.
    Present,
}

/// Armors the octets written to it. It holds at most one line between calls.
pub(super) struct Armored<W: Write> {
    to: W,
    block: Block,
    checksum: Checksum,
    crc: u32,
    line: Vec<u8>,
    text: Vec<u8>,
}

impl<W: Write> Armored<W> {
    /// Writes the first line and the empty line. No Version or Comment header is written.
    pub(super) fn begin(block: Block, checksum: Checksum, mut to: W) -> io::Result<Self> {
        write!(to, "-----BEGIN PGP {}-----\r\n\r\n", block.name())?;
        Ok(Armored { to, block, checksum, crc: CRC_INIT, line: Vec::with_capacity(LINE), text: Vec::new() })
    }

    /// Writes the buffered rest, the checksum and the last line.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let rest = std::mem::take(&mut self.line);
        self.lines(&rest)?;
        if self.checksum == Checksum::Present {
            let [_, crc @ ..] = self.crc.to_be_bytes();
            write!(self.to, "={}\r\n", STANDARD.encode(crc))?;
        }
        write!(self.to, "-----END PGP {}-----\r\n", self.block.name())?;
        Ok(self.to)
    }

    /// Encodes octets as lines. Only the last line may be short.
    fn lines(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.checksum == Checksum::Present {
            self.crc = crc24(self.crc, octets);
        }
        for batch in octets.chunks(LINE * 1024) {
            self.text.clear();
            self.text.resize(batch.len().div_ceil(LINE) * (COLUMNS + 2), 0);
            let mut used = 0;
            for (line, room) in batch.chunks(LINE).zip(self.text.chunks_mut(COLUMNS + 2)) {
                let written = STANDARD.encode_slice(line, room).map_err(io::Error::other)?;
                if let Some(end) = room.get_mut(written..written + 2) {
                    end.copy_from_slice(b"\r\n");
                }
                used += written + 2;
            }
            self.text.truncate(used);
            self.to.write_all(&self.text)?;
        }
        Ok(())
    }
}

impl<W: Write> Write for Armored<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let missing = if self.line.is_empty() { 0 } else { LINE - self.line.len() };
        let (first, rest) = octets.split_at(missing.min(octets.len()));
        self.line.extend_from_slice(first);
        if self.line.len() == LINE {
            let line = std::mem::take(&mut self.line);
            self.lines(&line)?;
        }
        let (whole, short) = rest.split_at(rest.len() - rest.len() % LINE);
        self.lines(whole)?;
        self.line.extend_from_slice(short);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Block {
    fn name(self) -> &'static str {
        match self {
            Block::Message => "MESSAGE",
            Block::Signature => "SIGNATURE",
        }
    }
}

/// RFC 9580, section 6.1.1, four octets at a time.
fn crc24(start: u32, octets: &[u8]) -> u32 {
    // The register is kept in the upper 24 bits, so that four octets can be folded in at once.
    let mut crc = start << 8;
    let mut words = octets.chunks_exact(4);
    for word in &mut words {
        if let [a, b, c, d] = word {
            let mixed = crc ^ u32::from_be_bytes([*a, *b, *c, *d]);
            let [a, b, c, d] = mixed.to_be_bytes();
            let [t0, t1, t2, t3] = &CRC_TABLES;
            crc = entry(t3, a) ^ entry(t2, b) ^ entry(t1, c) ^ entry(t0, d);
        }
    }
    let [single, ..] = &CRC_TABLES;
    for octet in words.remainder() {
        let [top, ..] = crc.to_be_bytes();
        crc = (crc << 8) ^ entry(single, top ^ octet);
    }
    crc >> 8
}

fn entry(table: &[u32; 256], index: u8) -> u32 {
    table.get(usize::from(index)).copied().unwrap_or_default()
}

#[allow(clippy::indexing_slicing, reason = "constant evaluation: an index out of bounds does not compile")]
const fn crc_tables() -> [[u32; 256]; 4] {
    let mut tables = [[0; 256]; 4];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ (CRC_POLY << 8) };
            bit += 1;
        }
        tables[0][index] = crc;
        index += 1;
    }
    let mut table = 1;
    while table < 4 {
        let mut index = 0;
        while index < 256 {
            let before = tables[table - 1][index];
            tables[table][index] = (before << 8) ^ tables[0][(before >> 24) as usize];
            index += 1;
        }
        table += 1;
    }
    tables
}

const CRC_INIT: u32 = 0x00B7_04CE;
const CRC_POLY: u32 = 0x0086_4CFB;
static CRC_TABLES: [[u32; 256]; 4] = crc_tables();

/// RFC 9580, section 6.2 allows 76. All common programs write 64.
const COLUMNS: usize = 64;
/// Octets that make one full line.
const LINE: usize = COLUMNS / 4 * 3;

#[cfg(test)]
mod tests {
    use super::*;
    use sequoia_openpgp::armor::{Kind, Reader, ReaderMode};
    use std::io::Read;

    /// RFC 9580, section 6.1.1, bit by bit.
    fn slow_crc24(octets: &[u8]) -> u32 {
        let mut crc = CRC_INIT;
        for octet in octets {
            crc ^= u32::from(*octet) << 16;
            for _ in 0..8 {
                crc <<= 1;
                if crc & 0x0100_0000 != 0 {
                    crc ^= 0x0186_4CFB;
                }
            }
        }
        crc & 0x00FF_FFFF
    }

    #[test]
    fn crc_agrees_with_the_specification() {
        let octets: Vec<u8> = (0..1000_u32).map(|n| (n * 7 + n / 256) as u8).collect();
        for length in [0, 1, 2, 3, 4, 5, 7, 8, 48, 999] {
            assert_eq!(crc24(CRC_INIT, &octets[..length]), slow_crc24(&octets[..length]), "{length} octets");
        }
        assert_eq!(crc24(crc24(CRC_INIT, &octets[..5]), &octets[5..]), slow_crc24(&octets));
    }

    #[test]
    fn armor_in_any_pieces_reads_back() {
        let octets: Vec<u8> = (0..100_001_u32).map(|n| (n % 251) as u8).collect();
        for piece in [1, 47, 48, 49, 4096, 200_000] {
            let mut armored = Armored::begin(Block::Message, Checksum::Present, Vec::new()).unwrap();
            octets.chunks(piece).for_each(|chunk| armored.write_all(chunk).unwrap());
            let text = armored.finish().unwrap();
            assert!(text.split(|octet| *octet == b'\n').all(|line| line.len() <= COLUMNS + 1));
            let mut back = Vec::new();
            let mode = ReaderMode::Tolerant(Some(Kind::Message));
            Reader::from_bytes(&text, mode).read_to_end(&mut back).unwrap();
            assert!(back == octets, "pieces of {piece}");
        }
    }
}
