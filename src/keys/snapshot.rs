//! The keys as one message sees them.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Deprecated, Handle, Keys, ProtocolName, Purpose, Query, Reach, Record, SharedPassphrase, StatusSource, Want,
};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// Keys that are asked each question once: later answers are those of the first time, whatever changed since. Make one for each message;
/// one around those of many messages saves them the look-ups of the others.
///
/// Certificates, trust anchors and revocation statements are remembered. A certificate that was found with another question on this machine is not asked
/// for again: all copies of it were found then. Errors and [`Want::All`] are not: the first may pass, and the second
/// may be the whole store.
///
/// All questions of the message that may ask other hosts have one deadline. It begins with the first of them.
pub struct Snapshot<'k> {
    keys: &'k dyn Keys,
    network: Duration,
    reached: HashSet<Address>,
    brought: Option<SharedPassphrase>,
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
            brought: None,
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

    /// The same, with a passphrase for all recipients that the sender gave with the message.
    #[must_use]
    pub fn bringing(self, brought: Option<SharedPassphrase>) -> Self {
        Snapshot { brought, ..self }
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
        // To decrypt, a source that failed may be missing.
        if query.reach == Reach::Local && query.purpose != Purpose::Decrypt {
            for record in &found {
                let question = (protocol, query.purpose, Wanted::Certificate(record.fingerprint().clone()));
                let is_copy = |other: &&Arc<Record>| other.fingerprint() == record.fingerprint();
                known.entry(question).or_insert_with(|| found.iter().filter(is_copy).cloned().collect());
            }
        }
        Ok(known.entry(question).or_insert(found).clone())
    }

    fn expect(&self, protocol: ProtocolName, queries: &[Query<'_>]) {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |query: &Query<'_>| {
            Wanted::of(query.want).is_some_and(|wanted| known.contains_key(&(protocol, query.purpose, wanted)))
        };
        let unknown: Vec<Query<'_>> =
            queries.iter().filter(|query| !is_known(query)).map(|query| self.in_time(query)).collect();
        drop(known);
        self.keys.expect(protocol, &unknown);
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

    fn shared_passphrase(&self, recipient: &Address) -> Result<Option<SharedPassphrase>> {
        match &self.brought {
            Some(brought) => Ok(Some(brought.clone())),
            None => self.keys.shared_passphrase(recipient),
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{base::Error, keys::Memory};

    /// Keys that count the questions to them.
    struct Counted(Memory, AtomicUsize);

    impl Keys for Counted {
        fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.find(protocol, query)
        }

        fn secret(&self, _: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
            Err(Error::no_key(key.as_str()))
        }
    }

    #[test]
    fn what_was_found_by_another_question_is_not_asked_for_again() {
        let (one, other) = (Handle::from_octets(&[1; 20]), Handle::from_octets(&[2; 20]));
        let alice = Address::parse("alice@example.org").unwrap();
        let mut memory = Memory::new();
        for (fingerprint, octets) in [(&one, 1), (&one, 2), (&other, 3)] {
            let record = Record::new(ProtocolName::Smime, fingerprint.clone(), vec![octets], []);
            memory.add(record.with_claimed([alice.clone()]));
        }
        let keys = Counted(memory, AtomicUsize::new(0));
        let count = &keys.1;
        let asked = |keys: &Snapshot<'_>, purpose, want| -> (Vec<u8>, usize) {
            let found = keys.find(ProtocolName::Smime, &Query::new(purpose, want)).unwrap();
            let octets = found.iter().flat_map(|record| record.bytes().to_vec()).collect();
            (octets, count.load(Ordering::SeqCst))
        };
        let snapshot = Snapshot::new(&keys, Duration::ZERO);
        assert_eq!(asked(&snapshot, Purpose::Verify, Want::Address(&alice)), (vec![1, 2, 3], 1));
        assert_eq!(asked(&snapshot, Purpose::Verify, Want::Certificate(&one)), (vec![1, 2], 1));
        assert_eq!(asked(&snapshot, Purpose::Verify, Want::Certificate(&other)), (vec![3], 1));
        // Another purpose may be answered from elsewhere.
        assert_eq!(asked(&snapshot, Purpose::Sign, Want::Certificate(&one)), (vec![1, 2], 2));
        assert_eq!(asked(&snapshot, Purpose::Decrypt, Want::Handle(&one)), (vec![1, 2], 3));
        assert_eq!(asked(&snapshot, Purpose::Decrypt, Want::Certificate(&one)), (vec![1, 2], 4));
    }
}
