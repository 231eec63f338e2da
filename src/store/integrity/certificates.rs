//! Certificates, their index entries, and their secret parts.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Reader, Writer, digest,
    index::{backwards, bound, forwards, term},
};
use crate::{
    base::Result,
    keys::{Binding, Handle, ProtocolName, Record, Want},
    mail::Address,
    store::{
        backend::{CertificateRow, Entry, Found, Index, Records},
        binding,
    },
};

impl CertificateRow {
    /// The digest that it should have. It does not cover the number: the index does.
    pub(super) fn true_digest(&self) -> Vec<u8> {
        digest([
            self.fingerprint.as_bytes(),
            self.protocol.as_bytes(),
            self.handles.as_bytes(),
            self.secrets.as_bytes(),
            self.addresses.as_bytes(),
            &self.octets,
            &self.bound,
            &self.heard,
            &self.sealed,
        ])
    }

    /// The record, without bindings and capabilities; `None` when a column cannot be read.
    pub(super) fn record(&self) -> Option<Record> {
        let protocol = PROTOCOLS.into_iter().find(|known| known.name() == self.protocol)?;
        let fingerprint = Handle::parse(&self.fingerprint).ok()?;
        let claimed = self.addresses.split('\t').filter_map(|address| Address::parse(address).ok());
        let record = Record::new(protocol, fingerprint, self.octets.clone(), list(&self.secrets)?);
        Some(record.with_handles(list(&self.handles)?).with_claimed(claimed))
    }

    /// The row of `record`, without digests.
    pub(super) fn from_record(record: &Record) -> CertificateRow {
        let joined = |handles: &[Handle]| handles.iter().map(Handle::as_str).collect::<Vec<_>>().join(",");
        CertificateRow {
            fingerprint: record.fingerprint().to_string(),
            protocol: record.protocol().name().to_owned(),
            handles: joined(record.handles()),
            secrets: joined(record.secrets()),
            addresses: kept(record.claimed()).iter().map(ToString::to_string).collect::<Vec<_>>().join("\t"),
            octets: record.bytes().to_vec(),
            ..CertificateRow::default()
        }
    }
}

