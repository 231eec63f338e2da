//! A backend in memory: each table a map.

use std::{
    cell::{Ref, RefCell, RefMut},
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use postseal::{
    base::{Error, Kind, Result},
    keys::ProtocolName,
    store::{
        backend::{
            Backend, BindingRow, CapabilityRow, CertificateRow, Entry, Found, Index, Link, MasterRow, Records,
            StatementRow, Tx, View,
        },
        write_digests,
    },
};

/// Tables that several key stores share. The version stays after a change by the same key store.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    rows: Arc<Mutex<Option<Rows>>>,
    /// How many changes were made here.
    own: AtomicI64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    changes: i64,
    last: i64,
    pub(crate) certificates: BTreeMap<i64, CertificateRow>,
    secrets: BTreeMap<i64, Vec<u8>>,
    capabilities: BTreeMap<i64, CapabilityRow>,
    bindings: Vec<(String, BindingRow)>,
    links: BTreeMap<(Index, Entry), String>,
    statements: BTreeMap<Vec<u8>, Vec<u8>>,
    master: Option<MasterRow>,
    totals: BTreeMap<String, Vec<u8>>,
    aside: Vec<(String, String, Vec<u8>)>,
}

/// The tables within one transaction.
struct Open(RefCell<Rows>, i64);

impl Tables {
    /// The same tables, for another key store.
    pub(crate) fn beside(&self) -> Tables {
        Tables { rows: Arc::clone(&self.rows), own: AtomicI64::new(0) }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Rows)) {
        let mut rows = self.rows.lock().unwrap();
        let rows = rows.as_mut().unwrap();
        change(rows);
        rows.changes += 1;
    }

    fn run(&self, rows: &mut Option<Rows>, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        let is_new = rows.is_none();
        let open = Open(RefCell::new(rows.clone().unwrap_or_default()), self.own.load(Ordering::SeqCst));
        if is_new {
            write_digests(&open)?;
        }
        work(&open)?;
        let mut done = open.0.into_inner();
        done.changes += 1;
        self.own.fetch_add(1, Ordering::SeqCst);
        *rows = Some(done);
        Ok(())
    }
}

impl Backend for Tables {
    fn exists(&self) -> Result<bool> {
        Ok(self.rows.lock().unwrap().is_some())
    }

    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<bool> {
        let (rows, own) = {
            let rows = self.rows.lock().unwrap();
            (rows.clone(), self.own.load(Ordering::SeqCst))
        };
        // As a server that takes its time.
        thread::sleep(Duration::from_micros(100));
        rows.map_or(Ok(false), |rows| work(&Open(RefCell::new(rows), own)).map(|()| true))
    }

    fn write(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        self.run(&mut self.rows.lock().unwrap(), work)
    }

    fn write_if_free(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<bool> {
        let mut rows = self.rows.try_lock().map_err(|_| Error::new(Kind::TryAgain, "tables: locked"))?;
        if rows.is_none() {
            return Ok(false);
        }
        self.run(&mut rows, work).map(|()| true)
    }

    fn erase_removed(&self) -> Result<()> {
        Ok(())
    }
}

impl Open {
    fn rows(&self) -> Ref<'_, Rows> {
        self.0.borrow()
    }

    fn change(&self) -> RefMut<'_, Rows> {
        self.0.borrow_mut()
    }

    fn links_where(&self, index: Index, wanted: impl Fn(&Entry) -> bool) -> Vec<Link> {
        let rows = self.rows();
        let of_index = rows.links.iter().filter(|((of, entry), _)| *of == index && wanted(entry));
        of_index.map(|((_, entry), next)| Link { entry: entry.clone(), next: next.clone() }).collect()
    }
}

fn found(row: &CertificateRow, known: &Records) -> Found {
    let known = known.get(&row.fingerprint);
    known.map_or_else(|| Found::New(Box::new(row.clone())), Found::Known)
}

impl View for Open {
    fn location(&self) -> String {
        "tables".to_owned()
    }

    fn version(&self) -> Result<i64> {
        Ok(self.rows().changes - self.1)
    }

    fn certificate(&self, number: i64, known: &Records) -> Result<Option<Found>> {
        Ok(self.rows().certificates.get(&number).map(|row| found(row, known)))
    }

    fn certificates(&self, protocol: ProtocolName, known: &Records) -> Result<Vec<Found>> {
        let rows = self.rows();
        let of_protocol = rows.certificates.values().filter(|row| row.protocol == protocol.name());
        Ok(of_protocol.map(|row| found(row, known)).collect())
    }

    fn numbers(&self) -> Result<Vec<i64>> {
        Ok(self.rows().certificates.keys().copied().collect())
    }

    fn count(&self, protocols: &[ProtocolName]) -> Result<i64> {
        let is_of = |row: &&CertificateRow| protocols.iter().any(|protocol| protocol.name() == row.protocol);
        Ok(self.rows().certificates.values().filter(is_of).count().try_into().unwrap())
    }

    fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        let rows = self.rows();
        let has_secret =
            |row: &&CertificateRow| row.protocol == protocol.name() && rows.secrets.contains_key(&row.number);
        let mut found: Vec<String> =
            rows.certificates.values().filter(has_secret).map(|row| row.fingerprint.clone()).collect();
        found.sort();
        Ok(found)
    }

    fn secret(&self, number: i64) -> Result<Option<Vec<u8>>> {
        Ok(self.rows().secrets.get(&number).cloned())
    }

    fn capability(&self, number: i64) -> Result<Option<CapabilityRow>> {
        Ok(self.rows().capabilities.get(&number).cloned())
    }

    fn bindings(&self, fingerprint: &str) -> Result<Vec<BindingRow>> {
        let rows = self.rows();
        Ok(rows.bindings.iter().filter(|(of, _)| of == fingerprint).map(|(_, row)| row.clone()).collect())
    }

    fn stray_bindings(&self) -> Result<Vec<String>> {
        let rows = self.rows();
        let is_here = |fingerprint: &str| rows.certificates.values().any(|row| row.fingerprint == fingerprint);
        let mut strays: Vec<String> =
            rows.bindings.iter().map(|(of, _)| of.clone()).filter(|of| !is_here(of)).collect();
        strays.sort();
        strays.dedup();
        Ok(strays)
    }

    fn links(&self, index: Index, from: &str, to: &str) -> Result<Vec<Link>> {
        let below = self.links_where(index, |entry| entry.sought.as_str() < from);
        let last = below.last().map(|link| link.entry.sought.clone()).unwrap_or_default();
        let is_wanted =
            |entry: &Entry| entry.sought == last || (entry.sought.as_str() >= from && entry.sought.as_str() < to);
        Ok(self.links_where(index, is_wanted))
    }

    fn all_links(&self, index: Index) -> Result<Vec<Link>> {
        Ok(self.links_where(index, |_| true))
    }

    fn link(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        Ok(self.links_where(index, |one| one == entry).pop())
    }

    fn link_before(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        Ok(self.links_where(index, |one| one < entry).pop())
    }

    fn statements(&self) -> Result<Vec<StatementRow>> {
        let row =
            |(digest, octets): (&Vec<u8>, &Vec<u8>)| StatementRow { digest: digest.clone(), octets: octets.clone() };
        Ok(self.rows().statements.iter().map(row).collect())
    }

    fn statement_digests(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.rows().statements.keys().cloned().collect())
    }

    fn master(&self) -> Result<Option<MasterRow>> {
        Ok(self.rows().master.clone())
    }

    fn total(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.rows().totals.get(name).cloned())
    }

    fn is_set_aside(&self, fingerprint: &str) -> Result<bool> {
        Ok(self.rows().aside.iter().any(|(of, ..)| of == fingerprint))
    }

    fn faults(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl Tx for Open {
    fn put_certificate(&self, row: &CertificateRow) -> Result<i64> {
        let mut rows = self.change();
        let held = rows.certificates.values().find(|held| held.fingerprint == row.fingerprint);
        let number = held.map_or(rows.last + 1, |held| held.number);
        rows.last = rows.last.max(number);
        rows.certificates.insert(number, CertificateRow { number, ..row.clone() });
        Ok(number)
    }

    fn replace_certificate(&self, row: &CertificateRow) -> Result<()> {
        self.change().certificates.insert(row.number, row.clone());
        Ok(())
    }

    fn delete_certificate(&self, number: i64) -> Result<()> {
        let mut rows = self.change();
        rows.certificates.remove(&number);
        rows.secrets.remove(&number);
        rows.capabilities.remove(&number);
        Ok(())
    }

    fn put_secret(&self, number: i64, sealed: &[u8]) -> Result<()> {
        self.change().secrets.insert(number, sealed.to_vec());
        Ok(())
    }

    fn delete_secret(&self, number: i64) -> Result<()> {
        self.change().secrets.remove(&number);
        Ok(())
    }

    fn put_capability(&self, number: i64, row: &CapabilityRow) -> Result<()> {
        self.change().capabilities.insert(number, row.clone());
        Ok(())
    }

    fn delete_capability(&self, number: i64) -> Result<()> {
        self.change().capabilities.remove(&number);
        Ok(())
    }

    fn put_binding(&self, fingerprint: &str, row: &BindingRow) -> Result<()> {
        let mut rows = self.change();
        rows.bindings.retain(|(of, held)| of != fingerprint || held.subject != row.subject);
        rows.bindings.push((fingerprint.to_owned(), row.clone()));
        Ok(())
    }

    fn delete_bindings(&self, fingerprint: &str) -> Result<()> {
        self.change().bindings.retain(|(of, _)| of != fingerprint);
        Ok(())
    }

    fn put_link(&self, index: Index, link: &Link) -> Result<()> {
        self.change().links.insert((index, link.entry.clone()), link.next.clone());
        Ok(())
    }

    fn delete_link(&self, index: Index, entry: &Entry) -> Result<()> {
        self.change().links.remove(&(index, entry.clone()));
        Ok(())
    }

    fn clear_links(&self, index: Index) -> Result<()> {
        self.change().links.retain(|(of, _), _| *of != index);
        Ok(())
    }

    fn put_statement(&self, row: &StatementRow) -> Result<()> {
        self.change().statements.entry(row.digest.clone()).or_insert_with(|| row.octets.clone());
        Ok(())
    }

    fn delete_statement(&self, digest: &[u8]) -> Result<()> {
        self.change().statements.remove(digest);
        Ok(())
    }

    fn put_master(&self, row: &MasterRow) -> Result<()> {
        self.change().master = Some(row.clone());
        Ok(())
    }

    fn put_total(&self, name: &str, value: &[u8]) -> Result<()> {
        self.change().totals.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete_total(&self, name: &str) -> Result<()> {
        self.change().totals.remove(name);
        Ok(())
    }

    fn set_aside(&self, fingerprint: &str, what: &str, octets: &[u8]) -> Result<()> {
        self.change().aside.push((fingerprint.to_owned(), what.to_owned(), octets.to_vec()));
        Ok(())
    }

    fn delete_set_aside(&self, fingerprint: &str) -> Result<()> {
        self.change().aside.retain(|(of, ..)| of != fingerprint);
        Ok(())
    }

    fn repair(&self) -> Result<()> {
        Ok(())
    }
}
