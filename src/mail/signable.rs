//! Writes a part in the form required inside multipart/signed.

use std::io::{self, Write};

use memchr::{memchr, memchr2};

use super::{
    Part, Span,
    canonical::{Canonical, Form, canonical},
    encoding::{QuotedPrintable, quoted_printable_decode, quoted_printable_encode, trim_blank_end, write_base64},
    header::{Edit, fields},
    words,
};
use crate::base::{Error, Result};

/// Writes `part`, header and body, in the form required inside multipart/signed: 7-bit (RFC 3156, section 3; RFC 1847,
/// section 2.1), CRLF, lines of at most 998 octets, no trailing white space, no line that starts with `From `. Leaves
/// that do not comply are re-encoded, text in quoted-printable and others in base64, and their
/// Content-Transfer-Encoding is rewritten. Text with format=flowed is encoded to keep its trailing spaces. All other
/// octets are kept. The header is written from `header`, except for a changed Content-Transfer-Encoding.
///
/// A nested multipart/signed is not changed, except for line breaks, to keep its signature valid.
///
/// No relay can change what is encrypted, so there a leaf is kept if it is 7-bit and its lines are short.
///
/// # Errors
///
/// `Malformed`, with a hint, if a nested signature or an unknown encoding prevents a 7-bit form; errors of `to`.
pub fn write_signable(part: Part<'_>, header: &Edit<'_>, carried: Carried, to: &mut dyn Write) -> Result<()> {
    let mut signable = Signable { carried, to: Canonical::new(Form::Crlf, to) };
    signable.part(part, header.clone())?;
    signable.to.finish().map_err(failed)?;
    Ok(())
}

/// How a signed part is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// As it is: relays may cut white space at the ends of lines, and mboxes change lines that start with `From `.
    InClear,
    /// Within encryption.
    Encrypted,
}

struct Signable<'a> {
    carried: Carried,
    to: Canonical<&'a mut dyn Write>,
}

/// How a body is made 7-bit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Conversion {
    /// Unchanged.
    Keep,
    /// Unchanged, but the header wrongly announces 8-bit data.
    Relabel,
    /// In base64, from octets or from invalid base64.
    Base64,
    /// In quoted-printable, from octets or from invalid quoted-printable.
    QuotedPrintable,
}

