//! Which CRLs and OCSP responses are being fetched, where none was to be had, and which are to be renewed.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Cache, milliseconds, span};
use crate::base::{Clock, Result};

pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS fetching (place TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unfetched (
    place TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, until INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS renewal (
    place TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, url TEXT NOT NULL, path BLOB NOT NULL, asked INTEGER NOT NULL, until INTEGER NOT NULL,
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// What to do about a place from which a statement is wanted.
pub(in crate::discover) enum FetchTurn {
    /// Fetch it, and call [`Cache::end_fetch`], whatever came of it.
    Fetch,
    /// Nothing: it failed not long ago; the reason.
    Failed(String),
    /// Another thread or process fetches: look again soon.
    Wait,
}

/// A statement that is fetched again before it ends.
#[derive(Clone, Debug)]
pub(in crate::discover) struct Renewal {
    /// The key of the place.
    pub(in crate::discover) place: String,
    /// The name of its kind.
    pub(in crate::discover) kind: String,
    pub(in crate::discover) url: String,
    /// The certificate that it was fetched for, and those above it to the trust anchor, DER.
    pub(in crate::discover) path: Vec<u8>,
    /// Its nextUpdate.
    pub(in crate::discover) until: SystemTime,
    /// When to fetch it again.
    pub(in crate::discover) due: SystemTime,
}

impl Cache {
    /// Whose turn it is to fetch from `place`. The turn is this caller's for `lease`. Failures of the places `heeded` count; the clock is read within
    /// the change.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn fetch_turn(
        &self,
        place: &str,
        heeded: &[&str],
        clock: &dyn Clock,
        lease: Duration,
    ) -> Result<FetchTurn> {
        self.change(|connection| {
            let now = milliseconds(clock.now());
            for place in heeded {
                let sql = "SELECT reason FROM unfetched WHERE place = ?1 AND at <= ?2 AND until > ?2";
                let failed = connection.query_row(sql, params![place, now], |row| row.get(0)).optional()?;
                if let Some(reason) = failed {
                    return Ok(FetchTurn::Failed(reason));
                }
            }
            let sql = "SELECT until FROM fetching WHERE place = ?1";
            let until: Option<i64> = connection.query_row(sql, params![place], |row| row.get(0)).optional()?;
            // A lease of a killed process ends by itself.
            let end = now.saturating_add(span(lease));
            if until.is_some_and(|until| until > now && until <= end) {
                return Ok(FetchTurn::Wait);
            }
            connection
                .execute("INSERT OR REPLACE INTO fetching (place, until) VALUES (?1, ?2)", params![place, end])?;
            Ok(FetchTurn::Fetch)
        })
    }

    /// Ends the turn for `place`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn end_fetch(&self, place: &str) -> Result<()> {
        self.change(|connection| connection.execute("DELETE FROM fetching WHERE place = ?1", params![place])).map(drop)
    }

    /// Notes that nothing is to be had from the place `failed` for a `period`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn note_unfetched(
        &self,
        failed: &str,
        reason: &str,
        now: SystemTime,
        period: Duration,
    ) -> Result<()> {
        let now = milliseconds(now);
        self.change(|connection| {
            connection.execute("DELETE FROM unfetched WHERE until <= ?1", params![now])?;
            let sql = "INSERT OR REPLACE INTO unfetched (place, at, until, reason) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(sql, params![failed, now, now.saturating_add(span(period)), reason]).map(drop)
        })
    }

    /// Notes that the places `served`, and what to renew from there. `asked`: it was fetched because it was needed.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn note_fetched(
        &self,
        served: &[&str],
        renewal: &Renewal,
        asked: Option<SystemTime>,
    ) -> Result<()> {
        self.change(|connection| {
            for place in served {
                connection.execute("DELETE FROM unfetched WHERE place = ?1", params![place])?;
            }
            let (until, due) = (milliseconds(renewal.until), milliseconds(renewal.due));
            let Some(asked) = asked.map(milliseconds) else {
                let sql = "UPDATE renewal SET until = ?2, due = ?3 WHERE place = ?1";
                return connection.execute(sql, params![renewal.place, until, due]).map(drop);
            };
            let sql = "INSERT OR REPLACE INTO renewal (place, kind, url, path, asked, until, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let Renewal { place, kind, url, path, .. } = renewal;
            connection.execute(sql, params![place, kind, url, path, asked, until, due]).map(drop)
        })
    }

    /// What is to be renewed at `now`, and when the next is. What was not needed since `needed` is forgotten.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn renewals(
        &self,
        now: SystemTime,
        needed: SystemTime,
    ) -> Result<(Vec<Renewal>, Option<SystemTime>)> {
        self.change(|connection| {
            connection.execute("DELETE FROM renewal WHERE asked < ?1", params![milliseconds(needed)])?;
            Ok((due(connection, now)?, next(connection, now)?))
        })
    }

    /// Renews no more from `place`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn forget_renewal(&self, place: &str) -> Result<()> {
        self.change(|connection| connection.execute("DELETE FROM renewal WHERE place = ?1", params![place])).map(drop)
    }
}

fn due(connection: &Connection, now: SystemTime) -> rusqlite::Result<Vec<Renewal>> {
    let sql = "SELECT place, kind, url, path, until, due FROM renewal WHERE due <= ?1 ORDER BY due";
    let mut statement = connection.prepare(sql)?;
    let row = |row: &Row<'_>| {
        Ok(Renewal {
            place: row.get(0)?,
            kind: row.get(1)?,
            url: row.get(2)?,
            path: row.get(3)?,
            until: super::time(row.get(4)?),
            due: super::time(row.get(5)?),
        })
    };
    statement.query_map(params![milliseconds(now)], row)?.collect()
}

fn next(connection: &Connection, now: SystemTime) -> rusqlite::Result<Option<SystemTime>> {
    let sql = "SELECT MIN(due) FROM renewal WHERE due > ?1";
    let found: Option<i64> = connection.query_row(sql, params![milliseconds(now)], |row| row.get(0))?;
    Ok(found.map(super::time))
}
