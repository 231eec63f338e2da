//! Keys derived from shared secrets and from passwords.

use std::num::NonZeroU32;

use aws_lc_rs::{hkdf as fast_hkdf, hmac as fast_hmac, pbkdf2 as fast_pbkdf2};
use zeroize::Zeroizing;

use super::Hash;
use crate::base::{Error, Result, Secret};

/// HMAC (RFC 2104) over `data`.
pub fn hmac(hash: Hash, key: &Secret, data: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        Hash::Sha1 => fast_hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha224 => fast_hmac::HMAC_SHA224,
        Hash::Sha256 => fast_hmac::HMAC_SHA256,
        Hash::Sha384 => fast_hmac::HMAC_SHA384,
        Hash::Sha512 => fast_hmac::HMAC_SHA512,
        _ => return slow_hmac(hash, key, data),
    };
    fast_hmac::sign(&fast_hmac::Key::new(algorithm, key.expose()), data).as_ref().to_vec()
}

/// HKDF (RFC 5869): `length` octets out of `secret` for the use that `info` names; an empty `salt` is none.
///
/// # Errors
///
/// `Unavailable` for more than 255 digests, and for a hash other than SHA-1, SHA-256, SHA-384 and SHA-512.
pub fn hkdf(hash: Hash, salt: &[u8], secret: &Secret, info: &[u8], length: usize) -> Result<Secret> {
    let refused = || Error::unavailable(format!("hkdf with {hash}: cannot make {length} octets"));
    let algorithm = match hash {
        Hash::Sha1 => fast_hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => fast_hkdf::HKDF_SHA256,
        Hash::Sha384 => fast_hkdf::HKDF_SHA384,
        Hash::Sha512 => fast_hkdf::HKDF_SHA512,
        _ => return Err(refused()),
    };
    let extracted = fast_hkdf::Salt::new(algorithm, salt).extract(secret.expose());
    let mut derived = Zeroizing::new(vec![0; length]);
    let expanded = extracted.expand(&[info], Length(length)).and_then(|key| key.fill(&mut derived));
    expanded.map_err(|_| refused())?;
    Ok(Secret::new(derived.to_vec()))
}

/// How many octets of [`hkdf`] are wanted.
struct Length(usize);

impl fast_hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The KDF of X9.63 (SEC 1, section 3.6.1): `length` octets out of `secret` for the use that `info` names.
///
/// `length` is that of a key, and never large.
pub fn x963_kdf(hash: Hash, secret: &Secret, info: &[u8], length: usize) -> Secret {
    let mut derived = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    for counter in 1_u32.. {
        if derived.len() >= length {
            break;
        }
        let mut digester = hash.digester();
        digester.update(secret.expose());
        digester.update(&counter.to_be_bytes());
        digester.update(info);
        derived.extend_from_slice(&Zeroizing::new(digester.finish()));
    }
    Secret::new(derived[..length].to_vec())
}

/// PBKDF2 with HMAC (RFC 8018, section 5.2). The caller bounds `iterations`, which the message chose, and `length`.
///
/// # Errors
///
/// `Malformed` for no iterations.
pub fn pbkdf2(hash: Hash, password: &Secret, salt: &[u8], iterations: u32, length: usize) -> Result<Secret> {
    let iterations = NonZeroU32::new(iterations).ok_or_else(|| Error::malformed("pbkdf2", "no iterations"))?;
    let algorithm = match hash {
        Hash::Sha1 => fast_pbkdf2::PBKDF2_HMAC_SHA1,
        Hash::Sha256 => fast_pbkdf2::PBKDF2_HMAC_SHA256,
        Hash::Sha384 => fast_pbkdf2::PBKDF2_HMAC_SHA384,
        Hash::Sha512 => fast_pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return Ok(slow_pbkdf2(hash, password, salt, iterations, length)),
    };
    let mut derived = Zeroizing::new(vec![0; length]);
    fast_pbkdf2::derive(algorithm, iterations, salt, password.expose(), &mut derived);
    Ok(Secret::new(derived.to_vec()))
}

