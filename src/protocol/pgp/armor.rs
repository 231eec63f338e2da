//! Undoes armor (RFC 9580, section 6) and the cleartext framework (section 7), in place where the data is large.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD};

use crate::base::{Error, Result};

/// The decoded content of one armor block.
#[derive(Debug)]
pub(super) struct Dearmored {
    /// The headers, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The binary packets.
    pub(super) octets: Vec<u8>,
}

/// The parts of a cleartext-signed text.
#[derive(Debug)]
pub(super) struct Cleartext<'a> {
    /// The signed text: dashes unescaped, without the last line break, which is not signed.
    pub(super) text: Vec<u8>,
    /// The armored signatures.
    pub(super) signatures: &'a [u8],
}

/// Whether `octets` start with armor, ignoring blank lines before it.
pub(super) fn is_armored(octets: &[u8]) -> bool {
    octets.trim_ascii_start().starts_with(BEGIN)
}

/// Decodes the first armor block in `armored` in place. `label` is the expected type, `MESSAGE` or `SIGNATURE`. Text
/// around the block is skipped. Text inside it is refused, because a reader would show it and no signature covers it.
/// The checksum is ignored, as RFC 9580, section 6.1 demands.
pub(super) fn dearmor(mut armored: Vec<u8>, label: &str) -> Result<Dearmored> {
    let mut headers = Vec::new();
    let mut cursor = Cursor { at: 0, line: 0 };
    loop {
        match cursor.next(&armored) {
            Some(line) => match line.strip_prefix(BEGIN) {
                Some(rest) if rest.strip_suffix(b"-----") == Some(label.as_bytes()) => break,
                Some(_) => {
                    return Err(Error::malformed(format!("armor, line {}", cursor.line), format!("not a PGP {label}")));
                }
                None => {}
            },
            None => return Err(Error::malformed("armor", format!("does not begin with -----BEGIN PGP {label}-----"))),
        }
    }
    // A blank line ends the headers. Data that starts without one is accepted.
    let mut data = cursor;
    while let Some(line) = cursor.next(&armored) {
        let Some(header) = header(line) else {
            if line.iter().all(|octet| is_blank(*octet)) {
                data = cursor;
            }
            break;
        };
        headers.push(header);
        data = cursor;
    }
    let mut writer = Base64::default();
    let mut cursor = data;
    loop {
        let start = cursor.at;
        let Some(line) = cursor.next(&armored) else {
            return Err(Error::malformed("armor", "ends without its last line, -----END PGP"));
        };
        if let Some(rest) = line.strip_prefix(END) {
            if rest.strip_suffix(b"-----") == Some(label.as_bytes()) {
                break;
            }
            return Err(Error::malformed(
                format!("armor, line {}", cursor.line),
                format!("not the end of a PGP {label}"),
            ));
        }
        let place = cursor.line;
        let not_base64 = || Error::malformed(format!("armor, line {place}"), "not base64");
        writer.line(&mut armored, start, cursor.at).ok_or_else(not_base64)?;
    }
    writer.finish(&mut armored).ok_or_else(|| Error::malformed("armor", "its base64 is cut short"))?;
    armored.truncate(writer.written);
    Ok(Dearmored { headers, octets: armored })
}

/// Splits a cleartext-signed block into text and signatures. Only `Hash` headers (RFC 9580, section 7.1) are allowed:
/// any other header could be mistaken for signed text.
pub(super) fn cleartext(block: &[u8]) -> Result<Cleartext<'_>> {
    let mut cursor = Cursor { at: 0, line: 0 };
    cursor.next(block);
    loop {
        match cursor.next(block) {
            Some([]) => break,
            Some(line) if is_hash_header(line) => {}
            _ => {
                return Err(Error::malformed(
                    format!("cleartext signature, line {}", cursor.line),
                    "not a Hash header",
                ));
            }
        }
    }
    let mut text = Vec::with_capacity(block.len());
    loop {
        let start = cursor.at;
        let Some(line) = cursor.next(block) else {
            return Err(Error::malformed("cleartext signature", "no signature follows the text"));
        };
        if line.starts_with(b"-----BEGIN PGP SIGNATURE-----") {
            without_last_break(&mut text);
            return Ok(Cleartext { text, signatures: block.get(start..).unwrap_or_default() });
        }
        if line.starts_with(b"-----") {
            let place = format!("cleartext signature, line {}", cursor.line);
            return Err(Error::malformed(place, "starts with dashes that are not escaped"));
        }
        let raw = block.get(start..cursor.at).unwrap_or_default();
        text.extend_from_slice(raw.strip_prefix(b"- ").unwrap_or(raw));
    }
}

