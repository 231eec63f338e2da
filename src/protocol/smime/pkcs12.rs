//! Reads PKCS#12 (RFC 7292), with the integrity checks of its appendix A and of RFC 9579.

use const_oid::db::rfc5911;
use der::{
    Decode, Reader, Sequence, SliceReader, Tag, Tagged,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};
use x509_cert::spki::AlgorithmIdentifierRef;

use super::{
    ber,
    pbe::{self, Derivation, Scheme, decrypt_pkcs8, hmac_hash, pkcs12_forms},
};
use crate::{
    base::{Budget, Error, Hint, Limits, Result, Secret},
    crypto::{Hash, Pkcs12Use, hmac, pkcs12_cost, pkcs12_kdf},
    keys::Passphrases,
};

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Certificates and CRLs, in DER, in the order of the file.
    pub(super) signed: Vec<Vec<u8>>,
    /// Private keys, in the order of the file.
    pub(super) keys: Vec<Key>,
    /// Skipped items, without the file name.
    pub(super) skipped: Vec<String>,
}

/// A private key.
#[derive(Debug)]
pub(super) struct Key {
    /// PKCS#8, encrypted as in the file; unencrypted if the passphrase is empty.
    pub(super) secret: Secret,
    /// PKCS#8, unencrypted; `None` if it needs another passphrase than the file.
    pub(super) plain: Option<Secret>,
}

/// Opens a file in BER or DER. `place` names it in errors and passphrase questions. An empty passphrase is tried first.
///
/// An error of kind `NoKey` if no passphrase fits; of kind `Malformed` if the file cannot be read, or exceeds `budget`.
pub(super) fn open(octets: &[u8], place: &str, passphrases: &Passphrases, budget: &mut Budget) -> Result<Contents> {
    let named = |error: Error| Error::new(error.kind(), format!("{place}: {error}"));
    let der = ber::to_der(octets, budget).map_err(named)?;
    let pfx = Pfx::read(&der).map_err(|_| Error::malformed(place, "not in the form of PKCS#12"))?;
    let mut attempt = |passphrase: &Secret| pfx.open(passphrase, budget).map_err(named);
    let empty = attempt(&Secret::from(""))?;
    let opened = match empty {
        Some(opened) => Some(opened),
        None => passphrases.open(place, attempt)?,
    };
    opened.ok_or_else(|| {
        Error::no_key(format!("{place}: locked, and no passphrase fits, or it is damaged")).with_hint(Hint::Passphrase)
    })
}

/// PFX (RFC 7292, section 4).
struct Pfx {
    /// The AuthenticatedSafe: the octets that the integrity check covers.
    safe: Vec<u8>,
    mac: Option<Mac>,
}

/// MacData (RFC 7292, section 4), or PBMAC1 with the hash and key derivation of RFC 9579.
struct Mac {
    algorithm: Vec<u8>,
    digest: Vec<u8>,
    salt: Vec<u8>,
    iterations: u32,
}

impl Pfx {
    fn read(octets: &[u8]) -> der::Result<Pfx> {
        let mut fields = sequence(octets)?;
        let _version: u8 = fields.decode()?;
        let (kind, content) = content_info(fields.tlv_bytes()?)?;
        // Public-key integrity (RFC 7292, section 4) would be signed-data. No program writes it.
        if kind != DATA {
            return Err(Tag::ObjectIdentifier.value_error().into());
        }
        let safe = octet_string(AnyRef::from_der(content)?)?;
        let mac = if fields.is_finished() { None } else { Some(Mac::read(fields.tlv_bytes()?)?) };
        Ok(Pfx { safe, mac })
    }