/// PBKDF1 (RFC 8018, section 5.1), for PBES1. The caller bounds `iterations`.
///
/// # Errors
///
/// `Malformed` for more octets than the digest has.
pub fn pbkdf1(hash: Hash, password: &Secret, salt: &[u8], iterations: u32, length: usize) -> Result<Secret> {
    if length > hash.length() {
        return Err(Error::malformed("pbkdf1", format_args!("{hash} has no {length} octets")));
    }
    let start = Zeroizing::new([password.expose(), salt].concat());
    let mut derived = Zeroizing::new(hash.digest(&start));
    for _ in 1..iterations {
        derived = Zeroizing::new(hash.digest(&derived));
    }
    Ok(Secret::new(derived[..length].to_vec()))
}

/// scrypt (RFC 7914): `cost` is N, a power of two; it needs `128 * cost * block` octets of memory, which the caller bounds.
///
/// # Errors
///
/// `Malformed` for invalid parameters.
pub fn scrypt(password: &Secret, salt: &[u8], cost: u64, block: u32, parallel: u32, length: usize) -> Result<Secret> {
    let refused = || Error::malformed("scrypt", format_args!("no such parameters: {cost}, {block}, {parallel}"));
    let logarithm = u8::try_from(cost.checked_ilog2().filter(|_| cost.is_power_of_two()).ok_or_else(refused)?);
    let parameters =
        logarithm.ok().and_then(|n| scrypt::Params::new(n, block, parallel, scrypt::Params::RECOMMENDED_LEN).ok());
    let mut derived = Zeroizing::new(vec![0; length]);
    let made = scrypt::scrypt(password.expose(), salt, &parameters.ok_or_else(refused)?, &mut derived);
    made.map_err(|_| refused())?;
    Ok(Secret::new(derived.to_vec()))
}

/// Argon2id (RFC 9106), version 1.3: `memory` in KiB, which the caller bounds, `passes` over it, `lanes`.
///
/// # Errors
///
/// `Malformed` for invalid parameters.
pub fn argon2id(password: &Secret, salt: &[u8], memory: u32, passes: u32, lanes: u32, length: usize) -> Result<Secret> {
    let refused = || Error::malformed("argon2id", format_args!("no such parameters: {memory}, {passes}, {lanes}"));
    let parameters = argon2::Params::new(memory, passes, lanes, Some(length)).map_err(|_| refused())?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, parameters);
    let mut derived = Zeroizing::new(vec![0; length]);
    argon2.hash_password_into(password.expose(), salt, &mut derived).map_err(|_| refused())?;
    Ok(Secret::new(derived.to_vec()))
}

/// What [`pkcs12_kdf`] derives for (RFC 7292, appendix B.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pkcs12Use {
    /// An encryption key.
    Key,
    /// An initialization vector.
    Iv,
    /// A key for the integrity check.
    Mac,
}

/// The KDF of PKCS#12 (RFC 7292, appendix B.2); `password` as [`bmp_string`] makes it. The caller bounds `iterations`
/// and `length`.
pub fn pkcs12_kdf(
    hash: Hash,
    used: Pkcs12Use,
    password: &Secret,
    salt: &[u8],
    iterations: u32,
    length: usize,
) -> Secret {
    let id = match used {
        Pkcs12Use::Key => 1,
        Pkcs12Use::Iv => 2,
        Pkcs12Use::Mac => 3,
    };
    let block = hash.block_length();
    let repeated = |octets: &[u8]| -> Vec<u8> {
        octets.iter().copied().cycle().take(octets.len().next_multiple_of(block)).collect()
    };
    let mut input = Zeroizing::new([repeated(salt), repeated(password.expose())].concat());
    let mut derived = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    while derived.len() < length {
        let start = Zeroizing::new([&vec![id; block], &**input].concat());
        let mut digest = Zeroizing::new(hash.digest(&start));
        for _ in 1..iterations {
            digest = Zeroizing::new(hash.digest(&digest));
        }
        derived.extend_from_slice(&digest);
        let addend: Vec<u8> = digest.iter().copied().cycle().take(block).collect();
        for number in input.chunks_exact_mut(block) {
            let mut carry = 1;
            for (octet, other) in number.iter_mut().zip(&addend).rev() {
                carry += u16::from(*octet) + u16::from(*other);
                *octet = carry as u8;
                carry >>= 8;
            }
        }
    }
    Secret::new(derived[..length].to_vec())
}

