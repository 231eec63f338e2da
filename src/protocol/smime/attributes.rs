//! Signed attributes (RFC 5652, sections 5.3 and 11; RFC 5035; RFC 6211; RFC 8551, section 2.5): their values, and the
//! octets that are signed.

use std::time::SystemTime;

use super::ber;
use crate::{
    base::{Budget, Result},
    crypto::Hash,
    keys::Capabilities,
    pki::{
        Certificate, hash_algorithm, time,
        tlv::{Element, INTEGER, NULL, OCTET_STRING, OID, Reader, SEQUENCE, SET, dotted},
    },
    verdict::Why,
};

/// The signed attributes of one signature.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// The encodings that the signature may cover: as DER SET OF (RFC 5652, section 5.4), then as received.
    pub(super) encodings: Vec<Vec<u8>>,
    content_type: Option<Vec<u8>>,
    message_digest: Option<Vec<u8>>,
    protection: Option<Protection>,
    signer: Option<CertificateId>,
    signing_time: Option<SystemTime>,
    capabilities: Option<Vec<u8>>,
}

/// CMSAlgorithmProtection (RFC 6211, section 2): AlgorithmIdentifiers without tags and lengths.
#[derive(Debug)]
struct Protection {
    digest: Vec<u8>,
    signature: Option<Vec<u8>>,
}

/// The first ESSCertID or ESSCertIDv2 (RFC 5035, sections 4 and 3), which names the signer's certificate.
#[derive(Debug)]
struct CertificateId {
    /// `None` for an unknown hash function.
    hash: Option<Hash>,
    digest: Vec<u8>,
    serial: Option<Vec<u8>>,
}

impl Attributes {
    /// Reads the `[0]` of a SignerInfo, in BER. Known attributes that occur twice or do not have exactly one value are
    /// malformed.
    pub(super) fn read(attributes: Element<'_>, budget: &Budget) -> Result<Attributes> {
        let der = ber::to_der(attributes.whole, budget)?;
        let mut reader = Reader::new(&der, "signed attributes").any()?.reader();
        let (mut found, mut members, mut seen) = (Attributes::default(), Vec::new(), Vec::new());
        while !reader.is_finished() {
            let attribute = reader.expect(SEQUENCE)?;
            members.push(attribute.whole);
            let mut fields = attribute.reader();
            let kind = fields.expect(OID)?.value;
            if KNOWN.contains(&kind) {
                if seen.contains(&kind) {
                    return Err(attribute.refuse(format!("attribute {} occurs twice", dotted(kind))));
                }
                seen.push(kind);
                let mut values = fields.expect(SET)?.reader();
                found.take(kind, values.any()?)?;
                if !values.is_finished() {
                    return Err(attribute.refuse(format!("attribute {} has two values", dotted(kind))));
                }
            }
        }
        members.sort_unstable();
        let as_received = [&[SET], attributes.whole.get(1..).unwrap_or_default()].concat();
        found.encodings.push(set_of(&members));
        if found.encodings.first() != Some(&as_received) {
            found.encodings.push(as_received);
        }
        Ok(found)
    }

    /// signingTime (RFC 5652, section 11.3), for reports only.
    pub(super) fn signing_time(&self) -> Option<SystemTime> {
        self.signing_time
    }

    /// SMIMECapabilities (RFC 8551, section 2.5.2), if there is a signing time too.
    pub(super) fn capabilities(&self) -> Option<Capabilities> {
        Some(Capabilities { list: self.capabilities.clone()?, said: self.signing_time? })
    }

    /// messageDigest, after checking that contentType and CMSAlgorithmProtection match the signature.
    pub(super) fn message_digest(
        &self,
        content_type: &[u8],
        digest_algorithm: &[u8],
        signature_algorithm: &[u8],
    ) -> std::result::Result<&[u8], Why> {
        match &self.content_type {
            None => return Err(malformed("its attributes have no content type")),
            Some(named) if named != content_type => {
                let (named, is) = (dotted(named), dotted(content_type));
                return Err(malformed(format!("it is over content of type {named}, but the content is of type {is}")));
            }
            Some(_) => {}
        }
        if let Some(protected) = &self.protection {
            let same = is_same_algorithm(&protected.digest, digest_algorithm)
                && protected.signature.as_ref().is_some_and(|fields| is_same_algorithm(fields, signature_algorithm));
            if !same {
                return Err(malformed("its algorithms differ from those in its attributes (RFC 6211)"));
            }
        }
        self.message_digest.as_deref().ok_or_else(|| malformed("its attributes hold no digest of the content"))
    }

