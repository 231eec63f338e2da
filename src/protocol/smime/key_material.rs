//! Reads certificates and private keys from files, before keys are matched with their certificates.

use std::collections::HashSet;

use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged, asn1::AnyRef};

use super::{
    ber::{self, After},
    pbe::decrypt_pkcs8,
    pem_bundle::{self, PemBlock},
    pkcs8, pkcs12,
    record::record,
};
use crate::{
    base::{Budget, Error, Hint, Kind, Limits, Result, Secret},
    keys::{Handle, Passphrases, Record},
    pki::{self, Certificate},
};

/// The contents of several files.
#[derive(Debug, Default)]
pub(super) struct KeyMaterial {
    /// Certificates, in the order of the files, each once.
    pub(super) certificates: Vec<Record>,
    /// The fingerprints of the certificates.
    known: HashSet<Handle>,
    /// How many certificates were there before.
    repeated: usize,
    /// Private keys, in the order of the files.
    pub(super) keys: Vec<PrivateKey>,
    /// CRLs, in the order of the files.
    pub(super) statements: Vec<Vec<u8>>,
    /// Skipped items, one line each.
    pub(super) skipped: Vec<String>,
    /// Items that no passphrase opened.
    pub(super) locked: Vec<Error>,
}

/// A private key.
#[derive(Debug)]
pub(super) struct PrivateKey {
    /// Its name in errors: `bundle.pem: private key 1`.
    pub(super) place: String,
    /// PKCS#8, encrypted as in the file.
    pub(super) secret: Secret,
    /// PKCS#8, decrypted.
    pub(super) plain: Secret,
}

/// Whether `octets` start with a SEQUENCE, or are text with a PEM block.
pub(super) fn recognizes(octets: &[u8]) -> bool {
    octets.first() == Some(&SEQUENCE) || pem_bundle::blocks(octets).next().is_some()
}

/// Whether `octets` are text with a PEM block, or exactly one SEQUENCE, except for line breaks at the end.
pub(super) fn is_object(octets: &[u8], limits: &Limits) -> bool {
    if octets.first() != Some(&SEQUENCE) {
        return pem_bundle::blocks(octets).next().is_some();
    }
    let budget = Budget::new(limits.clone());
    let is_rest = |rest: &[u8]| rest.iter().all(|octet| matches!(octet, b'\r' | b'\n'));
    ber::length(octets, &budget).and_then(|length| octets.get(length..)).is_some_and(is_rest)
}

/// The PrivateKeyInfo in `octets`, which are PKCS#8, possibly encrypted. `what` names it in errors and passphrase
/// questions. An error of kind `NoKey` if no passphrase fits, `Malformed` if it exceeds `budget`.
pub(super) fn unlocked(octets: &Secret, what: &str, passphrases: &Passphrases, budget: &mut Budget) -> Result<Secret> {
    match shape(octets.expose()) {
        Ok(Shape::Pkcs8) => Ok(octets.clone()),
        Ok(Shape::EncryptedPkcs8) => {
            let named = |error: Error| Error::new(error.kind(), format!("{what}: {error}"));
            let attempt = |passphrase: &Secret| decrypt_pkcs8(octets.expose(), passphrase, budget).map_err(named);
            passphrases.open(what, attempt)?.ok_or_else(|| {
                Error::no_key(format!("{what}: locked, and no passphrase fits")).with_hint(Hint::Passphrase)
            })
        }
        _ => Err(Error::malformed(what, "not in the form of PKCS#8")),
    }
}

impl KeyMaterial {
    /// Reads a file. A file without any key or certificate is an error. Everything locked in it spends from one Budget.
    pub(super) fn read(
        &mut self,
        octets: &[u8],
        place: &str,
        passphrases: &Passphrases,
        limits: &Limits,
    ) -> Result<()> {
        let budget = &mut Budget::new(limits.clone());
        let count = |all: &Self| {
            let certificates = all.certificates.len() + all.repeated;
            certificates + all.keys.len() + all.locked.len() + all.statements.len()
        };
        let (before, skipped) = (count(self), self.skipped.len());
        match octets.first() {
            Some(&SEQUENCE) => self.read_binary(octets, place, passphrases, budget)?,
            _ => {
                for block in pem_bundle::blocks(octets) {
                    self.read_block(&block, place, passphrases, budget)?;
                }
            }
        }
        if count(self) == before {
            let reason = self.skipped.get(skipped).cloned();
            return Err(Error::new(Kind::Malformed, reason.unwrap_or_else(|| format!("{place}: holds no key")))
                .with_hint("give certificates and private keys in PEM, DER or PKCS#12"));
        }
        Ok(())
    }

