//! Certification requests (RFC 2986).

use const_oid::db::{rfc5280, rfc5912::ID_EXTENSION_REQ};

use super::{
    Name, PublicKey, SignatureAlgorithm,
    cert::EMAIL_PROTECTION,
    extensions::{Extensions, KeyUsage},
    general_name::GeneralName,
    tlv::{BIT_STRING, INTEGER, OID, Reader, SEQUENCE, SET, constructed, dotted},
};
use crate::{base::Result, crypto::Strength, mail::Address};

/// A certification request whose signature was verified: who made it has the private key.
#[derive(Debug)]
pub struct CertificationRequest {
    subject: Name,
    public_key: PublicKey,
    extensions: Extensions,
    /// Attributes that are not known, as dotted object identifiers.
    attributes: Vec<String>,
}

impl CertificationRequest {
    /// Reads DER, and verifies the signature.
    ///
    /// # Errors
    ///
    /// `Malformed` when it cannot be read, its key or signature algorithm is weak, or its own key did not sign it; `Unavailable` for an algorithm that
    /// is not supported.
    pub fn parse(der: &[u8]) -> Result<CertificationRequest> {
        let mut reader = Reader::new(der, "certification request");
        let mut outer = reader.sequence()?;
        reader.finish()?;
        let info = outer.expect(SEQUENCE)?;
        let algorithm = outer.expect(SEQUENCE)?.whole;
        let signature = outer.expect(BIT_STRING)?.octets_of_bits()?;
        outer.finish()?;
        let mut fields = info.reader();
        if fields.expect(INTEGER)?.count()? != 0 {
            return Err(fields.refuse("a version that is not known"));
        }
        let subject = Name::read(fields.expect(SEQUENCE)?)?;
        let public_key = PublicKey::parse(fields.expect(SEQUENCE)?.whole)?;
        let (mut extensions, mut others) = (Extensions::default(), Vec::new());
        if let Some(attributes) = fields.optional(constructed(0))? {
            let mut attributes = attributes.reader();
            while !attributes.is_finished() {
                let mut attribute = attributes.sequence()?;
                let (kind, mut values) = (attribute.expect(OID)?, attribute.expect(SET)?.reader());
                if kind.is(&ID_EXTENSION_REQ) {
                    extensions = Extensions::read(values.sequence()?)?;
                } else {
                    others.push(dotted(kind.value));
                }
            }
        }
        fields.finish()?;
        if let Some(defect) = extensions.defects.first() {
            return Err(info.refuse(defect));
        }
        let algorithm = SignatureAlgorithm::parse(algorithm, None)?;
        if algorithm.strength(&public_key) != Strength::Strong {
            return Err(info.refuse(format!("signed with {}, which does not count", algorithm.name(&public_key))));
        }
        algorithm
            .verify_message(&public_key, info.whole, signature)
            .map_err(|_| info.refuse("the key that it names did not sign it (RFC 2986, section 3)"))?;
        Ok(CertificationRequest { subject, public_key, extensions, attributes: others })
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The mailboxes that it asks for, read as those of a certificate are.
    pub fn mailboxes(&self) -> Vec<Address> {
        let mut mailboxes = Vec::new();
        for text in self.extensions.mailboxes(&self.subject) {
            if let Ok(mailbox) = Address::parse(&text)
                && !mailboxes.contains(&mailbox)
            {
                mailboxes.push(mailbox);
            }
        }
        mailboxes
    }

    /// What it asks for beyond signing and encrypting mail for its mailboxes, each in a few words that hold text of who made it.
    pub fn beyond_mail(&self) -> Vec<String> {
        let mut beyond = Vec::new();
        let subject = self.subject.to_string();
        if !self.subject.is_empty() && !self.mailboxes().iter().any(|mailbox| subject == format!("CN={mailbox}")) {
            beyond.push(format!("the subject {subject}"));
        }
        if self.extensions.basic.is_some_and(|basic| basic.authority) {
            beyond.push("the role of a certification authority".to_owned());
        }
        if self.extensions.key_usage.is_some_and(|usage| !usage.is_within(MAIL)) {
            beyond.push("a key usage other than signing and encrypting".to_owned());
        }
        for purpose in self.extensions.extended_key_usage.iter().flatten() {
            if purpose != EMAIL_PROTECTION.as_bytes() {
                beyond.push(format!("the purpose {}", dotted(purpose)));
            }
        }
        let others = self.extensions.subject_names.iter().flatten().filter_map(|name| match name {
            GeneralName::Mailbox(name) | GeneralName::Utf8Mailbox(name) if Address::parse(name).is_ok() => None,
            GeneralName::Mailbox(name) | GeneralName::Utf8Mailbox(name) => Some(format!("the name {name}")),
            GeneralName::Dns(name) | GeneralName::Uri(name) => Some(format!("the name {name}")),
            GeneralName::Directory(name) => Some(format!("the name {name}")),
            GeneralName::Ip(_) | GeneralName::Other(..) => Some("a name that is no mailbox".to_owned()),
        });
        beyond.extend(others);
        let known = [
            rfc5280::ID_CE_BASIC_CONSTRAINTS,
            rfc5280::ID_CE_EXT_KEY_USAGE,
            rfc5280::ID_CE_KEY_USAGE,
            rfc5280::ID_CE_SUBJECT_ALT_NAME,
            rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER,
        ];
        let extensions = self.extensions.kinds().filter(|kind| !known.iter().any(|known| known.as_bytes() == *kind));
        beyond.extend(extensions.map(|kind| format!("the extension {}", dotted(kind))));
        beyond.extend(self.attributes.iter().map(|kind| format!("the attribute {kind}")));
        beyond
    }
}

/// What a certificate for mail may be used for.
const MAIL: KeyUsage = KeyUsage::DIGITAL_SIGNATURE
    .or(KeyUsage::NON_REPUDIATION)
    .or(KeyUsage::KEY_ENCIPHERMENT)
    .or(KeyUsage::KEY_AGREEMENT);
