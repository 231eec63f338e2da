//! Which CRLs and OCSP responses are being fetched, where none was to be had, and which are to be renewed.

use std::time::{Duration, SystemTime};

use super::{Cache, SKEW, milliseconds, rows::Cells, span, time};
use crate::{
    base::{Clock, Result},
    keys::FindingRows,
};

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
        self.place.change(|rows| {
            let now = milliseconds(clock.now());
            if let Some(reason) = failure(rows, heeded, now)? {
                return Ok(FetchTurn::Failed(reason));
            }
            // A lease of a killed process ends by itself.
            let end = now.saturating_add(span(lease));
            let taken = rows.execute(
                "INSERT INTO fetching (place, until) VALUES (?1, ?2)
                 ON CONFLICT (place) DO UPDATE SET until = excluded.until WHERE fetching.until <= ?3 OR fetching.until > ?4",
                &[place.into(), end.into(), now.into(), end.saturating_add(span(SKEW)).into()],
            )?;
            if taken == 0 {
                return Ok(FetchTurn::Wait);
            }
            // Another machine may have failed since.
            let Some(reason) = failure(rows, heeded, now)? else { return Ok(FetchTurn::Fetch) };
            release(rows, place)?;
            Ok(FetchTurn::Failed(reason))
        })
    }

    /// Ends the turn for `place`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn end_fetch(&self, place: &str) -> Result<()> {
        self.place.change(|rows| release(rows, place))
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
        self.place.change(|rows| {
            rows.execute("DELETE FROM unfetched WHERE until <= ?1", &[now.into()])?;
            let sql = "INSERT INTO unfetched (place, at, until, reason) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (place) DO UPDATE SET at = excluded.at, until = excluded.until, reason = excluded.reason";
            let until = now.saturating_add(span(period));
            rows.execute(sql, &[failed.into(), now.into(), until.into(), reason.into()]).map(drop)
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
        self.place.change(|rows| {
            for place in served {
                rows.execute("DELETE FROM unfetched WHERE place = ?1", &[(*place).into()])?;
            }
            let Renewal { place, kind, url, path, .. } = renewal;
            let (place, until, due) = (place.as_str(), milliseconds(renewal.until), milliseconds(renewal.due));
            let Some(asked) = asked.map(milliseconds) else {
                let sql = "UPDATE renewal SET until = ?2, due = ?3 WHERE place = ?1";
                return rows.execute(sql, &[place.into(), until.into(), due.into()]).map(drop);
            };
            let sql = "INSERT INTO renewal (place, kind, url, path, asked, until, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (place) DO UPDATE SET kind = excluded.kind, url = excluded.url, path = excluded.path, asked = excluded.asked,
                 until = excluded.until, due = excluded.due";
            let values = [
                place.into(),
                kind.as_str().into(),
                url.as_str().into(),
                path.as_slice().into(),
                asked.into(),
                until.into(),
                due.into(),
            ];
            rows.execute(sql, &values).map(drop)
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
        self.place.change(|rows| {
            rows.execute("DELETE FROM renewal WHERE asked < ?1", &[milliseconds(needed).into()])?;
            Ok((due(rows, now)?, next(rows, now)?))
        })
    }

    /// Renews no more from `place`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(in crate::discover) fn forget_renewal(&self, place: &str) -> Result<()> {
        self.place.change(|rows| rows.execute("DELETE FROM renewal WHERE place = ?1", &[place.into()]).map(drop))
    }
}

/// Why one of these places is left alone.
fn failure(rows: &dyn FindingRows, heeded: &[&str], now: i64) -> Result<Option<String>> {
    for place in heeded {
        let sql = "SELECT reason FROM unfetched WHERE place = ?1 AND at <= ?2 AND until > ?3";
        let values = [(*place).into(), now.saturating_add(span(SKEW)).into(), now.into()];
        if let Some(row) = rows.query(sql, &values)?.into_iter().next() {
            return Cells::of(row).text().map(Some);
        }
    }
    Ok(None)
}

/// Ends a turn.
fn release(rows: &dyn FindingRows, place: &str) -> Result<()> {
    rows.execute("DELETE FROM fetching WHERE place = ?1", &[place.into()]).map(drop)
}

fn due(rows: &dyn FindingRows, now: SystemTime) -> Result<Vec<Renewal>> {
    let sql = "SELECT place, kind, url, path, until, due FROM renewal WHERE due <= ?1 ORDER BY due";
    let read = |row| {
        let mut cells = Cells::of(row);
        Ok(Renewal {
            place: cells.text()?,
            kind: cells.text()?,
            url: cells.text()?,
            path: cells.octets()?,
            until: time(cells.number()?),
            due: time(cells.number()?),
        })
    };
    rows.query(sql, &[milliseconds(now).into()])?.into_iter().map(read).collect()
}

fn next(rows: &dyn FindingRows, now: SystemTime) -> Result<Option<SystemTime>> {
    let sql = "SELECT due FROM renewal WHERE due > ?1 ORDER BY due LIMIT 1";
    let found = rows.query(sql, &[milliseconds(now).into()])?.into_iter().next();
    found.map(|row| Cells::of(row).number().map(time)).transpose()
}
