//! Certificates, what they are found by, and their secret parts.

use rusqlite::params;

use super::Database;
use crate::{
    base::{Error, Result},
    keys::{Handle, ProtocolName, Record, Want},
    mail::Address,
};

impl Database {
    /// The fingerprints of the certificates of `protocol` that may match, in order: the caller looks whether they do.
    pub(in crate::store) fn candidates(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<String>> {
        let name = protocol.name();
        let first = |row: &rusqlite::Row<'_>| row.get(0);
        match want {
            Want::All => {
                let sql = "SELECT fingerprint FROM certificate WHERE protocol = ?1 ORDER BY fingerprint";
                self.all(sql, [name], first)
            }
            Want::Address(address) => {
                let sql = "SELECT fingerprint FROM certificate WHERE protocol = ?1 AND number IN (
                        SELECT certificate FROM address WHERE sought = ?2
                        UNION SELECT one.number FROM binding JOIN certificate AS one USING (fingerprint) WHERE sought = ?2
                    ) ORDER BY fingerprint";
                self.all(sql, [name, &address.to_string().to_ascii_lowercase()], first)
            }
            Want::Handle(handle) => {
                let sql = "SELECT fingerprint FROM certificate WHERE protocol = ?1 AND number IN (
                        SELECT certificate FROM handle WHERE sought >= ?2 AND sought < ?2 || 'G'
                        UNION SELECT certificate FROM handle WHERE sought >= ?3 AND sought < ?3 || 'G'
                    ) ORDER BY fingerprint";
                self.all(sql, [name, &forwards(handle), &backwards(handle)], first)
            }
        }
    }

    /// The certificates of `protocol` with secret parts, in order.
    pub(in crate::store) fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        // Few have one: CROSS says to begin with those, where the order would tempt SQLite to walk through all the others.
        let sql = "SELECT fingerprint FROM secret CROSS JOIN certificate ON certificate = number WHERE protocol = ?1 ORDER BY fingerprint";
        self.all(sql, [protocol.name()], |row| row.get(0))
    }

    /// The certificate with this fingerprint, as it was kept, with its bindings.
    pub(in crate::store) fn record(&self, fingerprint: &str) -> Result<Option<Record>> {
        let sql = "SELECT protocol, handles, secrets, addresses, octets FROM certificate WHERE fingerprint = ?1";
        let row = self.one(sql, [fingerprint], |row| {
            let text = |column| row.get::<_, String>(column);
            Ok((text(0)?, text(1)?, text(2)?, text(3)?, row.get::<_, Vec<u8>>(4)?))
        })?;
        let Some((protocol, handles, secrets, addresses, octets)) = row else { return Ok(None) };
        let known = PROTOCOLS.into_iter().find(|known| known.name() == protocol);
        let protocol = known.ok_or_else(|| Error::malformed(self.place.display(), format!("protocol {protocol:?}")))?;
        Ok(Some(Record {
            protocol,
            fingerprint: Handle::parse(fingerprint)?,
            handles: list(&handles)?,
            claimed: addresses.split('\t').filter_map(|address| Address::parse(address).ok()).collect(),
            bindings: self.bindings(fingerprint)?,
            bytes: octets.into(),
            secrets: list(&secrets)?,
            capabilities: match protocol {
                ProtocolName::Smime => self.capabilities(fingerprint)?,
                ProtocolName::Pem | ProtocolName::Pgp => None,
            },
        }))
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
