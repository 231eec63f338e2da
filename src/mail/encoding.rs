//! Base64, quoted-printable, encoded words and charsets.

use std::io::{self, Write};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use memchr::{memchr2, memmem};

pub use super::{
    charset::to_unicode,
    words::{decode_words, encode_phrase, encode_words},
};

/// Decodes base64 (RFC 2045, section 6.8). Characters outside the alphabet are skipped, and a truncated end is
/// accepted. Padding ends a group; decoding goes on after it, as when two encodings were concatenated.
pub fn base64_decode(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded.len() / 4 * 3 + 3);
    let mut pending = Vec::with_capacity(encoded.len().min(CHUNK) + 8);
    for piece in encoded.chunks(CHUNK) {
        push_unbroken(piece, &mut pending);
        decode_groups(&mut pending, &mut octets);
    }
    decode_dirty(&mut pending, &mut octets);
    decode_group(&pending, &mut octets);
    octets
}

/// The first octets that [`base64_decode`] makes of `encoded`, and whether all of them hold `words`. It decodes piece by piece, so that a large attachment is
/// not in memory twice.
pub(super) fn base64_glance(encoded: &[u8], words: &[u8]) -> (Vec<u8>, bool) {
    let finder = memmem::Finder::new(words);
    let mut start = Vec::with_capacity(GLANCE);
    let mut pending = Vec::with_capacity(encoded.len().min(CHUNK) + 8);
    let mut decoded = Vec::with_capacity(encoded.len().min(CHUNK) + words.len());
    let mut look = |decoded: &mut Vec<u8>, known: usize| {
        let new = decoded.get(known..).unwrap_or_default();
        start.extend(new.iter().take(GLANCE - start.len()));
        let found = finder.find(decoded).is_some();
        // The words may begin at the end of one piece.
        let kept = decoded.len().min(words.len().saturating_sub(1));
        decoded.drain(..decoded.len() - kept);
        (found, kept)
    };
    let (mut holds, mut known) = (false, 0);
    for piece in encoded.chunks(CHUNK) {
        push_unbroken(piece, &mut pending);
        decode_groups(&mut pending, &mut decoded);
        let (found, kept) = look(&mut decoded, known);
        (holds, known) = (holds | found, kept);
    }
    decode_dirty(&mut pending, &mut decoded);
    decode_group(&pending, &mut decoded);
    holds |= look(&mut decoded, known).0;
    (start, holds)
}

/// Whether `encoded` is only base64 and line breaks, with whole groups and padding only at the end, so that every
/// reader decodes the same octets.
pub fn is_base64(encoded: &[u8]) -> bool {
    let lines = encoded.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (mut data, mut padding) = (0_usize, 0_usize);
    for line in lines {
        let end = line.iter().rev().take_while(|octet| **octet == b'=').count();
        let (letters, _) = line.split_at_checked(line.len() - end).unwrap_or_default();
        if padding > 0 && !line.is_empty()
            || !letters.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
        {
            return false;
        }
        data += letters.len();
        padding += end;
    }
    padding <= 2 && (data + padding).is_multiple_of(4)
}

/// Whether `encoded` is valid quoted-printable (RFC 2045, section 6.7): `=` only before two digits or a line break, and
/// otherwise printable ASCII and white space.
pub(super) fn is_quoted_printable(encoded: &[u8]) -> bool {
    let is_line = |line: &[u8]| {
        let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
        rest = rest.strip_suffix(b"=").unwrap_or(rest);
        while let Some((octet, after)) = rest.split_first() {
            rest = match octet {
                b'=' if after.first_chunk().and_then(|digits| hex(*digits)).is_some() => {
                    after.get(2..).unwrap_or_default()
                }
                b' '..=b'<' | b'>'..=b'~' | b'\t' => after,
                _ => return false,
            };
        }
        true
    };
    encoded.split(|octet| *octet == b'\n').all(is_line)
}

/// Like [`base64_decode`], in place: a large message is in memory once.
pub fn base64_decode_in_place(octets: &mut Vec<u8>) {
    let (mut read, mut written) = (0, 0);
    let room = octets.len().min(CHUNK);
    let mut pending = Vec::with_capacity(room + 8);
    let mut decoded = Vec::with_capacity(room);
    while read < octets.len() {
        let end = octets.len().min(read + CHUNK);
        push_unbroken(octets.get(read..end).unwrap_or_default(), &mut pending);
        read = end;
        decode_groups(&mut pending, &mut decoded);
        if read == octets.len() {
            decode_dirty(&mut pending, &mut decoded);
            decode_group(&pending, &mut decoded);
        }
        // Three octets replace four characters, so the write position never overtakes the read position.
        if let Some(room) = octets.get_mut(written..written + decoded.len()) {
            room.copy_from_slice(&decoded);
        }
        written += decoded.len();
        decoded.clear();
    }
    octets.truncate(written);
}

