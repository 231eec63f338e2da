//! Certificates, what they are found by, and their secret parts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rusqlite::params;

use super::Database;
use crate::{
    base::{Error, Result},
    keys::{Handle, ProtocolName, Record, Want},
    mail::Address,
    store::binding,
};

/// Certificates that were read, by fingerprint.
pub(in crate::store) type Records = BTreeMap<String, Arc<Record>>;

/// A certificate as it is kept.
struct Row {
    fingerprint: String,
    protocol: String,
    handles: String,
    secrets: String,
    addresses: String,
    octets: Vec<u8>,
}

/// A certificate that was looked up.
enum Found {
    Known(Arc<Record>),
    New(Row),
}

impl Database {
    /// The certificates of `protocol` that may match, in order: the caller looks whether they do. Those in `known` are not read again.
    pub(in crate::store) fn certificates(
        &self,
        protocol: ProtocolName,
        want: &Want<'_>,
        known: &Records,
    ) -> Result<Vec<Arc<Record>>> {
        let name = protocol.name();
        // Short statements, the long one but once: SQLite takes longer to read one than to do it.
        let numbers = match want {
            Want::All => return self.records("certificate WHERE protocol = ?1 ORDER BY fingerprint", [name], known),
            Want::Certificate(fingerprint) => {
                let held = known.get(fingerprint.as_str()).filter(|record| record.protocol == protocol);
                return match held {
                    Some(record) => Ok(vec![Arc::clone(record)]),
                    None => {
                        let one = "certificate WHERE fingerprint = ?1 AND protocol = ?2";
                        self.records(one, (fingerprint.as_str(), name), known)
                    }
                };
            }
            Want::Address(address) => {
                let sought = address.to_string().to_ascii_lowercase();
                let bound =
                    "SELECT certificate.number FROM binding JOIN certificate USING (fingerprint) WHERE sought = ?1";
                [
                    self.numbers("SELECT certificate FROM address WHERE sought = ?1", &sought)?,
                    self.numbers(bound, &sought)?,
                ]
            }
            Want::Handle(handle) => {
                let range = "SELECT certificate FROM handle WHERE sought >= ?1 AND sought < ?1 || 'G'";
                [self.numbers(range, &forwards(handle))?, self.numbers(range, &backwards(handle))?]
            }
        };
        let mut found = Vec::new();
        for number in numbers.into_iter().flatten().collect::<BTreeSet<_>>() {
            found.extend(self.records("certificate WHERE number = ?1 AND protocol = ?2", (number, name), known)?);
        }
        found.sort_by(|one, other| one.fingerprint.cmp(&other.fingerprint));
        Ok(found)
    }

    /// The certificates at which paths may end, in the order in which they were said to be. Those in `known` are not read again.
    pub(in crate::store) fn anchors(&self, known: &Records) -> Result<Vec<Arc<Record>>> {
        let bound = "binding CROSS JOIN certificate USING (fingerprint) WHERE sought = ?1 ORDER BY binding.number";
        self.records(bound, [binding::ANCHOR], known)
    }

