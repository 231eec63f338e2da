//! One X.509 certificate, read once.

use std::time::SystemTime;

use super::{Name, PublicKey};
use crate::{base::Result, mail::Address};

/// A certificate (RFC 5280, section 4), cheap to clone.
#[derive(Clone, Debug)]
pub struct Certificate {}

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
    /// Reads DER. BER that real certificates hold (a negative serial number, a default encoded) is taken where the octets that are signed are not touched.
    pub fn parse(_der: &[u8]) -> Result<Certificate> {
        todo!()
    }
    /// The octets as they were.
    pub fn der(&self) -> &[u8] {
        todo!()
    }
    /// SHA-256 of the octets.
    pub fn fingerprint(&self) -> [u8; 32] {
        todo!()
    }
    /// Whose key it is.
    pub fn subject(&self) -> &Name {
        todo!()
    }
    /// Who signed it.
    pub fn issuer(&self) -> &Name {
        todo!()
    }
    /// The serial number's content octets, big-endian two's complement.
    pub fn serial(&self) -> &[u8] {
        todo!()
    }
    /// The subject key identifier (RFC 5280, section 4.2.1.2).
    pub fn key_identifier(&self) -> Option<&[u8]> {
        todo!()
    }
    /// The subject's key.
    pub fn public_key(&self) -> &PublicKey {
        todo!()
    }
    /// notBefore and notAfter.
    pub fn validity(&self) -> (SystemTime, SystemTime) {
        todo!()
    }
    /// The mailboxes it names: rfc822Name, SmtpUTF8Mailbox (RFC 9598), and emailAddress in the subject when there is no such alternative name.
    pub fn mailboxes(&self) -> Vec<Address> {
        todo!()
    }
    /// Whether its key usage and extended key usage (emailProtection or any) allow this in mail (RFC 8550, section 4.4).
    pub fn allows(&self, _usage: Usage) -> bool {
        todo!()
    }
}
