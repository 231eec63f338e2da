//! The keys as one message sees them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{Deprecated, Handle, Keys, ProtocolName, Purpose, Query, Reach, Record, StatusSource, Want};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// Keys that are asked each question once: later answers are those of the first time, whatever changed since. Make one for each message;
/// one around those of many messages saves them the look-ups of the others.
///
/// Certificates, trust anchors and revocation statements are remembered. Errors and [`Want::All`] are not: the first may pass, and the second
/// may be the whole store.
///
/// All questions of the message that may ask other hosts have one deadline. It begins with the first of them.
pub struct Snapshot<'k> {
    keys: &'k dyn Keys,
    network: Duration,
    reached: HashSet<Address>,
    deadline: OnceLock<Instant>,
    found: Mutex<HashMap<Question, Vec<Arc<Record>>>>,
    anchors: OnceLock<Vec<Arc<Record>>>,
    revocations: OnceLock<Vec<Arc<[u8]>>>,
}

type Question = (ProtocolName, Purpose, Wanted);

/// A [`Want`] that owns what it names.
#[derive(PartialEq, Eq, Hash)]
enum Wanted {
    Address(Address),
    Certificate(Handle),
    Handle(Handle),
}

impl<'k> Snapshot<'k> {
    /// Nothing is asked yet. Look-ups on the network may take `network` together ([`Limits::network`](crate::base::Limits::network)).
    pub fn new(keys: &'k dyn Keys, network: Duration) -> Self {
        Snapshot {
            keys,
            network,
            reached: HashSet::new(),
            deadline: OnceLock::new(),
            found: Mutex::default(),
            anchors: OnceLock::new(),
            revocations: OnceLock::new(),
        }
    }

    /// The same, and other hosts may be asked for keys to encrypt to these addresses.
    #[must_use]
    pub fn reaching(self, addresses: impl IntoIterator<Item = Address>) -> Self {
        Snapshot { reached: addresses.into_iter().collect(), ..self }
    }

    /// `query` with the deadline of the message, unless it has one, and with its reach.
    fn in_time<'q>(&self, query: &Query<'q>) -> Query<'q> {
        if query.purpose != Purpose::Encrypt {
            return *query;
        }
        let is_reached = matches!(query.want, Want::Address(address) if self.reached.contains(address));
        let reach = if is_reached { Reach::Network } else { query.reach };
        Query { deadline: Some(query.deadline.unwrap_or_else(|| self.deadline())), reach, ..*query }
    }

    fn deadline(&self) -> Instant {
        *self.deadline.get_or_init(|| Instant::now() + self.network)
    }
}

impl Wanted {
    fn of(want: Want<'_>) -> Option<Wanted> {
        match want {
            Want::All | Want::Secrets => None,
            Want::Address(address) => Some(Wanted::Address(address.clone())),
            Want::Certificate(fingerprint) => Some(Wanted::Certificate(fingerprint.clone())),
            Want::Handle(handle) => Some(Wanted::Handle(handle.clone())),
        }
    }
}

impl Keys for Snapshot<'_> {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let query = &self.in_time(query);
        let Some(wanted) = Wanted::of(query.want) else { return self.keys.find(protocol, query) };
        let question = (protocol, query.purpose, wanted);
        let known = || self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&question) {
            return Ok(found.clone());
        }
        // Without the lock: the keys may take long to answer.
        let found = self.keys.find(protocol, query)?;
        let mut known = known();
        if known.len() >= MAX_QUESTIONS {
            return Ok(found);
        }
        Ok(known.entry(question).or_insert(found).clone())
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.keys.secret(record, key)
    }

    fn deprecated(&self, id: &Handle) -> Result<Option<Deprecated>> {
        self.keys.deprecated(id)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        match self.anchors.get() {
            Some(anchors) => Ok(anchors.clone()),
            None => self.keys.anchors().map(|anchors| self.anchors.get_or_init(|| anchors).clone()),
        }
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        match self.revocations.get() {
            Some(revocations) => Ok(revocations.clone()),
            None => self.keys.revocations().map(|found| self.revocations.get_or_init(|| found).clone()),
        }
    }

    fn status_source(&self) -> Option<&dyn StatusSource> {
        self.keys.status_source().map(|_| self as &dyn StatusSource)
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        self.keys.passwords()
    }
}

impl StatusSource for Snapshot<'_> {
    fn statements_about(&self, path: &[&[u8]], deadline: Option<Instant>) -> Result<Vec<Arc<[u8]>>> {
        let Some(source) = self.keys.status_source() else { return Ok(Vec::new()) };
        source.statements_about(path, Some(deadline.unwrap_or_else(|| self.deadline())))
    }
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

/// Questions that are remembered. Source: one message may ask fewer (`Limits::signatures`, `Limits::session_keys`, for each layer), and the answers to so many of
/// different messages take 20 MB.
const MAX_QUESTIONS: usize = 50_000;