impl Reader<'_> {
    /// The certificates of `protocol` that may match, in order: the caller checks whether they do. Those in `known` are not read again.
    pub(in crate::store) fn certificates(
        &self,
        protocol: ProtocolName,
        want: Want<'_>,
        known: &Records,
    ) -> Result<Vec<Arc<Record>>> {
        let mut found = match want {
            Want::All => self.every(protocol, known)?,
            Want::Certificate(fingerprint) => self.known_or_read(fingerprint, known)?.into_iter().collect(),
            Want::Secrets => {
                let all = self.with_secrets(protocol)?.into_iter();
                let records = all.map(|fingerprint| self.known_or_read(&Handle::parse(&fingerprint)?, known));
                records.filter_map(Result::transpose).collect::<Result<_>>()?
            }
            Want::Address(address) => {
                let sought = address.to_string().to_ascii_lowercase();
                self.named(Index::Address, &self.entries(Index::Address, &sought, &after(&sought))?, known)?
            }
            Want::Handle(handle) => {
                let mut entries = Vec::new();
                for sought in [forwards(handle), backwards(handle)] {
                    // 'G' sorts after every digit.
                    entries.extend(self.entries(Index::Handle, &sought, &format!("{sought}G"))?);
                }
                self.named(Index::Handle, &entries, known)?
            }
        };
        found.retain(|record| record.protocol() == protocol);
        found.sort_by(|one, other| one.fingerprint().cmp(other.fingerprint()));
        Ok(found)
    }

    fn known_or_read(&self, fingerprint: &Handle, known: &Records) -> Result<Option<Arc<Record>>> {
        match known.get(fingerprint.as_str()) {
            Some(record) => Ok(Some(record)),
            None => self.row(fingerprint)?.map(|row| self.read(row).map(Arc::new)).transpose(),
        }
    }

    /// The trust anchors, in the order in which they were stored. Those in `known` are not read again.
    pub(in crate::store) fn anchors(&self, known: &Records) -> Result<Vec<Arc<Record>>> {
        self.named(Index::Address, &self.entries(Index::Address, binding::ANCHOR, &after(binding::ANCHOR))?, known)
    }

    /// The fingerprints of the certificates of `protocol` with secret parts, in order.
    pub(in crate::store) fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        self.rows.with_secrets(protocol)
    }

    /// The certificate with this fingerprint, with its bindings.
    pub(in crate::store) fn record(&self, fingerprint: &Handle) -> Result<Option<Record>> {
        self.row(fingerprint)?.map(|row| self.read(row)).transpose()
    }

    /// The row of this fingerprint, checked.
    pub(super) fn row(&self, fingerprint: &Handle) -> Result<Option<CertificateRow>> {
        let sought = term(fingerprint);
        for entry in self.entries(Index::Handle, &sought, &after(&sought))? {
            let row = self.stored(entry.number)?;
            let row = row.ok_or_else(|| self.damaged(&format!("certificate of {fingerprint}")))?;
            if row.digest != row.true_digest() {
                return Err(self.damaged(&format!("certificate {}", row.fingerprint)));
            }
            if row.fingerprint == fingerprint.as_str() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Every certificate of `protocol`; an error when one is missing.
    fn every(&self, protocol: ProtocolName, known: &Records) -> Result<Vec<Arc<Record>>> {
        if self.rows.count(&PROTOCOLS)? != self.count()? {
            return Err(self.damaged("the set of certificates"));
        }
        let rows = self.rows.certificates(protocol, known)?;
        rows.into_iter().map(|found| self.whole(found)).collect()
    }

    /// The certificates that index entries name. One that does not contain the entry's term is an error: the index or the row is damaged.
    fn named(&self, index: Index, entries: &[Entry], known: &Records) -> Result<Vec<Arc<Record>>> {
        let mut records: Vec<Arc<Record>> = Vec::with_capacity(entries.len());
        let mut numbers = BTreeSet::new();
        for entry in entries {
            if !numbers.insert(entry.number) {
                continue;
            }
            let found = self.rows.certificate(entry.number, known)?;
            let found = found.ok_or_else(|| self.damaged(&format!("certificate of {}", entry.sought)))?;
            let record = self.whole(found)?;
            if !index.finds(&record, &entry.sought) {
                return Err(self.damaged(&format!("index of {}, {}", index.name(), record.fingerprint())));
            }
            records.push(record);
        }
        Ok(records)
    }

    fn whole(&self, found: Found) -> Result<Arc<Record>> {
        match found {
            Found::Known(record) => Ok(record),
            Found::New(row) => self.read(*row).map(Arc::new),
        }
    }

    /// The record of a row, with bindings and capabilities, checked.
    pub(super) fn read(&self, row: CertificateRow) -> Result<Record> {
        let damaged = || self.damaged(&format!("certificate {}", row.fingerprint));
        if row.digest != row.true_digest() {
            return Err(damaged());
        }
        let record = row.record().ok_or_else(damaged)?;
        Ok(record.with_bindings(self.bindings(&row)?).with_capabilities(self.capabilities(&row)?))
    }

    /// Whether something of a certificate was set aside as damaged.
    pub(in crate::store) fn is_lost(&self, fingerprint: &Handle) -> Result<bool> {
        self.rows.is_set_aside(fingerprint.as_str())
    }

    /// The row of this number, not checked.
    pub(super) fn stored(&self, number: i64) -> Result<Option<CertificateRow>> {
        Ok(self.rows.certificate(number, &Records::new())?.and_then(|found| match found {
            Found::New(row) => Some(*row),
            Found::Known(_) => None,
        }))
    }

    /// The secret parts of a certificate, sealed.
    pub(in crate::store) fn sealed(&self, fingerprint: &Handle) -> Result<Option<Vec<u8>>> {
        let Some(row) = self.row(fingerprint)? else { return Ok(None) };
        if row.sealed.is_empty() {
            return Ok(None);
        }
        let sealed = self.rows.secret(row.number)?;
        let is_whole = |sealed: &Vec<u8>| digest([sealed.as_slice()]) == row.sealed;
        sealed.filter(is_whole).map(Some).ok_or_else(|| self.damaged(&format!("secret key of {fingerprint}")))
    }
}

impl Writer<'_> {
    /// Stores a certificate, or replaces the one with its fingerprint; bindings, capabilities and secret parts stay.
    pub(in crate::store) fn keep(&self, record: &Record) -> Result<()> {
        let old = self.row(record.fingerprint())?;
        let old_record = old.clone().map(|row| self.read(row)).transpose()?;
        let mut row = CertificateRow::from_record(record);
        if let Some(old) = &old {
            (row.bound, row.heard, row.sealed) = (old.bound.clone(), old.heard.clone(), old.sealed.clone());
        } else {
            // An older version left bindings behind when it removed a certificate. They must not be trusted again.
            self.rows.delete_bindings(&row.fingerprint)?;
            self.set_count(self.count()? + 1)?;
        }
        row.digest = row.true_digest();
        let number = self.rows.put_certificate(&row)?;
        let done = if old.is_some() { "changed" } else { "stored" };
        self.journal.certificate(record.fingerprint(), record.protocol(), done);
        let bindings = old_record.as_ref().map(|old| old.bindings().to_vec()).unwrap_or_default();
        let new_record = record.clone().with_claimed(kept(record.claimed())).with_bindings(bindings);
        for index in Index::ALL {
            let was = old_record.as_ref().map(|old| index.terms(old)).unwrap_or_default();
            let is = index.terms(&new_record);
            was.difference(&is).try_for_each(|term| self.leave(index, &entry(term, number)))?;
            is.difference(&was).try_for_each(|term| self.enter(index, entry(term, number)))?;
        }
        Ok(())
    }

    /// Removes a certificate with its bindings, capabilities and secret parts; returns whether it was stored.
    pub(in crate::store) fn forget(&self, fingerprint: &Handle) -> Result<bool> {
        let Some(row) = self.row(fingerprint)? else { return Ok(false) };
        let number = row.number;
        let record = self.read(row)?;
        for index in Index::ALL {
            index.terms(&record).iter().try_for_each(|term| self.leave(index, &entry(term, number)))?;
        }
        self.rows.delete_bindings(fingerprint.as_str())?;
        self.rows.delete_set_aside(fingerprint.as_str())?;
        self.rows.delete_certificate(number)?;
        self.set_count(self.count()? - 1)?;
        self.note_tokens(fingerprint.as_str(), Vec::new())?;
        self.journal.certificate(fingerprint, record.protocol(), "removed");
        Ok(true)
    }

    /// Stores the secret parts of a stored certificate.
    pub(in crate::store) fn keep_sealed(&self, fingerprint: &Handle, sealed: &[u8]) -> Result<()> {
        let row = self.row(fingerprint)?;
        let mut row = row.ok_or_else(|| self.damaged(&format!("certificate of {fingerprint}")))?;
        self.rows.put_secret(row.number, sealed)?;
        self.journal.secret(fingerprint);
        row.sealed = digest([sealed]);
        self.settle(&mut row)
    }

    /// Writes a row with its digest.
    pub(super) fn settle(&self, row: &mut CertificateRow) -> Result<()> {
        row.digest = row.true_digest();
        self.rows.replace_certificate(row)
    }

    /// Puts a certificate into the index of addresses for a binding.
    pub(super) fn find_by(&self, row: &CertificateRow, binding: &Binding) -> Result<()> {
        bound(binding).map_or(Ok(()), |term| self.enter(Index::Address, entry(&term, row.number)))
    }
}

pub(super) fn entry(term: &str, number: i64) -> Entry {
    Entry { sought: term.to_owned(), number }
}

/// The addresses that can be stored: those that are the same after being written and read.
fn kept(claimed: &[Address]) -> Vec<Address> {
    let survives = |address: &&Address| {
        let text = address.to_string();
        !text.contains(['\t', '\n', '\r']) && Address::parse(&text).is_ok()
    };
    claimed.iter().filter(survives).cloned().collect()
}

/// The end of a range that holds `sought` alone: no term has a control character.
fn after(sought: &str) -> String {
    format!("{sought}\u{1}")
}

fn list(text: &str) -> Option<Vec<Handle>> {
    text.split(',').filter(|handle| !handle.is_empty()).map(|handle| Handle::parse(handle).ok()).collect()
}

const PROTOCOLS: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];