fn without_last_break(text: &mut Vec<u8>) {
    for octet in [b'\n', b'\r'] {
        if text.last() == Some(&octet) {
            text.pop();
        }
    }
}

/// Whether the line is `Hash:` with known hash names. Other words could be mistaken for signed text.
fn is_hash_header(line: &[u8]) -> bool {
    let Some(names) = line.strip_prefix(b"Hash:") else { return false };
    names
        .split(|octet| *octet == b',')
        .all(|name| HASHES.iter().any(|hash| name.trim_ascii().eq_ignore_ascii_case(hash)))
}

fn header(line: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(line);
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// Iterates over lines that end in LF or CRLF.
#[derive(Clone, Copy)]
struct Cursor {
    at: usize,
    line: usize,
}

impl Cursor {
    /// The next line, without its line break and trailing white space.
    fn next<'a>(&mut self, octets: &'a [u8]) -> Option<&'a [u8]> {
        let rest = octets.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        self.at += length;
        self.line += 1;
        rest.get(..length).map(<[u8]>::trim_ascii_end)
    }
}

/// White space, including the non-breaking space that editors and gateways insert (in Latin-1 and in UTF-8).
fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0xa0 | 0xc2)
}

/// Base64 decoding in place: the write position never overtakes the read position.
#[derive(Default)]
struct Base64 {
    bits: u32,
    count: u32,
    /// Padding or the `=` of the checksum was seen: no data follows.
    padded: bool,
    /// Number of checksum characters seen.
    checksum: u32,
    written: usize,
}

impl Base64 {
    /// Decodes the line `start..end` of `octets`; `None` when it is not base64.
    fn line(&mut self, octets: &mut [u8], start: usize, end: usize) -> Option<()> {
        let mut at = start;
        while at < end {
            let stop = end.min(at + GROUPS);
            match self.groups(octets, at, stop) {
                Some(()) => at = stop,
                None => {
                    for at in at..stop {
                        self.push(octets, *octets.get(at)?)?;
                    }
                    at = stop;
                }
            }
        }
        Some(())
    }

    /// Fast path for lines of whole groups without interruptions, which is nearly every line.
    fn groups(&mut self, octets: &mut [u8], start: usize, end: usize) -> Option<()> {
        let line = octets.get(start..end)?.trim_ascii_end();
        if self.count != 0 || self.padded || line.is_empty() || line.len() % 4 != 0 {
            return None;
        }
        let mut decoded = [0; GROUPS];
        let count = STANDARD_NO_PAD.decode_slice(line, &mut decoded).ok()?;
        octets.get_mut(self.written..self.written + count)?.copy_from_slice(decoded.get(..count)?);
        self.written += count;
        Some(())
    }

    fn push(&mut self, octets: &mut [u8], character: u8) -> Option<()> {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                self.padded = true;
                return Some(());
            }
            blank if is_blank(blank) => return Some(()),
            _ => return None,
        };
        // After the padding only the checksum may follow, on a line of its own or joined to the last one (RFC 9580,
        // section 6.1).
        if self.padded {
            self.checksum += 1;
            return (self.checksum <= CHECKSUM).then_some(());
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            self.write(octets, 3, 0);
        }
        Some(())
    }

    fn finish(&mut self, octets: &mut [u8]) -> Option<()> {
        match self.count {
            0 => {}
            2 => self.write(octets, 1, 12),
            3 => self.write(octets, 2, 6),
            _ => return None,
        }
        Some(())
    }

    fn write(&mut self, octets: &mut [u8], count: usize, missing: u32) {
        let group = (self.bits << missing).to_be_bytes();
        if let Some(to) = octets.get_mut(self.written..self.written + count)
            && let Some(from) = group.get(1..=count)
        {
            to.copy_from_slice(from);
        }
        self.written += count;
        self.bits = 0;
        self.count = 0;
    }
}

/// Characters decoded at a time. A line of armor has at most 76 (RFC 9580, section 6.3).
const GROUPS: usize = 1024;

/// Characters of the checksum: 24 bits (RFC 9580, section 6.1).
const CHECKSUM: u32 = 4;

