//! The rows of a key store in SQLite, a statement each, and how SQLite's errors are named.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Params, Row, params, params_from_iter};

use crate::{
    base::{Error, Kind, Result},
    keys::ProtocolName,
    store::backend::{
        BindingRow, CapabilityRow, CertificateRow, Entry, Found, Index, Link, MasterRow, Records, StatementRow, Tx,
        View,
    },
};

/// The rows within one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) place: &'a Path,
    pub(super) mode: Mode,
    /// The inode, which makes the versions of two files differ.
    pub(super) file: u64,
}

/// How a database is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As an immutable file.
    Quiet,
    /// With SQLite's locks.
    Shared,
}

impl Rows<'_> {
    fn execute(&self, sql: &str, values: impl Params) -> Result<()> {
        let done = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(values));
        done.map(|_| ()).map_err(|error| failed(self.place, &error))
    }

    fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let found = self.connection.prepare_cached(sql).and_then(|mut one| one.query_row(values, read).optional());
        found.map_err(|error| failed(self.place, &error))
    }

    fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let found = self.connection.prepare_cached(sql).and_then(|mut all| all.query_map(values, read)?.collect());
        found.map_err(|error| failed(self.place, &error))
    }
}

impl View for Rows<'_> {
    fn location(&self) -> String {
        self.place.display().to_string()
    }

    fn version(&self) -> Result<i64> {
        // The low 32 bits are for SQLite's version. Without one, the number is negative.
        let file = i64::try_from(self.file & 0x7fff_ffff).unwrap_or_default() << 32;
        match self.mode {
            Mode::Quiet => Ok(-1 - file),
            Mode::Shared => {
                let version = self.one("PRAGMA data_version", (), |row| row.get::<_, i64>(0))?.unwrap_or_default();
                Ok(file + version)
            }
        }
    }

    fn certificate(&self, number: i64, known: &Records) -> Result<Option<Found>> {
        let sql =
            "SELECT fingerprint, number, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest
            FROM certificate WHERE number = ?1";
        self.one(sql, [number], |row| found(row, known))
    }

    fn certificates(&self, protocol: ProtocolName, known: &Records) -> Result<Vec<Found>> {
        let sql =
            "SELECT fingerprint, number, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest
            FROM certificate WHERE protocol = ?1";
        self.all(sql, [protocol.name()], |row| found(row, known))
    }

    fn numbers(&self) -> Result<Vec<i64>> {
        self.all("SELECT number FROM certificate", (), |row| row.get(0))
    }

    fn count(&self, protocols: &[ProtocolName]) -> Result<i64> {
        let places = vec!["?"; protocols.len()].join(", ");
        let sql = format!("SELECT count(*) FROM certificate WHERE protocol IN ({places})");
        let names = params_from_iter(protocols.iter().map(|protocol| protocol.name()));
        self.one(&sql, names, |row| row.get(0)).map(Option::unwrap_or_default)
    }

    fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        // Few have one: CROSS makes SQLite begin with those instead of scanning all certificates in order.
        let sql = "SELECT fingerprint FROM secret CROSS JOIN certificate ON certificate = number WHERE protocol = ?1 ORDER BY fingerprint";
        self.all(sql, [protocol.name()], |row| row.get(0))
    }

    fn secret(&self, number: i64) -> Result<Option<Vec<u8>>> {
        self.one("SELECT sealed FROM secret WHERE certificate = ?1", [number], |row| row.get(0))
    }

    fn capability(&self, number: i64) -> Result<Option<CapabilityRow>> {
        self.one("SELECT list, said, heard FROM capability WHERE certificate = ?1", [number], |row| {
            Ok(CapabilityRow { list: row.get(0)?, said: row.get(1)?, heard: row.get(2)? })
        })
    }

    fn bindings(&self, fingerprint: &str) -> Result<Vec<BindingRow>> {
        let sql = "SELECT subject, sought, origin, at FROM binding WHERE fingerprint = ?1 ORDER BY number";
        self.all(sql, [fingerprint], |row| {
            Ok(BindingRow { subject: row.get(0)?, sought: row.get(1)?, origin: row.get(2)?, at: row.get(3)? })
        })
    }

    fn stray_bindings(&self) -> Result<Vec<String>> {
        let sql =
            "SELECT DISTINCT fingerprint FROM binding WHERE fingerprint NOT IN (SELECT fingerprint FROM certificate)";
        self.all(sql, (), |row| row.get(0))
    }

    fn links(&self, index: Index, from: &str, to: &str) -> Result<Vec<Link>> {
        let sql = match index {
            Index::Address => FIND_ADDRESS,
            Index::Handle => FIND_HANDLE,
        };
        self.all(sql, (from, to), link)
    }

    fn all_links(&self, index: Index) -> Result<Vec<Link>> {
        let sql = format!("SELECT sought, certificate, next FROM {} ORDER BY sought, certificate", index.name());
        self.all(&sql, (), link)
    }

    fn link(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        let sql =
            format!("SELECT sought, certificate, next FROM {} WHERE sought = ?1 AND certificate = ?2", index.name());
        self.one(&sql, (&entry.sought, entry.number), link)
    }

    fn link_before(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        let sql = format!(
            "SELECT sought, certificate, next FROM {} WHERE (sought, certificate) < (?1, ?2)
             ORDER BY sought DESC, certificate DESC LIMIT 1",
            index.name()
        );
        self.one(&sql, (&entry.sought, entry.number), link)
    }

    fn statements(&self) -> Result<Vec<StatementRow>> {
        self.all("SELECT digest, octets FROM statement ORDER BY digest", (), |row| {
            Ok(StatementRow { digest: row.get(0)?, octets: row.get(1)? })
        })
    }

    fn statement_digests(&self) -> Result<Vec<Vec<u8>>> {
        self.all("SELECT digest FROM statement ORDER BY digest", (), |row| row.get(0))
    }

    fn master(&self) -> Result<Option<MasterRow>> {
        self.one("SELECT kind, name, salt, wrapped FROM master", (), |row| {
            Ok(MasterRow { kind: row.get(0)?, name: row.get(1)?, salt: row.get(2)?, wrapped: row.get(3)? })
        })
    }

    fn total(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.one("SELECT value FROM total WHERE name = ?1", [name], |row| row.get(0))
    }

    fn is_set_aside(&self, fingerprint: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM lost WHERE fingerprint = ?1 LIMIT 1";
        self.one(sql, [fingerprint], |_| Ok(())).map(|found| found.is_some())
    }

    fn faults(&self) -> Result<Vec<String>> {
        let mut said = self.all("PRAGMA integrity_check(20)", (), |row| row.get::<_, String>(0))?;
        said.retain(|line| line != "ok");
        Ok(said)
    }
}