/// Encodes base64 in lines of 76 characters with CRLF.
pub fn base64_encode(octets: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(octets.len() / 57 * 78 + 80);
    // Writing to a Vec cannot fail.
    _ = write_base64(octets, &mut encoded);
    encoded
}

/// Decodes quoted-printable (RFC 2045, section 6.7). White space before line breaks is dropped; `=` before anything but
/// two digits is kept.
pub fn quoted_printable_decode(encoded: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = memchr2(b'=', b'\n', rest) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or_default();
        let after = special.get(1..).unwrap_or_default();
        if special.starts_with(b"\n") {
            let line = plain.strip_suffix(b"\r");
            octets.extend_from_slice(trim_blank_end(line.unwrap_or(plain)));
            octets.extend_from_slice(if line.is_some() { b"\r\n" } else { b"\n" });
            rest = after;
            continue;
        }
        octets.extend_from_slice(plain);
        let blank = after.len()
            - after.iter().position(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |at| after.len() - at);
        let softly = after.get(blank..).unwrap_or_default();
        let broken = softly.strip_prefix(b"\n").or_else(|| softly.strip_prefix(b"\r\n"));
        if let Some(octet) = after.first_chunk().and_then(|digits| hex(*digits)) {
            octets.push(octet);
            rest = after.get(2..).unwrap_or_default();
        } else if let Some(next) = broken.or(softly.is_empty().then_some(softly)) {
            rest = next;
        } else {
            octets.push(b'=');
            rest = after;
        }
    }
    octets.extend_from_slice(trim_blank_end(rest));
    octets
}

/// Encodes text with any line breaks as quoted-printable with CRLF, safe for signing: no trailing white space, and no
/// line that starts with `From `, `-` or `.`. A lone CR is encoded.
pub fn quoted_printable_encode(text: &[u8]) -> Vec<u8> {
    let mut encoder = QuotedPrintable::new(Vec::with_capacity(text.len() + text.len() / 8));
    // Writing to a Vec cannot fail.
    _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

/// Writes base64 in lines of 76 characters with CRLF, including the last, holding only a few kilobytes.
///
/// # Errors
///
/// Those of writing.
pub fn write_base64(octets: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let mut lines = Vec::with_capacity(CHUNK + CHUNK / 32);
    let mut line = [0; 76];
    for chunk in octets.chunks(CHUNK / 76 * 57) {
        lines.clear();
        for piece in chunk.chunks(57) {
            let length = ENGINE.encode_slice(piece, &mut line).map_err(io::Error::other)?;
            lines.extend_from_slice(line.get(..length).unwrap_or_default());
            lines.extend_from_slice(b"\r\n");
        }
        to.write_all(&lines)?;
    }
    Ok(())
}

/// Streaming quoted-printable; see [`quoted_printable_encode`].
pub(super) struct QuotedPrintable<W: Write> {
    to: W,
    /// The current line, without its break.
    line: Vec<u8>,
    /// Whether the last octet was a CR, which may belong to a line break.
    after_cr: bool,
    full: Vec<u8>,
}

impl<W: Write> QuotedPrintable<W> {
    pub(super) fn new(to: W) -> Self {
        QuotedPrintable { to, line: Vec::with_capacity(80), after_cr: false, full: Vec::with_capacity(CHUNK + 80) }
    }

    /// Writes the rest. If the last line has no break, none is added.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.after_cr {
            self.encoded(b'\r')?;
        }
        self.protect_end()?;
        self.full.append(&mut self.line);
        self.to.write_all(&self.full)?;
        Ok(self.to)
    }

    fn octet(&mut self, octet: u8) -> io::Result<()> {
        match octet {
            b' ' if self.line == b"From" => {
                self.line.clear();
                self.line.extend_from_slice(b"=46rom ");
                Ok(())
            }
            b'-' | b'.' if self.line.is_empty() => self.encoded(octet),
            b'\t' | b' '..=b'<' | b'>'..=b'~' => self.token(&[octet]),
            _ => self.encoded(octet),
        }
    }

    fn encoded(&mut self, octet: u8) -> io::Result<()> {
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
        self.token(&[b'=', digit(octet >> 4), digit(octet & 15)])
    }

    fn token(&mut self, token: &[u8]) -> io::Result<()> {
        // RFC 2045, section 6.7, rule 5: at most 76 characters, including the `=` of the soft line break.
        if self.line.len() + token.len() > 75 {
            self.line.push(b'=');
            self.end_line()?;
            // The new line must not start with these characters either.
            if let [octet @ (b'-' | b'.')] = token {
                return self.encoded(*octet);
            }
        }
        self.line.extend_from_slice(token);
        Ok(())
    }

    /// Encodes white space at the end of the line.
    fn protect_end(&mut self) -> io::Result<()> {
        match self.line.last() {
            Some(octet @ (b' ' | b'\t')) => {
                let octet = *octet;
                self.line.pop();
                self.encoded(octet)
            }
            _ => Ok(()),
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.full.append(&mut self.line);
        self.full.extend_from_slice(b"\r\n");
        if self.full.len() >= CHUNK {
            self.to.write_all(&self.full)?;
            self.full.clear();
        }
        Ok(())
    }
}

