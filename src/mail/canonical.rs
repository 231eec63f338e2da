//! Canonical forms: the exact octets that signatures cover.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use memchr::memchr_iter;

use super::encoding::trim_blank_end;
pub use super::signable::{Carried, write_signable};

/// How line breaks and trailing white space are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// CRLF line breaks: RFC 3156, section 5 for a finished part; RFC 8551, section 3.1.1; text signatures of RFC 9580,
    /// section 5.2.1.2.
    Crlf,
    /// CRLF line breaks, without spaces and tabs before them: the cleartext framework of RFC 9580, section 7.2.
    CrlfTrimmed,
}

/// Converts a stream to a canonical form. Long stretches that are already canonical are passed on without copying. A
/// line ends with LF or CRLF; other CRs are kept. The output is complete only after [`Canonical::finish`].
pub struct Canonical<W: Write> {
    form: Form,
    to: W,
    /// Collects short pieces.
    buffer: Vec<u8>,
    /// For `Crlf`: whether the last octet was a CR.
    after_cr: bool,
    /// For `CrlfTrimmed`: white space, optionally followed by a CR, that may turn out to end a line.
    held: Vec<u8>,
}

impl<W: Write> Canonical<W> {
    /// Converts to `form` and writes to `to`.
    pub fn new(form: Form, to: W) -> Self {
        Canonical { form, to, buffer: Vec::with_capacity(2 * DIRECT), after_cr: false, held: Vec::new() }
    }

    /// Writes the rest, including a bare CR at the very end.
    ///
    /// # Errors
    ///
    /// Errors of the underlying writer.
    pub fn finish(mut self) -> io::Result<W> {
        // White space at the very end is trimmed too, although no line break follows.
        if self.held.ends_with(b"\r") {
            self.release()?;
        }
        self.hand_on()?;
        Ok(self.to)
    }

    fn crlf(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut from = 0;
        for at in memchr_iter(b'\n', octets) {
            let after_cr = if at == 0 { self.after_cr } else { octets.get(at - 1) == Some(&b'\r') };
            if !after_cr {
                self.put(octets.get(from..at))?;
                self.buffer.extend_from_slice(b"\r\n");
                from = at + 1;
            }
        }
        self.put(octets.get(from..))?;
        self.after_cr = octets.last().map_or(self.after_cr, |octet| *octet == b'\r');
        Ok(())
    }

    fn trimmed(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.still_held(octets)? {
            return Ok(());
        }
        let mut from = 0;
        for at in memchr_iter(b'\n', octets) {
            // In most lines only the end needs checking.
            let end = octets.get(at.saturating_sub(2)..at).unwrap_or_default();
            if matches!(end, [before, b'\r'] if !is_blank(*before)) {
                continue;
            }
            let line = octets.get(from..at).unwrap_or_default();
            self.put(Some(trim_blank_end(line.strip_suffix(b"\r").unwrap_or(line))))?;
            self.buffer.extend_from_slice(b"\r\n");
            from = at + 1;
        }
        let rest = octets.get(from..).unwrap_or_default();
        let text = trim_blank_end(rest.strip_suffix(b"\r").unwrap_or(rest));
        self.put(Some(text))?;
        self.held.extend_from_slice(rest.get(text.len()..).unwrap_or_default());
        Ok(())
    }

