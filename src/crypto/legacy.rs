//! Algorithms that aws-lc refuses, on RustCrypto. RSA under 2048 and over 8192 bits; RSA signatures over MD5, RIPEMD-160, SHA-1, SHA-224 and SHA-3;
//! PSS and OAEP of two hashes or other salts; ElGamal. Slower, and not used for new keys.

use crypto_bigint::{
    BoxedUint, Odd, Resize,
    modular::{BoxedMontyForm, BoxedMontyParams},
};
use getrandom::SysRng;
use rsa::{
    Pkcs1v15Encrypt, Pkcs1v15Sign, PrivateKey, PublicKey,
    hazmat::{rsa_decrypt_and_check, rsa_encrypt},
    traits::{PublicKeyParts, SignatureScheme},
};
use zeroize::Zeroizing;

use super::{
    Hash, RsaComponents, Scheme, Unverified, Unwrap,
    number::{bits, trimmed},
    padding::{oaep_decode, oaep_encode, pss_encode, pss_verify},
    rejection::Rejection,
    short_rsa,
    unfit::unfit,
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
            Scheme::RsaPkcs1(hash) => self.0.sign(pkcs1(hash)?, digest).ok(),
            Scheme::RsaPss { hash, mgf, salt } => {
                let encoded = pss_encode(hash, mgf, salt, digest, self.0.n().bit_width_vartime() as usize - 1)?;
                Some(self.power(&encoded)?.to_vec())
            }
            _ => None,
        }
    }

    /// `None` when `wrapped` has not the modulus' length or, with OAEP, was not encrypted to this key.
    pub(super) fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Option<Secret> {
        match unwrap {
            Unwrap::RsaPkcs1 => self.0.decrypt(Pkcs1v15Encrypt, wrapped).ok().map(Secret::new),
            Unwrap::RsaOaep { hash, mgf, label } if wrapped.len() == self.0.size() => {
                oaep_decode(hash, mgf, label, self.power(wrapped)?)
            }
            Unwrap::RsaOaep { .. } => None,
        }
    }

    /// A number to the power of the private exponent, blinded (RFC 8017, section 5.1.2).
    pub(super) fn power(&self, octets: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let base = number(octets).try_resize(self.0.n().bits_precision())?;
        let power = Zeroizing::new(rsa_decrypt_and_check(&self.0, Some(&mut SysRng), &base).ok()?);
        Some(Zeroizing::new(sized(&power, self.0.size())))
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
    if let (Scheme::RsaPkcs1(hash), MIN_BITS.., Some(encoded)) = (scheme, bits(n), short_rsa::power(n, e, signature)) {
        let scheme = pkcs1(hash).ok_or(Unverified::Algorithm)?;
        let right = is_encoded(&encoded, &scheme.prefix, digest) && digest.len() == hash.length();
        return right.then_some(()).ok_or(Unverified::Signature);
    }
    let key = public(n, e).ok_or(Unverified::Key)?;
    match scheme {
        Scheme::RsaPkcs1(hash) => {
            let scheme = pkcs1(hash).ok_or(Unverified::Algorithm)?;
            scheme.verify(&key, digest, signature).map_err(|_| Unverified::Signature)
        }
        Scheme::RsaPss { hash, mgf, salt } => {
            let number = number(signature).try_resize(key.n().bits_precision());
            let number = number.filter(|number| signature.len() == key.size() && *number < **key.n());
            let encoded = rsa_encrypt(&key, &number.ok_or(Unverified::Signature)?).map_err(|_| Unverified::Key)?;
            let right = pss_verify(hash, mgf, salt, digest, &sized(&encoded, key.size()), bits(n) - 1);
            right.then_some(()).ok_or(Unverified::Signature)
        }
        _ => Err(Unverified::Algorithm),
    }
}

