//! The header of a message split for sealing by MIME: fields that stay outside, and those of the protected payload.

use std::io::{self, Write};

use super::Seal;
use crate::{
    base::{Error, Result},
    mail::{
        Message, Part,
        canonical::{self, Canonical, Carried, Form},
        header::Edit,
        header_protection::{Mode, protect},
    },
};

/// Header fields for outside, and those of the payload.
pub(super) struct MimeWrap<'a> {
    /// What stays outside, without Content-*.
    pub(super) outer: Edit<'a>,
    /// The header of the payload.
    header: Edit<'a>,
    root: Part<'a>,
    carried: Carried,
}

impl<'a> MimeWrap<'a> {
    /// Content-* moves inside, and with it what `how` protects. What is encrypted says nothing of Bcc outside.
    pub(super) fn of(message: &'a Message, how: &Seal) -> Self {
        let (payload, mut outer) = match how.headers.confidentiality() {
            None => {
                let mut payload = Edit::within(message.root());
                payload.retain(|field| is_content(field.name));
                (payload, Edit::new(message.root()))
            }
            Some(_) if !how.encrypts() => protect(message, Mode::Clear),
            Some(policy) => protect(message, Mode::Cipher(policy)),
        };
        outer.retain(|field| !is_content(field.name));
        if how.encrypts() {
            hide_bcc(&mut outer);
        }
        let carried = if how.encrypts() { Carried::Encrypted } else { Carried::InClear };
        MimeWrap { outer, header: payload, root: message.root(), carried }
    }

    /// What is protected.
    pub(super) fn payload(&self) -> Payload<'_> {
        Payload { part: self.root, header: &self.header, carried: self.carried }
    }
}

/// What is encrypted goes to several readers as one copy, in which none may see who else got it blindly (RFC 5322, section 3.6.3).
pub(super) fn hide_bcc(outer: &mut Edit<'_>) {
    outer.delete("Bcc");
}

/// The part that is protected: all of the message but the header fields that stay outside.
#[derive(Clone, Copy)]
pub(super) struct Payload<'a> {
    /// Where its body is.
    pub(super) part: Part<'a>,
    /// Its header.
    pub(super) header: &'a Edit<'a>,
    /// Whether the sealed message shows it.
    pub(super) carried: Carried,
}

impl Payload<'_> {
    /// Writes it as it is, with CRLF line ends. Where a part is declared binary, whose line ends are not ours to change, it is re-encoded.
    pub(super) fn write(self, to: &mut dyn Write) -> Result<()> {
        if any_binary(self.part) {
            return self.write_signable(to);
        }
        let header = self.header.octets();
        let octets = [header.as_slice(), b"\r\n", self.part.body()];
        let mut to = Canonical::new(Form::Crlf, to);
        octets.into_iter().try_for_each(|octets| to.write_all(octets)).map_err(output)?;
        to.finish().map(|_| ()).map_err(output)
    }

    /// Writes it 7-bit clean, as it is signed: within encryption too (RFC 3156, section 3).
    pub(super) fn write_signable(self, to: &mut dyn Write) -> Result<()> {
        canonical::write_signable(self.part, self.header, self.carried, to)
    }
}

/// The fields that stay outside, and MIME-Version if it is missing (RFC 2045, section 4); the empty line is still to come.
pub(super) fn write_outer(root: Part<'_>, outer: &Edit<'_>, to: &mut dyn Write) -> Result<()> {
    let octets = outer.octets();
    to.write_all(&canonical::canonical(&octets, Form::Crlf)).map_err(output)?;
    if root.header("MIME-Version").is_none() {
        to.write_all(b"MIME-Version: 1.0\r\n").map_err(output)?;
    }
    Ok(())
}

/// An error of writing what was sealed.
pub(super) fn output(error: io::Error) -> Error {
    Error::io("sealed message", &error)
}

fn is_content(name: &str) -> bool {
    name.get(..CONTENT.len()).is_some_and(|start| start.eq_ignore_ascii_case(CONTENT))
}

fn any_binary(root: Part<'_>) -> bool {
    let mut parts = vec![root];
    while let Some(part) = parts.pop() {
        if part.transfer_encoding() == "binary" {
            return true;
        }
        parts.extend(part.children());
    }
    false
}

/// The fields that describe a part, and go where it goes (RFC 2045, section 3).
const CONTENT: &str = "Content-";
