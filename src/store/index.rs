//! The index of a home: which certificate has which keys, secrets and addresses, so that looking one up reads one file.
//!
//! Text: a first line with the stamps of the folders that it describes, then one line for each certificate, its fields
//! separated by tabs: fingerprint, protocol, handles (comma), handles with secrets (comma), and each address.

use std::collections::BTreeMap;

use super::files::Stamp;
use crate::{
    keys::{Handle, ProtocolName, Record, Want},
    mail::Address,
};

/// The folders' stamps when an index was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamps {
    pub(super) certs: Stamp,
    pub(super) secrets: Stamp,
}

/// An index in memory.
#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<String, Row>);

/// What the index knows of one certificate, as text: most rows are only looked at, never used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    protocol: ProtocolName,
    handles: String,
    secrets: String,
    addresses: Vec<String>,
}

impl Index {
    /// Reads an index; `None` when it is of other folders than these, or damaged: then it is made anew.
    pub(super) fn read(text: &str, stamps: Stamps) -> Option<Index> {
        let mut lines = text.lines();
        if lines.next()? != first_line(stamps) {
            return None;
        }
        let row = |line: &str| {
            let mut fields = line.split('\t').map(str::to_owned);
            let fingerprint = fields.next()?;
            let name = fields.next()?;
            let protocol = PROTOCOLS.into_iter().find(|protocol| protocol.name() == name)?;
            let (handles, secrets) = (fields.next()?, fields.next()?);
            Some((fingerprint, Row { protocol, handles, secrets, addresses: fields.collect() }))
        };
        lines.map(row).collect::<Option<_>>().map(Index)
    }

    /// As text.
    pub(super) fn write(&self, stamps: Stamps) -> String {
        let mut text = first_line(stamps);
        for (fingerprint, row) in &self.0 {
            text.extend(["\n", fingerprint, "\t", row.protocol.name(), "\t", &row.handles, "\t", &row.secrets]);
            text.extend(row.addresses.iter().flat_map(|address| ["\t", address]));
        }
        text
    }

    /// Sets what is known of `record`.
    pub(super) fn set(&mut self, record: &Record) {
        let list = |handles: &[Handle]| handles.iter().map(Handle::as_str).collect::<Vec<_>>().join(",");
        // An address that does not survive being written and read cannot be looked up, and no mail program could use it.
        let kept = |address: &&Address| {
            let text = address.to_string();
            !text.contains(['\t', '\n', '\r']) && Address::parse(&text).as_ref() == Ok(*address)
        };
        let addresses = record.claimed.iter().filter(kept).map(Address::to_string).collect();
        let protocol = record.protocol;
        let row = Row { protocol, handles: list(&record.handles), secrets: list(&record.secrets), addresses };
        self.0.insert(record.fingerprint.to_string(), row);
    }

    /// The certificates of `protocol` whose secret parts are here.
    pub(super) fn with_secrets(&self, protocol: ProtocolName) -> impl Iterator<Item = &str> {
        let held = move |(_, row): &(&String, &Row)| row.protocol == protocol && !row.secrets.is_empty();
        self.0.iter().filter(held).map(|(fingerprint, _)| fingerprint.as_str())
    }

    /// Whether a certificate is listed.
    pub(super) fn has(&self, fingerprint: &str) -> bool {
        self.0.contains_key(fingerprint)
    }

    /// Forgets a certificate.
    pub(super) fn remove(&mut self, fingerprint: &Handle) {
        self.0.remove(fingerprint.as_str());
    }

    /// The certificates of `protocol` that match, by fingerprint; `bound` says which are bound to the address looked for.
    pub(super) fn find<'a>(
        &'a self,
        protocol: ProtocolName,
        want: &Want<'_>,
        bound: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&'a str, &'a Row)> {
        let rows = self.0.iter().filter(move |(_, row)| row.protocol == protocol);
        let rows = rows.map(|(fingerprint, row)| (fingerprint.as_str(), row));
        let text = match want {
            Want::All => String::new(),
            Want::Address(address) => address.to_string(),
            Want::Handle(handle) => handle.to_string(),
        };
        rows.filter(move |(fingerprint, row)| match want {
            Want::All => true,
            Want::Address(_) => row.addresses.iter().any(|own| own.eq_ignore_ascii_case(&text)) || bound(fingerprint),
            // The substring is the quick test, the handle's own rule the true one.
            Want::Handle(handle) => {
                row.handles.contains(&text) && row.handles().iter().any(|own| own.is_named_by(handle))
            }
        })
    }
}

