//! Sealed parts that stand beside other text or in attached messages, opened in their places: only when a person asks for it.
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
    protocol::{Beside, Claim, ClaimKind, Opened},
    verdict::{Layer, LayerKind},
};
use std::io::{self, Write};

/// A message with its sealed parts opened.
#[derive(Debug)]
pub struct OpenedParts {
    /// The message; every octet outside those parts as it was.
    pub octets: Vec<u8>,
    /// How many were opened.
    pub count: usize,
    /// Those that stayed as they were, or were left out, and why, one line each.
    pub closed: Vec<String>,
}

impl Engine<'_> {
    /// Opens each part and block of `message` that cannot be read as it is, in its place: encrypted ones, and those that are signed or
    /// packed so that nothing can be read without software. HTML that is another form of an encrypted text is left out.
    ///
    /// # Errors
    ///
    /// `Malformed` when HTML, or what a reader shows as such, stands beside what was encrypted.
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
        let Some((protocol, claim)) = self.claim(part) else { return self.within(part, root, found, budget) };
        budget.part()?;
        let opened = match protocol.open(part.as_message(), &claim, self.context, budget) {
            Ok(opened) if is_readable(&claim, part) || opened.layers.is_empty() => {
                found.beside.push(opened.payload);
                return Ok(None);
            }
            Ok(opened) => self.opened_further(opened, budget)?,
            Err(error) => {
                found.closed.push(format!("{}: {error}", place(part)));
                return Ok(None);
            }
        };
        let octets = self.in_place_of(part, root, &opened)?;
        if delimits(root, &octets) {
            return Err(Error::malformed(place(part), "its plaintext holds a boundary of the message around it"));
        }
        let is_encrypted = |layer: &Layer| matches!(layer.kind, LayerKind::Encrypted { .. });
        found.is_secret |= opened.layers.iter().any(is_encrypted);
        found.opened.push((part.span(), opened.payload));
        Ok(Some(octets))
    }

    /// What stands in the place of `part`, which claims nothing itself.
    fn within(
        &self,
        part: Part<'_>,
        root: Part<'_>,
        found: &mut Found,
        budget: &mut Budget,
    ) -> Result<Option<Vec<u8>>> {
        let mut changed = None;
        // From the last to the first, so that the spans of those before stay true.
        for child in part.children().collect::<Vec<_>>().into_iter().rev() {
            let Some(replacement) = self.replacement(child, root, found, budget)? else { continue };
            if let Some(html) = other_forms(part, child).filter(|_| found.is_secret) {
                found.leave_out(&html);
                let mut octets = other_fields(part);
                octets.extend_from_slice(&replacement);
                return Ok(Some(octets));
            }
            let base = part.span().start;
            let octets = changed.get_or_insert_with(|| part.octets().to_vec());
            octets.splice(child.span().start - base..child.span().end - base, replacement);
        }
        Ok(changed)
    }

    /// What was opened, without the layers that are in it as a whole and leave nothing to read.
    fn opened_further(&self, mut opened: Opened, budget: &mut Budget) -> Result<Opened> {
        loop {
            let root = opened.payload.root();
            let Some((protocol, claim)) = self.claim(root) else { return Ok(opened) };
            if is_readable(&claim, root) || !claim.is_whole(root) {
                return Ok(opened);
            }
            budget.layer()?;
            let Ok(inner) = protocol.open(opened.payload.clone(), &claim, self.context, budget) else {
                return Ok(opened);
            };
            opened.layers.extend(inner.layers);
            opened.payload = inner.payload;
        }
    }

    /// The plaintext as a part under what is not Content-* in the header of the one that it replaces, with the line ends of the message.
    fn in_place_of(&self, part: Part<'_>, root: Part<'_>, opened: &Opened) -> Result<Vec<u8>> {
        let mut octets = other_fields(part);
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
            // What follows an object in an attachment is no text.
            Some(beside) if part.content_type().kind == "text" => {
                let boundary = boundary(self.context.random)?;
                write_beside(part, beside, &opened.payload, &boundary, to)
            }
            _ => to.write_all(opened.payload.octets()),
        };
        written.map_err(|error| Error::io("plaintext", &error))
    }
}

