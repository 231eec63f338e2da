//! Finds PEM messages in a text (RFC 1421, section 4.4; RFC 934, section 3), with the boundaries of RFC 1421 or RFC
//! 1113.

use std::sync::LazyLock;

use memchr::{memchr, memmem, memrchr};

use crate::mail::Span;

/// One encapsulated message, from its first boundary to the end of the line that ends it. A boundary that starts the
/// next message is not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The message with its boundaries.
    pub span: Span,
    /// Header, empty line and text.
    pub inside: Span,
    /// Whether it has an end boundary.
    pub closed: bool,
}

/// Finds the encapsulated messages in `text`, in order, lazily. Messages quoted inside another (RFC 934: `-
/// -----BEGIN`) are part of its text.
pub fn blocks(text: &[u8]) -> impl Iterator<Item = Block> + use<'_> {
    let mut lines = boundaries(text);
    // The open message: its boundary, its start, and the start of its content.
    let mut open: Option<(Boundary, usize, usize)> = None;
    let block = |(_, start, inside): (Boundary, usize, usize), before: usize, after: usize, closed: bool| Block {
        span: Span { start, end: after },
        inside: Span { start: inside, end: before },
        closed,
    };
    std::iter::from_fn(move || {
        for (boundary, start, after) in lines.by_ref() {
            match (boundary, open.as_ref().map(|(begun, ..)| *begun)) {
                (Boundary::Begin, _) => {
                    if let Some(begun) = open.replace((boundary, start, after)) {
                        return Some(block(begun, start, start, true));
                    }
                }
                (Boundary::Both, None) => open = Some((boundary, start, after)),
                (Boundary::End, Some(Boundary::Begin)) | (Boundary::Both, Some(Boundary::Both)) => {
                    return open.take().map(|begun| block(begun, start, after, true));
                }
                (Boundary::End | Boundary::Both, _) => {}
            }
        }
        open.take().map(|begun| block(begun, text.len(), text.len(), false))
    })
}

/// The message, if `text` starts and ends with its boundaries, except for white space. The caller has checked with
/// [`blocks`] that there is only one.
pub(super) fn whole(text: &[u8]) -> Option<Block> {
    let start = text.len() - text.trim_ascii_start().len();
    let last = memrchr(b'\n', text.trim_ascii_end()).map_or(0, |end| end + 1);
    let ((begun, _, inside), (ended, before, after)) = (boundary_at(text, start)?, boundary_at(text, last)?);
    let closes = matches!((begun, ended), (Boundary::Begin, Boundary::End) | (Boundary::Both, Boundary::Both));
    (closes && inside <= before).then_some(Block {
        span: Span { start, end: after },
        inside: Span { start: inside, end: before },
        closed: true,
    })
}

/// Whether `octets` start with a PEM message, as in a file without a mail around it.
pub fn is_bare(octets: &[u8]) -> bool {
    boundary_at(octets, 0).is_some_and(|(boundary, ..)| boundary != Boundary::End)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boundary {
    /// The pre-encapsulation boundary (RFC 1421, section 4.4).
    Begin,
    /// The boundary of RFC 1113, section 4.4, which both begins and ends.
    Both,
    /// The post-encapsulation boundary (RFC 1421, section 4.4).
    End,
}

/// The lines that are boundaries: the kind, the start of the line and the start of the next line.
fn boundaries(text: &[u8]) -> impl Iterator<Item = (Boundary, usize, usize)> + use<'_> {
    FINDER.find_iter(text).filter_map(move |at| boundary_around(text, at))
}

/// The boundary that starts at `start`, if any.
fn boundary_at(text: &[u8], start: usize) -> Option<(Boundary, usize, usize)> {
    let line = text.get(start..)?;
    BOUNDARIES.into_iter().find_map(|(boundary, prefix, _)| {
        let is_named = line.strip_prefix(prefix)?.starts_with(NAME);
        let found = is_named.then(|| boundary_around(text, start + prefix.len()))?;
        found.filter(|(found, ..)| *found == boundary)
    })
}

