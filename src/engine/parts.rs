//! Encrypted parts that stand beside other text, opened in their places: only when a person asks for it.
//!
//! It is no part of the corridor, because whoever can put text around a ciphertext can make software speak: HTML around it carries
//! the plaintext away (EFAIL, section 4.1), and a reply quotes what its writer never saw (Müller et al. 2019, "covert content").

use super::{
    Engine,
    lines::{LfWriter, uses_crlf},
};
use crate::{
    base::{Budget, Error, Result},
    mail::{
        Message, Part, Span,
        build::boundary,
        canonical::{Canonical, Form},
        header::Edit,
    },
    protocol::{Beside, Opened, blurred},
    verdict::LayerKind,
};
use std::io::{self, Write};

/// A message with its encrypted parts opened.
#[derive(Debug)]
pub struct OpenedParts {
    /// The message; every octet outside those parts as it was.
    pub octets: Vec<u8>,
    /// How many were opened.
    pub count: usize,
    /// Those that stayed as they were, and why, one line each.
    pub closed: Vec<String>,
}

impl Engine<'_> {
    /// Opens each encrypted part and block of `message` in its place.
    ///
    /// # Errors
    ///
    /// `Malformed` when HTML, or what a reader shows as such, stands beside them.
    pub fn open_parts(&self, message: &Message) -> Result<OpenedParts> {
        let mut found = Found::default();
        let mut budget = self.budget();
        let root = message.root();
        let octets = self.replacement(root, root, &mut found, &mut budget)?;
        found.refuse_html(root)?;
        Ok(OpenedParts {
            octets: octets.unwrap_or_else(|| root.octets().to_vec()),
            count: found.opened.len(),
            closed: found.closed,
        })
    }

    /// What stands in the place of `part`; `None` when nothing in it was opened.
    fn replacement(
        &self,
        part: Part<'_>,
        root: Part<'_>,
        found: &mut Found,
        budget: &mut Budget,
    ) -> Result<Option<Vec<u8>>> {
        let Some((protocol, claim)) = self.claim(part) else {
            let mut changed = None;
            // From the last to the first, so that the spans of those before stay true.
            for child in part.children().collect::<Vec<_>>().into_iter().rev() {
                let Some(replacement) = self.replacement(child, root, found, budget)? else { continue };
                let base = part.span().start;
                let octets = changed.get_or_insert_with(|| part.octets().to_vec());
                octets.splice(child.span().start - base..child.span().end - base, replacement);
            }
            return Ok(changed);
        };
        budget.part()?;
        let opened = match protocol.open(part.as_message(), &claim, self.context, budget) {
            Ok(opened) if opened.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. })) => opened,
            Ok(opened) => {
                found.beside.push(opened.payload);
                return Ok(None);
            }
            Err(error) => {
                found.closed.push(format!("part at {}..{}: {error}", part.span().start, part.span().end));
                return Ok(None);
            }
        };
        let octets = self.in_place_of(part, root, &opened)?;
        if delimits(root, &octets) {
            let place = format!("part at {}..{}", part.span().start, part.span().end);
            let error = Error::malformed(place, "its plaintext holds a boundary of the message around it");
            return Err(told(error, opened.refusal.as_ref()));
        }
        found.opened.push(OpenedPart { span: part.span(), payload: opened.payload, refusal: opened.refusal });
        Ok(Some(octets))
    }

    /// The plaintext as a part under what is not Content-* in the header of the one that it replaces, with the line ends of the message.
    fn in_place_of(&self, part: Part<'_>, root: Part<'_>, opened: &Opened) -> Result<Vec<u8>> {
        let mut header = Edit::new(part);
        header.retain(|field| !field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-")));
        let mut octets = header.octets();
        let written = if uses_crlf(root) {
            let mut to = Canonical::new(Form::Crlf, &mut octets);
            self.write_part(part, opened, &mut to)?;
            to.finish().map(|_| ())
        } else {
            let mut to = LfWriter::new(&mut octets);
            self.write_part(part, opened, &mut to)?;
            to.finish()
        };
        written.map_err(|error| Error::io("plaintext", &error))?;
        Ok(octets)
    }

    fn write_part(&self, part: Part<'_>, opened: &Opened, to: &mut dyn Write) -> Result<()> {
        let written = match &opened.beside {
            None => to.write_all(opened.payload.octets()),
            Some(beside) => {
                let boundary = boundary(self.context.random)?;
                write_beside(part, beside, &opened.payload, &boundary, to)
            }
        };
        written.map_err(|error| Error::io("plaintext", &error))
    }
}

