//! Several key sources, used as one.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Deprecated, Handle, Keys, ProtocolName, Purpose, Query, Reach, Record, StatusSource, Want};
use crate::{
    base::{Error, Kind, Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// Key sources in order, in tiers.
///
/// The first tier are the sources of this machine. The first of them that has a secret key provides it; copies of one certificate are merged, so
/// that a revocation in any of them counts. When one of them fails, the look-up fails, because it may have a revocation or the owner's decision for
/// another key. To decrypt, the others are enough.
///
/// A later tier ([`Chain::then`]) is asked for the keys of an address to encrypt to, when the question may reach the network ([`Query::reach`]) and no
/// earlier tier has a usable one. When it fails, the next
/// one is asked, and the failure counts only if none of them has a usable key.
pub struct Chain {
    sources: Vec<Arc<dyn Keys>>,
    later: Vec<Tier>,
    merge: fn(&Record, &Record) -> Result<Record>,
    /// Instead of the anchors of the sources.
    anchors: Option<Vec<Arc<Record>>>,
    statuses: Option<Arc<dyn StatusSource>>,
}

/// A source that is asked when those before it have no usable key.
struct Tier {
    /// What errors call it.
    name: String,
    source: Arc<dyn Keys>,
    is_usable: Box<IsUsable>,
}

/// Whether a record serves for an address.
type IsUsable = dyn Fn(&Record, &Address) -> bool + Send + Sync;

impl Chain {
    /// The first tier. `merge` merges two copies of one certificate ([`store::merge`](crate::store::merge) for all protocols).
    pub fn new(sources: Vec<Arc<dyn Keys>>, merge: fn(&Record, &Record) -> Result<Record>) -> Self {
        Chain { sources, later: Vec::new(), merge, anchors: None, statuses: None }
    }

    /// The same keys, and `source` as the last tier. It is asked when `is_usable` holds for no record of the tiers before it, and the
    /// address that is asked for. Errors call it `name`.
    #[must_use]
    pub fn then(
        mut self,
        name: impl Into<String>,
        source: Arc<dyn Keys>,
        is_usable: impl Fn(&Record, &Address) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.later.push(Tier { name: name.into(), source, is_usable: Box::new(is_usable) });
        self
    }

    /// The same keys, with `anchors` as the only trust anchors.
    #[must_use]
    pub fn with_anchors(self, anchors: Vec<Arc<Record>>) -> Self {
        Chain { anchors: Some(anchors), ..self }
    }

    /// The same keys, and the status of certificates by `statuses` where it is not known.
    #[must_use]
    pub fn fetching(self, statuses: Arc<dyn StatusSource>) -> Self {
        Chain { statuses: Some(statuses), ..self }
    }

    fn put_together(&self, copies: Vec<Arc<Record>>) -> Result<Vec<Arc<Record>>> {
        let mut places: BTreeMap<Handle, usize> = BTreeMap::new();
        let mut together: Vec<Arc<Record>> = Vec::new();
        for copy in copies {
            let seen = places.get(copy.fingerprint()).and_then(|place| together.get_mut(*place));
            match seen {
                Some(seen) => *seen = Arc::new((self.merge)(seen, &copy)?),
                None => {
                    places.insert(copy.fingerprint().clone(), together.len());
                    together.push(copy);
                }
            }
        }
        Ok(together)
    }

    /// What the first tier has.
    fn copies(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let mut copies = Vec::new();
        let mut failure = None;
        for source in &self.sources {
            match source.find(protocol, query) {
                Ok(found) => copies.extend(found),
                // A secret key that opens the message is the right one, whatever the other source has.
                Err(error) if query.purpose == Purpose::Decrypt => failure = failure.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error) if copies.is_empty() => Err(error),
            _ => Ok(copies),
        }
    }

    fn local(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let found = self.put_together(self.copies(protocol, query)?)?;
        if matches!(query.want, Want::All | Want::Certificate(_)) || self.sources.len() < 2 {
            return Ok(found);
        }
        // A copy without the address or the subkey may still have a revocation.
        let mut whole = Vec::with_capacity(found.len());
        for record in found {
            let query = query.instead(Want::Certificate(record.fingerprint()));
            whole.extend(self.put_together(self.copies(protocol, &query)?)?);
        }
        Ok(whole)
    }
}

impl Keys for Chain {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        let mut found = self.local(protocol, query)?;
        let Want::Address(address) = query.want else { return Ok(found) };
        if query.purpose != Purpose::Encrypt || query.reach != Reach::Network {
            return Ok(found);
        }
        let mut failure = None;
        for Tier { name, source, is_usable } in &self.later {
            if found.iter().any(|record| is_usable(record, address)) {
                return Ok(found);
            }
            let answer = match query.is_overdue() {
                true => Err(Error::new(Kind::TryAgain, "no time is left to ask")),
                false => source.find(protocol, query),
            };
            match answer {
                Ok(more) => {
                    found.extend(more);
                    found = self.put_together(found)?;
                }
                Err(error) => failure = failure.or(Some(error.of(name))),
            }
        }
        let is_served =
            self.later.last().is_none_or(|tier| found.iter().any(|record| (tier.is_usable)(record, address)));
        match failure {
            Some(error) if !is_served => Err(error),
            _ => Ok(found),
        }
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        let mut locked = None;
        for source in &self.sources {
            match source.secret(record, key) {
                Ok(Some(secret)) => return Ok(Some(secret)),
                Ok(None) => {}
                Err(error) => locked = locked.or(Some(error)),
            }
        }
        locked.map_or(Ok(None), Err)
    }

    fn deprecated(&self, id: &Handle) -> Result<Option<Deprecated>> {
        for source in &self.sources {
            if let Some(key) = source.deprecated(id)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        if let Some(anchors) = &self.anchors {
            return Ok(anchors.clone());
        }
        let mut anchors = Vec::new();
        for source in &self.sources {
            anchors.extend(source.anchors()?);
        }
        self.put_together(anchors)
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        let mut revocations = Vec::new();
        for source in &self.sources {
            revocations.extend(source.revocations()?);
        }
        Ok(revocations)
    }

    fn status_source(&self) -> Option<&dyn StatusSource> {
        self.statuses.as_deref().or_else(|| self.sources.iter().find_map(|source| source.status_source()))
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        let mut passwords = Vec::new();
        for source in &self.sources {
            passwords.extend(source.passwords()?);
        }
        Ok(passwords)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({} sources)", self.sources.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::keys::{Binding, Locked, Memory};

    fn record(fingerprint: &str, bytes: &[u8]) -> Record {
        let fingerprint = Handle::parse(fingerprint).unwrap();
        Record::new(ProtocolName::Pgp, fingerprint, bytes.to_vec(), [])
    }

    fn concatenated(old: &Record, new: &Record) -> Result<Record> {
        Ok(old.clone().with_bytes([&**old.bytes(), &**new.bytes()].concat()))
    }

    fn holding(records: &[(&str, &[u8])]) -> Memory {
        let mut keys = Memory::new();
        for (fingerprint, bytes) in records {
            keys.add(record(fingerprint, bytes));
        }
        keys
    }

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";

    #[test]
    fn copies_are_put_together_in_order() {
        let sources: Vec<Arc<dyn Keys>> =
            vec![Arc::new(holding(&[(A, b"1")])), Arc::new(holding(&[(B, b"2"), (A, b"3")]))];
        let found = Chain::new(sources, concatenated).find(ProtocolName::Pgp, &Query::manage(Want::All)).unwrap();
        let bytes: Vec<&[u8]> = found.iter().map(|record| &**record.bytes()).collect();
        assert_eq!(bytes, [b"13".as_slice(), b"2".as_slice()]);
    }

    #[test]
    fn anchors_are_those_of_the_sources_until_others_replace_them() {
        let certificate =
            |fingerprint| Record::new(ProtocolName::Smime, Handle::parse(fingerprint).unwrap(), Vec::new(), []);
        let anchor = |fingerprint| certificate(fingerprint).with_bindings([Binding::Anchor]);
        let (mut one, mut other) = (Memory::new(), Memory::new());
        one.add(anchor(A));
        one.add_revocation(Arc::from(*b"1"));
        other.add(certificate(B));
        other.add_revocation(Arc::from(*b"2"));
        let chain = Chain::new(vec![Arc::new(one), Arc::new(other)], concatenated);
        let fingerprints = |chain: &Chain| -> Vec<String> {
            chain.anchors().unwrap().iter().map(|record| record.fingerprint().to_string()).collect()
        };
        assert_eq!(fingerprints(&chain), [A]);
        assert_eq!(chain.revocations().unwrap(), [Arc::from(*b"1"), Arc::from(*b"2")]);
        assert_eq!(fingerprints(&chain.with_anchors(vec![Arc::new(anchor(B))])), [B]);
    }

    #[derive(Debug)]
    struct Stuck;

    impl Locked for Stuck {
        fn unlock(&self, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
            Err(Error::no_key(format!("key {key}: no passphrase fits")))
        }
    }

    #[test]
    fn a_locked_key_is_an_error_only_when_nobody_opens_it() {
        let key = Handle::parse(A).unwrap();
        let mut stuck = holding(&[(A, b"1")]);
        stuck.add_locked([key.clone()], Arc::new(Stuck));
        let chain = Chain::new(vec![Arc::new(holding(&[])), Arc::new(stuck)], concatenated);
        let error = chain.secret(&record(A, b""), &key).unwrap_err();
        assert_eq!(error.to_string(), format!("key {A}: no passphrase fits"));
        assert!(chain.secret(&record(B, b""), &Handle::parse(B).unwrap()).unwrap().is_none());
    }

    /// Writes down what it is asked; fails where it has nothing.
    struct Network(Vec<Record>, std::sync::Mutex<Vec<Purpose>>);

    impl Network {
        fn of(records: &[Record]) -> Arc<Network> {
            Arc::new(Network(records.to_vec(), std::sync::Mutex::default()))
        }

        fn asked(&self) -> usize {
            self.1.lock().unwrap().len()
        }
    }

    impl Keys for Network {
        fn find(&self, _: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
            self.1.lock().unwrap().push(query.purpose);
            if self.0.is_empty() {
                return Err(Error::unavailable("no answer"));
            }
            Ok(self.0.iter().cloned().map(Arc::new).collect())
        }

        fn secret(&self, _: &Record, _: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
            Ok(None)
        }
    }

    fn bob() -> crate::mail::Address {
        crate::mail::Address::parse("bob@example.org").unwrap()
    }

    /// Usable when it has octets.
    fn of_bob(fingerprint: &str, bytes: &[u8]) -> Record {
        record(fingerprint, bytes).with_claimed([bob()])
    }

    fn tiers(local: &[Record], later: [&Arc<Network>; 2]) -> Chain {
        let mut keys = Memory::new();
        local.iter().for_each(|record| keys.add(record.clone()));
        let is_usable = |record: &Record, _: &Address| !record.bytes().is_empty();
        let [one, other] = later.map(|source| Arc::clone(source) as Arc<dyn Keys>);
        Chain::new(vec![Arc::new(keys)], concatenated).then("one", one, is_usable).then("other", other, is_usable)
    }

    fn found(chain: &Chain, purpose: Purpose, deadline: Option<Instant>) -> Result<Vec<Vec<u8>>> {
        reaching(chain, purpose, deadline, Reach::Network)
    }

    fn reaching(chain: &Chain, purpose: Purpose, deadline: Option<Instant>, reach: Reach) -> Result<Vec<Vec<u8>>> {
        let address = bob();
        let query = Query { deadline, reach, ..Query::new(purpose, Want::Address(&address)) };
        Ok(chain.find(ProtocolName::Pgp, &query)?.iter().map(|record| record.bytes().to_vec()).collect())
    }

    #[test]
    fn a_later_tier_is_asked_only_to_encrypt_and_only_where_no_earlier_one_has_a_usable_key() {
        for (local, first, second, expected, asked) in [
            (vec![of_bob(A, b"1")], vec![of_bob(B, b"2")], vec![], vec!["1"], [0, 0]),
            (vec![of_bob(A, b"")], vec![of_bob(B, b"2")], vec![of_bob(B, b"3")], vec!["", "2"], [1, 0]),
            // The same certificate, with more in it.
            (vec![of_bob(A, b"")], vec![of_bob(A, b"2")], vec![], vec!["2"], [1, 0]),
            (vec![], vec![of_bob(A, b"")], vec![of_bob(B, b"3")], vec!["", "3"], [1, 1]),
            // One that fails does not fail the next.
            (vec![], vec![], vec![of_bob(B, b"3")], vec!["3"], [1, 1]),
        ] {
            let (one, other) = (Network::of(&first), Network::of(&second));
            let chain = tiers(&local, [&one, &other]);
            assert_eq!(
                found(&chain, Purpose::Encrypt, None).unwrap(),
                expected.iter().map(|b| b.as_bytes()).collect::<Vec<_>>()
            );
            assert_eq!([one.asked(), other.asked()], asked);
            for purpose in [Purpose::Sign, Purpose::Verify, Purpose::Decrypt, Purpose::Manage] {
                found(&chain, purpose, None).unwrap();
            }
            let _ = reaching(&chain, Purpose::Encrypt, None, Reach::Local).unwrap();
            assert_eq!([one.asked(), other.asked()], asked, "others learned what is read");
        }
    }

    #[test]
    fn a_later_tier_that_fails_is_named_when_there_is_no_key() {
        let (one, other) = (Network::of(&[]), Network::of(&[of_bob(A, b"")]));
        let error = found(&tiers(&[], [&one, &other]), Purpose::Encrypt, None).unwrap_err();
        assert_eq!((error.to_string(), other.asked()), ("one: no answer".to_owned(), 1));
        let error = found(&tiers(&[], [&one, &other]), Purpose::Encrypt, Some(Instant::now())).unwrap_err();
        assert_eq!((error.to_string(), one.asked()), ("one: no time is left to ask".to_owned(), 1));
    }

    #[test]
    fn a_local_source_that_fails_fails_the_look_up_except_to_decrypt() {
        let broken: Arc<dyn Keys> = Network::of(&[]);
        let sources =
            |records: &[(&str, &[u8])]| vec![Arc::clone(&broken), Arc::new(holding(records)) as Arc<dyn Keys>];
        let fingerprint = Handle::parse(A).unwrap();
        let ask = |purpose, records| {
            let query = Query::new(purpose, Want::Handle(&fingerprint));
            Chain::new(sources(records), concatenated).find(ProtocolName::Pgp, &query).map(|found| found.len())
        };
        for purpose in [Purpose::Encrypt, Purpose::Sign, Purpose::Verify, Purpose::Manage] {
            assert_eq!(ask(purpose, &[(A, b"1")]).unwrap_err().to_string(), "no answer", "{purpose:?}");
        }
        assert_eq!(ask(Purpose::Decrypt, &[(A, b"1")]).unwrap(), 1);
        assert_eq!(ask(Purpose::Decrypt, &[]).unwrap_err().to_string(), "no answer");
    }
}
