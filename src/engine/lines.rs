//! Line ends as the message came with them.

use std::io::{self, Write};

use crate::mail::Part;

/// Whether the header's lines end in CRLF, as on the wire; otherwise in LF, as in a file.
pub(super) fn uses_crlf(part: Part<'_>) -> bool {
    part.header_octets().windows(2).any(|pair| pair == b"\r\n")
}

/// Turns CRLF into LF; a CR alone stays.
pub(super) struct LfWriter<'a> {
    to: &'a mut dyn Write,
    /// Whether a CR came last and has not been written yet.
    held: bool,
    /// One piece with its line ends turned.
    turned: Vec<u8>,
}

impl<'a> LfWriter<'a> {
    /// A writer before `to`; [`LfWriter::finish`] writes what it may still hold.
    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        LfWriter { to, held: false, turned: Vec::new() }
    }

    /// Writes a CR that came last of all.
    pub(super) fn finish(self) -> io::Result<()> {
        if self.held { self.to.write_all(b"\r") } else { Ok(()) }
    }

    fn turn(&mut self, piece: &[u8]) -> io::Result<()> {
        self.turned.clear();
        let mut rest = piece;
        if self.held && !rest.is_empty() {
            self.held = false;
            if !rest.starts_with(b"\n") {
                self.turned.push(b'\r');
            }
        }
        while let Some(at) = memchr::memchr(b'\r', rest) {
            let (before, after) = rest.split_at(at);
            self.turned.extend_from_slice(before);
            rest = after.get(1..).unwrap_or_default();
            match rest.first() {
                Some(b'\n') => {}
                Some(_) => self.turned.push(b'\r'),
                None => self.held = true,
            }
        }
        self.turned.extend_from_slice(rest);
        self.to.write_all(&self.turned)
    }
}

impl Write for LfWriter<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        octets.chunks(PIECE).try_for_each(|piece| self.turn(piece))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// How much is turned at once: a system call for each line would cost more than all the rest.
const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crlf_becomes_lf_across_writes_and_a_lone_cr_stays() {
        let mut out = Vec::new();
        let mut writer = LfWriter::new(&mut out);
        for piece in [&b"a\r"[..], b"\nb\rc\r", b"d\r\n\r"] {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(out, b"a\nb\rc\rd\n\r");
    }
}
