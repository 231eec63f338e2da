//! Names of mailboxes: the modified UTF-7 of RFC 3501, section 5.1.3, and quoted strings.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::base::{Error, Result};

/// How the names on a connection are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// In modified UTF-7, as servers of RFC 3501 have them.
    Utf7,
    /// In UTF-8, when it was enabled (RFC 6855; RFC 9051, section 5.1).
    Utf8,
}

impl Naming {
    /// The name as it stands on the wire.
    pub fn write(self, name: &str) -> Vec<u8> {
        match self {
            Naming::Utf8 => name.as_bytes().to_vec(),
            Naming::Utf7 => to_utf7(name).into_bytes(),
        }
    }

    /// The name for people. One that is not well formed stays as it is.
    pub fn read(self, wire: &[u8]) -> String {
        let decoded = match self {
            Naming::Utf8 => None,
            Naming::Utf7 => from_utf7(wire),
        };
        decoded.unwrap_or_else(|| String::from_utf8_lossy(wire).into_owned())
    }
}

/// A quoted string.
///
/// # Errors
///
/// `Usage`: an octet that no quoted string can have.
pub(super) fn quoted(name: &[u8]) -> Result<Vec<u8>> {
    if name.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return Err(Error::usage(format!("{}: a line break in the name of a mailbox", String::from_utf8_lossy(name))));
    }
    let mut quoted = vec![b'"'];
    for octet in name {
        if matches!(octet, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*octet);
    }
    quoted.push(b'"');
    Ok(quoted)
}

fn to_utf7(name: &str) -> String {
    let mut written = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_direct = |c: char| (' '..='~').contains(&c);
        if is_direct(first) {
            let end = rest.find(|c| !is_direct(c)).unwrap_or(rest.len());
            let (direct, after) = rest.split_at(end);
            written.push_str(&direct.replace('&', "&-"));
            rest = after;
        } else {
            let end = rest.find(is_direct).unwrap_or(rest.len());
            let (shifted, after) = rest.split_at(end);
            let octets: Vec<u8> = shifted.encode_utf16().flat_map(u16::to_be_bytes).collect();
            written.push('&');
            written.push_str(&MODIFIED.encode(octets));
            written.push('-');
            rest = after;
        }
    }
    written
}

fn from_utf7(wire: &[u8]) -> Option<String> {
    let mut text = std::str::from_utf8(wire).ok()?;
    let mut read = String::new();
    while let Some((direct, rest)) = text.split_once('&') {
        read.push_str(direct);
        let (shifted, after) = rest.split_once('-')?;
        if shifted.is_empty() {
            read.push('&');
        } else {
            let octets = MODIFIED.decode(shifted).ok()?;
            let (units, odd) = octets.as_chunks::<2>();
            if !odd.is_empty() {
                return None;
            }
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            read.push_str(&char::decode_utf16(units).collect::<Result<String, _>>().ok()?);
        }
        text = after;
    }
    read.push_str(text);
    Some(read)
}

/// Base64 with a comma for the slash, and without padding.
const MODIFIED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two are those of RFC 3501, section 5.1.3.
    #[test]
    fn names_are_written_in_modified_utf7() {
        for (name, wire) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("☺!", "&Jjo-!"),
            ("Entwürfe", "Entw&APw-rfe"),
            ("R&D", "R&-D"),
            ("😀", "&2D3eAA-"),
            ("a\tb", "a&AAk-b"),
            ("", ""),
        ] {
            assert_eq!(String::from_utf8(Naming::Utf7.write(name)).unwrap(), wire);
            assert_eq!(Naming::Utf7.read(wire.as_bytes()), name);
            assert_eq!(Naming::Utf8.write(name), name.as_bytes());
        }
        for wrong in ["&", "&AAA", "&2D0-", "&U,B-", "x&\u{e4}-"] {
            assert_eq!(Naming::Utf7.read(wrong.as_bytes()), wrong);
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(quoted(b"a \"b\" \\c").unwrap(), b"\"a \\\"b\\\" \\\\c\"");
        for wrong in [&b"a\r"[..], b"a\nb", b"\0"] {
            assert!(quoted(wrong).is_err());
        }
    }
}
