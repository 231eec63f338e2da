//! What a key store is built on: tables of plain rows, read and changed in transactions.
//!
//! A backend stores and returns rows. It knows nothing of protocols, of secrets in clear or of what a digest covers: [`Keystore`](super::Keystore)
//! merges, seals and caches, and `store/integrity` compares what is read with what was written. A new backend implements [`View`] and [`Tx`] with a
//! statement each, and [`Backend`] with its transactions; it calls [`write_digests`](super::write_digests) when it has made its tables.
//! `tests/store/contract/backends.rs` is the contract that every backend must pass.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use crate::{
    base::{Error, Result},
    keys::{FindingRows, ProtocolName, Record},
};

/// Where rows are stored.
pub trait Backend: Debug + Send + Sync {
    /// Whether there is anything to read: `false` until the first [`Backend::write`].
    ///
    /// # Errors
    ///
    /// `NoKey` when others have access to it, `Damaged` when it was there and is gone, `Io` when it cannot be reached.
    fn exists(&self) -> Result<bool>;

    /// Runs `work` on the rows of one moment; does not run it, and returns `false`, when nothing exists. `work` may run twice; only the last run
    /// counts.
    ///
    /// # Errors
    ///
    /// Those of `work` and of [`Backend::exists`]; `TryAgain` when others keep it locked.
    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<bool>;

