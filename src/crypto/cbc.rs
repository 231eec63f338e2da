//! Cipher block chaining with the padding of CMS (SP 800-38A, section 6.2; RFC 5652, section 6.3).
//!
//! It authenticates nothing, and an attacker who learns whether padding was right can decrypt (Vaudenay 2002). Here a key of the wrong length, wrong
//! padding and every other wrong key are one error, and take the same time but for the last block's bookkeeping, which is free of branches.

use std::{
    fmt,
    io::{self, Write},
};

use aes::cipher::{
    BlockCipher, BlockDecrypt, BlockDecryptMut, BlockEncrypt, BlockEncryptMut, InnerIvInit, KeyInit, inout::InOutBuf,
};
use aws_lc_rs::cipher::{
    self as fast, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use blowfish::Blowfish;
use camellia::{Camellia128, Camellia192, Camellia256};
use cast5::Cast5;
use des::{Des, TdesEde3};
use idea::Idea;
use rc2::Rc2;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq, ConstantTimeLess};
use twofish::Twofish;
use zeroize::Zeroize;

use super::Cipher;
use crate::base::{Error, Random as _, Result, Secret, SystemRandom};

/// Decrypts `data` in place and cuts its padding off; `iv` is one block.
///
/// # Errors
///
/// `Malformed` says that data or vector have lengths that are wrong for every key. What this key does not decrypt is one error of kind `NoKey`,
/// whatever is wrong with it, and leaves `data` empty. A key of the wrong length is replaced by a random one first, so that it takes as long to fail
/// as any other (RFC 3218, section 2.3.2). One wrong key in 256 still finds right padding.
pub fn cbc_decrypt(cipher: Cipher, key: &Secret, iv: &[u8], data: &mut Vec<u8>) -> Result<()> {
    let block = cipher.block_length();
    if iv.len() != block {
        return Err(Error::malformed("encrypted content", format_args!("initialization vector not of {block} octets")));
    }
    if data.is_empty() || !data.len().is_multiple_of(block) {
        return Err(Error::malformed("encrypted content", "not a whole number of blocks"));
    }
    let decrypted = match keyed(cipher, key.expose(), Direction::Decrypt) {
        Some(chain) => chain.run(iv, data),
        None => decrypt_blocks(cipher, &random(cipher)?, iv, data),
    };
    let (length, right) = unpadded(data, block);
    if decrypted.is_some() && bool::from(right) {
        data.truncate(length);
        return Ok(());
    }
    data.zeroize();
    Err(super::undecipherable())
}

/// Pads `data` and encrypts it in place; `iv` is one unpredictable block.
///
/// # Errors
///
/// `NoKey` for a key or vector of the wrong length.
pub fn cbc_encrypt(cipher: Cipher, key: &Secret, iv: &[u8], data: &mut Vec<u8>) -> Result<()> {
    let chain = keyed(cipher, key.expose(), Direction::Encrypt).ok_or_else(|| unfit(cipher))?;
    pad(data, cipher.block_length());
    chain.run(iv, data).ok_or_else(|| unfit(cipher))
}

/// Encrypts whole blocks in place, without padding. `None` when key, vector or data do not have their lengths.
pub(super) fn encrypt_blocks(cipher: Cipher, key: &Secret, iv: &[u8], data: &mut [u8]) -> Option<()> {
    keyed(cipher, key.expose(), Direction::Encrypt)?.run(iv, data)
}

/// Decrypts whole blocks in place, padding and all. `None` when key, vector or data do not have their lengths.
pub(super) fn decrypt_blocks(cipher: Cipher, key: &Secret, iv: &[u8], data: &mut [u8]) -> Option<()> {
    keyed(cipher, key.expose(), Direction::Decrypt)?.run(iv, data)
}

/// Encrypts what is written to it and writes the ciphertext to another writer; [`CbcWriter::finish`] adds the padding.
pub struct CbcWriter<W> {
    chain: Box<dyn Chain>,
    iv: Vec<u8>,
    /// Plaintext that waits for more, or for the end.
    pending: Vec<u8>,
    inner: W,
}

