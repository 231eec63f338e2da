//! What was found and not found, for all processes of a home, or of all homes with one database: one SQLite file beside the key store, or tables of the
//! database (`place`). The file may be deleted when no process runs; what is lost then is which key is in use for an address, and what is pending.
//!
//! Several machines work on the tables at once, so each question that decides something is one statement, or is asked again after the statement
//! that takes the turn.

mod carry;
mod fetches;
mod files;
mod place;
mod rows;
mod sqlite;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use self::carry::{Carried, carry};
pub(super) use self::fetches::{FetchTurn, Renewal};
use self::{place::Place, rows::Cells};
use super::{Choice, Chosen, Method};
use crate::{
    base::{Clock, Error, Result},
    keys::{FindingRows, FindingValue, Findings, Handle, ProtocolName},
    mail::Address,
};

/// Answers of sources, the keys in use, the keys that are pending, and what is known of fetches of revocations.
#[derive(Debug)]
pub(super) struct Cache {
    place: Place,
}

/// What a source said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These certificates, as published.
    Found(Vec<u8>),
    /// It has no certificate for the address; the reason if there is more to say.
    Missing(String),
    /// It did not say; the reason. Another address may have more luck.
    Failed(String),
    /// The server did not say; the reason. It is not asked for other addresses either.
    Down(String),
}

/// What to do about a question.
pub(super) enum Turn {
    /// Nothing: this is the answer.
    Known(Answer),
    /// Ask, and call [`Cache::keep`].
    Ask,
    /// Another thread or process asks: look again soon.
    Wait,
}

/// The key in use for an address.
pub(super) struct InUse {
    pub(super) fingerprint: Handle,
    pub(super) octets: Vec<u8>,
}

/// A key for an address that has another one in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The number by which it is accepted or rejected.
    pub id: i64,
    /// Whose key.
    pub address: String,
    /// The protocol.
    pub protocol: ProtocolName,
    /// The fingerprint.
    pub fingerprint: String,
    /// The fingerprint of the key in use; empty if the owner trusts one of the home.
    pub in_use: String,
    /// What found it.
    pub method: String,
    /// When it was found first.
    pub at: SystemTime,
    /// The certificate.
    pub octets: Vec<u8>,
}

impl Pending {
    /// What the owner said of it.
    pub(super) fn chosen(&self, choice: Choice) -> Chosen<'_> {
        Chosen { address: &self.address, fingerprint: &self.fingerprint, method: &self.method, choice }
    }
}

impl Cache {
    /// In the tables that machines share, in a file of `home`, or in memory. Nothing is opened yet.
    pub(super) fn new(home: Option<&Path>, shared: Option<&Arc<dyn Findings>>) -> Cache {
        Cache { place: Place::new(home, shared) }
    }

    /// Whose turn it is to ask `method` for `address`. The turn is this caller's for `lease`. `clock` is read within the change: another process may have
    /// answered while this one waited for the file.
    ///
    /// # Errors
    ///
    /// `TryAgain`, `Io` or `Damaged`: the file or the database cannot be used.
    pub(super) fn turn(&self, method: Method, address: &Address, clock: &dyn Clock, lease: Duration) -> Result<Turn> {
        let (own, server) = (key(address), server(method, address));
        self.place.change(|rows| {
            let now = milliseconds(clock.now());
            if let Some(answer) = answer(rows, method, &own, &server, now)? {
                return Ok(Turn::Known(answer));
            }
            // A lease of a killed process ends by itself.
            let end = now.saturating_add(span(lease));
            let taken = rows.execute(
                "INSERT INTO asking (method, address, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (method, address) DO UPDATE SET until = excluded.until WHERE asking.until <= ?4 OR asking.until > ?5",
                &[
                    method.name().into(),
                    own.as_str().into(),
                    end.into(),
                    now.into(),
                    end.saturating_add(span(SKEW)).into(),
                ],
            )?;
            if taken == 0 {
                return Ok(Turn::Wait);
            }
            // Another machine may have answered since.
            let Some(answer) = answer(rows, method, &own, &server, now)? else { return Ok(Turn::Ask) };
            release(rows, method, &own)?;
            Ok(Turn::Known(answer))
        })
    }