/// Names allowed after `Hash:` (RFC 9580, section 9.5, and those of older programs).
const HASHES: [&[u8]; 11] = [
    b"MD2",
    b"MD5",
    b"SHA1",
    b"RIPEMD160",
    b"TIGER192",
    b"SHA224",
    b"SHA256",
    b"SHA384",
    b"SHA512",
    b"SHA3-256",
    b"SHA3-512",
];

/// Start of the first and last line of armor (RFC 9580, section 6.2).
pub(super) const BEGIN: &[u8] = b"-----BEGIN PGP ";
const END: &[u8] = b"-----END PGP ";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Result<Vec<u8>> {
        dearmor(text.as_bytes().to_vec(), "MESSAGE").map(|block| block.octets)
    }

    #[test]
    fn lines_of_any_length_and_what_gateways_add() {
        for text in [
            "-----BEGIN PGP MESSAGE-----\n\nSGVs\nbG8s\nIHdvcmxk\n=abcd\n-----END PGP MESSAGE-----\n",
            "before\r\n-----BEGIN PGP MESSAGE-----  \r\nVersion: 1\r\nComment: x\r\n \r\nSGVsbG8sI\r\nHdvcmxk\r\n-----END PGP MESSAGE-----",
            "-----BEGIN PGP MESSAGE-----\nSGVsbG8sIHdvcmxk\n-----END PGP MESSAGE-----\nafter",
            "-----BEGIN PGP MESSAGE-----\n\u{a0}\nSGVs bG8s\u{a0}IHdvcmxk\n-----END PGP MESSAGE-----\n",
        ] {
            assert_eq!(message(text).unwrap(), b"Hello, world", "{text:?}");
        }
        let padded = "-----BEGIN PGP MESSAGE-----\n\nSGk==abcd\n-----END PGP MESSAGE-----\n";
        assert_eq!(message(padded).unwrap(), b"Hi");
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text| message(text).unwrap_err().to_string();
        assert_eq!(error("nothing"), "armor: does not begin with -----BEGIN PGP MESSAGE-----");
        assert_eq!(error("-----BEGIN PGP SIGNATURE-----\n"), "armor, line 1: not a PGP MESSAGE");
        assert_eq!(
            error("-----BEGIN PGP MESSAGE-----\n\nSGVs\nb?8s\n-----END PGP MESSAGE-----"),
            "armor, line 4: not base64"
        );
        assert_eq!(
            error("-----BEGIN PGP MESSAGE-----\n\nSGVsb\n-----END PGP MESSAGE-----"),
            "armor: its base64 is cut short"
        );
        assert_eq!(error("-----BEGIN PGP MESSAGE-----\n\nSGVs\n"), "armor: ends without its last line, -----END PGP");
    }

    #[test]
    fn nothing_but_base64_and_one_checksum_stands_in_armor() {
        let error =
            |text: &str| message(&format!("-----BEGIN PGP MESSAGE-----\n\n{text}\nmore")).unwrap_err().to_string();
        for text in [
            "SGk=\nPay Mallory\n-----END PGP MESSAGE-----",
            "SGVs\n= Pay Mallory.\n-----END PGP MESSAGE-----",
            "SGVs\n=abcd Pay Mallory\n-----END PGP MESSAGE-----",
        ] {
            assert!(error(text).ends_with(": not base64"), "{text:?}: {}", error(text));
        }
        for last in ["-----END PGP MESSAGE----- .", "-----END PGP SIGNATURE-----", "-----END PGP MESSAGE"] {
            assert_eq!(error(&format!("SGVs\n=abcd\n{last}")), "armor, line 5: not the end of a PGP MESSAGE");
        }
    }

    #[test]
    fn cleartext_takes_no_header_but_hash_and_no_unescaped_dashes() {
        let error = |text: &str| cleartext(text.as_bytes()).unwrap_err().to_string();
        let signed =
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n- -dash\nline\n-----BEGIN PGP SIGNATURE-----\n";
        let found = cleartext(signed.as_bytes()).unwrap();
        assert_eq!(found.text, b"-dash\nline");
        assert!(found.signatures.starts_with(b"-----BEGIN PGP SIGNATURE-----"));
        assert_eq!(error(&signed.replace("Hash", "Comment")), "cleartext signature, line 2: not a Hash header");
        assert_eq!(error(&signed.replace("SHA512", "Pay Mallory")), "cleartext signature, line 2: not a Hash header");
        assert_eq!(
            error(&signed.replace("line", "-----BEGIN PGP MESSAGE-----")),
            "cleartext signature, line 5: starts with dashes that are not escaped"
        );
    }
}
