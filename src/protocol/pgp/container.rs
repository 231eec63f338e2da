//! Encryption containers (RFC 9580, sections 5.7 and 5.13): reads the ciphertext, and returns the plaintext after its
//! last check.
//!
//! A container is decrypted to its end before any packet in it is parsed. Errors about a plaintext that is not yet
//! checked would be an oracle for an attacker who modifies a captured ciphertext (Maury, Reinhard, Levillain, Gilbert
//! 2015).

use std::io::Read;

use sequoia_openpgp::{
    Packet,
    crypto::{
        SessionKey,
        aead::{SEIPv2Schedule, Schedule as _},
    },
    packet::{SEIP, seip::SEIP2},
    parse::{PacketParser, buffered_reader::BufferedReader},
    types::SymmetricAlgorithm,
};

use super::{
    aead_chunks::{self, Place},
    in_place::InPlace,
    librepgp::Chunked,
    suite,
    words::reason,
};
use crate::{
    base::{Error, Result, Secret},
    crypto::{CfbReader, Cipher, Resync, mdc_decrypt},
};

/// A ciphertext and its kind of integrity protection. It is decrypted in its own memory.
pub(super) struct Container {
    form: Form,
    octets: Vec<u8>,
}

/// What becomes of the last octet of a packet that is read.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Last {
    Consumed,
    /// It stays in the parser, so that Sequoia's grammar sees an unopened container.
    Left,
}

enum Form {
    /// Symmetrically Encrypted and Integrity Protected Data, version 1: CFB and a SHA-1 digest.
    Digest,
    /// The same packet, version 2: AEAD.
    Aead(SEIP2),
    /// LibrePGP's packet 20: chunks with authentication tags.
    LibrePgp,
    /// Symmetrically Encrypted Data, without integrity protection.
    Unprotected,
}

impl Container {
    /// Moves the ciphertext of the container at which `parser` stands to the front of `place`, where the parser reads it, and out of it.
    pub(super) fn read(parser: &mut PacketParser<'_>, place: &InPlace) -> Result<Container> {
        let form = match &parser.packet {
            Packet::SEIP(SEIP::V1(_)) => Form::Digest,
            Packet::SEIP(SEIP::V2(container)) => Form::Aead(container.clone()),
            _ => Form::Unprotected,
        };
        Ok(Container { form, octets: body(parser, place, Last::Left)? })
    }

    /// A container of LibrePGP with the body `sealed`. Errors concern only its header, which is not encrypted.
    pub(super) fn librepgp(octets: Vec<u8>) -> Result<Container> {
        Chunked::read(&octets)?;
        Ok(Container { form: Form::LibrePgp, octets })
    }

    /// Length of the ciphertext in octets.
    pub(super) fn size(&self) -> usize {
        self.octets.len()
    }

    /// The cipher, if the container names it.
    pub(super) fn cipher(&self) -> Option<SymmetricAlgorithm> {
        match &self.form {
            Form::Aead(container) => Some(container.symmetric_algo()),
            Form::Digest | Form::LibrePgp | Form::Unprotected => None,
        }
    }

    /// Whether the plaintext is protected against changes.
    pub(super) fn is_authenticated(&self) -> bool {
        !matches!(self.form, Form::Unprotected)
    }

    /// The cipher's name, if `key` passes every check: the plaintext is in the place of the ciphertext then. Otherwise the ciphertext stays, for
    /// another key, unless this key was right and the rest was changed. A failure takes the same time, whatever its cause.
    pub(super) fn open(&mut self, algorithm: Option<SymmetricAlgorithm>, key: &SessionKey) -> Option<String> {
        if let Form::Aead(container) = &self.form {
            let (cipher, aead) = (suite::cipher_name(container.symmetric_algo()), suite::aead_name(container.aead()));
            open_aead(&mut self.octets, container, key)?;
            return Some(format!("{cipher}-{aead}"));
        }
        if let Form::LibrePgp = &self.form {
            let chunked = Chunked::read(&self.octets).ok()?;
            chunked.open(algorithm, key, &mut self.octets)?;
            return Some(chunked.name());
        }
        let known = algorithm.and_then(|algorithm| Cipher::of_openpgp(algorithm.into()));
        // A session key for an unknown cipher must fail in the same time as one for a known cipher.
        let (cipher, key) = (known.unwrap_or(Cipher::Aes256), Secret::new(key.as_ref().to_vec()));
        let opened = match &self.form {
            Form::Unprotected => open_unprotected(&mut self.octets, cipher, &key),
            _ => mdc_decrypt(cipher, &key, &mut self.octets).ok(),
        };
        known.and(opened).map(|()| cipher.name().to_owned())
    }

    /// The plaintext of an opened container.
    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

/// The body of the packet at which `parser` stands, in the memory of `place`, where the parser reads it.
pub(super) fn body(parser: &mut PacketParser<'_>, place: &InPlace, last: Last) -> Result<Vec<u8>> {
    loop {
        let piece = parser.data(PIECE).map_err(|error| Error::malformed("openpgp message", reason(&error.into())))?;
        let (taken, is_end) = match piece.len() {
            0 => break,
            length if length < PIECE => (length, true),
            _ => (PIECE - 1, false),
        };
        place.write(piece.get(..taken).unwrap_or_default())?;
        if is_end && last == Last::Left {
            parser.consume(taken - 1);
            break;
        }
        parser.consume(taken);
    }
    Ok(place.written())
}

/// Checks every chunk and the final tag (RFC 9580, section 5.13.2).
fn open_aead(octets: &mut Vec<u8>, container: &SEIP2, key: &SessionKey) -> Option<()> {
    let (cipher, mode) = (container.symmetric_algo(), container.aead());
    let size = usize::try_from(container.chunk_size()).ok()?;
    let schedule = SEIPv2Schedule::new(key, cipher, mode, size, container.salt()).ok()?;
    let context =
        |key: &SessionKey, nonce: &[u8], data: &[u8]| mode.context(cipher, key, data, nonce)?.for_decryption();
    aead_chunks::open(octets, 0, size, |place| match place {
        Place::Chunk(index) => schedule.chunk(index, &mut { context }).ok(),
        Place::End { chunks, length } => schedule.finalizer(chunks, length, &mut { context }).ok(),
    })
}

/// Decrypts without integrity check (RFC 4880, sections 5.7 and 13.9). Only the two repeated octets show whether the key is right.
fn open_unprotected(octets: &mut Vec<u8>, cipher: Cipher, key: &Secret) -> Option<()> {
    let mut reader = CfbReader::new(cipher, key, Resync::Yes, octets.as_slice()).ok()?;
    let mut plain = Vec::with_capacity(octets.len());
    reader.read_to_end(&mut plain).ok()?;
    reader.repeats().then_some(plain).map(|plain| *octets = plain)
}

/// Octets read at a time.
const PIECE: usize = 256 * 1024;
