//! The mbox (RFC 4155): the `From ` line above each message, and where a message begins.

use memchr::{memchr, memmem};

/// Number of messages in an mbox; 0 if `octets` do not start with a `From ` line and a header field.
///
/// A message starts at a `From ` line after an empty line and before a header field. Other `From ` lines are text.
pub fn messages(octets: &[u8]) -> usize {
    let octets = octets.get(blank_lines(octets)..).unwrap_or_default();
    if label(octets).is_none() {
        return 0;
    }
    let mut count = 1;
    let mut rest = octets;
    while let Some(end) = next_message(rest) {
        count += 1;
        rest = rest.get(end.next..).unwrap_or_default();
    }
    count
}

/// Where a message ends in an mbox, and the next one begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// The end of the message. The empty line after it is not part of it.
    pub end: usize,
    /// The `From ` line of the next message.
    pub next: usize,
}

/// The first boundary in `octets`, which are an mbox from the middle of a message on; `None` when no other message begins in them.
pub fn next_message(octets: &[u8]) -> Option<Boundary> {
    memmem::find_iter(octets, BOUNDARY).find_map(|at| boundary(octets, at))
}

/// The boundary whose empty line ends with the line feed at `at`, if there is one.
pub fn boundary(octets: &[u8], at: usize) -> Option<Boundary> {
    let before = octets.get(..at)?;
    let text = before.strip_suffix(b"\r").unwrap_or(before);
    let is_boundary = text.ends_with(b"\n") && label(octets.get(at + 1..)?).is_some();
    is_boundary.then_some(Boundary { end: text.len(), next: at + 1 })
}

/// Length of the `From ` line at the start of `octets`, if a header field follows it. Lines that gateways add below it, quoted `From ` lines,
/// belong to it.
pub fn label(octets: &[u8]) -> Option<usize> {
    let mut rest = octets.strip_prefix(b"From ")?;
    loop {
        let end = memchr(b'\n', rest)?;
        rest = rest.get(end + 1..).unwrap_or_default();
        if !rest.starts_with(b">From ") {
            break;
        }
    }
    let line = memchr(b'\n', rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
    let name = memchr(b':', line).and_then(|end| line.get(..end)).unwrap_or_default().trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(octets.len() - rest.len())
}

/// Length of the empty lines at the start of `octets`.
pub fn blank_lines(octets: &[u8]) -> usize {
    octets.iter().take_while(|octet| matches!(octet, b'\r' | b'\n')).count()
}

/// What every boundary holds: the end of an empty line, and the first word of a `From ` line.
pub const BOUNDARY: &[u8] = b"\nFrom ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_an_mbox_are_counted() {
        const ONE: &str = "From a@example.org Mon Nov 30 10:00:00 2026\nFrom: a@example.org\n\nhi\n\n";
        assert_eq!(messages(ONE.as_bytes()), 1);
        assert_eq!(messages(ONE.repeat(3).as_bytes()), 3);
        assert_eq!(messages(ONE.repeat(3).replace('\n', "\r\n").as_bytes()), 3);
        assert_eq!(messages(format!("\n{}", ONE.repeat(2)).as_bytes()), 2);
        assert_eq!(messages(ONE.replace("From:", ">From x\nFrom:").repeat(2).as_bytes()), 2);
        for text in [
            "From me to you, all the best.\n\nBye: me\n",
            "From: a@example.org\n\nhi\n\nFrom b Mon\nFrom: b@example.org\n\nhi\n",
            "",
            "From ",
        ] {
            assert_eq!(messages(text.as_bytes()), 0, "{text:?}");
        }
        for text in ["\nFrom here on it is quiet.\n", "From b Mon\nFrom: b@example.org\n", "\n>From b Mon\nFrom: b\n"] {
            assert_eq!(messages(format!("{}{text}", ONE.trim_end()).as_bytes()), 1, "{text:?}");
        }
    }

    #[test]
    fn the_empty_line_before_a_message_is_in_none() {
        for (text, end, next) in [("hi\n\nFrom b Mon\nFrom: b\n", 3, 4), ("hi\r\n\r\nFrom b Mon\r\nFrom: b\r\n", 4, 6)]
        {
            assert_eq!(next_message(text.as_bytes()), Some(Boundary { end, next }), "{text:?}");
        }
    }
}
