//! Keys on the network behind the keys of this machine.

use std::{path::Path, sync::Arc};

use serde_json::json;

use crate::{
    audit::Event,
    base::{Clock, Limits},
    discover::{Choice, Chosen, Discovery, Local, NetworkAccess, Settings, Statuses},
    keys::{Chain, Keys},
    store::{self, Keystore},
};

/// `keys`, and the sources of `settings` as their later tiers. What they say is kept in `home`, or where `shared` keeps it for several machines; `None`: in
/// memory. `network` asks.
pub fn with_network(
    keys: Chain,
    settings: &Settings,
    home: Option<&Path>,
    shared: Option<&Arc<Keystore>>,
    network: Arc<dyn NetworkAccess>,
    clock: Arc<dyn Clock>,
    limits: &Limits,
) -> (Chain, Arc<Discovery>) {
    let keys: Arc<dyn Keys> = Arc::new(keys);
    let home = home.map(Path::to_path_buf);
    let findings = shared.and_then(Keystore::findings);
    let (own, limits) = (Arc::clone(&keys), limits.clone());
    let local = Local { keys: own, network, merge: store::merge, home, findings, clock, limits };
    let discovery = Discovery::new(settings.clone(), local);
    let mut chain = Chain::new(vec![keys], store::merge);
    for (name, source) in discovery.sources() {
        let judge = Arc::clone(&discovery);
        chain = chain.then(name, source, move |record, address| judge.suffices(record, address));
    }
    (chain, discovery)
}

/// Writes each choice of a key that was found into the audit log of `home`, if it has one: a choice that cannot be written is not made.
pub fn record_choices(discovery: &Discovery, home: &Arc<Keystore>) {
    let home = Arc::clone(home);
    discovery.record(move |Chosen { address, fingerprint, method, choice }| {
        let event = match choice {
            Choice::Accepted => Event::PendingAccepted,
            Choice::First => Event::Discover,
            Choice::Rejected => Event::PendingRejected,
        };
        home.record_other(event, json!({ "address": address, "certificate": fingerprint, "method": method }))
    });
}

/// `keys`, and the status of certificates by `statuses` where it is not known: for what judges mail.
pub fn with_statuses(keys: Arc<dyn Keys>, statuses: &Arc<Statuses>) -> Chain {
    let source: Arc<Statuses> = Arc::clone(statuses);
    Chain::new(vec![keys], store::merge).fetching(source)
}