impl<W: Write> Write for QuotedPrintable<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        for octet in octets {
            if *octet == b'\n' {
                self.after_cr = false;
                self.protect_end()?;
                self.end_line()?;
                continue;
            }
            if self.after_cr {
                self.encoded(b'\r')?;
            }
            self.after_cr = *octet == b'\r';
            if !self.after_cr {
                self.octet(*octet)?;
            }
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Parses two hexadecimal digits in upper or lower case.
pub(super) fn hex(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()));
    Some(high? << 4 | low?)
}

/// The line without spaces and tabs at its end.
pub(super) fn trim_blank_end(line: &[u8]) -> &[u8] {
    let length = line.iter().rposition(|octet| !matches!(octet, b' ' | b'\t')).map_or(0, |last| last + 1);
    line.get(..length).unwrap_or_default()
}

/// Appends a piece without its line breaks.
fn push_unbroken(piece: &[u8], pending: &mut Vec<u8>) {
    for line in piece.split(|octet| *octet == b'\n') {
        pending.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
    }
}

/// Decodes all whole groups of four in `pending`, with a fast path if there is only white space between. Fewer than
/// four characters remain.
fn decode_groups(pending: &mut Vec<u8>, octets: &mut Vec<u8>) {
    if !decode_clean(pending, octets) {
        pending.retain(|octet| !octet.is_ascii_whitespace());
        if !decode_clean(pending, octets) {
            decode_dirty(pending, octets);
        }
    }
}

/// The fast path: decodes if there is nothing but base64, and returns whether that was so.
fn decode_clean(pending: &mut Vec<u8>, octets: &mut Vec<u8>) -> bool {
    let whole = pending.len() / 4 * 4;
    let start = octets.len();
    octets.resize(start + whole / 4 * 3, 0);
    let decoded = match (pending.get(..whole), octets.get_mut(start..)) {
        (Some(groups), Some(room)) => ENGINE.decode_slice(groups, room).ok(),
        _ => None,
    };
    octets.truncate(start + decoded.unwrap_or(0));
    if decoded.is_some() {
        pending.drain(..whole);
    }
    decoded.is_some()
}

/// The slow path: decodes groups among other characters. Keeps an incomplete last group, without other characters.
fn decode_dirty(pending: &mut Vec<u8>, octets: &mut Vec<u8>) {
    if pending.is_empty() {
        return;
    }
    let mut group = Vec::with_capacity(4);
    for character in pending.iter() {
        if character.is_ascii_alphanumeric() || matches!(character, b'+' | b'/') {
            group.push(*character);
        }
        if group.len() == 4 || *character == b'=' {
            decode_group(&group, octets);
            group.clear();
        }
    }
    *pending = group;
}

/// Decodes at most four characters. A single character holds no octet.
fn decode_group(group: &[u8], octets: &mut Vec<u8>) {
    // Two or more valid characters always decode.
    if group.len() > 1 {
        octets.extend(ENGINE.decode(group).unwrap_or_default());
    }
}

