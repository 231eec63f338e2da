//! One X.509 certificate, read once.

use std::{collections::HashSet, ops::Range, sync::Arc, time::SystemTime};

use const_oid::db::rfc5280;
use der::asn1::ObjectIdentifier;

use super::{
    Name, PublicKey, check,
    extensions::{Extensions, KeyUsage},
    time,
    tlv::{BIT_STRING, INTEGER, Reader, SEQUENCE, constructed, primitive},
};
use crate::{base::Result, crypto::Hash, mail::Address};

/// A certificate (RFC 5280, section 4), cheap to clone. Two are equal when their octets are.
#[derive(Clone, Debug)]
pub struct Certificate {
    parsed: Arc<Parsed>,
}

#[derive(Debug)]
struct Parsed {
    der: Vec<u8>,
    extensions: Extensions,
    fingerprint: [u8; 32],
    issuer: Name,
    public_key: PublicKey,
    serial: Vec<u8>,
    signature: Vec<u8>,
    /// The AlgorithmIdentifier outside, and the one that is signed.
    signature_algorithms: [Vec<u8>; 2],
    subject: Name,
    /// Where the octets are that are signed.
    tbs: Range<usize>,
    validity: (SystemTime, SystemTime),
    version: Version,
}

/// The version of a certificate (RFC 5280, section 4.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Version 1 or 2, which knows no extensions.
    Old,
    /// Version 3.
    Three,
}

/// What a key is to be used for, in mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// To agree on a key that wraps a content-encryption key: keyAgreement.
    Agree,
    /// To sign messages: digitalSignature or nonRepudiation (RFC 8550, section 4.4.2).
    Sign,
    /// To wrap a content-encryption key: keyEncipherment.
    Wrap,
}

impl Certificate {
    /// Reads DER. BER that real certificates hold (a negative serial number, a default encoded) is taken where the octets that are signed are not
    /// touched. An extension that cannot be read does not keep the certificate from being read, but no path goes through it.
    ///
    /// # Errors
    ///
    /// `Malformed` when it cannot be read.
    pub fn parse(der: &[u8]) -> Result<Certificate> {
        let mut reader = Reader::new(der, "certificate");
        let mut outer = reader.sequence()?;
        reader.finish()?;
        let tbs = outer.expect(SEQUENCE)?;
        let signed_algorithm = outer.expect(SEQUENCE)?.whole.to_vec();
        // Whatever bits are unused: the octets are what verifies, or not.
        let signature = outer.expect(BIT_STRING)?.bits()?.0.to_vec();
        outer.finish()?;
        let mut fields = tbs.reader();
        let version = match fields.optional(constructed(0))? {
            Some(version) => match version.reader().expect(INTEGER)?.count()? {
                2 => Version::Three,
                _ => Version::Old,
            },
            None => Version::Old,
        };
        let serial = fields.expect(INTEGER)?.value.to_vec();
        let algorithm = fields.expect(SEQUENCE)?.whole.to_vec();
        let issuer = Name::read(fields.expect(SEQUENCE)?)?;
        let mut validity = fields.sequence()?;
        let validity = (time::read(validity.any()?)?, time::read(validity.any()?)?);
        let subject = Name::read(fields.expect(SEQUENCE)?)?;
        let public_key = PublicKey::parse(fields.expect(SEQUENCE)?.whole)?;
        for unique_identifier in [1, 2] {
            fields.optional(primitive(unique_identifier))?;
        }
        let extensions = match fields.optional(constructed(3))? {
            Some(extensions) => Extensions::read(extensions.reader().sequence()?)?,
            None => Extensions::default(),
        };
        fields.finish()?;
        // The TBSCertificate is the first element inside the outer SEQUENCE.
        let start = tbs.whole.as_ptr().addr() - der.as_ptr().addr();
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(&Hash::Sha256.digest(der));
        Ok(Certificate {
            parsed: Arc::new(Parsed {
                der: der.to_vec(),
                extensions,
                fingerprint,
                issuer,
                public_key,
                serial,
                signature,
                signature_algorithms: [signed_algorithm, algorithm],
                subject,
                tbs: start..start + tbs.whole.len(),
                validity,
                version,
            }),
        })
    }

    /// The validity in DER of which nothing else is read.
    ///
    /// # Errors
    ///
    /// `Malformed` when it cannot be found.
    pub fn validity_of(der: &[u8]) -> Result<(SystemTime, SystemTime)> {
        let mut fields = Reader::new(der, "certificate").sequence()?.expect(SEQUENCE)?.reader();
        fields.optional(constructed(0))?;
        fields.expect(INTEGER)?;
        // The signature algorithm and the issuer.
        fields.expect(SEQUENCE)?;
        fields.expect(SEQUENCE)?;
        let mut validity = fields.sequence()?;
        Ok((time::read(validity.any()?)?, time::read(validity.any()?)?))
    }

