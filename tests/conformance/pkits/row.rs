//! The rows of the manifest, and the certificate that each of them asks about.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use der::{Decode, Reader, SliceReader, asn1::AnyRef};
use postseal::pki::{Certificate, Policies, Require, Revocation};
use serde::Deserialize;

/// One test of NIST's suite.
#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) file: String,
    pub(crate) trust: String,
    pub(crate) extra_certs: String,
    pub(crate) crls: String,
    pub(crate) settings: Settings,
    pub(crate) expect: Expect,
    pub(crate) expected_text: String,
    pub(crate) notes: String,
}

#[derive(Deserialize)]
pub(crate) struct Settings {
    initial_policy_set: Vec<String>,
    require_revocation: bool,
    explicit_policy: bool,
}

#[derive(Deserialize)]
pub(crate) struct Expect {
    pub(crate) signature: String,
    pub(crate) path: String,
}

/// Every row.
pub(crate) fn rows(suite: &Path) -> Vec<Row> {
    let manifest = fs::read_to_string(suite.join("manifest.jsonl")).unwrap();
    let rows: Vec<Row> = manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 224);
    rows
}

impl Row {
    /// Whether the path holds, and whether a suite that says so is content with either answer.
    pub(crate) fn accepts(&self) -> bool {
        match self.expect.path.as_str() {
            "accept" => true,
            "reject" => false,
            other => panic!("{}: {other}", self.id),
        }
    }

    /// Whether it is made with DSA keys of 1024 bits and SHA-1.
    pub(crate) fn is_weak(&self) -> bool {
        self.notes.contains("DSA")
    }

    pub(crate) fn revocation(&self) -> Revocation {
        if self.settings.require_revocation { Revocation::Hard } else { Revocation::Soft }
    }

    pub(crate) fn policies(&self) -> Policies {
        let named = self.settings.initial_policy_set.iter().filter(|policy| *policy != "any");
        let explicit = if self.settings.explicit_policy { Require::Set } else { Require::Unset };
        Policies { initial: named.cloned().collect(), explicit, ..Policies::default() }
    }

    /// The signer's certificate in the message.
    pub(crate) fn leaf(&self, suite: &Path) -> Certificate {
        let message = fs::read_to_string(suite.join(&self.file)).unwrap();
        let (_, signature) = message.split_once("Content-Type: application/pkcs7-signature").unwrap();
        let (_, base64) = signature.split_once("\n\n").or_else(|| signature.split_once("\r\n\r\n")).unwrap();
        let base64: String =
            base64.lines().take_while(|line| !line.starts_with("--")).collect::<String>().split_whitespace().collect();
        signer(&STANDARD.decode(base64).unwrap()).unwrap_or_else(|| panic!("{}: no signer", self.id))
    }
}

/// RFC 5652, section 5.1: the certificate that the first SignerInfo names by issuer and serial number.
fn signer(message: &[u8]) -> Option<Certificate> {
    let content = elements(message)[0].value();
    let signed = elements(elements(content)[1].value())[0].value();
    let fields = elements(signed);
    let (certificates, signers) = (fields[3], fields[fields.len() - 1]);
    let signer = elements(elements(signers.value())[0].value());
    let named = elements(signer[1].value());
    let (issuer, serial) = (named[0], named[1]);
    let certificates = elements_with_octets(certificates.value());
    let mut parsed = certificates.into_iter().map(|(_, octets)| Certificate::parse(octets).unwrap());
    parsed.find(|one| elements(one.issuer().der())[0].value() == issuer.value() && one.serial() == serial.value())
}

fn elements(octets: &[u8]) -> Vec<AnyRef<'_>> {
    elements_with_octets(octets).into_iter().map(|(element, _)| element).collect()
}

fn elements_with_octets(octets: &[u8]) -> Vec<(AnyRef<'_>, &[u8])> {
    let mut reader = SliceReader::new(octets).unwrap();
    let mut all = Vec::new();
    while !reader.is_finished() {
        let octets = reader.tlv_bytes().unwrap();
        all.push((AnyRef::from_der(octets).unwrap(), octets));
    }
    all
}