/// The boundary around the name at `at`, if any.
fn boundary_around(text: &[u8], at: usize) -> Option<(Boundary, usize, usize)> {
    let (boundary, prefix, suffix) = BOUNDARIES.into_iter().find(|(_, prefix, suffix)| {
        text.get(..at).is_some_and(|before| before.ends_with(prefix))
            && text.get(at + NAME.len()..).is_some_and(|after| after.starts_with(suffix))
    })?;
    let start = at - prefix.len();
    // Checked first, so that a line with a million names is not scanned a million times.
    if start > 0 && text.get(start - 1) != Some(&b'\n') {
        return None;
    }
    let after = at + NAME.len() + suffix.len();
    let line_end = text.get(after..).map(|rest| memchr(b'\n', rest).map_or(rest.len(), |end| end + 1))?;
    let alone = text.get(after..after + line_end).is_some_and(|rest| rest.trim_ascii().is_empty());
    alone.then_some((boundary, start, after + line_end))
}

static FINDER: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(NAME));
/// Common part of all boundaries.
pub(super) const NAME: &[u8] = b"PRIVACY-ENHANCED MESSAGE";
/// Prefix and suffix of each boundary.
const BOUNDARIES: [(Boundary, &[u8], &[u8]); 3] = [
    (Boundary::Begin, b"-----BEGIN ", b"-----"),
    (Boundary::End, b"-----END ", b"-----"),
    (Boundary::Both, b"-----", b" BOUNDARY-----"),
];
#[cfg(test)]
mod tests {
    use super::*;

    fn inside<'a>(text: &'a str, block: &Block) -> &'a str {
        std::str::from_utf8(block.inside.of(text.as_bytes())).unwrap()
    }

    #[test]
    fn blocks_end_at_the_end_or_where_the_next_begins() {
        let text = "before\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nA\n-----BEGIN PRIVACY-ENHANCED MESSAGE-----\r\nB\n\
                    - -----END PRIVACY-ENHANCED MESSAGE-----\n-----END PRIVACY-ENHANCED MESSAGE-----  \r\nafter\n";
        let found: Vec<Block> = blocks(text.as_bytes()).collect();
        let insides: Vec<&str> = found.iter().map(|block| inside(text, block)).collect();
        assert_eq!(insides, ["A\n", "B\n- -----END PRIVACY-ENHANCED MESSAGE-----\n"]);
        assert!(found.iter().all(|block| block.closed));
        assert!(text.as_bytes()[found[1].span.end..] == *b"after\n");
        assert!(!is_bare(text.as_bytes()) && is_bare(&text.as_bytes()[7..]));
    }

    #[test]
    fn a_whole_text_is_the_block_that_a_search_finds() {
        let (begin, end) = ("-----BEGIN PRIVACY-ENHANCED MESSAGE-----", "-----END PRIVACY-ENHANCED MESSAGE-----");
        let both = "-----PRIVACY-ENHANCED MESSAGE BOUNDARY-----";
        for text in [
            format!("{begin}\nA\n{end}\n"),
            format!(" \r\n\n{begin} \r\nA\r\n- {begin}\r\n{end}"),
            format!("{both}\nA\n{both}\n\n"),
            format!("{begin}\n{end}\n"),
        ] {
            let found: Vec<Block> = blocks(text.as_bytes()).collect();
            let whole = whole(text.as_bytes()).unwrap();
            assert_eq!((found.len(), whole.inside, whole.closed), (1, found[0].inside, true), "{text:?}");
        }
        for text in [
            String::new(),
            begin.to_owned(),
            format!("{begin}\nA\n"),
            format!("{begin}\nA\n{begin}\n"),
            format!("{begin}\nA\n{both}\n"),
            format!(" {begin}\nA\n{end}\n"),
            format!("{begin}\nA\n {end}\n"),
            format!("x\n{begin}\nA\n{end}\n"),
            format!("{begin}\nA\n{end}\nx"),
            format!("{begin} {end}\n"),
        ] {
            assert_eq!(whole(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_a_line_of_its_own_is_no_boundary() {
        for text in [
            "x-----BEGIN PRIVACY-ENHANCED MESSAGE-----\n",
            "-----BEGIN PRIVACY-ENHANCED MESSAGE----- x\n",
            "-----BEGIN PRIVACY-ENHANCED MESSAGE----\n",
            "> -----BEGIN PRIVACY-ENHANCED MESSAGE-----\n",
        ] {
            assert_eq!(blocks(text.as_bytes()).count(), 0, "{text:?}");
        }
        let line = "-----BEGIN PRIVACY-ENHANCED MESSAGE-----".repeat(100_000);
        assert_eq!(blocks(line.as_bytes()).count(), 0);
        let open: Vec<Block> = blocks(b"-----BEGIN PRIVACY-ENHANCED MESSAGE-----\nA").collect();
        assert_eq!(open.len(), 1);
        assert!(!open[0].closed);
    }
}
