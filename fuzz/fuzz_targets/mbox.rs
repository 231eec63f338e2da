//! Any octets as an mbox: the pieces are the mbox, however it is read, and what is quoted is unquoted to the same.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use postseal::mailbox::mbox::{Content, Format, Piece, Splitter};

fuzz_target!(|input: (u8, &[u8])| {
    let (step, octets) = input;
    for format in [None, Some(Format::Rd), Some(Format::Cl2)] {
        let Ok(mut whole) = Splitter::new(octets, "mbox", format, octets.len()) else { return };
        let pieces: Vec<Piece> = std::iter::from_fn(|| whole.next().unwrap()).collect();
        assert!(pieces.iter().flat_map(Piece::octets).eq(octets.iter().copied()));
        let mut stepwise = Splitter::new(Steps(octets, usize::from(step) + 1), "mbox", format, octets.len()).unwrap();
        assert!(std::iter::from_fn(|| stepwise.next().unwrap()).eq(pieces.iter().map(copy)));
        for piece in &pieces {
            if let Content::Whole(message) = &piece.content {
                assert_eq!(&*Format::Rd.unquoted(&Format::Rd.quoted(message)), message);
            }
        }
    }
});

fn copy(piece: &Piece) -> Piece {
    let content = match &piece.content {
        Content::TooLarge(length) => Content::TooLarge(*length),
        Content::Whole(octets) => Content::Whole(octets.clone()),
    };
    Piece { offset: piece.offset, label: piece.label.clone(), content, end: piece.end.clone() }
}

/// Reads a few octets at a time.
struct Steps<'a>(&'a [u8], usize);

impl Read for Steps<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(buffer.len());
        self.0.read(&mut buffer[..count])
    }
}
