//! Why certificates are trusted.

use std::time::SystemTime;

use super::{Reader, Writer, certificates::entry, digest};
use crate::{
    base::{Error, Result, rfc3339},
    keys::{Binding, Handle},
    store::{
        backend::{BindingRow, CertificateRow, Index},
        binding::{self, Origin},
    },
};

impl Reader<'_> {
    /// The bindings of a certificate, in the order in which they were made. A damaged one is an error: it might be the one that decides.
    pub(super) fn bindings(&self, row: &CertificateRow) -> Result<Vec<Binding>> {
        if row.bound.is_empty() {
            return Ok(Vec::new());
        }
        let (subjects, digest) = self.bound(&row.fingerprint)?;
        let damaged = || self.damaged(&format!("bindings of {}", row.fingerprint));
        if digest != row.bound {
            return Err(damaged());
        }
        subjects.iter().map(|subject| binding::read(subject).ok_or_else(damaged)).collect()
    }

    /// The stored subjects of a certificate's bindings, and their digest; both empty when there are none.
    pub(super) fn bound(&self, fingerprint: &str) -> Result<(Vec<String>, Vec<u8>)> {
        let rows = self.rows.bindings(fingerprint)?;
        if rows.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let parts = rows.iter().flat_map(|row| [&row.subject, &row.sought, &row.origin, &row.at]);
        let digest = digest(parts.map(String::as_bytes));
        Ok((rows.into_iter().map(|row| row.subject).collect(), digest))
    }
}

impl Writer<'_> {
    /// Stores a binding of a stored certificate; returns whether it is new.
    ///
    /// # Errors
    ///
    /// `NoKey` when the certificate is not stored.
    pub(in crate::store) fn bind(
        &self,
        fingerprint: &Handle,
        binding: &Binding,
        origin: Origin,
        at: SystemTime,
    ) -> Result<bool> {
        let subject = binding::written(binding)?;
        let row = self.row(fingerprint)?;
        let mut row = row.ok_or_else(|| Error::no_key(format!("key {fingerprint}: no certificate here")))?;
        if self.bindings(&row)?.contains(binding) {
            return Ok(false);
        }
        // Replaces a row that no digest covers.
        let sought = subject.to_ascii_lowercase();
        let stored = BindingRow { subject, sought, origin: origin.name().to_owned(), at: rfc3339(at) };
        self.rows.put_binding(fingerprint.as_str(), &stored)?;
        self.journal.binding(fingerprint, &stored.subject, "bound");
        row.bound = self.bound(&row.fingerprint)?.1;
        self.settle(&mut row)?;
        self.find_by(&row, binding)?;
        Ok(true)
    }

    /// Removes the bindings of a stored certificate that `goes` says of, and returns them.
    ///
    /// # Errors
    ///
    /// `NoKey` when the certificate is not stored.
    pub(in crate::store) fn unbind(
        &self,
        fingerprint: &Handle,
        goes: impl Fn(&Binding) -> bool,
    ) -> Result<Vec<Binding>> {
        let row = self.row(fingerprint)?;
        let mut row = row.ok_or_else(|| Error::no_key(format!("key {fingerprint}: no certificate here")))?;
        let before = self.read(row.clone())?;
        let (gone, left): (Vec<Binding>, Vec<Binding>) = before.bindings().iter().cloned().partition(goes);
        if gone.is_empty() {
            return Ok(gone);
        }
        for binding in &gone {
            self.journal.binding(fingerprint, &binding::written(binding)?, "unbound");
        }
        let stored = self.rows.bindings(fingerprint.as_str())?;
        self.rows.delete_bindings(fingerprint.as_str())?;
        for kept in stored.iter().filter(|row| binding::read(&row.subject).is_some_and(|read| left.contains(&read))) {
            self.rows.put_binding(fingerprint.as_str(), kept)?;
        }
        row.bound = self.bound(&row.fingerprint)?.1;
        self.settle(&mut row)?;
        let after = before.clone().with_bindings(left);
        let (was, is) = (Index::Address.terms(&before), Index::Address.terms(&after));
        was.difference(&is).try_for_each(|term| self.leave(Index::Address, &entry(term, row.number)))?;
        Ok(gone)
    }
}
