//! Warns when a key that signed ends soon: those who read the mail later cannot tell, and the owner forgets.

use std::time::{Duration, SystemTime};

use postseal::{
    base::Result,
    crypto::Legacy,
    keys::{Handle, Keys, ProtocolName, Purpose, Query, Record, Want},
    protocol::{ends, pgp::summary::summarize},
};

use super::key::day;
use crate::cli::{
    session::Session,
    show::{hint, warning},
};

/// A warning for each of the keys with these fingerprints that ends within 30 days.
pub(super) fn warn(protocol: ProtocolName, signers: &[String], session: &Session) -> Result<()> {
    let (keys, now) = (session.keys()?, session.clock().now());
    for signer in signers {
        let Ok(handle) = Handle::parse(signer) else { continue };
        // Classic PEM signs with the certificates of S/MIME.
        let protocol = if protocol == ProtocolName::Pem { ProtocolName::Smime } else { protocol };
        for record in keys.find(protocol, &Query::new(Purpose::Sign, Want::Handle(&handle)))? {
            let Some(end) = end(&record, &handle, now, keys)? else { continue };
            warning(&format!("key {signer} ends on {}", day(end)));
            hint(&format!("postseal key renew {}", record.fingerprint()));
        }
    }
    Ok(())
}

/// When the key ends, if that is soon.
fn end(record: &Record, key: &Handle, now: SystemTime, keys: &dyn Keys) -> Result<Option<SystemTime>> {
    let is_soon = |end: &SystemTime| (now..now + SOON).contains(end);
    let mut all = ends(record)?;
    all.retain(is_soon);
    if record.protocol() != ProtocolName::Pgp || all.is_empty() {
        return Ok(all.into_iter().min());
    }
    // Of an OpenPGP certificate these are what old signatures say too.
    let summary = summarize(record, now, Legacy::Admit, keys)?;
    let own = summary.keys.iter().filter(|one| one.fingerprint == *key || one.fingerprint == *record.fingerprint());
    Ok(own.filter_map(|one| one.expires).min().filter(is_soon))
}

const SOON: Duration = Duration::from_secs(30 * 86_400);
