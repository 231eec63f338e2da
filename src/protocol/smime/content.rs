//! The octets that signatures cover. Each reading is hashed once per hash function.

use std::{borrow::Cow, cell::OnceCell, io};

use super::attributes;
use crate::{
    base::{Budget, Error, Result},
    crypto::{Digester, Hash},
    mail::canonical::{Canonical, Form, canonical},
    pki::tlv,
};

/// The content of a SignedData, and its digests so far.
pub(super) struct Content<'a> {
    octets: &'a [u8],
    shape: Shape,
    hashed: Vec<Hashed>,
    /// Cache for [`Content::is_attributes`].
    is_attributes: OnceCell<bool>,
}

/// Where the octets come from, which decides how they are hashed.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// eContent: unchanged.
    Encapsulated,
    /// The first part of multipart/signed: with CRLF (RFC 8551, section 3.1.1). Mail that was signed and stored with
    /// bare LF is also tried unchanged: the signature then covers exactly these octets.
    Part,
}

/// How the octets are read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reading {
    AsIs,
    Crlf,
}

/// One digest.
struct Hashed {
    hash: Hash,
    reading: Reading,
    /// `None` if the octets were made to collide with others.
    digest: Option<Vec<u8>>,
    /// Number of octets hashed.
    length: usize,
}

impl<'a> Content<'a> {
    /// `octets` that come in this `shape`.
    pub(super) fn new(octets: &'a [u8], shape: Shape) -> Self {
        Content { octets, shape, hashed: Vec::new(), is_attributes: OnceCell::new() }
    }

    /// The readings of the octets to try, best first.
    pub(super) fn readings(&self) -> &'static [Reading] {
        match self.shape {
            Shape::Encapsulated => &[Reading::AsIs],
            Shape::Part => &[Reading::Crlf, Reading::AsIs],
        }
    }

    /// The digest of this reading; `None` if the octets were made to collide with others. An error means the Budget is
    /// exceeded.
    pub(super) fn digest(&mut self, hash: Hash, reading: Reading, budget: &mut Budget) -> Result<Option<&[u8]>> {
        let known = |one: &Hashed| {
            // If the line breaks need no change, both readings are the same octets.
            one.hash == hash && (one.reading == reading || one.length == self.octets.len())
        };
        let at = match self.hashed.iter().position(known) {
            Some(at) => at,
            None => {
                budget.hashed(self.octets.len().saturating_mul(hash.cost()))?;
                self.hashed.push(self.computed(hash, reading)?);
                self.hashed.len() - 1
            }
        };
        Ok(self.hashed.get(at).and_then(|one| one.digest.as_deref()))
    }

    /// The octets of this reading, for algorithms that sign the message itself.
    pub(super) fn read(&self, reading: Reading) -> Cow<'a, [u8]> {
        match reading {
            Reading::AsIs => Cow::Borrowed(self.octets),
            Reading::Crlf => canonical(self.octets, Form::Crlf),
        }
    }

    /// Number of octets, unchanged.
    pub(super) fn length(&self) -> usize {
        self.octets.len()
    }

    /// Whether the octets are exactly signed attributes, in any reading.
    pub(super) fn is_attributes(&self) -> bool {
        *self.is_attributes.get_or_init(|| {
            self.octets.first() == Some(&tlv::SET)
                && self.readings().iter().any(|reading| attributes::is_attributes(&self.read(*reading)))
        })
    }

    /// Whether this reading changes the octets.
    pub(super) fn is_repaired(&self, reading: Reading) -> bool {
        let hashed = self.hashed.iter().find(|one| one.reading == reading).map(|one| one.length);
        reading == Reading::Crlf && hashed.unwrap_or_else(|| self.read(reading).len()) != self.octets.len()
    }

    fn computed(&self, hash: Hash, reading: Reading) -> Result<Hashed> {
        let mut counted = Counted { digester: hash.guarded(), length: 0 };
        let written = match reading {
            Reading::AsIs => io::Write::write_all(&mut counted, self.octets),
            Reading::Crlf => {
                let mut canonical = Canonical::new(Form::Crlf, &mut counted);
                io::Write::write_all(&mut canonical, self.octets).and_then(|()| canonical.finish().map(|_| ()))
            }
        };
        written.map_err(|error| Error::io("digest", &error))?;
        Ok(Hashed { hash, reading, digest: counted.digester.finish_guarded(), length: counted.length })
    }
}

/// A digest and the number of octets written to it.
struct Counted {
    digester: Digester,
    length: usize,
}

impl io::Write for Counted {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.digester.update(octets);
        self.length += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
