//! Keys wrapped by keys, as CMS wraps them.

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{Block, BlockDecrypt, BlockEncrypt, BlockSizeUser, KeyInit, consts::U16},
};
use subtle::{Choice, ConstantTimeEq, ConstantTimeLess};
use zeroize::{Zeroize, Zeroizing};

use super::{Cipher, Hash, cbc};
use crate::base::{Error, Random as _, Result, Secret, SystemRandom};

/// How a key is wrapped by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyWrap {
    /// AES Key Wrap (RFC 3394), for keys of 16 octets and more, in whole eights.
    Aes,
    /// AES Key Wrap with Padding (RFC 5649), for keys of any length.
    AesPadded,
    /// RC2 Key Wrap (RFC 3217, section 4), under a key of 128 effective bits.
    Rc2,
    /// Triple-DES Key Wrap (RFC 3217, section 3), for keys of 24 octets.
    TripleDes,
}

impl KeyWrap {
    /// Wraps `key` under `kek`.
    ///
    /// # Errors
    ///
    /// `NoKey` for a length that does not fit.
    pub fn wrap(self, kek: &Secret, key: &Secret) -> Result<Vec<u8>> {
        let key = key.expose();
        let wrapped = match self {
            KeyWrap::Aes if key.len() >= 16 && key.len().is_multiple_of(8) => aes(kek).map(|aes| aes.wrap(IV, key)),
            KeyWrap::AesPadded if !key.is_empty() => aes(kek).map(|aes| wrap_padded(&*aes, key)),
            KeyWrap::TripleDes if kek.expose().len() == 24 && key.len() == 24 => wrap_cbc(Cipher::TripleDes, kek, key)?,
            KeyWrap::Rc2 if kek.expose().len() == 16 && key.len() < 256 => {
                wrap_cbc(Cipher::Rc2_128, kek, &lengthened(key)?)?
            }
            _ => None,
        };
        wrapped.ok_or_else(|| {
            let lengths = (kek.expose().len(), key.len());
            Error::no_key(format!("key wrap: a key of {} octets does not wrap one of {}", lengths.0, lengths.1))
        })
    }

    /// Unwraps what [`KeyWrap::wrap`] made.
    ///
    /// # Errors
    ///
    /// `NoKey`, the same one for every fault.
    pub fn unwrap(self, kek: &Secret, wrapped: &[u8]) -> Result<Secret> {
        let key = match self {
            KeyWrap::Aes => aes(kek).and_then(|aes| {
                let (check, key) = aes.unwrap(wrapped).filter(|_| wrapped.len() >= 24)?;
                bool::from(check.ct_eq(&IV)).then_some(key)
            }),
            KeyWrap::AesPadded => aes(kek).and_then(|aes| unwrap_padded(&*aes, wrapped)),
            KeyWrap::TripleDes => unwrap_cbc(Cipher::TripleDes, kek, wrapped).filter(|key| key.expose().len() == 24),
            KeyWrap::Rc2 if kek.expose().len() == 16 => {
                unwrap_cbc(Cipher::Rc2_128, kek, wrapped).and_then(|key| shortened(&key))
            }
            KeyWrap::Rc2 => None,
        };
        key.ok_or_else(wrong)
    }
}

/// Wraps a content key under a key that came from a password (RFC 3211, section 2.3.1): CBC twice over, with `iv` for the first pass.
///
/// # Errors
///
/// `NoKey` for a length that does not fit.
pub fn wrap_for_password(cipher: Cipher, kek: &Secret, iv: &[u8], key: &Secret) -> Result<Vec<u8>> {
    let key = key.expose();
    let block = cipher.block_length();
    let unfit =
        || Error::no_key(format!("key wrap: {cipher} does not wrap a key of {} octets for a password", key.len()));
    if !(3..256).contains(&key.len()) {
        return Err(unfit());
    }
    let mut octets = Zeroizing::new(vec![key.len() as u8, !key[0], !key[1], !key[2]]);
    octets.extend_from_slice(key);
    let length = octets.len().next_multiple_of(block).max(2 * block);
    let filled = octets.len();
    octets.resize(length, 0);
    SystemRandom.fill(&mut octets[filled..])?;
    cbc::encrypt_blocks(cipher, kek, iv, &mut octets).ok_or_else(unfit)?;
    let last = octets[length - block..].to_vec();
    cbc::encrypt_blocks(cipher, kek, &last, &mut octets).ok_or_else(unfit)?;
    Ok(octets.to_vec())
}

