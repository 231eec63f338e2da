//! The canonical text that is signed, and its transport encodings (RFC 1421, section 4.3.2; RFC 934).

use base64::{Engine, engine::general_purpose::STANDARD};
use memchr::memchr_iter;

/// The canonical text of a MIC-CLEAR message: lines end in CRLF, and the dashes added by encapsulation are removed (RFC
/// 1421, section 4.4).
pub fn of_clear(text: &[u8]) -> Vec<u8> {
    with_crlf(text, |line| line.strip_prefix(b"- ").unwrap_or(line))
}

/// The canonical text of a local text: lines end in CRLF.
pub fn of_local(text: &[u8]) -> Vec<u8> {
    with_crlf(text, |line| line)
}

/// The text of a MIC-CLEAR message for a canonical text: `- ` before each line that starts with a dash (RFC 934,
/// section 3). The text must end with a line break, because a boundary follows.
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

/// The printable encoding of RFC 1421, section 4.3.2.4: base64 in lines of 64 characters with CRLF, each after
/// `margin`.
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

/// `text` with CRLF at the end of each line, and each line as returned by `kept`.
fn with_crlf(text: &[u8], kept: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let mut canonical = Vec::with_capacity(text.len() + text.len() / 32 + 2);
    let mut from = 0;
    each_line_feed(text, |at| {
        let line = text.get(from..at).unwrap_or_default();
        canonical.extend_from_slice(kept(line.strip_suffix(b"\r").unwrap_or(line)));
        canonical.extend_from_slice(b"\r\n");
        from = at + 1;
    });
    canonical.extend_from_slice(kept(text.get(from..).unwrap_or_default()));
    canonical
}

/// Calls `found` with the position of every LF. Lines of mail are short: restarting a search after each is slower than
/// marking them in 64 octets at a time.
fn each_line_feed(text: &[u8], mut found: impl FnMut(usize)) {
    let (blocks, rest) = text.as_chunks::<64>();
    for (index, block) in blocks.iter().enumerate() {
        let mut marks = line_feeds(block);
        while marks != 0 {
            found(index * block.len() + marks.trailing_zeros() as usize);
            marks &= marks - 1;
        }
    }
    memchr_iter(b'\n', rest).for_each(|at| found(text.len() - rest.len() + at));
}

/// One bit per octet, from the lowest: whether it is LF.
fn line_feeds(block: &[u8; 64]) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const LOW: u64 = ONES * 0x7f;
    // Moves the highest bits of eight octets into one octet, in order.
    const GATHER: u64 = 0x0002_0408_1020_4081;
    let mut marks = [0; 8];
    for (marks, octets) in marks.iter_mut().zip(block.as_chunks().0) {
        let zeros = u64::from_le_bytes(*octets) ^ (ONES * b'\n' as u64);
        // The highest bit of each zero octet, and no other bit.
        let highest = !(((zeros & LOW) + LOW) | zeros | LOW);
        *marks = highest.wrapping_mul(GATHER).to_be_bytes()[0];
    }
    u64::from_le_bytes(marks)
}

/// Characters in a line.
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
    fn every_line_ends_with_crlf() {
        for length in 0..150 {
            for line_break in ["\n", "\r\n"] {
                let lines: Vec<Vec<u8>> = (0..=u8::MAX)
                    .filter(|octet| !b"\r\n".contains(octet))
                    .map(|octet| vec![octet; length % (usize::from(octet) + 1)])
                    .collect();
                assert_eq!(of_local(&lines.join(line_break.as_bytes())), lines.join(&b"\r\n"[..]), "{length}");
            }
        }
        assert_eq!(of_local(b"\r\r\n\n\r"), b"\r\r\n\r\n\r");
    }

    #[test]
    fn lines_have_64_characters() {
        assert_eq!(printable(&[0; 49], " "), format!(" {}\r\n AA==\r\n", "A".repeat(64)));
        assert_eq!(printable(&[0; 48], ""), format!("{}\r\n", "A".repeat(64)));
        assert_eq!(printable(&[], " "), "");
    }
}