    /// Reads values in sequence, as `gpgsm --export` writes certificates.
    fn read_binary(
        &mut self,
        octets: &[u8],
        place: &str,
        passphrases: &Passphrases,
        budget: &mut Budget,
    ) -> Result<()> {
        // Programs that use indefinite lengths write only one value.
        if octets.get(1) == Some(&0x80) {
            return self.read_value(octets, place, passphrases, budget);
        }
        let broken = |_| Error::malformed(place, "not in DER, or cut short");
        let mut values = SliceReader::new(octets).map_err(broken)?;
        while !values.is_finished() {
            let value = values.tlv_bytes().map_err(broken)?;
            self.read_value(value, place, passphrases, budget)?;
        }
        Ok(())
    }

    fn read_block(
        &mut self,
        block: &PemBlock<'_>,
        place: &str,
        passphrases: &Passphrases,
        budget: &mut Budget,
    ) -> Result<()> {
        let problem = match (block.label, &block.octets) {
            // The key repeats these parameters.
            ("EC PARAMETERS", _) => return Ok(()),
            ("TRUSTED CERTIFICATE", _) => "in OpenSSL's own form; convert it with `openssl x509`",
            (label, _) if !KNOWN.contains(&label) => "neither certificate nor private key",
            (_, _) if block.header.contains("ENCRYPTED") => {
                "encrypted in OpenSSL's old form; convert it with `openssl pkcs8 -topk8`"
            }
            (_, None) => "not base64, or cut short",
            (_, Some(octets)) => return self.read_value(octets.expose(), place, passphrases, budget),
        };
        self.skipped.push(format!("{place}: {}: {problem}", block.label));
        Ok(())
    }

    /// Reads a value by its structure, whatever its label is.
    fn read_value(&mut self, octets: &[u8], place: &str, passphrases: &Passphrases, budget: &mut Budget) -> Result<()> {
        let key = format!("{place}: private key {}", self.keys.len() + self.locked.len() + 1);
        let unreadable = |_| Error::malformed(&key, "cannot be read");
        let shape = shape(octets).or_else(|_| {
            let named = |error| Error::malformed(place, error);
            ber::to_der(octets, budget).map_err(named).map(|der| shape(&der).unwrap_or(Shape::Other))
        });
        let secret = match shape? {
            Shape::ContentInfo => return self.read_pkcs7(octets, place, budget),
            Shape::Pkcs12 => return self.read_pkcs12(octets, place, passphrases, budget),
            Shape::Signed => {
                self.signed(octets, place);
                return Ok(());
            }
            Shape::Pkcs1 => pkcs8::of_pkcs1(octets).map_err(unreadable)?,
            Shape::Sec1 => pkcs8::of_sec1(octets).map_err(unreadable)?,
            Shape::EncryptedPkcs8 | Shape::Pkcs8 => Secret::new(octets.to_vec()),
            Shape::Other => {
                self.skipped.push(format!("{place}: neither certificate nor private key"));
                return Ok(());
            }
        };
        match self.opened(unlocked(&secret, &key, passphrases, budget))? {
            Some(plain) => self.key(key, secret, plain, budget),
            None => Ok(()),
        }
    }

    /// The unlocked value. `None` if no passphrase fits, which is recorded.
    fn opened<T>(&mut self, tried: Result<T>) -> Result<Option<T>> {
        match tried {
            Err(error) if error.kind() == Kind::NoKey => {
                self.locked.push(error);
                Ok(None)
            }
            tried => tried.map(Some),
        }
    }

    /// Reads a certs-only message (RFC 8551, section 3.8), or the certificates of any other signed-data.
    fn read_pkcs7(&mut self, octets: &[u8], place: &str, budget: &Budget) -> Result<()> {
        let unreadable = || Error::malformed(place, "not a bundle of certificates");
        let der = ber::take_content(octets.to_vec(), After::LineBreaks, budget)?.skeleton;
        let fields = bundled(&der).map_err(|_| unreadable())?;
        if fields.is_empty() {
            return Err(unreadable());
        }
        for field in fields {
            let mut values = SliceReader::new(field).map_err(|_| unreadable())?;
            while !values.is_finished() {
                self.signed(values.tlv_bytes().map_err(|_| unreadable())?, place);
            }
        }
        Ok(())
    }

    fn read_pkcs12(
        &mut self,
        octets: &[u8],
        place: &str,
        passphrases: &Passphrases,
        budget: &mut Budget,
    ) -> Result<()> {
        let Some(contents) = self.opened(pkcs12::open(octets, place, passphrases, budget))? else { return Ok(()) };
        contents.signed.iter().for_each(|signed| self.signed(signed, place));
        self.skipped.extend(contents.skipped.iter().map(|what| format!("{place}: {what}")));
        for key in contents.keys {
            let name = format!("{place}: private key {}", self.keys.len() + self.locked.len() + 1);
            let plain = key.plain.map_or_else(|| unlocked(&key.secret, &name, passphrases, budget), Ok);
            if let Some(plain) = self.opened(plain)? {
                self.key(name, key.secret, plain, budget)?;
            }
        }
        Ok(())
    }

