//! Keeps a new key in the home.

use std::sync::Arc;

use postseal::{
    base::{Error, Result},
    keys::{Keys, Query, Record, Want},
    store::{Keystore, NewKey},
};

use crate::cli::{session::Session, show::aside};

/// Stores a new key, and returns it as it is stored.
pub(super) fn store(key: NewKey, home: &Keystore, session: &Session) -> Result<Arc<Record>> {
    let (protocol, fingerprint) = (key.record().protocol(), key.record().fingerprint().clone());
    let taken = home.take_new(vec![key], session.clock().now())?;
    if let Some(place) = taken.revocations.first() {
        aside(&format!("to revoke the key should it be lost or stolen, publish {}\n", place.display()));
    }
    home.find(protocol, &Query::manage(Want::Certificate(&fingerprint)))?
        .pop()
        .ok_or_else(|| Error::no_key(format!("key {fingerprint}: was removed at once")))
}