impl Row {
    /// Whose certificate it is.
    pub(super) fn protocol(&self) -> ProtocolName {
        self.protocol
    }

    /// The fingerprints of all keys.
    pub(super) fn handles(&self) -> Vec<Handle> {
        handles(&self.handles)
    }

    /// The fingerprints of the keys whose secret part is in the home.
    pub(super) fn secrets(&self) -> Vec<Handle> {
        handles(&self.secrets)
    }

    /// The mailboxes that the certificate claims.
    pub(super) fn claimed(&self) -> Vec<Address> {
        self.addresses.iter().filter_map(|address| Address::parse(address).ok()).collect()
    }
}

fn handles(list: &str) -> Vec<Handle> {
    list.split(',').filter_map(|handle| Handle::parse(handle).ok()).collect()
}

fn first_line(Stamps { certs, secrets }: Stamps) -> String {
    format!("postseal index 2 {certs} {secrets}")
}

/// Those whose certificates are kept.
const PROTOCOLS: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];

#[cfg(test)]
mod tests {
    use super::{super::files::Folder, *};

    fn record(fingerprint: &str, addresses: &[&str]) -> Record {
        let fingerprint = Handle::parse(fingerprint).unwrap();
        Record {
            protocol: ProtocolName::Pgp,
            handles: vec![fingerprint.clone()],
            claimed: addresses.iter().map(|text| Address::parse(text).unwrap()).collect(),
            bindings: Vec::new(),
            bytes: Vec::new().into(),
            secrets: vec![fingerprint.clone()],
            fingerprint,
        }
    }

    const A: &str = "AAAAAAAAAAAAAAAAAAAAAAAA1111111111111111";
    const B: &str = "1111111111111111BBBBBBBBBBBBBBBBBBBBBBBB";

    fn stamps() -> Stamps {
        let folder = tempfile::tempdir().unwrap();
        let stamp = Folder::create(&folder.path().join("home")).unwrap().stamp().unwrap();
        Stamps { certs: stamp, secrets: stamp }
    }

    fn found(index: &Index, want: &Want<'_>) -> Vec<String> {
        index.find(ProtocolName::Pgp, want, |_| false).map(|(fingerprint, _)| fingerprint.to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut index = Index::default();
        index.set(&record(A, &["a@example.org", "b@example.org"]));
        index.set(&record(B, &[]));
        let now = stamps();
        let read = Index::read(&index.write(now), now).unwrap();
        assert_eq!(read.0, index.0);
        assert_eq!(read.0[A].secrets(), vec![Handle::parse(A).unwrap()]);
        assert_eq!(read.0[B].claimed(), Vec::new());
    }

    #[test]
    fn an_index_of_other_stamps_is_stale() {
        let now = stamps();
        let text = Index::default().write(now);
        assert!(Index::read(&text, now).is_some());
        assert!(Index::read(&text.replacen("index 2 ", "index 2 1", 1), now).is_none());
        assert!(Index::read("", now).is_none());
        assert!(Index::read(&format!("{text}\nAAAA"), now).is_none());
    }

    #[test]
    fn a_key_id_is_the_end_of_a_version_4_fingerprint() {
        let mut index = Index::default();
        index.set(&record(A, &[]));
        index.set(&record(B, &[]));
        let key_id = Handle::parse("1111111111111111").unwrap();
        assert_eq!(found(&index, &Want::Handle(&key_id)), [A]);
    }

    #[test]
    fn addresses_match_in_any_case() {
        let mut index = Index::default();
        index.set(&record(A, &["Alice@Example.org"]));
        index.set(&record(B, &["malice@example.org"]));
        let address = Address::parse("alice@EXAMPLE.org").unwrap();
        assert_eq!(found(&index, &Want::Address(&address)), [A]);
    }
}
