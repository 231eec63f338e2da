//! Walks over the packets of one OpenPGP message (RFC 9580, section 10.3): decrypts, decompresses, and collects the
//! literal data with the signatures around it. It judges nothing, and returns nothing before the last integrity check.

use std::{
    io::{self, Read},
    mem::replace,
};

use sequoia_openpgp::{
    Packet,
    packet::{Signature, Tag, Unknown},
    parse::{Dearmor, PacketParser, PacketParserBuilder, PacketParserResult, Parse, buffered_reader::BufferedReader},
    types::DataFormat,
};

use super::{
    container::{self, Container, Last},
    in_place::InPlace,
    sessions::{Esk, Lock, Sessions},
    suite,
    words::reason,
};
use crate::{
    base::{Budget, Error, Hint, Kind, Result},
    crypto::Legacy,
    protocol::{Context, blurred},
    verdict::Why,
};

/// The content of an OpenPGP message.
pub(super) struct Unpacked {
    /// The packets around the literal data, outermost first.
    pub(super) wraps: Vec<Wrap>,
    /// The literal data.
    pub(super) literal: Literal,
    /// See [`Opened::refusal`](crate::protocol::Opened::refusal).
    pub(super) refusal: Option<Error>,
}

/// The content of a literal data packet (RFC 9580, section 5.9).
pub(super) struct Literal {
    /// The format that the sender gave: binary, text or UTF-8 text.
    pub(super) format: DataFormat,
    /// The octets, unchanged.
    pub(super) octets: Vec<u8>,
}

/// A layer around the literal data.
pub(super) enum Wrap {
    /// A compressed data packet.
    Compressed(&'static str),
    /// A decrypted encryption container. Its integrity check has passed when [`unpack`] returns.
    Encrypted { cipher: String, authenticated: bool, recipients: Vec<String>, quantum_safe: bool },
    /// Signatures, in the order found.
    Signed { signatures: Vec<Found>, open: usize, over: Over },
}

/// The data that signatures cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Compressed or encrypted data: implementations disagree on what such a signature covers.
    Container,
    /// The literal data.
    Text,
}

/// A signature packet, or why it cannot be read.
pub(super) enum Found {
    Signature(Box<Signature>),
    Unreadable(Why),
}

/// Unpacks a message without armor. All octets are read and every check must pass. The content is in the memory of `octets`, unless it was compressed.
pub(super) fn unpack(octets: Vec<u8>, context: Context<'_>, budget: &mut Budget) -> Result<Unpacked> {
    let mut walk = Walk::new(octets.len(), context, budget);
    walk.run(octets)?;
    match walk.literal {
        Some(literal) => Ok(Unpacked { wraps: walk.wraps, literal, refusal: walk.refusal }),
        None => Err(Error::malformed("openpgp message", "holds no text")),
    }
}

/// The signature packets of a detached signature, in order; an entry with the reason if they cannot be read. An error
/// only if the Budget is exceeded.
pub(super) fn signatures(octets: &[u8], budget: &mut Budget) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let unreadable = |reason: String| Found::Unreadable(Why::Malformed(reason));
    let mut next = PacketParserBuilder::from_bytes(octets).and_then(parser);
    loop {
        match next {
            Ok(PacketParserResult::EOF(_)) => break,
            Ok(PacketParserResult::Some(mut packet)) => {
                // Skipped packets cost time too, and Sequoia keeps memory for each.
                budget.packet()?;
                match signature(&mut packet) {
                    Some(one) => found.push(one),
                    None if skipped(packet.packet.tag()) => {}
                    // RFC 9580, section 10.4 allows only signature packets.
                    None => {
                        found.push(unreadable(format!("a {} among signatures", packet.packet.tag()).to_lowercase()))
                    }
                }
                next = packet.next().map(|(_, next)| next);
            }
            Err(error) => {
                found.push(unreadable(reason(&error)));
                break;
            }
        }
        budget.signatures(found.len())?;
    }
    if found.is_empty() {
        found.push(unreadable("it is empty".to_owned()));
    }
    Ok(found)
}

