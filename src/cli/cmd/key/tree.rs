//! The keys and certificates of the signatures of a message, as trees for a page.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use postseal::{
    base::Result,
    discover::issuers,
    engine::Opening,
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Record, Want},
    pki::{self, Certificate, Question},
    protocol::smime::record,
    report::html::{KeyNode, Tone},
    verdict::LayerKind,
};

use super::{
    facts::{Facts, KeyFacts},
    layout::{grouped, purposes},
    show, x509,
};
use crate::cli::session::Session;

/// The trees of the keys that signed, each once.
pub(in crate::cli::cmd) fn of_signers(opening: &Opening, session: &Session) -> Result<Vec<KeyNode>> {
    let verdict = opening.verdict();
    let mut seen = BTreeSet::new();
    let mut trees = Vec::new();
    for layer in verdict.layers().iter().chain(verdict.errant()) {
        let LayerKind::Signed { signatures } = &layer.kind else { continue };
        for signer in signatures.iter().filter_map(|signature| signature.signer.as_deref()) {
            if trees.len() < MAX_TREES && seen.insert(signer) {
                trees.push(tree(layer.protocol, signer, opening, session)?);
            }
        }
    }
    Ok(trees)
}

fn tree(protocol: ProtocolName, signer: &str, opening: &Opening, session: &Session) -> Result<KeyNode> {
    let Ok(handle) = Handle::parse(signer) else { return Ok(missing(signer)) };
    let (keys, now) = (session.keys()?, session.clock().now());
    let query = Query::new(Purpose::Verify, Want::Handle(&handle));
    if protocol == ProtocolName::Pgp {
        let found = keys.find(protocol, &query)?;
        return Ok(found.first().map_or_else(|| missing(signer), |record| described(record, "signer", now, session)));
    }
    let enclosed: Vec<Certificate> =
        opening.certificates().iter().filter_map(|der| Certificate::parse(der).ok()).take(MAX_CERTIFICATES).collect();
    let stored = keys.find(ProtocolName::Smime, &query)?;
    let stored = stored.first().and_then(|record| Certificate::parse(record.bytes()).ok());
    let leaf = enclosed.iter().find(|one| record::fingerprint(one) == handle).cloned().or(stored);
    leaf.map_or_else(|| Ok(missing(signer)), |leaf| path(&leaf, enclosed, session))
}

/// The path of a certificate, the trust anchor at its root. Without a path, what is known of it, and why there is none.
fn path(leaf: &Certificate, enclosed: Vec<Certificate>, session: &Session) -> Result<KeyNode> {
    let (keys, now) = (session.keys()?, session.clock().now());
    let mut intermediates = enclosed;
    intermediates.extend(issuers(leaf, &intermediates, keys)?.into_iter().take(MAX_CERTIFICATES));
    let anchors: Vec<Certificate> =
        keys.anchors()?.iter().filter_map(|record| Certificate::parse(record.bytes()).ok()).collect();
    let statements = keys.revocations()?;
    let question = Question {
        at: now,
        anchors: &anchors,
        intermediates: &intermediates,
        revocations: &statements.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>(),
        enclosed: &[],
        revocation: session.revocation(),
        policies: pki::Policies::default(),
        purpose: pki::Purpose::Email,
        legacy: session.legacy(),
    };
    let (certificates, refusal) = match pki::validate(leaf, &question, &mut session.budget())? {
        Ok(path) => (path.certificates().to_vec(), None),
        Err(refusal) => (named_issuers(leaf, &intermediates), Some(refusal.to_string())),
    };
    let mut below: Option<KeyNode> = None;
    for (index, certificate) in certificates.iter().enumerate() {
        let role = match (index, &refusal) {
            (0, _) => "signer",
            (_, Some(_)) => "issuer by its name, not checked",
            (_, None) if index + 1 == certificates.len() => "trust anchor",
            (_, None) => "issuer",
        };
        let found =
            keys.find(ProtocolName::Smime, &Query::manage(Want::Certificate(&record::fingerprint(certificate))))?;
        let record = found.into_iter().next().unwrap_or_else(|| Arc::new(record::record(certificate)));
        let mut node = described(&record, role, now, session);
        match &refusal {
            Some(refusal) if index == 0 => node.facts.push(("Path", format!("none: {refusal}"))),
            _ => {}
        }
        node.below.extend(below);
        below = Some(node);
    }
    Ok(below.unwrap_or_else(|| missing(record::fingerprint(leaf).as_str())))
}

