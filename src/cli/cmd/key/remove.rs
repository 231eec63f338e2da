//! `postseal key remove`.

use std::sync::Arc;

use clap::Args;
use postseal::{
    base::Result,
    keys::Record,
    store::{Keystore, Removal},
};

use super::choose::one;
use crate::cli::show::aside;

#[derive(Args, Debug)]
pub(super) struct Remove {
    /// Remove the secret keys too: what was encrypted to them can never be read again
    #[arg(long)]
    secret: bool,
    /// Fingerprints or key IDs; all of them are removed, or none
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

/// Removes keys.
pub(super) fn remove(what: &Remove, home: &Keystore) -> Result<()> {
    let mut records = Vec::with_capacity(what.ids.len());
    for id in &what.ids {
        let record = one(home, id)?;
        if !records.iter().any(|known: &Arc<Record>| known.fingerprint() == record.fingerprint()) {
            records.push(record);
        }
    }
    let records: Vec<&Record> = records.iter().map(AsRef::as_ref).collect();
    home.remove_all(&records, if what.secret { Removal::WithSecret } else { Removal::Certificate })?;
    for record in records {
        aside(&format!("{} is removed\n", record.fingerprint()));
    }
    Ok(())
}
