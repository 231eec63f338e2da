//! The fields of an encapsulated header (RFC 1421, section 4.6).

/// How the text of a message is processed (RFC 1421, section 4.6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcType {
    /// No text: the header carries revocation lists.
    Crl,
    /// No text: the header requests revocation lists (RFC 1424, section 3.5).
    CrlRetrievalRequest,
    /// Signed, encrypted and encoded.
    Encrypted,
    /// Signed, and left readable.
    MicClear,
    /// Signed and encoded.
    MicOnly,
}

/// An encapsulated header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `4` for RFC 1421, `3` for RFC 1113, `2001` for RIPEM and EDGAR.
    pub version: String,
    /// How the text was processed.
    pub proc_type: ProcType,
    /// The content domain: `RFC822`.
    pub content_domain: Option<String>,
    /// The encryption of the text.
    pub dek_info: Option<DekInfo>,
    /// The signers, each with the key or certificate given.
    pub originators: Vec<Originator>,
    /// Those who can decrypt, or verify with a shared key.
    pub recipients: Vec<Recipient>,
    /// Revocation lists in DER.
    pub crls: Vec<Vec<u8>>,
    /// Names, in DER, of the issuers whose revocation lists are requested.
    pub issuers: Vec<Vec<u8>>,
    /// Names of unknown fields, in lower case, in order.
    pub unknown: Vec<String>,
    /// Names of fields, in lower case, whose base64 has other octets in it.
    pub unclean: Vec<String>,
}

impl Header {
    /// Whether it contains anything not needed for verifying or decrypting. The integrity check does not cover the
    /// header, and a reader of the raw message sees it between the same boundaries as the text. So it counts as text
    /// outside the signed text.
    pub fn says_more(&self) -> bool {
        let no_signer = |one: &Originator| one.mic_info.is_none() && one.shared_key.is_none() && one.key_info.is_none();
        !self.unknown.is_empty()
            || !self.unclean.is_empty()
            || self.originators.iter().any(no_signer)
            || self.recipients.iter().any(|one| one.key_info.is_none())
            || !(self.crls.is_empty() && self.issuers.is_empty())
            || self
                .content_domain
                .as_deref()
                .is_some_and(|domain| !DOMAINS.iter().any(|known| domain.eq_ignore_ascii_case(known)))
    }
}

/// Known content domains (RFC 1421, section 4.6.1.2); MIME is also common.
const DOMAINS: [&str; 2] = ["MIME", "RFC822"];

/// DEK-Info (RFC 1421, section 4.6.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DekInfo {
    /// `DES-CBC`.
    pub algorithm: String,
    /// The initialization vector.
    pub parameters: Vec<u8>,
}

/// Originator-*, and the fields that belong to it (RFC 1421, section 4.6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Originator {
    /// Originator-Name: a name or a mailbox, not authenticated.
    pub name: Option<String>,
    /// Originator-ID-Asymmetric: issuer and serial number of a certificate.
    pub certificate_id: Option<CertificateId>,
    /// Originator-ID-Symmetric: the identifier of the interchange key.
    pub shared_key: Option<SharedKeyId>,
    /// Originator-Certificate in DER.
    pub certificate: Option<Vec<u8>>,
    /// Originator-Key-Asymmetric: a SubjectPublicKeyInfo in DER.
    pub key: Option<Vec<u8>>,
    /// Issuer-Certificate fields in DER, nearest first.
    pub issuers: Vec<Vec<u8>>,
    /// Key-Info for the originator.
    pub key_info: Option<KeyInfo>,
    /// MIC-Info.
    pub mic_info: Option<MicInfo>,
}

/// Recipient-*, and its Key-Info (RFC 1421, section 4.6.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// Recipient-Name.
    pub name: Option<String>,
    /// Recipient-ID-Asymmetric.
    pub certificate_id: Option<CertificateId>,
    /// Recipient-ID-Symmetric.
    pub shared_key: Option<SharedKeyId>,
    /// Recipient-Key-Asymmetric: a SubjectPublicKeyInfo in DER.
    pub key: Option<Vec<u8>>,
    /// Key-Info.
    pub key_info: Option<KeyInfo>,
}

/// Issuer and serial number (RFC 1421, section 5.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateId {
    /// The issuer's Name in DER.
    pub issuer: Vec<u8>,
    /// The serial number, big-endian, from its hexadecimal digits.
    pub serial: Vec<u8>,
}

/// The identifier of an interchange key: entity, issuing authority and version (RFC 1421, section 5.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedKeyId {
    /// The entity: `linn@zendia.enet.dec.com`.
    pub entity: String,
    /// The issuing authority: `ptf-kmc`; empty if omitted.
    pub authority: String,
    /// The version: `3`; empty if omitted.
    pub version: String,
}

/// MIC-Info (RFC 1421, section 4.6.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicInfo {
    /// The digest algorithm: `RSA-MD5`.
    pub digest: String,
    /// The signature algorithm: `RSA`.
    pub algorithm: String,
    /// The signature, encrypted in an ENCRYPTED message.
    pub value: Vec<u8>,
}

/// Key-Info (RFC 1421, section 4.6.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyInfo {
    /// For the owner of a private key.
    Asymmetric {
        /// The algorithm: `RSA`.
        algorithm: String,
        /// The data-encrypting key, encrypted.
        dek: Vec<u8>,
    },
    /// For the holders of an interchange key.
    Symmetric {
        /// The algorithm: `DES-ECB`, `DES-EDE`.
        algorithm: String,
        /// The digest algorithm: `RSA-MD2`.
        digest: String,
        /// The data-encrypting key, encrypted.
        dek: Vec<u8>,
        /// The digest of the text, encrypted.
        mic: Vec<u8>,
    },
}