/// A password as PKCS#12 has it: UTF-16, big-endian, and two zeros (RFC 7292, appendix B.1). What is not UTF-8 is taken
/// as ISO 8859-1.
///
/// An empty password is two zeros here; some programs leave even those out, and mean `Secret::from("")`.
pub fn bmp_string(password: &Secret) -> Secret {
    let octets = password.expose();
    let mut units = Zeroizing::new(Vec::with_capacity(octets.len() + 1));
    match str::from_utf8(octets) {
        Ok(text) => units.extend(text.encode_utf16()),
        Err(_) => units.extend(octets.iter().copied().map(u16::from)),
    }
    units.push(0);
    Secret::new(units.iter().flat_map(|unit| unit.to_be_bytes()).collect())
}

/// HMAC with the hashes that aws-lc does not take. The hmac crate would need a type for each of them.
fn slow_hmac(hash: Hash, key: &Secret, data: &[u8]) -> Vec<u8> {
    let mut block = Zeroizing::new(match key.expose() {
        long if long.len() > hash.block_length() => hash.digest(long),
        short => short.to_vec(),
    });
    block.resize(hash.block_length(), 0);
    let keyed = |mask: u8, data: &[u8]| {
        let mut digester = hash.digester();
        digester.update(&Zeroizing::new(block.iter().map(|octet| octet ^ mask).collect::<Vec<u8>>()));
        digester.update(data);
        digester.finish()
    };
    keyed(0x5c, &keyed(0x36, data))
}

