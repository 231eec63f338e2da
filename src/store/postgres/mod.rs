//! Rows in PostgreSQL: one truth for several machines.
//!
//! Writers run one after the other (an advisory lock), and each gives the change a number and says it (NOTIFY). A look reads one snapshot. What was
//! read stays valid until another number is heard of (`watch`, `answers`), so a look at what is known asks the server nothing. A server that is lost
//! or silent is an error of kind `TryAgain`, and never an empty answer.

mod answers;
mod connection;
mod errors;
mod findings;
mod look;
mod nodes;
mod pool;
mod rows;
mod schema;
mod settings;
mod tls;
mod watch;

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, Runtime};

use look::{End, Look, Trust};
use nodes::Nodes;
use pool::{Lease, Pool};
use rows::Rows;
use settings::{Part, Server};

use super::{
    backend::{Backend, Tx, View},
    elsewhere::Server as Place,
};
use crate::{
    base::{Error, Kind, Result},
    keys::FindingRows,
};

/// The rows in the database of the first URL, with those of the others as replicas. Connects when it is first used.
///
/// # Errors
///
/// `Config` for URLs that cannot be used.
pub(super) fn open(urls: &[String]) -> Result<Box<dyn Backend>> {
    Ok(Box::new(Postgres::new(urls)?))
}

/// Makes the tables, or runs the missing migrations; returns the version of the tables before and after.
///
/// # Errors
///
/// `Config` when a newer program made them, `Inaccessible` when the role may not make tables.
pub(super) fn upgrade(url: &str) -> Result<(i32, i32)> {
    Postgres::new(&[url.to_owned()])?.upgrade()
}

/// Where the servers of a URL are.
///
/// # Errors
///
/// `Config` for one that cannot be used.
pub(super) fn places(url: &str) -> Result<Vec<Place>> {
    settings::places(url)
}

/// SQL that makes the roles and grants them what they need.
pub(super) const ROLES: &str = include_str!("roles.sql");

/// A database of PostgreSQL, with replicas to read from.
struct Postgres {
    nodes: Nodes,
    /// Whether there are tables, as far as it was seen.
    has_tables: AtomicBool,
    opened: Instant,
    /// Drives the sockets. `None` when it is being dropped.
    runtime: Option<Runtime>,
}

impl Postgres {
    fn new(urls: &[String]) -> Result<Postgres> {
        let (primary, replicas) =
            urls.split_first().ok_or_else(|| Error::new(Kind::Config, "the URL of the key store: there is none"))?;
        let primary = Server::of_url(primary, Part::Primary)?;
        let replicas =
            replicas.iter().map(|url| Server::of_url(url, Part::Replica)).collect::<Result<Vec<Server>>>()?;
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build();
        let runtime = runtime.map_err(|error| Error::io("a thread for the key store", &error))?;
        let pool = |server: Server| Pool::new(server, runtime.handle().clone());
        let beside = Server { connections: (primary.connections / 4).max(1), ..primary.clone() };
        Ok(Postgres {
            nodes: Nodes::new(pool(primary), pool(beside), replicas.into_iter().map(pool).collect()),
            has_tables: AtomicBool::new(false),
            opened: Instant::now(),
            runtime: Some(runtime),
        })
    }

    fn upgrade(&self) -> Result<(i32, i32)> {
        let mut versions = (0, 0);
        self.change(LockWait::Long, Missing::Make, &mut |rows| {
            let there = schema::Tables::of(rows.connection)?;
            versions = (there.map_or(0, |tables| tables.version), schema::known());
            if let Some(tables) = there.filter(|tables| tables.version >= schema::known()) {
                versions.1 = tables.version;
                return tables.check(self.name(), schema::known());
            }
            schema::migrate(rows, schema::MIGRATIONS)
        })?;
        Ok(versions)
    }

    /// The URL without credentials.
    fn name(&self) -> &str {
        self.nodes.name()
    }

    /// Listens for changes, from the second second on: a program that looks up one key is done by then.
    fn listen(&self) {
        if let Some(runtime) = self.runtime.as_ref().filter(|_| self.opened.elapsed() > SHORT_LIFE) {
            self.nodes.watch.start(runtime.handle(), self.nodes.primary.server());
        }
    }

