//! Canonical forms: the exact octets that signatures cover.

use std::io::{self, Write};

use super::Part;

/// What happens to line ends and trailing white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// CRLF line ends, nothing else: RFC 3156, section 5 over a finished part; RFC 8551, section 3.1.1; text signatures of RFC 9580, 5.2.1.2.
    Crlf,
    /// CRLF, and spaces and tabs before each line end removed: the cleartext framework of RFC 9580, section 7.2.
    CrlfTrimmed,
}

/// Turns octets that arrive in pieces of any size into a canonical form, and hands them on in large pieces without copying what is canonical already.
pub struct Canonical<W: Write> {
    form: Form,
    to: W,
}

impl<W: Write> Canonical<W> {
    /// A writer of `form` before `to`.
    pub fn new(form: Form, to: W) -> Self {
        Canonical { form, to }
    }
    /// Ends it (a bare CR at the very end is written now).
    pub fn finish(self) -> io::Result<W> {
        let _ = self.form;
        Ok(self.to)
    }
}

impl<W: Write> Write for Canonical<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let _ = octets;
        todo!()
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// `octets` in canonical form, borrowed when they are canonical already.
pub fn canonical(octets: &[u8], form: Form) -> std::borrow::Cow<'_, [u8]> {
    let _ = (octets, form);
    todo!()
}

/// Writes `part`, header and body, as it must stand inside multipart/signed: 7-bit only (RFC 3156, section 3; RFC 1847, 2.1), CRLF, no line over
/// 998 octets, no trailing white space, no line that starts with `From `; leaf parts that are not so already are re-encoded in quoted-printable or base64
/// with their Content-Transfer-Encoding rewritten; format=flowed text keeps its trailing spaces by being encoded; everything else keeps its
/// octets. The header is written from `header`, less the Content-Transfer-Encoding where that changes.
pub fn write_signable(part: Part<'_>, header: &super::header::Edit<'_>, to: &mut dyn Write) -> io::Result<()> {
    let _ = (part, header, to);
    todo!()
}
