//! Finds the keys that an argument names.

use std::sync::Arc;

use postseal::{
    base::{Error, Result},
    keys::{Handle, Keys, ProtocolName, Query, Record, Want},
    protocol::smime::{keyfile, record::certificate},
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
    match issued_first(held)?.as_slice() {
        [] => Err(Error::no_key(format!("{which}: there is no secret key to it"))),
        [record] => Ok(Arc::clone(record)),
        _ => Err(Error::usage(format!("{which}: several keys are here"))
            .with_hint("give the fingerprint; `postseal key show` shows it")),
    }
}

/// The keys without the self-signed certificates for whose key there is one that an authority issued, and of several of one key the newest alone.
pub(super) fn issued_first(held: Vec<Arc<Record>>) -> Result<Vec<Arc<Record>>> {
    let mut found: Vec<Arc<Record>> = Vec::new();
    for record in held {
        let same = |other: &Arc<Record>| {
            let is_smime = [&record, other].iter().all(|one| one.protocol() == ProtocolName::Smime);
            Ok::<_, Error>(is_smime && keyfile::share_key(&record, other)?)
        };
        let mut at = None;
        for (number, other) in found.iter().enumerate() {
            if same(other)? {
                at = Some(number);
            }
        }
        match at.and_then(|at| found.get_mut(at)) {
            None => found.push(record),
            Some(other) => {
                let rank = |one: &Record| certificate(one).map(|read| (!read.is_self_signed(), read.validity().0));
                if rank(&record)? > rank(other)? {
                    *other = record;
                }
            }
        }
    }
    Ok(found)
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
