//! Line endings of whole messages: CRLF in SMTP, LF in files and pipes.

use memchr::memchr_iter;

/// Whether the first line ends in CRLF.
pub(super) fn are_crlf(octets: &[u8]) -> bool {
    memchr_iter(b'\n', octets).next().is_some_and(|end| octets.get(..end).unwrap_or_default().ends_with(b"\r"))
}

/// Converts CRLF to LF. A lone CR stays.
pub(super) fn to_lf(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(octets.len());
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => {
                lines.extend_from_slice(line);
                lines.push(b'\n');
            }
            None => lines.extend_from_slice(line),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_line_endings_change() {
        assert_eq!(to_lf(b"a\r\nb\nc\rd\r\n\r\n\r"), b"a\nb\nc\rd\n\n\r");
        assert!(are_crlf(b"a\r\nb\n") && !are_crlf(b"a\nb\r\n") && !are_crlf(b"a"));
    }
}
