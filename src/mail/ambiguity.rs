//! Where readers of mail differ: they end lines at a lone CR or not, end the header at the first line that is no field or not, and take other
//! lines for boundaries. What is verified here need not be what such a reader shows.

use memchr::{memchr2, memmem};

use super::{
    Part, Span, bare,
    header::{boundary, times_read},
    parameters::boundaries,
};

/// Whether two readers may find different bodies in `part`, of which nothing but a signature over one of its own parts is vouched for.
pub fn is_ambiguous(part: Part<'_>) -> bool {
    let twice = |name: &str| times_read(part, name) > 1;
    let is_structured_twice = || {
        let kind = part.fields().find(|field| field.is("content-type")).map(|field| field.value);
        kind.is_some_and(|kind| boundaries(kind) > 1)
            || kind.and_then(boundary).is_some_and(|boundary| has_other_boundaries(part, &boundary))
    };
    // Some take the lines of armour, or a binary object, up to an empty line for a header.
    bare::begins(part.octets()).is_some()
        || !ends_everywhere(part.header_octets())
        || twice("content-type")
        || twice("content-transfer-encoding")
        || is_structured_twice()
}

/// Whether every reader finds the end of `header` where we do: some take a line that is neither field (RFC 5322, section 2.2) nor continuation
/// for the body's first, some a blank one, some end lines at a lone CR, and some read no further than to a NUL.
fn ends_everywhere(header: &[u8]) -> bool {
    let mut lines =
        header.split(|octet| *octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).enumerate();
    lines.all(|(index, line)| {
        let is_field = || {
            let name = line.split(|octet| *octet == b':').next().unwrap_or_default();
            name.len() < line.len() && !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
        };
        let is_continuation = || matches!(line, [b' ' | b'\t', ..]) && index > 0 && !line.trim_ascii().is_empty();
        // What a mailbox puts before the first field.
        let is_envelope = || {
            let rest = line.strip_prefix(b"From ").filter(|_| index == 0);
            rest.is_some_and(|rest| !rest.trim_ascii_start().starts_with(b":"))
        };
        memchr2(b'\r', 0, line).is_none() && (line.is_empty() || is_field() || is_continuation() || is_envelope())
    })
}

/// Whether some reader finds a boundary of a multipart where we find none, outside its first part: RFC 2046, section 5.1.1 lets a line be one that only
/// starts like it, and lines may end at a lone CR. In the first part of multipart/signed the signer vouches for what looks like one.
fn has_other_boundaries(part: Part<'_>, boundary: &[u8]) -> bool {
    let Some(first) = part.children().next().map(|child| child.span()) else { return false };
    let body = part.body_span();
    let delimiter = [b"--", boundary].concat();
    [Span { start: body.start, end: first.start }, Span { start: first.end, end: body.end }].into_iter().any(|margin| {
        let margin = part.whole(margin);
        memmem::find_iter(margin, &delimiter).any(|at| {
            let (before, after) = margin.split_at_checked(at).unwrap_or_default();
            let after = after.get(delimiter.len()..).unwrap_or_default();
            is_boundary_to_some(before) && !(is_boundary_to_us(before, after))
        })
    })
}

fn is_boundary_to_some(before: &[u8]) -> bool {
    matches!(before.last(), None | Some(b'\r' | b'\n'))
}

fn is_boundary_to_us(before: &[u8], after: &[u8]) -> bool {
    let after = after.strip_prefix(b"--").unwrap_or(after);
    let line = after.split(|octet| *octet == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    before.last() != Some(&b'\r') && line.iter().all(|octet| matches!(octet, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    const BODY: &str = "\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n";

    fn ambiguous(message: &str) -> bool {
        is_ambiguous(Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap().root())
    }

    #[test]
    fn headers_that_end_earlier_for_some() {
        let with = |lines: &str| format!("{lines}Content-Type: multipart/signed; boundary=b\r\n{BODY}");
        for plain in
            ["", "From x Mon\r\n", "From: a\r\n b\r\n\tc\r\n", "X-Empty:\r\n", "Subject: \u{e9}\r\n", "X: 1\nY: 2\n"]
        {
            assert!(!ambiguous(&with(plain)), "{plain:?}");
        }
        for odd in [
            "Pay Mallory.\r\n",
            "Pay Mallory: now\r\n",
            "From : a\r\n",
            ": x\r\n",
            "X: y\r\n \r\n Pay Mallory.\r\n",
            "X: y\r\rPay Mallory.\r\n",
            "X: y\n\rPay Mallory.\r\n",
            "X: y\0\r\n",
            "\u{e9}: x\r\n",
            "X: y\r\nFrom x Mon\r\n",
            "-----BEGIN PGP SIGNED MESSAGE-----\r\n",
        ] {
            assert!(ambiguous(&with(odd)), "{odd:?}");
        }
    }

    #[test]
    fn boundaries_that_only_some_find() {
        let with = |preamble: &str, epilogue: &str| {
            let body = BODY.strip_prefix("\r\n").unwrap();
            format!("Content-Type: multipart/signed; boundary=b\r\n\r\n{preamble}{body}{epilogue}")
        };
        for plain in ["", "--a\r\n", "x--b\r\n", "-- b\r\n"] {
            assert!(!ambiguous(&with(plain, plain)), "{plain:?}");
        }
        assert!(!ambiguous(&with("", "--b-- \t\r\n").replace("one", "--bee\rone")), "the signer wrote it");
        for odd in
            ["--bee\r\n\r\nPay Mallory.\r\n", "x\r--b\r\rPay Mallory.\r\n", "--b\r\rPay Mallory.\r\n", "--b--x\r\n"]
        {
            assert!(ambiguous(&with(odd, "")), "{odd:?}");
            assert!(ambiguous(&with("", odd)), "{odd:?}");
        }
    }

    #[test]
    fn a_second_content_type_is_ambiguous_however_it_is_hidden() {
        for (header, expected) in [
            ("Content-Type: text/plain\nContent-Transfer-Encoding: 7bit", false),
            ("Content-Type: multipart/signed\nContent-Type: text/plain", true),
            ("Content-Type: multipart/signed\nX: y\rcontent-type : text/plain", true),
            ("Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64", true),
        ] {
            assert_eq!(ambiguous(&format!("{header}\n\n")), expected, "{header:?}");
        }
    }
}
