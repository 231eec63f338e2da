//! The rows of a key store in PostgreSQL, a statement each, within a transaction.

use std::cell::Cell;

use tokio_postgres::{Row, types::FromSql};

use super::connection::{Connection, Values};
use crate::{
    base::Result,
    keys::ProtocolName,
    store::backend::{
        BindingRow, CapabilityRow, CertificateRow, Entry, Found, Index, Link, MasterRow, Records, StatementRow, Tx,
        View,
    },
};

/// The rows within one transaction.
pub(super) struct Rows<'a> {
    pub(super) connection: &'a Connection,
    /// Whether something was changed.
    is_changed: Cell<bool>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Rows { connection, is_changed: Cell::new(false) }
    }

    pub(super) fn is_changed(&self) -> bool {
        self.is_changed.get()
    }

    /// The certificate with this number.
    pub(super) fn row(&self, number: i64) -> Result<Option<CertificateRow>> {
        let sql =
            "SELECT fingerprint, number, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest
            FROM postseal.certificate WHERE number = $1";
        self.one(sql, &[&number], certificate)
    }

    fn one<T>(&self, sql: &str, values: Values<'_>, read: impl Fn(&Cells<'_>) -> Result<T>) -> Result<Option<T>> {
        let rows = self.connection.rows(sql, values)?;
        rows.first().map(|row| read(&Cells { row, connection: self.connection })).transpose()
    }

    fn all<T>(&self, sql: &str, values: Values<'_>, read: impl Fn(&Cells<'_>) -> Result<T>) -> Result<Vec<T>> {
        let rows = self.connection.rows(sql, values)?;
        rows.iter().map(|row| read(&Cells { row, connection: self.connection })).collect()
    }

    fn execute(&self, sql: &str, values: Values<'_>) -> Result<()> {
        self.is_changed.set(true);
        self.connection.rows(sql, values).map(drop)
    }
}

/// The columns of a row.
struct Cells<'a> {
    row: &'a Row,
    connection: &'a Connection,
}

impl<'a> Cells<'a> {
    fn get<T: FromSql<'a>>(&self, at: usize) -> Result<T> {
        self.row.try_get(at).map_err(|error| self.connection.unreadable(&error))
    }
}