    /// `None` if the passphrase does not fit.
    fn open(&self, passphrase: &Secret, budget: &mut Budget) -> Result<Option<Contents>> {
        if let Some(mac) = &self.mac
            && !mac.fits(passphrase, &self.safe, budget)?
        {
            return Ok(None);
        }
        let safe = ber::to_der(&self.safe, budget)?;
        let unreadable = |_| Error::malformed("pkcs#12", "its contents cannot be read");
        let mut contents = Contents::default();
        let mut infos = sequence(&safe).map_err(unreadable)?;
        while !infos.is_finished() {
            let (kind, content) = infos.tlv_bytes().and_then(content_info).map_err(unreadable)?;
            match kind {
                DATA => {
                    let bags = AnyRef::from_der(content).and_then(octet_string).map_err(unreadable)?;
                    contents.read(&bags, passphrase, budget)?;
                }
                ENCRYPTED_DATA => {
                    let (scheme, encrypted) = encrypted_data(content, budget.limits())?;
                    let Some(bags) = scheme.decrypt(passphrase, &encrypted, budget)? else { return Ok(None) };
                    contents.read(bags.expose(), passphrase, budget)?;
                }
                other => contents.skipped.push(format!("contents of type {other}: not encrypted with a passphrase")),
            }
        }
        // Without an integrity check only the keys reveal a wrong passphrase.
        if self.mac.is_none() && !contents.keys.is_empty() && contents.keys.iter().all(|key| key.plain.is_none()) {
            return Ok(None);
        }
        Ok(Some(contents))
    }
}

impl Mac {
    fn read(octets: &[u8]) -> der::Result<Mac> {
        let mut fields = sequence(octets)?;
        let mut digest_info = sequence(fields.tlv_bytes()?)?;
        let algorithm = digest_info.tlv_bytes()?.to_vec();
        let digest = digest_info.decode::<&OctetStringRef>()?.as_bytes().to_vec();
        let salt = fields.decode::<&OctetStringRef>()?.as_bytes().to_vec();
        let iterations = if fields.is_finished() { 1 } else { fields.decode()? };
        Ok(Mac { algorithm, digest, salt, iterations })
    }