impl<W: Write> CbcWriter<W> {
    /// A writer of ciphertext to `inner`. `iv` is one unpredictable block.
    ///
    /// # Errors
    ///
    /// `NoKey` for a key or vector of the wrong length.
    pub fn new(cipher: Cipher, key: &Secret, iv: &[u8], inner: W) -> Result<Self> {
        let chain = keyed(cipher, key.expose(), Direction::Encrypt).filter(|_| iv.len() == cipher.block_length());
        let chain = chain.ok_or_else(|| unfit(cipher))?;
        Ok(CbcWriter { chain, iv: iv.to_vec(), pending: Vec::with_capacity(CHUNK), inner })
    }

    /// Writes the last block and returns the inner writer.
    ///
    /// # Errors
    ///
    /// Those of the inner writer.
    pub fn finish(mut self) -> io::Result<W> {
        let block = self.iv.len();
        pad(&mut self.pending, block);
        self.encrypt()?;
        Ok(self.inner)
    }

    /// Encrypts and writes the pending octets, a whole number of blocks.
    fn encrypt(&mut self) -> io::Result<()> {
        self.chain.run(&self.iv, &mut self.pending).ok_or_else(|| io::Error::other("cbc: encryption failed"))?;
        let last = self.pending.len() - self.iv.len();
        self.iv.copy_from_slice(&self.pending[last..]);
        self.inner.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for CbcWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let taken = data.len().min(CHUNK - self.pending.len());
        self.pending.extend_from_slice(&data[..taken]);
        if self.pending.len() == CHUNK {
            self.encrypt()?;
        }
        Ok(taken)
    }

    /// What fills no block yet stays here.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> fmt::Debug for CbcWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CbcWriter(..)")
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Decrypt,
    Encrypt,
}

/// A key that encrypts or decrypts whole blocks in place.
trait Chain: Send {
    /// `None` when vector or data do not have their lengths.
    fn run(&self, iv: &[u8], data: &mut [u8]) -> Option<()>;
}

/// `None` when the cipher does not take the key.
fn keyed(cipher: Cipher, key: &[u8], direction: Direction) -> Option<Box<dyn Chain>> {
    let rc2 = |bits| {
        let key = (1..=128).contains(&key.len()).then(|| Rc2::new_with_eff_key_len(key, bits));
        key.map(|cipher| -> Box<dyn Chain> { Box::new(Slow { cipher, direction }) })
    };
    match cipher {
        Cipher::Rc2_40 => return rc2(40),
        Cipher::Rc2_64 => return rc2(64),
        Cipher::Rc2_128 => return rc2(128),
        // Blowfish and Twofish would take other lengths too.
        _ if key.len() != cipher.key_length() => return None,
        _ => {}
    }
    #[expect(deprecated, reason = "other people's mail is as old as it is")]
    match cipher {
        Cipher::Aes128 => fast_key(&fast::AES_128, key, direction),
        Cipher::Aes192 => fast_key(&fast::AES_192, key, direction),
        Cipher::Aes256 => fast_key(&fast::AES_256, key, direction),
        // aws-lc refuses weak keys, and two-key triple DES, which others have sent.
        Cipher::Des => fast_key(&fast::DES_FOR_LEGACY_USE_ONLY, key, direction).or_else(|| slow::<Des>(key, direction)),
        Cipher::TripleDes => {
            let found = fast_key(&fast::DES_EDE3_FOR_LEGACY_USE_ONLY, key, direction);
            found.or_else(|| slow::<TdesEde3>(key, direction))
        }
        Cipher::Blowfish => slow::<Blowfish>(key, direction),
        Cipher::Camellia128 => slow::<Camellia128>(key, direction),
        Cipher::Camellia192 => slow::<Camellia192>(key, direction),
        Cipher::Camellia256 => slow::<Camellia256>(key, direction),
        Cipher::Cast5 => slow::<Cast5>(key, direction),
        Cipher::Idea => slow::<Idea>(key, direction),
        Cipher::Rc2_40 | Cipher::Rc2_64 | Cipher::Rc2_128 => None,
        Cipher::Twofish => slow::<Twofish>(key, direction),
    }
}

