//! The formats of mbox: how a line of a message that looks like a `From ` line is told from one.

use std::borrow::Cow;

use memchr::{memchr_iter, memmem};

use crate::mail::mbox;

/// How the lines of a message that begin with `From ` are written.
///
/// Thunderbird writes [`Format::Rd`], with its flags in X-Mozilla-Status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// mboxrd: a `>` more before `From ` and any number of `>`. Nothing is lost.
    #[default]
    Rd,
    /// mboxo: `>From `. A line that was written so by the author cannot be told from one that was quoted.
    O,
    /// mboxcl2: as they are. The Content-Length field says where a message ends.
    Cl2,
}

impl Format {
    /// The format of the mbox that begins with `octets`: mboxcl2 when each message in them has a Content-Length that leads to the end or to a
    /// `From ` line, and mboxrd otherwise. One message with a Content-Length that its sender wrote does not make it mboxcl2.
    pub fn recognize(octets: &[u8]) -> Format {
        let mut rest = octets.get(mbox::blank_lines(octets)..).unwrap_or_default();
        let mut fitting = 0;
        while let Some(label) = mbox::label(rest) {
            let message = rest.get(label..).unwrap_or_default();
            let Some(end) = content_end(message) else { return Format::Rd };
            // It ends beyond what is seen.
            let Some(after) = message.get(end..) else { break };
            let next = after.get(mbox::blank_lines(after)..).unwrap_or_default();
            if !next.is_empty() && mbox::label(next).is_none() {
                return Format::Rd;
            }
            fitting += 1;
            rest = next;
        }
        if fitting > 0 { Format::Cl2 } else { Format::Rd }
    }

    /// A message as it was before it was written in this format.
    pub fn unquoted(self, message: &[u8]) -> Cow<'_, [u8]> {
        let is_quoted = |line: &[u8]| match self {
            Format::Rd => line.starts_with(b">") && after_marks(line).starts_with(b"From "),
            Format::O => line.starts_with(b">From "),
            Format::Cl2 => false,
        };
        if self == Format::Cl2 || memmem::find(message, b">From ").is_none() {
            return Cow::Borrowed(message);
        }
        let mut plain = Vec::with_capacity(message.len());
        for line in lines(message) {
            let from = usize::from(is_quoted(line));
            plain.extend_from_slice(line.get(from..).unwrap_or_default());
        }
        Cow::Owned(plain)
    }

    /// A message as it is written in this format.
    pub fn quoted(self, message: &[u8]) -> Cow<'_, [u8]> {
        let is_to_quote = |line: &[u8]| match self {
            Format::Rd => after_marks(line).starts_with(b"From "),
            Format::O => line.starts_with(b"From "),
            Format::Cl2 => false,
        };
        if self == Format::Cl2 {
            return with_content_length(message);
        }
        if memmem::find(message, b"From ").is_none() {
            return Cow::Borrowed(message);
        }
        let mut quoted = Vec::with_capacity(message.len() + 64);
        for line in lines(message) {
            if is_to_quote(line) {
                quoted.push(b'>');
            }
            quoted.extend_from_slice(line);
        }
        Cow::Owned(quoted)
    }
}

/// Where a message ends, by its Content-Length; `None` without one, and when its header does not end in `message`.
pub(super) fn content_end(message: &[u8]) -> Option<usize> {
    let header = header_length(message)?;
    let length = content_length(message.get(..header)?)?;
    header.checked_add(length)
}

/// Length of the header with the empty line after it.
pub(super) fn header_length(message: &[u8]) -> Option<usize> {
    if let Some(blank) = [b"\n".as_slice(), b"\r\n"].into_iter().find(|blank| message.starts_with(blank)) {
        return Some(blank.len());
    }
    let ends = memchr_iter(b'\n', message).map(|at| at + 1);
    ends.into_iter().find_map(|start| {
        let rest = message.get(start..)?;
        let blank = [b"\n".as_slice(), b"\r\n"].into_iter().find(|blank| rest.starts_with(blank))?;
        Some(start + blank.len())
    })
}

