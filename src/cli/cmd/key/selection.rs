//! Which keys are listed, with what is known of them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use postseal::{
    base::{Error, Result},
    keys::{Keys, ProtocolName, Record},
    store::Keystore,
};

use super::{bare, facts::Facts, show, x509};

/// What is known of `record` at `at`.
pub(super) fn facts(record: &Record, at: SystemTime, keys: &dyn Keys) -> Result<Facts> {
    match record.protocol() {
        ProtocolName::Pem => bare::facts(record),
        ProtocolName::Pgp => show::facts(record, at, keys),
        ProtocolName::Smime => x509::facts(record, at),
    }
}

/// Which keys are listed.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// A part of an address, a name or a fingerprint.
    pub(super) text: Option<String>,
    pub(super) secret: bool,
    pub(super) anchors: bool,
    /// Only those of which a good key ends within this time.
    pub(super) expiring: Option<Duration>,
}

impl Selection {
    /// The keys that are listed, with what is known of them.
    pub(super) fn of(
        &self,
        records: &[Arc<Record>],
        at: SystemTime,
        home: &Keystore,
    ) -> Result<Vec<(Arc<Record>, Facts)>> {
        let (mut found, mut tokens) = (Vec::new(), home.token_names()?);
        for record in records {
            let mut facts = facts(record, at, home)?;
            facts.tokens = tokens.remove(record.fingerprint().as_str()).unwrap_or_default();
            if self.holds(&facts, at) {
                found.push((Arc::clone(record), facts));
            }
        }
        Ok(found)
    }

    fn holds(&self, facts: &Facts, at: SystemTime) -> bool {
        let is_named = self.text.as_deref().is_none_or(|text| {
            let hex: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let is_in = |whole: &String| whole.to_lowercase().contains(&text.to_lowercase());
            facts.names.iter().map(|name| &name.text).chain(&facts.addresses).chain(&facts.trusted_addresses).any(is_in)
                || facts.keys.iter().any(|key| key.fingerprint.contains(&hex.to_uppercase()))
                || facts.protocol == text
        });
        let ends = |within: Duration| facts.end.is_some_and(|end| end <= at + within);
        is_named && (!self.secret || facts.secret) && (!self.anchors || facts.anchor) && self.expiring.is_none_or(ends)
    }
}

/// One JSON object a line.
pub(super) fn objects(found: &[(Arc<Record>, Facts)]) -> Result<String> {
    let mut text = String::new();
    for (_, facts) in found {
        text.push_str(&serde_json::to_string(facts).map_err(|error| Error::usage(error.to_string()))?);
        text.push('\n');
    }
    Ok(text)
}
