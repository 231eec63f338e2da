//! The text that is signed, and the forms it travels in (RFC 1421, section 4.3.2; RFC 934).

use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memchr_iter;

/// The canonical text of what stands in a MIC-CLEAR message: CRLF at the end of each line, and the dashes of encapsulation gone
/// (RFC 1421, section 4.4).
pub fn of_clear(text: &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    for_lines(text, |line, broken| {
        canonical.extend_from_slice(line.strip_prefix(b"- ").unwrap_or(line));
        if broken {
            canonical.extend_from_slice(b"\r\n");
        }
    });
    canonical
}

/// The canonical text of a local one: CRLF at the end of each line, and nothing else.
pub fn of_local(text: &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    for_lines(text, |line, broken| {
        canonical.extend_from_slice(line);
        if broken {
            canonical.extend_from_slice(b"\r\n");
        }
    });
    canonical
}

/// A canonical text as it stands in a MIC-CLEAR message: `- ` before each line that starts with a dash (RFC 934, section 3). What ends
/// without a line break has to be given one first, because a boundary follows.
pub(super) fn stuffed(canonical: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(canonical.len() + canonical.len() / 64);
    for line in canonical.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b"-") {
            text.extend_from_slice(b"- ");
        }
        text.extend_from_slice(line);
    }
    text
}

/// The printable encoding of RFC 1421, section 4.3.2.4: base64 in lines of 64 characters with CRLF, each after `margin`.
pub(super) fn printable(octets: &[u8], margin: &str) -> String {
    let encoded = STANDARD.encode(octets);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 16 + 4);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE).unwrap_or((rest, ""));
        lines.push_str(margin);
        lines.push_str(line);
        lines.push_str("\r\n");
        rest = after;
    }
    lines
}

/// Calls `each` with every line without its break, and whether there was one.
fn for_lines(text: &[u8], mut each: impl FnMut(&[u8], bool)) {
    let mut from = 0;
    for at in memchr_iter(b'\n', text) {
        let line = text.get(from..at).unwrap_or_default();
        each(line.strip_suffix(b"\r").unwrap_or(line), true);
        from = at + 1;
    }
    let last = text.get(from..).unwrap_or_default();
    if !last.is_empty() {
        each(last, false);
    }
}

/// Characters of a line.
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_come_and_go() {
        let canonical = of_local(b"a\n-b\r\n- c\n\n--");
        assert_eq!(canonical, b"a\r\n-b\r\n- c\r\n\r\n--");
        let text = stuffed(&canonical);
        assert_eq!(text, b"a\r\n- -b\r\n- - c\r\n\r\n- --");
        assert_eq!(of_clear(&text), canonical);
        assert_eq!(of_clear(b"- \n-x\nlone\rcr\n"), b"\r\n-x\r\nlone\rcr\r\n");
    }

    #[test]
    fn lines_have_64_characters() {
        assert_eq!(printable(&[0; 49], " "), format!(" {}\r\n AA==\r\n", "A".repeat(64)));
        assert_eq!(printable(&[0; 48], ""), format!("{}\r\n", "A".repeat(64)));
        assert_eq!(printable(&[], " "), "");
    }
}