/// Whether `encoded` is `00 01 ff..ff 00`, the DigestInfo and nothing else, with at least eight times `ff` (RFC 8017, section 9.2).
fn is_encoded(encoded: &[u8], info: &[u8], digest: &[u8]) -> bool {
    let end = encoded.strip_suffix(digest).and_then(|start| start.strip_suffix(info)?.strip_suffix(&[0]));
    let padding = end.and_then(|start| start.strip_prefix(&[0, 1]));
    padding.is_some_and(|padding| padding.len() >= 8 && padding.iter().all(|octet| *octet == 0xff))
}

/// Encrypts a key to an RSA key of any size that a mail may have; `None` when the key is none, or too short for it.
pub(super) fn encrypt_rsa(n: &[u8], e: &[u8], wrap: Unwrap<'_>, plain: &Secret) -> Option<Vec<u8>> {
    let key = public(n, e)?;
    match wrap {
        Unwrap::RsaPkcs1 => key.encrypt(&mut SysRng, Pkcs1v15Encrypt, plain.expose()).ok(),
        Unwrap::RsaOaep { hash, mgf, label } => {
            let encoded = oaep_encode(hash, mgf, label, plain.expose(), key.size())?;
            let base = Zeroizing::new(number(&encoded).try_resize(key.n().bits_precision())?);
            Some(sized(&rsa_encrypt(&key, &base).ok()?, key.size()))
        }
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
fn pkcs1(hash: Hash) -> Option<Pkcs1v15Sign> {
    Some(Pkcs1v15Sign { hash_len: Some(hash.length()), prefix: digest_info(hash)?.into() })
}

/// What stands before the digest in that DigestInfo.
pub(super) fn digest_info(hash: Hash) -> Option<Vec<u8>> {
    let oid: &[u8] = match hash {
        // RFC 8017, appendix B.1; Teletrust for RIPEMD-160 (RFC 9580, section 5.2.2); NIST for SHA-3 (RFC 8702).
        Hash::Md2 => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x02],
        Hash::Md5 => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05],
        Hash::Ripemd160 => &[0x2b, 0x24, 0x03, 0x02, 0x01],
        Hash::Sha1 => &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
        Hash::Sha224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04],
        Hash::Sha256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        Hash::Sha384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        Hash::Sha512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        Hash::Sha512_224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x05],
        Hash::Sha512_256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x06],
        Hash::Sha3_224 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x07],
        Hash::Sha3_256 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x08],
        Hash::Sha3_384 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x09],
        Hash::Sha3_512 => &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x0a],
        // RFC 8702 has them with PSS alone.
        Hash::Shake128 | Hash::Shake256 => return None,
    };
    let (oid_length, digest_length) = (oid.len() as u8, hash.length() as u8);
    let mut prefix = vec![0x30, oid_length + digest_length + 8, 0x30, oid_length + 4, 0x06, oid_length];
    prefix.extend_from_slice(oid);
    prefix.extend_from_slice(&[0x05, 0x00, 0x04, digest_length]);
    Some(prefix)
}

fn public(n: &[u8], e: &[u8]) -> Option<PublicKey> {
    PublicKey::new_with_size_limits(number(n), number(e), MIN_BITS..=MAX_BITS).ok()
}