/// Unwraps what [`wrap_for_password`] made (RFC 3211, section 2.3.2).
///
/// # Errors
///
/// `NoKey`, the same one for every fault. A wrong password is not noticed once in 16 million times.
pub fn unwrap_for_password(cipher: Cipher, kek: &Secret, iv: &[u8], wrapped: &[u8]) -> Result<Secret> {
    let block = cipher.block_length();
    if wrapped.len() < 2 * block || !wrapped.len().is_multiple_of(block) {
        return Err(wrong());
    }
    let unwrapped = || {
        // The last block of the inner ciphertext, with which the outer pass began, comes out first.
        let (before, last) = wrapped.split_at(wrapped.len() - block);
        let mut begun = Zeroizing::new(last.to_vec());
        cbc::decrypt_blocks(cipher, kek, &before[before.len() - block..], &mut begun)?;
        let mut octets = Zeroizing::new(wrapped.to_vec());
        cbc::decrypt_blocks(cipher, kek, &begun, &mut octets)?;
        cbc::decrypt_blocks(cipher, kek, iv, &mut octets)?;
        let mut right = Choice::from(1);
        for at in 1..4 {
            right &= octets[at].ct_eq(&!octets[at + 3]);
        }
        let length = usize::from(octets[0]);
        right &= Choice::from(u8::from(length >= 3 && length + 4 <= octets.len()));
        bool::from(right).then(|| Secret::new(octets[4..4 + length].to_vec()))
    };
    unwrapped().ok_or_else(wrong)
}

/// AES Key Wrap's two halves (RFC 3394, sections 2.2.1 and 2.2.2), on the aes crate: aws-lc-rs wraps under 128 and 256 bits only, and aes-kw compares
/// in variable time (docs/dependencies.md).
trait AesKey {
    fn wrap(&self, check: [u8; 8], key: &[u8]) -> Vec<u8>;
    /// The check value and the key; `None` when the length is none that wrapping makes.
    fn unwrap(&self, wrapped: &[u8]) -> Option<([u8; 8], Secret)>;
}

impl<C: BlockEncrypt + BlockDecrypt + BlockSizeUser<BlockSize = U16>> AesKey for C {
    fn wrap(&self, check: [u8; 8], key: &[u8]) -> Vec<u8> {
        let mut wrapped = [&check, key].concat();
        let mut block = Block::<C>::default();
        block[..8].copy_from_slice(&check);
        if key.len() == 8 {
            // RFC 5649, section 4.1: two halves are one block.
            block[8..].copy_from_slice(key);
            self.encrypt_block(&mut block);
            wrapped.copy_from_slice(&block);
            return wrapped;
        }
        let mut step = 0_u64;
        for _ in 0..6 {
            for half in wrapped[8..].chunks_exact_mut(8) {
                step += 1;
                block[8..].copy_from_slice(half);
                self.encrypt_block(&mut block);
                half.copy_from_slice(&block[8..]);
                block[..8].iter_mut().zip(step.to_be_bytes()).for_each(|(octet, count)| *octet ^= count);
            }
        }
        wrapped[..8].copy_from_slice(&block[..8]);
        wrapped
    }

    fn unwrap(&self, wrapped: &[u8]) -> Option<([u8; 8], Secret)> {
        if wrapped.len() < 16 || !wrapped.len().is_multiple_of(8) {
            return None;
        }
        let mut block = Block::<C>::default();
        let mut key = wrapped[8..].to_vec();
        block[..8].copy_from_slice(&wrapped[..8]);
        if key.len() == 8 {
            block[8..].copy_from_slice(&key);
            self.decrypt_block(&mut block);
            key.copy_from_slice(&block[8..]);
        } else {
            let mut step = 6 * (key.len() as u64 / 8);
            for _ in 0..6 {
                for half in key.chunks_exact_mut(8).rev() {
                    block[..8].iter_mut().zip(step.to_be_bytes()).for_each(|(octet, count)| *octet ^= count);
                    block[8..].copy_from_slice(half);
                    self.decrypt_block(&mut block);
                    half.copy_from_slice(&block[8..]);
                    step -= 1;
                }
            }
        }
        let check = block[..8].try_into().ok()?;
        block.zeroize();
        Some((check, Secret::new(key)))
    }
}

