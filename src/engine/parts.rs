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
    protocol::{Opened, blurred},
    verdict::LayerKind,
};
use std::{
    collections::HashSet,
    io::{self, Write},
};

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
        let root = message.root();
        let mut budget = Budget::of_message(self.limits.clone(), root.octets().len());
        let mut found = Found { boundaries: Boundaries::of(root), ..Found::default() };
        self.open_below(root, root, &mut found, &mut budget)?;
        found.refuse_html(root)?;
        Ok(OpenedParts { octets: found.replaced(root), count: found.opened.len(), closed: found.closed })
    }

    /// Opens what is encrypted at `part` and below.
    fn open_below(&self, part: Part<'_>, root: Part<'_>, found: &mut Found, budget: &mut Budget) -> Result<()> {
        let Some((protocol, claim)) = self.claim(part) else {
            return part.children().try_for_each(|child| self.open_below(child, root, found, budget));
        };
        budget.part()?;
        let opened = match protocol.open(part.as_message(), &claim, self.context, budget) {
            Ok(opened) if opened.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. })) => opened,
            Ok(opened) => {
                found.beside = found.beside.take().or_else(|| refuse_html(opened.payload.root(), &|_| false).err());
                return Ok(());
            }
            Err(error) => {
                found.closed.push(format!("part at {}..{}: {error}", part.span().start, part.span().end));
                return Ok(());
            }
        };
        let octets = self.in_place_of(part, root, &opened)?;
        if found.boundaries.are_in(&octets) {
            let place = format!("part at {}..{}", part.span().start, part.span().end);
            let error = Error::malformed(place, "its plaintext holds a boundary of the message around it");
            return Err(told(error, opened.refusal.as_ref()));
        }
        let html = refuse_html(opened.payload.root(), &|_| false).err();
        let html = html.map(|error| told(error, opened.refusal.as_ref()));
        found.opened.push(OpenedPart { place: part.span(), octets, html });
        Ok(())
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
            Some(block) => {
                let boundary = boundary(self.context.random)?;
                write_beside(part, block, &opened.payload, &boundary, to)
            }
        };
        written.map_err(|error| Error::io("plaintext", &error))
    }
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
    /// In the order of their places.
    opened: Vec<OpenedPart>,
    /// The refusal of what lies in signed and packed parts, which stay as they are: a reader shows it all the same.
    beside: Option<Error>,
    closed: Vec<String>,
    /// Of the message around them.
    boundaries: Boundaries,
}

/// A part that was opened.
struct OpenedPart {
    /// Where it is in the message.
    place: Span,
    /// What stands in its place.
    octets: Vec<u8>,
    /// Why it may not stand beside another one.
    html: Option<Error>,
}

impl Found {
    /// The message with what was opened in its place.
    fn replaced(&self, root: Part<'_>) -> Vec<u8> {
        let (base, octets) = (root.span().start, root.octets());
        let added: usize = self.opened.iter().map(|one| one.octets.len()).sum();
        let mut written = Vec::with_capacity(octets.len() + added);
        let mut from = 0;
        for OpenedPart { place, octets: within, .. } in &self.opened {
            written.extend_from_slice(octets.get(from..place.start - base).unwrap_or_default());
            written.extend_from_slice(within);
            from = place.end - base;
        }
        written.extend_from_slice(octets.get(from..).unwrap_or_default());
        written
    }

    /// Refuses HTML beside a plaintext, whoever it is from: anybody can sign some, or encrypt it to the same reader.
    fn refuse_html(&self, root: Part<'_>) -> Result<()> {
        if self.opened.is_empty() {
            return Ok(());
        }
        let places: HashSet<Span> = self.opened.iter().map(|one| one.place).collect();
        refuse_html(root, &|span| places.contains(&span))?;
        let mut neighbours = self.opened.iter().filter_map(|one| one.html.as_ref()).filter(|_| self.opened.len() > 1);
        match neighbours.next().or(self.beside.as_ref()) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
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
fn write_beside(part: Part<'_>, block: &Span, payload: &Message, boundary: &str, to: &mut dyn Write) -> io::Result<()> {
    if part.header("MIME-Version").is_none() {
        to.write_all(b"MIME-Version: 1.0\r\n")?;
    }
    write!(to, "Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n")?;
    let decoded = part.decoded();
    for text in [decoded.get(..block.start), None, decoded.get(block.end..)] {
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

/// The boundary lines of a message, in order; of those that start with one another, the shortest.
#[derive(Default)]
struct Boundaries(Vec<Vec<u8>>);

impl Boundaries {
    fn of(root: Part<'_>) -> Self {
        let mut lines = Vec::new();
        let mut parts = vec![root];
        while let Some(part) = parts.pop() {
            lines
                .extend(part.content_type().parameter("boundary").map(|boundary| format!("--{boundary}").into_bytes()));
            parts.extend(part.children());
        }
        lines.sort_unstable();
        lines.dedup_by(|longer, shorter| longer.starts_with(shorter));
        Boundaries(lines)
    }

    /// Whether a line of `octets` would be taken for one of them.
    fn are_in(&self, octets: &[u8]) -> bool {
        let lines = octets.split(|octet| *octet == b'\n').filter(|line| line.starts_with(b"--"));
        // None of them starts with another, so that only the last that is not greater can be what the line starts with.
        let before = |line: &[u8]| self.0.partition_point(|boundary| boundary.as_slice() <= line).checked_sub(1);
        let mut nearest = lines.filter_map(|line| Some((line, self.0.get(before(line)?)?)));
        nearest.any(|(line, boundary)| line.starts_with(boundary))
    }
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
