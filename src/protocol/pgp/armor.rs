//! Undoes armour (RFC 9580, section 6) and the cleartext framework (section 7), in place where the data is large.

use crate::base::{Error, Result};

/// What was in a block of armour.
#[derive(Debug)]
pub(super) struct Dearmored {
    /// The headers, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    /// The packets.
    pub(super) octets: Vec<u8>,
}

/// The parts of a cleartext-signed text.
#[derive(Debug)]
pub(super) struct Cleartext<'a> {
    /// What is signed: dashes unescaped, without the last line break, which is not signed.
    pub(super) text: Vec<u8>,
    /// The armoured signatures.
    pub(super) signatures: &'a [u8],
}

/// Whether `octets` start with armour, blank lines aside.
pub(super) fn is_armored(octets: &[u8]) -> bool {
    octets.trim_ascii_start().starts_with(BEGIN)
}

/// Undoes the first block of armour in `armored`, in its own memory; `label` is what it should hold, `MESSAGE` or `SIGNATURE`. Text
/// around the block is skipped. The checksum is not looked at, as RFC 9580 (section 6.1) demands: it protects nothing.
pub(super) fn dearmor(mut armored: Vec<u8>, label: &str) -> Result<Dearmored> {
    let mut headers = Vec::new();
    let mut cursor = Cursor { at: 0, line: 0 };
    loop {
        match cursor.next(&armored) {
            Some(line) => match line.strip_prefix(BEGIN) {
                Some(rest) if rest.strip_suffix(b"-----") == Some(label.as_bytes()) => break,
                Some(_) => {
                    return Err(Error::malformed(
                        format!("armour, line {}", cursor.line),
                        format!("not a PGP {label}"),
                    ));
                }
                None => {}
            },
            None => return Err(Error::malformed("armour", format!("does not begin with -----BEGIN PGP {label}-----"))),
        }
    }
    // Headers end at a blank line; a first line of data without one before it is forgiven.
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
            return Err(Error::malformed("armour", "ends without its last line, -----END PGP"));
        };
        if line.starts_with(b"-----END PGP ") {
            break;
        }
        if line.starts_with(b"=") {
            continue;
        }
        let place = cursor.line;
        for at in start..cursor.at {
            let Some(octet) = armored.get(at).copied() else { break };
            writer
                .push(&mut armored, octet)
                .map_err(|()| Error::malformed(format!("armour, line {place}"), "not base64"))?;
        }
    }
    writer.finish(&mut armored).map_err(|()| Error::malformed("armour", "its base64 is cut short"))?;
    armored.truncate(writer.written);
    Ok(Dearmored { headers, octets: armored })
}

/// Takes a cleartext-signed block apart. Its only header is `Hash` (RFC 9580, section 7.1), and that says nothing: any other could
/// be taken for signed text.
pub(super) fn cleartext(block: &[u8]) -> Result<Cleartext<'_>> {
    let mut cursor = Cursor { at: 0, line: 0 };
    cursor.next(block);
    loop {
        match cursor.next(block) {
            Some([]) => break,
            Some(line) if line.starts_with(b"Hash:") => {}
            _ => {
                return Err(Error::malformed(
                    format!("cleartext signature, line {}", cursor.line),
                    "not a Hash header",
                ));
            }
        }
    }
    let mut text = Vec::new();
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

fn header(line: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(line);
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// Walks lines, whatever ends them.
#[derive(Clone, Copy)]
struct Cursor {
    at: usize,
    line: usize,
}

impl Cursor {
    /// The next line without what ends it and without trailing white space.
    fn next<'a>(&mut self, octets: &'a [u8]) -> Option<&'a [u8]> {
        let rest = octets.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        self.at += length;
        self.line += 1;
        rest.get(..length).map(<[u8]>::trim_ascii_end)
    }
}

/// White space, also what editors and gateways make of it: the non-breaking space, in Latin-1 and in UTF-8.
fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0xa0 | 0xc2)
}

/// Base64 that is written over itself: three octets never overtake the four that they came from.
#[derive(Default)]
struct Base64 {
    bits: u32,
    count: u32,
    padded: bool,
    written: usize,
}

impl Base64 {
    fn push(&mut self, octets: &mut [u8], character: u8) -> Result<(), ()> {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                self.padded = true;
                return Ok(());
            }
            blank if is_blank(blank) => return Ok(()),
            _ => return Err(()),
        };
        // What follows the padding is the checksum, when its line was joined to the last one on the way.
        if self.padded {
            return Ok(());
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            self.write(octets, 3, 0);
        }
        Ok(())
    }

    fn finish(&mut self, octets: &mut [u8]) -> Result<(), ()> {
        match self.count {
            0 => {}
            2 => self.write(octets, 1, 12),
            3 => self.write(octets, 2, 6),
            _ => return Err(()),
        }
        Ok(())
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

/// How every first line of armour starts (RFC 9580, section 6.2).
const BEGIN: &[u8] = b"-----BEGIN PGP ";
