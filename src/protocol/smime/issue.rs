//! Creates certificates (RFC 5280) and certification requests (RFC 2986).

use std::time::SystemTime;

use const_oid::db::{rfc4519, rfc5280, rfc5912, rfc8410};
use der::asn1::ObjectIdentifier;

use super::encode::{NULL, algorithm, bit_string, octet_string, oid, sequence, set_of, time, unsigned, value};
use crate::{
    base::{Error, Random, Result},
    crypto::{Conveys, Curve, Hash, KeyAlgorithm, Scheme, SecretKey, Signs},
    mail::Address,
    pki::{
        PublicKey,
        tlv::{INTEGER, UTF8_STRING, constructed, primitive},
    },
};

/// The subject of a certificate.
pub(super) struct Owner<'a> {
    /// The subject's Name in DER.
    pub(super) subject: &'a [u8],
    /// The alternative names.
    pub(super) addresses: &'a [Address],
    /// The public key.
    pub(super) public: &'a PublicKey,
}

/// A self-signed certificate, valid between two times. It is for mail only and is not a CA certificate.
pub(super) fn self_signed(
    owner: &Owner<'_>,
    secret: &dyn SecretKey,
    validity: (SystemTime, SystemTime),
    random: &dyn Random,
) -> Result<Vec<u8>> {
    let mut extensions = owner.for_mail();
    extensions.extend(owner.end_entity());
    let body = Body { issuer: owner.subject, subject: owner.subject, public: owner.public, validity, extensions };
    certificate(&body, secret, random)
}

/// What a certificate says.
pub(super) struct Body<'a> {
    /// The issuer's Name in DER.
    pub(super) issuer: &'a [u8],
    /// The subject's Name in DER.
    pub(super) subject: &'a [u8],
    /// The subject's key.
    pub(super) public: &'a PublicKey,
    /// notBefore and notAfter.
    pub(super) validity: (SystemTime, SystemTime),
    /// Each Extension in DER.
    pub(super) extensions: Vec<Vec<u8>>,
}

/// A certificate of version 3 with a random serial number, signed with the issuer's `secret`.
pub(super) fn certificate(body: &Body<'_>, secret: &dyn SecretKey, random: &dyn Random) -> Result<Vec<u8>> {
    let signing = Signing::new(secret.algorithm())?;
    let extensions = joined(&body.extensions);
    let octets = sequence(&[
        &value(constructed(0), &[&value(INTEGER, &[&[2]])]),
        &serial_number(random)?,
        &signing.identifier,
        body.issuer,
        &sequence(&[&time(body.validity.0), &time(body.validity.1)]),
        body.subject,
        body.public.der(),
        &value(constructed(3), &[&extensions]),
    ]);
    signing.sign(&octets, secret)
}

/// A CertificationRequest (RFC 2986, section 4) signed with `secret`, with the requested extensions as an attribute
/// (RFC 2985, section 5.4.2).
pub(super) fn request(owner: &Owner<'_>, secret: &dyn SecretKey) -> Result<Vec<u8>> {
    let signing = Signing::new(secret.algorithm())?;
    // The key identifier is left to the CA.
    let extensions = joined(&owner.for_mail());
    let attribute = sequence(&[&oid(EXTENSION_REQUEST), &set_of(vec![extensions])]);
    let body =
        sequence(&[&value(INTEGER, &[&[0]]), owner.subject, owner.public.der(), &value(constructed(0), &[&attribute])]);
    signing.sign(&body, secret)
}

/// Refuses a common name that no certificate can hold.
///
/// # Errors
///
/// `Usage`, with the reason.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.chars().any(char::is_control) || name.chars().count() > MAX_NAME {
        return Err(Error::usage(format!("name {name:?}: control characters, or more than {MAX_NAME} characters")));
    }
    Ok(())
}

/// A Name with one common name (RFC 5280, section 4.1.2.4). Addresses are alternative names, not part of it (RFC 8550,
/// section 3).
pub(super) fn common_name(name: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid(COMMON_NAME), &value(UTF8_STRING, &[name.as_bytes()])]);
    sequence(&[&set_of(vec![attribute])])
}

