//! SignedData (RFC 5652, section 5) read: who says that he signed, and the certificates and CRLs that came along.

use super::attributes::Attributes;
use crate::{
    base::{Budget, Error, Result},
    pki::{
        Certificate, Name,
        tlv::{Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, primitive},
    },
    verdict::Why,
};

/// What a SignedData holds besides its content octets.
pub(super) struct SignedData<'a> {
    /// The content octets of eContentType, an object identifier.
    pub(super) content_type: &'a [u8],
    /// Those that can be read, in order.
    pub(super) certificates: Vec<Certificate>,
    /// CRLs, and OCSP responses (RFC 5940), DER each.
    pub(super) revocations: Vec<&'a [u8]>,
    /// In order; why not, where one cannot be read.
    pub(super) signers: Vec<std::result::Result<SignerInfo<'a>, Why>>,
}

/// One signature (RFC 5652, section 5.3).
pub(super) struct SignerInfo<'a> {
    /// Whose certificate it is.
    pub(super) id: SignerId<'a>,
    /// An AlgorithmIdentifier.
    pub(super) digest_algorithm: &'a [u8],
    /// The signed attributes, when there are any.
    pub(super) attributes: Option<Attributes>,
    /// An AlgorithmIdentifier.
    pub(super) signature_algorithm: &'a [u8],
    /// The signature value.
    pub(super) signature: &'a [u8],
}

/// How a signature names its certificate.
pub(super) enum SignerId<'a> {
    /// By who issued it, and the content octets of its serial number.
    IssuerAndSerial(Name, &'a [u8]),
    /// By its subject key identifier.
    KeyIdentifier(&'a [u8]),
}

impl<'a> SignedData<'a> {
    /// Reads what is in a ContentInfo of signedData, in DER.
    pub(super) fn read(data: Element<'a>, budget: &Budget) -> Result<SignedData<'a>> {
        let mut fields = match data.tag {
            SEQUENCE => data.reader(),
            _ => return Err(data.refuse("not signed data")),
        };
        fields.expect(INTEGER)?;
        fields.expect(SET)?;
        let mut encapsulated = fields.sequence()?;
        let content_type = encapsulated.expect(OID)?.value;
        // PKCS #7 v1.5 let it be anything; signatures over what is no octet string are not those of mail.
        if let Some(content) = encapsulated.optional(constructed(0))? {
            let mut content = content.reader();
            content.expect(OCTET_STRING)?;
            // One content, or readers may choose.
            content.finish()?;
        }
        encapsulated.finish()?;
        Self::tail(fields, content_type, budget)
    }

    /// Certificates, CRLs and signers: what SignedData and signedAndEnvelopedData (PKCS #7 v1.5, section 11) end with.
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
            // PKCS #6 certificates and attribute certificates are of another tag, and say nothing about the signer's key.
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
            // A constructed octet string is one too.
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
    /// Whether `certificate` is the one that is named.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        match self {
            SignerId::IssuerAndSerial(issuer, serial) => {
                certificate.issuer() == issuer && trimmed(certificate.serial()) == trimmed(serial)
            }
            SignerId::KeyIdentifier(identifier) => certificate.key_identifier() == Some(identifier),
        }
    }
}

/// A CRL, or an OCSP response as another format of revocation information (RFC 5940, section 2).
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

/// Without the zero that keeps a number positive: some programs leave it out.
fn trimmed(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|octet| **octet == 0).count();
    serial.get(zeros..).unwrap_or_default()
}

fn malformed(error: Error) -> Why {
    Why::Malformed(error.to_string())
}

/// id-ri-ocsp-response (RFC 5940): 1.3.6.1.5.5.7.16.2.
const OCSP_RESPONSE: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x10\x02";