impl View for Rows<'_> {
    fn location(&self) -> String {
        self.connection.place().to_owned()
    }

    fn version(&self) -> Result<i64> {
        self.one("SELECT number FROM postseal.change", &[], |row| row.get(0)).map(Option::unwrap_or_default)
    }

    fn certificate(&self, number: i64, known: &Records) -> Result<Option<Found>> {
        Ok(self.row(number)?.map(|row| found(row, known)))
    }

    fn certificates(&self, protocol: ProtocolName, known: &Records) -> Result<Vec<Found>> {
        let sql =
            "SELECT fingerprint, number, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest
            FROM postseal.certificate WHERE protocol = $1";
        self.all(sql, &[&protocol.name()], |row| certificate(row).map(|row| found(row, known)))
    }

    fn numbers(&self) -> Result<Vec<i64>> {
        self.all("SELECT number FROM postseal.certificate", &[], |row| row.get(0))
    }

    fn count(&self, protocols: &[ProtocolName]) -> Result<i64> {
        let names: Vec<&str> = protocols.iter().map(|protocol| protocol.name()).collect();
        let sql = "SELECT count(*) FROM postseal.certificate WHERE protocol = ANY($1)";
        self.one(sql, &[&names], |row| row.get(0)).map(Option::unwrap_or_default)
    }

    fn with_secrets(&self, protocol: ProtocolName) -> Result<Vec<String>> {
        let sql = "SELECT fingerprint FROM postseal.secret JOIN postseal.certificate ON certificate = number
            WHERE protocol = $1 ORDER BY fingerprint";
        self.all(sql, &[&protocol.name()], |row| row.get(0))
    }

    fn secret(&self, number: i64) -> Result<Option<Vec<u8>>> {
        self.one("SELECT sealed FROM postseal.secret WHERE certificate = $1", &[&number], |row| row.get(0))
    }

    fn capability(&self, number: i64) -> Result<Option<CapabilityRow>> {
        let sql = "SELECT list, said, heard FROM postseal.capability WHERE certificate = $1";
        self.one(sql, &[&number], |row| Ok(CapabilityRow { list: row.get(0)?, said: row.get(1)?, heard: row.get(2)? }))
    }

    fn bindings(&self, fingerprint: &str) -> Result<Vec<BindingRow>> {
        let sql = "SELECT subject, sought, origin, at FROM postseal.binding WHERE fingerprint = $1 ORDER BY number";
        self.all(sql, &[&fingerprint], |row| {
            Ok(BindingRow { subject: row.get(0)?, sought: row.get(1)?, origin: row.get(2)?, at: row.get(3)? })
        })
    }

    fn stray_bindings(&self) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT fingerprint FROM postseal.binding AS one
            WHERE NOT EXISTS (SELECT FROM postseal.certificate WHERE fingerprint = one.fingerprint)";
        self.all(sql, &[], |row| row.get(0))
    }

    fn links(&self, index: Index, from: &str, to: &str) -> Result<Vec<Link>> {
        // The rows with the greatest key before the range, and the range.
        let sql = match index {
            Index::Address => {
                "SELECT sought, certificate, next FROM postseal.address
                WHERE sought >= (SELECT max(sought) FROM postseal.address WHERE sought < $1) AND sought < $2
                ORDER BY sought, certificate"
            }
            Index::Handle => {
                "SELECT sought, certificate, next FROM postseal.handle
                WHERE sought >= (SELECT max(sought) FROM postseal.handle WHERE sought < $1) AND sought < $2
                ORDER BY sought, certificate"
            }
        };
        self.all(sql, &[&from, &to], link)
    }

    fn all_links(&self, index: Index) -> Result<Vec<Link>> {
        let sql =
            format!("SELECT sought, certificate, next FROM postseal.{} ORDER BY sought, certificate", index.name());
        self.all(&sql, &[], link)
    }

    fn link(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        let sql = format!(
            "SELECT sought, certificate, next FROM postseal.{} WHERE sought = $1 AND certificate = $2",
            index.name()
        );
        self.one(&sql, &[&entry.sought, &entry.number], link)
    }

    fn link_before(&self, index: Index, entry: &Entry) -> Result<Option<Link>> {
        let sql = format!(
            "SELECT sought, certificate, next FROM postseal.{} WHERE (sought, certificate) < ($1, $2)
             ORDER BY sought DESC, certificate DESC LIMIT 1",
            index.name()
        );
        self.one(&sql, &[&entry.sought, &entry.number], link)
    }

    fn statements(&self) -> Result<Vec<StatementRow>> {
        self.all("SELECT digest, octets FROM postseal.statement ORDER BY digest", &[], |row| {
            Ok(StatementRow { digest: row.get(0)?, octets: row.get(1)? })
        })
    }

    fn statement_digests(&self) -> Result<Vec<Vec<u8>>> {
        self.all("SELECT digest FROM postseal.statement ORDER BY digest", &[], |row| row.get(0))
    }

    fn master(&self) -> Result<Option<MasterRow>> {
        self.one("SELECT kind, name, salt, wrapped FROM postseal.master", &[], |row| {
            Ok(MasterRow { kind: row.get(0)?, name: row.get(1)?, salt: row.get(2)?, wrapped: row.get(3)? })
        })
    }

    fn total(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.one("SELECT value FROM postseal.total WHERE name = $1", &[&name], |row| row.get(0))
    }

    fn is_set_aside(&self, fingerprint: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM postseal.lost WHERE fingerprint = $1 LIMIT 1";
        self.connection.rows(sql, &[&fingerprint]).map(|rows| !rows.is_empty())
    }

    fn faults(&self) -> Result<Vec<String>> {
        // pg_amcheck finds damaged pages and indexes; the role of a service may not run it.
        Ok(Vec::new())
    }
}

