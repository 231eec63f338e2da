//! What is known of a key, in one shape for all protocols: docs/schema/keys.schema.json.

use std::time::SystemTime;

use postseal::{
    base::rfc3339,
    keys::{Binding, Record},
};
use serde::Serialize;

/// One key with its certificate.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    pub(super) fingerprint: String,
    pub(super) protocol: &'static str,
    /// Of the certificate's format; none of a bare key.
    pub(super) version: Option<u8>,
    /// Who it says its owner is.
    pub(super) names: Vec<Name>,
    /// The addresses in the names.
    pub(super) addresses: Vec<String>,
    /// Of the primary key.
    pub(super) algorithm: String,
    pub(super) strength: &'static str,
    /// Whether mail to it is encrypted so that a quantum computer does not open it: by the good keys that encrypt, all that senders use.
    /// Of a key that encrypts nothing: whether its signatures withstand one.
    pub(super) quantum_safe: bool,
    /// What its keys can do that are good.
    pub(super) uses: Vec<&'static str>,
    pub(super) state: &'static str,
    pub(super) why: Option<String>,
    pub(super) created: Option<String>,
    pub(super) expires: Option<String>,
    /// Whether a secret key is here.
    pub(super) secret: bool,
    /// The names of its keys on tokens.
    pub(super) tokens: Vec<String>,
    /// Every key, the primary key first.
    pub(super) keys: Vec<KeyFacts>,
    pub(super) trusted_addresses: Vec<String>,
    pub(super) trusted_user_ids: bool,
    pub(super) anchor: bool,
    pub(super) x509: Option<X509Facts>,
    /// The ciphers that its owner reads (S/MIME).
    pub(super) reads: Option<Reads>,
    /// When the first of its good keys ends.
    #[serde(skip)]
    pub(super) end: Option<SystemTime>,
}

/// A user ID, or a name in an X.509 certificate.
#[derive(Debug, Serialize)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) state: &'static str,
    pub(super) why: Option<String>,
}

/// One key of a certificate.
#[derive(Debug, Serialize)]
pub(super) struct KeyFacts {
    pub(super) fingerprint: String,
    pub(super) algorithm: String,
    pub(super) strength: &'static str,
    pub(super) quantum_safe: bool,
    pub(super) created: Option<String>,
    pub(super) expires: Option<String>,
    pub(super) uses: Vec<&'static str>,
    pub(super) state: &'static str,
    pub(super) why: Option<String>,
    pub(super) secret: bool,
}

/// What an X.509 certificate says besides.
#[derive(Debug, Serialize)]
pub(super) struct X509Facts {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) serial: String,
    pub(super) self_signed: bool,
}

/// The capabilities that the owner announced.
#[derive(Debug, Serialize)]
pub(super) struct Reads {
    pub(super) ciphers: Vec<String>,
    /// When the owner announced them; `null` when the certificate does.
    pub(super) said: Option<String>,
}

impl Facts {
    /// What the record alone says; the rest is empty.
    pub(super) fn bare(record: &Record) -> Facts {
        let bound = record.bindings().iter().filter_map(|binding| match binding {
            Binding::Address(address) => Some(address.to_string()),
            _ => None,
        });
        Facts {
            fingerprint: record.fingerprint().to_string(),
            protocol: record.protocol().name(),
            version: None,
            names: Vec::new(),
            addresses: record.claimed().iter().map(ToString::to_string).collect(),
            algorithm: String::new(),
            strength: "",
            quantum_safe: false,
            uses: Vec::new(),
            state: "good",
            why: None,
            created: None,
            expires: None,
            secret: !record.secrets().is_empty(),
            tokens: Vec::new(),
            keys: Vec::new(),
            trusted_addresses: bound.collect(),
            trusted_user_ids: record.bindings().contains(&Binding::UserIds),
            anchor: record.is_anchor(),
            x509: None,
            reads: None,
            end: None,
        }
    }

    /// The same with these keys, the primary one first, which say the rest of it.
    pub(super) fn with_keys(self, keys: Vec<KeyFacts>) -> Facts {
        let Some(primary) = keys.first() else { return self };
        let mut uses: Vec<&'static str> = Vec::new();
        for name in keys.iter().filter(|key| key.state == "good").flat_map(|key| &key.uses) {
            if !uses.contains(name) {
                uses.push(name);
            }
        }
        Facts {
            algorithm: primary.algorithm.clone(),
            strength: primary.strength,
            quantum_safe: is_quantum_safe(&keys),
            state: primary.state,
            why: primary.why.clone(),
            created: primary.created.clone(),
            expires: primary.expires.clone(),
            uses,
            keys,
            ..self
        }
    }
}

/// A sender takes a key that withstands a quantum computer where there is one.
fn is_quantum_safe(keys: &[KeyFacts]) -> bool {
    let good = |key: &&KeyFacts| key.state == "good";
    let mut encrypting = keys.iter().filter(good).filter(|key| key.uses.contains(&"encrypt")).peekable();
    match encrypting.peek() {
        Some(_) => encrypting.any(|key| key.quantum_safe),
        None => keys.iter().filter(good).any(|key| key.quantum_safe),
    }
}

/// A time as JSON has it.
pub(super) fn time(time: SystemTime) -> Option<String> {
    Some(rfc3339(time))
}