    /// Keeps an answer for `period`, and ends the turn.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn keep(
        &self,
        method: Method,
        address: &Address,
        answer: &Answer,
        clock: &dyn Clock,
        period: Duration,
    ) -> Result<()> {
        let (outcome, detail, octets): (&str, &str, &[u8]) = match answer {
            Answer::Found(octets) => ("found", "", octets),
            Answer::Missing(why) => ("missing", why, &[]),
            Answer::Failed(why) | Answer::Down(why) => ("failed", why, &[]),
        };
        // What a server that is there says for one address ends what was remembered of it for all.
        let (own, server) = (key(address), server(method, address));
        let kept: &[&str] = if matches!(answer, Answer::Down(_)) { &[&own, &server] } else { &[&own] };
        self.place.change(|rows| {
            let now = milliseconds(clock.now());
            rows.execute("DELETE FROM answer WHERE until <= ?1", &[now.into()])?;
            rows.execute(
                "DELETE FROM answer WHERE method = ?1 AND address = ?2",
                &[method.name().into(), server.as_str().into()],
            )?;
            for address in kept {
                rows.execute(
                    "INSERT INTO answer (method, address, at, until, outcome, detail, octets) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (method, address) DO UPDATE SET at = excluded.at, until = excluded.until, outcome = excluded.outcome,
                     detail = excluded.detail, octets = excluded.octets",
                    &[
                        method.name().into(),
                        (*address).into(),
                        now.into(),
                        now.saturating_add(span(period)).into(),
                        outcome.into(),
                        detail.into(),
                        octets.into(),
                    ],
                )?;
            }
            release(rows, method, &own)
        })
    }

    /// The key that is in use for `address`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn in_use(&self, protocol: ProtocolName, address: &Address) -> Result<Option<InUse>> {
        self.place.change(|rows| in_use(rows, protocol, address))
    }

    /// The addresses that have a key in use.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn addresses(&self) -> Result<Vec<String>> {
        self.place.change(|rows| {
            let found = rows.query("SELECT DISTINCT address FROM used ORDER BY address", &[])?;
            found.into_iter().map(|row| Cells::of(row).text()).collect()
        })
    }

    /// Whether the keys of `address` were last refreshed before `time`, or never; from `now` on they were.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn refreshes(&self, address: &Address, time: SystemTime, now: SystemTime) -> Result<bool> {
        self.place.change(|rows| {
            let changed = rows.execute(
                "INSERT INTO refreshed (address, at) VALUES (?1, ?2)
                 ON CONFLICT (address) DO UPDATE SET at = excluded.at WHERE refreshed.at < ?3 OR refreshed.at > ?4",
                &[
                    key(address).as_str().into(),
                    milliseconds(now).into(),
                    milliseconds(time).into(),
                    milliseconds(now + SKEW).into(),
                ],
            )?;
            Ok(changed > 0)
        })
    }

    /// Makes a key the one in use for `address`, which has none, after `choose`. Returns the other one when it has one: another process was first.
    ///
    /// # Errors
    ///
    /// Those of `choose`; as [`Cache::turn`].
    pub(super) fn first(
        &self,
        protocol: ProtocolName,
        address: &Address,
        new: &InUse,
        now: SystemTime,
        choose: &dyn Fn() -> Result<()>,
    ) -> Result<Option<InUse>> {
        self.place.change(|rows| {
            let made = rows.execute(
                "INSERT INTO used (protocol, address, fingerprint, at, octets) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (protocol, address) DO NOTHING",
                &used(protocol, address, new, now),
            )?;
            if made == 0 { in_use(rows, protocol, address) } else { choose().map(|()| None) }
        })
    }

    /// Replaces the copy `old` of the key in use for `address` by a newer one, unless it was replaced already.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn renew(&self, protocol: ProtocolName, address: &Address, old: &InUse, new: &InUse) -> Result<()> {
        self.place.change(|rows| {
            let sql =
                "UPDATE used SET octets = ?4 WHERE protocol = ?1 AND address = ?2 AND fingerprint = ?3 AND octets = ?5";
            let values = [
                protocol.name().into(),
                key(address).as_str().into(),
                old.fingerprint.as_str().into(),
                new.octets.as_slice().into(),
                old.octets.as_slice().into(),
            ];
            rows.execute(sql, &values).map(drop)
        })
    }

    /// Holds a key that `method` found; returns whether it is new.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn hold(&self, method: Method, address: &Address, found: &InUse, now: SystemTime) -> Result<bool> {
        self.place.change(|rows| {
            let changed = rows.execute(
                "INSERT INTO pending (protocol, address, fingerprint, method, at, octets, rejected) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)
                 ON CONFLICT (protocol, address, fingerprint) DO NOTHING",
                &[
                    method.protocol().name().into(),
                    key(address).as_str().into(),
                    found.fingerprint.as_str().into(),
                    method.name().into(),
                    milliseconds(now).into(),
                    found.octets.as_slice().into(),
                ],
            )?;
            Ok(changed > 0)
        })
    }

    /// The pending keys, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn pending(&self) -> Result<Vec<Pending>> {
        self.place.change(|rows| {
            let sql = "SELECT pending.id, pending.address, pending.protocol, pending.fingerprint, COALESCE(used.fingerprint, ''), pending.method,
                pending.at, pending.octets FROM pending
                LEFT JOIN used ON used.protocol = pending.protocol AND used.address = pending.address WHERE rejected = 0 ORDER BY id";
            rows.query(sql, &[])?.into_iter().map(|row| pending(&mut Cells::of(row))).collect()
        })
    }

    /// Ends a pending key after `choose`: rejected, it is held no more and not used either.
    ///
    /// # Errors
    ///
    /// `NoKey` when it is not pending any more; those of `choose`; as [`Cache::turn`].
    pub(super) fn reject(&self, id: i64, choose: &dyn Fn() -> Result<()>) -> Result<()> {
        self.place.change(|rows| {
            match rows.execute("UPDATE pending SET rejected = 1 WHERE id = ?1 AND rejected = 0", &[id.into()])? {
                0 => Err(not_pending(id)),
                _ => choose(),
            }
        })
    }

    /// Makes a pending key the one in use for its address, after `choose`.
    ///
    /// # Errors
    ///
    /// As [`Cache::reject`].
    pub(super) fn accept(
        &self,
        id: i64,
        protocol: ProtocolName,
        address: &Address,
        new: &InUse,
        now: SystemTime,
        choose: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        self.place.change(|rows| {
            if rows.execute("DELETE FROM pending WHERE id = ?1 AND rejected = 0", &[id.into()])? == 0 {
                return Err(not_pending(id));
            }
            choose()?;
            let sql = "INSERT INTO used (protocol, address, fingerprint, at, octets) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (protocol, address) DO UPDATE SET fingerprint = excluded.fingerprint, at = excluded.at, octets = excluded.octets";
            rows.execute(sql, &used(protocol, address, new, now)).map(drop)
        })
    }
}