/// Whether the text of a sealed part can be read without opening it: signed in clear.
fn is_readable(claim: &Claim, part: Part<'_>) -> bool {
    claim.kind == ClaimKind::InlineSigned || claim.kind == ClaimKind::Signed && part.children().len() > 0
}

/// The other parts of a multipart/alternative when all of them are HTML.
fn other_forms<'a>(part: Part<'a>, chosen: Part<'a>) -> Option<Vec<Part<'a>>> {
    let others: Vec<Part<'a>> = part.children().filter(|child| child.span() != chosen.span()).collect();
    let is_html = |part: &Part<'_>| part.content_type().is("text", "html");
    (part.content_type().is("multipart", "alternative") && !others.is_empty() && others.iter().all(is_html))
        .then_some(others)
}

/// The header fields that do not speak of the content.
fn other_fields(part: Part<'_>) -> Vec<u8> {
    let mut header = Edit::new(part);
    header.retain(|field| !field.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-")));
    header.octets()
}

fn place(part: Part<'_>) -> String {
    format!("part at {}..{}", part.span().start, part.span().end)
}

/// What was met on the way through the message.
#[derive(Default)]
struct Found {
    /// Where each opened part was, and what was in it.
    opened: Vec<(Span, Message)>,
    /// Whether one of them was encrypted.
    is_secret: bool,
    /// Where parts were that are not in the result.
    left_out: Vec<Span>,
    /// What lies in signed parts, which stay as they are: a reader shows it all the same.
    beside: Vec<Message>,
    closed: Vec<String>,
}

impl Found {
    fn leave_out(&mut self, parts: &[Part<'_>]) {
        for part in parts {
            self.left_out.push(part.span());
            self.closed.push(format!("{}: text/html is left out, because it could carry the text away", place(*part)));
        }
    }

    /// Refuses HTML beside a plaintext, whoever it is from: anybody can sign some, or encrypt it to the same reader.
    fn refuse_html(&self, root: Part<'_>) -> Result<()> {
        if !self.is_secret {
            return Ok(());
        }
        let skips = |span: Span| self.left_out.contains(&span) || self.opened.iter().any(|(opened, _)| *opened == span);
        refuse_html(root, &skips)?;
        let neighbours = self.opened.iter().map(|(_, payload)| payload).filter(|_| self.opened.len() > 1);
        neighbours.chain(&self.beside).try_for_each(|message| refuse_html(message.root(), &|_| false))
    }
}

fn refuse_html(part: Part<'_>, skips: &dyn Fn(Span) -> bool) -> Result<()> {
    if skips(part.span()) {
        return Ok(());
    }
    part.children().try_for_each(|child| refuse_html(child, skips))?;
    let kind = part.content_type();
    let is_harmless = match kind.kind.as_str() {
        "text" => matches!(kind.subtype.as_str(), "plain" | "rfc822-headers"),
        "multipart" => true,
        // What it holds was looked at; in another encoding it is one leaf, and what is in it is not known.
        "message" if matches!(kind.subtype.as_str(), "rfc822" | "global") => part.children().len() > 0,
        // Reports for programs: lines of fields, which no reader takes for HTML.
        "message" => MESSAGE_REPORTS.contains(&kind.subtype.as_str()),
        "image" | "audio" | "video" => !kind.subtype.contains("xml"),
        "application" => HARMLESS.contains(&kind.subtype.as_str()),
        _ => false,
    };
    if is_harmless {
        return Ok(());
    }
    let reason = format!("{}/{} stands beside what is encrypted, and could carry it away", kind.kind, kind.subtype);
    Err(Error::malformed(place(part), reason))
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

/// Subtypes of message that are lists of fields.
const MESSAGE_REPORTS: [&str; 6] = [
    "delivery-status",
    "disposition-notification",
    "feedback-report",
    "global-delivery-status",
    "global-disposition-notification",
    "global-headers",
];

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