impl Tx for Rows<'_> {
    fn put_certificate(&self, row: &CertificateRow) -> Result<i64> {
        let sql = "INSERT INTO certificate (fingerprint, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
            ON CONFLICT (fingerprint) DO UPDATE SET protocol = ?2, handles = ?3, secrets = ?4, addresses = ?5, octets = ?6, bound = ?7,
                heard = ?8, sealed = ?9, digest = ?10
            RETURNING number";
        let values = params![
            row.fingerprint,
            row.protocol,
            row.handles,
            row.secrets,
            row.addresses,
            row.octets,
            row.bound,
            row.heard,
            row.sealed,
            row.digest
        ];
        self.one(sql, values, |row| row.get(0)).map(Option::unwrap_or_default)
    }

    fn replace_certificate(&self, row: &CertificateRow) -> Result<()> {
        let sql = "UPDATE certificate SET fingerprint = ?2, protocol = ?3, handles = ?4, secrets = ?5, addresses = ?6, octets = ?7,
                bound = ?8, heard = ?9, sealed = ?10, digest = ?11
            WHERE number = ?1";
        let values = params![
            row.number,
            row.fingerprint,
            row.protocol,
            row.handles,
            row.secrets,
            row.addresses,
            row.octets,
            row.bound,
            row.heard,
            row.sealed,
            row.digest
        ];
        self.execute(sql, values)
    }

    fn delete_certificate(&self, number: i64) -> Result<()> {
        self.execute("DELETE FROM certificate WHERE number = ?1", [number])
    }

    fn put_secret(&self, number: i64, sealed: &[u8]) -> Result<()> {
        self.execute("INSERT OR REPLACE INTO secret (certificate, sealed) VALUES (?1, ?2)", (number, sealed))
    }

    fn delete_secret(&self, number: i64) -> Result<()> {
        self.execute("DELETE FROM secret WHERE certificate = ?1", [number])
    }

    fn put_capability(&self, number: i64, row: &CapabilityRow) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO capability (certificate, list, said, heard) VALUES (?1, ?2, ?3, ?4)";
        self.execute(sql, (number, &row.list, &row.said, &row.heard))
    }

    fn delete_capability(&self, number: i64) -> Result<()> {
        self.execute("DELETE FROM capability WHERE certificate = ?1", [number])
    }

    fn put_binding(&self, fingerprint: &str, row: &BindingRow) -> Result<()> {
        let sql =
            "INSERT OR REPLACE INTO binding (fingerprint, subject, sought, origin, at) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.execute(sql, (fingerprint, &row.subject, &row.sought, &row.origin, &row.at))
    }

    fn delete_bindings(&self, fingerprint: &str) -> Result<()> {
        self.execute("DELETE FROM binding WHERE fingerprint = ?1", [fingerprint])
    }

    fn put_link(&self, index: Index, link: &Link) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} (sought, certificate, next) VALUES (?1, ?2, ?3)
             ON CONFLICT (sought, certificate) DO UPDATE SET next = ?3",
            index.name()
        );
        self.execute(&sql, (&link.entry.sought, link.entry.number, &link.next))
    }

    fn delete_link(&self, index: Index, entry: &Entry) -> Result<()> {
        let sql = format!("DELETE FROM {} WHERE sought = ?1 AND certificate = ?2", index.name());
        self.execute(&sql, (&entry.sought, entry.number))
    }

    fn clear_links(&self, index: Index) -> Result<()> {
        self.execute(&format!("DELETE FROM {}", index.name()), ())
    }

    fn put_statement(&self, row: &StatementRow) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO statement (digest, octets) VALUES (?1, ?2)";
        self.execute(sql, (&row.digest, &row.octets))
    }

    fn delete_statement(&self, digest: &[u8]) -> Result<()> {
        self.execute("DELETE FROM statement WHERE digest = ?1", (digest,))
    }

    fn put_master(&self, row: &MasterRow) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO master (number, kind, name, salt, wrapped) VALUES (1, ?1, ?2, ?3, ?4)";
        self.execute(sql, (&row.kind, &row.name, &row.salt, &row.wrapped))
    }

    fn put_total(&self, name: &str, value: &[u8]) -> Result<()> {
        self.execute("INSERT OR REPLACE INTO total (name, value) VALUES (?1, ?2)", (name, value))
    }

    fn delete_total(&self, name: &str) -> Result<()> {
        self.execute("DELETE FROM total WHERE name = ?1", [name])
    }

    fn set_aside(&self, fingerprint: &str, what: &str, octets: &[u8]) -> Result<()> {
        let sql = "INSERT INTO lost (fingerprint, what, octets) VALUES (?1, ?2, ?3)";
        self.execute(sql, (fingerprint, what, octets))
    }

    fn delete_set_aside(&self, fingerprint: &str) -> Result<()> {
        self.execute("DELETE FROM lost WHERE fingerprint = ?1", [fingerprint])
    }

    fn repair(&self) -> Result<()> {
        self.execute("REINDEX", ())
    }
}