    /// Runs `work` as one change: all of it, or nothing when it fails. Changes run one after the other. Creates what does not exist.
    ///
    /// # Errors
    ///
    /// Those of `work`; `CannotCreate` when it cannot be written, `TryAgain` when others keep it locked.
    fn write(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()>;

    /// As [`Backend::write`], for a change that can wait: it holds up no reader of this process, and waits for other writers for a fraction of a
    /// second only. Does not run `work`, and returns `false`, when nothing exists.
    ///
    /// # Errors
    ///
    /// As [`Backend::write`].
    fn write_if_free(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<bool>;

    /// Whether several machines write here.
    fn is_shared(&self) -> bool {
        false
    }

    /// How far the clock of the machine that has the rows is from this one's, while that is known.
    fn clock_skew(&self) -> Option<Duration> {
        None
    }

    /// Changes what was found on the network, where several machines share that too; see [`Findings::change`](crate::keys::Findings::change).
    ///
    /// # Errors
    ///
    /// Those of `work`; `Unavailable` when this backend [is not shared](Backend::is_shared).
    fn change_findings(&self, _work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()> {
        Err(Error::unavailable("what was found on the network is kept on each machine"))
    }

    /// Everything as one file that this kind of backend opens, as it is at one moment, after `change` in the copy; `None` when nothing exists.
    ///
    /// # Errors
    ///
    /// Those of `change` and of [`Backend::read`]; `Unavailable` where only the database's own tools can do it.
    fn snapshot(&self, _change: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<Option<Vec<u8>>> {
        Err(Error::unavailable("this key store is backed up with the tools of its database"))
    }

    /// Overwrites what is left of removed rows, in logs and free pages too.
    ///
    /// # Errors
    ///
    /// `TryAgain` when another process still reads the old rows.
    fn erase_removed(&self) -> Result<()>;
}

/// The rows of one moment. Rows are returned as they are stored; the caller checks them.
///
/// # Errors
///
/// Each method: `Damaged` when a table or a value cannot be read as what it is, `Io` and `TryAgain` as [`Backend::read`].
pub trait View {
    /// What errors call the store: a path or a URL without credentials.
    fn location(&self) -> String;

    /// A number that is another one after every change; it may stay after a [`Backend::write`] of this same backend.
    fn version(&self) -> Result<i64>;

    /// The certificate with this number. One whose fingerprint is in `known` is not read again.
    fn certificate(&self, number: i64, known: &Records) -> Result<Option<Found>>;

    /// Every certificate of `protocol`, in any order. Those in `known` are not read again.
    fn certificates(&self, protocol: ProtocolName, known: &Records) -> Result<Vec<Found>>;

    /// The numbers of all certificates.
    fn numbers(&self) -> Result<Vec<i64>>;

    /// How many certificates of these protocols there are.
    fn count(&self, protocols: &[ProtocolName]) -> Result<i64>;

    /// The fingerprints of the certificates of `protocol` with secret parts, in order.
    fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>>;

    /// The sealed secret parts of the certificate with this number.
    fn secret(&self, number: i64) -> Result<Option<Vec<u8>>>;

    /// What is stored of the capabilities of the certificate with this number.
    fn capability(&self, number: i64) -> Result<Option<CapabilityRow>>;

    /// The bindings of a certificate, in the order in which they were made.
    fn bindings(&self, fingerprint: &str) -> Result<Vec<BindingRow>>;

    /// The fingerprints that have bindings and no certificate, each once.
    fn stray_bindings(&self) -> Result<Vec<String>>;

    /// The links of `index` from `from` to before `to`, in order, and before them all links with the greatest key below `from`.
    fn links(&self, index: Index, from: &str, to: &str) -> Result<Vec<Link>>;

    /// Every link of `index`, in order.
    fn all_links(&self, index: Index) -> Result<Vec<Link>>;

    /// The link of this entry.
    fn link(&self, index: Index, entry: &Entry) -> Result<Option<Link>>;

    /// The last link before this entry.
    fn link_before(&self, index: Index, entry: &Entry) -> Result<Option<Link>>;

    /// Every CRL and OCSP response, in the order of their digests.
    fn statements(&self) -> Result<Vec<StatementRow>>;

    /// The digests of every CRL and OCSP response, in order.
    fn statement_digests(&self) -> Result<Vec<Vec<u8>>>;

    /// Where the data key is.
    fn master(&self) -> Result<Option<MasterRow>>;

    /// What is stored of a table as a whole, by its name.
    fn total(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Whether something of this certificate was set aside.
    fn is_set_aside(&self, fingerprint: &str) -> Result<bool>;

    /// What the backend itself finds wrong with its storage, a line each.
    fn faults(&self) -> Result<Vec<String>>;
}

/// Rows that may be changed, within one change.
///
/// # Errors
///
/// Each method: as [`View`], and `CannotCreate` when nothing can be written.
pub trait Tx: View {
    /// Stores a certificate in the place of the one with its fingerprint, and returns its number. `row.number` does not count.
    fn put_certificate(&self, row: &CertificateRow) -> Result<i64>;

    /// Replaces the columns of the certificate with `row.number`.
    fn replace_certificate(&self, row: &CertificateRow) -> Result<()>;

    /// Removes a certificate, with its secret parts and its capabilities.
    fn delete_certificate(&self, number: i64) -> Result<()>;

    /// Stores the sealed secret parts of a certificate in the place of others.
    fn put_secret(&self, number: i64, sealed: &[u8]) -> Result<()>;

    /// Removes the secret parts of a certificate.
    fn delete_secret(&self, number: i64) -> Result<()>;

    /// Stores the capabilities of a certificate in the place of others.
    fn put_capability(&self, number: i64, row: &CapabilityRow) -> Result<()>;

    /// Removes the capabilities of a certificate.
    fn delete_capability(&self, number: i64) -> Result<()>;

    /// Stores a binding of a certificate, as the last one, in the place of one with the same subject.
    fn put_binding(&self, fingerprint: &str, row: &BindingRow) -> Result<()>;

    /// Removes the bindings of a certificate.
    fn delete_bindings(&self, fingerprint: &str) -> Result<()>;

    /// Stores a link in the place of the one with the same entry.
    fn put_link(&self, index: Index, link: &Link) -> Result<()>;

    /// Removes a link.
    fn delete_link(&self, index: Index, entry: &Entry) -> Result<()>;

    /// Removes every link of `index`.
    fn clear_links(&self, index: Index) -> Result<()>;

    /// Stores a CRL or an OCSP response, unless its digest is there.
    fn put_statement(&self, row: &StatementRow) -> Result<()>;

    /// Removes a CRL or an OCSP response.
    fn delete_statement(&self, digest: &[u8]) -> Result<()>;

    /// Stores where the data key is.
    fn put_master(&self, row: &MasterRow) -> Result<()>;

    /// Stores what is true of a table as a whole, in the place of what was.
    fn put_total(&self, name: &str, value: &[u8]) -> Result<()>;

    /// Removes what is stored of a table as a whole.
    fn delete_total(&self, name: &str) -> Result<()>;

    /// Keeps octets that are damaged where nothing looks them up.
    fn set_aside(&self, fingerprint: &str, what: &str, octets: &[u8]) -> Result<()>;

    /// Removes what was set aside of a certificate.
    fn delete_set_aside(&self, fingerprint: &str) -> Result<()>;

    /// Repairs in its storage what the backend itself can repair.
    fn repair(&self) -> Result<()>;
}

/// Certificates that were read, by fingerprint. Several threads may read and add at once.
#[derive(Debug, Default)]
pub struct Records(RwLock<BTreeMap<String, Arc<Record>>>);

impl Records {
    /// None.
    #[must_use]
    pub fn new() -> Records {
        Records::default()
    }

    /// The one with this primary fingerprint.
    #[must_use]
    pub fn get(&self, fingerprint: &str) -> Option<Arc<Record>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(fingerprint).map(Arc::clone)
    }

    /// Adds a certificate, unless it is there. The others are dropped when there are too many.
    pub fn put(&self, record: &Arc<Record>) {
        let mut records = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if records.len() > MAX_RECORDS {
            records.clear();
        }
        records.entry(record.fingerprint().as_str().to_owned()).or_insert_with(|| Arc::clone(record));
    }
}

/// The most certificates in memory.
const MAX_RECORDS: usize = 10_000;

/// A certificate that was looked up.
#[derive(Clone, Debug)]
pub enum Found {
    /// One of those that were known.
    Known(Arc<Record>),
    /// One that was read.
    New(Box<CertificateRow>),
}

/// A certificate as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRow {
    /// Given by the backend; the other tables name certificates by it.
    pub number: i64,
    /// Of the primary key, unique.
    pub fingerprint: String,
    /// [`ProtocolName::name`].
    pub protocol: String,
    /// Of all keys, with commas between them.
    pub handles: String,
    /// Of the keys with a secret part, with commas between them.
    pub secrets: String,
    /// Claimed addresses, with tabs between them.
    pub addresses: String,
    /// The certificate, binary.
    pub octets: Vec<u8>,
    /// The digest of its bindings; empty where there is none.
    pub bound: Vec<u8>,
    /// The digest of its capabilities; empty where there are none.
    pub heard: Vec<u8>,
    /// The digest of its sealed secret parts; empty where there are none.
    pub sealed: Vec<u8>,
    /// The digest of all of this but the number.
    pub digest: Vec<u8>,
}

/// Why a certificate is trusted, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// An address, `*` for its user IDs, or `anchor`.
    pub subject: String,
    /// The subject in lower case.
    pub sought: String,
    /// Who said so: `generated`, `trusted`.
    pub origin: String,
    /// When, RFC 3339.
    pub at: String,
}

/// What the owner of a certificate said that they can read, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityRow {
    /// SMIMECapabilities, DER.
    pub list: Vec<u8>,
    /// When, by their own clock, RFC 3339.
    pub said: String,
    /// When it was read, RFC 3339.
    pub heard: String,
}

/// A CRL or an OCSP response, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// The SHA-256 of the octets.
    pub digest: Vec<u8>,
    /// DER.
    pub octets: Vec<u8>,
}

/// Where the data key is, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterRow {
    /// What it is wrapped under: `file`, `credential`, `passphrase`.
    pub kind: String,
    /// Which file or credential; empty for the file of the home, or a passphrase.
    pub name: String,
    /// For a passphrase.
    pub salt: Vec<u8>,
    /// The data key, sealed.
    pub wrapped: Vec<u8>,
}

/// What certificates are looked up by: two ordered lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// Addresses that a certificate claims or is trusted for, in lower case (ASCII), and `anchor`.
    Address,
    /// Fingerprints and key IDs: '>' and a fingerprint of 64 digits, whose key ID is its beginning, or '<' and any other backwards.
    Handle,
}

/// What is looked up, and the number of a certificate that has it. The order of entries is that of the octets of `sought`, and then of the numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// An address or a handle.
    pub sought: String,
    /// Of a certificate.
    pub number: i64,
}

/// An entry of a list and the name of the one after it; empty at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// This one.
    pub entry: Entry,
    /// The next one.
    pub next: String,
}