/// A part that was opened.
struct OpenedPart {
    /// Where it was.
    span: Span,
    /// What was in it.
    payload: Message,
    /// See [`Opened::refusal`].
    refusal: Option<Error>,
}

/// What is told of an `error` in a plaintext.
fn told(error: Error, refusal: Option<&Error>) -> Error {
    match refusal {
        Some(refusal) => blurred(error, refusal),
        None => error.within_encryption(),
    }
}

/// What was met on the way through the message.
#[derive(Default)]
struct Found {
    opened: Vec<OpenedPart>,
    /// What lies in signed and packed parts, which stay as they are: a reader shows it all the same.
    beside: Vec<Message>,
    closed: Vec<String>,
}

impl Found {
    /// Refuses HTML beside a plaintext, whoever it is from: anybody can sign some, or encrypt it to the same reader.
    fn refuse_html(&self, root: Part<'_>) -> Result<()> {
        if self.opened.is_empty() {
            return Ok(());
        }
        let skips = |span: Span| self.opened.iter().any(|opened| opened.span == span);
        refuse_html(root, &skips)?;
        for neighbour in self.opened.iter().filter(|_| self.opened.len() > 1) {
            refuse_html(neighbour.payload.root(), &|_| false)
                .map_err(|error| told(error, neighbour.refusal.as_ref()))?;
        }
        self.beside.iter().try_for_each(|message| refuse_html(message.root(), &|_| false))
    }
}

fn refuse_html(part: Part<'_>, skips: &dyn Fn(Span) -> bool) -> Result<()> {
    if skips(part.span()) {
        return Ok(());
    }
    part.children().try_for_each(|child| refuse_html(child, skips))?;
    let kind = part.content_type();
    let is_harmless = match kind.kind.as_str() {
        "text" => kind.subtype == "plain",
        "multipart" => true,
        "image" | "audio" | "video" => !kind.subtype.contains("xml"),
        "application" => HARMLESS.contains(&kind.subtype.as_str()),
        _ => false,
    };
    if is_harmless {
        return Ok(());
    }
    let place = format!("part at {}..{}", part.span().start, part.span().end);
    let reason = format!("{}/{} stands beside what is encrypted, and could carry it away", kind.kind, kind.subtype);
    Err(Error::malformed(place, reason))
}

/// The text before, the plaintext and the text after as parts of their own: nothing flows into its neighbour.
fn write_beside(
    part: Part<'_>,
    beside: &Beside,
    payload: &Message,
    boundary: &str,
    to: &mut dyn Write,
) -> io::Result<()> {
    if part.header("MIME-Version").is_none() {
        to.write_all(b"MIME-Version: 1.0\r\n")?;
    }
    write!(to, "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n")?;
    for text in [Some(&beside.before), None, Some(&beside.after)] {
        match text {
            Some(text) if text.trim_ascii().is_empty() => continue,
            Some(text) => {
                write!(to, "--{boundary}\r\n")?;
                for field in part.fields().filter(|field| field.is("Content-Type")) {
                    to.write_all(field.raw)?;
                }
                to.write_all(b"Content-Transfer-Encoding: 8bit\r\n\r\n")?;
                to.write_all(text)?;
            }
            None => {
                write!(to, "--{boundary}\r\n")?;
                to.write_all(payload.octets())?;
            }
        }
        to.write_all(b"\r\n")?;
    }
    write!(to, "--{boundary}--\r\n")
}

/// Whether a line of `octets` would be taken for a boundary of `part` or of what is in it.
fn delimits(part: Part<'_>, octets: &[u8]) -> bool {
    let own = part.content_type().parameter("boundary").is_some_and(|boundary| {
        let line = format!("--{boundary}");
        octets.split(|&octet| octet == b'\n').any(|found| found.starts_with(line.as_bytes()))
    });
    own || part.children().any(|child| delimits(child, octets))
}

/// Subtypes of application that show nothing themselves; what is in signed and encrypted ones is looked at where it was opened.
const HARMLESS: [&str; 10] = [
    "octet-stream",
    "pdf",
    "pgp",
    "pgp-encrypted",
    "pgp-keys",
    "pgp-signature",
    "pkcs7-mime",
    "pkcs7-signature",
    "x-pkcs7-mime",
    "x-pkcs7-signature",
];
