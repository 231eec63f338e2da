//! Finds the keys that an argument names.

use std::sync::Arc;

use postseal::{
    base::{Error, Result},
    keys::{Handle, Keys, ProtocolName, Query, Record, Want},
    protocol::smime::keyfile::newest,
    store::Keystore,
};

use crate::cli::{input, values::Format};

/// The keys that an address, fingerprint or key ID names, of one protocol or of all. An error of kind `NoKey` when there is none.
pub(super) fn select(home: &Keystore, format: Option<Format>, which: &str) -> Result<Vec<Arc<Record>>> {
    let found = match which.contains('@') {
        true => find(home, format, Want::Address(&input::address(which)?))?,
        false => find(home, format, Want::Handle(&Handle::parse(which)?))?,
    };
    if found.is_empty() {
        return Err(
            Error::no_key(format!("{which}: no certificate here")).with_hint("`postseal key list` shows what is here")
        );
    }
    Ok(found)
}

pub(super) fn find(home: &Keystore, format: Option<Format>, want: Want<'_>) -> Result<Vec<Arc<Record>>> {
    let protocols = match format {
        None => vec![ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime],
        Some(Format::Pem) => vec![ProtocolName::Pem],
        Some(Format::Pgp) => vec![ProtocolName::Pgp],
        Some(Format::Smime) => vec![ProtocolName::Smime],
    };
    let mut found = Vec::new();
    for protocol in protocols {
        found.extend(home.find(protocol, &Query::manage(want))?);
    }
    Ok(found)
}

/// The one key with a secret part that a fingerprint or key ID names, or that is the only one of an address. Of certificates of one key, the newest.
pub(in crate::cli::cmd) fn own(home: &Keystore, format: Option<Format>, which: &str) -> Result<Arc<Record>> {
    let mut held = select(home, format, which)?;
    held.retain(|record| !record.secrets().is_empty());
    match newest(held)?.as_slice() {
        [] => Err(Error::no_key(format!("{which}: there is no secret key to it"))),
        [record] => Ok(Arc::clone(record)),
        _ => Err(Error::usage(format!("{which}: several keys are here"))
            .with_hint("give the fingerprint; `postseal key show` shows it")),
    }
}

/// The one key that a fingerprint or key ID names.
pub(super) fn one(home: &Keystore, id: &str) -> Result<Arc<Record>> {
    if id.contains('@') {
        return Err(Error::usage(format!("{id}: an address says nothing about which certificate is meant"))
            .with_hint("give the fingerprint; `postseal key show` shows it"));
    }
    match select(home, None, id)?.as_slice() {
        [record] => Ok(Arc::clone(record)),
        _ => {
            Err(Error::usage(format!("{id}: several certificates have a key of this id"))
                .with_hint("give the fingerprint"))
        }
    }
}