impl Signable<'_> {
    fn part(&mut self, part: Part<'_>, mut header: Edit<'_>) -> Result<()> {
        let encoding = part.transfer_encoding();
        let conversion =
            if part.children().len() > 0 { composite(part)? } else { leaf(part, &encoding, self.carried)? };
        let label = match conversion {
            Conversion::Keep => None,
            Conversion::Relabel => Some("7bit"),
            Conversion::Base64 => Some("base64"),
            Conversion::QuotedPrintable => Some("quoted-printable"),
        };
        if let Some(label) = label.filter(|label| **label != encoding) {
            header.delete("Content-Transfer-Encoding");
            header.insert(format!("Content-Transfer-Encoding: {label}"));
        }
        self.header(&header.octets())?;
        // A part may end with its header, and a boundary may end a header.
        if part.body_span().start > part.header_span().end {
            self.write(b"\r\n")?;
        }
        let body = part.body();
        match conversion {
            _ if part.children().len() > 0 && !part.content_type().is("multipart", "signed") => self.children(part),
            Conversion::Keep | Conversion::Relabel => self.write(body),
            Conversion::Base64 if encoding == "base64" => self.base64_anew(body),
            Conversion::Base64 => write_base64(body, &mut self.to).map_err(failed),
            Conversion::QuotedPrintable => {
                let mut encoder = QuotedPrintable::new(&mut self.to);
                if encoding == "quoted-printable" {
                    for line in body.split_inclusive(|octet| *octet == b'\n') {
                        encoder.write_all(&quoted_printable_decode(line)).map_err(failed)?;
                    }
                } else {
                    encoder.write_all(body).map_err(failed)?;
                }
                encoder.finish().map(|_| ()).map_err(failed)
            }
        }
    }

    /// Writes the body of a multipart or message/rfc822: boundaries unchanged, parts converted.
    fn children(&mut self, part: Part<'_>) -> Result<()> {
        let whole = part.span();
        let between =
            |start: usize, end: usize| Span { start: start - whole.start, end: end - whole.start }.of(part.octets());
        let (preamble, epilogue) = part.margins();
        self.margin(part.preamble())?;
        let mut at = preamble.end;
        for child in part.children() {
            let span = child.span();
            self.boundary(between(at, span.start))?;
            self.part(child, Edit::new(child))?;
            at = span.end;
        }
        self.boundary(between(at, epilogue.start))?;
        self.margin(part.epilogue())
    }

    /// Writes the line between two parts, without trailing white space (RFC 2046, section 5.1.1).
    fn boundary(&mut self, line: &[u8]) -> Result<()> {
        if !is_seven_bit(line) {
            return Err(Error::malformed("boundary", format_args!("not 7-bit, or longer than {MAX_LINE} octets")));
        }
        self.write(&canonical(line, Form::CrlfTrimmed))
    }

    /// Writes a preamble or epilogue. They have no header for an encoding, but readers treat them only as text (RFC
    /// 2046, section 5.1.1).
    fn margin(&mut self, text: &[u8]) -> Result<()> {
        if is_clean(text) { self.write(text) } else { self.write(&quoted_printable_encode(text)) }
    }

    /// Writes invalid base64 without the invalid characters, in lines of 76.
    fn base64_anew(&mut self, body: &[u8]) -> Result<()> {
        let characters = body.iter().filter(|octet| octet.is_ascii_alphanumeric() || b"+/=".contains(octet));
        let mut line = Vec::with_capacity(78);
        for character in characters {
            line.push(*character);
            if line.len() == 76 {
                line.extend_from_slice(b"\r\n");
                self.write(&line)?;
                line.clear();
            }
        }
        self.write(&line)?;
        if line.is_empty() { Ok(()) } else { self.write(b"\r\n") }
    }

    /// Writes the fields in 7-bit lines of at most 998 octets. Trailing white space is kept, because no encoding of
    /// fields could preserve it.
    fn header(&mut self, octets: &[u8]) -> Result<()> {
        for field in fields(octets, Span { start: 0, end: octets.len() }) {
            let mut ascii = if field.raw.is_ascii() { field.raw.to_vec() } else { words::in_ascii(&field)? };
            // In a line that is not a field, a space could turn it into a continuation line.
            replace_bare_cr(&mut ascii, if field.name.is_empty() { b'?' } else { b' ' });
            if memchr(0, &ascii).is_some() {
                return Err(Error::malformed(format_args!("header field {:?}", field.name), "holds a NUL"));
            }
            // An mbox would change such lines, so they are changed beforehand.
            if ascii.starts_with(b"From ") {
                self.write(b">")?;
            }
            for line in ascii.split_inclusive(|octet| *octet == b'\n') {
                self.folded(line)?;
            }
        }
        Ok(())
    }

    /// Writes a header line, folded further if necessary (RFC 5322, sections 2.1.1 and 2.2.3).
    fn folded(&mut self, mut line: &[u8]) -> Result<()> {
        while line.trim_ascii_end().len() > MAX_LINE {
            let head = line.get(..MAX_LINE).unwrap_or_default();
            let blank = head
                .iter()
                .rposition(|octet| matches!(octet, b' ' | b'\t'))
                .filter(|at| !head.get(..*at).is_none_or(<[u8]>::is_empty));
            let (first, rest) = blank.and_then(|at| line.split_at_checked(at)).ok_or_else(|| {
                Error::malformed("header", format_args!("a line of more than {MAX_LINE} octets without white space"))
            })?;
            self.write(first)?;
            self.write(b"\r\n")?;
            line = rest;
        }
        self.write(line)
    }

    fn write(&mut self, octets: &[u8]) -> Result<()> {
        self.to.write_all(octets).map_err(failed)
    }
}

/// A lone CR is not allowed in a field (RFC 5322, section 2.2), and could become a line break in transit.
fn replace_bare_cr(field: &mut [u8], by: u8) {
    let mut next = b'\0';
    for octet in field.iter_mut().rev() {
        if *octet == b'\r' && next != b'\n' {
            *octet = by;
        }
        next = *octet;
    }
}

fn composite(part: Part<'_>) -> Result<Conversion> {
    if part.content_type().is("multipart", "signed") {
        return if is_seven_bit(part.body()) {
            Ok(Conversion::Keep)
        } else {
            Err(Error::malformed(
                "signed part",
                "holds octets that are not 7-bit, and encoding them would break its signature",
            )
            .with_hint("encrypt it without signing it again, or have it signed anew by its author in 7-bit form"))
        };
    }
    // A multipart has 7bit, 8bit or binary as its parts have (RFC 2045, section 6.4). After conversion, all are 7bit.
    Ok(if part.transfer_encoding() == "7bit" { Conversion::Keep } else { Conversion::Relabel })
}

