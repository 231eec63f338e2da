//! The certificates that may be issuers of others.

use std::collections::BTreeSet;

use postseal::{
    base::Result,
    keys::{Handle, Keys, ProtocolName, Query, Want},
    pki::Certificate,
    protocol::smime::record,
};

use super::parse::parsed;

/// The certificates of `keys` that may be issuers of `leaf` or of those in `here`, found by issuer name.
pub(super) fn issuers(leaf: &Certificate, here: &[Certificate], keys: &dyn Keys) -> Result<Vec<Certificate>> {
    let mut found: Vec<Certificate> = Vec::new();
    let mut asked: BTreeSet<Handle> = BTreeSet::new();
    let mut wanted: Vec<Handle> = [leaf].into_iter().chain(here).map(|one| record::subject(one.issuer())).collect();
    while let Some(name) = wanted.pop() {
        if asked.insert(name.clone()) {
            for issuer in parsed(&keys.find(ProtocolName::Smime, &Query::manage(Want::Handle(&name)))?)? {
                wanted.push(record::subject(issuer.issuer()));
                found.push(issuer);
            }
        }
    }
    Ok(found)
}