    /// Writes or drops the held octets, depending on the octets that follow. True if these are held now too.
    fn still_held(&mut self, octets: &[u8]) -> io::Result<bool> {
        let Some(last) = self.held.last() else { return Ok(false) };
        let blanks = if *last == b'\r' { 0 } else { octets.iter().take_while(|octet| is_blank(**octet)).count() };
        match octets.get(blanks..).unwrap_or_default() {
            [] => self.held.extend_from_slice(octets),
            [b'\r'] if *last != b'\r' => self.held.extend_from_slice(octets),
            [b'\n', ..] => {
                self.held.clear();
                return Ok(false);
            }
            [b'\r', b'\n', ..] if *last != b'\r' => {
                self.held.clear();
                return Ok(false);
            }
            _ => {
                self.release()?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn release(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        self.put(Some(&held))
    }

    fn put(&mut self, octets: Option<&[u8]>) -> io::Result<()> {
        let octets = octets.unwrap_or_default();
        if octets.len() < DIRECT {
            self.buffer.extend_from_slice(octets);
            if self.buffer.len() < DIRECT {
                return Ok(());
            }
            return self.hand_on();
        }
        self.hand_on()?;
        self.to.write_all(octets)
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Canonical<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self.form {
            Form::Crlf => self.crlf(octets)?,
            Form::CrlfTrimmed => self.trimmed(octets)?,
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.to.flush()
    }
}

/// `octets` in canonical form, borrowed if they already are.
pub fn canonical(octets: &[u8], form: Form) -> Cow<'_, [u8]> {
    if is_canonical(octets, form) {
        return Cow::Borrowed(octets);
    }
    let mut writer = Canonical::new(form, Vec::with_capacity(octets.len() + octets.len() / 16));
    // Writing to a Vec cannot fail.
    _ = writer.write_all(octets);
    Cow::Owned(writer.finish().unwrap_or_default())
}

fn is_canonical(octets: &[u8], form: Form) -> bool {
    let keeps_blanks = form == Form::Crlf;
    let ends_well = keeps_blanks || !octets.last().is_some_and(|octet| is_blank(*octet));
    ends_well
        && memchr_iter(b'\n', octets).all(|at| match octets.get(at.saturating_sub(2)..at) {
            Some([before, b'\r']) => keeps_blanks || !is_blank(*before),
            Some([b'\r']) => true,
            _ => false,
        })
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Pieces at least this long are not copied.
const DIRECT: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_ends() {
        for (octets, crlf, trimmed) in [
            ("a\nb\r\nc", "a\r\nb\r\nc", "a\r\nb\r\nc"),
            ("a \t\n \nb \r\n \r\n", "a \t\r\n \r\nb \r\n \r\n", "a\r\n\r\nb\r\n\r\n"),
            ("a\rb\r\r\n\r \n", "a\rb\r\r\n\r \r\n", "a\rb\r\r\n\r\r\n"),
            ("end ", "end ", "end"),
            ("end \r", "end \r", "end \r"),
            ("\n\r\n", "\r\n\r\n", "\r\n\r\n"),
            ("", "", ""),
        ] {
            assert_eq!(canonical(octets.as_bytes(), Form::Crlf), crlf.as_bytes(), "{octets:?}");
            assert_eq!(canonical(octets.as_bytes(), Form::CrlfTrimmed), trimmed.as_bytes(), "{octets:?}");
        }
    }

    #[test]
    fn what_is_canonical_is_borrowed() {
        for text in ["", "a\r\n\r\nb c\r\n", "a\rb"] {
            assert!(matches!(canonical(text.as_bytes(), Form::CrlfTrimmed), Cow::Borrowed(_)), "{text:?}");
        }
        assert!(matches!(canonical(b"a \r\n", Form::Crlf), Cow::Borrowed(_)));
    }

    /// Straight from the RFCs, slow.
    fn plainly(octets: &str, form: Form) -> String {
        let lines: Vec<_> = octets.split('\n').collect();
        let last = lines.len() - 1;
        let line = |(index, line): (usize, &&str)| {
            let line = if index == last { line } else { line.strip_suffix('\r').unwrap_or(line) };
            if form == Form::Crlf { line.to_string() } else { line.trim_end_matches([' ', '\t']).to_string() }
        };
        lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\r\n")
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(pieces in prop::collection::vec("([ \ta\r\n]|\r\n){0,6}", 0..8)) {
            let whole = pieces.concat();
            for form in [Form::Crlf, Form::CrlfTrimmed] {
                let mut writer = Canonical::new(form, Vec::new());
                for piece in &pieces {
                    writer.write_all(piece.as_bytes()).unwrap();
                }
                let written = writer.finish().unwrap();
                prop_assert_eq!(String::from_utf8_lossy(&written), plainly(&whole, form));
                let again = canonical(whole.as_bytes(), form);
                prop_assert_eq!(&written[..], &again[..]);
                prop_assert!(matches!(canonical(&written, form), Cow::Borrowed(_)));
            }
        }
    }
}