/// The leaf, and above it certificates whose names fit.
fn named_issuers(leaf: &Certificate, known: &[Certificate]) -> Vec<Certificate> {
    let mut path = vec![leaf.clone()];
    while let Some(last) = path.last().filter(|last| !last.is_self_issued() && path.len() < MAX_PATH) {
        let issuer = known.iter().find(|one| one.subject() == last.issuer() && !path.contains(one));
        match issuer.cloned() {
            Some(issuer) => path.push(issuer),
            None => break,
        }
    }
    path
}

fn missing(signer: &str) -> KeyNode {
    KeyNode {
        title: signer.to_owned(),
        role: "signer".to_owned(),
        tone: Tone::Doubt,
        state: "not here".to_owned(),
        facts: Vec::new(),
        below: Vec::new(),
    }
}

fn described(record: &Record, role: &str, now: SystemTime, session: &Session) -> KeyNode {
    let facts = match record.protocol() {
        ProtocolName::Pgp => session.keys().and_then(|keys| show::facts(record, now, keys)),
        _ => x509::facts(record, now),
    };
    match facts {
        Ok(facts) => node(record, &facts, role),
        Err(error) => KeyNode { state: error.to_string(), tone: Tone::Bad, ..missing(record.fingerprint().as_str()) },
    }
}

fn node(record: &Record, facts: &Facts, role: &str) -> KeyNode {
    let names: Vec<&str> = facts.names.iter().map(|name| name.text.as_str()).collect();
    let trusted = purposes(record.bindings());
    let (x509, first) = (facts.x509.as_ref(), facts.keys.first());
    let all = [
        ("Fingerprint", Some(grouped(record.fingerprint()))),
        ("Key", first.map(key_words)),
        ("Valid from", first.and_then(|key| key.created.clone())),
        ("Valid until", first.map(|key| key.expires.clone().unwrap_or_else(|| "no end".to_owned()))),
        ("Issuer", x509.map(|x509| x509.issuer.clone())),
        ("Serial", x509.map(|x509| x509.serial.clone())),
        ("Names", names.get(1..).map(|others| others.join(", ")).filter(|others| !others.is_empty())),
        ("Trusted for", Some(if trusted.is_empty() { "nothing by itself".to_owned() } else { trusted.join(", ") })),
    ];
    let (tone, state) = worth(facts.state, facts.why.as_deref());
    KeyNode {
        title: names.first().map_or_else(|| record.fingerprint().to_string(), |name| (*name).to_owned()),
        role: format!("{role}, {}", if x509.is_some() { "X.509 certificate" } else { "OpenPGP certificate" }),
        tone,
        state,
        facts: all.into_iter().filter_map(|(label, value)| Some((label, value?))).collect(),
        below: facts.keys.iter().skip(1).map(subkey).collect(),
    }
}

fn subkey(key: &KeyFacts) -> KeyNode {
    let (tone, state) = worth(key.state, key.why.as_deref());
    let facts = [
        ("Key", Some(key_words(key))),
        ("Valid from", key.created.clone()),
        ("Valid until", Some(key.expires.clone().unwrap_or_else(|| "no end".to_owned()))),
    ];
    KeyNode {
        title: key.fingerprint.clone(),
        role: "subkey".to_owned(),
        tone,
        state,
        facts: facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect(),
        below: Vec::new(),
    }
}

fn key_words(key: &KeyFacts) -> String {
    let quantum = if key.quantum_safe { ", quantum-safe" } else { "" };
    format!("{} ({}{quantum}); {}", key.algorithm, key.strength, key.uses.join(", "))
}

fn worth(state: &str, why: Option<&str>) -> (Tone, String) {
    let tone = match state {
        "good" => Tone::Good,
        "expired" | "not-yet-valid" => Tone::Doubt,
        _ => Tone::Bad,
    };
    let state = state.replace('-', " ");
    (tone, why.map_or_else(|| state.clone(), |why| format!("{state}: {why}")))
}

/// Trees of one message. Source: a message with more signatures is no mail between people.
const MAX_TREES: usize = 12;
/// Certificates that are looked at for one of them.
const MAX_CERTIFICATES: usize = 40;
/// Certificates in a path that is not valid.
const MAX_PATH: usize = 8;