/// On aws-lc.
enum Fast {
    Decrypt(DecryptingKey),
    Encrypt(EncryptingKey),
}

impl Chain for Fast {
    fn run(&self, iv: &[u8], data: &mut [u8]) -> Option<()> {
        match self {
            Fast::Decrypt(key) => {
                let context = match iv.len() {
                    8 => DecryptionContext::Iv64(iv.try_into().ok()?),
                    _ => DecryptionContext::Iv128(iv.try_into().ok()?),
                };
                key.decrypt(data, context).ok().map(|_| ())
            }
            Fast::Encrypt(key) => {
                let context = match iv.len() {
                    8 => EncryptionContext::Iv64(iv.try_into().ok()?),
                    _ => EncryptionContext::Iv128(iv.try_into().ok()?),
                };
                key.less_safe_encrypt(data, context).ok().map(|_| ())
            }
        }
    }
}

fn fast_key(algorithm: &'static fast::Algorithm, key: &[u8], direction: Direction) -> Option<Box<dyn Chain>> {
    let key = UnboundCipherKey::new(algorithm, key).ok()?;
    Some(Box::new(match direction {
        Direction::Decrypt => Fast::Decrypt(DecryptingKey::cbc(key).ok()?),
        Direction::Encrypt => Fast::Encrypt(EncryptingKey::cbc(key).ok()?),
    }))
}

/// On RustCrypto.
struct Slow<C> {
    cipher: C,
    direction: Direction,
}

impl<C: BlockCipher + BlockEncrypt + BlockDecrypt + Clone + Send> Chain for Slow<C> {
    fn run(&self, iv: &[u8], data: &mut [u8]) -> Option<()> {
        let (blocks, rest) = InOutBuf::from(data).into_chunks();
        if !rest.is_empty() {
            return None;
        }
        let cipher = self.cipher.clone();
        match self.direction {
            Direction::Decrypt => {
                cbc::Decryptor::inner_iv_slice_init(cipher, iv).ok()?.decrypt_blocks_inout_mut(blocks);
            }
            Direction::Encrypt => {
                cbc::Encryptor::inner_iv_slice_init(cipher, iv).ok()?.encrypt_blocks_inout_mut(blocks);
            }
        }
        Some(())
    }
}

fn slow<C>(key: &[u8], direction: Direction) -> Option<Box<dyn Chain>>
where
    C: KeyInit + BlockCipher + BlockEncrypt + BlockDecrypt + Clone + Send + 'static,
{
    Some(Box::new(Slow { cipher: C::new_from_slice(key).ok()?, direction }))
}

/// 1 to `block` octets, each of them their number.
fn pad(data: &mut Vec<u8>, block: usize) {
    let count = block - data.len() % block;
    // A large message must not double here.
    data.reserve_exact(count);
    data.resize(data.len() + count, count as u8);
}

/// The length without the padding, and whether the padding is right, of at least one block.
fn unpadded(data: &[u8], block: usize) -> (usize, Choice) {
    let last = &data[data.len() - block..];
    let count = last[block - 1];
    let mut right = !count.ct_eq(&0) & !(block as u8).ct_lt(&count);
    for (behind, octet) in (0_u8..).zip(last.iter().rev()) {
        right &= octet.ct_eq(&count) | !behind.ct_lt(&count);
    }
    let kept = u8::conditional_select(&0, &count, right);
    (data.len() - usize::from(kept), right)
}

fn random(cipher: Cipher) -> Result<Secret> {
    let mut octets = vec![0; cipher.key_length()];
    SystemRandom.fill(&mut octets)?;
    Ok(Secret::new(octets))
}

fn unfit(cipher: Cipher) -> Error {
    let (key, block) = (cipher.key_length(), cipher.block_length());
    Error::no_key(format!("content key: {cipher} takes {key} octets, and {block} to begin with"))
}

