//! Sealed parts that stand beside other text or in attached messages, opened in their places: only when a person asks for it.
//!
//! It is not a step of the pipeline, because text that an attacker puts around a ciphertext can leak its plaintext: HTML around it carries
//! the plaintext away (EFAIL, section 4.1), and a reply quotes what its writer never saw (Müller et al. 2019, "covert content").

use super::{
    Engine,
    lines::{LfWriter, uses_crlf},
};
use crate::{
    base::{Budget, Error, Result},
    keys::Snapshot,
    mail::{
        Message, Part, Span,
        build::boundary,
        canonical::{Canonical, Form},
        header::Edit,
    },
    protocol::{Claim, ClaimKind, Opened, blurred},
    verdict::LayerKind,
};
use std::{
    collections::HashSet,
    io::{self, Write},
};

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
        let root = message.root();
        let mut budget = Budget::of_message(self.limits.clone(), root.octets().len());
        let mut found = Found { boundaries: Boundaries::of(root), ..Found::default() };
        let keys = Snapshot::new(self.context.keys, self.limits.network);
        self.with_keys(&keys).open_below(root, root, &mut found, &mut budget)?;
        found.refuse_html(root)?;
        Ok(OpenedParts { octets: replaced(root, &found.replacements), count: found.opened.len(), closed: found.closed })
    }

    /// Opens what is sealed at `part` and below.
    fn open_below(&self, part: Part<'_>, root: Part<'_>, found: &mut Found, budget: &mut Budget) -> Result<()> {
        let Some((protocol, claim)) = self.claim(part) else { return self.open_children(part, root, found, budget) };
        budget.part()?;
        let opened = match protocol.open(part.as_message(), &claim, self.context, budget) {
            Ok(opened) if is_readable(&claim, part) || opened.layers.is_empty() => {
                found.beside = found.beside.take().or_else(|| refuse_html(opened.payload.root(), &|_| false).err());
                return Ok(());
            }
            Ok(opened) => self.opened_further(opened, budget)?,
            Err(error) => {
                found.closed.push(format!("{}: {error}", place(part)));
                return Ok(());
            }
        };
        let octets = self.in_place_of(part, root, &opened)?;
        if found.boundaries.are_in(&octets) {
            let error = Error::malformed(place(part), "its plaintext holds a boundary of the message around it");
            return Err(told(error, &opened));
        }
        let is_secret = opened.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. }));
        let html = refuse_html(opened.payload.root(), &|_| false).err();
        let html = html.map(|error| told(error, &opened));
        found.opened.push(OpenedPart { place: part.span(), is_secret, html });
        found.replacements.push(Replacement { place: part.span(), octets });
        Ok(())
    }

    /// Opens what is sealed in `part`, which claims nothing itself.
    fn open_children(&self, part: Part<'_>, root: Part<'_>, found: &mut Found, budget: &mut Budget) -> Result<()> {
        for child in part.children() {
            let (opened, first) = (found.opened.len(), found.replacements.len());
            self.open_below(child, root, found, budget)?;
            let is_secret = found.opened.iter().skip(opened).any(|one| one.is_secret);
            if let Some(html) = other_forms(part, child).filter(|_| is_secret) {
                found.leave_out(part, child, &html, first);
                return Ok(());
            }
        }
        Ok(())
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
            // Octets beside an object in an attachment are no text.
            Some(block) if part.content_type().kind == "text" => {
                let boundary = boundary(self.context.random)?;
                write_beside(part, block, &opened.payload, &boundary, to)
            }
            _ => to.write_all(opened.payload.octets()),
        };
        written.map_err(|error| Error::io("plaintext", &error))
    }
}

/// What is told of an `error` in a part that was opened.
fn told(error: Error, opened: &Opened) -> Error {
    let is_secret = opened.layers.iter().any(|layer| matches!(layer.kind, LayerKind::Encrypted { .. }));
    match &opened.refusal {
        Some(refusal) => blurred(error, refusal),
        None if is_secret => error.within_encryption(),
        None => error,
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
    /// In the order of their places.
    opened: Vec<OpenedPart>,
    /// What stands in other octets' places in the result, in the order of their places.
    replacements: Vec<Replacement>,
    /// Where parts were that are not in the result.
    left_out: Vec<Span>,
    /// The refusal of what lies in signed parts, which stay as they are: a reader shows it all the same.
    beside: Option<Error>,
    closed: Vec<String>,
    /// Of the message around them.
    boundaries: Boundaries,
}

/// A part that was opened.
struct OpenedPart {
    /// Where it is in the message.
    place: Span,
    /// Whether it was encrypted.
    is_secret: bool,
    /// Why it may not stand beside another one.
    html: Option<Error>,
}

/// Octets of the result in the place of those of the message.
struct Replacement {
    place: Span,
    octets: Vec<u8>,
}

/// `part` with the replacements of what is in it.
fn replaced(part: Part<'_>, replacements: &[Replacement]) -> Vec<u8> {
    let (base, octets) = (part.span().start, part.octets());
    let added: usize = replacements.iter().map(|one| one.octets.len()).sum();
    let mut written = Vec::with_capacity(octets.len() + added);
    let mut from = 0;
    for Replacement { place, octets: within } in replacements {
        written.extend_from_slice(octets.get(from..place.start - base).unwrap_or_default());
        written.extend_from_slice(within);
        from = place.end - base;
    }
    written.extend_from_slice(octets.get(from..).unwrap_or_default());
    written
}

impl Found {
    /// Puts what is in the place of `form`, whose replacements are those from `first` on, in the place of the multipart/alternative that it is in.
    fn leave_out(&mut self, multipart: Part<'_>, form: Part<'_>, others: &[Part<'_>], first: usize) {
        let mut octets = other_fields(multipart);
        octets.extend_from_slice(&replaced(form, &self.replacements.split_off(first)));
        self.replacements.push(Replacement { place: multipart.span(), octets });
        for part in others {
            self.left_out.push(part.span());
            self.closed.push(format!("{}: text/html is left out, because it could carry the text away", place(*part)));
        }
    }

    /// Refuses HTML beside a plaintext, from any sender: an attacker can sign HTML, or encrypt it to the same reader.
    fn refuse_html(&self, root: Part<'_>) -> Result<()> {
        if !self.opened.iter().any(|one| one.is_secret) {
            return Ok(());
        }
        let opened = self.opened.iter().map(|one| one.place);
        let places: HashSet<Span> = opened.chain(self.left_out.iter().copied()).collect();
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
