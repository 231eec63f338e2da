//! SMTP on the wire: lines that end in CRLF alone, and messages with and without the dots of RFC 5321, section 4.5.2.

use std::{future::Future, io, time::Duration};

use memchr::{memchr, memchr_iter, memchr2, memmem};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::transport::Stream;

/// A connection with its own read buffer, so that unread input is visible.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    bare_lf: BareLf,
}

/// What is done about a line that ends in LF alone. A lone CR is refused in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BareLf {
    /// It is taken for CRLF, as by Postfix with `smtpd_forbid_bare_newline = normalize`. The end of a message is CRLF, a dot and CRLF all the same: what another
    /// program may take for the end stays within the message.
    Normalize,
    /// It is refused (RFC 5321, section 2.3.8).
    Reject,
}

/// Why there is no line.
#[derive(Debug)]
pub(super) enum Fault {
    /// A CR or LF that is not part of a CRLF.
    Bare,
    /// The peer disconnected, or a timeout passed.
    Gone(io::Error),
    /// A line longer than it may be. It has been read to its end.
    Long,
}

impl Fault {
    /// A timeout passed.
    pub(super) fn slow() -> Fault {
        Fault::Gone(io::ErrorKind::TimedOut.into())
    }
}

/// A received message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A CR or LF in it is not part of a CRLF. Software that accepts other line endings may see several messages in it.
    Bare,
    /// There was no memory for it. It has been read to its end.
    Crowded,
    /// It is larger than allowed. It has been read to its end.
    Large,
    /// The message, every line ending in CRLF.
    Whole(Vec<u8>),
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>) -> Wire {
        Wire { stream, buffer: Vec::new(), bare_lf: BareLf::Reject }
    }

    /// The same, with another answer to lines that end in LF alone.
    pub(super) fn with_bare_lf(self, bare_lf: BareLf) -> Wire {
        Wire { bare_lf, ..self }
    }

    /// The stream; `None` if input is buffered, which must not be taken for input under TLS.
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.buffer.is_empty().then_some(self.stream)
    }

    /// Whether input is buffered.
    pub(super) fn is_pending(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line of at most `most` octets, without its CRLF, complete within `limit`.
    pub(super) async fn line(&mut self, most: usize, limit: Duration) -> Result<Vec<u8>, Fault> {
        within(limit, self.next_line(most)).await
    }

    async fn next_line(&mut self, most: usize) -> Result<Vec<u8>, Fault> {
        let mut is_long = false;
        let mut searched = 0;
        loop {
            let fresh = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = memchr(b'\n', fresh) {
                let rest = self.buffer.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                if is_long || line.len() > most + 2 {
                    return Err(Fault::Long);
                }
                let length = match (line.strip_suffix(b"\r\n"), self.bare_lf) {
                    (Some(line), _) => line.len(),
                    (None, BareLf::Normalize) => line.len() - 1,
                    (None, BareLf::Reject) => return Err(Fault::Bare),
                };
                line.truncate(length);
                return if memchr(b'\r', &line).is_some() { Err(Fault::Bare) } else { Ok(line) };
            }
            if self.buffer.len() > most + 2 {
                is_long = true;
                self.buffer.clear();
            }
            searched = self.buffer.len();
            self.fill().await?;
        }
    }

    /// Reads a message up to its final dot, of at most `most` octets; `pace` is the limit for each piece. `has_room` says whether there is
    /// memory for so many octets.
    pub(super) async fn message(
        &mut self,
        most: usize,
        pace: Duration,
        mut has_room: impl FnMut(usize) -> bool,
    ) -> Result<Given, Fault> {
        // The line end of the command before it is the first that a dot can follow.
        let mut raw = b"\r\n".to_vec();
        let (mut is_large, mut is_crowded) = (false, false);
        let end = loop {
            let seam = raw.len().saturating_sub(END.len() - 1);
            raw.append(&mut self.buffer);
            if let Some(at) = memmem::find(raw.get(seam..).unwrap_or_default(), END) {
                break seam + at;
            }
            // Doubled dots do not count; no real message doubles in size by them.
            is_large |= raw.len() > most.saturating_mul(2);
            is_crowded |= !is_large && !is_crowded && !has_room(raw.len());
            if is_large || is_crowded {
                raw.drain(..raw.len().saturating_sub(END.len() - 1));
            }
            within(pace, self.fill()).await?;
        };
        self.buffer = raw.split_off(end + END.len());
        raw.truncate(end + 2);
        match () {
            () if is_large => return Ok(Given::Large),
            () if is_crowded => return Ok(Given::Crowded),
            () => {}
        }
        // Before the dots go: each line that another program may see has its dot removed.
        let raw = self.normalized(raw, has_room);
        Ok(raw.map_or(Given::Crowded, |raw| given(without_dots(raw), most)))
    }

    /// A message that was received in chunks.
    pub(super) fn chunks(&self, octets: Vec<u8>, most: usize, has_room: impl FnMut(usize) -> bool) -> Given {
        self.normalized(octets, has_room).map_or(Given::Crowded, |octets| given(octets, most))
    }

    /// `None`: there is no memory for a copy with longer line ends.
    fn normalized(&self, octets: Vec<u8>, mut has_room: impl FnMut(usize) -> bool) -> Option<Vec<u8>> {
        let bare = match self.bare_lf {
            BareLf::Normalize => bare_lfs(&octets).count(),
            BareLf::Reject => 0,
        };
        match bare {
            0 => Some(octets),
            _ => has_room(octets.len() * 2 + bare).then(|| with_crlf(&octets, octets.len() + bare)),
        }
    }

    /// Reads exactly `count` octets; `pace` is the limit for each piece.
    pub(super) async fn chunk(&mut self, count: usize, pace: Duration) -> Result<Vec<u8>, Fault> {
        while self.buffer.len() < count {
            within(pace, self.fill()).await?;
        }
        let rest = self.buffer.split_off(count);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// Reads and discards `count` octets.
    pub(super) async fn skip(&mut self, mut count: u64, pace: Duration) -> Result<(), Fault> {
        loop {
            let here = self.buffer.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            self.buffer.drain(..here);
            count -= here as u64;
            if count == 0 {
                return Ok(());
            }
            within(pace, self.fill()).await?;
        }
    }

    /// Writes everything within `limit`.
    pub(super) async fn say(&mut self, octets: &[u8], limit: Duration) -> Result<(), Fault> {
        within(limit, async {
            self.stream.write_all(octets).await.map_err(Fault::Gone)?;
            self.stream.flush().await.map_err(Fault::Gone)
        })
        .await
    }

    /// Waits for input, or for the end of the connection.
    pub(super) async fn fill(&mut self) -> Result<(), Fault> {
        if self.buffer.is_empty() {
            // An idle connection holds no memory.
            self.buffer = Vec::new();
        }
        self.buffer.reserve(PIECE);
        match self.stream.read_buf(&mut self.buffer).await.map_err(Fault::Gone)? {
            0 => Err(Fault::Gone(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }
}

fn given(octets: Vec<u8>, most: usize) -> Given {
    match () {
        () if octets.len() > most => Given::Large,
        () if is_bare(&octets) => Given::Bare,
        () => Given::Whole(octets),
    }
}

/// A message for DATA, without its final dot, in pieces of about `size` octets. Every line ending of any kind becomes CRLF, and every dot at the start of
/// a line is doubled, so that the peer sees one message whatever it takes for a line ending.
pub(super) fn with_dots(message: &[u8], size: usize) -> impl Iterator<Item = Vec<u8>> + use<'_> {
    let (mut rest, mut is_line_start) = (message, true);
    std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity((size + 3).min(2 * rest.len() + 2));
        while piece.len() < size && !rest.is_empty() {
            if is_line_start && rest.starts_with(b".") {
                piece.push(b'.');
            }
            let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end.min(size.saturating_sub(piece.len())));
            piece.extend_from_slice(line);
            is_line_start = line.len() == end;
            if is_line_start {
                piece.extend_from_slice(b"\r\n");
            }
            let after_end = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
            rest = if is_line_start { after_end } else { after };
        }
        (!piece.is_empty()).then_some(piece)
    })
}

