//! What was found on the network, for all machines of one database. It is no part of the keys: it has no version, and changes of it do not wait for one
//! another, only for the rows that they share.

use tokio_postgres::types::{ToSql, Type};

use super::{connection::Connection, pool::Pool};
use crate::{
    base::{Error, Kind, Result},
    keys::{FindingRows, FindingValue},
};

/// Runs `work` as one change.
///
/// # Errors
///
/// Those of `work`; `TryAgain` when the server is lost.
pub(super) fn change(pool: &Pool, work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let lease = pool.take()?;
        // What does not begin fails with the next statement.
        lease.send("BEGIN");
        match work(&Rows(&lease)) {
            Ok(()) => return lease.batch("COMMIT").inspect_err(|_| end(&lease)),
            // Lost while it was idle, or chosen by the server to end a deadlock: nothing was done.
            Err(error) if error.kind() == Kind::TryAgain && tries < TRIES => end(&lease),
            Err(error) => {
                end(&lease);
                return Err(error);
            }
        }
    }
}

fn end(lease: &Connection) {
    if lease.is_usable() && lease.batch("ROLLBACK").is_err() {
        lease.give_up();
    }
}

struct Rows<'a>(&'a Connection);

impl FindingRows for Rows<'_> {
    fn execute(&self, sql: &str, values: &[FindingValue]) -> Result<u64> {
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(value).collect();
        self.0.count(&translated(sql), &values)
    }

    fn query(&self, sql: &str, values: &[FindingValue]) -> Result<Vec<Vec<FindingValue>>> {
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(value).collect();
        let rows = self.0.rows(&translated(sql), &values)?;
        let unreadable = |error: tokio_postgres::Error| self.0.unreadable(&error);
        let cell = |row: &tokio_postgres::Row, at: usize| match row.columns().get(at).map(|column| column.type_()) {
            Some(&Type::INT8) => row.try_get(at).map(FindingValue::Number).map_err(unreadable),
            Some(&Type::BYTEA) => row.try_get(at).map(FindingValue::Octets).map_err(unreadable),
            Some(&Type::TEXT) => row.try_get(at).map(FindingValue::Text).map_err(unreadable),
            _ => Err(Error::damaged(self.0.place(), "a column of another type")),
        };
        rows.iter().map(|row| (0..row.len()).map(|at| cell(row, at)).collect()).collect()
    }
}

/// The server calls values $1, $2 and so on.
fn translated(sql: &str) -> String {
    sql.replace('?', "$")
}

fn value(value: &FindingValue) -> &(dyn ToSql + Sync) {
    match value {
        FindingValue::Number(number) => number,
        FindingValue::Octets(octets) => octets,
        FindingValue::Text(text) => text,
    }
}

/// How often a change is tried.
const TRIES: usize = 3;