/// What was kept of `address`, or of its server.
fn answer(rows: &dyn FindingRows, method: Method, own: &str, server: &str, now: i64) -> Result<Option<Answer>> {
    let found = rows.query(
        "SELECT outcome, detail, octets FROM answer WHERE method = ?1 AND (address = ?2 OR address = ?3) AND at <= ?4 AND until > ?5
         ORDER BY CASE WHEN address = ?3 THEN 1 ELSE 0 END LIMIT 1",
        &[
            method.name().into(),
            own.into(),
            server.into(),
            now.saturating_add(span(SKEW)).into(),
            now.into(),
        ],
    )?;
    let Some(row) = found.into_iter().next() else { return Ok(None) };
    let mut cells = Cells::of(row);
    let (outcome, detail, octets) = (cells.text()?, cells.text()?, cells.octets()?);
    Ok(Some(match outcome.as_str() {
        "found" => Answer::Found(octets),
        "missing" => Answer::Missing(detail),
        _ => Answer::Failed(detail),
    }))
}

/// Ends a turn.
fn release(rows: &dyn FindingRows, method: Method, own: &str) -> Result<()> {
    let sql = "DELETE FROM asking WHERE method = ?1 AND address = ?2";
    rows.execute(sql, &[method.name().into(), own.into()]).map(drop)
}

fn in_use(rows: &dyn FindingRows, protocol: ProtocolName, address: &Address) -> Result<Option<InUse>> {
    let sql = "SELECT fingerprint, octets FROM used WHERE protocol = ?1 AND address = ?2";
    let found = rows.query(sql, &[protocol.name().into(), key(address).as_str().into()])?;
    let Some(row) = found.into_iter().next() else { return Ok(None) };
    let mut cells = Cells::of(row);
    Ok(Some(InUse { fingerprint: Handle::parse(&cells.text()?)?, octets: cells.octets()? }))
}

/// The values of a row of keys in use.
fn used(protocol: ProtocolName, address: &Address, key_in_use: &InUse, now: SystemTime) -> [FindingValue; 5] {
    [
        protocol.name().into(),
        key(address).as_str().into(),
        key_in_use.fingerprint.as_str().into(),
        milliseconds(now).into(),
        key_in_use.octets.as_slice().into(),
    ]
}

fn pending(cells: &mut Cells) -> Result<Pending> {
    Ok(Pending {
        id: cells.number()?,
        address: cells.text()?,
        protocol: if cells.text()? == "smime" { ProtocolName::Smime } else { ProtocolName::Pgp },
        fingerprint: cells.text()?,
        in_use: cells.text()?,
        method: cells.text()?,
        at: time(cells.number()?),
        octets: cells.octets()?,
    })
}

pub(super) fn not_pending(id: i64) -> Error {
    Error::no_key(format!("pending key {id}: there is none"))
}

/// Local parts are compared as [`Address`] compares them.
fn key(address: &Address) -> String {
    format!("{}@{}", address.local().to_ascii_lowercase(), address.domain())
}

/// What stands for all addresses of one server: no address is like it.
fn server(method: Method, address: &Address) -> String {
    match method {
        Method::Hkp | Method::LdapPgp | Method::LdapSmime | Method::Vks => "*".to_owned(),
        Method::Mail | Method::Openpgpkey | Method::Smimea | Method::Wkd => format!("*@{}", address.domain()),
    }
}

fn milliseconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, span)
}

fn time(milliseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// How much the clocks of machines with one database may differ before what one of them says does not count on another. Source: without a time server,
/// a clock is off by seconds in a week; a greater difference is reported (`clock-skew`).
const SKEW: Duration = Duration::from_secs(5);