    /// The octets as they were.
    pub fn der(&self) -> &[u8] {
        &self.parsed.der
    }

    /// SHA-256 of the octets.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.parsed.fingerprint
    }

    /// Whose key it is.
    pub fn subject(&self) -> &Name {
        &self.parsed.subject
    }

    /// Who signed it.
    pub fn issuer(&self) -> &Name {
        &self.parsed.issuer
    }

    /// The serial number's content octets, big-endian two's complement.
    pub fn serial(&self) -> &[u8] {
        &self.parsed.serial
    }

    /// The subject key identifier (RFC 5280, section 4.2.1.2).
    pub fn key_identifier(&self) -> Option<&[u8]> {
        self.parsed.extensions.subject_key.as_deref()
    }

    /// The subject's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.parsed.public_key
    }

    /// notBefore and notAfter.
    pub fn validity(&self) -> (SystemTime, SystemTime) {
        self.parsed.validity
    }

    /// Whether subject and issuer are the same name (RFC 5280, section 6.1).
    pub fn is_self_issued(&self) -> bool {
        self.parsed.subject == self.parsed.issuer
    }

    /// Whether its own key signed it, in its own name. That proves possession of the private key, and nothing about the name.
    pub fn is_self_signed(&self) -> bool {
        let [outer, signed] = self.signature_algorithms();
        self.is_self_issued() && outer == signed && check::signed(self, self.public_key()).is_ok()
    }

    /// Whether it says that it is a certification authority's (RFC 5280, section 4.2.1.9).
    pub fn is_authority(&self) -> bool {
        self.parsed.extensions.basic.is_some_and(|basic| basic.authority)
    }

    /// Whether its key may sign certificates of others: it says that it is a certification authority's, and its key usage allows it.
    pub fn may_issue(&self) -> bool {
        self.is_authority() && check::may_issue(self)
    }

    /// Whether the key of `issuer` signed it, in the name of `issuer`.
    pub fn is_issued_by(&self, issuer: &Certificate) -> bool {
        self.issuer() == issuer.subject() && check::signed(self, issuer.public_key()).is_ok()
    }

    /// The mailboxes it names: rfc822Name, SmtpUTF8Mailbox (RFC 9598), and emailAddress in the subject when there is no such alternative name
    /// (RFC 8550, section 3). What is no addr-spec is left out.
    pub fn mailboxes(&self) -> Vec<Address> {
        let mut seen = HashSet::new();
        let mut mailboxes = Vec::new();
        for mailbox in self.mailbox_names().iter().filter_map(|text| Address::parse(text).ok()) {
            if seen.insert(mailbox.clone()) {
                mailboxes.push(mailbox);
            }
        }
        mailboxes
    }

    /// Whether its key usage and extended key usage (emailProtection or any) allow this in mail (RFC 8550, section 4.4).
    pub fn allows(&self, usage: Usage) -> bool {
        let bits = match usage {
            Usage::Agree => KeyUsage::KEY_AGREEMENT,
            Usage::Sign => KeyUsage::DIGITAL_SIGNATURE.or(KeyUsage::NON_REPUDIATION),
            Usage::Wrap => KeyUsage::KEY_ENCIPHERMENT,
        };
        let extensions = &self.parsed.extensions;
        extensions.key_usage.is_none_or(|usage| usage.has(bits)) && self.is_for_mail()
    }

    /// Whether its extended key usage has emailProtection or any, or is not there (RFC 8550, section 4.4.4).
    pub fn is_for_mail(&self) -> bool {
        self.is_for(&EMAIL_PROTECTION)
    }

    /// Whether its extended key usage has `purpose` or any, or is not there (RFC 5280, section 4.2.1.12).
    pub(super) fn is_for(&self, purpose: &ObjectIdentifier) -> bool {
        let named = |usage: &Vec<u8>| usage == purpose.as_bytes() || usage == ANY_PURPOSE.as_bytes();
        self.parsed.extensions.extended_key_usage.as_ref().is_none_or(|usages| usages.iter().any(named))
    }

    /// The content of the extension of this type (RFC 5280, section 4.2).
    pub(crate) fn extension(&self, kind: &ObjectIdentifier) -> Option<&[u8]> {
        self.parsed.extensions.find(kind)
    }

    /// What [`mailboxes`](Certificate::mailboxes) reads, as it is written.
    pub(super) fn mailbox_names(&self) -> Vec<String> {
        self.parsed.extensions.mailboxes(&self.parsed.subject)
    }

    pub(super) fn extensions(&self) -> &Extensions {
        &self.parsed.extensions
    }

    pub(super) fn version(&self) -> Version {
        self.parsed.version
    }

    /// The octets that are signed.
    pub(super) fn tbs(&self) -> &[u8] {
        self.parsed.der.get(self.parsed.tbs.clone()).unwrap_or_default()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.parsed.signature
    }

    /// The AlgorithmIdentifier outside, and the one that is signed; they must be equal (RFC 5280, section 4.1.1.2).
    pub(super) fn signature_algorithms(&self) -> [&[u8]; 2] {
        self.parsed.signature_algorithms.each_ref().map(Vec::as_slice)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.parsed.der == other.parsed.der
    }
}

