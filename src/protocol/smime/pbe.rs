//! Encryption with a passphrase: PBES1 and PBES2 (RFC 8018), and the schemes of PKCS#12 (RFC 7292, appendix C).

use const_oid::db::{rfc5911, rfc6268, rfc7292};
use der::{
    Decode, Sequence,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::encode::{NULL, algorithm, octet_string, sequence, unsigned};
use crate::{
    base::{Budget, Error, Limits, Random, Result, Secret},
    crypto::{
        Cipher, Hash, Legacy, Pkcs12Use, bmp_string, cbc_decrypt, cbc_encrypt, pbkdf1, pbkdf1_cost, pbkdf2,
        pbkdf2_cost, pkcs12_cost, pkcs12_kdf, scrypt, scrypt_cost,
    },
};

/// An encryption scheme with its parameters, read from an AlgorithmIdentifier.
#[derive(Debug)]
pub(super) enum Scheme {
    /// RFC 8018, section 6.1: key and initialization vector of 8 octets each by PBKDF1.
    Pbes1 { cipher: Cipher, hash: Hash, salt: Vec<u8>, iterations: u32 },
    /// RFC 8018, section 6.2.
    Pbes2 { cipher: Cipher, iv: Vec<u8>, derivation: Derivation },
    /// RFC 7292, appendix C; SHA-1 with a key of `length` octets.
    Pkcs12 { cipher: Cipher, length: usize, salt: Vec<u8>, iterations: u32 },
}

/// The key derivation of PBES2 and PBMAC1.
#[derive(Debug)]
pub(super) enum Derivation {
    /// RFC 8018, section 5.2.
    Pbkdf2 { hash: Hash, salt: Vec<u8>, iterations: u32 },
    /// RFC 7914.
    Scrypt { salt: Vec<u8>, cost: u64, block: u32, parallel: u32 },
}

/// Decrypts the PrivateKeyInfo in an EncryptedPrivateKeyInfo (RFC 5958, section 3). `None` if the passphrase does not
/// fit. It fits if the plaintext is a SEQUENCE of the right length.
///
/// An error of kind `Malformed` if it exceeds `budget`.
pub(super) fn decrypt_pkcs8(octets: &[u8], passphrase: &Secret, budget: &mut Budget) -> Result<Option<Secret>> {
    let unreadable = |_| Error::malformed("encrypted private key", "cannot be read");
    let info = EncryptedPrivateKeyInfo::from_der(octets).map_err(unreadable)?;
    Scheme::read(&info.algorithm, budget.limits())?.decrypt(passphrase, info.encrypted.as_bytes(), budget)
}

/// Encrypts `pkcs8` to an EncryptedPrivateKeyInfo, as [`encrypt`] does.
pub(super) fn encrypt_pkcs8(
    pkcs8: &Secret,
    passphrase: &Secret,
    legacy: Legacy,
    random: &dyn Random,
) -> Result<Secret> {
    let (algorithm, encrypted) = encrypt(pkcs8, passphrase, legacy, random)?;
    Ok(Secret::new(sequence(&[&algorithm, &octet_string(&encrypted)])))
}

/// Encrypts `plain`. Returns the AlgorithmIdentifier and the ciphertext. By default PBES2 with PBKDF2-HMAC-SHA256 and
/// AES-256-CBC, which OpenSSL since 1.0, GnuPG since 2.4 and NSS read; with `legacy` triple DES with SHA-1 as in
/// PKCS#12, for older programs.
pub(super) fn encrypt(
    plain: &Secret,
    passphrase: &Secret,
    legacy: Legacy,
    random: &dyn Random,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut salt = vec![0; 16];
    random.fill(&mut salt)?;
    let (scheme, form) = match legacy {
        Legacy::Refuse => {
            let mut iv = vec![0; 16];
            random.fill(&mut iv)?;
            let derivation = Derivation::Pbkdf2 { hash: Hash::Sha256, salt, iterations: ITERATIONS };
            (Scheme::Pbes2 { cipher: Cipher::Aes256, iv, derivation }, passphrase.clone())
        }
        Legacy::Admit => {
            salt.truncate(8);
            let iterations = LEGACY_ITERATIONS;
            (Scheme::Pkcs12 { cipher: Cipher::TripleDes, length: 24, salt, iterations }, bmp_string(passphrase))
        }
    };
    let (cipher, key, iv) = scheme.key(&form)?;
    let mut encrypted = Vec::with_capacity(plain.expose().len() + iv.len());
    encrypted.extend_from_slice(plain.expose());
    cbc_encrypt(cipher, &key, &iv, &mut encrypted)?;
    Ok((scheme.write()?, encrypted))
}

impl Scheme {
    /// Reads an AlgorithmIdentifier. An error of kind `Malformed` if it needs more memory than `limits` allow,
    /// `Unavailable` if the scheme is not supported.
    pub(super) fn read(algorithm: &AlgorithmIdentifierRef<'_>, limits: &Limits) -> Result<Scheme> {
        let parameters = algorithm.parameters.ok_or_else(|| unreadable(algorithm.oid));
        let unreadable = |_| unreadable(algorithm.oid);
        if algorithm.oid == PBES2 {
            let parameters: Pbes2Parameters<'_> = parameters?.decode_as().map_err(unreadable)?;
            let (cipher, iv) = cipher(&parameters.cipher)?;
            return Ok(Scheme::Pbes2 { cipher, iv, derivation: Derivation::read(&parameters.derivation, limits)?.0 });
        }
        let known = |(oid, ..): &&(ObjectIdentifier, Hash, Cipher)| *oid == algorithm.oid;
        if let Some((_, hash, cipher)) = PBES1.iter().find(known).copied() {
            let (salt, iterations) = salted(parameters?).map_err(unreadable)??;
            return Ok(Scheme::Pbes1 { cipher, hash, salt, iterations });
        }
        let known = |(oid, ..): &&(ObjectIdentifier, Cipher, usize)| *oid == algorithm.oid;
        if let Some((_, cipher, length)) = PKCS12.iter().find(known).copied() {
            let (salt, iterations) = salted(parameters?).map_err(unreadable)??;
            return Ok(Scheme::Pkcs12 { cipher, length, salt, iterations });
        }
        Err(Error::unavailable(format!("encryption under a passphrase by {}: is not supported", algorithm.oid)))
    }

    /// Decrypts. `None` if the passphrase does not fit, so that the plaintext is not a SEQUENCE. An error of kind
    /// `Malformed` if it exceeds `budget`.
    pub(super) fn decrypt(&self, passphrase: &Secret, encrypted: &[u8], budget: &mut Budget) -> Result<Option<Secret>> {
        for form in self.forms(passphrase) {
            budget.derivation(self.cost())?;
            let (cipher, key, iv) = self.key(&form)?;
            let mut plain = encrypted.to_vec();
            match cbc_decrypt(cipher, &key, &iv, &mut plain) {
                Ok(()) if is_sequence(&plain) => return Ok(Some(Secret::new(plain))),
                Ok(()) => drop(Secret::new(plain)),
                Err(error) if error.kind() == crate::base::Kind::NoKey => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The AlgorithmIdentifier for [`encrypt`].
    fn write(&self) -> Result<Vec<u8>> {
        match self {
            Scheme::Pbes2 { iv, derivation: Derivation::Pbkdf2 { salt, iterations, .. }, .. } => {
                let parameters = [octet_string(salt), number(*iterations), algorithm(HMAC_SHA256, NULL)].concat();
                let derivation = algorithm(PBKDF2, &sequence(&[&parameters]));
                let cipher = algorithm(AES_256_CBC, &octet_string(iv));
                Ok(algorithm(PBES2, &sequence(&[&derivation, &cipher])))
            }
            Scheme::Pkcs12 { salt, iterations, .. } => {
                Ok(algorithm(TRIPLE_DES, &sequence(&[&octet_string(salt), &number(*iterations)])))
            }
            _ => Err(Error::unavailable("encryption under a passphrase: is only read, never written")),
        }
    }

    fn key(&self, form: &Secret) -> Result<(Cipher, Secret, Vec<u8>)> {
        match self {
            Scheme::Pbes1 { cipher, hash, salt, iterations } => {
                let derived = pbkdf1(*hash, form, salt, *iterations, 16)?;
                let (key, iv) = derived.expose().split_at(8);
                Ok((*cipher, Secret::new(key.to_vec()), iv.to_vec()))
            }
            Scheme::Pbes2 { cipher, iv, derivation } => {
                Ok((*cipher, derivation.derive(form, cipher.key_length())?, iv.clone()))
            }
            Scheme::Pkcs12 { cipher, length, salt, iterations } => {
                let derive = |used, length| pkcs12_kdf(Hash::Sha1, used, form, salt, *iterations, length);
                let key = derive(Pkcs12Use::Key, *length);
                let iv = derive(Pkcs12Use::Iv, cipher.block_length());
                Ok((*cipher, whole(*cipher, key), iv.expose().to_vec()))
            }
        }
    }

    /// The cost of the key in units of [`Budget::derivation`].
    fn cost(&self) -> u64 {
        match self {
            Scheme::Pbes1 { hash, iterations, .. } => pbkdf1_cost(*hash, *iterations),
            Scheme::Pbes2 { cipher, derivation, .. } => derivation.cost(cipher.key_length()),
            Scheme::Pkcs12 { cipher, length, iterations, .. } => {
                let cost = |length| pkcs12_cost(Hash::Sha1, *iterations, length);
                cost(*length).saturating_add(cost(cipher.block_length()))
            }
        }
    }

    /// The encodings of a passphrase to try. For PBES2 in PKCS#12, OpenSSL uses UTF-8 and older NSS UTF-16.
    fn forms(&self, passphrase: &Secret) -> Vec<Secret> {
        match self {
            Scheme::Pbes1 { .. } => vec![passphrase.clone()],
            Scheme::Pbes2 { .. } => vec![passphrase.clone(), bmp_string(passphrase)],
            Scheme::Pkcs12 { .. } => pkcs12_forms(passphrase),
        }
    }
}

/// The encodings of a passphrase in PKCS#12: UTF-16; no octets for an empty one; and each octet of UTF-8 as a
/// character, as in OpenSSL before 1.1.
pub(super) fn pkcs12_forms(passphrase: &Secret) -> Vec<Secret> {
    let mut forms = vec![bmp_string(passphrase)];
    if passphrase.expose().is_empty() {
        forms.push(passphrase.clone());
    }
    if !passphrase.expose().is_ascii() {
        let octets = passphrase.expose().iter().chain(&[0]);
        forms.push(Secret::new(octets.flat_map(|octet| [0, *octet]).collect()));
    }
    forms
}

impl Derivation {
    /// Reads the AlgorithmIdentifier of a key derivation, and the key length if it has one.
    pub(super) fn read(algorithm: &AlgorithmIdentifierRef<'_>, limits: &Limits) -> Result<(Derivation, Option<usize>)> {
        let unreadable = |_| unreadable(algorithm.oid);
        let parameters = algorithm.parameters.unwrap_or(AnyRef::NULL);
        match algorithm.oid {
            PBKDF2 => {
                let read: Pbkdf2Parameters<'_> = parameters.decode_as().map_err(unreadable)?;
                let hash = read.prf.map_or(Ok(Hash::Sha1), |prf| hmac_hash(&prf))?;
                let iterations = some(read.iterations)?;
                let salt = read.salt.as_bytes().to_vec();
                Ok((Derivation::Pbkdf2 { hash, salt, iterations }, read.length.map(usize::from)))
            }
            SCRYPT => {
                let read: ScryptParameters<'_> = parameters.decode_as().map_err(unreadable)?;
                let (block, parallel) = (u64::from(read.block), u64::from(read.parallel));
                let memory = read.cost.saturating_mul(128).saturating_mul(block).saturating_mul(parallel);
                if usize::try_from(memory).map_or(true, |memory| memory > limits.argon2_memory) {
                    return Err(Error::malformed("scrypt", "needs more memory and time than is allowed"));
                }
                let salt = read.salt.as_bytes().to_vec();
                let (cost, block, parallel) = (read.cost, read.block, read.parallel);
                Ok((Derivation::Scrypt { salt, cost, block, parallel }, read.length.map(usize::from)))
            }
            other => Err(Error::unavailable(format!("key derivation {other}: is not supported"))),
        }
    }

    /// The cost of a key of `length` octets in units of [`Budget::derivation`].
    pub(super) fn cost(&self, length: usize) -> u64 {
        match self {
            Derivation::Pbkdf2 { hash, iterations, .. } => pbkdf2_cost(*hash, *iterations, length),
            Derivation::Scrypt { cost, block, parallel, .. } => scrypt_cost(*cost, *block, *parallel),
        }
    }

    /// Derives a key of `length` octets.
    pub(super) fn derive(&self, passphrase: &Secret, length: usize) -> Result<Secret> {
        match self {
            Derivation::Pbkdf2 { hash, salt, iterations } => pbkdf2(*hash, passphrase, salt, *iterations, length),
            Derivation::Scrypt { salt, cost, block, parallel } => {
                scrypt(passphrase, salt, *cost, *block, *parallel, length)
            }
        }
    }
}

/// The hash function of an HMAC (RFC 8018, appendix B.1).
pub(super) fn hmac_hash(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Hash> {
    Hash::of_hmac(algorithm.oid).ok_or_else(|| Error::unavailable(format!("hmac {}: is not supported", algorithm.oid)))
}

/// The number of iterations; 0 is an error.
pub(super) fn some(iterations: u32) -> Result<u32> {
    match iterations {
        0 => Err(Error::malformed("key derivation", "no iterations")),
        some => Ok(some),
    }
}

/// EncryptedPrivateKeyInfo (RFC 5958, section 3).
#[derive(Sequence)]
struct EncryptedPrivateKeyInfo<'a> {
    algorithm: AlgorithmIdentifierRef<'a>,
    encrypted: &'a OctetStringRef,
}

/// PBES2-params (RFC 8018, appendix A.4).
#[derive(Sequence)]
struct Pbes2Parameters<'a> {
    derivation: AlgorithmIdentifierRef<'a>,
    cipher: AlgorithmIdentifierRef<'a>,
}

/// PBKDF2-params (RFC 8018, appendix A.2).
#[derive(Sequence)]
struct Pbkdf2Parameters<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
    length: Option<u16>,
    prf: Option<AlgorithmIdentifierRef<'a>>,
}

/// scrypt-params (RFC 7914, section 7.1).
#[derive(Sequence)]
struct ScryptParameters<'a> {
    salt: &'a OctetStringRef,
    cost: u64,
    block: u32,
    parallel: u32,
    length: Option<u16>,
}

/// Salt and iterations (RFC 8018, appendix A.3; RFC 7292, appendix C).
#[derive(Sequence)]
struct Salted<'a> {
    salt: &'a OctetStringRef,
    iterations: u32,
}

