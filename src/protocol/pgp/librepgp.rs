//! LibrePGP's packet 20 (draft-koch-librepgp), which GnuPG 2.3 and later write to keys that ask for it. It is read but
//! never written.

use sequoia_openpgp::{
    crypto::{SessionKey, aead::DecryptionContext},
    types::{AEADAlgorithm, SymmetricAlgorithm},
};

use super::{
    aead_chunks::{self, Place},
    suite,
};
use crate::base::{Error, Result};

/// The body of an OCB Encrypted Data packet, type 20 (draft-koch-librepgp, section 5.16): chunks with a tag each, and a
/// final tag over the total length.
pub(super) struct Chunked {
    /// Version, cipher, mode and chunk size, unparsed.
    header: [u8; 4],
    cipher: SymmetricAlgorithm,
    mode: AEADAlgorithm,
    /// Octets of plaintext in every chunk but the last.
    chunk: usize,
    nonce: Vec<u8>,
    /// Where the chunks begin in the body.
    start: usize,
}

impl Chunked {
    /// Reads the header. An error of kind `Unavailable` if it names anything but a cipher in EAX or OCB mode.
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        let unknown = |what: String| Error::unavailable(format!("openpgp message: librepgp packet 20: {what}"));
        let [version, cipher, mode, size, rest @ ..] = body else {
            return Err(Error::malformed("openpgp message", "its packet 20 is cut short"));
        };
        let header = [*version, *cipher, *mode, *size];
        if *version != 1 {
            return Err(unknown(format!("version {version} is not known")));
        }
        let (cipher, named) = (SymmetricAlgorithm::from(*cipher), *mode);
        let mode = AEADAlgorithm::from(named);
        let known = matches!(mode, AEADAlgorithm::EAX | AEADAlgorithm::OCB);
        let nonce = mode.nonce_size().ok().filter(|_| known && cipher.is_supported());
        let nonce = nonce.ok_or_else(|| unknown(format!("cipher {} in mode {named} is not known", header[1])))?;
        // The same bound as in RFC 9580, section 5.13.2: 4 MiB.
        let chunk = (*size <= LARGEST_CHUNK).then(|| 1_usize << (size + 6));
        let chunk =
            chunk.ok_or_else(|| unknown(format!("its chunks are too large (2^{} octets)", u16::from(*size) + 6)))?;
        let cut = || Error::malformed("openpgp message", "its packet 20 is cut short");
        let nonce = rest.get(..nonce).ok_or_else(cut)?.to_vec();
        let start = header.len() + nonce.len();
        Ok(Chunked { header, cipher, mode, chunk, nonce, start })
    }

    /// `aes256-ocb`.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", suite::cipher_name(self.cipher), suite::aead_name(self.mode))
    }

    /// Puts the plaintext in the place of `body`, from which this was read; `None` if the key is wrong or the chunks were changed, cut short or reordered,
    /// as [`aead_chunks::open`]. `key_cipher` is the cipher given with the session key; it must be the one in the header.
    pub(super) fn open(
        &self,
        key_cipher: Option<SymmetricAlgorithm>,
        key: &SessionKey,
        body: &mut Vec<u8>,
    ) -> Option<()> {
        if key_cipher != Some(self.cipher) || self.cipher.key_size().ok()? != key.len() {
            return None;
        }
        aead_chunks::open(body, self.start, self.chunk, |place| match place {
            Place::Chunk(index) => self.context(key, index, &self.associated(index)),
            Place::End { chunks, length } => {
                let associated = [&self.associated(chunks)[..], &length.to_be_bytes()].concat();
                self.context(key, chunks, &associated)
            }
        })
    }

    fn context(&self, key: &SessionKey, index: u64, associated: &[u8]) -> Option<DecryptionContext> {
        // The chunk index is XORed into the last eight octets of the nonce.
        let (fixed, counter) = self.nonce.split_last_chunk::<8>()?;
        let counted = u64::from_be_bytes(*counter) ^ index;
        let nonce = [fixed, &counted.to_be_bytes()].concat();
        self.mode.context(self.cipher, key, associated, &nonce).ok()?.for_decryption().ok()
    }

    /// The associated data: the packet type in new format, the header and the chunk index.
    fn associated(&self, index: u64) -> [u8; 13] {
        let [version, cipher, mode, size] = self.header;
        let [a, b, c, d, e, f, g, h] = index.to_be_bytes();
        [0xc0 | 20, version, cipher, mode, size, a, b, c, d, e, f, g, h]
    }
}

/// As exponent of two, minus 6. GnuPG writes 2^22.
const LARGEST_CHUNK: u8 = 16;
