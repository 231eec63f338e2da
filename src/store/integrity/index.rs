//! The indexes of certificates: two ordered lists whose entries name the next entry.
//!
//! An entry that was changed or lost does not fit its neighbours. So an empty result means that there is no such entry, not that one was lost. NSEC
//! records of DNSSEC prove absence in the same way.

use std::collections::BTreeSet;

use super::{Reader, Writer};
use crate::{
    base::Result,
    keys::{Binding, Handle, Record},
    store::{
        backend::{Entry, Index, Link},
        binding,
    },
};

impl Index {
    pub(in crate::store) const ALL: [Index; 2] = [Index::Address, Index::Handle];

    /// The list's name, and that of its table.
    pub(in crate::store) fn name(self) -> &'static str {
        match self {
            Index::Address => "address",
            Index::Handle => "handle",
        }
    }

    /// Whether `record` is found by `term`.
    pub(super) fn finds(self, record: &Record, term: &str) -> bool {
        match self {
            Index::Address => {
                record.claimed().iter().any(|address| address.to_string().eq_ignore_ascii_case(term))
                    || record.bindings().iter().filter_map(bound).any(|own| own == term)
            }
            Index::Handle => record.handles().iter().any(|handle| self::term(handle) == term),
        }
    }

    /// What `record` is found by.
    pub(super) fn terms(self, record: &Record) -> BTreeSet<String> {
        match self {
            Index::Address => {
                let claimed = record.claimed().iter().map(|address| address.to_string().to_ascii_lowercase());
                claimed.chain(record.bindings().iter().filter_map(bound)).collect()
            }
            Index::Handle => record.handles().iter().map(term).collect(),
        }
    }
}

/// The term of a binding; `None` for user IDs, which the certificate claims itself.
pub(super) fn bound(binding: &Binding) -> Option<String> {
    match binding {
        Binding::Address(address) => Some(address.to_string().to_ascii_lowercase()),
        Binding::Anchor => Some(binding::ANCHOR.to_owned()),
        Binding::Found { .. } | Binding::Revoked(_) | Binding::UserIds => None,
    }
}

/// The term of a handle.
pub(super) fn term(handle: &Handle) -> String {
    if handle.as_str().len() == WHOLE { forwards(handle) } else { backwards(handle) }
}

/// The beginning of the terms that a handle names as the beginning of a fingerprint.
pub(super) fn forwards(handle: &Handle) -> String {
    format!(">{handle}")
}

/// The beginning of the terms that a handle names as the end of a fingerprint.
pub(super) fn backwards(handle: &Handle) -> String {
    let mut sought = "<".to_owned();
    sought.extend(handle.as_str().chars().rev());
    sought
}

impl Entry {
    /// Its name in the entry before it.
    fn name(&self) -> String {
        format!("{} {}", self.sought, self.number)
    }
}

impl Reader<'_> {
    /// The entries from `from` to before `to`, checked against their neighbours.
    pub(super) fn entries(&self, index: Index, from: &str, to: &str) -> Result<Vec<Entry>> {
        let links = self.rows.links(index, from, to)?;
        let is_whole = links.iter().zip(links.iter().skip(1)).all(|(one, after)| one.next == after.entry.name())
            && links.first().is_some_and(|first| first.entry.sought.as_str() < from)
            && links.last().is_some_and(|last| last.next.is_empty() || sought_in(&last.next) >= to);
        if !is_whole {
            return Err(self.damaged(&format!("index of {}", index.name())));
        }
        Ok(links.into_iter().map(|link| link.entry).filter(|entry| entry.sought.as_str() >= from).collect())
    }

    /// Whether a list consists of `entries`.
    pub(in crate::store) fn is_built_from(&self, index: Index, entries: Vec<Entry>) -> Result<bool> {
        Ok(linked(entries) == self.rows.all_links(index)?)
    }

    fn link_before(&self, index: Index, entry: &Entry) -> Result<Link> {
        self.rows.link_before(index, entry)?.ok_or_else(|| self.damaged(&format!("index of {}", index.name())))
    }
}

impl Writer<'_> {
    /// Adds an entry, unless it exists.
    pub(super) fn enter(&self, index: Index, entry: Entry) -> Result<()> {
        if self.rows.link(index, &entry)?.is_some() {
            return Ok(());
        }
        let before = self.link_before(index, &entry)?;
        let name = entry.name();
        self.rows.put_link(index, &Link { entry, next: before.next })?;
        self.rows.put_link(index, &Link { entry: before.entry, next: name })
    }

    /// Removes an entry.
    pub(super) fn leave(&self, index: Index, entry: &Entry) -> Result<()> {
        let damaged = || self.damaged(&format!("index of {}", index.name()));
        let link = self.rows.link(index, entry)?.ok_or_else(damaged)?;
        let before = self.link_before(index, entry)?;
        if before.next != entry.name() {
            return Err(damaged());
        }
        self.rows.delete_link(index, entry)?;
        self.rows.put_link(index, &Link { entry: before.entry, next: link.next })
    }

    /// Rebuilds a list.
    pub(in crate::store) fn rebuild(&self, index: Index, entries: Vec<Entry>) -> Result<()> {
        self.rows.clear_links(index)?;
        linked(entries).iter().try_for_each(|link| self.rows.put_link(index, link))
    }
}

/// The links of a list: an empty entry and `entries`, in order, each with the name of the next one.
fn linked(mut entries: Vec<Entry>) -> Vec<Link> {
    entries.push(Entry { sought: String::new(), number: 0 });
    entries.sort();
    entries.dedup();
    let names: Vec<String> = entries.iter().skip(1).map(Entry::name).chain([String::new()]).collect();
    entries.into_iter().zip(names).map(|(entry, next)| Link { entry, next }).collect()
}

/// The term in an entry's name.
fn sought_in(name: &str) -> &str {
    name.rsplit_once(' ').map_or(name, |(sought, _)| sought)
}

/// The digits of a fingerprint whose key ID is its beginning (RFC 9580, section 5.5.4).
const WHOLE: usize = 64;
