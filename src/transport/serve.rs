//! All listeners in one process: accept within limits, reload as a whole, and stop after the messages in progress.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use tracing::Instrument;

use super::{
    SessionId,
    endpoint::{Endpoint, Inherited, Socket},
    listener::{Connection, Listener},
    slots::Slots,
};
use crate::{
    base::{Error, Random, Result},
    report::{Limit, Metrics},
};

/// The listeners of one configuration.
pub struct Listeners {
    /// By the address where each listens.
    pub by_endpoint: BTreeMap<Endpoint, Arc<dyn Listener>>,
    /// What is done beside. It ends with a reload or a stop.
    pub background: Vec<Background>,
    /// Connections at once per listener. More wait in the kernel's queue.
    pub connections: usize,
    /// How long messages in progress may take after a stop.
    pub drain: Duration,
    /// Makes the ids of connections.
    pub random: Arc<dyn Random>,
}

/// Something that is done beside serving, until it is dropped.
pub type Background = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the process is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Load the configuration again (SIGHUP).
    Reload,
    /// Stop (SIGTERM, SIGINT).
    Stop,
}

/// What the process tells its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every listener is open.
    Ready,
    /// The configuration is being loaded again.
    Reloading,
    /// Every listener is closed.
    Stopping,
    /// The configuration could not be loaded again: the one before stays in force.
    Unchanged,
}

/// Serves until [`Event::Stop`], or until `events` is closed.
///
/// `load` builds the listeners. It is called at the start and for each [`Event::Reload`]. If it fails then, or if a new endpoint cannot be
/// opened, the current listeners stay. Endpoints that stay keep their sockets, so that no client is turned away. Open connections keep the
/// configuration that they started with.
///
/// # Errors
///
/// The listeners could not be built or opened at the start.
pub async fn serve(
    mut load: impl FnMut() -> Result<Listeners>,
    inherited: &[Inherited],
    metrics: Arc<Metrics>,
    mut events: mpsc::Receiver<Event>,
    tell: impl Fn(State),
) -> Result<()> {
    let listeners = load()?;
    let mut drain = listeners.drain;
    let (stop, stopping) = watch::channel(false);
    let (connected, mut all_closed) = mpsc::channel(1);
    let acceptor = Acceptor { metrics: Arc::clone(&metrics), stopping, connected };
    let mut sockets = open(&listeners, &BTreeMap::new(), inherited)?;
    let mut accepting = acceptor.accept(listeners, &sockets);
    tell(State::Ready);

    while let Some(Event::Reload) = events.recv().await {
        tell(State::Reloading);
        match load().and_then(|listeners| Ok((open(&listeners, &sockets, inherited)?, listeners))) {
            Ok((opened, listeners)) => {
                accepting.iter().for_each(AbortHandle::abort);
                drain = listeners.drain;
                sockets = opened;
                accepting = acceptor.accept(listeners, &sockets);
                metrics.reloaded();
                tracing::info!(event = "configuration-loaded");
                tell(State::Ready);
            }
            Err(error) => {
                metrics.reload_failed();
                tracing::error!(event = "configuration-rejected", %error, hint = error.hint().map(tracing::field::display));
                tell(State::Unchanged);
            }
        }
    }

    tell(State::Stopping);
    accepting.iter().for_each(AbortHandle::abort);
    drop(sockets);
    drop(acceptor);
    // Fails if no connection is open.
    let _ = stop.send(true);
    if timeout(drain, all_closed.recv()).await.is_err() {
        // Their clients still have the messages.
        tracing::warn!(event = "drain-timeout", seconds = drain.as_secs());
    }
    Ok(())
}

/// Opens the endpoints that are not open yet.
fn open(
    listeners: &Listeners,
    sockets: &BTreeMap<Endpoint, Arc<Socket>>,
    inherited: &[Inherited],
) -> Result<BTreeMap<Endpoint, Arc<Socket>>> {
    let opened = listeners.by_endpoint.keys().map(|endpoint| {
        let socket = match sockets.get(endpoint) {
            Some(socket) => Arc::clone(socket),
            None => Arc::new(endpoint.open(inherited)?),
        };
        Ok((endpoint.clone(), socket))
    });
    opened.collect()
}

