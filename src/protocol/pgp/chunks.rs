//! A reader that frees the memory it has read.

use std::{collections::VecDeque, io};

/// Octets in separately allocated chunks. Each is freed once it was read, to make room for the output produced from it.
pub(super) struct Chunks {
    pieces: VecDeque<Vec<u8>>,
    at: usize,
}

impl Chunks {
    /// Splits `octets` from the end, shrinking it on the way, so that memory never holds two copies.
    pub(super) fn new(mut octets: Vec<u8>) -> Self {
        let mut pieces = VecDeque::new();
        while octets.len() > PIECE {
            let start = (octets.len() - 1) / PIECE * PIECE;
            pieces.push_front(octets.split_off(start));
            octets.shrink_to_fit();
        }
        pieces.push_front(octets);
        Chunks { pieces, at: 0 }
    }
}

impl io::Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(piece) = self.pieces.front() {
            let rest = piece.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.pieces.pop_front();
                self.at = 0;
                continue;
            }
            let count = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
                to.copy_from_slice(from);
            }
            self.at += count;
            return Ok(count);
        }
        Ok(0)
    }
}

/// Large enough that the allocator maps each chunk separately and returns it to the system when freed.
const PIECE: usize = 4 * 1024 * 1024;