/// Removes the dots that SMTP adds, and the line ending before the first line; in place, so that a large message is in memory once.
fn without_dots(mut raw: Vec<u8>) -> Vec<u8> {
    let (mut from, mut written) = (2.min(raw.len()), 0);
    // The search starts at the line ending before, so that the dot of the first line is found too.
    while let Some(at) = memmem::find(raw.get(from.saturating_sub(2)..).unwrap_or_default(), b"\r\n.") {
        let end = from.saturating_sub(2) + at + 2;
        raw.copy_within(from..end, written);
        written += end - from;
        from = end + 1;
    }
    raw.copy_within(from.., written);
    written += raw.len() - from;
    raw.truncate(written);
    raw
}

/// Where each LF is that has no CR before it.
fn bare_lfs(octets: &[u8]) -> impl Iterator<Item = usize> {
    let is_bare = |at: &usize| at.checked_sub(1).and_then(|before| octets.get(before)) != Some(&b'\r');
    memchr_iter(b'\n', octets).filter(is_bare)
}

/// Every LF that has no CR before it gets one; the result has `length` octets.
fn with_crlf(octets: &[u8], length: usize) -> Vec<u8> {
    let mut whole = Vec::with_capacity(length);
    let mut from = 0;
    for at in bare_lfs(octets) {
        whole.extend_from_slice(octets.get(from..at).unwrap_or_default());
        whole.push(b'\r');
        from = at;
    }
    whole.extend_from_slice(octets.get(from..).unwrap_or_default());
    whole
}

