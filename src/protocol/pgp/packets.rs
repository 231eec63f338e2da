//! The walk over the packets of one OpenPGP message (RFC 9580, section 10.3): decrypt, decompress, and gather the literal data
//! with the signatures around it. Judges nothing, and hands nothing out before the last integrity check.

use std::io::{self, Read};

use sequoia_openpgp::{
    Packet,
    packet::{Signature, Tag, Unknown},
    parse::{Dearmor, PacketParser, PacketParserBuilder, PacketParserResult, Parse, buffered_reader::BufferedReader},
    types::DataFormat,
};

use super::{
    chunks::Chunks,
    container::Container,
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

/// What an OpenPGP message holds.
pub(super) struct Unpacked {
    /// What was around the literal data, outermost first.
    pub(super) wraps: Vec<Wrap>,
    /// The literal data itself.
    pub(super) literal: Literal,
    /// See [`Opened::refusal`](crate::protocol::Opened::refusal).
    pub(super) refusal: Option<Error>,
}

/// The content of a literal data packet (RFC 9580, section 5.9).
pub(super) struct Literal {
    /// Binary, text or UTF-8 text, as the sender says.
    pub(super) format: DataFormat,
    /// The octets as they are.
    pub(super) octets: Vec<u8>,
}

/// One thing around the literal data.
pub(super) enum Wrap {
    /// A compressed data packet.
    Compressed(&'static str),
    /// An encryption container, unlocked; its integrity check is passed when [`unpack`] returns.
    Encrypted { cipher: String, authenticated: bool, recipients: Vec<String> },
    /// Signatures, in the order found.
    Signed { signatures: Vec<Found>, open: usize, over: Over },
}

/// What signatures stand around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Packed or encrypted data: nobody agrees on what such a signature covers.
    Container,
    /// The literal data.
    Text,
}

/// A signature packet, or why it cannot be read.
pub(super) enum Found {
    Signature(Box<Signature>),
    Unreadable(Why),
}

/// Unpacks the message that `source` yields, of `size` octets. Every octet of it is read, and every check on the way is passed.
pub(super) fn unpack<'a>(
    source: impl Read + Send + Sync + 'a,
    size: usize,
    context: Context<'a>,
    budget: &mut Budget,
) -> Result<Unpacked> {
    let mut walk = Walk::new(size, context, budget);
    walk.run(source)?;
    match walk.literal {
        Some(literal) => Ok(Unpacked { wraps: walk.wraps, literal, refusal: walk.refusal }),
        None => Err(Error::malformed("openpgp message", "holds no text")),
    }
}