fn leaf(part: Part<'_>, encoding: &str, carried: Carried) -> Result<Conversion> {
    let (body, content_type) = (part.body(), part.content_type());
    // Line breaks in binary data are data.
    let is_text = matches!(content_type.kind.as_str(), "text" | "message" | "multipart");
    let is_exact = encoding == "binary" && !is_text;
    let is_fit = match carried {
        Carried::InClear => is_clean(body),
        Carried::Encrypted => is_seven_bit(body),
    };
    if is_fit && !(is_exact && matches!(canonical(body, Form::Crlf), std::borrow::Cow::Owned(_))) {
        return Ok(if matches!(encoding, "8bit" | "binary") { Conversion::Relabel } else { Conversion::Keep });
    }
    // A multipart cannot be encoded (RFC 2045, section 6.4). Re-encoding could remove the boundary that closes it.
    match encoding {
        _ if content_type.kind == "multipart" && is_seven_bit(body) => Ok(Conversion::Keep),
        "base64" if content_type.kind != "multipart" => Ok(Conversion::Base64),
        "quoted-printable" if content_type.kind != "multipart" => Ok(Conversion::QuotedPrintable),
        "7bit" | "8bit" | "binary" if content_type.kind != "multipart" => {
            // A NUL in text indicates UTF-16 or similar, where octets that look like line breaks may not be.
            Ok(if is_text && memchr(0, body).is_none() { Conversion::QuotedPrintable } else { Conversion::Base64 })
        }
        _ if is_seven_bit(body) => Ok(Conversion::Keep),
        _ => Err(Error::malformed(
            format_args!("part of type {}/{} encoded in {encoding}", content_type.kind, content_type.subtype),
            "holds octets that are not 7-bit, and cannot be encoded again",
        )
        .with_hint("send it as an attachment of type application/octet-stream")),
    }
}

/// Whether it may be in a signed part unchanged.
fn is_clean(body: &[u8]) -> bool {
    body.is_ascii()
        && lines(body)
            .all(|line| is_short(line) && trim_blank_end(line).len() == line.len() && !line.starts_with(b"From "))
}

/// Whether it is 7-bit, though some gateways and mboxes may change it.
fn is_seven_bit(body: &[u8]) -> bool {
    body.is_ascii() && lines(body).all(is_short)
}

fn is_short(line: &[u8]) -> bool {
    line.len() <= MAX_LINE && memchr2(0, b'\r', line).is_none()
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = body;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = match memchr(b'\n', rest) {
            Some(end) => {
                let line = rest.get(..end).unwrap_or_default();
                (line.strip_suffix(b"\r").unwrap_or(line), rest.get(end + 1..).unwrap_or_default())
            }
            None => (rest, Default::default()),
        };
        rest = after;
        Some(line)
    })
}

fn failed(error: io::Error) -> Error {
    Error::io("signed part", &error)
}

