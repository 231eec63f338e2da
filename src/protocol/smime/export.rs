//! Certificates and private keys as files for others: PEM (RFC 7468), PKCS#12 (RFC 7292), and requests for certificates.

use std::sync::Arc;

use const_oid::db::{rfc2985, rfc5911, rfc5912, rfc6268};
use der::asn1::ObjectIdentifier;

use super::{
    encode::{NULL, algorithm, integer, octet_string, oid, sequence, set_of, unsigned, value},
    issue::{self, Owner},
    pbe::{encrypt, encrypt_pkcs8},
    pem_bundle, pieces,
    record::{self, certificate},
};
use crate::{
    base::{Budget, Error, Limits, Random, Result, Secret},
    crypto::{Hash, Legacy, Pkcs12Use, SecretKey, bmp_string, hmac, pbkdf2, pkcs12_kdf},
    keys::{Keys, Passphrases, ProtocolName, Record, Want},
    mail::Address,
    pki::{
        Certificate,
        tlv::{constructed, primitive},
    },
};

/// In which form certificates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// DER, one after the other.
    Der,
    /// Textual.
    Pem,
}

/// A certificate and those of its issuers that `keys` hold, the leaf first: no path is judged, and none needs to be complete.
pub fn chain(leaf: &Record, keys: &dyn Keys) -> Result<Vec<Arc<Certificate>>> {
    let mut chain = vec![certificate(leaf)?];
    while let Some(last) = chain.last().filter(|last| !last.is_self_issued() && chain.len() < LONGEST) {
        let issuers = keys.find(ProtocolName::Smime, &Want::Handle(&record::subject(last.issuer())))?;
        let mut issuers = issuers.iter().filter_map(|issuer| certificate(issuer).ok());
        let Some(issuer) = issuers.find(|issuer| issuer.subject() == last.issuer() && !chain.contains(issuer)) else {
            break;
        };
        chain.push(issuer);
    }
    Ok(chain)
}

/// Certificates as a file for others.
pub fn export(certificates: &[Arc<Certificate>], form: Form) -> Vec<u8> {
    let write = |certificate: &Arc<Certificate>| match form {
        Form::Der => certificate.der().to_vec(),
        Form::Pem => pem_bundle::write("CERTIFICATE", certificate.der()).expose().to_vec(),
    };
    certificates.iter().flat_map(write).collect()
}

/// By what a PKCS#12 file shows that it is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// The check of RFC 7292, appendix B: everything reads it.
    Classic,
    /// PBMAC1 with PBKDF2 (RFC 9579), as rules for approved algorithms ask for: OpenSSL since 3.4 reads it.
    Pbmac1,
}

/// A private key as it is held.
pub struct Held<'a> {
    /// PKCS#8, encrypted or not, as in [`Described::secret`](crate::protocol::Described::secret).
    pub octets: &'a Secret,
    /// What it is called when somebody is asked for its passphrase.
    pub title: &'a str,
    /// What may unlock it.
    pub passphrases: &'a Passphrases,
    /// How much that may cost.
    pub limits: &'a Limits,
}

/// A private key with its certificates, the leaf first, as PKCS#12 under `passphrase`: PBES2 with AES-256 and an integrity check with SHA-256,
/// which OpenSSL since 1.0, GnuPG since 2.4 and NSS read; as legacy, triple DES and SHA-1, which everything reads. PBMAC1 is never legacy.
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
    let plain = pieces::unlocked(held.octets, held.title, held.passphrases, &mut budget)?;
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
    // Certificates are no secret, but programs expect them to be encrypted.
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

/// MacData of RFC 7292, section 4, with the key of appendix B.
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

/// MacData of RFC 9579: salt and iterations stand with PBKDF2, and those of the old form say nothing (section 5).
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

/// A request for a certificate (RFC 2986) in PEM: for the subject and key of `record`, whose private key is `secret`, and these addresses.
pub fn request(record: &Record, secret: &dyn SecretKey, addresses: &[Address]) -> Result<Vec<u8>> {
    let certificate = certificate(record)?;
    let owner = Owner { subject: certificate.subject().der(), addresses, public: certificate.public_key() };
    let request = issue::request(&owner, secret)?;
    Ok(pem_bundle::write("CERTIFICATE REQUEST", &request).expose().to_vec())
}

/// friendlyName and localKeyId (RFC 2985, section 5.5): by the latter programs find the certificate that goes with the key.
fn attributes(leaf: &Certificate) -> Vec<u8> {
    let attribute = |kind, content: Vec<u8>| sequence(&[&oid(kind), &set_of(vec![content])]);
    let mut attributes = vec![attribute(LOCAL_KEY_ID, octet_string(&Hash::Sha1.digest(leaf.der())))];
    if let Some(address) = leaf.mailboxes().first() {
        let units: Vec<u8> = address.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
        attributes.push(attribute(FRIENDLY_NAME, value(BMP_STRING, &[&units])));
    }
    set_of(attributes)
}

/// RFC 5652, section 3.
fn content_info(kind: ObjectIdentifier, content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &value(constructed(0), &[content])])
}

/// The integrity check is as strong as the encryption, whose key costs 600,000 iterations; its own KDF is slower by the iteration.
const MAC_ITERATIONS: u32 = 100_000;
/// As many as the encryption's key costs.
const PBMAC1_ITERATIONS: u32 = 600_000;
/// What Windows writes.
const LEGACY_MAC_ITERATIONS: u32 = 2_000;
/// More certificates than any path in use.
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
