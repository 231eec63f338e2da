//! Mail that the service writes by itself, by a template.

use std::{fs, path::Path, sync::Arc};

use crate::{
    base::{Budget, Clock, Error, Kind, Limits, Random, Result},
    mail::{
        Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter, address::Mailbox, compose::Draft,
        encoding::quoted_printable_encode,
    },
    report::printable,
};

/// The subject and the text of a mail, with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    subject: Vec<Piece>,
    text: Vec<Piece>,
}

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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(&'static str),
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

    /// [`Template::read`] of a text.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse(text: &str, known: &[&'static str]) -> std::result::Result<Template, String> {
        let text = text.replace("\r\n", "\n");
        let parts = text.split_once("\n\n").and_then(|(head, text)| Some((head.strip_prefix("Subject:")?, text)));
        let (subject, text) = parts.ok_or("not \"Subject: ...\", an empty line, and a text")?;
        if subject.contains(char::is_control) {
            return Err("a subject with a control character, or another field".to_owned());
        }
        Ok(Template { subject: pieces(subject.trim(), known)?, text: pieces(text, known)? })
    }
}

impl Template {
    /// The subject and the text. `value` is what stands for a placeholder; one in `lines` is several lines, each of which is printed as one.
    pub(super) fn filled(&self, value: impl Fn(&str) -> String, lines: &[(&str, Vec<String>)]) -> (String, String) {
        let subject: String = filled(&self.subject, &value).chars().take(MAX_SUBJECT).collect();
        let one = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Value(name) => match lines.iter().find(|(known, _)| known == name) {
                Some((_, lines)) => lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n"),
                None => printable(&value(name)),
            },
        };
        let text: String = self.text.iter().map(one).collect();
        (subject, text.replace('\n', "\r\n") + "\r\n")
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
        let subject: String = filled(&template.subject, &value).chars().take(MAX_SUBJECT).collect();
        let text = filled(&template.text, &value).replace('\n', "\r\n") + "\r\n";
        let draft = Draft { from: self.from.clone(), to: vec![reader.clone()], subject: Some(subject) };
        // Automatic responders do not answer it.
        let mut octets = b"Auto-Submitted: auto-generated\r\n".to_vec();
        octets.extend(draft.message(text.as_bytes(), &*self.clock, &*self.random)?);
        let message = Message::parse(octets, &mut Budget::new(self.limits.clone()))?;
        let recipients = vec![ForwardPath { address: reader, parameters: Vec::new() }];
        let envelope = Envelope { sender: ReversePath::default(), recipients };
        Ok(Mail { envelope, submitter: Submitter::Trusted, message })
    }
}

/// Text and placeholders. `{` stands for itself where no name and `}` follow.
fn pieces(text: &str, known: &[&'static str]) -> std::result::Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let name = after.split_once('}').filter(|(name, _)| name.bytes().all(|octet| octet.is_ascii_lowercase()));
        let Some((name, behind)) = name else {
            pieces.push(Piece::Text(format!("{before}{{")));
            rest = after;
            continue;
        };
        pieces.push(Piece::Text(before.to_owned()));
        let value = known.iter().copied().find(|one| *one == name).ok_or_else(|| {
            let known: Vec<String> = known.iter().map(|one| format!("{{{one}}}")).collect();
            format!("unknown placeholder {{{name}}}; known are {}", known.join(" "))
        })?;
        pieces.push(Piece::Value(value));
        rest = behind;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn filled(pieces: &[Piece], value: &impl Fn(&str) -> String) -> String {
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Value(name) => printable(&value(name)),
    };
    pieces.iter().map(one).collect()
}

/// Characters, of four octets at most; see [`Draft::message`].
const MAX_SUBJECT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_with_errors_are_refused() {
        for (template, why) in [
            ("no subject\n\ntext", "not \"Subject: ...\", an empty line, and a text"),
            ("Subject: x\ntext", "not \"Subject: ...\", an empty line, and a text"),
            ("Subject: x\nBcc: eve@x.org\n\ntext", "a subject with a control character, or another field"),
            ("Subject: {body}\n\ntext", "unknown placeholder {body}; known are {from} {to}"),
        ] {
            assert_eq!(Template::parse(template, &["from", "to"]).unwrap_err(), why);
        }
    }
}
