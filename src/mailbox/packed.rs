//! Mailboxes and messages that gzip, xz or zstd packed.

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, ReadFrameHeaderError},
};

use crate::base::{Error, Result};

/// How a file is packed. Its first octets say so, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// gzip (RFC 1952).
    Gzip,
    /// It is not.
    None,
    /// xz.
    Xz,
    /// zstd (RFC 8878).
    Zstd,
}

impl Packing {
    /// The octets of `from` unpacked, and how they were packed. `name` is for errors. Takes 132 MiB of memory at most.
    ///
    /// # Errors
    ///
    /// `Io` when its first octets cannot be read.
    pub fn open(mut from: impl Read + Send + 'static, name: &str) -> Result<(Box<dyn Read + Send>, Packing)> {
        let mut start = Vec::new();
        from.by_ref().take(LONGEST_MAGIC).read_to_end(&mut start).map_err(|error| Error::io(name, &error))?;
        let packing = Packing::of(&start);
        let whole = BufReader::with_capacity(BUFFER, Cursor::new(start).chain(from));
        let reader: Box<dyn Read + Send> = match packing {
            Packing::Gzip => Box::new(MultiGzDecoder::new(whole)),
            Packing::None => Box::new(whole),
            Packing::Xz => Box::new(XzReader::new_mem_limit(whole, true, MAX_DICTIONARY_KIB)),
            Packing::Zstd => Box::new(Frames::new(whole)),
        };
        Ok((reader, packing))
    }

    /// The packing that the first octets of a file say.
    pub fn of(octets: &[u8]) -> Packing {
        let known = [
            (b"\x1f\x8b\x08".as_slice(), Packing::Gzip),
            (b"\xfd7zXZ\0", Packing::Xz),
            (b"\x28\xb5\x2f\xfd", Packing::Zstd),
        ];
        known.into_iter().find(|(magic, _)| octets.starts_with(magic)).map_or(Packing::None, |(_, packing)| packing)
    }

    /// A file name without the ending of a packed file.
    pub fn stripped(name: &str) -> &str {
        [".gz", ".xz", ".zst"].into_iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
    }
}

/// The frames of a zstd file, one after the other (RFC 8878, section 3.1).
struct Frames<R> {
    from: R,
    decoder: FrameDecoder,
    is_open: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(from: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(u64::from(MAX_DICTIONARY_KIB) * 1024);
        Frames { from, decoder, is_open: false }
    }

    /// Begins the next frame; false when there is none.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.from.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.from) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.from.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(invalid(error)),
            }
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_open && !self.begin()? {
                return Ok(0);
            }
            self.is_open = true;
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.from, BlockDecodingStrategy::UptoBlocks(1)).map_err(invalid)?;
            }
            let count = self.decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.is_open = false;
            let said = self.decoder.get_checksum_from_data();
            if said.is_some() && said != self.decoder.get_calculated_checksum() {
                return Err(invalid("zstd: the checksum does not fit"));
            }
        }
    }
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}

/// Octets of a file that say how it is packed, at most.
const LONGEST_MAGIC: u64 = 6;
const BUFFER: usize = 64 * 1024;

/// The largest dictionary or window, in KiB. Source: `xz -9` has 64 MiB, `zstd --ultra -22` has 128 MiB; a little is added for the decoder.
const MAX_DICTIONARY_KIB: u32 = 132 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(octets: &'static [u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Packing::open(octets, "test").unwrap().0.read_to_end(&mut plain).map(|_| plain)
    }

    /// `printf 'hi\n'`, packed by zstd, xz and gzip. Of zstd's, one frame is to be passed over.
    #[test]
    fn what_was_packed_in_several_pieces_is_read_whole() {
        const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x58\x19\0\0hi\n\x34\x3d\x50\x92\x50\x2a\x4d\x18\x02\0\0\0xx\
            \x28\xb5\x2f\xfd\x04\x58\x19\0\0hi\n\x34\x3d\x50\x92";
        const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xc8\xe4\x02\0\x7a\x7a\x6f\xed\x03\0\0\0\
            \x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xc8\xe4\x02\0\x7a\x7a\x6f\xed\x03\0\0\0";
        const XZ: &[u8] = b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4F\x02\0!\x01\x16\0\0\0t/\xe5\xa3\x01\0\x02hi\n\0\0\
            \xfb\x7b\xe8\xe8*XCO\0\x01\x1b\x03\x0b/\xb9\x10\x1f\xb6\xf3}\x01\0\0\0\0\x04YZ";
        assert_eq!(unpacked(ZSTD).unwrap(), b"hi\nhi\n");
        assert_eq!(unpacked(GZIP).unwrap(), b"hi\nhi\n");
        assert_eq!(unpacked(XZ).unwrap(), b"hi\n");
        assert_eq!(unpacked(b"hi\n").unwrap(), b"hi\n");
        assert_eq!(unpacked(b"").unwrap(), b"");
        for cut in [&ZSTD[..ZSTD.len() - 1], &GZIP[..GZIP.len() - 1], &XZ[..XZ.len() - 1]] {
            assert!(unpacked(cut).is_err(), "{cut:?}");
        }
    }
}
