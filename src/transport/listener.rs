//! What handles the connections at a listening address.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{SessionId, slots::Load};
use crate::base::Result;

/// Serves the connections that one endpoint accepts.
pub trait Listener: Send + Sync {
    /// The kind of listener, for the log and the metrics: `milter`, `lmtp`, `submission`, `relay`, `monitor`.
    fn name(&self) -> &'static str;

    /// Whether a client at this address may use the reserve of connections: `None` is a local socket.
    fn knows(&self, _client: Option<SocketAddr>) -> bool {
        true
    }

    /// Turns a client away that this listener does not know, because only the reserve of connections is left.
    fn turn_away(self: Arc<Self>, connection: Connection) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { drop(connection) })
    }

    /// Serves one connection until it ends, or until `stopping` turns true and no message is in progress. `session` is its id in the log.
    ///
    /// # Errors
    ///
    /// The connection ended in a way that belongs in the log.
    fn serve(
        self: Arc<Self>,
        connection: Connection,
        session: SessionId,
        stopping: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;
}

/// An accepted connection.
pub struct Connection {
    /// The octets, both ways.
    pub stream: Box<dyn Stream>,
    /// The client's address; none for a local socket.
    pub peer: Option<SocketAddr>,
    /// Whether the endpoint fills.
    pub load: Load,
}

/// Octets both ways: TCP, a local socket, or TLS over either.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