/// The value of the one Content-Length field. With two of them none is believed.
fn content_length(header: &[u8]) -> Option<usize> {
    let mut values = lines(header).filter_map(value_of_length);
    let value = values.next()?;
    let is_only = values.next().is_none();
    std::str::from_utf8(value).ok()?.trim().parse().ok().filter(|_| is_only)
}

fn value_of_length(line: &[u8]) -> Option<&[u8]> {
    let (name, value) = line.split_at_checked(CONTENT_LENGTH.len())?;
    name.eq_ignore_ascii_case(CONTENT_LENGTH).then_some(value)
}

/// The message with a Content-Length field that is right, and no other.
fn with_content_length(message: &[u8]) -> Cow<'_, [u8]> {
    if content_end(message) == Some(message.len()) {
        return Cow::Borrowed(message);
    }
    let header = header_length(message).unwrap_or(message.len());
    let (header, body) = message.split_at_checked(header).unwrap_or((message, &[]));
    let line_end: &[u8] = if header.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
    let mut written = Vec::with_capacity(message.len() + 64);
    for line in lines(header) {
        if line == line_end {
            break;
        }
        if value_of_length(line).is_none() {
            written.extend_from_slice(line);
        }
    }
    written.extend_from_slice(format!("Content-Length: {}", body.len()).as_bytes());
    written.extend_from_slice(line_end);
    written.extend_from_slice(line_end);
    written.extend_from_slice(body);
    Cow::Owned(written)
}

fn after_marks(line: &[u8]) -> &[u8] {
    let marks = line.iter().take_while(|octet| **octet == b'>').count();
    line.get(marks..).unwrap_or_default()
}

/// The lines with their ends.
fn lines(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    octets.split_inclusive(|octet| *octet == b'\n')
}

const CONTENT_LENGTH: &[u8] = b"Content-Length:";

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    #[test]
    fn a_content_length_of_one_message_makes_no_mboxcl2() {
        let with = |length: usize| format!("From a Mon\nFrom: a\nContent-Length: {length}\n\nhi\n\n");
        let without = "From a Mon\nFrom: a\n\nhi\n\n";
        assert_eq!(Format::recognize(with(3).repeat(3).as_bytes()), Format::Cl2);
        for other in [without.to_owned(), with(3) + without, without.to_owned() + &with(3), with(1), with(9999)] {
            assert_eq!(Format::recognize(other.as_bytes()), Format::Rd, "{other:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_quoted_is_unquoted_to_the_same(
            lines in vec(select(vec!["From a\n", ">From a\n", ">>From b\r\n", "x\n", "\n", ">\n", "Subject: From \n", "From ", ">"]), 0..12),
        ) {
            let message = lines.concat();
            let quoted = Format::Rd.quoted(message.as_bytes());
            prop_assert!(lines_of(&quoted).all(|line| !line.starts_with(b"From ")));
            let unquoted = Format::Rd.unquoted(&quoted);
            prop_assert_eq!(unquoted.as_ref(), message.as_bytes());
        }
    }

    fn lines_of(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
        lines(octets)
    }

    #[test]
    fn the_content_length_is_put_right() {
        let written = |message: &str| String::from_utf8(Format::Cl2.quoted(message.as_bytes()).into_owned()).unwrap();
        assert_eq!(written("From: a\n\nhi\n"), "From: a\nContent-Length: 3\n\nhi\n");
        assert_eq!(written("From: a\r\ncontent-length: 9\r\n\r\nhi\r\n"), "From: a\r\nContent-Length: 4\r\n\r\nhi\r\n");
        assert_eq!(written("From: a\nContent-Length: 3\n\nhi\n"), "From: a\nContent-Length: 3\n\nhi\n");
    }
}
