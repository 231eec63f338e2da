//! Certificates out of records.

use std::sync::Arc;

use postseal::{base::Result, keys::Record, pki::Certificate};

/// In the same order; an error of kind `Malformed` names the first that cannot be read.
pub(super) fn parsed(records: &[Arc<Record>]) -> Result<Vec<Certificate>> {
    records.iter().map(|record| Certificate::parse(&record.bytes)).collect()
}