/// PBKDF2 with the hashes that aws-lc does not take: SHA-224, in practice.
fn slow_pbkdf2(hash: Hash, password: &Secret, salt: &[u8], iterations: NonZeroU32, length: usize) -> Secret {
    let mut derived = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    for counter in 1_u32.. {
        if derived.len() >= length {
            break;
        }
        let mut last = Zeroizing::new(hmac(hash, password, &[salt, &counter.to_be_bytes()].concat()));
        let mut sum = last.clone();
        for _ in 1..iterations.get() {
            last = Zeroizing::new(hmac(hash, password, &last));
            sum.iter_mut().zip(last.iter()).for_each(|(octet, other)| *octet ^= other);
        }
        derived.extend_from_slice(&sum);
    }
    Secret::new(derived[..length].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::unhex;

    fn hex(secret: &Secret) -> String {
        crate::base::hex(secret.expose())
    }

    #[test]
    fn rfc_5869_test_cases_1_and_3() {
        let secret = Secret::new(vec![0x0b; 22]);
        let derived = hkdf(Hash::Sha256, b"", &secret, b"", 42).unwrap();
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(hex(&derived), expected);
        let (salt, info) = (unhex("000102030405060708090a0b0c"), unhex("f0f1f2f3f4f5f6f7f8f9"));
        let derived = hkdf(Hash::Sha256, &salt, &secret, &info, 42).unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(hex(&derived), expected);
    }

    #[test]
    fn too_much_is_refused() {
        let error = hkdf(Hash::Sha256, b"", &Secret::from("a"), b"", 255 * 32 + 1).unwrap_err();
        assert_eq!(error.to_string(), "hkdf with sha256: cannot make 8161 octets");
    }

    /// RFC 2202, section 2, cases 2 and 6; RFC 4231, section 4.3.
    #[test]
    fn published_macs() {
        let data = b"what do ya want for nothing?";
        let mac = Secret::new(hmac(Hash::Md5, &Secret::from("Jefe"), data));
        assert_eq!(hex(&mac), "750c783e6ab0b503eaa86e310a5db738");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let mac = Secret::new(hmac(Hash::Md5, &Secret::new(vec![0xaa; 80]), long));
        assert_eq!(hex(&mac), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
        let mac = Secret::new(hmac(Hash::Sha224, &Secret::from("Jefe"), data));
        assert_eq!(hex(&mac), "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44");
    }

    #[test]
    fn our_hmac_and_pbkdf2_are_those_of_aws_lc() {
        let (key, salt) = (Secret::from("password"), b"salt");
        let count = NonZeroU32::new(3).unwrap();
        for hash in [Hash::Sha1, Hash::Sha224, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            for length in [0, 1, 64, 65, 128, 129, 200] {
                let key = Secret::new(vec![7; length]);
                assert_eq!(slow_hmac(hash, &key, b"data"), hmac(hash, &key, b"data"), "{hash}");
            }
            assert_eq!(slow_pbkdf2(hash, &key, salt, count, 70), pbkdf2(hash, &key, salt, 3, 70).unwrap(), "{hash}");
        }
    }

    /// RFC 6070, section 2; RFC 3211, section 3.
    #[test]
    fn published_keys_of_passwords() {
        let password = Secret::from("password");
        let derived = pbkdf2(Hash::Sha1, &password, b"salt", 4096, 20).unwrap();
        assert_eq!(hex(&derived), "4b007901b765489abead49d926f721d065a429c1");
        let derived = pbkdf2(Hash::Sha1, &password, &unhex("1234567878563412"), 5, 8).unwrap();
        assert_eq!(hex(&derived), "d1daa78615f287e6");
        let error = pbkdf2(Hash::Sha1, &password, b"salt", 0, 20).unwrap_err();
        assert_eq!(error.to_string(), "pbkdf2: no iterations");
        // PKCS#5 1.5's vector as BouncyCastle and others test it.
        let derived = pbkdf1(Hash::Sha1, &password, &unhex("78578e5a5d63cb06"), 1000, 16).unwrap();
        assert_eq!(hex(&derived), "dc19847e05c64d2faf10ebfb4a3d2a20");
        let error = pbkdf1(Hash::Md5, &password, b"salt", 1, 17).unwrap_err();
        assert_eq!(error.to_string(), "pbkdf1: md5 has no 17 octets");
    }

    /// RFC 7914, section 12.
    #[test]
    fn rfc_7914() {
        let derived = scrypt(&Secret::from("password"), b"NaCl", 1024, 8, 16, 64).unwrap();
        let expected = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
                        2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640";
        assert_eq!(hex(&derived), expected);
        let error = scrypt(&Secret::from("password"), b"NaCl", 1000, 8, 16, 64).unwrap_err();
        assert_eq!(error.to_string(), "scrypt: no such parameters: 1000, 8, 16");
    }

    /// SEC 1 has none; NIST's CAVP, "ANSI X9.63-2001", SHA-256, the first with SharedInfo.
    #[test]
    fn x963_of_nist() {
        let secret = Secret::new(unhex("22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d"));
        let info = unhex("75eef81aa3041e33b80971203d2c0c52");
        let derived = x963_kdf(Hash::Sha256, &secret, &info, 128);
        assert!(hex(&derived).starts_with("c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e"));
        assert_eq!(derived.expose().len(), 128);
    }

    /// As pyca/cryptography and BouncyCastle test it: password "smeg" and "queeg".
    #[test]
    fn pkcs12_of_its_first_implementors() {
        let password = bmp_string(&Secret::from("smeg"));
        assert_eq!(hex(&password), "0073006d006500670000");
        let derived = pkcs12_kdf(Hash::Sha1, Pkcs12Use::Key, &password, &unhex("0a58cf64530d823f"), 1, 24);
        assert_eq!(hex(&derived), "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3");
        let derived = pkcs12_kdf(Hash::Sha1, Pkcs12Use::Iv, &password, &unhex("0a58cf64530d823f"), 1, 8);
        assert_eq!(hex(&derived), "79993dfe048d3b76");
        let password = bmp_string(&Secret::from("queeg"));
        let derived = pkcs12_kdf(Hash::Sha1, Pkcs12Use::Key, &password, &unhex("05dec959acff72f7"), 1000, 24);
        assert_eq!(hex(&derived), "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4");
        assert_eq!(bmp_string(&Secret::new(vec![0xe4])).expose(), [0, 0xe4, 0, 0]);
    }
}