impl Eq for Certificate {}

/// RFC 5280, section 4.2.1.12.
pub(super) const EMAIL_PROTECTION: ObjectIdentifier = rfc5280::ID_KP_EMAIL_PROTECTION;
const ANY_PURPOSE: ObjectIdentifier = rfc5280::ANY_EXTENDED_KEY_USAGE;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::rfc3339;

    fn file(name: &str) -> Vec<u8> {
        fs::read(format!("{}/testdata/pki/{name}.der", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn certificate(name: &str) -> Certificate {
        Certificate::parse(&file(name)).unwrap()
    }

    #[test]
    fn fields() {
        let (leaf, root) = (certificate("expired"), certificate("root"));
        assert_eq!(leaf.subject().to_string(), "CN=Alice");
        assert_eq!(leaf.issuer(), root.subject());
        assert_eq!(leaf.public_key().algorithm().name(), "p256");
        assert_eq!(
            [leaf.validity().0, leaf.validity().1].map(rfc3339),
            ["2015-01-01T00:00:00Z", "2020-01-01T00:00:00Z"]
        );
        assert_eq!(
            (leaf.der(), leaf.fingerprint().to_vec()),
            (&file("expired")[..], Hash::Sha256.digest(&file("expired")))
        );
        assert_eq!(root.key_identifier(), Some(&Hash::Sha1.digest(root.public_key().octets())[..]));
        assert_eq!([root.is_authority(), leaf.is_authority()], [true, false]);
        assert_eq!([root.is_self_issued(), leaf.is_self_issued()], [true, false]);
        assert!(leaf.der().windows(leaf.tbs().len()).any(|octets| octets == leaf.tbs()));
        assert!(check::signed(&leaf, root.public_key()).is_ok());
    }

    #[test]
    fn what_keys_are_for() {
        for (name, sign, wrap) in [("plain", true, false), ("server", false, false), ("root", false, false)] {
            let certificate = certificate(name);
            assert_eq!([certificate.allows(Usage::Sign), certificate.allows(Usage::Wrap)], [sign, wrap], "{name}");
        }
    }

    #[test]
    fn mailboxes_of_the_subject_count_when_there_are_no_others() {
        let shown = |name| certificate(name).mailboxes().iter().map(Address::to_string).collect::<Vec<_>>();
        assert_eq!(shown("subject-within"), ["alice@example.org"]);
        assert_eq!(shown("subject-outside"), ["bob@example.com"]);
        assert_eq!(shown("within"), ["alice@example.org", "alice@a.example.net"]);
        assert_eq!(shown("root"), [""; 0]);
    }

    #[test]
    fn an_extension_that_cannot_be_read_is_a_defect_and_no_error() {
        let mut der = file("bounded");
        let at = der.windows(5).position(|octets| octets == [0x06, 0x03, 0x55, 0x1d, 0x13]).unwrap();
        // basicConstraints, critical: the cA inside becomes a NULL.
        let inside = at + der[at..].windows(4).position(|octets| octets == [0x30, 0x03, 0x01, 0x01]).unwrap();
        der[inside + 2] = 5;
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.extensions().defects, ["extension 2.5.29.19: extension: octets after its end"]);
        assert!(!certificate.is_authority());
    }

    #[test]
    fn cut_short_or_followed_by_more_it_is_no_certificate() {
        let der = file("bounded");
        for end in 0..der.len() {
            assert!(Certificate::parse(&der[..end]).is_err(), "{end}");
        }
        let error = Certificate::parse(&[&der[..], &[0]].concat()).unwrap_err();
        assert_eq!(error.to_string(), "certificate: octets after its end");
    }

    #[test]
    fn no_octet_makes_it_panic() {
        let der = file("bounded");
        for at in 0..der.len() {
            for octet in [0, 1, 0x30, 0x7f, 0x80, 0xff, der[at] ^ 1] {
                let mut changed = der.clone();
                changed[at] = octet;
                if let Ok(certificate) = Certificate::parse(&changed) {
                    let _ =
                        (certificate.mailboxes(), certificate.subject().to_string(), certificate.issuer().to_string());
                }
            }
        }
    }
}