fn parser(source: PacketParserBuilder<'_>) -> sequoia_openpgp::Result<PacketParserResult<'_>> {
    // verify.rs hashes the data once per hash function, so Sequoia need not hash while parsing.
    source.dearmor(Dearmor::Disabled).automatic_hashing(false).max_packet_size(LARGEST).build()
}

/// State of the walk between two packets.
struct Walk<'a, 'b> {
    /// Octets of the whole message.
    size: usize,
    /// The octets that are walked, and the room for what comes out of them.
    place: InPlace,
    budget: &'b mut Budget,
    legacy: Legacy,
    sessions: Sessions<'a>,
    packets: usize,
    signatures: usize,
    /// Encrypted session keys whose container has not come yet.
    esks: Vec<Esk>,
    wraps: Vec<Wrap>,
    literal: Option<Literal>,
    /// Number of containers being walked.
    depth: usize,
    /// The message has a container that is not in Sequoia's message grammar: one without integrity protection, or
    /// LibrePGP's. No packet may follow it.
    is_foreign: bool,
    /// See [`Unpacked::refusal`].
    refusal: Option<Error>,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(size: usize, context: Context<'a>, budget: &'b mut Budget) -> Self {
        Walk {
            size,
            place: InPlace::new(Vec::new()),
            budget,
            legacy: context.legacy,
            sessions: Sessions::new(context),
            packets: 0,
            signatures: 0,
            esks: Vec::new(),
            wraps: Vec::new(),
            literal: None,
            depth: 0,
            is_foreign: false,
            refusal: None,
        }
    }

    fn run(&mut self, octets: Vec<u8>) -> Result<()> {
        let around = replace(&mut self.place, InPlace::new(octets));
        let walked = self.each_packet();
        self.place = around;
        walked
    }

    fn each_packet(&mut self) -> Result<()> {
        let source = PacketParserBuilder::from_reader(self.place.source());
        let mut next = source.and_then(parser).map_err(|error| malformed(&error))?;
        // The first container that could not be opened. The walk goes on, because packets after it may hold text that
        // is not encrypted.
        let mut locked = None;
        loop {
            match next {
                PacketParserResult::Some(_) if self.is_foreign => {
                    return Err(Error::malformed("openpgp message", "has packets after its encrypted data"));
                }
                PacketParserResult::Some(mut parser) => {
                    match self.packet(&mut parser) {
                        Err(error) if error.is_sealed() && locked.is_none() => locked = Some(error),
                        walked => walked?,
                    }
                    next = match parser.recurse() {
                        Ok((_, next)) => next,
                        Err(error) => return Err(locked.unwrap_or_else(|| malformed(&error))),
                    };
                }
                PacketParserResult::EOF(end) => {
                    if !self.is_foreign {
                        end.is_message().map_err(|error| malformed(&error))?;
                    }
                    return locked.map_or(Ok(()), Err);
                }
            }
        }
    }

    fn packet(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        self.packets += 1;
        let limits = self.budget.limits();
        // All meaningful packets are bounded by these limits. The rest are markers and padding.
        if self.packets > limits.session_keys + 2 * limits.signatures + 4 * limits.layers {
            return Err(Error::malformed("openpgp message", "too many packets"));
        }
        let tag = parser.packet.tag();
        if tag == Tag::SED {
            return self.unprotected(parser);
        }
        if tag == Tag::AED {
            return self.librepgp(parser);
        }
        parser.possible_message().map_err(|error| malformed(&error))?;
        match &parser.packet {
            Packet::CompressedData(data) => {
                let name = suite::compression_name(data.algo());
                // No program compresses twice, and the output of the outer packet could not be counted.
                if self.is_compressed() {
                    return Err(Error::malformed("openpgp message", "compressed twice"));
                }
                self.container(parser)?;
                self.wraps.push(Wrap::Compressed(name));
            }
            Packet::Literal(_) => self.literal(parser)?,
            Packet::OnePassSig(_) => self.announced(),
            Packet::PKESK(packet) => self.esks.push(Esk::Key(packet.clone())),
            Packet::SEIP(_) => self.encrypted(parser)?,
            Packet::SKESK(packet) => self.esks.push(Esk::Password(packet.clone())),
            Packet::Signature(_) => self.signature(parser)?,
            Packet::Unknown(_) if tag == Tag::OnePassSig => self.announced(),
            Packet::Unknown(_) if tag == Tag::PKESK || tag == Tag::SKESK => self.esks.push(Esk::Unknown),
            Packet::Unknown(_) if tag == Tag::Signature => self.signature(parser)?,
            Packet::Unknown(unknown) if !skipped(tag) => return Err(malformed(unknown.error())),
            _ => {}
        }
        if matches!(parser.packet, Packet::Unknown(_) | Packet::Padding(_)) {
            self.pass_over(parser)?;
        }
        self.budget.session_keys(self.esks.len())
    }

    /// Counts every container but the first as a layer of the Budget. The caller has already counted the first.
    fn container(&mut self, parser: &PacketParser<'_>) -> Result<()> {
        if self.depth > 0 || parser.recursion_depth() > 0 {
            self.budget.layer()?;
        }
        if !parser.processed() && matches!(parser.packet, Packet::CompressedData(_)) {
            return Err(Error::unavailable("openpgp message: unknown compression algorithm"));
        }
        self.close_group();
        Ok(())
    }

    fn encrypted(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        self.container(parser)?;
        let container = Container::read(parser, &self.place)?;
        self.opened(container).map_err(Error::within_encryption)
    }

    /// Opens LibrePGP's packet 20.
    fn librepgp(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        let walked = self.walk_librepgp(parser);
        self.is_foreign = true;
        walked
    }

    fn walk_librepgp(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        if self.depth > 0 || parser.recursion_depth() > 0 || !self.wraps.is_empty() || self.literal.is_some() {
            return Err(Error::malformed("openpgp message", "nested librepgp packet 20"));
        }
        let sealed = container::body(parser, &self.place, Last::Consumed)?;
        self.opened(Container::librepgp(sealed)?).map_err(Error::within_encryption)
    }

    /// Opens Symmetrically Encrypted Data (RFC 4880, section 5.7). It could have been modified, so it is opened only on
    /// request, and errors reveal nothing about its content.
    fn unprotected(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        let walked = self.walk_unprotected(parser);
        self.is_foreign = true;
        walked
    }

    fn walk_unprotected(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        if self.legacy == Legacy::Refuse {
            let reason = "openpgp message: encrypted without any protection against changes";
            return Err(Error::new(Kind::Undecryptable, reason).with_hint(Hint::ReadLegacy));
        }
        if self.depth > 0 || parser.recursion_depth() > 0 || !self.wraps.is_empty() || self.literal.is_some() {
            return Err(Error::malformed("openpgp message", "nested unprotected encrypted data"));
        }
        let container = Container::read(parser, &self.place)?;
        self.opened(container)
    }

    /// Decrypts a container and walks its content after the last check.
    fn opened(&mut self, mut container: Container) -> Result<()> {
        let esks = std::mem::take(&mut self.esks);
        let lock = Lock { esks: &esks, hint: container.cipher(), size: container.size() };
        let cipher = self.sessions.unlock(&lock, self.budget, &mut |algorithm, key| container.open(algorithm, key));
        let cipher = cipher.map_err(Error::within_encryption)?;
        if !container.is_authenticated() {
            self.refusal = Some(self.sessions.refusal(&esks));
        }
        let authenticated = container.is_authenticated();
        let recipients = esks.iter().map(Esk::recipient).collect();
        let quantum_safe = esks.iter().all(Esk::is_quantum_safe);
        self.wraps.push(Wrap::Encrypted { cipher, authenticated, recipients, quantum_safe });
        self.depth += 1;
        let walked = self.run(container.into_octets());
        self.depth -= 1;
        match &self.refusal {
            Some(refusal) => walked.map_err(|error| blurred(error, refusal)),
            None => walked,
        }
    }

    fn literal(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        let format = match &parser.packet {
            Packet::Literal(literal) => literal.format(),
            _ => DataFormat::Binary,
        };
        let octets = if self.is_compressed() {
            self.decompressed(parser)?
        } else {
            let octets = container::body(parser, &self.place, Last::Consumed)?;
            self.budget.expanded(self.size, octets.len())?;
            octets
        };
        self.literal = Some(Literal { format, octets });
        Ok(())
    }

    /// The body of a packet in a compressed one, which may be longer than the message.
    fn decompressed(&mut self, parser: &mut PacketParser<'_>) -> Result<Vec<u8>> {
        // With room for the read that finds the end.
        let mut octets = Vec::with_capacity(CHUNK_ROOM);
        loop {
            self.budget.make_room(&mut octets, CHUNK_ROOM);
            let read =
                parser.by_ref().take(CHUNK).read_to_end(&mut octets).map_err(|error| malformed(&error.into()))?;
            self.expanded(read, octets.len())?;
            if read == 0 {
                return Ok(octets);
            }
        }
    }

    /// Reads the rest of a packet that is not a container. It counts as text, because Sequoia would skip gigabytes of
    /// it.
    fn pass_over(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        let mut total = 0;
        loop {
            let piece = parser.by_ref().take(CHUNK);
            let read = io::copy(&mut { piece }, &mut io::sink()).map_err(|error| malformed(&error.into()))?;
            let read = usize::try_from(read).unwrap_or(usize::MAX);
            if read == 0 {
                return Ok(());
            }
            total += read;
            self.expanded(read, total)?;
        }
    }

    /// Counts `more` octets from a packet that has yielded `total` so far.
    fn expanded(&mut self, more: usize, total: usize) -> Result<()> {
        if self.is_compressed() {
            self.budget.decompressed(more)?;
        }
        self.budget.expanded(self.size, total)
    }

    fn is_compressed(&self) -> bool {
        self.wraps.iter().any(|wrap| matches!(wrap, Wrap::Compressed(_)))
    }

    /// Handles a one-pass signature packet: a signature will follow the data.
    fn announced(&mut self) {
        if let Some(Wrap::Signed { open, .. }) = self.group() {
            *open += 1;
        }
    }

    fn signature(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        let Some(found) = signature(parser) else { return Ok(()) };
        self.signatures += 1;
        self.budget.signatures(self.signatures)?;
        if self.literal.is_none() {
            if let Some(Wrap::Signed { signatures, .. }) = self.group() {
                signatures.push(found);
            }
            return Ok(());
        }
        // The grammar was already checked. A signature after the text closes the innermost open group.
        let waiting = |wrap: &&mut Wrap| matches!(wrap, Wrap::Signed { open: 1.., .. });
        if let Some(Wrap::Signed { signatures, open, .. }) = self.wraps.iter_mut().rev().find(waiting) {
            *open -= 1;
            signatures.push(found);
        }
        Ok(())
    }

    /// The group of signatures that is being opened.
    fn group(&mut self) -> Option<&mut Wrap> {
        if !matches!(self.wraps.last(), Some(Wrap::Signed { .. })) {
            self.wraps.push(Wrap::Signed { signatures: Vec::new(), open: 0, over: Over::Text });
        }
        self.wraps.last_mut()
    }

    fn close_group(&mut self) {
        if let Some(Wrap::Signed { over, .. }) = self.wraps.last_mut() {
            *over = Over::Container;
        }
    }
}

/// The signature in `parser`, if it is one.
fn signature(parser: &mut PacketParser<'_>) -> Option<Found> {
    if let Packet::Signature(signature) = &parser.packet {
        return Some(Found::Signature(Box::new(signature.clone())));
    }
    match &parser.packet {
        Packet::Unknown(unknown) if unknown.tag() == Tag::Signature => {}
        _ => return None,
    }
    // Reads one octet only: the body could be gigabytes from a compressed packet.
    let version = parser.data(1).ok().and_then(|body| body.first().copied());
    match &parser.packet {
        Packet::Unknown(unknown) => Some(Found::Unreadable(unreadable(unknown, version))),
        _ => None,
    }
}

fn unreadable(unknown: &Unknown, version: Option<u8>) -> Why {
    match version {
        Some(2 | 3 | 4 | 6) => Why::Malformed(reason(unknown.error())),
        Some(version) => Why::UnknownAlgorithm(format!("signature version {version}")),
        None => Why::Malformed("it is empty".to_owned()),
    }
}

/// Whether packets of this type are ignored in a message (RFC 9580, sections 4.3, 5.8 and 5.14).
fn skipped(tag: Tag) -> bool {
    matches!(tag, Tag::Marker | Tag::Padding) || !tag.is_critical()
}

fn malformed(error: &anyhow::Error) -> Error {
    Error::malformed("openpgp message", reason(error))
}

/// Maximum octets of a packet that is not a container, since each two-octet subpacket of a signature takes fifty times
/// its size. Source: signatures have 100 to 2,000 octets, session keys for the largest RSA keys 2,000, those of
/// ML-KEM-1024 1,600.
const LARGEST: u32 = 32 * 1024;

/// Octets read between two checks of the Budget.
const CHUNK: u64 = 256 * 1024;
/// Octets of room for them, with some to see the end.
const CHUNK_ROOM: usize = 256 * 1024 + 64;