/// `None` when AES has no keys of this length.
fn aes(kek: &Secret) -> Option<Box<dyn AesKey>> {
    let kek = kek.expose();
    match kek.len() {
        16 => Some(Box::new(Aes128::new_from_slice(kek).ok()?)),
        24 => Some(Box::new(Aes192::new_from_slice(kek).ok()?)),
        32 => Some(Box::new(Aes256::new_from_slice(kek).ok()?)),
        _ => None,
    }
}

/// RFC 5649, section 4.1.
fn wrap_padded(aes: &dyn AesKey, key: &[u8]) -> Vec<u8> {
    let mut check = PADDED_IV;
    check[4..].copy_from_slice(&(key.len() as u32).to_be_bytes());
    let mut padded = Zeroizing::new(vec![0; key.len().next_multiple_of(8)]);
    padded[..key.len()].copy_from_slice(key);
    aes.wrap(check, &padded)
}

/// RFC 5649, section 4.2.
fn unwrap_padded(aes: &dyn AesKey, wrapped: &[u8]) -> Option<Secret> {
    let (check, key) = aes.unwrap(wrapped)?;
    let key = key.expose();
    let length = u32::from_be_bytes(check[4..].try_into().ok()?);
    let whole = u32::try_from(key.len()).ok()?;
    let mut right = check[..4].ct_eq(&PADDED_IV[..4]);
    // 8(n-1) < length <= 8n, and zeros behind it.
    right &= !whole.ct_lt(&length) & (whole - 8).ct_lt(&length);
    for (at, octet) in (whole - 8..).zip(&key[key.len() - 8..]) {
        right &= at.ct_lt(&length) | octet.ct_eq(&0);
    }
    bool::from(right).then(|| Secret::new(key[..length as usize].to_vec()))
}

/// RFC 3217, sections 3.1 and 4.1: a checksum behind the key, CBC, reversed, CBC again. `None` when `kek` does not fit.
fn wrap_cbc(cipher: Cipher, kek: &Secret, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut iv = [0; 8];
    SystemRandom.fill(&mut iv)?;
    let mut octets = Zeroizing::new([key, &Hash::Sha1.digest(key)[..8]].concat());
    let mut wrap = || {
        cbc::encrypt_blocks(cipher, kek, &iv, &mut octets)?;
        let mut outer: Vec<u8> = octets.iter().rev().chain(iv.iter().rev()).copied().collect();
        cbc::encrypt_blocks(cipher, kek, &CBC_IV, &mut outer)?;
        Some(outer)
    };
    Ok(wrap())
}

/// RFC 3217, sections 3.2 and 4.2.
fn unwrap_cbc(cipher: Cipher, kek: &Secret, wrapped: &[u8]) -> Option<Secret> {
    if wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) {
        return None;
    }
    let mut octets = Zeroizing::new(wrapped.to_vec());
    cbc::decrypt_blocks(cipher, kek, &CBC_IV, &mut octets)?;
    octets.reverse();
    let (iv, octets) = octets.split_at_mut(8);
    cbc::decrypt_blocks(cipher, kek, iv, octets)?;
    let (key, check) = octets.split_at(octets.len() - 8);
    bool::from(Hash::Sha1.digest(key)[..8].ct_eq(check)).then(|| Secret::new(key.to_vec()))
}

/// RFC 3217, section 4.1, steps 1 to 3: the key behind its length, filled at random to whole blocks.
fn lengthened(key: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(vec![0; (key.len() + 1).next_multiple_of(8)]);
    octets[0] = key.len() as u8;
    octets[1..=key.len()].copy_from_slice(key);
    SystemRandom.fill(&mut octets[1 + key.len()..])?;
    Ok(octets)
}

