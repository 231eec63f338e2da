//! The messages of an mbox.

use std::{
    fs::{File, Metadata},
    io::Read,
    path::Path,
};

use super::{
    Format, Splitter, lock,
    split::{Content, Piece},
};
use crate::{
    base::{Error, Result},
    mailbox::{Entry, Flags, MessageId, MessageSource, Progress, State, packed::Packing},
};

/// The messages of an mbox, each without its `From ` line and as it was before it was quoted.
pub struct MboxSource {
    name: String,
    splitter: Splitter<Box<dyn Read + Send>>,
    /// The length that the file had at the start, when the octets of the mbox are those of the file.
    length: Option<u64>,
}

impl MboxSource {
    /// Opens a file. It is locked for reading until this is dropped, where the file system has locks. What other programs append to a file that
    /// cannot be locked is not read.
    ///
    /// # Errors
    ///
    /// It cannot be opened, another program has the lock, or it is no mbox.
    pub fn open(path: &Path, format: Option<Format>, limit: usize) -> Result<Self> {
        let failed = |error| Error::io(path.display(), &error);
        let file = File::open(path).map_err(failed)?;
        lock::shared(&file, path)?;
        let length = file.metadata().map_err(failed).map(|metadata: Metadata| metadata.len())?;
        let (reader, packing) = Packing::open(file.take(length), &path.display().to_string())?;
        let source = Self::read(reader, &path.display().to_string(), format, limit)?;
        Ok(MboxSource { length: (packing == Packing::None).then_some(length), ..source })
    }

    /// The mbox that `from` yields, called `name` in reports.
    ///
    /// # Errors
    ///
    /// As [`Splitter::new`].
    pub fn read(from: Box<dyn Read + Send>, name: &str, format: Option<Format>, limit: usize) -> Result<Self> {
        Ok(MboxSource { name: name.to_owned(), splitter: Splitter::new(from, name, format, limit)?, length: None })
    }

    /// The format, as it was given or recognized.
    pub fn format(&self) -> Format {
        self.splitter.format()
    }

    fn entry(&self, id: MessageId, piece: Piece) -> Entry {
        let received = received(&piece.label);
        let label = Some(piece.label);
        match piece.content {
            Content::TooLarge(length) => {
                let reason = format!("{length} octets, more than the limit");
                let content = Err(Error::malformed(format!("{}, message {id}", self.name), reason));
                Entry { id, content, state: State { received, label, ..State::default() } }
            }
            Content::Whole(octets) => {
                let state = State { flags: flags(&octets), received, label, ..State::default() };
                let content = Ok(self.splitter.format().unquoted(&octets).into_owned());
                Entry { id, content, state }
            }
        }
    }
}

impl MessageSource for MboxSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
        while let Some(piece) = self.splitter.next()? {
            let id = MessageId::new(format!("{}-{:016x}", piece.offset, digest(&piece)));
            if !done(&id) {
                return Ok(Some(self.entry(id, piece)));
            }
        }
        match self.length {
            Some(length) if self.splitter.offset() < length => {
                Err(Error::malformed(&self.name, "became shorter while it was read"))
            }
            _ => Ok(None),
        }
    }

    fn progress(&self) -> Progress {
        Progress { done: self.splitter.offset(), total: self.length }
    }
}

/// Tells a message from another one that came to its place in the mbox: FNV-1a. Not for anything that an attacker gains from.
fn digest(piece: &Piece) -> u64 {
    let octets = match &piece.content {
        Content::TooLarge(_) => &piece.label,
        Content::Whole(octets) => octets,
    };
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}

/// What mail readers note in the header: Status and X-Status (mutt, Dovecot, Pine), X-Mozilla-Status (Thunderbird).
fn flags(message: &[u8]) -> Flags {
    let mut flags = Flags::default();
    let lines = message.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.iter().position(|octet| *octet == b':').and_then(|at| line.split_at_checked(at))
        else {
            continue;
        };
        let says = |letter: u8| value.contains(&letter);
        if name.eq_ignore_ascii_case(b"Status") {
            flags.seen |= says(b'R');
        } else if name.eq_ignore_ascii_case(b"X-Status") {
            flags.answered |= says(b'A');
            flags.flagged |= says(b'F');
            flags.deleted |= says(b'D');
            flags.draft |= says(b'T');
        } else if name.eq_ignore_ascii_case(b"X-Mozilla-Status") {
            let digits = std::str::from_utf8(value).unwrap_or_default().trim_start_matches(':').trim();
            let bits = u16::from_str_radix(digits, 16).unwrap_or_default();
            flags.seen |= bits & 0x0001 != 0;
            flags.answered |= bits & 0x0002 != 0;
            flags.flagged |= bits & 0x0004 != 0;
            flags.deleted |= bits & 0x0008 != 0;
        }
    }
    flags
}

/// The time in a `From ` line, in universal time unless it says otherwise (RFC 4155, appendix A).
fn received(label: &[u8]) -> Option<i64> {
    let text = String::from_utf8_lossy(label);
    let line = text.trim_start().lines().next()?.strip_prefix("From ")?;
    // Some programs write dates as in a header.
    let of_header = line.split_once(' ').and_then(|(_, date)| jiff::fmt::rfc2822::parse(date.trim()).ok());
    if let Some(date) = of_header {
        return Some(date.timestamp().as_second());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let [.., month, day, time, year] = words.as_slice() else { return None };
    // A time zone may stand before the year. Its letters have no one meaning.
    let (month, day, time) = match words.as_slice() {
        [.., month, day, clock, _zone, _year] if !time.contains(':') => (month, day, clock),
        _ => (month, day, time),
    };
    let date = format!("{month} {day} {year} {time}");
    let civil = jiff::civil::DateTime::strptime("%b %d %Y %H:%M:%S", &date).ok()?;
    Some(jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_second())
}

impl std::fmt::Debug for MboxSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MboxSource({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_from_line_is_read() {
        for (line, time) in [
            ("From a@example.org Thu Jan  1 00:01:00 1970\n", Some(60)),
            ("From a@example.org  Sat Feb  5 09:19:10 2022\r\n", Some(1_644_052_750)),
            ("From a Thu Jan 01 00:01:00 GMT 1970\n", Some(60)),
            ("From test@kolab.org Wed, 08 Sep 2010 17:02:52 +0200\n", Some(1_283_958_172)),
            ("From - \n", None),
            ("From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\n", Some(1_000_684_800)),
        ] {
            assert_eq!(received(line.as_bytes()), time, "{line:?}");
        }
    }

    #[test]
    fn flags_of_mail_readers_are_read() {
        let seen = Flags { seen: true, ..Flags::default() };
        for (header, expected) in [
            ("Status: RO\n", seen),
            ("Status: O\nX-Status: AF\n", Flags { answered: true, flagged: true, ..Flags::default() }),
            ("X-Mozilla-Status: 0009\r\n", Flags { seen: true, deleted: true, ..Flags::default() }),
            ("Subject: x\n\nStatus: R\n", Flags::default()),
        ] {
            assert_eq!(flags(header.as_bytes()), expected, "{header:?}");
        }
    }
}
