//! What was found and not found, for all processes of a home: one SQLite file beside the key store. It may be deleted when none of them runs;
//! what is lost then is which key is in use for an address, and what is pending.

mod fetches;

use std::{
    fmt, fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

pub(super) use self::fetches::{FetchTurn, Renewal};
use super::{Choice, Chosen, Method};
use crate::{
    base::{Clock, Error, Kind, Result},
    keys::{Handle, ProtocolName},
    mail::Address,
};

/// The file within a home.
const FILE: &str = "discovery.sqlite";

/// Answers of sources, the keys in use, the keys that are pending, and what is known of fetches of revocations.
pub(super) struct Cache {
    /// `None`: in memory.
    path: Option<PathBuf>,
    opened: OnceLock<Result<Mutex<Connection>>>,
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

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS answer (
    method TEXT NOT NULL, address TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL,
    octets BLOB NOT NULL, PRIMARY KEY (method, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asking (
    method TEXT NOT NULL, address TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (method, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS used (
    protocol TEXT NOT NULL, address TEXT NOT NULL, fingerprint TEXT NOT NULL, at INTEGER NOT NULL, octets BLOB NOT NULL,
    PRIMARY KEY (protocol, address)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refreshed (address TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
    id INTEGER PRIMARY KEY AUTOINCREMENT, protocol TEXT NOT NULL, address TEXT NOT NULL, fingerprint TEXT NOT NULL, method TEXT NOT NULL,
    at INTEGER NOT NULL, octets BLOB NOT NULL, rejected INTEGER NOT NULL, UNIQUE (protocol, address, fingerprint)
) STRICT;
CREATE TABLE IF NOT EXISTS fetching (place TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unfetched (
    place TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL, until INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS renewal (
    place TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, url TEXT NOT NULL, path BLOB NOT NULL, asked INTEGER NOT NULL, until INTEGER NOT NULL,
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

impl Pending {
    /// What the owner said of it.
    pub(super) fn chosen(&self, choice: Choice) -> Chosen<'_> {
        Chosen { address: &self.address, fingerprint: &self.fingerprint, method: &self.method, choice }
    }
}

impl Cache {
    /// In the file [`FILE`] of `home`, or in memory. Nothing is opened yet.
    pub(super) fn new(home: Option<&Path>) -> Cache {
        Cache { path: home.map(|home| home.join(FILE)), opened: OnceLock::new() }
    }

    /// Whose turn it is to ask `method` for `address`. The turn is this caller's for `lease`. `clock` is read within the change: another process may have
    /// answered while this one waited for the file.
    ///
    /// # Errors
    ///
    /// `TryAgain`, `Io` or `Damaged`: the file cannot be used.
    pub(super) fn turn(&self, method: Method, address: &Address, clock: &dyn Clock, lease: Duration) -> Result<Turn> {
        let key = key(address);
        self.change(|connection| {
            let now_ms = milliseconds(clock.now());
            let found = connection
                .query_row(
                    "SELECT outcome, detail, octets FROM answer WHERE method = ?1 AND address IN (?2, ?4) AND at <= ?3 AND until > ?3
                     ORDER BY address = ?4",
                    params![method.name(), key, now_ms, server(method, address)],
                    answer,
                )
                .optional()?;
            if let Some(answer) = found {
                return Ok(Turn::Known(answer));
            }
            let until: Option<i64> = connection
                .query_row(
                    "SELECT until FROM asking WHERE method = ?1 AND address = ?2",
                    params![method.name(), key],
                    |row| row.get(0),
                )
                .optional()?;
            // A lease of a killed process ends by itself.
            let end = now_ms.saturating_add(span(lease));
            if until.is_some_and(|until| until > now_ms && until <= end) {
                return Ok(Turn::Wait);
            }
            connection.execute(
                "INSERT OR REPLACE INTO asking (method, address, until) VALUES (?1, ?2, ?3)",
                params![method.name(), key, end],
            )?;
            Ok(Turn::Ask)
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
        let rows: &[&str] = if matches!(answer, Answer::Down(_)) { &[&own, &server] } else { &[&own] };
        self.change(|connection| {
            let now_ms = milliseconds(clock.now());
            connection.execute("DELETE FROM answer WHERE until <= ?1", params![now_ms])?;
            connection.execute("DELETE FROM answer WHERE method = ?1 AND address = ?2", params![method.name(), server])?;
            for row in rows {
                connection.execute(
                    "INSERT OR REPLACE INTO answer (method, address, at, until, outcome, detail, octets) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![method.name(), row, now_ms, now_ms.saturating_add(span(period)), outcome, detail, octets],
                )?;
            }
            connection.execute(
                "DELETE FROM asking WHERE method = ?1 AND address = ?2",
                params![method.name(), key(address)],
            )?;
            Ok(())
        })
    }

    /// The key that is in use for `address`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn in_use(&self, protocol: ProtocolName, address: &Address) -> Result<Option<InUse>> {
        let found: Option<(String, Vec<u8>)> = self.change(|connection| {
            let sql = "SELECT fingerprint, octets FROM used WHERE protocol = ?1 AND address = ?2";
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            connection.query_row(sql, params![protocol.name(), key(address)], row).optional()
        })?;
        found.map(|(fingerprint, octets)| Ok(InUse { fingerprint: Handle::parse(&fingerprint)?, octets })).transpose()
    }

    /// The addresses that have a key in use.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn addresses(&self) -> Result<Vec<String>> {
        self.change(|connection| {
            let mut statement = connection.prepare("SELECT DISTINCT address FROM used ORDER BY address")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Whether the keys of `address` were last refreshed before `time`, or never; from `now` on they were.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn refreshes(&self, address: &Address, time: SystemTime, now: SystemTime) -> Result<bool> {
        self.change(|connection| {
            let rows = connection.execute(
                "INSERT INTO refreshed (address, at) VALUES (?1, ?2)
                 ON CONFLICT (address) DO UPDATE SET at = ?2 WHERE at < ?3 OR at > ?2",
                params![key(address), milliseconds(now), milliseconds(time)],
            )?;
            Ok(rows > 0)
        })
    }

    /// Makes a key the one in use for `address`.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn put_in_use(
        &self,
        protocol: ProtocolName,
        address: &Address,
        key_in_use: &InUse,
        now: SystemTime,
    ) -> Result<()> {
        self.change(|connection| {
            connection.execute(
                "INSERT OR REPLACE INTO used (protocol, address, fingerprint, at, octets) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    protocol.name(),
                    key(address),
                    key_in_use.fingerprint.as_str(),
                    milliseconds(now),
                    key_in_use.octets
                ],
            )?;
            Ok(())
        })
    }

    /// Holds a key that `method` found; returns whether it is new.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn hold(&self, method: Method, address: &Address, found: &InUse, now: SystemTime) -> Result<bool> {
        self.change(|connection| {
            let rows = connection.execute(
                "INSERT OR IGNORE INTO pending (protocol, address, fingerprint, method, at, octets, rejected) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
                params![
                    method.protocol().name(),
                    key(address),
                    found.fingerprint.as_str(),
                    method.name(),
                    milliseconds(now),
                    found.octets
                ],
            )?;
            Ok(rows > 0)
        })
    }

    /// The pending keys, oldest first.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn pending(&self) -> Result<Vec<Pending>> {
        self.change(|connection| {
            let sql = "SELECT pending.id, pending.address, pending.protocol, pending.fingerprint, IFNULL(used.fingerprint, ''), pending.method,
                pending.at, pending.octets FROM pending
                LEFT JOIN used ON used.protocol = pending.protocol AND used.address = pending.address WHERE rejected = 0 ORDER BY id";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let protocol: String = row.get(2)?;
                let at: i64 = row.get(6)?;
                Ok(Pending {
                    id: row.get(0)?,
                    address: row.get(1)?,
                    protocol: if protocol == "smime" { ProtocolName::Smime } else { ProtocolName::Pgp },
                    fingerprint: row.get(3)?,
                    in_use: row.get(4)?,
                    method: row.get(5)?,
                    at: time(at),
                    octets: row.get(7)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Ends a pending key: rejected, it is held no more and not used either.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn reject(&self, id: i64) -> Result<()> {
        self.change(|connection| connection.execute("UPDATE pending SET rejected = 1 WHERE id = ?1", params![id]))
            .map(drop)
    }

    /// Ends a pending key that is in use from now on.
    ///
    /// # Errors
    ///
    /// As [`Cache::turn`].
    pub(super) fn forget_pending(&self, id: i64) -> Result<()> {
        self.change(|connection| connection.execute("DELETE FROM pending WHERE id = ?1", params![id])).map(drop)
    }

    /// Runs `work` as one change.
    fn change<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.connection()?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = transaction.and_then(|transaction| {
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        });
        done.map_err(|error| self.failed(&error))
    }

    fn connection(&self) -> Result<MutexGuard<'_, Connection>> {
        let opened = self.opened.get_or_init(|| self.open().map(Mutex::new));
        match opened {
            Ok(connection) => Ok(connection.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(error) => Err(error.clone()),
        }
    }

    fn open(&self) -> Result<Connection> {
        let opened = match &self.path {
            None => Connection::open_in_memory(),
            Some(path) => {
                let folder = path.parent().unwrap_or(Path::new(""));
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
                made.map_err(|error| Error::io(folder.display(), &error))?;
                // The folder may be open to a group.
                let made = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
                made.map_err(|error| Error::io(path.display(), &error))?;
                Connection::open(path)
            }
        };
        let prepared = opened.and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(2))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // What is lost by a power failure is asked again.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            connection.execute_batch(TABLES)?;
            Ok(connection)
        });
        prepared.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        let place = self.path.as_ref().map_or_else(|| "keys found".to_owned(), |path| path.display().to_string());
        let kind = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => Kind::Damaged,
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Kind::TryAgain,
            _ => Kind::Io,
        };
        Error::new(kind, format!("{place}: {error}").to_lowercase())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("path", &self.path).finish_non_exhaustive()
    }
}

fn answer(row: &Row<'_>) -> rusqlite::Result<Answer> {
    let outcome: String = row.get(0)?;
    Ok(match outcome.as_str() {
        "found" => Answer::Found(row.get(2)?),
        "missing" => Answer::Missing(row.get(1)?),
        _ => Answer::Failed(row.get(1)?),
    })
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
