//! The certification authorities whose private keys are in the home.

use std::{sync::Arc, time::Duration};

use clap::Args;
use postseal::{
    base::{Error, Result},
    keys::{Handle, Record},
    protocol::smime::{
        authority::{Authority, authorities},
        record::certificate,
    },
    report::printable,
    store::Keystore,
};

use crate::cli::session::Session;

/// Which authority is meant.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// The fingerprint of the certification authority, if several are in the home
    #[arg(long = "ca", value_name = "ID")]
    id: Option<String>,
}

impl Which {
    /// The authority with its private key.
    pub(super) fn open(&self, home: &Keystore, session: &Session) -> Result<Authority> {
        open(self.id.as_deref(), home, session)
    }

    /// Its certificate.
    pub(super) fn record(&self, home: &Keystore) -> Result<Arc<Record>> {
        record(self.id.as_deref(), home)
    }
}

/// The authority with this fingerprint, or the only one, with its private key.
pub(in crate::cli::cmd) fn open(id: Option<&str>, home: &Keystore, session: &Session) -> Result<Authority> {
    Authority::open(&*record(id, home)?, home, session.limits())
}

fn record(id: Option<&str>, home: &Keystore) -> Result<Arc<Record>> {
    let mut found = authorities(home)?;
    if let Some(id) = id {
        let handle = Handle::parse(id)?;
        found.retain(|record| record.has(&handle));
    } else {
        found.retain(|record| record.withdrawal().is_none());
    }
    match found.as_slice() {
        [record] => Ok(Arc::clone(record)),
        [] => Err(Error::no_key(match id {
            Some(id) => format!("{id}: no certification authority with its secret key is here"),
            None => "no certification authority with its secret key is here".to_owned(),
        })
        .with_hint("`postseal cert init-ca NAME` makes one")),
        several => {
            let name = |record: &Arc<Record>| {
                let read = certificate(record)?;
                Ok(format!("{} {}", record.fingerprint(), printable(&read.subject().to_string())))
            };
            let names: Vec<String> = several.iter().map(name).collect::<Result<_>>()?;
            Err(Error::usage("several certification authorities are here")
                .with_hint(format!("--ca takes the fingerprint of one: {}", names.join(", "))))
        }
    }
}

/// How long an issued certificate is valid, unless something else is said: a year.
pub(in crate::cli::cmd) const ISSUED: Duration = Duration::from_secs(31_556_952);
