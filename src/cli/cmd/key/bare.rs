//! Bare RSA keys of classic PEM as text and as JSON. They hold no name; trusted addresses are the home's.

use std::fmt::Write;

use postseal::{base::Result, keys::Record, pki::PublicKey, report::printable};

use super::{
    facts::{Facts, KeyFacts, Name},
    layout,
};

/// The text of `key show`.
pub(super) fn text(text: &mut String, record: &Record) -> Result<()> {
    let secret = if record.secrets().is_empty() { "public" } else { "secret" };
    let algorithm = PublicKey::parse(record.bytes())?.algorithm().name();
    let fingerprint = layout::grouped(record.fingerprint());
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:<12} {fingerprint}  {algorithm}  {secret}", "bare key");
    for address in record.claimed() {
        let _ = writeln!(text, "{:<12} {}", "name", printable(&address.to_string()));
    }
    for address in layout::trusted(record) {
        let _ = writeln!(text, "{:<12} {address}", "trusted");
    }
    Ok(())
}

/// What is known of it.
pub(super) fn facts(record: &Record) -> Result<Facts> {
    let algorithm = PublicKey::parse(record.bytes())?.algorithm();
    let facts = Facts::bare(record);
    let names = facts.addresses.iter().map(|text| Name { text: text.clone(), state: "good", why: None }).collect();
    let key = KeyFacts {
        fingerprint: facts.fingerprint.clone(),
        algorithm: algorithm.name(),
        strength: algorithm.strength().name(),
        quantum_safe: algorithm.is_quantum_safe(),
        created: None,
        expires: None,
        uses: vec!["sign", "encrypt"],
        state: "good",
        why: None,
        secret: facts.secret,
    };
    Ok(Facts { names, ..facts }.with_keys(vec![key]))
}
