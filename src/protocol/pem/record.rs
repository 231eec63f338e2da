//! Records and candidates for PEM: certificates, and the bare RSA keys of RIPEM and EDGAR.

use std::sync::Arc;

use const_oid::db::rfc5912;
use der::{
    Encode, Sequence,
    asn1::{BitStringRef, Null, ObjectIdentifier, UintRef},
};

use super::header::CertificateId;
use crate::{
    base::{Error, Result},
    crypto::{self, Hash},
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Record, Want},
    mail::Address,
    pki::{Certificate, Name, PublicKey},
    protocol::x509,
};

/// A new record for a bare RSA key, without bindings to addresses; an error of kind `Malformed` for any other key. It
/// holds a SubjectPublicKeyInfo of rsaEncryption (RFC 3279, section 2.3.1), whatever object identifier the key had.
pub(super) fn record(key: &PublicKey, user: Option<&str>) -> Result<Record> {
    rsa(key)?;
    let bytes = normal(key)?;
    let fingerprint = fingerprint(&bytes);
    // The subject key identifier that certificates have for the same key (RFC 5280, section 4.2.1.2).
    let identifier = Handle::from_octets(&Hash::Sha1.digest(key.octets()));
    Ok(Record::new(ProtocolName::Pem, fingerprint, bytes, [])
        .with_handles([identifier])
        .with_claimed(user.and_then(|user| Address::parse(user).ok())))
}

/// The fingerprint of a bare key, from its SubjectPublicKeyInfo.
fn fingerprint(spki: &[u8]) -> Handle {
    Handle::from_octets(&Hash::Sha256.digest(spki))
}

/// A SubjectPublicKeyInfo of rsaEncryption for modulus and exponent, big-endian without leading zeros.
pub(super) fn of_numbers(n: &[u8], e: &[u8]) -> Result<PublicKey> {
    let unfit = |_: der::Error| Error::malformed("rsa key", "its numbers cannot be written");
    let key = RsaPublicKey { n: UintRef::new(n).map_err(unfit)?, e: UintRef::new(e).map_err(unfit)? };
    PublicKey::parse(&wrapped(&key.to_der().map_err(unfit)?)?)
}

/// Modulus and exponent of an RSA key; an error for any other key.
pub(super) fn rsa(key: &PublicKey) -> Result<(&[u8], &[u8])> {
    match key.as_crypto() {
        Ok(crypto::PublicKey::Rsa { n, e }) => Ok((n, e)),
        _ => Err(Error::malformed("public key", format_args!("{}: PEM supports only RSA", key.algorithm().name()))),
    }
}

/// A key from the store or from a message.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// The public key.
    pub(super) key: PublicKey,
    fingerprint: Handle,
    /// Its certificate, if any.
    pub(super) certificate: Option<Certificate>,
    /// Its record, if it is in the store.
    pub(super) record: Option<Arc<Record>>,
}

impl Candidate {
    /// The key of a record of PEM or S/MIME. An error if it cannot be read, or is not an RSA key.
    pub(super) fn of_record(record: &Arc<Record>) -> Result<Candidate> {
        let (key, certificate) = match record.protocol() {
            ProtocolName::Smime => {
                let certificate = Certificate::clone(&*record.bytes().read(Certificate::parse)?);
                (certificate.public_key().clone(), Some(certificate))
            }
            ProtocolName::Pem | ProtocolName::Pgp => (PublicKey::clone(&*record.bytes().read(PublicKey::parse)?), None),
        };
        rsa(&key)?;
        let fingerprint = record.fingerprint().clone();
        Ok(Candidate { key, fingerprint, certificate, record: Some(Arc::clone(record)) })
    }

    /// The key of a certificate in a message, with its record if it is in the store too.
    pub(super) fn of_certificate(der: &[u8], keys: &dyn Keys) -> Result<Candidate> {
        let certificate = Certificate::parse(der)?;
        let fingerprint = x509::record::fingerprint(&certificate);
        let record = keys
            .find(ProtocolName::Smime, &Query::new(Purpose::Verify, Want::Certificate(&fingerprint)))?
            .into_iter()
            .next();
        Ok(Candidate { key: certificate.public_key().clone(), fingerprint, certificate: Some(certificate), record })
    }

    /// A bare key in a message, with its record if it is in the store too.
    pub(super) fn of_key(spki: &[u8], keys: &dyn Keys) -> Result<Candidate> {
        let key = PublicKey::parse(spki)?;
        rsa(&key)?;
        let fingerprint = fingerprint(&normal(&key)?);
        let record = keys
            .find(ProtocolName::Pem, &Query::new(Purpose::Verify, Want::Certificate(&fingerprint)))?
            .into_iter()
            .next();
        Ok(Candidate { key, fingerprint, certificate: None, record })
    }

    /// The SHA-256 of the certificate, or of the bare key.
    pub(super) fn handle(&self) -> &Handle {
        &self.fingerprint
    }

    /// The fingerprint for reports.
    pub(super) fn fingerprint(&self) -> String {
        self.fingerprint.to_string()
    }
}

