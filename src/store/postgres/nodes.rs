//! The servers of one key store, and what is known of their rows.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{answers::Answers, pool::Pool, watch::Watch};

/// A primary, and replicas to read from.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) primary: Pool,
    /// Connections to the primary for what was found on the network: a change there may wait for one of the keys.
    pub(super) findings: Pool,
    replicas: Vec<Pool>,
    /// The replica that is read from next.
    next: AtomicUsize,
    pub(super) watch: Arc<Watch>,
    pub(super) answers: Answers,
}

impl Nodes {
    pub(super) fn new(primary: Pool, findings: Pool, replicas: Vec<Pool>) -> Nodes {
        Nodes {
            primary,
            findings,
            replicas,
            next: AtomicUsize::new(0),
            watch: Arc::default(),
            answers: Answers::default(),
        }
    }

    /// The replicas in turn; `None` when there are none.
    pub(super) fn replica(&self) -> Option<&Pool> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.replicas.get(next.checked_rem(self.replicas.len())?)
    }

    /// The URL of the primary without credentials.
    pub(super) fn name(&self) -> &str {
        &self.primary.server().name
    }
}
