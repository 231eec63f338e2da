//! Authenticated encryption as CMS uses it (RFC 5084, RFC 8103): in place, with a tag beside the data.

use std::fmt;

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{BlockCipher, BlockEncrypt, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher, consts::U16},
};
use aws_lc_rs::aead::{self as fast, LessSafeKey, Nonce, UnboundKey};
use ctr::Ctr32BE;
use ghash::{GHash, universal_hash::UniversalHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::{Aead, Strength, undecipherable};
use crate::base::{Error, Result, Secret};

impl Aead {
    /// `aes256-gcm`, `chacha20-poly1305`: as on the command line and in reports.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// How strong it is.
    pub fn strength(self) -> Strength {
        self.facts().strength
    }

    /// The key's length in octets.
    pub fn key_length(self) -> usize {
        self.facts().key
    }

    /// Decrypts `data` in place if `tag` proves it and `aad` to be what was sealed.
    ///
    /// The tag has exactly the length that was agreed on: 12 to 16 octets with GCM (RFC 5084, section 3.2), 16 with ChaCha20-Poly1305; a nonce for
    /// GCM has any length but 0, for ChaCha20-Poly1305 12 octets.
    ///
    /// # Errors
    ///
    /// `Malformed` for a tag or nonce of another length. `NoKey` for whatever this key does not open, a key of the wrong length included; `data` is
    /// then empty.
    pub fn open(self, key: &Secret, nonce: &[u8], aad: &[u8], data: &mut Vec<u8>, tag: &[u8]) -> Result<()> {
        self.check(nonce, tag)?;
        let opened = match (self.fast(key), <[u8; 12]>::try_from(nonce)) {
            (Some(key), Ok(nonce)) if tag.len() == TAG => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place_separate_tag(nonce, fast::Aad::from(aad), tag, data).is_ok()
            }
            (Some(key), Ok(nonce)) => open_short(&key, nonce, aad, data, tag).is_some(),
            _ => match self {
                Aead::Aes128Gcm => open_gcm::<Aes128>(key, nonce, aad, data, tag),
                Aead::Aes192Gcm => open_gcm::<Aes192>(key, nonce, aad, data, tag),
                Aead::Aes256Gcm => open_gcm::<Aes256>(key, nonce, aad, data, tag),
                Aead::ChaCha20Poly1305 => None,
            }
            .is_some(),
        };
        if !opened {
            data.zeroize();
        }
        opened.then_some(()).ok_or_else(undecipherable)
    }

    /// Encrypts `data` in place and answers the tag over it and `aad`. A nonce is never used twice with one key.
    ///
    /// # Errors
    ///
    /// `NoKey` for a key of the wrong length.
    pub fn seal(self, key: &Secret, nonce: [u8; 12], aad: &[u8], data: &mut [u8]) -> Result<[u8; TAG]> {
        let unfit = || Error::no_key(format!("content key: {self} takes {} octets", self.key_length()));
        let key = self.fast(key).ok_or_else(unfit)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = key.seal_in_place_separate_tag(nonce, fast::Aad::from(aad), data).ok();
        sealed
            .and_then(|tag| tag.as_ref().try_into().ok())
            .ok_or_else(|| Error::unavailable(format!("{self}: sealing failed")))
    }

    fn check(self, nonce: &[u8], tag: &[u8]) -> Result<()> {
        let (nonces, tags) = match self {
            Aead::ChaCha20Poly1305 => (12..=12, TAG..=TAG),
            _ => (1..=usize::MAX, 12..=TAG),
        };
        if !tags.contains(&tag.len()) {
            return Err(Error::malformed(
                "encrypted content",
                format_args!("{self} with a tag of {} octets", tag.len()),
            ));
        }
        if !nonces.contains(&nonce.len()) {
            return Err(Error::malformed(
                "encrypted content",
                format_args!("{self} with a nonce of {} octets", nonce.len()),
            ));
        }
        Ok(())
    }

    fn fast(self, key: &Secret) -> Option<LessSafeKey> {
        let algorithm = match self {
            Aead::Aes128Gcm => &fast::AES_128_GCM,
            Aead::Aes192Gcm => &fast::AES_192_GCM,
            Aead::Aes256Gcm => &fast::AES_256_GCM,
            Aead::ChaCha20Poly1305 => &fast::CHACHA20_POLY1305,
        };
        UnboundKey::new(algorithm, key.expose()).ok().map(LessSafeKey::new)
    }
}