/// RFC 3217, section 4.2, steps 8 and 9: at most seven octets follow the key.
fn shortened(octets: &Secret) -> Option<Secret> {
    let (length, octets) = octets.expose().split_first()?;
    let key = octets.get(..usize::from(*length)).filter(|key| octets.len() - key.len() < 8)?;
    Some(Secret::new(key.to_vec()))
}

fn wrong() -> Error {
    Error::no_key("wrapped key: this key does not unwrap it")
}

/// RFC 3394, section 2.2.3.1.
const IV: [u8; 8] = [0xa6; 8];

/// RFC 5649, section 3; the length follows.
const PADDED_IV: [u8; 8] = [0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, 0];

/// RFC 3217, section 3.1, step 7.
const CBC_IV: [u8; 8] = [0x4a, 0xdd, 0xa2, 0x2c, 0x79, 0xe8, 0x21, 0x05];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    fn unhex(hex: &str) -> Vec<u8> {
        let hex: String = hex.split_whitespace().collect();
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn secret(hex: &str) -> Secret {
        Secret::new(unhex(hex))
    }

    const DATA: &str = "00112233445566778899AABBCCDDEEFF0001020304050607";
    const KEK: &str = "000102030405060708090A0B0C0D0E0F1011121314151617";

    /// RFC 3394, sections 4.1 and 4.4.
    #[test]
    fn rfc_3394() {
        let kek = Secret::new(unhex(KEK)[..16].to_vec());
        let key = Secret::new(unhex(DATA)[..16].to_vec());
        let wrapped = unhex("1FA68B0A8112B447 AEF34BD8FB5A7B82 9D3E862371D2CFE5");
        assert_eq!(KeyWrap::Aes.wrap(&kek, &key).unwrap(), wrapped);
        assert_eq!(KeyWrap::Aes.unwrap(&kek, &wrapped), Ok(key));
        let wrapped = unhex("031D33264E15D332 68F24EC260743EDC E1C6C7DDEE725A93 6BA814915C6762D2");
        assert_eq!(KeyWrap::Aes.wrap(&secret(KEK), &secret(DATA)).unwrap(), wrapped);
        assert_eq!(KeyWrap::Aes.unwrap(&secret(KEK), &wrapped), Ok(secret(DATA)));
    }

    /// RFC 5649, section 6.
    #[test]
    fn rfc_5649() {
        let kek = secret("5840df6e29b02af1 ab493b705bf16ea1 ae8338f4dcc176a8");
        for (key, wrapped) in [
            (
                "c37b7e6492584340 bed1220780894115 5068f738",
                "138bdeaa9b8fa7fc 61f97742e72248ee 5ae6ae5360d1ae6a 5f54f373fa543b6a",
            ),
            ("466f7250617369", "afbeb0f07dfbf541 9200f2ccb50bb24f"),
        ] {
            assert_eq!(KeyWrap::AesPadded.wrap(&kek, &secret(key)).unwrap(), unhex(wrapped));
            assert_eq!(KeyWrap::AesPadded.unwrap(&kek, &unhex(wrapped)), Ok(secret(key)));
        }
    }

    /// RFC 3217, sections 3.4 and 4.4.
    #[test]
    fn rfc_3217() {
        let kek = secret("255e0d1c 07b646df b3134cc8 43ba8aa7 1f025b7c 0838251f");
        let wrapped =
            unhex("69010761 8ef092b3 b48ca179 6b234ae9 fa33ebb4 15960403 7db5d6a8 4eb3aac2 768c6327 75a467d4");
        let key = secret("2923bf85 e06dd6ae 529149f1 f1bae9ea b3a7da3d 860d3e98");
        assert_eq!(KeyWrap::TripleDes.unwrap(&kek, &wrapped), Ok(key));
        // The example has a key of 40 effective bits (errata, and BouncyCastle's test).
        let kek = secret("fd04fd08 060707fb 0003feff fd02fe05");
        let wrapped =
            unhex("70e699fb 5701f783 3330fb71 e87c85a4 20bdc99a f05d22af 5a0e48d3 5f313898 6cbaafb4 b28d4f35");
        let key = secret("b70a25fb c9d86a86 050ce0d7 11ead4d9");
        assert_eq!(unwrap_cbc(Cipher::Rc2_40, &kek, &wrapped).and_then(|octets| shortened(&octets)), Some(key));
    }

    #[test]
    fn what_is_wrapped_unwraps_and_a_flipped_bit_does_not() {
        let rows = [
            (KeyWrap::Aes, 16, &[16, 24, 32][..]),
            (KeyWrap::AesPadded, 32, &[1, 7, 8, 9, 16, 17, 24, 31, 32]),
            (KeyWrap::Rc2, 16, &[5, 7, 8, 16]),
            (KeyWrap::TripleDes, 24, &[24]),
        ];
        for (how, kek, lengths) in rows {
            let kek = Secret::new((1..=kek).collect());
            for length in lengths {
                let key = Secret::new((0..*length).collect());
                let wrapped = how.wrap(&kek, &key).unwrap();
                assert_eq!(how.unwrap(&kek, &wrapped), Ok(key), "{how:?} {length}");
                for at in 0..wrapped.len() {
                    let mut flipped = wrapped.clone();
                    flipped[at] ^= 4;
                    let error = how.unwrap(&kek, &flipped).unwrap_err();
                    assert_eq!(error.to_string(), "wrapped key: this key does not unwrap it");
                    assert_eq!(error.kind(), Kind::NoKey);
                }
                for shorter in 0..wrapped.len() {
                    assert!(how.unwrap(&kek, &wrapped[..shorter]).is_err());
                }
            }
            assert!(how.unwrap(&Secret::new(vec![1; 15]), &[0; 40]).is_err());
        }
        let error = KeyWrap::Aes.wrap(&secret(KEK), &Secret::new(vec![1; 12])).unwrap_err();
        assert_eq!(error.to_string(), "key wrap: a key of 24 octets does not wrap one of 12");
    }

    /// RFC 3211, section 3: with DES, and with triple DES.
    #[test]
    fn rfc_3211() {
        let wrapped = unhex("B81B2565EE373CA6 DEDCA26A178B0C10");
        let answer =
            unwrap_for_password(Cipher::Des, &secret("D1DAA78615F287E6"), &unhex("EFE598EF21B33D6D"), &wrapped);
        assert_eq!(answer, Ok(secret("8C627C897323A2F8")));
        let kek = secret("6A8970BF68C92CAE A84A8DF285108586 07126380CC47AB2D");
        let iv = unhex("BAF1CA7931213C4E");
        let wrapped = unhex("C03C514ABDB9E2C5 AAC038572B5E2455 3876B377AAFB82EC A5A9D73F8AB143D9 EC74E6CAD7DB260C");
        let key = secret("8C637D887223A2F9 65B566EB014B0FA5 D52300A3F7EA40FF FC577203C71BAF3B");
        assert_eq!(unwrap_for_password(Cipher::TripleDes, &kek, &iv, &wrapped), Ok(key));
    }

    #[test]
    fn a_wrong_password_is_noticed() {
        let (kek, iv) = (secret(DATA), [9; 16]);
        for length in [5, 8, 16, 24, 32, 33] {
            let key = Secret::new((0..length).collect());
            let wrapped = wrap_for_password(Cipher::Aes192, &kek, &iv, &key).unwrap();
            assert_eq!(unwrap_for_password(Cipher::Aes192, &kek, &iv, &wrapped), Ok(key), "{length}");
            let error = unwrap_for_password(Cipher::Aes192, &secret(KEK), &iv, &wrapped).unwrap_err();
            assert_eq!(error.to_string(), "wrapped key: this key does not unwrap it");
            assert!(unwrap_for_password(Cipher::Aes192, &kek, &iv, &wrapped[..16]).is_err());
        }
        let error = wrap_for_password(Cipher::Aes192, &kek, &iv, &Secret::new(vec![1, 2])).unwrap_err();
        assert_eq!(error.to_string(), "key wrap: aes192 does not wrap a key of 2 octets for a password");
    }
}
