//! Which keys are published for which addresses.

use std::{cmp::Reverse, sync::Arc, time::SystemTime};

use postseal::{
    base::{Error, Result},
    keys::{Binding, ProtocolName, Record, Source, Want},
    mail::Address,
    protocol::pgp::publication::{Extent, Publication, publication},
    store::Keystore,
};

use super::super::choose::{find, select};
use crate::cli::{input, show::warning, values::Format};

/// A key of an address, as it is published.
pub(super) struct Published {
    pub(super) address: Address,
    pub(super) record: Arc<Record>,
    pub(super) key: Publication,
}

/// An address whose key is to be published, and the key if it was named.
pub(super) struct Wanted {
    pub(super) address: Address,
    pub(super) record: Option<Arc<Record>>,
}

/// The OpenPGP keys of the addresses. Without any, those of all keys with a secret key; there a key that cannot be published is a warning.
pub(super) fn published(which: &[String], extent: Extent, home: &Keystore, at: SystemTime) -> Result<Vec<Published>> {
    let mut all = Vec::new();
    for wanted in wanted(which, ProtocolName::Pgp, home)? {
        match one(&wanted, extent, home, at) {
            Ok(published) => all.push(published),
            Err(error) if which.is_empty() => warning(&error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The addresses that are named, or those of the keys with a secret key.
pub(super) fn wanted(which: &[String], protocol: ProtocolName, home: &Keystore) -> Result<Vec<Wanted>> {
    let mut all: Vec<Wanted> = Vec::new();
    if which.is_empty() {
        let format = if protocol == ProtocolName::Smime { Format::Smime } else { Format::Pgp };
        let own = find(home, Some(format), Want::All)?.into_iter().filter(|record| !record.secrets().is_empty());
        for address in own.flat_map(|record| trusted(&record)) {
            if !all.iter().any(|known| known.address == address) {
                all.push(Wanted { address, record: None });
            }
        }
        return Ok(all);
    }
    for name in which {
        if let Some(address) = name.contains('@').then(|| input::address(name)).transpose()? {
            all.push(Wanted { address, record: None });
            continue;
        }
        for record in select(home, None, name)?.into_iter().filter(|record| record.protocol() == protocol) {
            let named = trusted(&record).into_iter();
            all.extend(named.map(|address| Wanted { address, record: Some(Arc::clone(&record)) }));
        }
    }
    Ok(all)
}

/// The addresses that the owner trusts the key for.
fn trusted(record: &Record) -> Vec<Address> {
    let bound = record.bindings().iter().filter_map(|binding| match binding {
        Binding::Address(address) => Some(address),
        _ => None,
    });
    let mut all: Vec<Address> = Vec::new();
    for address in bound.chain(record.claimed()) {
        if record.source(address) == Source::Owner && !all.contains(address) {
            all.push(address.clone());
        }
    }
    all
}

/// The key of one address: of several, one with a secret key, and the newest. A revoked one is published only where there is no other.
fn one(wanted: &Wanted, extent: Extent, home: &Keystore, at: SystemTime) -> Result<Published> {
    let address = &wanted.address;
    let candidates = match &wanted.record {
        Some(record) => vec![Arc::clone(record)],
        None => find(home, Some(Format::Pgp), Want::Address(address))?,
    };
    let mut usable = Vec::new();
    let mut refused = None;
    for record in candidates.into_iter().filter(|record| record.source(address) == Source::Owner) {
        match publication(&record, address, extent, at, home) {
            Ok(key) => usable.push(Published { address: address.clone(), record, key }),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    usable.sort_by_key(|one| (one.key.is_revoked, one.record.secrets().is_empty(), Reverse(one.key.created)));
    let count = usable.iter().filter(|one| !one.key.is_revoked).count();
    let chosen = usable.into_iter().next().ok_or_else(|| refused.unwrap_or_else(|| untrusted(address)))?;
    if count > 1 {
        warning(&format!("{address}: has {count} keys here; {} is published", chosen.record.fingerprint()));
    }
    if chosen.key.is_revoked {
        warning(&format!("{address}: key {} is revoked, and is published as that", chosen.record.fingerprint()));
    }
    Ok(chosen)
}

fn untrusted(address: &Address) -> Error {
    Error::no_key(format!("{address}: no key here is trusted for it"))
        .with_hint("`postseal key list` shows the keys, and `postseal key trust ID ADDRESS` trusts one")
}