/// The last `length` octets, before which there are only zeros.
fn sized(number: &BoxedUint, length: usize) -> Vec<u8> {
    let octets = Zeroizing::new(number.to_be_bytes().into_vec());
    octets[octets.len() - length..].to_vec()
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

#[cfg(test)]
mod tests {
    use rsa::traits::PrivateKeyParts;

    use super::*;
    use crate::crypto::{PublicKey as Public, SecretKey, SoftwareKey, verify};

    /// A number of `octets` octets that passes Fermat's test: enough for keys that the rsa crate will not generate.
    fn prime(octets: usize) -> BoxedUint {
        let mut candidate = vec![0; octets];
        loop {
            getrandom::fill(&mut candidate).unwrap();
            candidate[0] |= 0xc0;
            candidate[octets - 1] |= 1;
            let order: Vec<u8> = [&candidate[..octets - 1], &[candidate[octets - 1] - 1]].concat();
            let modulus = BoxedMontyParams::new(Odd::new(number(&candidate)).into_option().unwrap());
            if power(&number(&[2]), &order, &modulus) == number(&[1]) {
                return number(&candidate);
            }
        }
    }

    fn generate(bits: usize) -> RsaComponents {
        let key = loop {
            // Fails when 65537 divides p - 1.
            if let Ok(key) = PrivateKey::from_p_q(prime(bits / 16), prime(bits / 16), 65_537_u32.into()) {
                break key;
            }
        };
        let octets = |number: &BoxedUint| Secret::new(number.to_be_bytes().into_vec());
        RsaComponents {
            n: key.n_bytes().into_vec(),
            e: key.e_bytes().into_vec(),
            d: octets(key.d()),
            p: octets(key.primes()[0].as_ref()),
            q: octets(key.primes()[1].as_ref()),
            q_inverse: None,
        }
    }

    /// The hashes that PKCS#1 v1.5 has an identifier for.
    const DIGEST_INFO: &[Hash] = Hash::ALL.split_at(14).0;

    #[test]
    fn short_keys_sign_with_every_hash_that_fits() {
        let parts = generate(768);
        let key = SoftwareKey::rsa(&parts).unwrap();
        assert_eq!(key.algorithm(), KeyAlgorithm::Rsa(768));
        let public = Public::Rsa { n: &parts.n, e: &parts.e };
        for &hash in DIGEST_INFO {
            let (scheme, digest) = (Scheme::RsaPkcs1(hash), hash.digest(b"text"));
            let signature = key.sign(scheme, &digest).unwrap();
            assert_eq!(verify(public, scheme, &digest, &signature), Ok(()), "{hash}");
            let refused = verify(public, scheme, &hash.digest(b"texT"), &signature);
            assert_eq!(refused, Err(Unverified::Signature), "{hash}");
        }
    }

    /// The fast way and the rsa crate agree, on what is right and on what is not.
    #[test]
    fn short_numbers_are_those_of_any_size() {
        for size in [384, 512, 768, 1024] {
            let parts = generate(size);
            let key = public(&parts.n, &parts.e).unwrap();
            let (digest, scheme) = (Hash::Md5.digest(b"text"), pkcs1(Hash::Md5).unwrap());
            let good = SoftwareKey::rsa(&parts).unwrap().sign(Scheme::RsaPkcs1(Hash::Md5), &digest).unwrap();
            let flipped = |at: usize| {
                let mut octets = good.clone();
                octets[at] ^= 1;
                octets
            };
            let cases = [good.clone(), flipped(good.len() - 1), flipped(1), parts.n.clone(), vec![0; good.len()]];
            for signature in cases.iter().chain([&good[1..].to_vec(), &[&[0], good.as_slice()].concat()]) {
                let right = scheme.clone().verify(&key, &digest, signature).is_ok();
                let verified = verify_rsa(&parts.n, &parts.e, Scheme::RsaPkcs1(Hash::Md5), &digest, signature);
                assert_eq!(verified.is_ok(), right, "{size}: {signature:02x?}");
            }
            assert!(
                short_rsa::power(&parts.n, &parts.e, &good).is_some_and(|encoded| encoded[..4] == [0, 1, 0xff, 0xff])
            );
        }
    }

    /// Bleichenbacher's forgery of 2006: the digest is not at the end, or the padding is short.
    #[test]
    fn only_the_one_encoding_is_right() {
        let (info, digest) = (pkcs1(Hash::Md5).unwrap().prefix, [7; 16]);
        let encoded = |padding: &[u8], end: &[u8]| [&[0, 1], padding, &[0], &info, &digest, end].concat();
        assert!(is_encoded(&encoded(&[0xff; 8], &[]), &info, &digest));
        for (padding, end) in [(&[0xff; 7][..], &[][..]), (&[0xff; 8], &[0]), (&[0xfe; 8], &[]), (&[], &[])] {
            assert!(!is_encoded(&encoded(padding, end), &info, &digest), "{padding:?} {end:?}");
        }
    }

    #[test]
    fn what_aws_lc_refuses_of_a_long_key_is_served_here() {
        let parts = RsaComponents::generate(2048).unwrap();
        let key = SoftwareKey::rsa(&parts).unwrap();
        let public = Public::Rsa { n: &parts.n, e: &parts.e };
        let pkcs1 = DIGEST_INFO.iter().map(|hash| (Scheme::RsaPkcs1(*hash), *hash));
        let pss = Hash::ALL.map(|hash| (Scheme::pss(hash), hash));
        let other = Hash::ALL.map(|hash| (Scheme::RsaPss { hash, mgf: Hash::Sha1, salt: 20 }, hash));
        for (scheme, hash) in pkcs1.chain(pss).chain(other) {
            let digest = hash.digest(b"text");
            let signature = key.sign(scheme, &digest).unwrap();
            assert_eq!(verify(public, scheme, &digest, &signature), Ok(()), "{scheme:?}");
            // Both crates must agree on what is right.
            assert_eq!(verify_rsa(&parts.n, &parts.e, scheme, &digest, &signature), Ok(()), "{scheme:?}");
            let refused = verify(public, scheme, &hash.digest(b"texT"), &signature);
            assert_eq!(refused, Err(Unverified::Signature), "{scheme:?}");
        }
    }

    #[test]
    fn a_key_of_other_parts_is_refused() {
        let (one, two) = (generate(1024), generate(1024));
        let mixed = RsaComponents { n: one.n.clone(), ..two };
        let error = SoftwareKey::rsa(&mixed).unwrap_err();
        assert_eq!(error.to_string(), "rsa1024 key: its parts do not belong together");
    }

    /// RFC 2409, section 6.2: a prime of 1024 bits.
    const OAKLEY: &str = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
                          EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
                          EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF";

    fn power(base: &BoxedUint, exponent: &[u8], prime: &BoxedMontyParams) -> BoxedUint {
        let base = base.resize(prime.bits_precision());
        BoxedMontyForm::new(base, prime).pow(&number(exponent)).retrieve()
    }

    #[test]
    fn elgamal_decrypts_what_was_encrypted_to_it() {
        let p: Vec<u8> = (0..256).step_by(2).map(|at| u8::from_str_radix(&OAKLEY[at..at + 2], 16).unwrap()).collect();
        let prime = BoxedMontyParams::new(Odd::new(number(&p)).into_option().unwrap());
        let (x, k) = (vec![0x35; 32], vec![0x71; 32]);
        let y = power(&number(&[2]), &x, &prime);
        let secret = Secret::new(x);
        let key = SoftwareKey::elgamal(&p, &[2], &y.to_be_bytes(), &secret).unwrap();
        assert_eq!(key.algorithm(), KeyAlgorithm::Elgamal(1024));

        let mut encoded = vec![0xaa; 128];
        encoded[..2].copy_from_slice(&[0, 2]);
        encoded[128 - 36] = 0;
        encoded[128 - 35..].copy_from_slice(&[7; 35]);
        let masked = BoxedMontyForm::new(number(&encoded).resize(1024), &prime)
            .mul(&BoxedMontyForm::new(power(&y, &k, &prime), &prime))
            .retrieve();
        let shared = power(&number(&[2]), &k, &prime);
        let mut wrapped = [shared.to_be_bytes(), masked.to_be_bytes()].concat();
        assert_eq!(key.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap().expose(), [7; 35]);

        wrapped[255] ^= 1;
        let substitute = key.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap();
        assert_ne!(substitute.expose(), [7; 35]);
        assert_eq!(key.decrypt(Unwrap::RsaPkcs1, &wrapped), Ok(substitute));

        wrapped.truncate(255);
        let error = key.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap_err();
        assert_eq!(error.to_string(), "elgamal1024 key: cannot decrypt what was not encrypted to it");
        let error = SoftwareKey::elgamal(&p, &[3], &y.to_be_bytes(), &secret).unwrap_err();
        assert_eq!(error.to_string(), "elgamal1024 key: its parts do not belong together");
    }
}
