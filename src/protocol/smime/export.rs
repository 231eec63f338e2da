//! Writes certificates and private keys: PEM (RFC 7468), PKCS#12 (RFC 7292), and certification requests.

use std::sync::Arc;

use const_oid::db::{rfc2985, rfc5911, rfc5912, rfc6268};
use der::asn1::ObjectIdentifier;

use super::{
    encode::{NULL, algorithm, integer, octet_string, oid, sequence, set_of, unsigned, value},
    issue::{self, Owner},
    key_material,
    pbe::{encrypt, encrypt_pkcs8},
    pem_bundle,
    record::{self, certificate},
};
use crate::{
    base::{Budget, Error, Limits, Random, Result, Secret},
    crypto::{Hash, Legacy, Pkcs12Use, SecretKey, bmp_string, hmac, pbkdf2, pkcs12_kdf},
    keys::{Keys, Passphrases, ProtocolName, Query, Record, Want},
    mail::Address,
    pki::{
        Certificate,
        tlv::{constructed, primitive},
    },
};

/// The encoding of written certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// DER values in sequence.
    Der,
    /// PEM.
    Pem,
}

/// The certificate and those of its issuers that `keys` hold, the leaf first. The chain may be incomplete, and its path
/// is not validated.
///
/// # Errors
///
/// `Malformed` if the leaf cannot be read; errors of `keys`.
pub fn chain(leaf: &Record, keys: &dyn Keys) -> Result<Vec<Arc<Certificate>>> {
    let mut chain = vec![certificate(leaf)?];
    while let Some(last) = chain.last().filter(|last| !last.is_self_issued() && chain.len() < LONGEST) {
        let issuers = keys.find(ProtocolName::Smime, &Query::manage(Want::Handle(&record::subject(last.issuer()))))?;
        let mut issuers = issuers.iter().filter_map(|issuer| certificate(issuer).ok());
        let Some(issuer) = issuers.find(|issuer| issuer.subject() == last.issuer() && !chain.contains(issuer)) else {
            break;
        };
        chain.push(issuer);
    }
    Ok(chain)
}

/// Writes certificates.
pub fn export(certificates: &[Arc<Certificate>], form: Form) -> Vec<u8> {
    let write = |certificate: &Arc<Certificate>| match form {
        Form::Der => certificate.der().to_vec(),
        Form::Pem => pem_bundle::write("CERTIFICATE", certificate.der()).expose().to_vec(),
    };
    certificates.iter().flat_map(write).collect()
}

/// The integrity check of a PKCS#12 file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// The check of RFC 7292, appendix B, which every program reads.
    Classic,
    /// PBMAC1 with PBKDF2 (RFC 9579), required by rules for approved algorithms. OpenSSL reads it since 3.4.
    Pbmac1,
}

/// A private key as it is stored.
pub struct Held<'a> {
    /// PKCS#8, encrypted or not, as in [`Described::secret`](crate::protocol::Described::secret).
    pub octets: &'a Secret,
    /// Its name when asking for the passphrase.
    pub title: &'a str,
    /// Passphrases that may unlock it.
    pub passphrases: &'a Passphrases,
    /// Limits for unlocking it.
    pub limits: &'a Limits,
}