    fn fits(&self, passphrase: &Secret, safe: &[u8], budget: &mut Budget) -> Result<bool> {
        let unreadable = |_| Error::malformed("pkcs#12", "its integrity check cannot be read");
        let algorithm = AlgorithmIdentifierRef::from_der(&self.algorithm).map_err(unreadable)?;
        if algorithm.oid == PBMAC1 {
            let parameters = algorithm.parameters.unwrap_or(AnyRef::NULL);
            let parameters: Pbmac1Parameters<'_> = parameters.decode_as().map_err(unreadable)?;
            let hash = hmac_hash(&parameters.mac)?;
            let (derivation, length) = Derivation::read(&parameters.derivation, budget.limits())?;
            // RFC 9579, section 6: the length must be present, and at least 20 octets.
            let length = length.filter(|length| (20..=1024).contains(length)).ok_or_else(|| {
                Error::malformed(
                    "pkcs#12",
                    "the key of its integrity check has an unsuitable length (rfc 9579, section 6)",
                )
            })?;
            budget.derivation(derivation.cost(length))?;
            return Ok(hmac(hash, &derivation.derive(passphrase, length)?, safe) == self.digest);
        }
        let hash = Hash::of_oid(algorithm.oid).ok_or_else(|| {
            Error::unavailable(format!("integrity check of pkcs#12 by {}: is not supported", algorithm.oid))
        })?;
        let iterations = pbe::some(self.iterations)?;
        for form in pkcs12_forms(passphrase) {
            // RFC 7292, appendix A: the key has the length of the digest.
            let length = hash.length();
            budget.derivation(pkcs12_cost(hash, iterations, length))?;
            let key = pkcs12_kdf(hash, Pkcs12Use::Mac, &form, &self.salt, iterations, length);
            if hmac(hash, &key, safe) == self.digest {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Contents {
    /// Reads SafeContents (RFC 7292, section 4.2).
    fn read(&mut self, octets: &[u8], passphrase: &Secret, budget: &mut Budget) -> Result<()> {
        let unreadable = |_| Error::malformed("pkcs#12", "its contents cannot be read");
        let der = Secret::new(ber::to_der(octets, budget)?);
        // Nested bags are read later, which avoids recursion.
        let mut pending = vec![Secret::new(der.expose().to_vec())];
        while let Some(bags) = pending.pop() {
            let mut bags = sequence(bags.expose()).map_err(unreadable)?;
            while !bags.is_finished() {
                let (kind, value) = bags.tlv_bytes().and_then(content_info).map_err(unreadable)?;
                match kind {
                    KEY_BAG => {
                        let plain = Secret::new(value.to_vec());
                        self.keys.push(Key { secret: plain.clone(), plain: Some(plain) });
                    }
                    SHROUDED_KEY_BAG => {
                        let plain = decrypt_pkcs8(value, passphrase, budget)?;
                        let secret = match &plain {
                            Some(plain) if passphrase.expose().is_empty() => plain.clone(),
                            _ => Secret::new(value.to_vec()),
                        };
                        self.keys.push(Key { secret, plain });
                    }
                    CERTIFICATE_BAG => match content_info(value) {
                        Ok((X509, certificate)) => {
                            let certificate = AnyRef::from_der(certificate).and_then(octet_string);
                            self.signed.push(certificate.map_err(unreadable)?);
                        }
                        _ => self.skipped.push("a certificate that is not X.509".to_owned()),
                    },
                    NESTED_BAG => pending.push(Secret::new(value.to_vec())),
                    CRL_BAG => match content_info(value) {
                        Ok((X509_CRL, list)) => {
                            let list = AnyRef::from_der(list).and_then(octet_string);
                            self.signed.push(list.map_err(unreadable)?);
                        }
                        _ => self.skipped.push("a CRL that is not X.509".to_owned()),
                    },
                    _ => self.skipped.push("an entry that is neither certificate nor private key".to_owned()),
                }
            }
        }
        Ok(())
    }
}

/// PBMAC1-params (RFC 9579, section 4).
#[derive(Sequence)]
struct Pbmac1Parameters<'a> {
    derivation: AlgorithmIdentifierRef<'a>,
    mac: AlgorithmIdentifierRef<'a>,
}

/// Reads EncryptedData (RFC 5652, section 8): its scheme and its ciphertext.
fn encrypted_data(octets: &[u8], limits: &Limits) -> Result<(Scheme, Vec<u8>)> {
    let read = || {
        let mut fields = sequence(octets)?;
        let _version: u8 = fields.decode()?;
        let mut info = sequence(fields.tlv_bytes()?)?;
        let _content_type: ObjectIdentifier = info.decode()?;
        let algorithm = info.decode()?;
        Ok((algorithm, octet_string(AnyRef::from_der(info.tlv_bytes()?)?)?))
    };
    let (algorithm, encrypted): (AlgorithmIdentifierRef<'_>, _) =
        read().map_err(|_: der::Error| Error::malformed("pkcs#12", "its encrypted contents cannot be read"))?;
    Ok((Scheme::read(&algorithm, limits)?, encrypted))
}

/// Reads an object identifier, and the content of the [0] after it: ContentInfo, SafeBag or CertBag. Attributes may
/// follow.
fn content_info(octets: &[u8]) -> der::Result<(ObjectIdentifier, &[u8])> {
    let mut fields = sequence(octets)?;
    let kind = fields.decode()?;
    let content = AnyRef::from_der(fields.tlv_bytes()?)?;
    content
        .tag()
        .is_context_specific()
        .then_some((kind, content.value()))
        .ok_or_else(|| Tag::Sequence.value_error().into())
}

fn sequence(octets: &[u8]) -> der::Result<SliceReader<'_>> {
    let whole = AnyRef::from_der(octets)?;
    whole.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(whole.value())
}

/// The octets of an OCTET STRING, implicitly tagged or not. The parts of a constructed one (X.690, section 8.7.3) are
/// joined.
fn octet_string(string: AnyRef<'_>) -> der::Result<Vec<u8>> {
    if !string.tag().is_constructed() {
        return Ok(string.value().to_vec());
    }
    let mut pieces = SliceReader::new(string.value())?;
    let mut octets = Vec::with_capacity(string.value().len());
    while !pieces.is_finished() {
        octets.extend_from_slice(pieces.decode::<&OctetStringRef>()?.as_bytes());
    }
    Ok(octets)
}

const DATA: ObjectIdentifier = rfc5911::ID_DATA;
const ENCRYPTED_DATA: ObjectIdentifier = rfc5911::ID_ENCRYPTED_DATA;
const KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
const CRL_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.4");
const NESTED_BAG: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.6");
const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");
const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");
const X509_CRL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.23.1");