    /// Checks that the ESS attribute, if any, names this certificate (RFC 5035, section 5.4).
    pub(super) fn is_about(&self, certificate: &Certificate) -> std::result::Result<(), Why> {
        let Some(named) = &self.signer else { return Ok(()) };
        let Some(hash) = named.hash else {
            return Err(malformed("its attributes name the certificate by an unknown digest"));
        };
        let same_serial = named.serial.as_ref().is_none_or(|serial| serial == certificate.serial());
        match same_serial && hash.digest(certificate.der()) == named.digest {
            true => Ok(()),
            false => Err(malformed("its attributes name another certificate (RFC 5035)")),
        }
    }

    fn take(&mut self, kind: &[u8], value: Element<'_>) -> Result<()> {
        match kind {
            CONTENT_TYPE => self.content_type = Some(expected(value, OID)?.value.to_vec()),
            MESSAGE_DIGEST => self.message_digest = Some(expected(value, OCTET_STRING)?.value.to_vec()),
            PROTECTION => {
                let mut fields = expected(value, SEQUENCE)?.reader();
                let digest = fields.expect(SEQUENCE)?.value.to_vec();
                let signature = fields.optional(0xa1)?.map(|algorithm| algorithm.value.to_vec());
                self.protection = Some(Protection { digest, signature });
            }
            // A time that cannot be read is ignored: nothing depends on it.
            SIGNING_TIME => self.signing_time = time::read(value).ok(),
            // A list that is malformed or too long to store is ignored too.
            CAPABILITIES => {
                let is_list = value.tag == SEQUENCE && value.whole.len() <= LONGEST_CAPABILITIES;
                self.capabilities = is_list.then(|| value.whole.to_vec());
            }
            // If both are present, the newer one counts (RFC 5035, section 5.4.1).
            SIGNING_CERTIFICATE if self.signer.is_some() => {}
            SIGNING_CERTIFICATE => self.signer = Some(certificate_id(value, Some(Hash::Sha1))?),
            _ => self.signer = Some(certificate_id(value, None)?),
        }
        Ok(())
    }
}

/// Whether the octets are exactly a SET OF Attribute. A signature over attributes is also valid over content that
/// equals them: an attacker can remove the attributes and make them the content (Strenzke 2016; RFC 5652, section 5.3
/// allows both forms).
pub(super) fn is_attributes(octets: &[u8]) -> bool {
    let read = || -> Result<bool> {
        let mut whole = Reader::new(octets, "content");
        let mut members = whole.expect(SET)?.reader();
        let is_all = whole.is_finished() && !members.is_finished();
        while !members.is_finished() {
            let mut fields = members.expect(SEQUENCE)?.reader();
            fields.expect(OID)?;
            fields.expect(SET)?;
        }
        Ok(is_all)
    };
    octets.first() == Some(&SET) && read().unwrap_or(false)
}

/// The first certificate of SigningCertificate or SigningCertificateV2. `hash` is given for the former. The latter
/// names its hash, with SHA-256 as default.
fn certificate_id(value: Element<'_>, hash: Option<Hash>) -> Result<CertificateId> {
    let mut certificates = expected(value, SEQUENCE)?.reader().sequence()?;
    let mut id = certificates.sequence()?;
    let hash = match (hash, id.optional(SEQUENCE)?) {
        (None, Some(algorithm)) => hash_algorithm(algorithm.whole).ok(),
        (None, None) => Some(Hash::Sha256),
        (Some(hash), _) => Some(hash),
    };
    let digest = id.expect(OCTET_STRING)?.value.to_vec();
    let serial = match id.optional(SEQUENCE)? {
        Some(named) => {
            let mut named = named.reader();
            named.expect(SEQUENCE)?;
            Some(named.expect(INTEGER)?.value.to_vec())
        }
        None => None,
    };
    Ok(CertificateId { hash, digest, serial })
}

/// Compares the fields of an AlgorithmIdentifier with an AlgorithmIdentifier. NULL parameters equal absent ones (RFC
/// 5754, section 2).
fn is_same_algorithm(protected: &[u8], algorithm: &[u8]) -> bool {
    let fields = Reader::new(algorithm, "algorithm").any().map(|whole| whole.value).unwrap_or_default();
    let plain = |fields: &[u8]| fields.strip_suffix(&[NULL, 0]).unwrap_or(fields).to_vec();
    plain(protected) == plain(fields)
}

