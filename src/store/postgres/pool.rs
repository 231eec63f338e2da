//! A bounded number of connections to one server, kept open between uses.

use std::{
    fmt,
    ops::Deref,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{connection::Connection, settings::Server};
use crate::base::{Error, Kind, Result};

pub(super) struct Pool {
    server: Server,
    runtime: Handle,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Idle ones and used ones.
    open: usize,
    failure: Option<Failure>,
}

/// The server could not be reached, and is left alone for a while.
struct Failure {
    error: Error,
    until: Instant,
    pause: Duration,
}

impl Pool {
    pub(super) fn new(server: Server, runtime: Handle) -> Pool {
        Pool { server, runtime, state: Mutex::default(), freed: Condvar::new() }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// A connection; waits for one when all are used.
    ///
    /// # Errors
    ///
    /// Those of [`Connection::open`]; at once, without asking the server, for a while after a failure. `TryAgain` when none becomes free.
    pub(super) fn take(&self) -> Result<Lease<'_>> {
        let end = Instant::now() + self.server.timeout;
        let mut state = self.state();
        loop {
            while let Some(connection) = state.idle.pop() {
                if connection.is_usable() {
                    return Ok(self.lease(connection));
                }
                state.open -= 1;
            }
            if let Some(failure) = state.failure.as_ref().filter(|failure| failure.until > Instant::now()) {
                return Err(failure.error.clone());
            }
            if state.open < self.server.connections {
                break;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let reason = format!("all {} connections are in use", self.server.connections);
                return Err(Error::new(Kind::TryAgain, format!("{}: {reason}", self.server.name)));
            }
            state = self.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.open += 1;
        drop(state);
        let opened = Connection::open(&self.runtime, &self.server);
        let mut state = self.state();
        match opened {
            Ok(connection) => {
                state.failure = None;
                Ok(self.lease(connection))
            }
            Err(error) => {
                state.open -= 1;
                self.failed(&mut state, error.clone());
                Err(error)
            }
        }
    }

    fn failed(&self, state: &mut State, error: Error) {
        let (first, most) = self.server.pauses;
        let pause = state.failure.as_ref().map_or(first, |last| (last.pause * 2).min(most));
        state.failure = Some(Failure { error, until: Instant::now() + pause, pause });
        self.freed.notify_all();
    }

    fn lease(&self, connection: Connection) -> Lease<'_> {
        Lease { pool: self, connection: Some(connection) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

/// A connection that goes back when it is dropped.
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
}

impl Deref for Lease<'_> {
    type Target = Connection;

    #[expect(clippy::expect_used, reason = "only drop takes it")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection until it is dropped")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let mut state = self.pool.state();
        if connection.is_usable() {
            state.idle.push(connection);
        } else {
            state.open -= 1;
            if let Some(error) = connection.silence() {
                // The others would wait as long.
                let idle = std::mem::take(&mut state.idle);
                state.open -= idle.len();
                idle.iter().for_each(Connection::give_up);
                self.pool.failed(&mut state, error);
            }
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}