/// Writes a private key with its certificates, the leaf first, as PKCS#12 encrypted with `passphrase`. By default PBES2
/// with AES-256 and an integrity check with SHA-256, which OpenSSL since 1.0, GnuPG since 2.4 and NSS read. With
/// `legacy` triple DES and SHA-1, which every program reads. PBMAC1 is never legacy.
///
/// # Errors
///
/// `NoKey` if there is no certificate or no passphrase opens the key; `Malformed` if the key cannot be read or exceeds
/// the limits.
pub fn export_secret(
    held: &Held<'_>,
    certificates: &[Arc<Certificate>],
    passphrase: &Secret,
    legacy: Legacy,
    integrity: Integrity,
    random: &dyn Random,
) -> Result<Secret> {
    let leaf = certificates.first().ok_or_else(|| Error::no_key("pkcs#12: needs a certificate"))?;
    let mut budget = Budget::new(held.limits.clone()).for_each_password(held.passphrases.tries());
    let plain = key_material::unlocked(held.octets, held.title, held.passphrases, &mut budget)?;
    let shrouded = encrypt_pkcs8(&plain, passphrase, legacy, random)?;
    let attributes = attributes(leaf);
    let key = sequence(&[&oid(SHROUDED_KEY_BAG), &value(constructed(0), &[shrouded.expose()]), &attributes]);
    let mut bags = Vec::new();
    for certificate in certificates {
        let content = value(constructed(0), &[&octet_string(certificate.der())]);
        let bag = sequence(&[&oid(X509), &content]);
        let own: &[u8] = if Arc::ptr_eq(certificate, leaf) { &attributes } else { &[] };
        bags.push(sequence(&[&oid(CERTIFICATE_BAG), &value(constructed(0), &[&bag]), own]));
    }
    let bags = Secret::new(sequence(&bags.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    // Certificates are not secret, but programs expect them to be encrypted.
    let (scheme, encrypted) = encrypt(&bags, passphrase, legacy, random)?;
    let content = sequence(&[&oid(DATA), &scheme, &value(primitive(0), &[&encrypted])]);
    let encrypted = sequence(&[&integer(&[0]), &content]);
    let safe =
        sequence(&[&content_info(ENCRYPTED_DATA, &encrypted), &content_info(DATA, &octet_string(&sequence(&[&key])))]);

    let mac = match integrity {
        Integrity::Classic => classic_mac(&safe, passphrase, legacy, random)?,
        Integrity::Pbmac1 => pbmac1(&safe, passphrase, random)?,
    };
    Ok(Secret::new(sequence(&[&integer(&[3]), &content_info(DATA, &octet_string(&safe)), &mac])))
}

/// MacData of RFC 7292, section 4, with the key derivation of appendix B.
fn classic_mac(safe: &[u8], passphrase: &Secret, legacy: Legacy, random: &dyn Random) -> Result<Vec<u8>> {
    let (hash, name, iterations) = match legacy {
        Legacy::Admit => (Hash::Sha1, SHA1, LEGACY_MAC_ITERATIONS),
        Legacy::Refuse => (Hash::Sha256, SHA256, MAC_ITERATIONS),
    };
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let key = pkcs12_kdf(hash, Pkcs12Use::Mac, &bmp_string(passphrase), &salt, iterations, hash.length());
    let digest = sequence(&[&algorithm(name, NULL), &octet_string(&hmac(hash, &key, safe))]);
    Ok(sequence(&[&digest, &octet_string(&salt), &unsigned(&iterations.to_be_bytes())]))
}

/// MacData of RFC 9579. Salt and iterations are in the PBKDF2 parameters; the old fields are unused (section 5).
fn pbmac1(safe: &[u8], passphrase: &Secret, random: &dyn Random) -> Result<Vec<u8>> {
    let (hash, length) = (Hash::Sha256, Hash::Sha256.length());
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let key = pbkdf2(hash, passphrase, &salt, PBMAC1_ITERATIONS, length)?;
    let hmac_sha256 = algorithm(HMAC_SHA256, NULL);
    let iterations = unsigned(&PBMAC1_ITERATIONS.to_be_bytes());
    let length = unsigned(&u32::try_from(length).unwrap_or_default().to_be_bytes());
    let derivation = sequence(&[&octet_string(&salt), &iterations, &length, &hmac_sha256]);
    let parameters = sequence(&[&algorithm(PBKDF2, &derivation), &hmac_sha256]);
    let digest = sequence(&[&algorithm(PBMAC1, &parameters), &octet_string(&hmac(hash, &key, safe))]);
    Ok(sequence(&[&digest, &octet_string(b"NOT USED")]))
}

/// The private key as PKCS#8, encrypted with another passphrase, or not encrypted for `None`.
///
/// # Errors
///
/// `NoKey` if no passphrase opens the key; `Malformed` if it cannot be read or exceeds the limits.
pub fn relock(held: &Held<'_>, passphrase: Option<&Secret>, random: &dyn Random) -> Result<Secret> {
    let mut budget = Budget::new(held.limits.clone()).for_each_password(held.passphrases.tries());
    let plain = key_material::unlocked(held.octets, held.title, held.passphrases, &mut budget)?;
    passphrase.map_or(Ok(plain.clone()), |passphrase| encrypt_pkcs8(&plain, passphrase, Legacy::Refuse, random))
}

/// A certification request (RFC 2986) in PEM for the subject and key of `record` and these addresses, signed with the
/// private key `secret`.
///
/// # Errors
///
/// `Malformed` if the certificate cannot be read; errors of `secret`, also when it cannot sign.
pub fn request(record: &Record, secret: &dyn SecretKey, addresses: &[Address]) -> Result<Vec<u8>> {
    let request = request_der(record, secret, addresses)?;
    Ok(pem_bundle::write("CERTIFICATE REQUEST", &request).expose().to_vec())
}

/// [`request`] in DER.
///
/// # Errors
///
/// As [`request`].
pub fn request_der(record: &Record, secret: &dyn SecretKey, addresses: &[Address]) -> Result<Vec<u8>> {
    let certificate = certificate(record)?;
    let owner = Owner { subject: certificate.subject().der(), addresses, public: certificate.public_key() };
    issue::request(&owner, secret)
}

/// friendlyName and localKeyId (RFC 2985, section 5.5). By the latter, programs find the certificate of the key.
fn attributes(leaf: &Certificate) -> Vec<u8> {
    let attribute = |kind, content: Vec<u8>| sequence(&[&oid(kind), &set_of(vec![content])]);
    let mut attributes = vec![attribute(LOCAL_KEY_ID, octet_string(&Hash::Sha1.digest(leaf.der())))];
    if let Some(address) = leaf.mailboxes().first() {
        let units: Vec<u8> = address.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
        attributes.push(attribute(FRIENDLY_NAME, value(BMP_STRING, &[&units])));
    }
    set_of(attributes)
}

/// A ContentInfo (RFC 5652, section 3).
fn content_info(kind: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &value(constructed(0), &[content])])
}

/// The iterations of PKCS#12's own KDF are slower, so that the check is as strong as the encryption with its 600,000.
const MAC_ITERATIONS: u32 = 100_000;
/// As many as for the encryption key.
const PBMAC1_ITERATIONS: u32 = 600_000;
/// As in Windows.
const LEGACY_MAC_ITERATIONS: u32 = 2_000;
/// Longer than any path in use.
const LONGEST: usize = 16;
const BMP_STRING: u8 = 0x1e;

const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const DATA: ObjectIdentifier = rfc5911::ID_DATA;
const ENCRYPTED_DATA: ObjectIdentifier = rfc5911::ID_ENCRYPTED_DATA;
const FRIENDLY_NAME: ObjectIdentifier = rfc2985::PKCS_9_AT_FRIENDLY_NAME;
const LOCAL_KEY_ID: ObjectIdentifier = rfc2985::PKCS_9_AT_LOCAL_KEY_ID;
const HMAC_SHA256: ObjectIdentifier = rfc6268::ID_HMAC_WITH_SHA_256;
const PBKDF2: ObjectIdentifier = rfc5911::ID_PBKDF_2;
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
const SHA1: ObjectIdentifier = rfc5912::ID_SHA_1;
const SHA256: ObjectIdentifier = rfc5912::ID_SHA_256;
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
