//! What one change did to keys and trust, for the audit log.

use std::{cell::RefCell, mem};

use serde_json::{Value, json};

use crate::{
    audit::{Event, Note},
    base::hex,
    crypto::Hash,
    keys::{Handle, ProtocolName},
};

/// What was done, in its order. Every method of [`Writer`](super::integrity::Writer) that changes keys or trust writes here.
#[derive(Debug, Default)]
pub(super) struct Journal(RefCell<Vec<Value>>);

impl Journal {
    /// A certificate was stored, changed or removed.
    pub(super) fn certificate(&self, fingerprint: &Handle, protocol: ProtocolName, done: &str) {
        self.add(json!({ "certificate": fingerprint.as_str(), "protocol": protocol.name(), "done": done }));
    }

    /// The secret part of a certificate was stored, in the place of another one perhaps.
    pub(super) fn secret(&self, fingerprint: &Handle) {
        self.add(json!({ "certificate": fingerprint.as_str(), "secret": true, "done": "stored" }));
    }

    /// A certificate is bound to something, or no longer.
    pub(super) fn binding(&self, fingerprint: &Handle, subject: &str, done: &str) {
        self.add(json!({ "certificate": fingerprint.as_str(), "binding": subject, "done": done }));
    }

    /// A CRL or an OCSP response was stored or removed.
    pub(super) fn statement(&self, der: &[u8], done: &str) {
        self.add(json!({ "statement": hex(&Hash::Sha256.digest(der)), "done": done }));
    }

    /// Another fact.
    pub(super) fn add(&self, fact: Value) {
        self.0.borrow_mut().push(fact);
    }

    /// The notes of all of it: one, unless it is much.
    pub(super) fn notes(&self, event: Event) -> Vec<Note> {
        let all = mem::take(&mut *self.0.borrow_mut());
        all.chunks(MAX_CHANGES).map(|some| Note::new(event).with("changes", some.to_vec())).collect()
    }
}

/// Changes in one entry.
const MAX_CHANGES: usize = 1_000;
