//! Reads SignedData (RFC 5652, section 5): its signers, certificates and CRLs.

use super::attributes::Attributes;
use crate::{
    base::{Budget, Error, Result},
    pki::{
        Certificate, Name,
        tlv::{Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, primitive},
    },
    verdict::Why,
};

/// The contents of a SignedData besides its content octets.
pub(super) struct SignedData<'a> {
    /// The content octets of eContentType, an object identifier.
    pub(super) content_type: &'a [u8],
    /// The certificates that can be read, in order.
    pub(super) certificates: Vec<Certificate>,
    /// CRLs and OCSP responses (RFC 5940), each in DER.
    pub(super) revocations: Vec<&'a [u8]>,
    /// The signers in order; a reason in place of one that cannot be read.
    pub(super) signers: Vec<std::result::Result<SignerInfo<'a>, Why>>,
}

/// One signature (RFC 5652, section 5.3).
pub(super) struct SignerInfo<'a> {
    /// The identifier of its certificate.
    pub(super) id: SignerId<'a>,
    /// The digest algorithm, an AlgorithmIdentifier.
    pub(super) digest_algorithm: &'a [u8],
    /// The signed attributes, if any.
    pub(super) attributes: Option<Attributes>,
    /// The signature algorithm, an AlgorithmIdentifier.
    pub(super) signature_algorithm: &'a [u8],
    /// The signature value.
    pub(super) signature: &'a [u8],
}

/// How a signature identifies its certificate.
pub(super) enum SignerId<'a> {
    /// Issuer, and the content octets of the serial number.
    IssuerAndSerial(Name, &'a [u8]),
    /// Subject key identifier.
    KeyIdentifier(&'a [u8]),
}

impl<'a> SignedData<'a> {
    /// Reads the content of a ContentInfo of signedData, in DER.
    pub(super) fn read(data: Element<'a>, budget: &Budget) -> Result<SignedData<'a>> {
        let mut fields = match data.tag {
            SEQUENCE => data.reader(),
            _ => return Err(data.refuse("not signed data")),
        };
        fields.expect(INTEGER)?;
        fields.expect(SET)?;
        let mut encapsulated = fields.sequence()?;
        let content_type = encapsulated.expect(OID)?.value;
        // PKCS #7 v1.5 allows any content. Signatures over anything but an octet string do not occur in mail.
        if let Some(content) = encapsulated.optional(constructed(0))? {
            let mut content = content.reader();
            content.expect(OCTET_STRING)?;
            // Exactly one content, because with more readers could choose different ones.
            content.finish()?;
        }
        encapsulated.finish()?;
        Self::tail(fields, content_type, budget)
    }

    /// Reads the last fields of SignedData and signedAndEnvelopedData (PKCS #7 v1.5, section 11): certificates, CRLs
    /// and signers.
    pub(super) fn tail(mut fields: Reader<'a>, content_type: &'a [u8], budget: &Budget) -> Result<SignedData<'a>> {
        let certificates = fields.optional(constructed(0))?.map(elements).transpose()?.unwrap_or_default();
        let revocations = fields.optional(constructed(1))?.map(elements).transpose()?.unwrap_or_default();
        budget.certificates(certificates.len())?;
        budget.certificate_octets(certificates.iter().map(|one| one.whole.len()).sum())?;
        budget.revocations(revocations.len())?;
        budget.revocation_octets(revocations.iter().map(|one| one.whole.len()).sum())?;
        let signers = elements(fields.expect(SET)?)?;
        fields.finish()?;
        budget.signatures(signers.len())?;
        Ok(SignedData {
            content_type,
            // PKCS #6 and attribute certificates have other tags. They do not matter for the signer's key.
            certificates: certificates.iter().filter_map(|one| Certificate::parse(one.whole).ok()).collect(),
            revocations: revocations.iter().filter_map(revocation).collect(),
            signers: signers.into_iter().map(|one| SignerInfo::read(one, budget).map_err(malformed)).collect(),
        })
    }
}

impl<'a> SignerInfo<'a> {
    fn read(info: Element<'a>, budget: &Budget) -> Result<SignerInfo<'a>> {
        if info.tag != SEQUENCE {
            return Err(info.refuse("not a signer"));
        }
        let mut fields = info.reader();
        fields.expect(INTEGER)?;
        let id = match fields.optional(primitive(0))? {
            Some(identifier) => SignerId::KeyIdentifier(identifier.value),
            // A constructed octet string is allowed too.
            None => match fields.optional(constructed(0))? {
                Some(pieces) => SignerId::KeyIdentifier(pieces.reader().expect(OCTET_STRING)?.value),
                None => {
                    let mut named = fields.sequence()?;
                    SignerId::IssuerAndSerial(Name::parse(named.expect(SEQUENCE)?.whole)?, named.expect(INTEGER)?.value)
                }
            },
        };
        let digest_algorithm = fields.expect(SEQUENCE)?.whole;
        let attributes = fields.optional(constructed(0))?;
        Ok(SignerInfo {
            id,
            digest_algorithm,
            attributes: attributes.map(|attributes| Attributes::read(attributes, budget)).transpose()?,
            signature_algorithm: fields.expect(SEQUENCE)?.whole,
            signature: fields.expect(OCTET_STRING)?.value,
        })
    }
}

impl SignerId<'_> {
    /// Whether `certificate` is the identified one.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match self {
            SignerId::IssuerAndSerial(issuer, serial) => {
                certificate.issuer() == issuer && trimmed(certificate.serial()) == trimmed(serial)
            }
            SignerId::KeyIdentifier(identifier) => certificate.key_identifier() == Some(identifier),
        }
    }
}

/// A CRL, or an OCSP response as other revocation information (RFC 5940, section 2).
fn revocation<'a>(choice: &Element<'a>) -> Option<&'a [u8]> {
    if choice.tag != constructed(1) {
        return (choice.tag == SEQUENCE).then_some(choice.whole);
    }
    let mut other = choice.reader();
    let kind = other.expect(OID).ok()?;
    (kind.value == OCSP_RESPONSE).then(|| other.any().ok().map(|response| response.whole)).flatten()
}

fn elements(set: Element<'_>) -> Result<Vec<Element<'_>>> {
    let mut reader = set.reader();
    let mut elements = Vec::new();
    while !reader.is_finished() {
        elements.push(reader.any()?);
    }
    Ok(elements)
}

/// The number without leading zeros: some programs omit the zero that keeps it positive.
fn trimmed(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    serial.get(zeros..).unwrap_or_default()
}

fn malformed(error: Error) -> Why {
    Why::Malformed(error.to_string())
}

/// id-ri-ocsp-response (RFC 5940): 1.3.6.1.5.5.7.16.2.
const OCSP_RESPONSE: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x10\x02";
