//! What stands around a raw RSA operation that is done elsewhere: in a token, which has the private exponent and no implicit rejection.

use zeroize::Zeroizing;

use super::{Hash, Unwrap, legacy, padding::oaep_decode, rejection::Rejection};
use crate::base::Secret;

/// The padding of an RSA key whose private exponent is not here.
///
/// # Example
///
/// ```
/// use postseal::{base::Secret, crypto::{RawRsa, Unwrap}};
///
/// let key = RawRsa::new(&Secret::new(vec![7; 32]), &[0xc5; 256]);
/// // Wrong padding is no error: the answer is the same message each time.
/// let wrapped = [1; 256];
/// let answer = key.unpad(Unwrap::RsaPkcs1, Secret::new(vec![9; 256]), &wrapped);
/// assert!(answer.is_some());
/// assert_eq!(answer, Some(key.substitute(&wrapped)));
/// ```
pub struct RawRsa {
    modulus: Vec<u8>,
    rejection: Rejection,
}

impl RawRsa {
    /// For the key with this modulus, a big-endian number without leading zeros. `secret` keys the substitutes of messages with wrong padding: random
    /// octets that belong to this key alone, are kept as long as the key, and are known to no one else.
    pub fn new(secret: &Secret, modulus: &[u8]) -> RawRsa {
        RawRsa { modulus: modulus.to_vec(), rejection: Rejection::keyed(secret, modulus.len()) }
    }

    /// Whether `wrapped` may be asked of the key: it has the modulus' length and is less (RFC 8017, section 5.1.2). Anyone can compute this.
    pub fn takes(&self, wrapped: &[u8]) -> bool {
        wrapped.len() == self.modulus.len() && wrapped < self.modulus.as_slice()
    }

    /// The message in `encoded`, which the raw operation made of `wrapped`. With [`Unwrap::RsaPkcs1`] wrong padding yields the
    /// [substitute](RawRsa::substitute), as crypto/rejection.rs says; with OAEP it is `None`.
    pub fn unpad(&self, unwrap: Unwrap<'_>, encoded: Secret, wrapped: &[u8]) -> Option<Secret> {
        // Some tokens omit leading zeros. How many there are depends on the plaintext, but a token that omits them has told it by its time already.
        let given = encoded.expose();
        let mut whole = Zeroizing::new(vec![0; self.modulus.len().checked_sub(given.len())?]);
        whole.extend_from_slice(given);
        match unwrap {
            Unwrap::RsaOaep { hash, mgf, label } => oaep_decode(hash, mgf, label, whole),
            Unwrap::RsaPkcs1 => Some(self.rejection.unpad(whole, wrapped)),
        }
    }

    /// The message that stands for `wrapped` when its padding is wrong.
    pub fn substitute(&self, wrapped: &[u8]) -> Secret {
        self.rejection.message(wrapped)
    }

    /// `T` of EMSA-PKCS1-v1_5, what a token pads and signs (RFC 8017, section 9.2, note 1); `None` when the digest does not have the hash's length, or
    /// the hash has no such encoding.
    pub fn digest_info(hash: Hash, digest: &[u8]) -> Option<Vec<u8>> {
        (digest.len() == hash.length()).then_some(())?;
        let mut info = legacy::digest_info(hash)?;
        info.extend_from_slice(digest);
        Some(info)
    }
}

impl std::fmt::Debug for RawRsa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawRsa({} octets)", self.modulus.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{PublicKey, RsaComponents, Scheme, SecretKey, SoftwareKey, legacy::LegacyRsa, verify};

    #[test]
    fn a_digest_info_is_what_an_rsa_key_signs() {
        for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512, Hash::Sha3_256] {
            let digest = hash.digest(b"text");
            let parts = RsaComponents::generate(2048).unwrap();
            let info = RawRsa::digest_info(hash, &digest).unwrap();
            // 00 01 ff .. 00 and T, to the power of d.
            let mut encoded = vec![0xff; 256 - info.len()];
            encoded[0..2].copy_from_slice(&[0, 1]);
            *encoded.last_mut().unwrap() = 0;
            encoded.extend_from_slice(&info);
            let signature = LegacyRsa::new(&parts).unwrap().power(&encoded).unwrap();
            let public = PublicKey::Rsa { n: &parts.n, e: &parts.e };
            assert_eq!(verify(public, Scheme::RsaPkcs1(hash), &digest, signature.as_slice()), Ok(()), "{hash}");
            assert_eq!(RawRsa::digest_info(hash, &digest[1..]), None);
        }
        assert_eq!(RawRsa::digest_info(Hash::Shake128, &[0; 32]), None);
    }

    /// As a software key does, whose secret for the substitutes is another.
    #[test]
    fn right_padding_is_opened_and_wrong_padding_has_one_substitute() {
        let parts = RsaComponents::generate(2048).unwrap();
        let legacy = LegacyRsa::new(&parts).unwrap();
        let raw = RawRsa::new(&Secret::new(vec![1; 32]), &parts.n);
        let message = Secret::new(vec![5; 40]);
        for unwrap in [Unwrap::RsaPkcs1, Unwrap::RsaOaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: b"" }] {
            let wrapped = crate::crypto::encrypt_to_rsa(&parts.n, &parts.e, unwrap, &message).unwrap();
            let encoded = || Secret::new(legacy.power(&wrapped).unwrap().to_vec());
            assert!(raw.takes(&wrapped));
            assert_eq!(raw.unpad(unwrap, encoded(), &wrapped), Some(message.clone()));
            // A token that omits leading zeros.
            let trimmed = Secret::new(encoded().expose().iter().copied().skip_while(|octet| *octet == 0).collect());
            assert_eq!(raw.unpad(unwrap, trimmed, &wrapped), Some(message.clone()));
            // Of another ciphertext, the padding is wrong.
            let mut other = wrapped.clone();
            other[255] ^= 1;
            let encoded = || Secret::new(legacy.power(&other).unwrap().to_vec());
            match unwrap {
                Unwrap::RsaPkcs1 => {
                    let substitute = raw.unpad(unwrap, encoded(), &other).unwrap();
                    assert_eq!(substitute, raw.substitute(&other));
                    assert_eq!(raw.unpad(unwrap, encoded(), &other), Some(substitute.clone()));
                    let foreign = RawRsa::new(&Secret::new(vec![2; 32]), &parts.n);
                    assert_ne!(foreign.unpad(unwrap, encoded(), &other), Some(substitute));
                }
                _ => assert_eq!(raw.unpad(unwrap, encoded(), &other), None),
            }
        }
        assert!(!raw.takes(&parts.n) && !raw.takes(&[0; 255]) && !raw.takes(&[0xff; 256]) && raw.takes(&[0; 256]));
        assert_eq!(raw.unpad(Unwrap::RsaPkcs1, Secret::new(vec![0; 257]), &[0; 256]), None);
        let software = SoftwareKey::rsa(&parts).unwrap();
        assert_ne!(software.decrypt(Unwrap::RsaPkcs1, &[3; 256]).ok(), Some(raw.substitute(&[3; 256])));
    }
}
