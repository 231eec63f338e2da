//! The copies of one certificate or bare key: several sources of keys may each hold one.

use std::sync::Arc;

use crate::{
    base::{Hint, Result},
    keys::{Binding, Handle, Record, Source},
    mail::Address,
    protocol::unfit::Refusal,
};

/// All copies of one certificate or bare key in the key store.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Copies {
    fingerprint: Handle,
    records: Vec<Arc<Record>>,
}

impl Copies {
    /// The certificates among `records`, each with all its copies, in the order in which they were found.
    pub(in crate::protocol) fn grouped(records: Vec<Arc<Record>>) -> Vec<Copies> {
        let mut groups: Vec<Copies> = Vec::new();
        for record in records {
            match groups.iter_mut().find(|group| &group.fingerprint == record.fingerprint()) {
                Some(group) => group.records.push(record),
                None => groups.push(Copies { fingerprint: record.fingerprint().clone(), records: vec![record] }),
            }
        }
        groups
    }

    /// The one certificate or key among `records` that `handle` names as a signing key: one with a secret part, if there is any.
    ///
    /// Refused when there is none, or several.
    pub(in crate::protocol) fn named(handle: &Handle, records: Vec<Arc<Record>>) -> Result<Copies, Refusal> {
        let mut groups = Copies::grouped(records);
        if groups.iter().any(Copies::has_secrets) {
            groups.retain(Copies::has_secrets);
        }
        match (groups.pop(), groups.as_slice()) {
            (Some(only), []) => Ok(only),
            (None, _) => Err(Refusal::missing(format!("key {handle}: not found")).with_hint(Hint::ListKeys)),
            (Some(last), others) => {
                let list: Vec<&str> = others.iter().chain([&last]).map(|one| one.fingerprint.as_str()).collect();
                Err(Refusal::missing(format!("key {handle}: names several: {}", list.join(", ")))
                    .with_hint("give the whole fingerprint"))
            }
        }
    }

    /// What reports call it.
    pub(in crate::protocol) fn fingerprint(&self) -> &Handle {
        &self.fingerprint
    }

    /// Every copy; at least one.
    pub(in crate::protocol) fn records(&self) -> &[Arc<Record>] {
        &self.records
    }

    /// The copies beside which a secret part is held.
    pub(in crate::protocol) fn with_secrets(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().filter(|record| !record.secrets().is_empty())
    }

    /// Whether the owner named `address` for it.
    pub(in crate::protocol) fn is_named_for(&self, address: &Address) -> bool {
        self.bindings().any(|binding| matches!(binding, Binding::Address(named) if named == address))
    }

    /// What ties it to `address`, as far as its records say ([`Record::source`]); what one copy claims may be trusted by another.
    pub(in crate::protocol) fn source(&self, address: &Address) -> Source {
        let claims = || self.records.iter().any(|record| record.claimed().contains(address));
        if self.bindings().any(|binding| *binding == Binding::UserIds) && claims() {
            return Source::Owner;
        }
        self.records.iter().map(|record| record.source(address)).max().unwrap_or(Source::Claim)
    }

    /// Whether the owner ties it to `address`.
    pub(in crate::protocol) fn is_bound_to(&self, address: &Address) -> bool {
        self.source(address) == Source::Owner
    }

    /// Whether a secret part of it is here.
    pub(in crate::protocol) fn has_secrets(&self) -> bool {
        self.with_secrets().next().is_some()
    }

    /// Trusts every copy for one more reason, in this selection alone.
    pub(in crate::protocol) fn bind(&mut self, binding: &Binding) {
        self.records.iter_mut().for_each(|record| Arc::make_mut(record).bind(binding.clone()));
    }

    fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.records.iter().flat_map(|record| record.bindings())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::Error, keys::ProtocolName};

    enum Secret {
        Absent,
        Here,
    }

    fn record(name: u8, secret: Secret, bindings: Vec<Binding>) -> Arc<Record> {
        let fingerprint = Handle::from_octets(&[name; 8]);
        let secret = matches!(secret, Secret::Here).then(|| fingerprint.clone());
        let record = Record::new(ProtocolName::Smime, fingerprint, Vec::new(), secret);
        Arc::new(record.with_claimed([address("bob@example.org")]).with_bindings(bindings))
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn they_are_one_and_what_one_of_them_says_holds_for_all() {
        let [bob, eve] = ["bob@example.org", "eve@example.org"].map(address);
        let groups = Copies::grouped(vec![
            record(1, Secret::Absent, vec![]),
            record(2, Secret::Here, vec![Binding::Anchor]),
            record(1, Secret::Here, vec![Binding::UserIds]),
            record(3, Secret::Absent, vec![Binding::Address(eve.clone())]),
        ]);
        let found: Vec<_> = groups.iter().map(|one| (one.records.len(), one.has_secrets())).collect();
        assert_eq!(found, [(2, true), (1, true), (1, false)]);
        let bound = |address: &Address| groups.iter().map(|one| one.is_bound_to(address)).collect::<Vec<_>>();
        assert_eq!(bound(&bob), [true, false, false]);
        assert_eq!(bound(&eve), [false, false, true]);
        let by_name = groups.iter().map(|one| one.is_named_for(&bob)).collect::<Vec<_>>();
        assert_eq!(by_name, [false, false, false]);
    }

    #[test]
    fn a_handle_names_the_one_that_can_sign() {
        let handle = Handle::from_octets(&[1; 8]);
        let named = |records: Vec<Arc<Record>>| {
            Copies::named(&handle, records).map(|one| one.fingerprint.to_string()).map_err(Error::from)
        };
        let (public, other) = (record(1, Secret::Absent, vec![]), record(2, Secret::Here, vec![]));
        assert_eq!(named(vec![public.clone()]).unwrap(), "0101010101010101");
        assert_eq!(named(vec![public.clone(), other.clone()]).unwrap(), "0202020202020202");
        let several = named(vec![record(1, Secret::Here, vec![]), other]).unwrap_err().to_string();
        assert_eq!(several, "key 0101010101010101: names several: 0101010101010101, 0202020202020202");
        assert_eq!(named(vec![]).unwrap_err().to_string(), "key 0101010101010101: not found");
    }
}
