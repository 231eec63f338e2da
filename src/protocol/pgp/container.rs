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
    librepgp::Chunked,
    suite,
};
use crate::{
    base::{Result, Secret},
    crypto::{CfbReader, Cipher, Resync, mdc_decrypt},
};

/// A ciphertext and its kind of integrity protection.
pub(super) struct Container {
    form: Form,
    sealed: Vec<u8>,
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
    /// Reads the ciphertext of the container at which `parser` stands, at most `size` octets. The last octet is not
    /// consumed, so that Sequoia's grammar sees an unopened container.
    pub(super) fn read(parser: &mut PacketParser<'_>, size: usize) -> sequoia_openpgp::Result<Container> {
        let form = match &parser.packet {
            Packet::SEIP(SEIP::V1(_)) => Form::Digest,
            Packet::SEIP(SEIP::V2(container)) => Form::Aead(container.clone()),
            _ => Form::Unprotected,
        };
        let mut sealed = Vec::with_capacity(size);
        loop {
            let piece = parser.data(PIECE)?;
            let (taken, is_last) = match piece.len() {
                0 => break,
                length if length < PIECE => (length, true),
                _ => (PIECE - 1, false),
            };
            sealed.extend_from_slice(piece.get(..taken).unwrap_or_default());
            if is_last {
                parser.consume(taken - 1);
                break;
            }
            parser.consume(taken);
        }
        Ok(Container { form, sealed })
    }

    /// A container of LibrePGP with the body `sealed`. Errors concern only its header, which is not encrypted.
    pub(super) fn librepgp(sealed: Vec<u8>) -> Result<Container> {
        Chunked::read(&sealed)?;
        Ok(Container { form: Form::LibrePgp, sealed })
    }

    /// Length of the ciphertext in octets.
    pub(super) fn size(&self) -> usize {
        self.sealed.len()
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

    /// The cipher's name and the whole plaintext, if `key` passes every check. A failure takes the same time, whatever
    /// its cause.
    pub(super) fn open(&self, algorithm: Option<SymmetricAlgorithm>, key: &SessionKey) -> Option<(String, Vec<u8>)> {
        if let Form::Aead(container) = &self.form {
            let (cipher, aead) = (suite::cipher_name(container.symmetric_algo()), suite::aead_name(container.aead()));
            return Some((format!("{cipher}-{aead}"), self.aead(container, key)?));
        }
        if let Form::LibrePgp = &self.form {
            let chunked = Chunked::read(&self.sealed).ok()?;
            return Some((chunked.name(), chunked.open(algorithm, key)?));
        }
        let known = algorithm.and_then(|algorithm| Cipher::of_openpgp(algorithm.into()));
        // A session key for an unknown cipher must fail in the same time as one for a known cipher.
        let (cipher, key) = (known.unwrap_or(Cipher::Aes256), Secret::new(key.as_ref().to_vec()));
        let plain = match &self.form {
            Form::Unprotected => self.unprotected(cipher, &key),
            _ => {
                let mut octets = self.sealed.clone();
                mdc_decrypt(cipher, &key, &mut octets).ok().map(|()| octets)
            }
        };
        known.and(plain).map(|plain| (cipher.name().to_owned(), plain))
    }

    /// Checks every chunk and the final tag (RFC 9580, section 5.13.2).
    fn aead(&self, container: &SEIP2, key: &SessionKey) -> Option<Vec<u8>> {
        let (cipher, mode) = (container.symmetric_algo(), container.aead());
        let size = usize::try_from(container.chunk_size()).ok()?;
        let schedule = SEIPv2Schedule::new(key, cipher, mode, size, container.salt()).ok()?;
        let context =
            |key: &SessionKey, nonce: &[u8], data: &[u8]| mode.context(cipher, key, data, nonce)?.for_decryption();
        aead_chunks::open(&self.sealed, size, |place| match place {
            Place::Chunk(index) => schedule.chunk(index, &mut { context }).ok(),
            Place::End { chunks, length } => schedule.finalizer(chunks, length, &mut { context }).ok(),
        })
    }

    /// Decrypts without integrity check (RFC 4880, sections 5.7 and 13.9). Only the two repeated octets show whether
    /// the key is right.
    fn unprotected(&self, cipher: Cipher, key: &Secret) -> Option<Vec<u8>> {
        let mut reader = CfbReader::new(cipher, key, Resync::Yes, self.sealed.as_slice()).ok()?;
        let mut plain = Vec::with_capacity(self.sealed.len());
        reader.read_to_end(&mut plain).ok()?;
        reader.repeats().then_some(plain)
    }
}

/// Octets read at a time.
const PIECE: usize = 256 * 1024;
