//! Mail that the service writes by itself, by a template.

use std::{fs, path::Path, sync::Arc};

use crate::{
    base::{Budget, Clock, Error, Kind, Limits, Random, Result},
    mail::{
        Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter, address::Mailbox, compose::Draft,
        encoding::quoted_printable_encode,
    },
};

pub use crate::mail::Template;

/// Writes automatic mail.
#[derive(Clone)]
pub struct Writer {
    /// The author.
    pub from: Mailbox,
    /// Limits on one message.
    pub limits: Limits,
    /// The time in Date.
    pub clock: Arc<dyn Clock>,
    /// For Message-ID.
    pub random: Arc<dyn Random>,
}

impl Template {
    /// Reads a template: `Subject: ...`, an empty line, and the text. Each of the names in `known` is a placeholder: `{id}`.
    ///
    /// # Errors
    ///
    /// `Config`: the file cannot be read, or is not of this form.
    pub fn read(path: &Path, known: &[&'static str]) -> Result<Template> {
        let refuse = |why: &str| Error::new(Kind::Config, format!("{}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| refuse(&error.to_string().to_lowercase()))?;
        Template::parse(&text, known).map_err(|why| refuse(&why))
    }
}

impl Writer {
    /// A multipart/report (RFC 6522) to `reader` with these parts, each with its type. The first one is a text in UTF-8, the others are ASCII.
    pub(super) fn report(
        &self,
        reader: &Address,
        subject: &str,
        parts: &[(&str, &[u8])],
        boundary: &str,
    ) -> Result<Vec<u8>> {
        let draft = Draft { from: self.from.clone(), to: vec![reader.clone()], subject: Some(subject.to_owned()) };
        let plain = draft.message(b"\r\n", &*self.clock, &*self.random)?;
        let end = memchr::memmem::find(&plain, b"MIME-Version:").unwrap_or(plain.len());
        // RFC 3834, section 5; RFC 3464, section 2.
        let mut octets = b"Auto-Submitted: auto-replied\r\n".to_vec();
        octets.extend_from_slice(plain.get(..end).unwrap_or_default());
        let kind = format!("multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"");
        octets.extend_from_slice(format!("MIME-Version: 1.0\r\nContent-Type: {kind}\r\n").as_bytes());
        for (kind, text) in parts {
            let head = format!("\r\n--{boundary}\r\nContent-Type: {kind}\r\n");
            octets.extend_from_slice(head.as_bytes());
            if text.is_ascii() {
                octets.extend_from_slice(b"\r\n");
                octets.extend_from_slice(text);
            } else {
                octets.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
                octets.extend_from_slice(&quoted_printable_encode(text));
            }
        }
        octets.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Ok(octets)
    }

    /// A mail to `reader`, with the null sender: nothing answers it. `value` is what stands for a placeholder.
    ///
    /// # Errors
    ///
    /// There is no randomness, or the mail exceeds the limits.
    pub fn mail(&self, template: &Template, reader: Address, value: impl Fn(&str) -> String) -> Result<Mail> {
        let (subject, text) = template.filled(value, &[]);
        let draft = Draft { from: self.from.clone(), to: vec![reader.clone()], subject: Some(subject) };
        // Automatic responders do not answer it.
        let mut octets = b"Auto-Submitted: auto-generated\r\n".to_vec();
        octets.extend(draft.message(text.as_bytes(), &*self.clock, &*self.random)?);
        let message = Message::parse(octets, &mut Budget::new(self.limits.clone()))?;
        let recipients = vec![ForwardPath { address: reader, parameters: Vec::new() }];
        let envelope = Envelope { sender: ReversePath::default(), recipients };
        Ok(Mail { envelope, submitter: Submitter::Trusted, client: None, message })
    }
}
