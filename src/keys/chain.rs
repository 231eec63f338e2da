//! Several key sources, used as one.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Deprecated, Handle, Keys, ProtocolName, Record, Want};
use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
};

/// Key sources in order. The first source that has a secret key provides it; copies of one certificate are merged, so that a revocation in any of
/// them counts.
pub struct Chain {
    sources: Vec<Arc<dyn Keys>>,
    merge: fn(&Record, &Record) -> Result<Record>,
    /// Instead of the anchors of the sources.
    anchors: Option<Vec<Arc<Record>>>,
}

impl Chain {
    /// `merge` merges two copies of one certificate (for OpenPGP `protocol::pgp::keyfile::merge`).
    pub fn new(sources: Vec<Arc<dyn Keys>>, merge: fn(&Record, &Record) -> Result<Record>) -> Self {
        Chain { sources, merge, anchors: None }
    }

    /// The same keys, with `anchors` as the only trust anchors.
    #[must_use]
    pub fn with_anchors(self, anchors: Vec<Arc<Record>>) -> Self {
        Chain { anchors: Some(anchors), ..self }
    }

    fn put_together(&self, copies: Vec<Arc<Record>>) -> Result<Vec<Arc<Record>>> {
        let mut places: BTreeMap<Handle, usize> = BTreeMap::new();
        let mut together: Vec<Arc<Record>> = Vec::new();
        for copy in copies {
            let seen = places.get(&copy.fingerprint).and_then(|place| together.get_mut(*place));
            match seen {
                Some(seen) => *seen = Arc::new((self.merge)(seen, &copy)?),
                None => {
                    places.insert(copy.fingerprint.clone(), together.len());
                    together.push(copy);
                }
            }
        }
        Ok(together)
    }

    fn copies(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let mut copies = Vec::new();
        for source in &self.sources {
            copies.extend(source.find(protocol, want)?);
        }
        Ok(copies)
    }
}

impl Keys for Chain {
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>> {
        let found = self.put_together(self.copies(protocol, want)?)?;
        if matches!(want, Want::All | Want::Certificate(_)) || self.sources.len() < 2 {
            return Ok(found);
        }
        // A copy without the address or the subkey may still have a revocation.
        let mut whole = Vec::with_capacity(found.len());
        for record in found {
            whole.extend(self.put_together(self.copies(protocol, &Want::Certificate(&record.fingerprint))?)?);
        }
        Ok(whole)
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
    use super::*;
    use crate::{
        base::Error,
        keys::{Binding, Locked, Memory},
    };

    fn record(fingerprint: &str, bytes: &[u8]) -> Record {
        let fingerprint = Handle::parse(fingerprint).unwrap();
        Record {
            protocol: ProtocolName::Pgp,
            handles: vec![fingerprint.clone()],
            fingerprint,
            claimed: Vec::new(),
            bindings: Vec::new(),
            bytes: bytes.to_vec().into(),
            secrets: Vec::new(),
            capabilities: None,
        }
    }

    fn concatenated(old: &Record, new: &Record) -> Result<Record> {
        let mut both = old.clone();
        both.bytes = [&*old.bytes, &*new.bytes].concat().into();
        Ok(both)
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
        let found = Chain::new(sources, concatenated).find(ProtocolName::Pgp, &Want::All).unwrap();
        let bytes: Vec<&[u8]> = found.iter().map(|record| &*record.bytes).collect();
        assert_eq!(bytes, [b"13".as_slice(), b"2".as_slice()]);
    }

    #[test]
    fn anchors_are_those_of_the_sources_until_others_replace_them() {
        let anchor = |fingerprint| Record {
            protocol: ProtocolName::Smime,
            bindings: vec![Binding::Anchor],
            ..record(fingerprint, b"")
        };
        let (mut one, mut other) = (Memory::new(), Memory::new());
        one.add(anchor(A));
        one.add_revocation(Arc::from(*b"1"));
        other.add(Record { bindings: Vec::new(), ..anchor(B) });
        other.add_revocation(Arc::from(*b"2"));
        let chain = Chain::new(vec![Arc::new(one), Arc::new(other)], concatenated);
        let fingerprints = |chain: &Chain| -> Vec<String> {
            chain.anchors().unwrap().iter().map(|record| record.fingerprint.to_string()).collect()
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
}
