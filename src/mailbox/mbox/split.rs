//! Splits an mbox into messages, reading it in windows.

use std::io::{self, Read};

use memchr::memmem;

use super::format::{Format, content_end};
use crate::{
    base::{Error, Result},
    mail::mbox,
};

/// Splits an mbox. Holds one message at most, and of one that is over the limit only its end.
#[derive(Debug)]
pub struct Splitter<R> {
    from: R,
    name: String,
    format: Format,
    limit: usize,
    /// What was read and not yet given out begins at `at`.
    buffer: Vec<u8>,
    at: usize,
    /// Where in the mbox `at` is, in octets.
    offset: u64,
    has_ended: bool,
}

/// One message, with everything that stands around it: all pieces one after the other are the mbox.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where its `From ` line begins, in octets from the start of the mbox.
    pub offset: u64,
    /// The `From ` line, with empty lines before the first one, and the lines that gateways add below it.
    pub label: Vec<u8>,
    /// The message as it stands in the mbox.
    pub content: Content,
    /// The empty line after it.
    pub end: Vec<u8>,
}

/// A message as it stands in an mbox.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// More octets than the limit: how many.
    TooLarge(u64),
    /// All of it.
    Whole(Vec<u8>),
}

/// Where a message ends.
struct End {
    /// Octets that were dropped because the message is over the limit.
    dropped: u64,
    /// Its end in the window, after what was dropped.
    end: usize,
    /// The beginning of what follows the empty line.
    next: usize,
}

impl<R: Read> Splitter<R> {
    /// Begins to split an mbox that is called `name` in errors. Its format is recognized when it is not given. `limit` is the largest message
    /// in octets.
    ///
    /// # Errors
    ///
    /// `Malformed` when it is not empty and does not begin with a `From ` line; `Io` when it cannot be read.
    pub fn new(from: R, name: &str, format: Option<Format>, limit: usize) -> Result<Self> {
        let mut splitter = Splitter {
            from,
            name: name.to_owned(),
            format: Format::default(),
            limit,
            buffer: Vec::new(),
            at: 0,
            offset: 0,
            has_ended: false,
        };
        splitter.fill(WINDOW)?;
        splitter.format = format.unwrap_or_else(|| Format::recognize(splitter.window()));
        if !splitter.window().is_empty() && splitter.label().is_none() {
            return Err(Error::malformed(name, "not an mbox: no From line and header field at its start"));
        }
        Ok(splitter)
    }

    /// The format, as it was given or recognized.
    pub fn format(&self) -> Format {
        self.format
    }

    /// How many octets were given out.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next message; `None` after the last.
    ///
    /// # Errors
    ///
    /// `Io` when the mbox cannot be read further.
    #[expect(clippy::should_implement_trait, reason = "an iterator of results would go on after an error")]
    pub fn next(&mut self) -> Result<Option<Piece>> {
        self.fill(LOOKAHEAD)?;
        let Some(length) = self.label() else {
            // After the last message, or an empty mbox.
            return Ok(None);
        };
        let offset = self.offset + mbox::blank_lines(self.window()) as u64;
        let label = self.take(length);
        let end = match self.by_length()? {
            Some(end) => end,
            None => self.by_line()?,
        };
        let content = if end.dropped > 0 || end.end > self.limit {
            let length = end.dropped + end.end as u64;
            self.skip(end.end);
            Content::TooLarge(length)
        } else {
            Content::Whole(self.take(end.end))
        };
        let end = self.take(end.next - end.end);
        Ok(Some(Piece { offset, label, content, end }))
    }

    /// Length of the `From ` line at the start of the window, with empty lines before it.
    fn label(&self) -> Option<usize> {
        let blank = mbox::blank_lines(self.window());
        Some(blank + mbox::label(self.window().get(blank..)?)?)
    }

    /// The end that the Content-Length says, if the format has one, and it leads to a `From ` line or the end of the mbox.
    fn by_length(&mut self) -> Result<Option<End>> {
        if self.format != Format::Cl2 {
            return Ok(None);
        }
        self.fill(HEADER)?;
        let Some(end) = content_end(self.window()).filter(|end| *end <= self.limit) else { return Ok(None) };
        self.fill(end.saturating_add(LOOKAHEAD))?;
        let Some(after) = self.window().get(end..) else { return Ok(None) };
        let blank = mbox::blank_lines(after);
        let rest = after.get(blank..).unwrap_or_default();
        let is_end = if rest.is_empty() { self.has_ended } else { mbox::label(rest).is_some() };
        Ok(is_end.then_some(End { dropped: 0, end, next: end + blank }))
    }

