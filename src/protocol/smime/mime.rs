//! MIME entities that can be written repeatedly, and the header fields of S/MIME (RFC 8551, section 3).

use std::{
    io::{self, Write},
    mem,
};

use crate::{
    base::Result,
    mail::encoding::base64_encode,
    protocol::mime_wrap::{Payload, output},
};

/// An entity from its header on, with CRLF line breaks. It can be written several times, for instance to measure or
/// hash it first. Every time the output must be the same.
pub(super) trait Entity {
    /// Writes the entity.
    fn write(&self, to: &mut dyn Write) -> Result<()>;
}

/// The message inside, as the recipient reads it.
pub(super) struct Plain<'a> {
    /// The content.
    pub(super) payload: Payload<'a>,
    /// The encoding.
    pub(super) form: Form,
}

/// The encoding required for an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Unchanged, because it is transported in base64 (RFC 8551, section 3.1.3).
    AsItIs,
    /// Safe for every gateway, because its octets are signed (RFC 8551, section 3.1.3).
    Signable,
}

impl Entity for Plain<'_> {
    fn write(&self, to: &mut dyn Write) -> Result<()> {
        match self.form {
            Form::AsItIs => self.payload.write(to),
            Form::Signable => self.payload.write_signable(to),
        }
    }
}

/// Length of an entity in octets. The octets are also written to `also`.
pub(super) fn measure(entity: &dyn Entity, also: &mut dyn Write) -> Result<usize> {
    let mut counting = Counting { length: 0, to: also };
    entity.write(&mut counting)?;
    Ok(counting.length)
}

/// Writes multipart/signed (RFC 8551, section 3.5.3). `content` writes the first part, and returns the detached
/// signature.
pub(super) fn write_clear_signed(
    micalg: &str,
    boundary: &str,
    to: &mut dyn Write,
    content: impl FnOnce(&mut dyn Write) -> Result<Vec<u8>>,
) -> Result<()> {
    write!(
        to,
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n micalg={micalg};\r\n \
         boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n"
    )
    .map_err(output)?;
    let signature = content(to)?;
    write!(
        to,
        "\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\
         Content-Description: S/MIME cryptographic signature\r\n\r\n"
    )
    .map_err(output)?;
    to.write_all(&base64_encode(&signature)).map_err(output)?;
    write!(to, "\r\n--{boundary}--\r\n").map_err(output)
}

/// Writes application/pkcs7-mime (RFC 8551, section 3.2). `content` writes the CMS object, which is encoded in base64.
pub(super) fn write_pkcs7(
    smime_type: &str,
    to: &mut dyn Write,
    content: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    write!(
        to,
        "Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=\"smime.p7m\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"smime.p7m\"\r\n\
         Content-Description: S/MIME message\r\n\r\n"
    )
    .map_err(output)?;
    let mut base64 = Base64 { held: Vec::with_capacity(CHUNK), to };
    content(&mut base64)?;
    base64.finish().map_err(output)
}

/// Streaming base64 in lines of 76 characters.
struct Base64<'a> {
    /// Octets that do not fill a chunk yet.
    held: Vec<u8>,
    to: &'a mut dyn Write,
}

impl Base64<'_> {
    fn finish(self) -> io::Result<()> {
        self.to.write_all(&base64_encode(&self.held))
    }
}

impl Write for Base64<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let (first, rest) = octets.split_at_checked(CHUNK - self.held.len()).unwrap_or((octets, &[]));
        self.held.extend_from_slice(first);
        if self.held.len() == CHUNK {
            let whole = mem::replace(&mut self.held, Vec::with_capacity(CHUNK));
            self.to.write_all(&base64_encode(&whole))?;
        }
        let (whole, short) = rest.split_at_checked(rest.len() - rest.len() % CHUNK).unwrap_or_default();
        for chunk in whole.chunks(CHUNK) {
            self.to.write_all(&base64_encode(chunk))?;
        }
        self.held.extend_from_slice(short);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

struct Counting<'a> {
    length: usize,
    to: &'a mut dyn Write,
}

impl Write for Counting<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.to.write_all(octets)?;
        self.length += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Octets for whole lines of base64: 57 octets make 76 characters.
const CHUNK: usize = 57 * 576;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_in_pieces_of_any_size_is_base64_of_the_whole() {
        let octets: Vec<u8> = (0..3 * CHUNK + 100).map(|at| (at % 251) as u8).collect();
        for piece in [1, 57, 1000, CHUNK, CHUNK + 1, octets.len()] {
            let mut written = Vec::new();
            let mut base64 = Base64 { held: Vec::new(), to: &mut written };
            octets.chunks(piece).for_each(|piece| base64.write_all(piece).unwrap());
            base64.finish().unwrap();
            assert_eq!(written, base64_encode(&octets), "pieces of {piece}");
        }
    }
}