/// RC2-CBC-Parameter (RFC 8018, appendix B.2.3).
#[derive(Sequence)]
struct Rc2Parameters<'a> {
    version: Option<u32>,
    iv: &'a OctetStringRef,
}

fn salted(parameters: AnyRef<'_>) -> der::Result<Result<(Vec<u8>, u32)>> {
    let read: Salted<'_> = parameters.decode_as()?;
    Ok(some(read.iterations).map(|iterations| (read.salt.as_bytes().to_vec(), iterations)))
}

/// Reads the cipher of PBES2 with its initialization vector (RFC 8018, appendix B.2).
fn cipher(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(Cipher, Vec<u8>)> {
    let unreadable = |_| unreadable(algorithm.oid);
    let parameters = algorithm.parameters.unwrap_or(AnyRef::NULL);
    if algorithm.oid == RC2 {
        let read: Rc2Parameters<'_> = parameters.decode_as().map_err(unreadable)?;
        // The version encodes the effective key bits.
        let cipher = match read.version {
            Some(160) => Cipher::Rc2_40,
            Some(120) => Cipher::Rc2_64,
            Some(58) => Cipher::Rc2_128,
            _ => return Err(Error::unavailable("rc2 of this strength: is not supported")),
        };
        return Ok((cipher, read.iv.as_bytes().to_vec()));
    }
    let found = Cipher::of_oid(algorithm.oid);
    let found = found.ok_or_else(|| Error::unavailable(format!("cipher {}: is not supported", algorithm.oid)))?;
    let iv = parameters.decode_as::<&OctetStringRef>().map_err(unreadable)?;
    Ok((found, iv.as_bytes().to_vec()))
}

/// Extends a key of two-key triple DES by its first part.
fn whole(cipher: Cipher, key: Secret) -> Secret {
    match (cipher, key.expose()) {
        (Cipher::TripleDes, short) if short.len() == 16 => {
            Secret::new(short.iter().chain(short.iter().take(8)).copied().collect())
        }
        _ => key,
    }
}

fn number(iterations: u32) -> Vec<u8> {
    unsigned(&iterations.to_be_bytes())
}

fn is_sequence(plain: &[u8]) -> bool {
    plain.first() == Some(&0x30) && (plain.get(1) == Some(&0x80) || AnyRef::from_der(plain).is_ok())
}

fn unreadable(algorithm: ObjectIdentifier) -> Error {
    Error::malformed(format!("encryption under a passphrase by {algorithm}"), "its parameters cannot be read")
}

/// Source: OWASP Password Storage Cheat Sheet (2023) for PBKDF2-HMAC-SHA256.
const ITERATIONS: u32 = 600_000;
/// As Windows writes since version 10.1709, accepted by all readers of the old form.
const LEGACY_ITERATIONS: u32 = 2_000;

const AES_256_CBC: ObjectIdentifier = rfc5911::ID_AES_256_CBC;
const HMAC_SHA256: ObjectIdentifier = rfc6268::ID_HMAC_WITH_SHA_256;
const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = rfc5911::ID_PBKDF_2;
const RC2: ObjectIdentifier = rfc5911::RC_2_CBC;
const TRIPLE_DES: ObjectIdentifier = rfc7292::PBE_WITH_SHA_AND_3_KEY_TRIPLE_DES_CBC;
const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
/// Schemes of RFC 8018, appendix A.3, without MD2.
const PBES1: [(ObjectIdentifier, Hash, Cipher); 4] = [
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.3"), Hash::Md5, Cipher::Des),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.6"), Hash::Md5, Cipher::Rc2_64),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.10"), Hash::Sha1, Cipher::Des),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.11"), Hash::Sha1, Cipher::Rc2_64),
];
/// Schemes of RFC 7292, appendix C, without RC4, with the key length in octets.
const PKCS12: [(ObjectIdentifier, Cipher, usize); 4] = [
    (TRIPLE_DES, Cipher::TripleDes, 24),
    (rfc7292::PBE_WITH_SHA_AND_2_KEY_TRIPLE_DES_CBC, Cipher::TripleDes, 16),
    (rfc7292::PBE_WITH_SHA_AND_128_BIT_RC_2_CBC, Cipher::Rc2_128, 16),
    (rfc7292::PBEWITH_SHA_AND_40_BIT_RC_2_CBC, Cipher::Rc2_40, 5),
];
