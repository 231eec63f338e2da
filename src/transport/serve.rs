//! All listeners in one process: accept within bounds, reload as a whole, stop without dropping anybody.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::door::{Door, Endpoint, Inherited, Socket};
use crate::{base::Result, report::Metrics};

/// Which doors are open, by one reading of the configuration.
pub struct House {
    /// Where each listens. An endpoint occurs once.
    pub doors: BTreeMap<Endpoint, Arc<dyn Door>>,
    /// How many connections each door has at once; more wait in the kernel's queue until one ends.
    pub connections: usize,
    /// How long, when told to stop, mails under way may take.
    pub drain: Duration,
}

/// What the process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Read the configuration again (SIGHUP).
    Reload,
    /// End (SIGTERM, SIGINT).
    Stop,
}

/// What the process tells its supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every door is open.
    Ready,
    /// The configuration is being read again.
    Reloading,
    /// No door is open any more.
    Stopping,
}

/// Serves until told to stop.
///
/// `load` reads the configuration and builds everything anew. It is called once at the start and again for each [`Event::Reload`]; when it
/// fails then, or when a new endpoint cannot be opened, the old house stays as it is. Endpoints that stay keep their sockets, so that nobody
/// is turned away; connections that are open stay with the doors that they came through.
///
/// # Errors
///
/// The first house could not be built or opened.
pub async fn serve(
    mut load: impl FnMut() -> Result<House>,
    inherited: &[Inherited],
    metrics: Arc<Metrics>,
    mut events: mpsc::Receiver<Event>,
    tell: impl Fn(State),
) -> Result<()> {
    let house = load()?;
    let mut drain = house.drain;
    let (stop, stopping) = watch::channel(false);
    let (visit, mut visits) = mpsc::channel(1);
    let reception = Reception { metrics: Arc::clone(&metrics), stopping, visit };
    let mut sockets = open(&house, &BTreeMap::new(), inherited)?;
    let mut accepting = reception.accept(house, &sockets);
    tell(State::Ready);

    while let Some(Event::Reload) = events.recv().await {
        tell(State::Reloading);
        match load().and_then(|house| Ok((open(&house, &sockets, inherited)?, house))) {
            Ok((opened, house)) => {
                accepting.iter().for_each(AbortHandle::abort);
                drain = house.drain;
                sockets = opened;
                accepting = reception.accept(house, &sockets);
                metrics.reloaded();
                tracing::info!("the configuration was read again");
            }
            Err(error) => {
                metrics.reload_failed();
                tracing::error!(%error, hint = error.hint().map(tracing::field::display), "the configuration stays as it was");
            }
        }
        tell(State::Ready);
    }

    tell(State::Stopping);
    accepting.iter().for_each(AbortHandle::abort);
    drop(sockets);
    drop(reception);
    // Nobody listens when nobody is there.
    let _ = stop.send(true);
    if timeout(drain, visits.recv()).await.is_err() {
        tracing::warn!(seconds = drain.as_secs(), "mails under way were given up; their senders still have them");
    }
    Ok(())
}

/// Opens what is not open yet.
fn open(
    house: &House,
    sockets: &BTreeMap<Endpoint, Arc<Socket>>,
    inherited: &[Inherited],
) -> Result<BTreeMap<Endpoint, Arc<Socket>>> {
    let opened = house.doors.keys().map(|endpoint| {
        let socket = match sockets.get(endpoint) {
            Some(socket) => Arc::clone(socket),
            None => Arc::new(endpoint.open(inherited)?),
        };
        Ok((endpoint.clone(), socket))
    });
    opened.collect()
}

/// What every connection is given.
struct Reception {
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
    /// Held by every connection: when the last is gone, the channel is closed.
    visit: mpsc::Sender<()>,
}

impl Reception {
    /// Accepts at every endpoint until aborted; an abort does not touch who is already in.
    fn accept(&self, house: House, sockets: &BTreeMap<Endpoint, Arc<Socket>>) -> Vec<AbortHandle> {
        let limit = house.connections;
        let doors = house.doors.into_iter();
        let opened =
            doors.filter_map(|(endpoint, door)| Some((sockets.get(&endpoint).map(Arc::clone)?, endpoint, door)));
        let tasks = opened.map(|(socket, endpoint, door)| {
            tracing::info!(%endpoint, door = door.name(), "listening");
            tokio::spawn(self.stand_at(socket, door, Arc::new(Semaphore::new(limit)))).abort_handle()
        });
        tasks.collect()
    }

    fn stand_at(
        &self,
        socket: Arc<Socket>,
        door: Arc<dyn Door>,
        room: Arc<Semaphore>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (metrics, stopping, visit) = (Arc::clone(&self.metrics), self.stopping.clone(), self.visit.clone());
        async move {
            while let Ok(place) = Arc::clone(&room).acquire_owned().await {
                let connection = match socket.accept().await {
                    Ok(connection) => connection,
                    Err(error) => {
                        // Out of file descriptors, mostly: it passes when somebody leaves.
                        tracing::warn!(door = door.name(), %error, "nobody can come in");
                        sleep(PAUSE).await;
                        continue;
                    }
                };
                let (name, peer) = (door.name(), connection.peer);
                let stay = Stay::new(Arc::clone(&metrics), name);
                let visiting = Arc::clone(&door).welcome(connection, stopping.clone());
                let visit = visit.clone();
                tokio::spawn(async move {
                    let _held = (place, visit, stay);
                    if let Err(error) = visiting.await {
                        tracing::warn!(door = name, ?peer, %error, "connection ended");
                    }
                });
            }
        }
    }
}

/// Counts a connection while it lasts, however it ends.
struct Stay {
    metrics: Arc<Metrics>,
    door: &'static str,
}

impl Stay {
    fn new(metrics: Arc<Metrics>, door: &'static str) -> Self {
        metrics.connected(door);
        Stay { metrics, door }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.metrics.disconnected(self.door);
    }
}

/// How long mails under way may take when we are told to stop: less than the 90 s of systemd's `TimeoutStopSec`.
pub const DRAIN: Duration = Duration::from_secs(60);

/// Between two attempts to accept when the machine is out of something.
const PAUSE: Duration = Duration::from_millis(100);