/// Octets collected before they are written.
const CHUNK: usize = 32 * 1024;
/// Octets at the start that [`base64_glance`] answers: more than any header of a packet.
pub(super) const GLANCE: usize = 64;
const HEX: &[u8; 16] = b"0123456789ABCDEF";
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_of_other_people() {
        for (encoded, expected) in [
            ("aGVsbG8=", "hello"),
            ("aGVs\r\nbG8=\r\n", "hello"),
            ("aGVs bG8", "hello"),
            ("aGVsbG9", "hello"),
            ("aGVsbG8=\naGVsbG8=\n", "hellohello"),
            ("a!GVs\tbG8*=", "hello"),
            ("aGVsbG8h=aGk", "hello!hi"),
            ("aGVsb", "hel"),
            ("a", ""),
            ("=", ""),
            ("", ""),
        ] {
            assert_eq!(base64_decode(encoded.as_bytes()), expected.as_bytes(), "{encoded:?}");
            let mut octets = encoded.as_bytes().to_vec();
            base64_decode_in_place(&mut octets);
            assert_eq!(octets, expected.as_bytes(), "{encoded:?}");
        }
        let octets: Vec<u8> = (0..=255).cycle().take(4 * CHUNK + 1).collect();
        // Words at every place around the end of a piece, and at both ends.
        for at in (3 * CHUNK / 4 - 9..3 * CHUNK / 4 + 9).chain([0, octets.len() - 5]) {
            let mut octets = octets.clone();
            octets[at..at + 5].copy_from_slice(b"words");
            let (start, holds) = base64_glance(&base64_encode(&octets), b"words");
            assert_eq!((start.as_slice(), holds), (&octets[..GLANCE], true), "{at}");
        }
        assert_eq!(base64_glance(&base64_encode(&octets), b"words"), (octets[..GLANCE].to_vec(), false));
        assert_eq!(base64_glance(b"d29yZHM", b"words"), (b"words".to_vec(), true));
        let mut encoded = base64_encode(&octets);
        base64_decode_in_place(&mut encoded);
        assert!(encoded == octets);
    }

    #[test]
    fn quoted_printable_of_other_people() {
        for (encoded, expected) in [
            ("caf=C3=a9", "caf\u{e9}"),
            ("soft =\r\nbreak=  \nagain=", "soft breakagain"),
            ("trailing \t \r\nkept=20\r\nx  ", "trailing\r\nkept \r\nx"),
            ("a=b =ZZ = x =", "a=b =ZZ = x "),
            ("=3D=0D=0A\n", "=\r\n\n"),
        ] {
            assert_eq!(quoted_printable_decode(encoded.as_bytes()), expected.as_bytes(), "{encoded:?}");
        }
    }

    #[test]
    fn quoted_printable_is_safe_to_sign() {
        let encode = |text: &str| String::from_utf8(quoted_printable_encode(text.as_bytes())).unwrap();
        assert_eq!(
            encode("From me\nFrom\n-- \n.\na=b\r\n\t\n"),
            "=46rom me\r\nFrom\r\n=2D-=20\r\n=2E\r\na=3Db\r\n=09\r\n"
        );
        assert_eq!(encode("lone\rcr\r\r\nend\r"), "lone=0Dcr=0D\r\nend=0D");
        assert_eq!(encode("caf\u{e9}\0 "), "caf=C3=A9=00=20");
        let long = encode(&format!("{}From x {}", "a".repeat(75), "-".repeat(100)));
        assert!(
            long.lines().all(|line| line.len() <= 76 && !line.starts_with('-') && !line.starts_with("From ")),
            "{long}"
        );
    }

    proptest! {
        #[test]
        fn base64_comes_back(octets: Vec<u8>) {
            let encoded = base64_encode(&octets);
            prop_assert_eq!(base64_decode(&encoded), &octets[..]);
            prop_assert!(encoded.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
        }

        #[test]
        fn quoted_printable_comes_back(octets in "([ \t.=a\r\n-]|From |\\PC|[\u{0}-\u{ff}])*") {
            let encoded = quoted_printable_encode(octets.as_bytes());
            let expected = octets.replace("\r\n", "\n").replace('\n', "\r\n");
            prop_assert_eq!(quoted_printable_decode(&encoded), expected.as_bytes());
            for line in encoded.split(|octet| *octet == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                prop_assert!(line.len() <= 76 && line.is_ascii());
                prop_assert!(!line.ends_with(b" ") && !line.ends_with(b"\t") && !line.starts_with(b"From ") && !line.starts_with(b"-"));
            }
        }
    }
}