/// The signature packets of a detached signature, in order; one that says why where they cannot be read. An error is over the Budget.
pub(super) fn signatures(octets: &[u8], budget: &mut Budget) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let unreadable = |reason: String| Found::Unreadable(Why::Malformed(reason));
    let mut next = PacketParserBuilder::from_bytes(octets).and_then(parser);
    loop {
        match next {
            Ok(PacketParserResult::EOF(_)) => break,
            Ok(PacketParserResult::Some(mut packet)) => {
                // What is passed over costs time too, and memory that Sequoia keeps for each packet.
                budget.packet()?;
                match signature(&mut packet) {
                    Some(one) => found.push(one),
                    None if skipped(packet.packet.tag()) => {}
                    // RFC 9580, section 10.4: signature packets and nothing else.
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
    // Signatures are hashed by verify.rs, once for each hash function, and not while parsing.
    source.dearmor(Dearmor::Disabled).automatic_hashing(false).max_packet_size(LARGEST).build()
}

/// The state between two packets.
struct Walk<'a, 'b> {
    size: usize,
    budget: &'b mut Budget,
    legacy: Legacy,
    sessions: Sessions<'a>,
    packets: usize,
    signatures: usize,
    /// Encrypted session keys that wait for their container.
    esks: Vec<Esk>,
    wraps: Vec<Wrap>,
    literal: Option<Literal>,
    /// Containers that are being walked.
    depth: usize,
    /// A container was met that is not in Sequoia's grammar of messages: one without integrity protection, or LibrePGP's. Nothing may follow it.
    is_foreign: bool,
    /// See [`Unpacked::refusal`].
    refusal: Option<Error>,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(size: usize, context: Context<'a>, budget: &'b mut Budget) -> Self {
        Walk {
            size,
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

    fn run(&mut self, source: impl Read + Send + Sync) -> Result<()> {
        let mut next = PacketParserBuilder::from_reader(source).and_then(parser).map_err(|error| malformed(&error))?;
        // A container that does not open stays closed. What stands after it is walked all the same: text there is not encrypted.
        let mut locked = None;
        loop {
            match next {
                PacketParserResult::Some(_) if self.is_foreign => {
                    return Err(Error::malformed("openpgp message", "goes on after its encrypted data"));
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
        // Every packet that means something is bounded by one of these; the rest are markers and padding.
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
                // No program compresses twice, and what comes out of the outer one could not be counted.
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

    /// A container deeper than the first costs a layer of the Budget: `open` was paid for by its caller.
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
        let container = Container::read(parser, self.size).map_err(|error| malformed(&error))?;
        self.opened(container).map_err(Error::within_encryption)
    }

    /// LibrePGP's packet 20.
    fn librepgp(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        let walked = self.walk_librepgp(parser);
        self.is_foreign = true;
        walked
    }

    fn walk_librepgp(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        if self.depth > 0 || parser.recursion_depth() > 0 || !self.wraps.is_empty() || self.literal.is_some() {
            return Err(Error::malformed("openpgp message", "librepgp packet 20 within something else"));
        }
        let mut sealed = Vec::new();
        parser.read_to_end(&mut sealed).map_err(|error| malformed(&error.into()))?;
        self.opened(Container::librepgp(sealed)?).map_err(Error::within_encryption)
    }

    /// Symmetrically Encrypted Data (RFC 4880, section 5.7): anybody could have changed it, so it is opened on request only, and nothing is
    /// told of what is within.
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
            return Err(Error::malformed("openpgp message", "unprotected encrypted data within something else"));
        }
        let container = Container::read(parser, self.size).map_err(|error| malformed(&error))?;
        self.opened(container)
    }

    /// Walks what is in a container, after its last check.
    fn opened(&mut self, container: Container) -> Result<()> {
        let esks = std::mem::take(&mut self.esks);
        let lock = Lock { esks: &esks, hint: container.cipher(), size: container.size() };
        let mut plain = Vec::new();
        let cipher = self.sessions.unlock(&lock, self.budget, &mut |algorithm, key| {
            let (cipher, octets) = container.open(algorithm, key)?;
            plain = octets;
            Some(cipher)
        });
        let cipher = cipher.map_err(Error::within_encryption)?;
        if !container.is_authenticated() {
            self.refusal = Some(self.sessions.refusal(&esks));
        }
        let authenticated = container.is_authenticated();
        drop(container);
        let recipients = esks.iter().map(Esk::recipient).collect();
        self.wraps.push(Wrap::Encrypted { cipher, authenticated, recipients });
        self.depth += 1;
        let walked = self.run(Chunks::new(plain));
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
        let mut octets = Vec::new();
        loop {
            let read =
                parser.by_ref().take(CHUNK).read_to_end(&mut octets).map_err(|error| malformed(&error.into()))?;
            self.expanded(read, octets.len())?;
            if read == 0 {
                break;
            }
        }
        self.literal = Some(Literal { format, octets });
        Ok(())
    }

    /// Reads what is left of a packet that is no container. It is counted as text is: Sequoia would pass over gigabytes of it.
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

    /// `more` octets came out of a packet that has yielded `total` of them.
    fn expanded(&mut self, more: usize, total: usize) -> Result<()> {
        if self.is_compressed() {
            self.budget.decompressed(more)?;
        }
        self.budget.expanded(self.size, total)
    }

    fn is_compressed(&self) -> bool {
        self.wraps.iter().any(|wrap| matches!(wrap, Wrap::Compressed(_)))
    }

    /// A one-pass signature packet: a signature will follow what it opens.
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
        // The grammar was checked: a signature after the text closes the innermost group that is still open.
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
    // One octet, and not the body: that may be gigabytes that came out of a compressed packet.
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

/// Packets that a message may hold anywhere and that mean nothing (RFC 9580, sections 4.3, 5.8, 5.14).
fn skipped(tag: Tag) -> bool {
    matches!(tag, Tag::Marker | Tag::Padding) || !tag.is_critical()
}

fn malformed(error: &anyhow::Error) -> Error {
    Error::malformed("openpgp message", reason(error))
}

/// Octets of a packet that is no container. Each subpacket of a signature takes fifty times its two octets. Source: signatures have 100 to 2,000 octets,
/// session keys for the largest RSA keys 2,000, those of ML-KEM-1024 1,600.
const LARGEST: u32 = 32 * 1024;

/// Octets read between two looks at the Budget.
const CHUNK: u64 = 256 * 1024;