    /// The end before the next `From ` line.
    fn by_line(&mut self) -> Result<End> {
        let mut dropped = 0;
        let mut searched = 0;
        loop {
            let has_ended = self.has_ended;
            let window = self.window();
            let mut candidates = memmem::find_iter(window.get(searched..).unwrap_or_default(), mbox::BOUNDARY);
            let undecided = loop {
                let Some(at) = candidates.next().map(|at| at + searched) else { break None };
                if !has_ended && window.len() - at < LOOKAHEAD {
                    break Some(at);
                }
                if let Some(found) = mbox::boundary(window, at) {
                    return Ok(End { dropped, end: found.end, next: found.next });
                }
            };
            drop(candidates);
            if has_ended {
                let end = last_end(window);
                return Ok(End { dropped, end, next: window.len() });
            }
            searched = undecided.unwrap_or(window.len().saturating_sub(KEPT));
            if window.len() > self.limit.saturating_add(LOOKAHEAD) && searched > KEPT {
                let surplus = searched - KEPT;
                dropped += surplus as u64;
                self.skip(surplus);
                searched = KEPT;
            }
            self.fill(self.window().len().saturating_add(WINDOW))?;
        }
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.window().get(..length).unwrap_or_default().to_vec();
        self.skip(length);
        taken
    }

    fn skip(&mut self, length: usize) {
        self.at += length;
        self.offset += length as u64;
    }

    /// Reads until the window has `length` octets, or the mbox has ended.
    fn fill(&mut self, length: usize) -> Result<()> {
        if self.has_ended || self.window().len() >= length {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        if self.buffer.capacity() > 4 * WINDOW && length < WINDOW {
            self.buffer.shrink_to(WINDOW);
        }
        while self.buffer.len() < length {
            // Whole windows, so that short messages are not read one by one.
            let wanted = (length - self.buffer.len()).max(WINDOW) as u64;
            let read = self.from.by_ref().take(wanted).read_to_end(&mut self.buffer);
            let read = read.map_err(|error: io::Error| Error::io(&self.name, &error))?;
            if read == 0 {
                self.has_ended = true;
                break;
            }
        }
        Ok(())
    }
}

impl Piece {
    /// The octets of the mbox that it is made of; without the message, when that is over the limit.
    pub fn octets(&self) -> Vec<u8> {
        let content = match &self.content {
            Content::TooLarge(_) => &[],
            Content::Whole(octets) => octets.as_slice(),
        };
        [&self.label, content, &self.end].concat()
    }
}

/// The end of the last message: before its empty line, if it has one.
fn last_end(message: &[u8]) -> usize {
    let without = message.strip_suffix(b"\n").map(|rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    without.filter(|rest| rest.ends_with(b"\n")).unwrap_or(message).len()
}

/// Octets read at once.
const WINDOW: usize = 256 * 1024;
/// Octets after a line that may be a `From ` line in which it ends and the header field after it begins. Source: RFC 5322, section 2.1.1, allows
/// 998 octets a line.
const LOOKAHEAD: usize = 8 * 1024;
/// A Content-Length field stands within so many octets. Source: `Limits::header`.
const HEADER: usize = 256 * 1024;
/// Octets before a line that decide whether it is a `From ` line: an empty line.
const KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(octets: &[u8], limit: usize) -> Vec<Piece> {
        let mut splitter = Splitter::new(octets, "test", None, limit).unwrap();
        std::iter::from_fn(|| splitter.next().unwrap()).collect()
    }

    #[test]
    fn all_pieces_are_the_mbox() {
        let one = "From a Mon\nFrom: a\n\nhi\n";
        for mbox in [
            String::new(),
            one.to_owned(),
            one.trim_end().to_owned(),
            format!("\n\n{one}\n{one}\n\n\n{one}"),
            format!("{one}\nFrom here on it is text.\n\nFrom \n\n>From b Mon\nFrom: b\n\n{one}\n"),
            format!("{one}\n{one}").replace('\n', "\r\n"),
            format!("{one}\n{one}").replace("hi", "h\0i\r\r"),
        ] {
            let split = pieces(mbox.as_bytes(), 1000);
            assert_eq!(split.iter().flat_map(Piece::octets).collect::<Vec<u8>>(), mbox.as_bytes(), "{mbox:?}");
            assert_eq!(split.len(), mbox::messages(mbox.as_bytes()), "{mbox:?}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_passed_over() {
        let mut mbox = b"From a Mon\nFrom: a\n\n".to_vec();
        mbox.resize(3_000_000, 0);
        mbox.extend_from_slice(b"\n\nFrom b Mon\nFrom: b\n\nhi\n\n");
        let split = pieces(&mbox, 1000);
        let length = 3_000_000 - b"From a Mon\n".len() as u64 + 1;
        assert_eq!(split[0].content, Content::TooLarge(length));
        assert_eq!(split[1].content, Content::Whole(b"From: b\n\nhi\n".to_vec()));
        assert_eq!(split[1].offset, 3_000_002);
        assert_eq!(split.len(), 2);
    }

    #[test]
    fn a_content_length_may_hold_from_lines() {
        let body = "hi\n\nFrom x Mon\nSubject: in it\n\n";
        let one = format!("From a Mon\nFrom: a\nContent-Length: {}\n\n{body}\n", body.len());
        assert_eq!(pieces(one.repeat(3).as_bytes(), 1000).len(), 3);
        // One that leads nowhere is not believed.
        let wrong = one.replace(": 3", ": 2");
        assert!(pieces(format!("{one}{wrong}{one}").as_bytes(), 1000).len() > 3);
    }
}
