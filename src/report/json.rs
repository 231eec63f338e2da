//! The JSON of `verify --json`: a public surface, because scripts run against it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::{
    base::{Error, rfc3339},
    mail::protect::Protection,
    verdict::{Covers, Layer, LayerKind, Signature, Standing, State},
};

/// One line, one object, without a line break.
pub fn json(report: &Report<'_>) -> String {
    let object = Object {
        file: report.file,
        standing: report.verdict.standing().name(),
        author: report.verdict.author().map(ToString::to_string),
        confidential: report.verdict.is_confidential(),
        subject: Subject {
            value: report.subject,
            protected: matches!(report.protection("Subject"), Protection::Protected | Protection::Hidden),
        },
        layers: report.verdict.layers().iter().map(|layer| layer_object(layer, Place::Envelope)).collect(),
        errant: report.verdict.errant().iter().map(|layer| layer_object(layer, Place::Errant)).collect(),
        headers: report.headers.iter().map(|(name, protection)| (name.as_str(), protection.name())).collect(),
        notes: report.notes,
        error: report.error.map(ToString::to_string),
    };
    serde_json::to_string(&object).unwrap_or_default()
}

/// The object of a message that could not be read: everything in it is what an empty message has, and `error` says why.
pub fn json_of_error(file: &str, error: &Error) -> String {
    let object = Object {
        file,
        standing: Standing::Unsigned.name(),
        author: None,
        confidential: false,
        subject: Subject { value: None, protected: false },
        layers: Vec::new(),
        errant: Vec::new(),
        headers: BTreeMap::new(),
        notes: &[],
        error: Some(error.to_string()),
    };
    serde_json::to_string(&object).unwrap_or_default()
}

#[derive(Serialize)]
struct Object<'a> {
    file: &'a str,
    standing: &'static str,
    author: Option<String>,
    confidential: bool,
    subject: Subject<'a>,
    layers: Vec<LayerObject<'a>>,
    errant: Vec<LayerObject<'a>>,
    headers: BTreeMap<&'a str, &'static str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    error: Option<String>,
}

#[derive(Serialize)]
struct Subject<'a> {
    value: Option<&'a str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'a str>,
    signatures: Vec<SignatureObject<'a>>,
}

#[derive(Serialize)]
struct SignatureObject<'a> {
    state: &'static str,
    why: Option<String>,
    signer: Option<&'a str>,
    addresses: Vec<String>,
    algorithms: &'a str,
    strength: &'static str,
    covers: &'static str,
    at: Option<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Envelope,
    Errant,
}

fn layer_object(layer: &Layer, place: Place) -> LayerObject<'_> {
    let mut object = LayerObject {
        kind: "",
        protocol: layer.protocol.name(),
        errant: place == Place::Errant,
        cipher: None,
        authenticated: None,
        recipients: None,
        algorithm: None,
        signatures: Vec::new(),
    };
    match &layer.kind {
        LayerKind::Compressed { algorithm } => {
            object.kind = "compressed";
            object.algorithm = Some(algorithm);
        }
        LayerKind::Encrypted { cipher, authenticated, recipients } => {
            object.kind = "encrypted";
            object.cipher = Some(cipher);
            object.authenticated = Some(*authenticated);
            object.recipients = Some(recipients);
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
        addresses: signature.authenticated.iter().map(|one| one.address().to_string()).collect(),
        algorithms: &signature.algorithms,
        strength: signature.strength.name(),
        covers: match signature.covers {
            Covers::Part => "part",
            Covers::Whole => "whole",
        },
        at: signature.at.map(rfc3339),
        notes: &signature.notes,
    }
}