    /// The certificates of `protocol` with secret parts, in order.
    pub(in crate::store) fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        // Few have one: CROSS says to begin with those, where the order would tempt SQLite to walk through all the others.
        let sql = "SELECT fingerprint FROM secret CROSS JOIN certificate ON certificate = number WHERE protocol = ?1 ORDER BY fingerprint";
        self.all(sql, [protocol.name()], |row| row.get(0))
    }

    /// The certificate with this fingerprint, as it was kept, with its bindings.
    pub(in crate::store) fn record(&self, fingerprint: &str) -> Result<Option<Record>> {
        let found = self.records("certificate WHERE fingerprint = ?1", [fingerprint], &Records::new())?;
        Ok(found.into_iter().next().map(Arc::unwrap_or_clone))
    }

    /// The certificates that stand in `place`, in an order if it tells one.
    fn records(&self, place: &str, values: impl rusqlite::Params, known: &Records) -> Result<Vec<Arc<Record>>> {
        let sql = format!("SELECT fingerprint, protocol, handles, secrets, addresses, octets FROM {place}");
        let rows = self.all(&sql, values, |row| {
            let fingerprint: String = row.get(0)?;
            match known.get(&fingerprint) {
                Some(record) => Ok(Found::Known(Arc::clone(record))),
                None => Ok(Found::New(Row {
                    fingerprint,
                    protocol: row.get(1)?,
                    handles: row.get(2)?,
                    secrets: row.get(3)?,
                    addresses: row.get(4)?,
                    octets: row.get(5)?,
                })),
            }
        })?;
        let read = |found| match found {
            Found::Known(record) => Ok(record),
            Found::New(row) => self.read(row).map(Arc::new),
        };
        rows.into_iter().map(read).collect()
    }

    fn numbers(&self, sql: &str, sought: &str) -> Result<Vec<i64>> {
        self.all(sql, [sought], |row| row.get(0))
    }

    fn read(&self, row: Row) -> Result<Record> {
        let Row { fingerprint, protocol, handles, secrets, addresses, octets } = row;
        let known = PROTOCOLS.into_iter().find(|known| known.name() == protocol);
        let protocol = known.ok_or_else(|| Error::malformed(self.place.display(), format!("protocol {protocol:?}")))?;
        Ok(Record {
            protocol,
            fingerprint: Handle::parse(&fingerprint)?,
            handles: list(&handles)?,
            claimed: addresses.split('\t').filter_map(|address| Address::parse(address).ok()).collect(),
            bindings: self.bindings(&fingerprint)?,
            bytes: octets.into(),
            secrets: list(&secrets)?,
            capabilities: match protocol {
                ProtocolName::Smime => self.capabilities(&fingerprint)?,
                ProtocolName::Pem | ProtocolName::Pgp => None,
            },
        })
    }

    /// Keeps a certificate in the place of the one with its fingerprint, whose secret parts stay.
    pub(in crate::store) fn keep(&self, record: &Record) -> Result<()> {
        // An address that does not survive being written and read cannot be looked up, and no mail program could use it.
        let survives = |address: &&String| !address.contains(['\t', '\n', '\r']) && Address::parse(address).is_ok();
        let written: Vec<String> = record.claimed.iter().map(Address::to_string).collect();
        let addresses: Vec<&str> = written.iter().filter(survives).map(String::as_str).collect();
        let joined = |handles: &[Handle]| handles.iter().map(Handle::as_str).collect::<Vec<_>>().join(",");
        let sql = "INSERT INTO certificate (fingerprint, protocol, handles, secrets, addresses, octets) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (fingerprint) DO UPDATE SET protocol = ?2, handles = ?3, secrets = ?4, addresses = ?5, octets = ?6
            RETURNING number";
        let (handles, secrets) = (joined(&record.handles), joined(&record.secrets));
        let fingerprint = record.fingerprint.as_str();
        let octets: &[u8] = &record.bytes;
        let values = params![fingerprint, record.protocol.name(), handles, secrets, addresses.join("\t"), octets];
        let number = self.one(sql, values, |row| row.get::<_, i64>(0))?;
        self.execute("DELETE FROM handle WHERE certificate = ?1", [number])?;
        self.execute("DELETE FROM address WHERE certificate = ?1", [number])?;
        for handle in &record.handles {
            let sought = if handle.as_str().len() == WHOLE { forwards(handle) } else { backwards(handle) };
            self.execute("INSERT OR IGNORE INTO handle (sought, certificate) VALUES (?1, ?2)", (sought, number))?;
        }
        for address in addresses {
            let sql = "INSERT OR IGNORE INTO address (sought, certificate) VALUES (?1, ?2)";
            self.execute(sql, (address.to_ascii_lowercase(), number))?;
        }
        Ok(())
    }

    /// Forgets a certificate and its secret parts.
    pub(in crate::store) fn forget(&self, fingerprint: &Handle) -> Result<()> {
        self.execute("DELETE FROM certificate WHERE fingerprint = ?1", [fingerprint.as_str()]).map(|_| ())
    }

    /// The secret parts of a certificate, sealed.
    pub(in crate::store) fn sealed(&self, fingerprint: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT sealed FROM secret JOIN certificate ON certificate = number WHERE fingerprint = ?1";
        self.one(sql, [fingerprint], |row| row.get(0))
    }

    /// Keeps the secret parts of a certificate that is here.
    pub(in crate::store) fn keep_sealed(&self, fingerprint: &str, sealed: &[u8]) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO secret (certificate, sealed) SELECT number, ?2 FROM certificate WHERE fingerprint = ?1";
        self.execute(sql, (fingerprint, sealed)).map(|_| ())
    }
}

fn forwards(handle: &Handle) -> String {
    format!(">{handle}")
}

fn backwards(handle: &Handle) -> String {
    let mut sought = "<".to_owned();
    sought.extend(handle.as_str().chars().rev());
    sought
}

fn list(text: &str) -> Result<Vec<Handle>> {
    text.split(',').filter(|handle| !handle.is_empty()).map(Handle::parse).collect()
}

/// The digits of a fingerprint whose key ID is its beginning (RFC 9580, section 5.5.4).
const WHOLE: usize = 64;
const PROTOCOLS: [ProtocolName; 3] = [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime];
