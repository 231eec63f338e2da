//! The JSON of `verify --json`: a public interface for scripts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::{
    base::{Error, rfc3339},
    verdict::{Covers, Layer, LayerKind, Reason, Signature, Standing, State},
};

/// The report as one JSON object on one line, without a line break: docs/schema/verify.schema.json.
///
/// # Example
///
/// ```
/// use postseal::{keys::Memory, report::json, verify};
///
/// # fn main() -> postseal::base::Result<()> {
/// let opening = verify(b"From: alice@example.org\r\n\r\nHello.\r\n", &Memory::new())?;
/// let line = json(&opening.report("mail.eml"));
/// assert!(line.starts_with(r#"{"file":"mail.eml","standing":"unsigned","author":"alice@example.org","#));
/// # Ok(())
/// # }
/// ```
pub fn json(report: &Report<'_>) -> String {
    serde_json::to_string(&object(report)).unwrap_or_default()
}

fn object<'a>(report: &'a Report<'_>) -> Object<'a> {
    let subject = report.header.field("Subject");
    let contradicted = report.header.fields().filter(|field| field.outside.is_some());
    Object {
        file: report.file,
        id: report.id,
        standing: report.verdict.standing().name(),
        author: report.verdict.author().ok().map(ToString::to_string),
        reason: report.reason(),
        reason_code: report.reason_code(),
        confidential: report.verdict.is_hidden(),
        subject: Subject {
            value: subject.map(|field| field.value.as_str()),
            protected: subject.is_some_and(|field| field.protection.is_signed()),
        },
        layers: report.verdict.layers().iter().map(|layer| layer_object(layer, LayerPosition::Envelope)).collect(),
        errant: report.verdict.errant().iter().map(|layer| layer_object(layer, LayerPosition::Errant)).collect(),
        headers: report.header.fields().map(|field| (field.name.as_str(), field.protection.name())).collect(),
        differs: contradicted.map(|field| field.name.as_str()).collect(),
        notes: report.notes,
        error: report.error.map(ToString::to_string),
        within: report.within.iter().map(object).collect(),
    }
}

/// The object for a message that could not be read: as for an empty message, with the reason in `error`. `id` says which one in the mailbox
/// `file`.
pub fn json_of_error(file: &str, id: Option<&str>, error: &Error) -> String {
    let object = Object {
        file,
        id,
        standing: Standing::Unsigned.name(),
        author: None,
        reason: Some(Reason::NotExamined.to_string()),
        reason_code: Some(Reason::NotExamined.code()),
        confidential: false,
        subject: Subject { value: None, protected: false },
        layers: Vec::new(),
        errant: Vec::new(),
        headers: BTreeMap::new(),
        differs: Vec::new(),
        notes: &[],
        error: Some(error.to_string()),
        within: Vec::new(),
    };
    serde_json::to_string(&object).unwrap_or_default()
}

#[derive(Serialize)]
struct Object<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    standing: &'static str,
    author: Option<String>,
    /// Why there is no author, or why the standing is below authentic.
    reason: Option<String>,
    reason_code: Option<&'static str>,
    confidential: bool,
    subject: Subject<'a>,
    layers: Vec<LayerObject<'a>>,
    errant: Vec<LayerObject<'a>>,
    headers: BTreeMap<&'a str, &'static str>,
    /// Names of the fields whose outer value contradicts the protected one.
    differs: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    within: Vec<Object<'a>>,
}

#[derive(Serialize)]
struct Subject<'a> {
    value: Option<&'a str>,
    /// Whether a valid signature covers it.
    protected: bool,
}

#[derive(Serialize)]
struct LayerObject<'a> {
    kind: &'static str,
    protocol: &'static str,
    errant: bool,
    cipher: Option<&'a str>,
    authenticated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipients: Option<&'a [String]>,
    /// Of an encrypted layer: whether every way to its content withstands a quantum computer.
    #[serde(skip_serializing_if = "Option::is_none")]
    quantum_safe: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    signatures: Vec<SignatureObject<'a>>,
}

#[derive(Serialize)]
struct SignatureObject<'a> {
    state: &'static str,
    why: Option<String>,
    signer: Option<&'a str>,
    /// The addresses that the key claims, verified or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    claimed: Vec<String>,
    addresses: Vec<String>,
    algorithms: &'a str,
    strength: &'static str,
    quantum_safe: bool,
    covers: &'static str,
    at: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[derive(Clone, Copy, PartialEq)]
enum LayerPosition {
    Envelope,
    Errant,
}

fn layer_object(layer: &Layer, place: LayerPosition) -> LayerObject<'_> {
    let mut object = LayerObject {
        kind: "",
        protocol: layer.protocol.name(),
        errant: place == LayerPosition::Errant,
        cipher: None,
        authenticated: None,
        recipients: None,
        quantum_safe: None,
        algorithm: None,
        signatures: Vec::new(),
    };
    match &layer.kind {
        LayerKind::Compressed { algorithm } => {
            object.kind = "compressed";
            object.algorithm = Some(algorithm);
        }
        LayerKind::Encrypted { cipher, authenticated, recipients, quantum_safe } => {
            object.kind = "encrypted";
            object.cipher = Some(cipher);
            object.authenticated = Some(*authenticated);
            object.recipients = Some(recipients);
            object.quantum_safe = Some(*quantum_safe);
        }
        LayerKind::Signed { signatures } => {
            object.kind = "signed";
            object.signatures = signatures.iter().map(signature_object).collect();
        }
    }
    object
}

fn signature_object(signature: &Signature) -> SignatureObject<'_> {
    let why = match &signature.state {
        State::Invalid(why) | State::Unknown(why) => Some(why),
        State::Valid(_) => signature.reservation.as_ref(),
    };
    SignatureObject {
        state: signature.state.name(),
        why: why.map(ToString::to_string),
        signer: signature.signer.as_deref(),
        claimed: signature.claimed.iter().map(ToString::to_string).collect(),
        addresses: signature.authenticated.iter().map(|one| one.address().to_string()).collect(),
        algorithms: &signature.algorithms,
        strength: signature.strength.name(),
        quantum_safe: signature.quantum_safe,
        covers: match signature.covers {
            Covers::Part => "part",
            Covers::Whole => "whole",
        },
        at: signature.at.map(rfc3339),
        notes: &signature.notes,
    }
}