    /// Adds a certificate or a CRL.
    fn signed(&mut self, octets: &[u8], place: &str) {
        match Certificate::parse(octets) {
            Ok(certificate) => {
                let record = record(&certificate);
                if self.known.insert(record.fingerprint().clone()) {
                    // Without what was parsed: there may be 100,000 of them.
                    self.certificates.push(record.with_bytes(octets.to_vec()));
                } else {
                    self.repeated += 1;
                }
            }
            Err(_) if pki::list_issuer(octets).is_ok() => self.statements.push(octets.to_vec()),
            Err(error) => self.skipped.push(format!("{place}: {error}")),
        }
    }

    /// Adds a private key. Matching it with its certificate takes a public-key operation, which is counted here.
    fn key(&mut self, place: String, secret: Secret, plain: Secret, budget: &mut Budget) -> Result<()> {
        budget.derivation(PRIVATE_KEY).map_err(|error| Error::new(error.kind(), format!("{place}: {error}")))?;
        match pkcs8::unserved(plain.expose()) {
            Ok(None) => self.keys.push(PrivateKey { place, secret, plain }),
            Ok(Some(algorithm)) => {
                self.skipped.push(format!("{place}: its algorithm is not supported: {algorithm}"));
            }
            Err(_) => return Err(Error::malformed(place, "cannot be read")),
        }
        Ok(())
    }
}

/// The cost of one private key in units of [`Budget::derivation`]: up to ten milliseconds on the slowest curve, so that
/// a file may have 200.
const PRIVATE_KEY: u64 = 50_000;

/// The kind of a SEQUENCE, by the tags of its first fields.
enum Shape {
    /// ContentInfo (RFC 5652, section 3).
    ContentInfo,
    /// EncryptedPrivateKeyInfo (RFC 5958, section 3).
    EncryptedPkcs8,
    Other,
    /// RSAPrivateKey (RFC 8017, appendix A.1.2).
    Pkcs1,
    /// PFX (RFC 7292, section 4).
    Pkcs12,
    /// PrivateKeyInfo (RFC 5208, section 5).
    Pkcs8,
    /// ECPrivateKey (RFC 5915, section 3).
    Sec1,
    /// A signed structure: a certificate, a CRL or another.
    Signed,
}

fn shape(octets: &[u8]) -> der::Result<Shape> {
    let whole = AnyRef::from_der(octets)?;
    whole.tag().assert_eq(Tag::Sequence)?;
    let mut fields = SliceReader::new(whole.value())?;
    let mut tags = Vec::new();
    while tags.len() < 3 && !fields.is_finished() {
        tags.push(AnyRef::decode(&mut fields)?.tag());
    }
    Ok(match tags.as_slice() {
        [Tag::ObjectIdentifier, ..] => Shape::ContentInfo,
        [Tag::Sequence, Tag::OctetString] => Shape::EncryptedPkcs8,
        [Tag::Integer, Tag::Sequence] | [Tag::Integer, Tag::Sequence, Tag::Sequence] => Shape::Pkcs12,
        [Tag::Integer, Tag::Sequence, Tag::OctetString] => Shape::Pkcs8,
        [Tag::Integer, Tag::Integer, ..] => Shape::Pkcs1,
        [Tag::Integer, Tag::OctetString, ..] => Shape::Sec1,
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => Shape::Signed,
        _ => Shape::Other,
    })
}

/// The contents of certificates and crls, [0] and [1] of a SignedData (RFC 5652, section 5.1); empty if neither is
/// present.
fn bundled(content_info: &[u8]) -> der::Result<Vec<&[u8]>> {
    let inside = |octets| AnyRef::from_der(octets).and_then(|any| SliceReader::new(any.value()));
    let mut info = inside(content_info)?;
    info.tlv_bytes()?;
    let mut signed_data = inside(inside(info.tlv_bytes()?)?.tlv_bytes()?)?;
    let mut found = Vec::new();
    while !signed_data.is_finished() {
        let field: AnyRef<'_> = signed_data.decode()?;
        if [CERTIFICATES, LISTS].contains(&field.tag()) {
            found.push(field.value());
        }
    }
    Ok(found)
}

const CERTIFICATES: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
const LISTS: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(1) };
const KNOWN: [&str; 11] = [
    "CERTIFICATE",
    "CMS",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PKCS12",
    "PKCS7",
    "PKCS #7 SIGNED DATA",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "X509 CERTIFICATE",
    "X509 CRL",
];
const SEQUENCE: u8 = 0x30;
