//! What a reader says that he can read: SMIMECapabilities (RFC 8551, section 2.5.2), written and read.

use der::{Decode, asn1::ObjectIdentifier};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::encode::{algorithm, sequence};
use crate::pki::Certificate;

/// The content ciphers that we read, best first, as the value of the attribute.
pub(super) fn ours() -> Vec<u8> {
    let lines: Vec<Vec<u8>> = OURS.iter().map(|cipher| algorithm(*cipher, &[])).collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    sequence(&lines)
}

/// Whether the certificate says that its owner reads AES-256 in GCM, by the extension of RFC 4262.
pub(super) fn reads_gcm(certificate: &Certificate) -> bool {
    announced(certificate.der()).is_some_and(|announced| announced.contains(&AES256_GCM))
}

/// The algorithm of the certificate's key, as its SubjectPublicKeyInfo names it.
pub(super) fn key_identifier(certificate: &Certificate) -> Option<ObjectIdentifier> {
    let key = SubjectPublicKeyInfoRef::from_der(certificate.public_key().der()).ok()?;
    Some(key.algorithm.oid)
}

/// `None` when there is no such extension, or none that can be read.
fn announced(certificate: &[u8]) -> Option<Vec<ObjectIdentifier>> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let extensions = certificate.tbs_certificate().extensions()?;
    let extension = extensions.iter().find(|extension| extension.extn_id == SMIME_CAPABILITIES)?;
    identifiers(extension.extn_value.as_bytes())
}

fn identifiers(capabilities: &[u8]) -> Option<Vec<ObjectIdentifier>> {
    let lines = Vec::<x509_cert::spki::AlgorithmIdentifierRef<'_>>::from_der(capabilities).ok()?;
    Some(lines.into_iter().map(|line| line.oid).collect())
}

/// The attribute (RFC 8551, section 2.5.2) and the extension (RFC 4262, section 2).
pub(super) const SMIME_CAPABILITIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.15");

/// AES-256 in GCM (RFC 5084, section 3.2).
pub(super) const AES256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");

/// RFC 8551, section 2.7; ciphers that authenticate come first.
const OURS: [ObjectIdentifier; 6] = [
    AES256_GCM,
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.6"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.18"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22"),
    ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_write_we_read() {
        assert_eq!(identifiers(&ours()).unwrap(), OURS);
    }

    /// RFC 8551, section 2.5.2 leaves the parameters to each capability: here RC2 with a key of 128 bits.
    #[test]
    fn parameters_do_no_harm() {
        let rc2 = [0x30, 0x0e, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x02, 0x02, 0x02, 0x00, 0x80];
        let read = identifiers(&sequence(&[&rc2, &algorithm(AES256_GCM, &[])])).unwrap();
        assert_eq!(read, [ObjectIdentifier::new_unwrap("1.2.840.113549.3.2"), AES256_GCM]);
        assert_eq!(identifiers(&[0x30, 0x01]), None);
    }
}
