//! The symmetric ciphers by name, and the CFB mode of OpenPGP for packets without integrity protection, which Sequoia
//! does not decrypt (RFC 4880, sections 5.7 and 13.9). Only `--legacy` leads to that mode.

use std::{
    fmt,
    io::{self, Read},
};

use aes::{Aes128, Aes192, Aes256};
use blowfish::Blowfish;
use camellia::{Camellia128, Camellia192, Camellia256};
use cast5::Cast5;
use cfb_mode::{
    BufDecryptor, BufEncryptor,
    cipher::{BlockCipher, BlockEncryptMut, InnerIvInit, KeyInit},
};
use des::TdesEde3;
use idea::Idea;
use twofish::Twofish;

use super::{Cipher, Strength};
use crate::base::{Error, Result, Secret};

impl Cipher {
    /// `aes256`, `3des`, `cast5`: as on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Reads a name, in any case and with dashes anywhere or nowhere.
    ///
    /// # Errors
    ///
    /// `Usage` for another name.
    pub fn parse(name: &str) -> Result<Cipher> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
        let wanted = plain(name);
        Self::ALL.into_iter().find(|cipher| plain(cipher.name()) == wanted).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|cipher| cipher.name()).collect();
            Error::usage(format!("cipher {name:?}: not known")).with_hint(format!("one of {}", known.join(", ")))
        })
    }

    /// How strong it is.
    pub fn strength(self) -> Strength {
        self.facts().strength
    }

    /// How long decrypting takes, in passes of AES (400 MB/s). Source: `cargo bench --bench crypto`, rounded up.
    pub fn cost(self) -> usize {
        self.facts().cost
    }

    /// The key's length in octets. RC2 also takes others: its effective bits do not depend on it.
    pub fn key_length(self) -> usize {
        self.facts().key
    }

    /// The block's length in octets.
    pub fn block_length(self) -> usize {
        self.facts().block
    }

    /// Decrypts `data` in place in CFB (SP 800-38A, section 6.3); `None` when key or `iv` do not have their lengths.
    pub fn decrypt_cfb(self, key: &Secret, iv: &[u8], data: &mut [u8]) -> Option<()> {
        self.cfb(Direction::Decrypt, key.expose(), iv)?.apply(data);
        Some(())
    }

    /// `None` when key or block do not have their lengths.
    pub(super) fn cfb(self, direction: Direction, key: &[u8], iv: &[u8]) -> Option<Box<dyn Cfb>> {
        // Blowfish and Twofish would take other lengths too.
        if key.len() != self.key_length() {
            return None;
        }
        match self {
            Cipher::Aes128 => cfb::<Aes128>(direction, key, iv),
            Cipher::Aes192 => cfb::<Aes192>(direction, key, iv),
            Cipher::Aes256 => cfb::<Aes256>(direction, key, iv),
            Cipher::Blowfish => cfb::<Blowfish>(direction, key, iv),
            Cipher::Camellia128 => cfb::<Camellia128>(direction, key, iv),
            Cipher::Camellia192 => cfb::<Camellia192>(direction, key, iv),
            Cipher::Camellia256 => cfb::<Camellia256>(direction, key, iv),
            Cipher::Cast5 => cfb::<Cast5>(direction, key, iv),
            // OpenPGP has no number for them.
            Cipher::Des | Cipher::Rc2_40 | Cipher::Rc2_64 | Cipher::Rc2_128 => None,
            Cipher::Idea => cfb::<Idea>(direction, key, iv),
            Cipher::TripleDes => cfb::<TdesEde3>(direction, key, iv),
            Cipher::Twofish => cfb::<Twofish>(direction, key, iv),
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the feedback starts anew after the random prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// It runs on: Symmetrically Encrypted and Integrity Protected Data, version 1 (RFC 9580, section 5.13.1).
    No,
    /// With the last block of the prefix's ciphertext: Symmetrically Encrypted Data (RFC 4880, section 13.9, step 10).
    Yes,
}

/// Decrypts the CFB mode of OpenPGP while reading. It authenticates nothing: the caller must.
pub struct CfbReader<R> {
    cfb: Box<dyn Cfb>,
    prefix: Vec<u8>,
    inner: R,
}

impl<R: Read> CfbReader<R> {
    /// Reads the random prefix, one block and two octets, from `inner`, and what comes after it when asked.
    ///
    /// # Errors
    ///
    /// `NoKey` for a key of the wrong length, `Malformed` for too little data.
    pub fn new(cipher: Cipher, key: &Secret, resync: Resync, mut inner: R) -> Result<Self> {
        let block = cipher.block_length();
        let started = |iv: &[u8]| {
            let wrong = || Error::no_key(format!("session key: not {} octets, as {cipher} takes", cipher.key_length()));
            cipher.cfb(Direction::Decrypt, key.expose(), iv).ok_or_else(wrong)
        };
        let mut cfb = started(&vec![0; block])?;
        let mut prefix = vec![0; block + 2];
        inner.read_exact(&mut prefix).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::malformed("encrypted data", "shorter than its random prefix"),
            _ => Error::io("encrypted data", &error),
        })?;
        let feedback = prefix[2..].to_vec();
        cfb.apply(&mut prefix);
        if resync == Resync::Yes {
            cfb = started(&feedback)?;
        }
        Ok(CfbReader { cfb, prefix, inner })
    }

    /// Whether the last two octets of the prefix repeat the two before, as they do under the right key, and under one
    /// wrong key in 65,536.
    ///
    /// To tell a sender the outcome makes an oracle that decrypts two octets of any block (Mister, Zuccherato 2005;
    /// RFC 4880, section 14): use it to choose among keys, never as an answer of its own.
    pub fn repeats(&self) -> bool {
        matches!(self.prefix.as_slice(), [.., a, b, c, d] if a == c && b == d)
    }

    /// The decrypted random prefix, which the MDC covers too (RFC 9580, section 5.13.1).
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }
}