impl Owner<'_> {
    /// The extensions that say that the certificate is for mail, and for whose (RFC 8550, section 4.4).
    pub(super) fn for_mail(&self) -> Vec<Vec<u8>> {
        let names: Vec<Vec<u8>> = self.addresses.iter().map(general_name).collect();
        // RFC 5280, section 4.2.1.6.
        let critical = if self.subject == sequence(&[]) { Critical::Yes } else { Critical::No };
        vec![
            extension(KEY_USAGE, Critical::Yes, &key_usage(self.public.algorithm())),
            extension(EXTENDED_KEY_USAGE, Critical::No, &sequence(&[&oid(EMAIL_PROTECTION)])),
            extension(ALTERNATIVE_NAME, critical, &joined(&names)),
        ]
    }

    /// The extensions that say that it is no CA certificate, and what identifies its key.
    pub(super) fn end_entity(&self) -> [Vec<u8>; 2] {
        [
            extension(BASIC_CONSTRAINTS, Critical::Yes, &sequence(&[])),
            extension(KEY_IDENTIFIER, Critical::No, &octet_string(&key_identifier(self.public))),
        ]
    }
}

/// The identifier of a key (RFC 5280, section 4.2.1.2, method 1).
pub(super) fn key_identifier(key: &PublicKey) -> Vec<u8> {
    Hash::Sha1.digest(key.octets())
}

