//! Implicit rejection for RSAES-PKCS1-v1_5, so that decryption is no oracle.
//!
//! Bleichenbacher's attack (1998), and Marvin after it (Kario 2023), needs one bit: was the padding of my ciphertext right? Here the answer is the
//! same in both cases. Wrong padding yields a message too: pseudorandom, always the same for the same key and ciphertext, of a length that looks like
//! any other (draft-irtf-cfrg-rsa-guidance, section 7; OpenSSL 3.2 does the same). To an attacker, a forged ciphertext looks like one with right
//! padding around a wrong session key, which fails later, at the checksum and at the MDC or AEAD tag.
//!
//! What is left is time: aws-lc checks the padding in constant time but then branches on the outcome, copies the
//! message and returns. That is some tens of nanoseconds beside a private-key operation of 900,000 and the parsing of
//! a message that differs from one to the next. The substitute is made in every case and before the outcome is known.
//! Short RSA keys are opened by the rsa crate, which does all of this itself; ElGamal keys by `unpad` below.

use std::hint::black_box;

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use super::number::trimmed;
use crate::base::Secret;

/// The substitute messages of one RSA key.
pub(super) struct Rejection {
    /// `DH = SHA256(I2OSP(d, k))` as an HMAC key.
    key: hmac::Key,
    /// The modulus' length in octets.
    length: usize,
}

impl Rejection {
    /// For the key with the private exponent `d` and a modulus of `length` octets.
    pub(super) fn new(d: &Secret, length: usize) -> Rejection {
        let d = trimmed(d.expose());
        let mut octets = Zeroizing::new(vec![0; length.saturating_sub(d.len())]);
        octets.extend_from_slice(d);
        let hashed = digest::digest(&digest::SHA256, &octets);
        Rejection { key: hmac::Key::new(hmac::HMAC_SHA256, hashed.as_ref()), length }
    }

    /// For a key whose private exponent is not here: `secret` is random, belongs to that key alone and stays the same, so that a ciphertext has one
    /// substitute for ever.
    pub(super) fn keyed(secret: &Secret, length: usize) -> Rejection {
        let hashed = digest::digest(&digest::SHA256, secret.expose());
        Rejection { key: hmac::Key::new(hmac::HMAC_SHA256, hashed.as_ref()), length }
    }

    /// The message that stands for `wrapped`, when its padding is wrong.
    pub(super) fn message(&self, wrapped: &[u8]) -> Secret {
        let (message, length) = self.substitute(wrapped);
        Secret::new(message[self.length - length..].to_vec())
    }

    /// The message within `encoded`, of the modulus' length and decrypted from `wrapped`; or its substitute.
    pub(super) fn unpad(&self, mut encoded: Zeroizing<Vec<u8>>, wrapped: &[u8]) -> Secret {
        let (message, length) = self.substitute(wrapped);
        let padding = Padding::of(&encoded);
        for (octet, other) in encoded.iter_mut().zip(message.iter()) {
            *octet = (*octet & padding.right as u8) | (*other & !padding.right as u8);
        }
        let chosen = (padding.message & padding.right) | (length & !padding.right);
        Secret::new(encoded[encoded.len() - chosen..].to_vec())
    }

    fn substitute(&self, wrapped: &[u8]) -> (Zeroizing<Vec<u8>>, usize) {
        let derived = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.key, wrapped).as_ref());
        let candidates = expand(&derived, b"length", 2 * CANDIDATES);
        let message = expand(&derived, b"message", self.length);
        (message, pick(&candidates, self.length.saturating_sub(PADDING)))
    }
}

/// The result of checking the padding of RFC 8017, section 7.2.2, without a branch that depends on it.
struct Padding {
    /// All ones when it is right, else 0.
    right: usize,
    /// The message's length, if it is right.
    message: usize,
}

impl Padding {
    fn of(encoded: &[u8]) -> Padding {
        let mut right = same(encoded.first(), 0) & same(encoded.get(1), 2);
        let mut found = 0;
        let mut separator = 0;
        for (at, octet) in encoded.iter().enumerate().skip(2) {
            let first = same(Some(octet), 0) & !found;
            separator |= at & first;
            found |= first;
        }
        // At least eight octets lie between 00 02 and the separator.
        right &= found & usize::from(separator >= PADDING - 1).wrapping_neg();
        Padding { right, message: encoded.len().wrapping_sub(separator + 1) & found }
    }
}

