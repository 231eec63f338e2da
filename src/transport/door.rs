//! Where a listener listens, and what answers there.

use std::{
    fmt, fs,
    future::Future,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt, fs::PermissionsExt, net::UnixStream as Probe},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::watch,
};

use crate::base::{Error, Kind, Result};

/// What answers at an endpoint.
pub trait Door: Send + Sync {
    /// What kind of door it is, for the log and the metrics.
    fn name(&self) -> &'static str;

    /// Sees to one connection until it is over, or until `stopping` turns true and nothing is under way.
    ///
    /// # Errors
    ///
    /// The connection ended in a way that the administrator may want to know of.
    fn welcome(
        self: Arc<Self>,
        connection: Connection,
        stopping: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;
}

/// Somebody who connected.
pub struct Connection {
    /// The octets, both ways.
    pub stream: Box<dyn Stream>,
    /// The peer's address; none for a local socket.
    pub peer: Option<SocketAddr>,
}

/// Octets both ways: TCP, a local socket, TLS over either.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where to listen, as the configuration writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A socket that systemd opened, by its `FileDescriptorName=`: `systemd:NAME`.
    Systemd(String),
    /// An address and a port: `127.0.0.1:8891`, `[::1]:8891`.
    Tcp(SocketAddr),
    /// A local socket, for its owner and group: `unix:/run/postseal/milter`.
    Unix(PathBuf),
}

impl Endpoint {
    /// Reads one of the three forms.
    ///
    /// # Errors
    ///
    /// `Config` when it is none of them.
    pub fn parse(text: &str) -> Result<Endpoint> {
        let endpoint = match text.split_once(':') {
            Some(("systemd", name)) if !name.is_empty() => Some(Endpoint::Systemd(name.to_owned())),
            Some(("unix", path)) if path.starts_with('/') => Some(Endpoint::Unix(path.into())),
            _ => text.parse().ok().map(Endpoint::Tcp),
        };
        endpoint.ok_or_else(|| {
            Error::new(Kind::Config, format!("endpoint {text:?}: not an address with a port"))
                .with_hint("write 127.0.0.1:8891, [::1]:8891, unix:/run/postseal/milter or systemd:NAME")
        })
    }

    /// Whether only this machine can connect. Of a socket that systemd opened, nobody knows: its unit says.
    pub fn is_local(&self) -> bool {
        matches!(self, Endpoint::Tcp(address) if address.ip().is_loopback()) || matches!(self, Endpoint::Unix(_))
    }

    /// Opens it; a socket that systemd opened is in `inherited`.
    pub(super) fn open(&self, inherited: &[Inherited]) -> Result<Socket> {
        let io = |error: std::io::Error| Error::new(Kind::Unavailable, format!("{self}: {error}").to_lowercase());
        match self {
            Endpoint::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address).map_err(io)?;
                tcp(listener).map_err(io)
            }
            Endpoint::Unix(path) => {
                remove_stale(path).map_err(io)?;
                let listener = UnixListener::bind(path).map_err(io)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(io)?;
                Ok(Socket::Unix(listener))
            }
            Endpoint::Systemd(name) => {
                let found = inherited.iter().find(|inherited| inherited.name == *name);
                let found = found.ok_or_else(|| {
                    Error::new(Kind::Config, format!("{self}: systemd passed no socket of that name"))
                        .with_hint("give the socket unit FileDescriptorName=, and start the service by it")
                })?;
                match &found.listener {
                    Listener::Tcp(listener) => listener.try_clone().and_then(tcp).map_err(io),
                    Listener::Unix(listener) => {
                        let listener = listener.try_clone().map_err(io)?;
                        listener.set_nonblocking(true).map_err(io)?;
                        UnixListener::from_std(listener).map(Socket::Unix).map_err(io)
                    }
                }
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Systemd(name) => write!(f, "systemd:{name}"),
            Endpoint::Tcp(address) => write!(f, "{address}"),
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that whoever started us had opened already.
#[derive(Debug)]
pub struct Inherited {
    /// Its `FileDescriptorName=`.
    pub name: String,
    /// The socket.
    pub listener: Listener,
}

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// For a port.
    Tcp(std::net::TcpListener),
    /// For a path.
    Unix(std::os::unix::net::UnixListener),
}

/// A listening socket that the runtime knows.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// Waits for somebody to connect.
    pub(super) async fn accept(&self) -> std::io::Result<Connection> {
        Ok(match self {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Connection { stream: Box::new(stream), peer: Some(peer) }
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Connection { stream: Box::new(stream), peer: None }
            }
        })
    }
}

fn tcp(listener: std::net::TcpListener) -> std::io::Result<Socket> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Socket::Tcp)
}

/// Removes a socket at which nobody listens any more; anything else stays and is in the way.
fn remove_stale(path: &Path) -> std::io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && Probe::connect(path).is_err() { fs::remove_file(path) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_they_are_written() {
        for text in ["127.0.0.1:8891", "[::1]:25", "unix:/run/postseal/milter", "systemd:milter"] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        for text in ["127.0.0.1", "unix:milter", "systemd:", "localhost:25", ""] {
            let error = Endpoint::parse(text).unwrap_err();
            assert_eq!(error.to_string(), format!("endpoint {text:?}: not an address with a port"));
        }
        let is_local = |text: &str| Endpoint::parse(text).unwrap().is_local();
        assert!(is_local("127.0.0.1:1") && is_local("[::1]:1") && is_local("unix:/a"));
        assert!(!is_local("0.0.0.0:1") && !is_local("systemd:a"));
    }
}
