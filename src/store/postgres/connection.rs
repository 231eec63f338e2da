//! One connection, used by one thread at a time. The socket is driven by a thread of the key store; the caller waits, with a limit.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, task::AbortHandle};
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement, types::ToSql};

use super::{
    errors::{failed, is_lost},
    settings::Server,
    tls::Verified,
};
use crate::base::{Error, Kind, Result};

/// What a statement is given.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(super) struct Connection {
    client: Client,
    driver: AbortHandle,
    place: Arc<str>,
    timeout: Duration,
    /// Each is prepared once.
    statements: RefCell<HashMap<String, Statement>>,
    is_usable: Cell<bool>,
    /// The server did not answer in time.
    silence: RefCell<Option<Error>>,
}

impl Connection {
    /// Connects to the server.
    ///
    /// # Errors
    ///
    /// `TryAgain` when it cannot be reached, `Inaccessible` when it refuses, `Config` when there is no such database.
    pub(super) fn open(runtime: &Handle, server: &Server) -> Result<Connection> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (config, tls) = (server.config.clone(), server.tls.clone());
        let task = runtime.spawn(async move {
            let made = match tls {
                None => driven(config, tokio_postgres::NoTls).await,
                Some(tls) => driven::<Verified>(config, tls).await,
            };
            // Nobody may wait any more; the connection is then dropped.
            let _ = sender.send(made);
        });
        let made = receiver.recv_timeout(server.timeout).map_err(|_| {
            task.abort();
            no_answer(&server.name, server.timeout)
        })?;
        let (client, driver) = made.map_err(|error| failed(&server.name, &error))?;
        Ok(Connection {
            client,
            driver,
            place: Arc::from(server.name.as_str()),
            timeout: server.timeout,
            statements: RefCell::default(),
            is_usable: Cell::new(true),
            silence: RefCell::default(),
        })
    }

    /// Runs one statement.
    pub(super) fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query(&statement, values))
    }

    /// Runs one statement; returns how many rows it has changed.
    pub(super) fn count(&self, sql: &str, values: Values<'_>) -> Result<u64> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.execute(&statement, values))
    }

    fn prepared(&self, sql: &str) -> Result<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = self.wait(self.client.prepare(sql))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Runs statements without values.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Runs statements without values, and returns the first column of the last row as a number, with the other ones.
    pub(super) fn numbers(&self, sql: &str) -> Result<Vec<i64>> {
        let said = self.wait(self.client.simple_query(sql))?;
        let row = said.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.ok_or_else(|| Error::damaged(&self.place, "the version of the tables is gone"))?;
        let number = |at: usize| row.try_get(at).ok().flatten().and_then(|text| text.parse().ok());
        let numbers: Option<Vec<i64>> = (0..row.len()).map(number).collect();
        numbers.ok_or_else(|| Error::damaged(&self.place, "the version of the tables cannot be read"))
    }

    /// Sends a statement whose result does not matter. The next one of this connection runs after it.
    pub(super) fn send(&self, sql: &str) {
        let mut sent = pin!(self.client.batch_execute(sql));
        // The first poll sends it.
        let _ = sent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }

    /// Whether it may be used again.
    pub(super) fn is_usable(&self) -> bool {
        self.is_usable.get() && !self.client.is_closed()
    }

    /// The error, when the server did not answer in time.
    pub(super) fn silence(&self) -> Option<Error> {
        self.silence.borrow().clone()
    }

    /// It is not used again.
    pub(super) fn give_up(&self) {
        self.is_usable.set(false);
    }

    /// The URL without credentials.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// A value that is not of its type.
    pub(super) fn unreadable(&self, error: &tokio_postgres::Error) -> Error {
        Error::damaged(&self.place, error.to_string().to_lowercase())
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        // The server's own limit for a statement comes first, and says more.
        let Some(done) = within(self.timeout + GRACE, work) else {
            self.give_up();
            let error = no_answer(&self.place, self.timeout);
            self.silence.replace(Some(error.clone()));
            return Err(error);
        };
        done.map_err(|error| {
            if is_lost(&error) {
                self.give_up();
            }
            failed(&self.place, &error)
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // One that works says goodbye; one that does not would wait for the server.
        if !self.is_usable() {
            self.driver.abort();
        }
    }
}

/// Connects, and lets a task drive the connection.
async fn driven<T>(
    config: tokio_postgres::Config,
    tls: T,
) -> std::result::Result<(Client, AbortHandle), tokio_postgres::Error>
where
    T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket> + Send,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as tokio_postgres::tls::TlsConnect<tokio_postgres::Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await?;
    // Its errors reach the statements.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok((client, driver.abort_handle()))
}

fn no_answer(place: &str, timeout: Duration) -> Error {
    Error::new(Kind::TryAgain, format!("{place}: no answer within {} seconds", timeout.as_secs()))
}

/// The result of `work`, on this thread; `None` when it takes too long. Needs no runtime on this thread, and disturbs none.
fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let end = Instant::now() + limit;
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Some(done);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

/// How much longer than the server we wait.
const GRACE: Duration = Duration::from_millis(500);