/// All ones if the octet has this value, else 0.
fn same(octet: Option<&u8>, value: u8) -> usize {
    usize::from(octet.is_some_and(|octet| black_box(*octet) == value)).wrapping_neg()
}

/// The last of the candidates that a message may have as its length; each is cut to as many bits as `longest` has.
fn pick(candidates: &[u8], longest: usize) -> usize {
    let mask = (longest + 1).next_power_of_two() - 1;
    candidates.chunks_exact(2).fold(0, |picked, pair| {
        let candidate = usize::from(u16::from_be_bytes([pair[0], pair[1]])) & mask;
        // Arithmetic, not a branch: the length is secret until the message is chosen.
        let fits = usize::from(candidate <= longest).wrapping_neg();
        (candidate & fits) | (picked & !fits)
    })
}

/// `IRPRF` of draft-irtf-cfrg-rsa-guidance, section 7.1.
fn expand(key: &hmac::Key, label: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let bits = u16::try_from(length * 8).unwrap_or(u16::MAX).to_be_bytes();
    let mut octets = Zeroizing::new(Vec::with_capacity(length + digest::SHA256_OUTPUT_LEN));
    for counter in 0..u16::MAX {
        if octets.len() >= length {
            break;
        }
        let mut context = hmac::Context::with_key(key);
        context.update(&counter.to_be_bytes());
        context.update(label);
        context.update(&bits);
        octets.extend_from_slice(context.sign().as_ref());
    }
    octets.truncate(length);
    octets
}

/// The number of candidates for the length: that none of them fits is then less likely than 2^-128.
const CANDIDATES: usize = 128;

/// The least padding around a message (RFC 8017, section 7.2.1): 00 02, eight octets, 00.
const PADDING: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{RsaComponents, SecretKey, SoftwareKey, Unwrap, legacy::LegacyRsa};

    /// The rsa crate passes the vectors of the draft; we answer as it does.
    #[test]
    fn the_substitute_is_the_one_of_the_draft() {
        let parts = RsaComponents::generate(2048).unwrap();
        let fast = SoftwareKey::rsa(&parts).unwrap();
        let slow = LegacyRsa::new(&parts).unwrap();
        for last in 0..40 {
            let mut wrapped = vec![1; 256];
            wrapped[255] = last;
            let substitute = fast.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap();
            assert_eq!(Some(&substitute), slow.decrypt(Unwrap::RsaPkcs1, &wrapped).as_ref());
            assert_eq!(fast.decrypt(Unwrap::RsaPkcs1, &wrapped), Ok(substitute));
        }
    }

    #[test]
    fn the_last_fitting_candidate_is_picked_and_cut_to_size() {
        let candidates = [[0x00, 0x05], [0xff, 0x14], [0x00, 0xfa]].concat();
        assert_eq!(pick(&candidates, 245), 0x14);
        assert_eq!(pick(&[0xff, 0xff], 245), 0);
        assert_eq!(pick(&[0x01, 0x00], 256), 256);
        assert_eq!(pick(&[0x01, 0x01], 256), 0);
    }

    #[test]
    fn padding_is_found_as_rfc_8017_has_it() {
        let encoded = |padding: usize, message: &[u8]| {
            let mut octets = vec![0, 2];
            octets.extend(std::iter::repeat_n(0xaa, padding));
            octets.push(0);
            octets.extend_from_slice(message);
            octets
        };
        let read = |octets: &[u8]| {
            let padding = Padding::of(octets);
            (padding.right != 0).then_some(padding.message)
        };
        assert_eq!(read(&encoded(8, b"key")), Some(3));
        assert_eq!(read(&encoded(8, b"")), Some(0));
        assert_eq!(read(&encoded(30, b"a\0b")), Some(3));
        assert_eq!(read(&encoded(7, b"key")), None);
        assert_eq!(read(&[1, 2, 9, 9, 9, 9, 9, 9, 9, 9, 0, 1]), None);
        assert_eq!(read(&[0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 0, 1]), None);
        assert_eq!(read(&[0, 2, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]), None);
    }
}