fn is_bare(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some(at) = memchr2(b'\r', b'\n', rest) {
        match rest.get(at..).unwrap_or_default().strip_prefix(b"\r\n") {
            Some(after) => rest = after,
            None => return true,
        }
    }
    false
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(Fault::slow()))
}

/// The end of the data (RFC 5321, section 4.1.1.4): these five octets and no others.
const END: &[u8] = b"\r\n.\r\n";
/// Octets per read.
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    /// A wire on which these pieces arrive one by one.
    fn wire(pieces: &[&[u8]]) -> Wire {
        let (here, mut there) = tokio::io::duplex(1);
        let all = pieces.concat();
        tokio::spawn(async move { there.write_all(&all).await });
        Wire::new(Box::new(here))
    }

    #[tokio::test]
    async fn lines_end_in_crlf_and_in_nothing_else() {
        let mut wire = wire(&[b"NOOP\r\nNO\nNO\r\r\n", &[b'x'; 20], b"\r\nQUIT\r\n"]);
        assert_eq!(wire.line(10, LONG).await.unwrap(), b"NOOP");
        assert!(matches!(wire.line(10, LONG).await, Err(Fault::Bare)));
        assert!(matches!(wire.line(10, LONG).await, Err(Fault::Bare)));
        assert!(matches!(wire.line(10, LONG).await, Err(Fault::Long)));
        assert_eq!(wire.line(10, LONG).await.unwrap(), b"QUIT");
        assert!(matches!(wire.line(10, LONG).await, Err(Fault::Gone(_))));
    }

    #[tokio::test]
    async fn a_message_ends_at_one_place() {
        for (given, expected) in [
            (b".\r\n".as_slice(), Given::Whole(b"".to_vec())),
            (b"a\r\n..b\r\n...\r\n.\r\n", Given::Whole(b"a\r\n.b\r\n..\r\n".to_vec())),
            (b"\r\n\r\n.\r\n", Given::Whole(b"\r\n\r\n".to_vec())),
            (b"a\n.\nb\r\n.\r\n", Given::Bare),
            (b"a\r\n.\nb\r\n.\r\n", Given::Bare),
            (b"a\n.\r\nb\r\n.\r\n", Given::Bare),
            (b"a\r.\rb\r\n.\r\n", Given::Bare),
            (b"a\r\r\n.\r\n", Given::Bare),
            (b"0123456789abcdef\r\n.\r\n", Given::Large),
            (b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n.\r\n", Given::Large),
        ] {
            let mut wire = wire(&[given, b"QUIT\r\n"]);
            assert_eq!(
                wire.message(14, LONG, |held| held < 100).await.unwrap(),
                expected,
                "{:?}",
                given.escape_ascii().to_string()
            );
            assert_eq!(wire.line(10, LONG).await.unwrap(), b"QUIT");
        }
    }

    #[tokio::test]
    async fn a_bare_lf_may_be_taken_for_crlf() {
        for (given, expected) in [
            (b"a\nb\r\n.\r\n".as_slice(), Given::Whole(b"a\r\nb\r\n".to_vec())),
            // None of these ends the message, and none leaves a line with a dot alone.
            (b"a\n.\nb\r\n.\r\n", Given::Whole(b"a\r\n\r\nb\r\n".to_vec())),
            (b"a\r\n.\nb\r\n.\r\n", Given::Whole(b"a\r\n\r\nb\r\n".to_vec())),
            (b"a\n.\r\nb\r\n.\r\n", Given::Whole(b"a\r\n\r\nb\r\n".to_vec())),
            (b"a\n..b\n.\r\nc\r\n.\r\n", Given::Whole(b"a\r\n.b\r\n\r\nc\r\n".to_vec())),
            (b"a\r.\rb\r\n.\r\n", Given::Bare),
            (b"a\r\r\n.\r\n", Given::Bare),
        ] {
            let mut wire = wire(&[given, b"NOOP\nQUIT\r\nA\rB\n"]).with_bare_lf(BareLf::Normalize);
            let shown = given.escape_ascii().to_string();
            assert_eq!(wire.message(14, LONG, |held| held < 100).await.unwrap(), expected, "{shown}");
            assert_eq!(wire.chunks(b"a\nb\r\n".to_vec(), 14, |held| held < 12), Given::Whole(b"a\r\nb\r\n".to_vec()));
            assert_eq!(wire.chunks(b"a\nb\r\n".to_vec(), 14, |held| held < 11), Given::Crowded);
            assert_eq!(wire.line(10, LONG).await.unwrap(), b"NOOP");
            assert_eq!(wire.line(10, LONG).await.unwrap(), b"QUIT");
            assert!(matches!(wire.line(10, LONG).await, Err(Fault::Bare)));
        }
    }

    /// Every mix of up to six CRs, LFs, dots and letters, out and in again: one message, with nothing left over.
    #[test]
    fn whatever_goes_out_is_one_message() {
        let letters = *b"\r\n.x";
        for length in 0..=6 {
            for number in 0..4_usize.pow(length) {
                let message: Vec<u8> =
                    (0..length).map(|place| letters[number / 4_usize.pow(place) % letters.len()]).collect();
                let body = with_dots(&message, 100).collect::<Vec<_>>().concat();
                let raw = [&body, b".\r\n".as_slice()].concat();
                let shown = message.escape_ascii().to_string();
                for size in 1..4 {
                    let pieces: Vec<Vec<u8>> = with_dots(&message, size).collect();
                    assert_eq!(pieces.concat(), body, "{shown} in pieces of {size}");
                    assert!(pieces.iter().all(|piece| piece.len() <= size + 2), "{shown} in pieces of {size}");
                }
                assert!(body.is_empty() || body.ends_with(b"\r\n"), "{shown}");
                assert!(!is_bare(&raw), "{shown}");
                assert!(!body.starts_with(b".\r\n") && memmem::find(&body, END).is_none(), "{shown}");
                if !is_bare(&message) && (message.is_empty() || message.ends_with(b"\r\n")) {
                    assert_eq!(without_dots([b"\r\n", body.as_slice()].concat()), message, "{shown}");
                }
            }
        }
    }
}