impl<R: Read> Read for CfbReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.cfb.apply(&mut buffer[..count]);
        Ok(count)
    }
}

impl<R> fmt::Debug for CfbReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CfbReader(..)")
    }
}

/// Encrypts in the CFB mode of OpenPGP, from a block of zeros on and without starting anew (RFC 9580, section 5.13.1).
pub struct CfbEncryptor(Box<dyn Cfb>);

impl CfbEncryptor {
    /// An encryptor with a vector of zeros, as OpenPGP has it.
    ///
    /// # Errors
    ///
    /// `NoKey` for a key of the wrong length.
    pub fn new(cipher: Cipher, key: &Secret) -> Result<Self> {
        let iv = vec![0; cipher.block_length()];
        let wrong = || Error::no_key(format!("session key: not {} octets, as {cipher} takes", cipher.key_length()));
        cipher.cfb(Direction::Encrypt, key.expose(), &iv).map(CfbEncryptor).ok_or_else(wrong)
    }

    /// Encrypts what follows, in place.
    pub fn encrypt(&mut self, data: &mut [u8]) {
        self.0.apply(data);
    }
}

impl fmt::Debug for CfbEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CfbEncryptor(..)")
    }
}

#[derive(Clone, Copy)]
pub(super) enum Direction {
    Decrypt,
    Encrypt,
}

/// CFB with its state, whatever the cipher and the direction.
pub(super) trait Cfb: Send + Sync {
    fn apply(&mut self, data: &mut [u8]);
}

impl<C: BlockEncryptMut + BlockCipher + Send + Sync> Cfb for BufDecryptor<C> {
    fn apply(&mut self, data: &mut [u8]) {
        self.decrypt(data);
    }
}

impl<C: BlockEncryptMut + BlockCipher + Send + Sync> Cfb for BufEncryptor<C> {
    fn apply(&mut self, data: &mut [u8]) {
        self.encrypt(data);
    }
}

