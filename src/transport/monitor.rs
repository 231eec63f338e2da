//! A page for Prometheus and a health check, over HTTP/1.1 (RFC 9112).

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

use super::{
    SessionId,
    listener::{Connection, Listener},
};
use crate::{
    base::{Error, Kind, Result},
    report::Metrics,
};

/// Answers `GET /metrics` and `GET /healthz`, one request per connection.
pub struct Monitor {
    metrics: Arc<Metrics>,
}

impl Monitor {
    /// Shows `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Monitor { metrics }
    }

    fn answer(&self, request: &[u8]) -> String {
        let line = request.split(|octet| *octet == b'\r').next().unwrap_or_default();
        let mut words = line.split(|octet| *octet == b' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, kind, body) = match (method, target) {
            (b"GET", b"/metrics") => ("200 OK", "text/plain; version=0.0.4", self.metrics.page()),
            (b"GET", b"/healthz") => ("200 OK", "text/plain", "ok\n".to_owned()),
            (b"GET", _) => ("404 Not Found", "text/plain", "/metrics or /healthz\n".to_owned()),
            _ => ("405 Method Not Allowed", "text/plain", "GET\n".to_owned()),
        };
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nAllow: GET\r\nConnection: close\r\n\r\n{body}"
        )
    }

    async fn converse(&self, connection: Connection) -> Result<()> {
        let io = |error: std::io::Error| Error::io("monitor", &error);
        let mut stream = connection.stream;
        let mut request = Vec::new();
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut piece = [0; 1024];
            let count = stream.read(&mut piece).await.map_err(io)?;
            request.extend_from_slice(piece.get(..count).unwrap_or_default());
            if count == 0 || request.len() > REQUEST {
                return Ok(());
            }
        }
        stream.write_all(self.answer(&request).as_bytes()).await.map_err(io)?;
        stream.shutdown().await.map_err(io)
    }
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
            let late = |_| Error::new(Kind::TryAgain, "monitor: timeout");
            timeout(TIMEOUT, self.converse(connection)).await.map_err(late)?
        })
    }
}

/// Octets of a request's header; Prometheus sends fewer than 500.
const REQUEST: usize = 8 * 1024;

/// For one request and its answer. Source: Prometheus' default `scrape_timeout`.
const TIMEOUT: Duration = Duration::from_secs(10);
