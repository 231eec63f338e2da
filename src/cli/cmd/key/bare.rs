//! Bare RSA keys of classic PEM as text and as JSON. They hold no name; trusted addresses are the home's.

use std::fmt::Write;

use postseal::{
    base::{Error, Result},
    keys::Record,
    pki::PublicKey,
    report::printable,
};

use super::layout;

/// The columns of `key list`.
pub(super) fn row(record: &Record) -> Result<[String; 5]> {
    let secret = if record.secrets().is_empty() { "public" } else { "secret" };
    let algorithm = PublicKey::parse(record.bytes())?.algorithm().name();
    Ok([record.fingerprint().to_string(), algorithm, secret.to_owned(), "bare".to_owned(), layout::addresses(record)])
}

/// The text of `key show`.
pub(super) fn text(text: &mut String, record: &Record) -> Result<()> {
    let [fingerprint, algorithm, secret, ..] = row(record)?;
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

/// One JSON object.
pub(super) fn object(record: &Record) -> Result<String> {
    let object = serde_json::json!({
        "fingerprint": record.fingerprint().as_str(),
        "protocol": record.protocol().name(),
        "algorithm": PublicKey::parse(record.bytes())?.algorithm().name(),
        "secret": !record.secrets().is_empty(),
        "addresses": record.claimed().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "trusted_addresses": layout::trusted(record),
    });
    serde_json::to_string(&object).map_err(|error| Error::usage(error.to_string()))
}
