//! Parses the certificates of records.

use std::sync::Arc;

use postseal::{base::Result, keys::Record, pki::Certificate};

/// The certificates in the same order. An error of kind `Malformed` names the first that cannot be parsed.
pub(super) fn parsed(records: &[Arc<Record>]) -> Result<Vec<Certificate>> {
    records.iter().map(|record| Certificate::parse(record.bytes())).collect()
}