/// The identifiers of a key in a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Named<'a> {
    /// A name or a mailbox.
    pub(super) name: Option<&'a str>,
    /// Issuer and serial number.
    pub(super) certificate: Option<&'a CertificateId>,
    /// A SubjectPublicKeyInfo.
    pub(super) key: Option<&'a [u8]>,
}

impl Named<'_> {
    /// Keys in the store that may be meant, by the most exact identifier. If there is only a name that is not a known
    /// mailbox: all bare keys, since RIPEM allows any name.
    pub(super) fn stored(&self, keys: &dyn Keys) -> Result<Vec<Candidate>> {
        let found = if let Some(id) = self.certificate {
            match id.handle() {
                Some(handle) => keys.find(ProtocolName::Smime, &Query::new(Purpose::Verify, Want::Handle(&handle)))?,
                None => Vec::new(),
            }
        } else if let Some(record) = self.key.and_then(|spki| record(&PublicKey::parse(spki).ok()?, None).ok()) {
            keys.find(ProtocolName::Pem, &Query::new(Purpose::Verify, Want::Certificate(record.fingerprint())))?
        } else if let Some(address) = self.name.and_then(|name| Address::parse(name).ok()) {
            let mut found = keys.find(ProtocolName::Pem, &Query::new(Purpose::Verify, Want::Address(&address)))?;
            found.extend(keys.find(ProtocolName::Smime, &Query::new(Purpose::Verify, Want::Address(&address)))?);
            found
        } else if self.name.is_some() {
            keys.find(ProtocolName::Pem, &Query::new(Purpose::Verify, Want::All))?
        } else {
            Vec::new()
        };
        Ok(found.iter().filter_map(|record| Candidate::of_record(record).ok()).take(MAX_CANDIDATES).collect())
    }
}

/// Issuer and serial number of a certificate, for writing.
pub(super) struct CertificateName<'a> {
    /// The issuer's Name, DER.
    pub(super) issuer: &'a [u8],
    /// The serial number without leading zeros.
    pub(super) serial: &'a [u8],
}

impl<'a> CertificateName<'a> {
    /// Those of `certificate`.
    pub(super) fn of(certificate: &'a Certificate) -> CertificateName<'a> {
        let zeros = certificate.serial().iter().take_while(|octet| **octet == 0).count();
        let serial = certificate.serial().get(zeros..).unwrap_or_default();
        CertificateName { issuer: certificate.issuer().der(), serial }
    }
}

impl CertificateId {
    /// The handle of the certificate's record.
    fn handle(&self) -> Option<Handle> {
        let issuer = Name::parse(&self.issuer).ok()?;
        // The content octets of a positive INTEGER.
        let needs_zero = self.serial.first().is_none_or(|first| first & 0x80 != 0);
        let serial: Vec<u8> = needs_zero.then_some(0).into_iter().chain(self.serial.iter().copied()).collect();
        Some(x509::record::issuer_and_serial(&issuer, &serial))
    }
}

fn normal(key: &PublicKey) -> Result<Vec<u8>> {
    wrapped(key.octets())
}

/// A SubjectPublicKeyInfo of rsaEncryption around an RSAPublicKey.
fn wrapped(key: &[u8]) -> Result<Vec<u8>> {
    let encode = || {
        let algorithm = Algorithm { kind: RSA_ENCRYPTION, parameters: Null };
        SubjectPublicKeyInfo { algorithm, key: BitStringRef::from_bytes(key)? }.to_der()
    };
    encode().map_err(|_| Error::malformed("rsa key", "too long to be written"))
}

/// The numbers of an RSAPublicKey.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    n: UintRef<'a>,
    e: UintRef<'a>,
}

#[derive(Sequence)]
struct Algorithm {
    kind: ObjectIdentifier,
    parameters: Null,
}

#[derive(Sequence)]
struct SubjectPublicKeyInfo<'a> {
    algorithm: Algorithm,
    key: BitStringRef<'a>,
}

/// RFC 8017, appendix A.1.
const RSA_ENCRYPTION: ObjectIdentifier = rfc5912::RSA_ENCRYPTION;
/// Maximum keys tried for one signature. Source: a RIPEM file with the public keys of one group.
const MAX_CANDIDATES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_under_two_object_identifiers_is_one_record() {
        let n = [0xc3; 64];
        let key = of_numbers(&n, &[3]).unwrap();
        // rsa of X.509 (1988), with the size in bits.
        let parameters = [0x30, 0x0a, 0x06, 0x04, 0x55, 0x08, 0x01, 0x01, 0x02, 0x02, 0x02, 0x00];
        let length = u8::try_from(key.octets().len() + 1).unwrap();
        let bits = [&[0x03, length, 0x00][..], key.octets()].concat();
        let old = [&[0x30, u8::try_from(parameters.len() + bits.len()).unwrap()][..], &parameters, &bits].concat();
        let old = PublicKey::parse(&old).unwrap();
        let (one, other) = (record(&key, None).unwrap(), record(&old, Some("a@example.org")).unwrap());
        assert_eq!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.bytes(), other.bytes());
        assert_eq!(other.claimed().len(), 1);
        assert_eq!(rsa(&old).unwrap(), (&n[..], &[3][..]));
    }
}
