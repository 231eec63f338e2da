//! Listening addresses: parsed from the configuration, and opened.

use std::{
    fmt, fs,
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream as Probe,
    },
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, UnixListener};

use super::listener::Stream;
use crate::base::{Error, Kind, Result};

/// A listening address, in the form that the configuration uses.
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
    /// Parses one of the three forms.
    ///
    /// # Errors
    ///
    /// `Config`: the text has none of these forms.
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

    /// Whether only this machine can connect. False for a socket that systemd opened, because its address is in the unit file.
    pub fn is_local(&self) -> bool {
        matches!(self, Endpoint::Tcp(address) if address.ip().is_loopback()) || matches!(self, Endpoint::Unix(_))
    }

    /// Whether a connection to `address` on this machine would arrive here.
    pub fn takes(&self, address: SocketAddr) -> bool {
        let Endpoint::Tcp(own) = self else { return false };
        let is_any = own.ip().is_unspecified() && address.ip().is_loopback();
        own.port() == address.port() && (is_any || own.ip() == address.ip())
    }

    /// Opens the socket; sockets that systemd opened are in `inherited`.
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
                    ListeningSocket::Tcp(listener) => listener.try_clone().and_then(tcp).map_err(io),
                    ListeningSocket::Unix(listener) => {
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

/// A socket that the parent process has opened.
#[derive(Debug)]
pub struct Inherited {
    /// Its `FileDescriptorName=`.
    pub name: String,
    /// The socket.
    pub listener: ListeningSocket,
}

/// A listening socket.
#[derive(Debug)]
pub enum ListeningSocket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A local socket.
    Unix(std::os::unix::net::UnixListener),
}

/// A listening socket registered with the runtime.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// Waits for a connection, and the address of its client; `None` for a local socket.
    pub(super) async fn accept(&self) -> std::io::Result<(Box<dyn Stream>, Option<SocketAddr>)> {
        Ok(match self {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                (Box::new(stream), Some(peer))
            }
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                (Box::new(stream), None)
            }
        })
    }
}

fn tcp(listener: std::net::TcpListener) -> std::io::Result<Socket> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Socket::Tcp)
}

/// Removes a socket file without a listener. Any other file stays, and opening fails.
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
        let takes = |text: &str, address: &str| Endpoint::parse(text).unwrap().takes(address.parse().unwrap());
        assert!(takes("127.0.0.1:25", "127.0.0.1:25") && takes("[::]:25", "127.0.0.1:25"));
        assert!(!takes("127.0.0.1:25", "127.0.0.1:26") && !takes("127.0.0.1:25", "127.0.0.2:25"));
        assert!(!takes("0.0.0.0:25", "192.0.2.1:25") && !takes("systemd:a", "127.0.0.1:25"));
    }
}