impl fmt::Display for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// For tags shorter than aws-lc takes, such as the 12 octets that RFC 5084 has by default. Sealing what is sealed opens it, as the key stream is the
/// same; sealing the result again gives the whole tag.
fn open_short(key: &LessSafeKey, nonce: [u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Option<()> {
    let mut seal = || {
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_separate_tag(nonce, fast::Aad::from(aad), data).ok()
    };
    seal().map(drop)?;
    let whole = seal()?;
    bool::from(whole.as_ref().get(..tag.len())?.ct_eq(tag)).then(seal)?.map(|_| ())
}

/// GCM for nonces of the lengths that aws-lc does not take (SP 800-38D, section 7.2). Checks before it decrypts.
fn open_gcm<C>(key: &Secret, nonce: &[u8], aad: &[u8], data: &mut [u8], tag: &[u8]) -> Option<()>
where
    C: KeyInit + BlockCipher + BlockEncrypt + BlockSizeUser<BlockSize = U16> + Clone,
    Ctr32BE<C>: KeyIvInit + StreamCipher,
{
    let cipher = C::new_from_slice(key.expose()).ok()?;
    let mut hash_key = ghash::Key::default();
    cipher.encrypt_block(&mut hash_key);
    let hash = |first: &[u8], second: &[u8]| {
        let mut state = GHash::new(&hash_key);
        state.update_padded(first);
        state.update_padded(second);
        let mut lengths = ghash::Block::default();
        lengths[..8].copy_from_slice(&(first.len() as u64 * 8).to_be_bytes());
        lengths[8..].copy_from_slice(&(second.len() as u64 * 8).to_be_bytes());
        state.update(&[lengths]);
        state.finalize()
    };
    let mut first = ghash::Block::default();
    if nonce.len() == 12 {
        first[..12].copy_from_slice(nonce);
        first[15] = 1;
    } else {
        first = hash(&[], nonce);
    }
    let mut stream = Ctr32BE::<C>::new_from_slices(key.expose(), &first).ok()?;
    let mut expected = hash(aad, data);
    stream.apply_keystream(&mut expected);
    let right = bool::from(expected.get(..tag.len())?.ct_eq(tag));
    hash_key.zeroize();
    right.then(|| stream.apply_keystream(data))
}

/// The whole tag's length in octets.
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    fn parts(cipher: Aead) -> (Secret, Vec<u8>) {
        (Secret::new(vec![7; cipher.key_length()]), (0..100).collect())
    }

    #[test]
    fn what_is_sealed_opens_and_a_flipped_bit_does_not() {
        for cipher in Aead::ALL {
            let (key, plain) = parts(cipher);
            let mut sealed = plain.clone();
            let tag = cipher.seal(&key, [5; 12], b"aad", &mut sealed).unwrap();
            let open = |aad: &[u8], sealed: &[u8], tag: &[u8]| {
                let mut data = sealed.to_vec();
                let answer = cipher.open(&key, &[5; 12], aad, &mut data, tag);
                assert!(answer.is_ok() || data.is_empty(), "{cipher}");
                answer.map(|()| data).map_err(|error| (error.kind(), error.to_string()))
            };
            assert_eq!(open(b"aad", &sealed, &tag), Ok(plain), "{cipher}");
            let refused = Err((Kind::NoKey, "encrypted content: this key does not decrypt it".to_owned()));
            assert_eq!(open(b"aaD", &sealed, &tag), refused, "{cipher}");
            let mut flipped = sealed.clone();
            flipped[99] ^= 1;
            assert_eq!(open(b"aad", &flipped, &tag), refused, "{cipher}");
            let mut other = tag;
            other[15] ^= 1;
            assert_eq!(open(b"aad", &sealed, &other), refused, "{cipher}");
        }
    }

    /// aws-lc made the whole tag; both ways must agree on its beginning, and look at all of it.
    #[test]
    fn short_tags_are_beginnings_of_the_whole_one() {
        for cipher in [Aead::Aes128Gcm, Aead::Aes192Gcm, Aead::Aes256Gcm] {
            let (key, plain) = parts(cipher);
            let mut sealed = plain.clone();
            let tag = cipher.seal(&key, [5; 12], b"aad", &mut sealed).unwrap();
            for length in 12..16 {
                let mut data = sealed.clone();
                cipher.open(&key, &[5; 12], b"aad", &mut data, &tag[..length]).unwrap();
                assert_eq!(data, plain);
                let mut slow = sealed.clone();
                let opened = match cipher {
                    Aead::Aes128Gcm => open_gcm::<Aes128>(&key, &[5; 12], b"aad", &mut slow, &tag[..length]),
                    Aead::Aes192Gcm => open_gcm::<Aes192>(&key, &[5; 12], b"aad", &mut slow, &tag[..length]),
                    _ => open_gcm::<Aes256>(&key, &[5; 12], b"aad", &mut slow, &tag[..length]),
                };
                assert_eq!((opened, &slow), (Some(()), &plain));
                let mut wrong = tag[..length].to_vec();
                wrong[length - 1] ^= 0x80;
                let error = cipher.open(&key, &[5; 12], b"aad", &mut sealed.clone(), &wrong).unwrap_err();
                assert_eq!(error.kind(), Kind::NoKey);
            }
            let error = cipher.open(&key, &[5; 12], b"aad", &mut sealed.clone(), &tag[..11]).unwrap_err();
            assert_eq!(error.to_string(), format!("encrypted content: {cipher} with a tag of 11 octets"));
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_by_name() {
        let cipher = Aead::ChaCha20Poly1305;
        let (key, mut data) = parts(cipher);
        let error = cipher.open(&key, &[5; 12], b"", &mut data, &[0; 12]).unwrap_err();
        assert_eq!(error.to_string(), "encrypted content: chacha20-poly1305 with a tag of 12 octets");
        let error = cipher.open(&key, &[5; 8], b"", &mut data, &[0; 16]).unwrap_err();
        assert_eq!(error.to_string(), "encrypted content: chacha20-poly1305 with a nonce of 8 octets");
        let error = Aead::Aes128Gcm.open(&key, &[], b"", &mut data, &[0; 16]).unwrap_err();
        assert_eq!(error.to_string(), "encrypted content: aes128-gcm with a nonce of 0 octets");
        let error = Aead::Aes128Gcm.open(&key, &[5; 12], b"", &mut data, &[0; 16]).unwrap_err();
        assert_eq!(error.to_string(), "encrypted content: this key does not decrypt it");
        let error = Aead::Aes128Gcm.seal(&key, [5; 12], b"", &mut data).unwrap_err();
        assert_eq!(error.to_string(), "content key: aes128-gcm takes 16 octets");
    }
}