/// `None` when key or block have lengths that the cipher never has.
fn cfb<C: KeyInit + BlockEncryptMut + BlockCipher + Send + Sync + 'static>(
    direction: Direction,
    key: &[u8],
    iv: &[u8],
) -> Option<Box<dyn Cfb>> {
    let cipher = C::new_from_slice(key).ok()?;
    Some(match direction {
        Direction::Decrypt => Box::new(BufDecryptor::inner_iv_slice_init(cipher, iv).ok()?),
        Direction::Encrypt => Box::new(BufEncryptor::inner_iv_slice_init(cipher, iv).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Kind, unhex};

    /// Made by `printf 'legacy text' | gpg --rfc2440 --s2k-mode 0 --passphrase x -z 0 --cipher-algo NAME -c` (2.2.40),
    /// the octets after the packet header. The key is the beginning of `KEY`, by `gpg --show-session-key -d`.
    const GNUPG: [(Cipher, &str); 7] = [
        (Cipher::Aes256, "25f21525adb018a1dbcca74289475cdf610d80b40cc61502a95a07d91627e00cd33caaee1c04"),
        (Cipher::Blowfish, "1dd835b9f18ebd4e0b4b97cecc6cbb0b0e7c6d7487c8c139be99ffef0701"),
        (Cipher::Camellia128, "259dfece88504d40453226c89ed8dd80e20992d55fdee845939ae342384babd57946bb25b605"),
        (Cipher::Cast5, "1d746f327f9bc0701271611cce3581d7f1dced3169122cdbb2fcf0e5414d"),
        (Cipher::Idea, "1d5ab7514fc3e66271a17f700e11b7250af3c686f826be40bcfa10ce2434"),
        (Cipher::TripleDes, "1d6b5da391703d7e5b0b1b3f59dbe5a9e25cb4f5f3d31032cd2bb3e55cbc"),
        (Cipher::Twofish, "25b389bade704ebff70f6f7b182385873c3accf8258fd86558c8a2aa8a1c51eb25dc2b4ffd6c"),
    ];
    const KEY: &str = "11F6AD8EC52A2984ABAAFD7C3B516503785C2072B91DF3642BD3697A1EC6B8CC";

    fn key(cipher: Cipher) -> Secret {
        Secret::new(unhex(KEY)[..cipher.key_length()].to_vec())
    }

    #[test]
    fn what_gnupg_wrote_is_read_octet_by_octet() {
        for (cipher, hex) in GNUPG {
            // The first octet is the packet's length.
            let packet = &unhex(hex)[1..];
            let mut reader = CfbReader::new(cipher, &key(cipher), Resync::Yes, packet).unwrap();
            assert!(reader.repeats(), "{cipher}");
            assert_eq!(reader.prefix().len(), cipher.block_length() + 2);
            let mut plain = Vec::new();
            let mut octet = [0];
            while reader.read(&mut octet).unwrap() == 1 {
                plain.push(octet[0]);
            }
            // A literal data packet: new format, 17 octets, binary, no name, a date.
            assert_eq!(plain[..4], [0xcb, 17, b'b', 0], "{cipher}");
            assert_eq!(&plain[8..], b"legacy text", "{cipher}");
        }
    }

    #[test]
    fn without_resync_the_feedback_runs_on() {
        // The same stream twice: CFB decrypts each block from the ciphertext before it alone, so past the first block
        // the two modes differ only in where the blocks begin.
        let stream: Vec<u8> = (0..80).collect();
        let read = |resync| {
            let mut plain = Vec::new();
            let key = key(Cipher::Aes128);
            CfbReader::new(Cipher::Aes128, &key, resync, stream.as_slice()).unwrap().read_to_end(&mut plain).unwrap();
            plain
        };
        let mut whole = stream.clone();
        Cipher::Aes128.decrypt_cfb(&key(Cipher::Aes128), &[0; 16], &mut whole).unwrap();
        assert_eq!(read(Resync::No), whole[18..]);
        assert_ne!(read(Resync::Yes), whole[18..]);
    }

    #[test]
    fn a_wrong_key_does_not_repeat() {
        for (cipher, hex) in GNUPG {
            let mut octets = key(cipher).expose().to_vec();
            octets[7] ^= 2;
            let packet = unhex(hex);
            let reader = CfbReader::new(cipher, &Secret::new(octets), Resync::Yes, &packet[1..]).unwrap();
            assert!(!reader.repeats(), "{cipher}");
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let error =
            CfbReader::new(Cipher::Cast5, &Secret::new(vec![1; 15]), Resync::Yes, [0; 40].as_slice()).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (Kind::NoKey, "session key: not 16 octets, as cast5 takes")
        );
        let error =
            CfbReader::new(Cipher::Cast5, &Secret::new(vec![1; 16]), Resync::Yes, [0; 9].as_slice()).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert_eq!(error.to_string(), "encrypted data: shorter than its random prefix");
    }

    #[test]
    fn names_are_read_in_every_spelling() {
        for cipher in Cipher::ALL {
            assert_eq!(Cipher::parse(&cipher.name().to_uppercase()), Ok(cipher));
        }
        assert_eq!(Cipher::parse("AES-256"), Ok(Cipher::Aes256));
        assert_eq!(Cipher::parse("RC2-40"), Ok(Cipher::Rc2_40));
        assert_eq!(Cipher::parse("rc2128"), Ok(Cipher::Rc2_128));
        assert_eq!(Cipher::parse("rc4").unwrap_err().to_string(), "cipher \"rc4\": not known");
    }

    #[test]
    fn the_numbers_are_those_of_openpgp() {
        let numbered: Vec<Cipher> = (0..=255).filter_map(Cipher::of_openpgp).collect();
        let foreign = [Cipher::Des, Cipher::Rc2_40, Cipher::Rc2_64, Cipher::Rc2_128];
        assert_eq!(numbered.len() + foreign.len(), Cipher::ALL.len());
        assert!(foreign.iter().all(|cipher| !numbered.contains(cipher)));
        assert!(
            numbered
                .iter()
                .all(|cipher| CfbEncryptor::new(*cipher, &Secret::new(vec![1; cipher.key_length()])).is_ok())
        );
        assert_eq!(Cipher::of_openpgp(9), Some(Cipher::Aes256));
    }
}
