//! Where records lie in a list, by what names them: a list of thousands is not walked for each question.

use std::collections::{BTreeSet, HashMap};

use super::{Binding, Handle, Record, Want};
use crate::mail::Address;

/// The places of records.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    addresses: HashMap<Address, BTreeSet<usize>>,
    fingerprints: HashMap<Handle, BTreeSet<usize>>,
    /// By the digits that a key ID has of a handle: [`ends`].
    handles: HashMap<[u8; DIGITS], BTreeSet<usize>>,
    /// Those with a handle that is too short for that.
    short: BTreeSet<usize>,
}

impl Index {
    /// Enters the record at `place`, again after it was changed.
    pub(super) fn enter(&mut self, place: usize, record: &Record) {
        self.fingerprints.entry(record.fingerprint().clone()).or_default().insert(place);
        let bound = record.bindings().iter().filter_map(|binding| match binding {
            Binding::Address(bound) | Binding::Found { address: bound, .. } => Some(bound),
            Binding::Anchor | Binding::Revoked(_) | Binding::UserIds => None,
        });
        for address in record.claimed().iter().chain(bound) {
            self.addresses.entry(address.clone()).or_default().insert(place);
        }
        for handle in record.handles() {
            match ends(handle) {
                Some(both) => both.into_iter().for_each(|end| {
                    self.handles.entry(end).or_default().insert(place);
                }),
                None => {
                    self.short.insert(place);
                }
            }
        }
    }

    /// The places of the records that may match; `None`: each of them may.
    pub(super) fn candidates(&self, want: Want<'_>) -> Option<BTreeSet<usize>> {
        let of = |places: Option<&BTreeSet<usize>>| places.cloned().unwrap_or_default();
        match want {
            Want::All | Want::Secrets => None,
            Want::Address(address) => Some(of(self.addresses.get(address))),
            Want::Certificate(fingerprint) => Some(of(self.fingerprints.get(fingerprint))),
            Want::Handle(handle) => {
                let found = ends(handle)?.into_iter().flat_map(|end| of(self.handles.get(&end)));
                Some(found.chain(self.short.iter().copied()).collect())
            }
        }
    }

    /// The places of all copies of the certificate with this fingerprint.
    pub(super) fn copies(&self, fingerprint: &Handle) -> impl Iterator<Item = usize> {
        self.fingerprints.get(fingerprint).into_iter().flatten().copied()
    }
}

/// The first and the last digits of a handle, of which a key ID has one or the other ([`Handle::is_named_by`]); `None` of one that is shorter than a
/// key ID.
fn ends(handle: &Handle) -> Option<[[u8; DIGITS]; 2]> {
    let digits = handle.as_str().as_bytes();
    Some([*digits.first_chunk()?, *digits.last_chunk()?])
}

/// Hexadecimal digits of a key ID. Source: RFC 9580, section 5.5.4.
const DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::ProtocolName;

    /// Wherever [`Handle::is_named_by`] says so, the index has the record among its candidates.
    #[test]
    fn a_key_id_is_the_end_of_a_fingerprint_or_its_beginning() {
        let octets: Vec<u8> = (1..=32).collect();
        let (four, six) = (Handle::from_octets(&octets[..20]), Handle::from_octets(&octets));
        let mut index = Index::default();
        for (place, handle) in [&four, &six].into_iter().enumerate() {
            index.enter(place, &Record::new(ProtocolName::Pgp, handle.clone(), Vec::new(), []));
        }
        let found = |octets: &[u8]| index.candidates(Want::Handle(&Handle::from_octets(octets))).unwrap();
        assert!(found(&octets[12..20]).contains(&0), "the key ID of version 4");
        assert!(found(&octets[..8]).contains(&1) && found(&octets[..11]).contains(&1), "that of version 6");
        assert!(found(&octets[..20]).contains(&0) && found(&octets).contains(&1));
        assert!(found(&[9; 8]).is_empty());
    }
}
