//! Reads and writes encoded words (RFC 2047).

use memchr::memmem;

use super::{
    encoding::{base64_decode, is_base64, is_quoted_printable, quoted_printable_decode, to_unicode, trim_blank_end},
    header::Field,
    parameters::ContentType,
};
use crate::base::{Error, Result};

/// Decodes the encoded words (RFC 2047) in a header value.
///
/// White space between two encoded words is dropped. A character may be split between two words of the same charset, as
/// many programs write. Decoded line breaks and NUL become spaces, because a header value cannot contain them.
pub fn decode_words(value: &str) -> String {
    decode_octets(value.as_bytes())
}

/// Like [`decode_words`], for any octets: encoded words sometimes contain raw octets of their charset.
pub(super) fn decode_octets(value: &[u8]) -> String {
    let mut decoded = String::with_capacity(value.len());
    let mut rest = value;
    // Adjacent words so far.
    let mut row: Option<Word> = None;
    while let Some(at) = memmem::find(rest, b"=?") {
        let (before, start) = rest.split_at_checked(at).unwrap_or_default();
        let Some((word, after)) = word(start) else {
            // Not an encoded word: `=?` is text.
            end_row(&mut row, &mut decoded);
            let (text, after) = rest.split_at_checked(at + 2).unwrap_or_default();
            decoded.push_str(&to_unicode(text, "us-ascii"));
            rest = after;
            continue;
        };
        if row.is_none() || !before.iter().all(u8::is_ascii_whitespace) {
            end_row(&mut row, &mut decoded);
            decoded.push_str(&to_unicode(before, "us-ascii"));
        }
        match &mut row {
            Some(row) if row.charset.eq_ignore_ascii_case(&word.charset) => row.octets.extend(word.octets),
            _ => {
                end_row(&mut row, &mut decoded);
                row = Some(word);
            }
        }
        rest = after;
    }
    end_row(&mut row, &mut decoded);
    decoded.push_str(&to_unicode(rest, "us-ascii"));
    decoded
}

/// Whether every encoded word of an unfolded value is separated by white space (RFC 2047, section 5). Readers differ in
/// whether they decode others.
pub(super) fn are_apart(value: &str) -> bool {
    value.split([' ', '\t']).filter(|word| word.contains("=?")).all(|word| {
        let inside = word.strip_prefix("=?").and_then(|word| word.strip_suffix("?="));
        inside.is_some_and(|inside| inside.matches('?').count() == 2)
    })
}

/// Whether all readers decode every encoded word of a value to the same text (RFC 2047, section 2).
pub(super) fn are_whole(value: &str) -> bool {
    let mut rest = value;
    while let Some((_, word)) = rest.split_once("=?") {
        let mut parts = word.splitn(3, '?');
        let (Some(charset), Some(encoding), Some(after)) = (parts.next(), parts.next(), parts.next()) else {
            return false;
        };
        let Some((text, after)) = after.split_once("?=") else { return false };
        let is_charset = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.:+*".contains(&octet);
        let is_text = match encoding {
            "B" | "b" => is_base64(text.as_bytes()),
            "Q" | "q" => {
                !text.contains([' ', '\t', '?']) && is_quoted_printable(text.as_bytes()) && !text.ends_with('=')
            }
            _ => false,
        };
        if charset.is_empty() || !charset.bytes().all(is_charset) || !is_text {
            return false;
        }
        rest = after;
    }
    true
}

/// Encodes Unicode as a header value: unchanged if it is printable ASCII that does not look like an encoded word;
/// otherwise encoded words in UTF-8 (RFC 2047), folded with CRLF to lines of at most 76 characters.
pub fn encode_words(text: &str) -> String {
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        let encoded: String = c.encode_utf8(&mut [0; 4]).bytes().map(q).collect();
        // At most 75 characters including `=?utf-8?q?` and `?=` (RFC 2047, section 2), and no character is split
        // (section 5).
        if word.len() + encoded.len() > 75 - 12 {
            words.push(std::mem::take(&mut word));
        }
        word.push_str(&encoded);
    }
    words.push(word);
    words.iter().map(|word| format!("=?utf-8?q?{word}?=")).collect::<Vec<_>>().join("\r\n ")
}

/// Encodes Unicode as a display name (RFC 5322, section 3.2.5): unchanged, quoted if necessary, or in encoded words.
pub fn encode_phrase(name: &str) -> String {
    let is_phrase = name.chars().all(|c| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c));
    let is_printable = name.bytes().all(|octet| matches!(octet, b' '..=b'~')) && !name.contains("=?");
    match (is_phrase && is_printable, is_printable) {
        (true, _) => name.to_owned(),
        (false, true) => format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
        (false, false) => encode_words(name),
    }
}

/// Converts a field with 8-bit octets to ASCII: parameters by RFC 2231, words by RFC 2047. Addresses that are not ASCII
/// cannot be converted (RFC 6532).
pub(super) fn in_ascii(field: &Field<'_>) -> Result<Vec<u8>> {
    let refused = |reason| Error::malformed(format_args!("header field {:?}", field.name), reason);
    if field.name.is_empty() {
        return Err(refused("a line that is not a field has octets that are not 7-bit"));
    }
    let is_disposition = field.is("content-disposition");
    if is_disposition || field.is("content-type") {
        let text = to_unicode(field.value, "utf-8");
        let value = if is_disposition { ContentType::disposition(&text) } else { ContentType::of_octets(field.value) };
        return Ok(format!("{}: {value}\r\n", field.name).into_bytes());
    }
    let text = to_unicode(field.value, "us-ascii").replace(['\r', '\n'], "");
    let mut value = String::new();
    // Consecutive words that are not ASCII are encoded together.
    let mut run = String::new();
    for word in text.split_inclusive(' ') {
        if word.is_ascii() {
            end_run(&mut run, &mut value);
            value.push_str(word);
        } else if word.contains('@') {
            return Err(refused("an address that is not ASCII cannot be made 7-bit"));
        } else {
            run.push_str(word);
        }
    }
    end_run(&mut run, &mut value);
    Ok(format!("{}:{value}\r\n", field.name).into_bytes())
}