impl Tx for Rows<'_> {
    fn put_certificate(&self, row: &CertificateRow) -> Result<i64> {
        self.is_changed.set(true);
        let sql = "INSERT INTO postseal.certificate (fingerprint, protocol, handles, secrets, addresses, octets, bound, heard, sealed, digest)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            ON CONFLICT (fingerprint) DO UPDATE SET protocol = $2, handles = $3, secrets = $4, addresses = $5, octets = $6, bound = $7,
                heard = $8, sealed = $9, digest = $10
            RETURNING number";
        let values: Values<'_> = &[
            &row.fingerprint,
            &row.protocol,
            &row.handles,
            &row.secrets,
            &row.addresses,
            &row.octets,
            &row.bound,
            &row.heard,
            &row.sealed,
            &row.digest,
        ];
        self.one(sql, values, |row| row.get(0)).map(Option::unwrap_or_default)
    }

    fn replace_certificate(&self, row: &CertificateRow) -> Result<()> {
        let sql = "UPDATE postseal.certificate SET fingerprint = $2, protocol = $3, handles = $4, secrets = $5, addresses = $6, octets = $7,
                bound = $8, heard = $9, sealed = $10, digest = $11
            WHERE number = $1";
        let values: Values<'_> = &[
            &row.number,
            &row.fingerprint,
            &row.protocol,
            &row.handles,
            &row.secrets,
            &row.addresses,
            &row.octets,
            &row.bound,
            &row.heard,
            &row.sealed,
            &row.digest,
        ];
        self.execute(sql, values)
    }

    fn delete_certificate(&self, number: i64) -> Result<()> {
        self.execute("DELETE FROM postseal.certificate WHERE number = $1", &[&number])
    }

    fn put_secret(&self, number: i64, sealed: &[u8]) -> Result<()> {
        let sql = "INSERT INTO postseal.secret (certificate, sealed) VALUES ($1, $2)
            ON CONFLICT (certificate) DO UPDATE SET sealed = $2";
        self.execute(sql, &[&number, &sealed])
    }

    fn delete_secret(&self, number: i64) -> Result<()> {
        self.execute("DELETE FROM postseal.secret WHERE certificate = $1", &[&number])
    }

    fn put_capability(&self, number: i64, row: &CapabilityRow) -> Result<()> {
        let sql = "INSERT INTO postseal.capability (certificate, list, said, heard) VALUES ($1, $2, $3, $4)
            ON CONFLICT (certificate) DO UPDATE SET list = $2, said = $3, heard = $4";
        self.execute(sql, &[&number, &row.list, &row.said, &row.heard])
    }

    fn delete_capability(&self, number: i64) -> Result<()> {
        self.execute("DELETE FROM postseal.capability WHERE certificate = $1", &[&number])
    }

    fn put_binding(&self, fingerprint: &str, row: &BindingRow) -> Result<()> {
        // A new row, with a new number: it is the last one.
        let sql = "DELETE FROM postseal.binding WHERE fingerprint = $1 AND subject = $2";
        self.execute(sql, &[&fingerprint, &row.subject])?;
        let sql = "INSERT INTO postseal.binding (fingerprint, subject, sought, origin, at) VALUES ($1, $2, $3, $4, $5)";
        self.execute(sql, &[&fingerprint, &row.subject, &row.sought, &row.origin, &row.at])
    }

    fn delete_bindings(&self, fingerprint: &str) -> Result<()> {
        self.execute("DELETE FROM postseal.binding WHERE fingerprint = $1", &[&fingerprint])
    }

    fn put_link(&self, index: Index, link: &Link) -> Result<()> {
        let sql = format!(
            "INSERT INTO postseal.{} (sought, certificate, next) VALUES ($1, $2, $3)
             ON CONFLICT (sought, certificate) DO UPDATE SET next = $3",
            index.name()
        );
        self.execute(&sql, &[&link.entry.sought, &link.entry.number, &link.next])
    }

    fn delete_link(&self, index: Index, entry: &Entry) -> Result<()> {
        let sql = format!("DELETE FROM postseal.{} WHERE sought = $1 AND certificate = $2", index.name());
        self.execute(&sql, &[&entry.sought, &entry.number])
    }

    fn clear_links(&self, index: Index) -> Result<()> {
        self.execute(&format!("DELETE FROM postseal.{}", index.name()), &[])
    }

    fn put_statement(&self, row: &StatementRow) -> Result<()> {
        let sql = "INSERT INTO postseal.statement (digest, octets) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.execute(sql, &[&row.digest, &row.octets])
    }

    fn delete_statement(&self, digest: &[u8]) -> Result<()> {
        self.execute("DELETE FROM postseal.statement WHERE digest = $1", &[&digest])
    }

    fn put_master(&self, row: &MasterRow) -> Result<()> {
        let sql = "INSERT INTO postseal.master (kind, name, salt, wrapped) VALUES ($1, $2, $3, $4)
            ON CONFLICT (single) DO UPDATE SET kind = $1, name = $2, salt = $3, wrapped = $4";
        self.execute(sql, &[&row.kind, &row.name, &row.salt, &row.wrapped])
    }

    fn put_total(&self, name: &str, value: &[u8]) -> Result<()> {
        let sql =
            "INSERT INTO postseal.total (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2";
        self.execute(sql, &[&name, &value])
    }

    fn delete_total(&self, name: &str) -> Result<()> {
        self.execute("DELETE FROM postseal.total WHERE name = $1", &[&name])
    }

    fn set_aside(&self, fingerprint: &str, what: &str, octets: &[u8]) -> Result<()> {
        let sql = "INSERT INTO postseal.lost (fingerprint, what, octets) VALUES ($1, $2, $3)";
        self.execute(sql, &[&fingerprint, &what, &octets])
    }

    fn delete_set_aside(&self, fingerprint: &str) -> Result<()> {
        self.execute("DELETE FROM postseal.lost WHERE fingerprint = $1", &[&fingerprint])
    }

    fn repair(&self) -> Result<()> {
        // REINDEX is for the owner of the tables: docs/manual/postgresql.md.
        Ok(())
    }
}

fn found(row: CertificateRow, known: &Records) -> Found {
    match known.get(&row.fingerprint) {
        Some(record) => Found::Known(record),
        None => Found::New(Box::new(row)),
    }
}

fn certificate(row: &Cells<'_>) -> Result<CertificateRow> {
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

fn link(row: &Cells<'_>) -> Result<Link> {
    Ok(Link { entry: Entry { sought: row.get(0)?, number: row.get(1)? }, next: row.get(2)? })
}