fn set_of(members: &[&[u8]]) -> Vec<u8> {
    let mut der = vec![SET];
    ber::push_length(members.iter().map(|member| member.len()).sum(), &mut der);
    members.iter().for_each(|member| der.extend_from_slice(member));
    der
}

fn expected(value: Element<'_>, tag: u8) -> Result<Element<'_>> {
    if value.tag == tag { Ok(value) } else { Err(value.refuse("an attribute's value has the wrong type")) }
}

fn malformed(reason: impl Into<String>) -> Why {
    Why::Malformed(reason.into())
}

/// 1.2.840.113549.1.9.3, .4 and .5 (RFC 5652, section 11).
const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
const SIGNING_TIME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05";
/// 1.2.840.113549.1.9.52 (RFC 6211, section 2).
const PROTECTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34";
/// 1.2.840.113549.1.9.16.2.12 and .47 (RFC 5035).
const SIGNING_CERTIFICATE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c";
const SIGNING_CERTIFICATE_V2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f";
/// 1.2.840.113549.1.9.15 (RFC 8551, section 2.5.2).
const CAPABILITIES: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0f";
const KNOWN: [&[u8]; 7] =
    [CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, PROTECTION, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2, CAPABILITIES];
/// Maximum octets. Source: Outlook, Apple Mail, Thunderbird and openssl write 50 to 200.
const LONGEST_CAPABILITIES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Limits;

    /// The `[0]` with these attributes, each a type and its values.
    fn read(attributes: &[(&[u8], &[u8])]) -> Result<Attributes> {
        let mut members = Vec::new();
        for (kind, values) in attributes {
            let mut fields = vec![OID, u8::try_from(kind.len()).unwrap()];
            fields.extend_from_slice(kind);
            fields.extend([SET, u8::try_from(values.len()).unwrap()]);
            fields.extend_from_slice(values);
            members.extend([SEQUENCE, u8::try_from(fields.len()).unwrap()]);
            members.extend_from_slice(&fields);
        }
        let mut whole = vec![0xa0];
        ber::push_length(members.len(), &mut whole);
        whole.extend_from_slice(&members);
        Attributes::read(Reader::new(&whole, "test").any().unwrap(), &Budget::new(Limits::default()))
    }

    /// RFC 8551, section 2.5.2: one attribute with one value. A malformed list and one without a time are ignored.
    #[test]
    fn capabilities_are_there_once_and_with_their_time() {
        let time = b"\x17\x0d261124030000Z".as_slice();
        let list = b"\x30\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e".as_slice();
        let said = read(&[(CAPABILITIES, list), (SIGNING_TIME, time)]).unwrap().capabilities().unwrap();
        assert_eq!((said.list.as_slice(), crate::base::rfc3339(said.said)), (list, "2026-11-24T03:00:00Z".to_owned()));
        for none in
            [&[(CAPABILITIES, list)][..], &[(SIGNING_TIME, time)], &[(CAPABILITIES, b"\x05\0"), (SIGNING_TIME, time)]]
        {
            assert_eq!(read(none).unwrap().capabilities(), None, "{none:?}");
        }
        let refused = |attributes: &[(&[u8], &[u8])]| read(attributes).unwrap_err().to_string();
        let (twice, two) = (refused(&[(CAPABILITIES, list); 2]), refused(&[(CAPABILITIES, &[list, list].concat())]));
        assert!(twice.ends_with("attribute 1.2.840.113549.1.9.15 occurs twice"), "{twice}");
        assert!(two.ends_with("attribute 1.2.840.113549.1.9.15 has two values"), "{two}");
    }

    #[test]
    fn attributes_are_known_when_they_pose_as_content() {
        let mut attribute = vec![SEQUENCE, 24, OID, 9];
        attribute.extend_from_slice(CONTENT_TYPE);
        attribute.extend_from_slice(&[SET, 11, OID, 9]);
        attribute.extend_from_slice(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
        let whole = set_of(&[&attribute, &attribute]);
        assert!(is_attributes(&whole));
        assert!(!is_attributes(&whole[..whole.len() - 1]));
        assert!(!is_attributes(&[&whole[..], b"\n"].concat()));
        assert!(!is_attributes(&attribute));
        assert!(!is_attributes(b"1 line of text"));
        assert!(!is_attributes(b"1\0"));
    }
}