fn end_run(run: &mut String, value: &mut String) {
    let words = run.trim_end_matches(' ');
    if !words.is_empty() {
        value.push_str(&encode_words(words));
    }
    value.extend(run.get(words.len()..));
    run.clear();
}

/// Maximum octets of an encoded word's content. Source: RFC 2047, section 2 allows 75 in all; some programs write a
/// whole subject of 998 octets as one.
const LONGEST: usize = 4096;

struct Word {
    charset: String,
    octets: Vec<u8>,
}

/// The encoded word at the start of `text`, and the octets after it.
fn word(text: &[u8]) -> Option<(Word, &[u8])> {
    let text = text.strip_prefix(b"=?")?;
    // Charset names are shorter. The limit avoids quadratic time.
    let name = text.iter().take(64).position(|octet| *octet == b'?')?;
    let (charset, text) = text.split_at_checked(name)?;
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let (encoding, text) = text.get(1..)?.split_at_checked(1)?;
    let text = text.strip_prefix(b"?").filter(|_| matches!(encoding, b"B" | b"b" | b"Q" | b"q"))?;
    // The end is searched within a limit, also to avoid quadratic time.
    let length = memmem::find(text.get(..LONGEST.min(text.len()))?, b"?=")?;
    let (content, after) = text.split_at_checked(length)?;
    let octets = match encoding {
        b"B" | b"b" => base64_decode(content),
        b"Q" | b"q" => {
            let spaced: Vec<u8> = content.iter().map(|octet| if *octet == b'_' { b' ' } else { *octet }).collect();
            q_decoded(&spaced)
        }
        _ => return None,
    };
    let word = Word { charset: String::from_utf8_lossy(charset).into_owned(), octets };
    Some((word, after.get(2..).unwrap_or_default()))
}

/// Like quoted-printable, but trailing spaces are kept.
fn q_decoded(content: &[u8]) -> Vec<u8> {
    let blanks = content.len() - trim_blank_end(content).len();
    let mut octets = quoted_printable_decode(content);
    octets.extend(std::iter::repeat_n(b' ', blanks));
    octets
}

fn end_row(row: &mut Option<Word>, decoded: &mut String) {
    if let Some(word) = row.take() {
        let text = to_unicode(&word.octets, &word.charset);
        decoded.extend(text.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }));
    }
}

/// One octet in Q encoding (RFC 2047, section 4.2), safe in a phrase too (section 5, rule 3).
fn q(octet: u8) -> String {
    match octet {
        b' ' => "_".into(),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'*' | b'+' | b'-' | b'/' => char::from(octet).into(),
        _ => format!("={octet:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_that_readers_decode_alike() {
        for plain in ["", "a = ?", "=?utf-8?q?Fr=C3=BChst?= =?UTF-8?B?w7w=?=", "a =?us-ascii?q?b?= c"] {
            assert!(are_whole(plain) && are_apart(plain), "{plain}");
        }
        for odd in
            ["=?utf-8?b?THVuY2g?=", "=?utf-8?q?a b?=", "=?utf-8?x?a?=", "=?utf-8?q?a=4?=", "=??q?a?=", "=?utf-8?q?a"]
        {
            assert!(!are_whole(odd), "{odd}");
        }
        for inside in ["=?utf-8?q?a?=b", "x=?utf-8?q?a?=", "\"=?utf-8?q?a?=\""] {
            assert!(are_whole(inside) && !are_apart(inside), "{inside}");
        }
    }

    #[test]
    fn the_examples_of_rfc_2047_section_8() {
        for (encoded, expected) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
        ] {
            assert_eq!(decode_words(encoded), expected, "{encoded}");
        }
    }

    #[test]
    fn encoded_words_of_other_people() {
        for (encoded, expected) in [
            ("=?utf-8?Q?=C3?= =?UTF-8?b?qQ==?=", "\u{e9}"),
            ("=?utf-8*en?q?a=C3=A9_?=", "a\u{e9} "),
            ("x=?utf-8?q?a?=y", "xay"),
            ("=?utf-8?q?two words?=", "two words"),
            ("a =? b =?utf-8?x?a?= =?utf-8?q?c", "a =? b =?utf-8?x?a?= =?utf-8?q?c"),
            ("=?utf-8?q?a=0D=0ABcc:_x=00?=", "a  Bcc: x "),
            ("no words =3D", "no words =3D"),
        ] {
            assert_eq!(decode_words(encoded), expected, "{encoded}");
        }
    }

    #[test]
    fn ascii_stays() {
        assert_eq!(encode_words("plain (text) = ok?"), "plain (text) = ok?");
        assert_eq!(encode_words("caf\u{e9} _"), "=?utf-8?q?caf=C3=A9_=5F?=");
    }

    proptest! {
        #[test]
        fn words_come_back(text in "([ \t\u{e9}=?_]|\\PC)*") {
            let encoded = encode_words(&text);
            prop_assert!(encoded.is_ascii() && (encoded == text || encoded.split("\r\n").all(|line| line.len() <= 76)));
            prop_assert_eq!(decode_words(&encoded.replace("\r\n", "")), text);
        }
    }
}