/// How much is encrypted at a time: small beside any cache, large beside a call.
const CHUNK: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Kind, unhex};

    /// By `printf 'legacy text, more than two blocks long' | openssl enc -NAME -K KEY -iv IV` (3.0, with
    /// `-provider legacy`), the key being the beginning of `KEY` and the vector that of `IV`.
    const OPENSSL: [(Cipher, &str); 12] = [
        (
            Cipher::Aes128,
            "1fde9274141113a035beb32a3301ce59cfb7ff498d022ea121f8eaf8a929759c7aeb3d80dc9ce7f2e9ddcb23c3fb32b6",
        ),
        (
            Cipher::Aes192,
            "54c71b1d2c57c73407f5ef338a46820dd670215cbeac10d8c1ca4858a00dd77a428f6df27872ef16c41e9e7eb2e1be6d",
        ),
        (
            Cipher::Aes256,
            "a525be4956d05c0291ba67092b6e6695dc7536d5a7665607175e9077ec50ef0bd4ca2af72b3aeb302e759f7a49bea63b",
        ),
        (Cipher::Blowfish, "369c6284041ff15a36fe6634e4e5aee523f98676f25707d5801dd28a5f047167a2f87ea85faea784"),
        (
            Cipher::Camellia128,
            "15b7a295ddfb1d8edcf1645ff78d304ac9c5c13c386a0e20ac33c213bd0e372affb6c7ac7277b37a83a9ee0b0ec952b4",
        ),
        (
            Cipher::Camellia256,
            "580f881f69e1154e75eed317ed31a8aa3ad46c21a591d4696f63d37e461c0dd9886312b1527a0ca8a760944deffbeea0",
        ),
        (Cipher::Cast5, "aa871fa710936e7f01d4596b91a36389b6bf51aae92013488216baf1273749891279375539e16b25"),
        (Cipher::Des, "ab1536396c92f8e46fd3d12e2e8b0e823a0b7677b09533ae66b4b3bdef3de2678fc50ace25ff7159"),
        (Cipher::Rc2_40, "c68e096207c83b273e27905923fd245aa4880171cb2fd90ed9e8bb794eb81f3fd7cb1cc8edc031dc"),
        (Cipher::Rc2_64, "5ffdb21c59503a63386cc97eab16763564ad83a74a1d7a93ea9f5f808c5020ff72de31ab3db7609b"),
        (Cipher::Rc2_128, "3cbf56a20a0734c0133e52927063eb44cdf15f78b9eeb0f23d03a1126367beea9029df0c27e0243b"),
        (Cipher::TripleDes, "6511ea199191980d7eeff0548761d89c1cb7a7728523d651f874ca55a324517845be92252f3c86ae"),
    ];
    const KEY: &str = "11f6ad8ec52a2984abaafd7c3b516503785c2072b91df3642bd3697a1ec6b8cc";
    const IV: &str = "259dfece88504d40453226c89ed8dd80";
    const TEXT: &[u8] = b"legacy text, more than two blocks long";

    fn parts(cipher: Cipher) -> (Secret, Vec<u8>) {
        let key = Secret::new(unhex(KEY)[..cipher.key_length()].to_vec());
        (key, unhex(IV)[..cipher.block_length()].to_vec())
    }

    #[test]
    fn what_openssl_wrote_is_read_and_written() {
        for (cipher, hex) in OPENSSL {
            let (key, iv) = parts(cipher);
            let mut data = unhex(hex);
            cbc_decrypt(cipher, &key, &iv, &mut data).unwrap();
            assert_eq!(data, TEXT, "{cipher}");
            cbc_encrypt(cipher, &key, &iv, &mut data).unwrap();
            assert_eq!(data, unhex(hex), "{cipher}");
        }
    }

    #[test]
    fn every_cipher_undoes_itself_at_every_length() {
        for cipher in Cipher::ALL {
            let (key, iv) = parts(cipher);
            for length in 0..40 {
                let plain: Vec<u8> = (0..length).collect();
                let mut data = plain.clone();
                cbc_encrypt(cipher, &key, &iv, &mut data).unwrap();
                assert_eq!(data.len(), (plain.len() / iv.len() + 1) * iv.len(), "{cipher}");
                cbc_decrypt(cipher, &key, &iv, &mut data).unwrap();
                assert_eq!(data, plain, "{cipher}");
            }
        }
    }

    #[test]
    fn a_stream_is_what_one_call_makes() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17] {
            let mut whole: Vec<u8> = (0..length).map(|at| at as u8).collect();
            for cipher in [Cipher::Aes256, Cipher::TripleDes, Cipher::Rc2_40] {
                let (key, iv) = parts(cipher);
                let mut writer = CbcWriter::new(cipher, &key, &iv, Vec::new()).unwrap();
                whole.chunks(1000).for_each(|chunk| writer.write_all(chunk).unwrap());
                let streamed = writer.finish().unwrap();
                cbc_encrypt(cipher, &key, &iv, &mut whole).unwrap();
                assert!(streamed == whole, "{cipher} {length}");
                cbc_decrypt(cipher, &key, &iv, &mut whole).unwrap();
            }
        }
    }

    #[test]
    fn des_keys_that_aws_lc_refuses_are_served() {
        let (one, two) = ([0x11; 8], unhex("f6ad8ec52a2984ab"));
        let (_, iv) = parts(Cipher::TripleDes);
        let single = Secret::new(one.to_vec());
        let mut data = TEXT.to_vec();
        cbc_encrypt(Cipher::Des, &single, &iv, &mut data).unwrap();
        // EDE with one key three times is DES with it.
        cbc_decrypt(Cipher::TripleDes, &Secret::new([one, one, one].concat()), &iv, &mut data).unwrap();
        assert_eq!(data, TEXT);
        let two_keys = Secret::new([&one[..], &two, &one].concat());
        cbc_encrypt(Cipher::TripleDes, &two_keys, &iv, &mut data).unwrap();
        cbc_decrypt(Cipher::TripleDes, &two_keys, &iv, &mut data).unwrap();
        assert_eq!(data, TEXT);
    }

    #[test]
    fn every_failure_to_decrypt_is_the_same() {
        let (key, iv) = parts(Cipher::Aes128);
        let expected = "encrypted content: this key does not decrypt it";
        let refused = |key: &Secret, plain: &[u8]| {
            let mut data = plain.to_vec();
            let (right, _) = parts(Cipher::Aes128);
            keyed(Cipher::Aes128, right.expose(), Direction::Encrypt).unwrap().run(&iv, &mut data).unwrap();
            let error = cbc_decrypt(Cipher::Aes128, key, &iv, &mut data).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (Kind::NoKey, expected));
            assert!(data.is_empty());
        };
        for padding in [[0; 16], [17; 16], [255; 16], *b"aaaaaaaaaaaaaaa\x02", *b"aaaaaaaaaaaa\x03\x04\x04\x04"] {
            refused(&key, &padding);
        }
        // A random key finds right padding now and then; 64 of them do not.
        let mut data = unhex(KEY).repeat(2);
        let short = Secret::new(vec![1; 15]);
        let failed = (0..64).filter(|_| cbc_decrypt(Cipher::Aes128, &short, &iv, &mut data.clone()).is_err()).count();
        assert!(failed > 32);
        data.pop();
        let error = cbc_decrypt(Cipher::Aes128, &key, &iv, &mut data).unwrap_err();
        assert_eq!(error.to_string(), "encrypted content: not a whole number of blocks");
        let error = cbc_decrypt(Cipher::Aes128, &key, &iv[1..], &mut data).unwrap_err();
        assert_eq!(error.to_string(), "encrypted content: initialization vector not of 16 octets");
        let error = cbc_encrypt(Cipher::Aes128, &short, &iv, &mut data).unwrap_err();
        assert_eq!(error.to_string(), "content key: aes128 takes 16 octets, and 16 to begin with");
        assert!(CbcWriter::new(Cipher::Aes128, &key, &iv[1..], Vec::new()).is_err());
    }
}