/// Maximum line length without CRLF (RFC 5322, section 2.1.1).
const MAX_LINE: usize = 998;

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use crate::base::{Budget, Kind, Limits};

    fn message(octets: &[u8]) -> Message {
        Message::parse(octets.to_vec(), &mut Budget::new(Limits::default())).unwrap()
    }

    fn signable(octets: impl AsRef<[u8]>) -> String {
        let message = message(octets.as_ref());
        let mut written = Vec::new();
        write_signable(message.root(), &Edit::new(message.root()), Carried::InClear, &mut written).unwrap();
        String::from_utf8(written).unwrap()
    }

    fn refused(octets: impl AsRef<[u8]>) -> Error {
        let message = message(octets.as_ref());
        let error =
            write_signable(message.root(), &Edit::new(message.root()), Carried::InClear, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        error
    }

    #[test]
    fn what_is_clean_keeps_its_octets() {
        let text = "A: b\r\n\r\nplain\r\n\r\n>From x\r\n";
        assert_eq!(signable(text), text);
        assert_eq!(signable(text.replace("\r\n", "\n")), text);
        let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\none\r\n--b\r\nC: d\r\n\r\ntwo\r\n--b--\r\nepi\r\n";
        assert_eq!(signable(mixed), mixed);
    }

    #[test]
    fn text_goes_into_quoted_printable() {
        let head = "Content-Transfer-Encoding: quoted-printable\r\n";
        for (body, expected) in [
            ("caf\u{e9}\n", "caf=C3=A9\r\n"),
            ("flowed \nFrom here\n", "flowed=20\r\n=46rom here\r\n"),
            ("cr\ralone", "cr=0Dalone"),
        ] {
            assert_eq!(signable(format!("\n{body}")), format!("{head}\r\n{expected}"));
        }
        let long = signable(format!("Content-Transfer-Encoding: 8BIT\nA: b\n\n{}\n", "x".repeat(999)));
        assert!(long.starts_with(&format!("{head}A: b\r\n\r\nxxx")) && long.lines().all(|line| line.len() <= 76));
        assert_eq!(
            signable("content-transfer-encoding: quoted-printable\n\n\u{e9}= \ndone \n"),
            "content-transfer-encoding: quoted-printable\r\n\r\n=C3=A9done\r\n"
        );
    }

    #[test]
    fn a_multipart_without_parts_keeps_its_octets() {
        // The inner multipart declares the boundary of the outer one, which ends its header and closes it, and an
        // encoding that a multipart must not have (RFC 2045, section 6.4). Encoded, it would no longer be closed, and
        // would include what follows it.
        let inner = "Content-Type: multipart/mixed; boundary=a\r\nContent-Transfer-Encoding: quoted-printable\r\n";
        let mail = format!(
            "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n{inner}--a--\r\ntext \t\r\n--a\r\n\r\nlast\r\n--a--\r\n"
        );
        assert_eq!(signable(&mail), mail);
        let error = refused(mail.replace("text", "\u{e9}"));
        assert!(error.to_string().starts_with("part of type multipart/mixed encoded in quoted-printable: "), "{error}");
    }

    #[test]
    fn everything_else_goes_into_base64() {
        let head = "Content-Transfer-Encoding: base64\r\nContent-Type: image/x\r\n\r\n";
        assert_eq!(signable(b"Content-Type: image/x\n\n\xff\r\n"), format!("{head}/w0K\r\n"));
        assert_eq!(
            signable("Content-Transfer-Encoding: binary\nContent-Type: image/x\n\na\nb\n"),
            format!("{head}YQpiCg==\r\n")
        );
        assert_eq!(signable("Content-Type: text/x\n\na\0\n").lines().last(), Some("YQAK"));
        assert_eq!(
            signable("Content-Transfer-Encoding: base64\n\naGVs \n\tbG8=\n"),
            "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n"
        );
    }

    #[test]
    fn labels_are_put_right() {
        let mixed = "Content-Transfer-Encoding: 8bit\nContent-Type: multipart/mixed; boundary=b\n\n--b \nContent-Transfer-Encoding: 8bit\n\nascii\n--b\n\n\u{e9}\n--b--\n";
        assert_eq!(
            signable(mixed),
            "Content-Transfer-Encoding: 7bit\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nascii\r\n\
             --b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n--b--\r\n"
        );
        let rfc822 = "Content-Type: message/rfc822\n\nSubject: x\n\n\u{e9}\n";
        assert_eq!(
            signable(rfc822),
            "Content-Type: message/rfc822\r\n\r\nContent-Transfer-Encoding: quoted-printable\r\nSubject: x\r\n\r\n=C3=A9\r\n"
        );
    }

    #[test]
    fn what_is_signed_already_is_not_touched() {
        let signed =
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nFrom x \r\n--b\r\n\r\nsignature\r\n--b--\r\n";
        assert_eq!(signable(signed), signed);
        let error = refused(signed.replace("From", "\u{e9}"));
        assert_eq!(
            error.to_string(),
            "signed part: holds octets that are not 7-bit, and encoding them would break its signature"
        );
        assert!(error.hint().is_some());
        let error = refused("Content-Transfer-Encoding: x-uuencode\n\n\u{e9}\n");
        assert!(error.to_string().starts_with("part of type text/plain encoded in x-uuencode: "), "{error}");
    }

    #[test]
    fn headers_are_seven_bit_too() {
        assert_eq!(
            signable("Content-Disposition: attachment; filename=\"\u{e9}.txt\"\nSubject: a \u{e9} \u{e8} b\n\n"),
            "Content-Disposition: attachment; filename*=utf-8''%C3%A9.txt\r\nSubject: a =?utf-8?q?=C3=A9_=C3=A8?= b\r\n\r\n"
        );
        let long = signable(format!("A: {} {}\n\n", "x".repeat(600), "y".repeat(600)));
        assert_eq!(long, format!("A: {}\r\n {}\r\n\r\n", "x".repeat(600), "y".repeat(600)));
        assert!(refused(format!("A:{}\n\n", "x".repeat(999))).to_string().contains("more than 998 octets"));
        assert_eq!(signable("A: b\rc\n\r;\n\n"), "A: b c\r\n?;\r\n\r\n");
        assert_eq!(signable("From x Mon\nA: b\n\n"), ">From x Mon\r\nA: b\r\n\r\n");
    }
}
