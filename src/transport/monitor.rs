//! A page for people, one for Prometheus and two health checks, over HTTP/1.1 (RFC 9112), on connections of their own.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::{AbortHandle, spawn_blocking},
    time::timeout,
};

use super::{
    Quarantine, SessionId,
    listener::{Connection, Listener},
};
use crate::{
    base::{Error, Result},
    report::{
        KeyFigures, Metrics, Readiness,
        html::{self, KeyEnd, Status},
    },
};

/// What a [`Monitor`] asks of the service. Each may take a while.
pub trait Health: Send + Sync {
    /// Whether mail can be handled now: the key sources can be read.
    ///
    /// # Errors
    ///
    /// Why not.
    fn ready(&self) -> Result<()>;

    /// What is known of the keys; `None` when they cannot be read.
    fn keys(&self) -> Option<KeyFigures>;

    /// Own keys that end within 30 days with no other in their place, the first one first.
    fn endings(&self) -> Vec<KeyEnd>;

    /// How far the clock of the machine with the keys is from this one's; `None` where the keys are here, or while it is not known.
    fn clock_skew(&self) -> Option<Duration>;
}

/// Answers `GET /`, `GET /metrics`, `GET /livez` (also `/healthz`) and `GET /readyz`, one request per connection. Of more than 512 at once the oldest is closed,
/// so that idle ones do not stop a health check.
pub struct Monitor {
    metrics: Arc<Metrics>,
    health: Arc<dyn Health>,
    quarantine: Option<Quarantine>,
    /// The connections in progress, the oldest first.
    connections: Mutex<VecDeque<AbortHandle>>,
}

impl Monitor {
    /// Shows `metrics` and `health`, and how many messages are held.
    pub fn new(metrics: Arc<Metrics>, health: Arc<dyn Health>, quarantine: Option<Quarantine>) -> Self {
        Monitor { metrics, health, quarantine, connections: Mutex::default() }
    }

    async fn answer(&self, request: &[u8]) -> String {
        let line = request.split(|octet| *octet == b'\r').next().unwrap_or_default();
        let mut words = line.split(|octet| *octet == b' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, kind, body) = match (method, target) {
            (b"GET", b"/") => {
                let (health, metrics) = (Arc::clone(&self.health), Arc::clone(&self.metrics));
                let quarantine = self.quarantine.clone();
                let page = move || html::status(&metrics, &status(&*health, quarantine.as_ref()));
                match spawn_blocking(page).await {
                    Ok(page) => ("200 OK", HTML, page),
                    Err(_) => ("503 Service Unavailable", TEXT, "the page could not be made\n".to_owned()),
                }
            }
            (b"GET", b"/metrics") => {
                let health = Arc::clone(&self.health);
                let asked = spawn_blocking(move || (health.ready(), health.keys(), health.clock_skew())).await;
                let (ready, keys, skew) = asked.unwrap_or((Ok(()), None, None));
                let readiness = if ready.is_ok() { Readiness::Ready } else { Readiness::NotReady };
                self.metrics.note_health(readiness, keys, skew);
                ("200 OK", "text/plain; version=0.0.4", self.metrics.page())
            }
            (b"GET", b"/healthz" | b"/livez") => ("200 OK", TEXT, "ok\n".to_owned()),
            (b"GET", b"/readyz") => {
                let health = Arc::clone(&self.health);
                match timeout(READINESS, spawn_blocking(move || health.ready())).await {
                    Ok(Ok(Ok(()))) => ("200 OK", TEXT, "ok\n".to_owned()),
                    Ok(Ok(Err(error))) => ("503 Service Unavailable", TEXT, format!("{error}\n")),
                    Ok(Err(_)) => ("503 Service Unavailable", TEXT, "the check failed\n".to_owned()),
                    Err(_) => ("503 Service Unavailable", TEXT, NO_ANSWER.to_owned()),
                }
            }
            (b"GET", _) => ("404 Not Found", TEXT, "/, /metrics, /livez or /readyz\n".to_owned()),
            _ => ("405 Method Not Allowed", TEXT, "GET\n".to_owned()),
        };
        let length = body.len();
        // Plain text is no page either, whatever a browser takes it for.
        let policy = html::policy();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nAllow: GET\r\nConnection: close\r\n\
             Cache-Control: no-store\r\nContent-Security-Policy: {policy}; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\n\r\n{body}"
        )
    }

    async fn converse(&self, connection: Connection) -> Result<()> {
        let mut stream = connection.stream;
        let Some(request) = timeout(PATIENCE, request(&mut stream)).await.ok().transpose()?.flatten() else {
            return Ok(());
        };
        // Not within the time of the client: what takes long is told, and not cut off.
        let answer = self.answer(&request).await;
        let sent = timeout(PATIENCE, async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        });
        sent.await.map_or(Ok(()), |sent| sent.map_err(io))
    }
}

/// The header of a request; `None`: it is too long, or does not end.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let count = stream.read(&mut piece).await.map_err(io)?;
        request.extend_from_slice(piece.get(..count).unwrap_or_default());
        if count == 0 || request.len() > REQUEST {
            return Ok(None);
        }
    }
    Ok(Some(request))
}

fn io(error: std::io::Error) -> Error {
    Error::io("monitor", &error)
}

impl Listener for Monitor {
    fn name(&self) -> &'static str {
        "monitor"
    }

    fn serve(
        self: Arc<Self>,
        connection: Connection,
        _: SessionId,
        _: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        Box::pin(async move {
            let monitor = Arc::clone(&self);
            // A client that is too slow, or gone, is none of the log's business.
            let task = tokio::spawn(async move { drop(monitor.converse(connection).await) });
            self.register(task.abort_handle());
            // The connection is no longer the accept loop's: the limit on connections is that of other listeners.
            Ok(())
        })
    }
}

impl Monitor {
    /// Adds a connection, and closes the oldest when there are too many.
    fn register(&self, connection: AbortHandle) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|other| !other.is_finished());
        while connections.len() >= CONNECTIONS {
            connections.pop_front().inspect(AbortHandle::abort);
        }
        connections.push_back(connection);
    }
}

/// What the status page says of the service.
fn status(health: &dyn Health, quarantine: Option<&Quarantine>) -> Status {
    Status {
        obstacle: health.ready().err().map(|error| error.to_string()),
        keys: health.keys(),
        endings: health.endings(),
        held: quarantine.and_then(|quarantine| quarantine.count().ok()).map(|count| count as u64),
    }
}

const HTML: &str = "text/html; charset=utf-8";

const TEXT: &str = "text/plain";

/// Octets of a request's header; Prometheus sends fewer than 500.
const REQUEST: usize = 8 * 1024;

/// For a client to send its request, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// For the check behind `/readyz`: more than each of its parts takes. Source: below the five seconds that load balancers commonly wait.
const READINESS: Duration = Duration::from_millis(4_500);

const NO_ANSWER: &str = "no answer within 4.5 seconds\n";

/// Connections at once. Source: more than the kernel's queue holds (128 by default), so that a burst of idle clients does not end a request
/// before it is read.
const CONNECTIONS: usize = 512;
