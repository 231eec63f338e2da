//! The octets that signatures are over, hashed once for all of them.

use std::{borrow::Cow, io};

use super::attributes;
use crate::{
    crypto::{Digester, Hash},
    mail::canonical::{Canonical, Form, canonical},
    pki::tlv,
};

/// The content of a SignedData, and its digests in each reading.
pub(super) struct Content<'a> {
    octets: &'a [u8],
    shape: Shape,
    /// Of every signer.
    hashes: Vec<Hash>,
    hashed: Vec<Hashed>,
}

/// Where the octets come from, which decides how they are hashed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// eContent: as it is.
    Encapsulated,
    /// The first part of multipart/signed: with CRLF (RFC 8551, section 3.1.1). Mail that was both signed and stored with bare LF verifies
    /// as it is: the signer vouched for exactly these octets.
    Part,
}

/// How the octets are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reading {
    AsIs,
    Crlf,
}

/// The digests of one reading.
struct Hashed {
    reading: Reading,
    digests: Vec<(Hash, Option<Vec<u8>>)>,
    /// How many octets were hashed.
    length: usize,
}

impl<'a> Content<'a> {
    /// `octets` that signers hash with `hashes`.
    pub(super) fn new(octets: &'a [u8], shape: Shape, hashes: Vec<Hash>) -> Self {
        Content { octets, shape, hashes, hashed: Vec::new() }
    }

    /// The ways to read the octets, best first.
    pub(super) fn readings(&self) -> &'static [Reading] {
        match self.shape {
            Shape::Encapsulated => &[Reading::AsIs],
            Shape::Part => &[Reading::Crlf, Reading::AsIs],
        }
    }

    /// The digest in this reading; `None` when the octets were made to collide with others.
    pub(super) fn digest(&mut self, hash: Hash, reading: Reading) -> Option<Vec<u8>> {
        let hashed = self.hashed(reading);
        let found = hashed.and_then(|hashed| hashed.digests.iter().find(|(own, _)| *own == hash));
        let found = found.map(|(_, digest)| digest.clone());
        // Every signer's hash was announced.
        found.unwrap_or_else(|| hash.guarded_digest(&self.read(reading)))
    }

    /// The octets themselves in this reading, for algorithms that take nothing less.
    pub(super) fn read(&self, reading: Reading) -> Cow<'a, [u8]> {
        match reading {
            Reading::AsIs => Cow::Borrowed(self.octets),
            Reading::Crlf => canonical(self.octets, Form::Crlf),
        }
    }

    /// Whether, in some reading, they are signed attributes from end to end.
    pub(super) fn is_attributes(&self) -> bool {
        self.octets.first() == Some(&tlv::SET)
            && self.readings().iter().any(|reading| attributes::is_attributes(&self.read(*reading)))
    }

    /// Whether the octets had to be changed for this reading.
    pub(super) fn is_repaired(&mut self, reading: Reading) -> bool {
        let length = self.octets.len();
        reading == Reading::Crlf && self.hashed(reading).is_some_and(|hashed| hashed.length != length)
    }

    fn hashed(&mut self, reading: Reading) -> Option<&Hashed> {
        if !self.hashed.iter().any(|one| one.reading == reading) {
            let mut digesters = Digesters::new(&self.hashes);
            match reading {
                Reading::AsIs => digesters.take(self.octets),
                Reading::Crlf => {
                    // A digester never fails to take what is written to it.
                    let mut canonical = Canonical::new(Form::Crlf, &mut digesters);
                    io::Write::write_all(&mut canonical, self.octets).ok()?;
                    canonical.finish().ok()?;
                }
            }
            self.hashed.push(digesters.finish(reading));
        }
        self.hashed.iter().find(|one| one.reading == reading)
    }
}

/// Several digests in one pass: each piece is hashed by all while it is in the processor's cache.
struct Digesters {
    digesters: Vec<(Hash, Digester)>,
    length: usize,
}

impl Digesters {
    fn new(hashes: &[Hash]) -> Self {
        Digesters { digesters: hashes.iter().map(|hash| (*hash, hash.guarded())).collect(), length: 0 }
    }

    fn take(&mut self, octets: &[u8]) {
        for piece in octets.chunks(PIECE) {
            self.digesters.iter_mut().for_each(|(_, digester)| digester.update(piece));
        }
        self.length += octets.len();
    }

    fn finish(self, reading: Reading) -> Hashed {
        let digests = self.digesters.into_iter().map(|(hash, digester)| (hash, digester.finish_guarded())).collect();
        Hashed { reading, digests, length: self.length }
    }
}

impl io::Write for Digesters {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.take(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Half of a small second-level cache.
const PIECE: usize = 128 * 1024;
