//! Whether something was changed: the primary says so (LISTEN, NOTIFY), and is asked a few times a second, so that silence is noticed too.

use std::{
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Socket, tls::MakeTlsConnect};

use super::settings::Server;
use crate::base::{Clock as _, SystemClock};

/// The number of the last change, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Mutex<Last>,
    is_started: AtomicBool,
}

#[derive(Debug, Default)]
struct Last {
    change: i64,
    /// When the primary was asked for `change` and gave it; `None` while it is not connected.
    asked: Option<Instant>,
    /// How far the server's clock is from ours; `None` until it was asked.
    skew: Option<Duration>,
    /// When that was reported.
    warned: Option<Instant>,
    /// How often the connection was lost: what was read before is not used again, since a database that was restored counts on from an older number.
    losses: i64,
}

impl Watch {
    /// The version of the last change; `None` when that is not known of this very moment, give or take [`MAX_AGE`].
    pub(super) fn version(&self) -> Option<i64> {
        let last = self.last();
        last.asked.filter(|asked| asked.elapsed() < MAX_AGE).map(|_| last.version(last.change))
    }

    /// A transaction that began now saw this change on the primary.
    pub(super) fn saw(&self, change: i64) {
        let mut last = self.last();
        last.change = last.change.max(change);
    }

    /// The version of a change that was read now.
    pub(super) fn version_of(&self, change: i64) -> i64 {
        self.last().version(change)
    }

    /// Starts to listen, once.
    pub(super) fn start(self: &Arc<Self>, runtime: &Handle, server: &Server) {
        if !self.is_started.swap(true, Ordering::Relaxed) {
            runtime.spawn(follow(Arc::downgrade(self), server.clone()));
        }
    }

    /// How far the clock of the primary is from this machine's, while it answers.
    pub(super) fn skew(&self) -> Option<Duration> {
        let last = self.last();
        last.asked.and(last.skew)
    }

    /// The primary's clock, read between two moments of ours, in milliseconds since 1970.
    fn compare(&self, place: &str, theirs: i64, ours: [i64; 2]) {
        let [before, after] = ours;
        // What the way there and back took is no difference.
        let difference = if theirs < before { theirs - before } else { (theirs - after).max(0) };
        let skew = Duration::from_millis(difference.unsigned_abs());
        let mut last = self.last();
        last.skew = Some(skew);
        if skew < MAX_SKEW {
            last.warned = None;
        } else if last.warned.is_none_or(|warned| warned.elapsed() > WARN_AGAIN) {
            last.warned = Some(Instant::now());
            drop(last);
            let clock = if difference > 0 { "ahead" } else { "behind" };
            tracing::warn!(event = "clock-skew", %place, database = clock, seconds = skew.as_secs());
        }
    }

    fn confirm(&self, change: i64, asked: Instant) {
        let mut last = self.last();
        // What was said by NOTIFY meanwhile is newer.
        last.change = last.change.max(change);
        last.asked = Some(asked);
    }

    /// The connection is new: the database may be another one, restored from a backup.
    fn begin(&self, change: i64, asked: Instant) {
        let mut last = self.last();
        (last.change, last.asked) = (change, Some(asked));
    }

    fn lost(&self) {
        let mut last = self.last();
        last.asked = None;
        last.losses += 1;
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    fn version(&self, change: i64) -> i64 {
        (self.losses << CHANGE_BITS) ^ change
    }
}

/// Listens until the key store is gone, and connects again after a pause.
async fn follow(watch: Weak<Watch>, server: Server) {
    while watch.strong_count() > 0 {
        match server.tls.clone() {
            None => listen(&watch, &server, NoTls).await,
            Some(tls) => listen(&watch, &server, tls).await,
        }
        if let Some(watch) = watch.upgrade() {
            watch.lost();
        }
        sleep(PAUSE).await;
    }
}

/// Listens over one connection until it fails.
async fn listen<T>(watch: &Weak<Watch>, server: &Server, tls: T)
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let Ok(Ok((client, connection))) = timeout(server.timeout, server.config.connect(tls)).await else { return };
    let driver = tokio::spawn(hear(watch.clone(), connection));
    // Its errors mean the same as silence.
    let _ = ask(watch, &server.name, &client).await;
    driver.abort();
}

/// Asks for the number again and again; ends when there is no answer in time.
async fn ask(watch: &Weak<Watch>, place: &str, client: &Client) -> Option<()> {
    timeout(MAX_AGE, client.batch_execute(LISTEN)).await.ok()?.ok()?;
    let statement = timeout(MAX_AGE, client.prepare(ASK)).await.ok()?.ok()?;
    let mut is_first = true;
    loop {
        let (asked, before) = (Instant::now(), milliseconds());
        let row = timeout(MAX_AGE, client.query_one(&statement, &[])).await.ok()?.ok()?;
        let (change, theirs) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
        let watch = watch.upgrade()?;
        watch.compare(place, theirs, [before, milliseconds()]);
        if std::mem::take(&mut is_first) {
            watch.begin(change, asked)
        } else {
            watch.confirm(change, asked)
        }
        drop(watch);
        sleep(PERIOD).await;
    }
}

/// Drives the connection, and notes what the server says of its own accord.
async fn hear<S, T>(watch: Weak<Watch>, mut connection: Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    poll_fn(|context| {
        loop {
            match ready!(connection.poll_message(context)) {
                Some(Ok(AsyncMessage::Notification(said))) => {
                    if let (Some(watch), Ok(change)) = (watch.upgrade(), said.payload().parse()) {
                        watch.saw(change);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        }
    })
    .await;
    if let Some(watch) = watch.upgrade() {
        watch.lost();
    }
}

fn milliseconds() -> i64 {
    let since = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

const ASK: &str = "SELECT number, (extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM postseal.change";
/// A clock that is set by NTP is off by less than a second. Turns to ask sources on the network bear this much, and so do the limits of time in signatures
/// and certificates, which have minutes.
const MAX_SKEW: Duration = Duration::from_secs(5);
/// A difference that stays is reported so often.
const WARN_AGAIN: Duration = Duration::from_secs(60 * 60);
/// For the number of a change: a thousand a second for thirty years.
const CHANGE_BITS: u32 = 40;
/// What a writer says, with the number of the change.
pub(super) const CHANNEL: &str = "postseal_change";
const LISTEN: &str = "LISTEN postseal_change";
/// How long an answer of the primary counts: what is said within a second may be said later than that only by a server that answers nothing.
const MAX_AGE: Duration = Duration::from_millis(900);
/// Between two questions.
const PERIOD: Duration = Duration::from_millis(300);
/// Between two connections.
const PAUSE: Duration = Duration::from_millis(500);
