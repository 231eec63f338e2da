//! What an encapsulated header says (RFC 1421, section 4.6).

/// What is done to the text of a message (RFC 1421, section 4.6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcType {
    /// Nothing: the header carries revocation lists, and there is no text.
    Crl,
    /// Nothing: the header asks for revocation lists (RFC 1424, section 3.5).
    CrlRetrievalRequest,
    /// Signed, encrypted and encoded.
    Encrypted,
    /// Signed, and left as it is.
    MicClear,
    /// Signed and encoded.
    MicOnly,
}

/// An encapsulated header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `4` for RFC 1421, `3` for RFC 1113, `2001` for RIPEM and EDGAR.
    pub version: String,
    /// What was done to the text.
    pub proc_type: ProcType,
    /// `RFC822`.
    pub content_domain: Option<String>,
    /// How the text is encrypted.
    pub dek_info: Option<DekInfo>,
    /// Who signed, each with what he says of his key.
    pub originators: Vec<Originator>,
    /// Who can read, or verify with a key that is shared.
    pub recipients: Vec<Recipient>,
    /// Revocation lists, DER.
    pub crls: Vec<Vec<u8>>,
    /// Issuers whose revocation lists are asked for: their Names, DER.
    pub issuers: Vec<Vec<u8>>,
    /// Names of fields that nobody knows, in lower case, in order.
    pub unknown: Vec<String>,
    /// Names of fields, in lower case, whose base64 has other octets among it.
    pub unclean: Vec<String>,
}

impl Header {
    /// Whether something in it serves neither to verify nor to decrypt. The integrity check does not cover the header, and who reads the
    /// message as it came sees it between the same boundaries as the text: it is text beside the text.
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

/// Content domains that there are (RFC 1421, section 4.6.1.2); MIME is common beside.
const DOMAINS: [&str; 2] = ["MIME", "RFC822"];

/// DEK-Info (RFC 1421, section 4.6.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DekInfo {
    /// `DES-CBC`.
    pub algorithm: String,
    /// The initialization vector.
    pub parameters: Vec<u8>,
}

/// Originator-*, and what belongs to it (RFC 1421, section 4.6.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Originator {
    /// Originator-Name: a name or a mailbox, vouched for by nobody.
    pub name: Option<String>,
    /// Originator-ID-Asymmetric: issuer and serial number of a certificate.
    pub certificate_id: Option<CertificateId>,
    /// Originator-ID-Symmetric: which interchange key.
    pub shared_key: Option<SharedKeyId>,
    /// Originator-Certificate, DER.
    pub certificate: Option<Vec<u8>>,
    /// Originator-Key-Asymmetric: a SubjectPublicKeyInfo, DER.
    pub key: Option<Vec<u8>>,
    /// Issuer-Certificate, DER each, nearest first.
    pub issuers: Vec<Vec<u8>>,
    /// Key-Info for the originator himself.
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
    /// Recipient-Key-Asymmetric: a SubjectPublicKeyInfo, DER.
    pub key: Option<Vec<u8>>,
    /// Key-Info.
    pub key_info: Option<KeyInfo>,
}

/// Issuer and serial number (RFC 1421, section 5.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateId {
    /// The issuer's Name, DER.
    pub issuer: Vec<u8>,
    /// The serial number, big-endian, as its hexadecimal digits stand.
    pub serial: Vec<u8>,
}

/// Whose interchange key, issued by whom, and which of several (RFC 1421, section 5.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedKeyId {
    /// `linn@zendia.enet.dec.com`.
    pub entity: String,
    /// `ptf-kmc`; empty when it is left out.
    pub authority: String,
    /// `3`; empty when it is left out.
    pub version: String,
}

/// MIC-Info (RFC 1421, section 4.6.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MicInfo {
    /// `RSA-MD5`.
    pub digest: String,
    /// `RSA`.
    pub algorithm: String,
    /// The signature; in an ENCRYPTED message, encrypted.
    pub value: Vec<u8>,
}

/// Key-Info (RFC 1421, section 4.6.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyInfo {
    /// For the owner of a private key.
    Asymmetric {
        /// `RSA`.
        algorithm: String,
        /// The data-encrypting key, encrypted.
        dek: Vec<u8>,
    },
    /// For whoever shares an interchange key.
    Symmetric {
        /// `DES-ECB`, `DES-EDE`.
        algorithm: String,
        /// `RSA-MD2`.
        digest: String,
        /// The data-encrypting key, encrypted.
        dek: Vec<u8>,
        /// The digest of the text, encrypted.
        mic: Vec<u8>,
    },
}