    /// Runs `work` as one change.
    fn change(&self, wait: LockWait, missing: Missing, work: &mut dyn FnMut(&Rows<'_>) -> Result<()>) -> Result<()> {
        let lease = self.locked(wait)?;
        let done = self.changed(&lease, missing, work);
        match done {
            Ok(change) => {
                if let Some(change) = change {
                    self.nodes.watch.saw(change);
                    self.nodes.answers.clear();
                }
                self.has_tables.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                if lease.is_usable() && lease.batch("ROLLBACK").is_err() {
                    lease.give_up();
                }
                Err(error)
            }
        }
    }

    /// A transaction in which no other writer is.
    fn locked(&self, wait: LockWait) -> Result<Lease<'_>> {
        let limit = match wait {
            LockWait::Long => "",
            LockWait::Short => "SET LOCAL lock_timeout = '100ms';",
        };
        let sql = format!("BEGIN; {limit} SELECT pg_advisory_xact_lock({LOCK})");
        let lease = self.nodes.primary.take()?;
        match lease.batch(&sql) {
            Ok(()) => Ok(lease),
            // It was lost while it was idle: nothing was done yet.
            Err(_) if !lease.is_usable() => {
                drop(lease);
                let lease = self.nodes.primary.take()?;
                lease.batch(&sql).inspect_err(|_| lease.send("ROLLBACK"))?;
                Ok(lease)
            }
            Err(error) => {
                lease.send("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Runs `work` within a transaction, and commits it; returns the number of the change, if there was one.
    fn changed(
        &self,
        lease: &Lease<'_>,
        missing: Missing,
        work: &mut dyn FnMut(&Rows<'_>) -> Result<()>,
    ) -> Result<Option<i64>> {
        let rows = Rows::new(lease);
        let tables = schema::Tables::of(lease)?;
        match (tables, missing) {
            (Some(tables), Missing::Fail) => tables.check(self.name(), schema::known())?,
            (None, Missing::Fail) => schema::migrate(&rows, schema::MIGRATIONS)?,
            (_, Missing::Make) => {}
        }
        work(&rows)?;
        if !rows.is_changed() {
            lease.batch("COMMIT")?;
            return Ok(None);
        }
        let said = lease.rows(
            "WITH next AS (UPDATE postseal.change SET number = number + 1 RETURNING number)
             SELECT number, pg_notify($1, number::text) IS NULL FROM next",
            &[&watch::CHANNEL],
        )?;
        let change = said.first().and_then(|row| row.try_get(0).ok());
        let change = change.ok_or_else(|| Error::damaged(self.name(), "the number of changes is gone"))?;
        lease.batch("COMMIT").map_err(|error| {
            let what = "it is not known whether the change was made";
            if lease.is_usable() { error } else { Error::new(error.kind(), format!("{error}: {what}")) }
        })?;
        Ok(Some(change))
    }
}

impl Backend for Postgres {
    fn exists(&self) -> Result<bool> {
        if !self.has_tables.load(Ordering::Relaxed) {
            let lease = self.nodes.primary.take()?;
            match schema::Tables::of(&lease)? {
                Some(tables) => tables.check(self.name(), schema::known())?,
                None => return Ok(false),
            }
            self.has_tables.store(true, Ordering::Relaxed);
        }
        Ok(true)
    }

    fn read(&self, work: &mut dyn FnMut(&dyn View) -> Result<()>) -> Result<bool> {
        if !self.exists()? {
            return Ok(false);
        }
        self.listen();
        for trust in [Trust::Heard, Trust::Heard, Trust::Nothing] {
            let look = Look::new(&self.nodes, trust);
            let done = work(&look);
            match look.end() {
                End::Moved => {}
                // An idle connection may have been lost with the server that is back meanwhile.
                End::Lost if trust == Trust::Heard => {}
                End::Steady | End::Lost => return done.map(|()| true),
            }
        }
        let look = Look::new(&self.nodes, Trust::Nothing);
        work(&look).map(|()| true)
    }

    fn write(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<()> {
        self.change(LockWait::Long, Missing::Fail, &mut |rows| work(rows))
    }

    fn write_if_free(&self, work: &mut dyn FnMut(&dyn Tx) -> Result<()>) -> Result<bool> {
        if !self.exists()? {
            return Ok(false);
        }
        self.change(LockWait::Short, Missing::Fail, &mut |rows| work(rows)).map(|()| true)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn clock_skew(&self) -> Option<Duration> {
        self.nodes.watch.skew()
    }

    fn change_findings(&self, work: &mut dyn FnMut(&dyn FindingRows) -> Result<()>) -> Result<()> {
        if !self.exists()? {
            // Another program makes them with the first key.
            self.write(&mut |_| Ok(()))?;
        }
        findings::change(&self.nodes.findings, work)
    }

    /// Nothing can be overwritten: old rows are in the log of the server, in its replicas and its backups. They are sealed under the data key.
    fn erase_removed(&self) -> Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postgres").field(&self.nodes).finish()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // May be on a thread that must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How long a writer waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LockWait {
    /// As long as a statement may take.
    Long,
    /// A fraction of a second.
    Short,
}

/// What to do with tables that are missing or old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Refuse old ones; make those of an empty database.
    Fail,
    /// The change makes them.
    Make,
}

/// The lock of writers: "postseal" in ASCII.
const LOCK: i64 = 0x706f_7374_7365_616c;
/// How long a program runs before it listens for changes.
const SHORT_LIFE: Duration = Duration::from_secs(1);
