//! The legacy corner: what aws-lc refuses, on RustCrypto. RSA under 2048 and over 8192 bits, RSA signatures over MD5,
//! RIPEMD-160, SHA-1, SHA-224 and SHA-3, and ElGamal. Slower, and never what a new key is made for.

use crypto_bigint::{
    BoxedUint, Odd, Resize,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use rsa::{Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, PrivateKey, Pss, PublicKey, traits::SignatureScheme};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::{
    Hash, RsaComponents, Scheme, Unverified, Unwrap,
    rejection::Rejection,
    software::{bits, trimmed, unfit},
};
use crate::{
    base::{Result, Secret},
    crypto::KeyAlgorithm,
};

/// An RSA private key of any size.
pub(super) struct LegacyRsa(PrivateKey);

impl LegacyRsa {
    pub(super) fn new(parts: &RsaComponents) -> Result<LegacyRsa> {
        let primes = vec![secret(&parts.p), secret(&parts.q)];
        PrivateKey::from_components(number(&parts.n), number(&parts.e), secret(&parts.d), primes)
            .map(LegacyRsa)
            .map_err(|_| unfit(KeyAlgorithm::Rsa(bits(&parts.n))))
    }

    /// `None` when the scheme is none of RSA's, or the digest does not have the hash's length, or not the key's size.
    pub(super) fn sign(&self, scheme: Scheme, digest: &[u8]) -> Option<Vec<u8>> {
        match scheme {
            Scheme::RsaPkcs1(hash) => self.0.sign(pkcs1(hash), digest).ok(),
            Scheme::RsaPss(hash) => match hash {
                Hash::Sha1 => self.0.sign(Pss::<Sha1>::new(), digest).ok(),
                Hash::Sha224 => self.0.sign(Pss::<rsa::sha2::Sha224>::new(), digest).ok(),
                Hash::Sha256 => self.0.sign(Pss::<rsa::sha2::Sha256>::new(), digest).ok(),
                Hash::Sha384 => self.0.sign(Pss::<rsa::sha2::Sha384>::new(), digest).ok(),
                Hash::Sha512 => self.0.sign(Pss::<rsa::sha2::Sha512>::new(), digest).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// `None` when `wrapped` has not the modulus' length or, with OAEP, was not encrypted to this key.
    pub(super) fn decrypt(&self, unwrap: Unwrap, wrapped: &[u8]) -> Option<Secret> {
        let plain = match unwrap {
            Unwrap::RsaPkcs1 => self.0.decrypt(Pkcs1v15Encrypt, wrapped),
            Unwrap::RsaOaep(Hash::Sha1) => self.0.decrypt(Oaep::<Sha1>::new(), wrapped),
            Unwrap::RsaOaep(Hash::Sha224) => self.0.decrypt(Oaep::<rsa::sha2::Sha224>::new(), wrapped),
            Unwrap::RsaOaep(Hash::Sha256) => self.0.decrypt(Oaep::<rsa::sha2::Sha256>::new(), wrapped),
            Unwrap::RsaOaep(Hash::Sha384) => self.0.decrypt(Oaep::<rsa::sha2::Sha384>::new(), wrapped),
            Unwrap::RsaOaep(Hash::Sha512) => self.0.decrypt(Oaep::<rsa::sha2::Sha512>::new(), wrapped),
            Unwrap::RsaOaep(_) => return None,
        };
        plain.ok().map(Secret::new)
    }
}

/// Verifies an RSA signature of any size that a mail may have.
pub(super) fn verify_rsa(
    n: &[u8],
    e: &[u8],
    scheme: Scheme,
    digest: &[u8],
    signature: &[u8],
) -> Result<(), Unverified> {
    let key =
        PublicKey::new_with_size_limits(number(n), number(e), MIN_BITS..=MAX_BITS).map_err(|_| Unverified::Key)?;
    let check = |verified: rsa::Result<()>| verified.map_err(|_| Unverified::Signature);
    match scheme {
        Scheme::RsaPkcs1(hash) => check(pkcs1(hash).verify(&key, digest, signature)),
        Scheme::RsaPss(hash) => match hash {
            Hash::Sha1 => check(Pss::<Sha1>::new().verify(&key, digest, signature)),
            Hash::Sha224 => check(Pss::<rsa::sha2::Sha224>::new().verify(&key, digest, signature)),
            Hash::Sha256 => check(Pss::<rsa::sha2::Sha256>::new().verify(&key, digest, signature)),
            Hash::Sha384 => check(Pss::<rsa::sha2::Sha384>::new().verify(&key, digest, signature)),
            Hash::Sha512 => check(Pss::<rsa::sha2::Sha512>::new().verify(&key, digest, signature)),
            _ => Err(Unverified::Algorithm),
        },
        _ => Err(Unverified::Algorithm),
    }
}

/// An ElGamal private key, which only ever decrypts.
pub(super) struct Elgamal {
    prime: BoxedMontyParams,
    /// `p - 1 - x`, so that one power does for power and inverse.
    exponent: Zeroizing<BoxedUint>,
    length: usize,
    rejection: Rejection,
}

impl Elgamal {
    /// `None` when the parts do not belong together.
    pub(super) fn new(p: &[u8], g: &[u8], y: &[u8], x: &Secret) -> Option<Elgamal> {
        if !(MIN_BITS..=MAX_BITS).contains(&bits(p)) {
            return None;
        }
        let length = trimmed(p).len();
        let modulus = Odd::new(number(p)).into_option()?;
        let precision = modulus.bits_precision();
        let x = Zeroizing::new(secret(x).try_resize(precision)?);
        let order = modulus.wrapping_sub(BoxedUint::one());
        if *x >= order || number(g) >= *modulus {
            return None;
        }
        let prime = BoxedMontyParams::new(modulus);
        let generator = BoxedMontyForm::new(number(g).try_resize(precision)?, &prime);
        if generator.pow(&x).retrieve() != number(y).try_resize(precision)? {
            return None;
        }
        let exponent = Zeroizing::new(order.wrapping_sub(&*x));
        let octets = Secret::new(x.to_be_bytes().into_vec());
        Some(Elgamal { prime, exponent, length, rejection: Rejection::new(&octets, length) })
    }

    /// Takes `g^k || m*y^k`; `None` when they are not numbers below the prime.
    pub(super) fn decrypt(&self, wrapped: &[u8]) -> Option<Secret> {
        if wrapped.len() != 2 * self.length {
            return None;
        }
        let (shared, masked) = wrapped.split_at(self.length);
        let mask = self.residue(shared)?.pow(&self.exponent);
        let message = Zeroizing::new(mask.mul(&self.residue(masked)?).retrieve());
        let octets = Zeroizing::new(message.to_be_bytes().into_vec());
        let encoded = Zeroizing::new(octets[octets.len() - self.length..].to_vec());
        Some(self.rejection.unpad(encoded, wrapped))
    }

    fn residue(&self, octets: &[u8]) -> Option<BoxedMontyForm> {
        let number = number(octets).try_resize(self.prime.bits_precision())?;
        let below = !bool::from(number.is_zero()) && number < **self.prime.modulus();
        below.then(|| BoxedMontyForm::new(number, &self.prime))
    }
}

/// The DigestInfo of RFC 8017, section 9.2, around a digest of `hash`.
fn pkcs1(hash: Hash) -> Pkcs1v15Sign {
    let oid: &[u8] = match hash {
        // RFC 8017, appendix B.1; Teletrust for RIPEMD-160 (RFC 9580, section 5.2.2); NIST for SHA-3 (RFC 8702).
        Hash::Md5 => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05],
        Hash::Ripemd160 => &[0x2b, 0x24, 0x03, 0x02, 0x01],
        Hash::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
        Hash::Sha224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04],
        Hash::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        Hash::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        Hash::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        Hash::Sha3_256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x08],
        Hash::Sha3_384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x09],
        Hash::Sha3_512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x0a],
    };
    let length = hash.length();
    let (oid_length, digest_length) = (oid.len() as u8, length as u8);
    let mut prefix = vec![0x30, oid_length + digest_length + 8, 0x30, oid_length + 4, 0x06, oid_length];
    prefix.extend_from_slice(oid);
    prefix.extend_from_slice(&[0x05, 0x00, 0x04, digest_length]);
    Pkcs1v15Sign { hash_len: Some(length), prefix: prefix.into() }
}

fn number(octets: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(trimmed(octets))
}

fn secret(octets: &Secret) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(octets.expose())
}

/// Below, the DigestInfo of no hash fits; above, one verification takes longer than a mail is worth.
const MIN_BITS: usize = 368;
const MAX_BITS: usize = 16_384;
