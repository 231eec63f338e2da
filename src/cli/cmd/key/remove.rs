//! `postseal key remove`.

use std::{sync::Arc, time::SystemTime};

use clap::Args;
use postseal::{
    base::{Error, Result},
    keys::Record,
    protocol::smime::record::certificate,
    store::{Keystore, Removal},
};

use super::{choose::one, own_issue};
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
pub(super) fn remove(what: &Remove, home: &Keystore, now: SystemTime) -> Result<()> {
    let mut records = Vec::with_capacity(what.ids.len());
    for id in &what.ids {
        let record = one(home, id)?;
        if let Some(authority) = own_issue::issuer(&record, home)?
            && certificate(&record)?.validity().1 >= now
        {
            return Err(Error::no_key(format!(
                "key {}: {authority} issued it, and could not revoke it any more",
                record.fingerprint()
            ))
            .with_hint("`postseal cert revoke` ends its use; it can be removed when it has expired"));
        }
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