/// SEQUENCE of encoded elements.
pub(super) fn joined(elements: &[Vec<u8>]) -> Vec<u8> {
    sequence(&elements.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Whether a reader must know the extension.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Critical {
    No,
    Yes,
}

/// Extension (RFC 5280, section 4.1).
pub(super) fn extension(kind: ObjectIdentifier, critical: Critical, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical == Critical::Yes { &[0x01, 0x01, 0xff] } else { &[] };
    sequence(&[&oid(kind), critical, &octet_string(content)])
}

/// KeyUsage for mail with a key of this kind (RFC 8550, section 4.4.2): the number of unused bits, and the bits.
fn key_usage(key: KeyAlgorithm) -> Vec<u8> {
    let bits: &[u8] = match (key.signs(), key.conveys()) {
        // digitalSignature and keyEncipherment.
        (Signs::Digest, Conveys::Wraps) => &[5, 0b1010_0000],
        // digitalSignature and keyAgreement.
        (Signs::Digest, Conveys::Agrees) => &[3, 0b1000_1000],
        // keyAgreement alone (RFC 8410, section 5).
        (Signs::Nothing, Conveys::Agrees) => &[3, 0b0000_1000],
        // keyEncipherment alone (RFC 9935, section 5).
        (Signs::Nothing, Conveys::Encapsulates) => &[5, 0b0010_0000],
        _ => &[7, 0b1000_0000],
    };
    value(0x03, &[bits])
}

/// rfc822Name, or SmtpUTF8Mailbox where the local part is not ASCII (RFC 9598, section 3).
fn general_name(address: &Address) -> Vec<u8> {
    let text = address.to_string();
    if text.is_ascii() {
        return value(primitive(1), &[text.as_bytes()]);
    }
    let mailbox = value(constructed(0), &[&value(UTF8_STRING, &[text.as_bytes()])]);
    value(constructed(0), &[&oid(SMTP_UTF8_MAILBOX), &mailbox])
}

/// A positive serial number that cannot be predicted (RFC 5280, section 4.1.2.2; 64 random bits in the CA/Browser
/// Forum's Baseline Requirements, section 7.1).
fn serial_number(random: &dyn Random) -> Result<Vec<u8>> {
    let mut octets = [0; 16];
    random.fill(&mut octets)?;
    if let Some(first) = octets.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(unsigned(&octets))
}

/// How a key signs X.509 structures.
pub(super) struct Signing {
    scheme: Scheme,
    /// The AlgorithmIdentifier.
    pub(super) identifier: Vec<u8>,
}

impl Signing {
    pub(super) fn new(key: KeyAlgorithm) -> Result<Signing> {
        let (scheme, oid, parameters) = match key {
            KeyAlgorithm::Rsa(_) => (Scheme::RsaPkcs1(Hash::Sha256), RSA_SHA256, NULL),
            KeyAlgorithm::Ecdsa(Curve::P256) => (Scheme::Ecdsa(Hash::Sha256), ECDSA_SHA256, NOTHING),
            KeyAlgorithm::Ecdsa(Curve::P384) => (Scheme::Ecdsa(Hash::Sha384), ECDSA_SHA384, NOTHING),
            KeyAlgorithm::Ecdsa(Curve::P521) => (Scheme::Ecdsa(Hash::Sha512), ECDSA_SHA512, NOTHING),
            KeyAlgorithm::Ed25519 => (Scheme::EdDsa, ED25519, NOTHING),
            KeyAlgorithm::Ed448 => (Scheme::EdDsa, ED448, NOTHING),
            KeyAlgorithm::MlDsa(_) | KeyAlgorithm::SlhDsa(_) => {
                let name = key.post_quantum_oid().ok_or_else(|| key.refuses("sign certificates"))?;
                (Scheme::Pure, name, NOTHING)
            }
            other => return Err(other.refuses("sign certificates")),
        };
        Ok(Signing { scheme, identifier: algorithm(oid, parameters) })
    }

    /// SEQUENCE of the signed body, the algorithm and the signature.
    pub(super) fn sign(&self, body: &[u8], secret: &dyn SecretKey) -> Result<Vec<u8>> {
        let signature = match self.scheme {
            Scheme::RsaPkcs1(hash) => secret.sign(self.scheme, &hash.digest(body))?,
            Scheme::Ecdsa(hash) => {
                let signature = secret.sign(self.scheme, &hash.digest(body))?;
                // RFC 3279, section 2.2.3.
                let (r, s) = signature.split_at_checked(signature.len() / 2).unwrap_or_default();
                sequence(&[&unsigned(r), &unsigned(s)])
            }
            scheme => secret.sign(scheme, body)?,
        };
        Ok(sequence(&[body, &self.identifier, &bit_string(&signature)]))
    }
}

const NOTHING: &[u8] = &[];
/// Characters in a common name (RFC 5280, appendix A.1: ub-common-name).
pub(super) const MAX_NAME: usize = 64;

const ALTERNATIVE_NAME: ObjectIdentifier = rfc5280::ID_CE_SUBJECT_ALT_NAME;
pub(super) const BASIC_CONSTRAINTS: ObjectIdentifier = rfc5280::ID_CE_BASIC_CONSTRAINTS;
const COMMON_NAME: ObjectIdentifier = rfc4519::COMMON_NAME;
const ECDSA_SHA256: ObjectIdentifier = rfc5912::ECDSA_WITH_SHA_256;
const ECDSA_SHA384: ObjectIdentifier = rfc5912::ECDSA_WITH_SHA_384;
const ECDSA_SHA512: ObjectIdentifier = rfc5912::ECDSA_WITH_SHA_512;
const ED25519: ObjectIdentifier = rfc8410::ID_ED_25519;
const ED448: ObjectIdentifier = rfc8410::ID_ED_448;
const EMAIL_PROTECTION: ObjectIdentifier = rfc5280::ID_KP_EMAIL_PROTECTION;
const EXTENDED_KEY_USAGE: ObjectIdentifier = rfc5280::ID_CE_EXT_KEY_USAGE;
const EXTENSION_REQUEST: ObjectIdentifier = rfc5912::ID_EXTENSION_REQ;
pub(super) const KEY_IDENTIFIER: ObjectIdentifier = rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER;
pub(super) const KEY_USAGE: ObjectIdentifier = rfc5280::ID_CE_KEY_USAGE;
const RSA_SHA256: ObjectIdentifier = rfc5912::SHA_256_WITH_RSA_ENCRYPTION;
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");
