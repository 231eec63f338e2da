//! GCM of a content that is written piece by piece (SP 800-38D, section 7.1; RFC 5084): aws-lc-rs seals what is in memory as a whole alone.

use std::{
    fmt,
    io::{self, Write},
};

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{BlockCipher, BlockEncrypt, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher, consts::U16},
};
use ctr::Ctr32BE;
use ghash::{GHash, universal_hash::UniversalHash};
use zeroize::Zeroize;

use super::Aead;
use crate::base::{Error, Result, Secret};

/// Writes the ciphertext of what is written to it; the tag comes at the end. There is no additional data.
pub struct GcmWriter<W> {
    stream: Box<dyn StreamCipher + Send>,
    hash: GHash,
    /// The first block of the key stream, which encrypts the digest.
    mask: ghash::Block,
    /// Octets that were hashed.
    length: u64,
    /// Plaintext that waits for more, or for the end.
    pending: Vec<u8>,
    inner: W,
}

impl<W: Write> GcmWriter<W> {
    /// A writer of ciphertext to `inner`. A nonce is never used twice with one key.
    ///
    /// # Errors
    ///
    /// `NoKey` for a key of the wrong length, `Unavailable` for what is not GCM.
    pub fn new(cipher: Aead, key: &Secret, nonce: [u8; 12], inner: W) -> Result<Self> {
        let begun = match cipher {
            Aead::Aes128Gcm => begin::<Aes128>(key, nonce),
            Aead::Aes192Gcm => begin::<Aes192>(key, nonce),
            Aead::Aes256Gcm => begin::<Aes256>(key, nonce),
            Aead::ChaCha20Poly1305 => return Err(Error::unavailable(format!("{cipher}: only as a whole"))),
        };
        let unfit = || Error::no_key(format!("content key: {cipher} takes {} octets", cipher.key_length()));
        let (stream, hash, mask) = begun.ok_or_else(unfit)?;
        Ok(GcmWriter { stream, hash, mask, length: 0, pending: Vec::with_capacity(CHUNK), inner })
    }

    /// Writes the rest. Returns the inner writer, and the tag.
    ///
    /// # Errors
    ///
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<(W, [u8; 16])> {
        self.encrypt()?;
        let mut lengths = ghash::Block::default();
        lengths[8..].copy_from_slice(&(self.length * 8).to_be_bytes());
        self.hash.update(&[lengths]);
        let digest = self.hash.finalize();
        let mut tag = [0; 16];
        tag.iter_mut().zip(digest.iter().zip(&self.mask)).for_each(|(tag, (digest, mask))| *tag = digest ^ mask);
        self.mask.as_mut_slice().zeroize();
        Ok((self.inner, tag))
    }

    /// Encrypts and writes the pending octets: whole blocks, unless they are the last.
    fn encrypt(&mut self) -> io::Result<()> {
        self.stream.apply_keystream(&mut self.pending);
        self.hash.update_padded(&self.pending);
        self.length += self.pending.len() as u64;
        self.inner.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

/// The key stream behind its first block, the hash, and that block.
fn begin<C>(key: &Secret, nonce: [u8; 12]) -> Option<(Box<dyn StreamCipher + Send>, GHash, ghash::Block)>
where
    C: KeyInit + BlockCipher + BlockEncrypt + BlockSizeUser<BlockSize = U16> + Clone + Send + 'static,
    Ctr32BE<C>: KeyIvInit + StreamCipher,
{
    let mut hash_key = ghash::Key::default();
    C::new_from_slice(key.expose()).ok()?.encrypt_block(&mut hash_key);
    let hash = GHash::new(&hash_key);
    hash_key.zeroize();
    let mut first = [0; 16];
    first[..12].copy_from_slice(&nonce);
    first[15] = 1;
    let mut stream = Ctr32BE::<C>::new_from_slices(key.expose(), &first).ok()?;
    let mut mask = ghash::Block::default();
    stream.apply_keystream(&mut mask);
    Some((Box::new(stream), hash, mask))
}

impl<W: Write> Write for GcmWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(CHUNK - self.pending.len());
        self.pending.extend_from_slice(&data[..taken]);
        if self.pending.len() == CHUNK {
            self.encrypt()?;
        }
        Ok(taken)
    }

    /// What waits for more stays here.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> fmt::Debug for GcmWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcmWriter").finish_non_exhaustive()
    }
}

/// Octets that are encrypted at a time: whole blocks, in the processor's cache.
const CHUNK: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// aws-lc seals the same at once.
    #[test]
    fn pieces_make_what_the_whole_makes() {
        for cipher in [Aead::Aes128Gcm, Aead::Aes192Gcm, Aead::Aes256Gcm] {
            let key = Secret::new((7..).take(cipher.key_length()).collect());
            for length in [0, 1, 16, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 33] {
                let plain: Vec<u8> = (0..=250).cycle().take(length).collect();
                let mut sealed = plain.clone();
                let tag = cipher.seal(&key, [5; 12], &[], &mut sealed).unwrap();
                for piece in [1, 1_000, CHUNK, 2 * CHUNK + 5] {
                    let mut writer = GcmWriter::new(cipher, &key, [5; 12], Vec::new()).unwrap();
                    plain.chunks(piece).for_each(|piece| writer.write_all(piece).unwrap());
                    assert!(writer.finish().unwrap() == (sealed.clone(), tag), "{cipher} {length} {piece}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let error = |cipher, length| {
            GcmWriter::new(cipher, &Secret::new(vec![1; length]), [0; 12], Vec::new()).unwrap_err().to_string()
        };
        assert_eq!(error(Aead::Aes256Gcm, 16), "content key: aes256-gcm takes 32 octets");
        assert_eq!(error(Aead::ChaCha20Poly1305, 32), "chacha20-poly1305: only as a whole");
    }
}