fn found(row: &Row<'_>, known: &Records) -> rusqlite::Result<Found> {
    match known.get(row.get_ref(0)?.as_str().unwrap_or_default()) {
        Some(record) => Ok(Found::Known(record)),
        None => certificate(row).map(|row| Found::New(Box::new(row))),
    }
}

fn certificate(row: &Row<'_>) -> rusqlite::Result<CertificateRow> {
    Ok(CertificateRow {
        fingerprint: row.get(0)?,
        number: row.get(1)?,
        protocol: row.get(2)?,
        handles: row.get(3)?,
        secrets: row.get(4)?,
        addresses: row.get(5)?,
        octets: row.get(6)?,
        bound: row.get(7)?,
        heard: row.get(8)?,
        sealed: row.get(9)?,
        digest: row.get(10)?,
    })
}

fn link(row: &Row<'_>) -> rusqlite::Result<Link> {
    Ok(Link { entry: Entry { sought: row.get(0)?, number: row.get(1)? }, next: row.get(2)? })
}

/// SQLite's error as one of ours.
pub(super) fn failed(place: &Path, error: &rusqlite::Error) -> Error {
    let message = format!("{}: {}", place.display(), error.to_string().to_lowercase());
    let damaged = || Error::new(Kind::Damaged, message.clone()).with_hint("move it away, and put a copy in its place");
    match (error, error.sqlite_error_code()) {
        (_, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => Error::new(Kind::TryAgain, message),
        (_, Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch)) => damaged(),
        // A missing table or column, or a value of the wrong type.
        (_, Some(ErrorCode::Unknown))
        | (
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..),
            _,
        ) => damaged(),
        (_, Some(ErrorCode::ReadOnly)) => Error::new(Kind::CannotCreate, message),
        _ => Error::new(Kind::Io, message),
    }
}

// The rows with the greatest key before the range, and the range. Short SQL, because SQLite parses it at each start.
const FIND_ADDRESS: &str = "SELECT sought, certificate, next FROM address
    WHERE sought >= (SELECT max(sought) FROM address WHERE sought < ?1) AND sought < ?2 ORDER BY sought, certificate";
const FIND_HANDLE: &str = "SELECT sought, certificate, next FROM handle
    WHERE sought >= (SELECT max(sought) FROM handle WHERE sought < ?1) AND sought < ?2 ORDER BY sought, certificate";