/// Starts the accept loops.
struct Acceptor {
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
    /// Every connection holds a clone: the channel closes with the last one.
    connected: mpsc::Sender<()>,
}

impl Acceptor {
    /// Accepts at every endpoint until aborted. An abort does not end open connections.
    fn accept(&self, listeners: Listeners, sockets: &BTreeMap<Endpoint, Arc<Socket>>) -> Vec<AbortHandle> {
        let (connections, random) = (listeners.connections, listeners.random);
        let background = listeners.background.into_iter().map(|task| tokio::spawn(task).abort_handle());
        let opened = listeners.by_endpoint.into_iter().filter_map(|(endpoint, listener)| {
            let socket = sockets.get(&endpoint).map(Arc::clone)?;
            Some((socket, endpoint, listener))
        });
        let tasks = opened.map(|(socket, endpoint, listener)| {
            tracing::info!(event = "listening", %endpoint, listener = listener.name());
            let permits = Arc::new(Semaphore::new(connections));
            tokio::spawn(self.accept_at(socket, listener, permits, Arc::clone(&random))).abort_handle()
        });
        tasks.chain(background).collect()
    }

    fn accept_at(
        &self,
        socket: Arc<Socket>,
        listener: Arc<dyn Listener>,
        permits: Arc<Semaphore>,
        random: Arc<dyn Random>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (metrics, stopping, connected) = (Arc::clone(&self.metrics), self.stopping.clone(), self.connected.clone());
        let slots = Slots::new(listener.name(), permits.available_permits(), Arc::clone(&metrics));
        async move {
            while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
                let accepted = socket.accept().await.map_err(|error| Error::io("accept", &error));
                let accepted = accepted.and_then(|(stream, peer)| Ok((stream, peer, SessionId::new(&*random)?)));
                let (stream, peer, session) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Usually no file descriptor is free, until a connection ends.
                        tracing::warn!(event = "accept-failed", listener = listener.name(), %error);
                        sleep(PAUSE).await;
                        continue;
                    }
                };
                let name = listener.name();
                let connection = Connection { stream, peer, load: slots.load() };
                let slot = if listener.knows(peer) { Some(slots.take()) } else { slots.take_unreserved() };
                let Some(slot) = slot else {
                    metrics.limit_reached(name, Limit::Connections);
                    let client = peer.map(tracing::field::display);
                    tracing::warn!(
                        event = "too-many-connections",
                        listener = name,
                        client,
                        limit = Limit::Connections.name()
                    );
                    let turning_away = Arc::clone(&listener).turn_away(connection);
                    tokio::spawn(async move {
                        let _held = permit;
                        turning_away.await;
                    });
                    continue;
                };
                let guard = ConnectionGuard::new(Arc::clone(&metrics), name);
                let span = session.span(name);
                let serving = Arc::clone(&listener).serve(connection, session, stopping.clone());
                let connected = connected.clone();
                let served = async move {
                    let _held = (permit, slot, connected, guard);
                    if let Err(error) = serving.await {
                        let client = peer.map(tracing::field::display);
                        tracing::warn!(event = "connection-failed", client, %error);
                    }
                };
                tokio::spawn(served.instrument(span));
            }
        }
    }
}

/// Counts a connection while it lasts.
struct ConnectionGuard {
    metrics: Arc<Metrics>,
    listener: &'static str,
}

impl ConnectionGuard {
    fn new(metrics: Arc<Metrics>, listener: &'static str) -> Self {
        metrics.connected(listener);
        ConnectionGuard { metrics, listener }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.metrics.disconnected(self.listener);
    }
}

/// The default of [`Listeners::drain`]: less than the 90 s of systemd's `TimeoutStopSec`.
pub const DRAIN: Duration = Duration::from_secs(60);

/// Between two attempts to accept when the machine lacks a resource.
const PAUSE: Duration = Duration::from_millis(100);
