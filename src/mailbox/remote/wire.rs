//! One connection with a server: lines and octets, with bounds and deadlines, in clear or over TLS.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use memchr::memchr;
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::{RATE, Roots, Server, Timeouts};
use crate::base::{Error, Kind, Result};

/// A connection.
pub(in crate::mailbox) struct Wire {
    stream: Stream,
    /// What was read and not taken yet, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    timeouts: Timeouts,
    /// Until when the answer to the command has to be complete.
    deadline: Instant,
    place: String,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// While TLS begins, and after that failed.
    None,
}

impl Wire {
    /// Connects with a server, by the first of its addresses that accepts.
    ///
    /// # Errors
    ///
    /// `TryAgain`: no address accepts. `NoInput`: the name has none.
    pub(in crate::mailbox) fn connect(server: &Server, timeouts: Timeouts) -> Result<Wire> {
        let place = server.place();
        let addresses = (server.host.as_str(), server.port).to_socket_addrs();
        let addresses = addresses.map_err(|error| lost(&place, &error))?;
        let mut last = Error::new(Kind::TryAgain, format!("{place}: the name has no address"));
        for address in addresses.take(MAX_ADDRESSES) {
            match TcpStream::connect_timeout(&address, timeouts.connect) {
                Ok(stream) => {
                    let set = stream.set_nodelay(true).and_then(|()| stream.set_write_timeout(Some(timeouts.silence)));
                    set.map_err(|error| lost(&place, &error))?;
                    let deadline = Instant::now() + timeouts.command;
                    let stream = Stream::Plain(stream);
                    return Ok(Wire { stream, buffer: Vec::new(), start: 0, timeouts, deadline, place });
                }
                Err(error) => last = lost(&place, &error),
            }
        }
        Err(last)
    }

    /// Starts TLS, and verifies the server's certificate.
    ///
    /// # Errors
    ///
    /// `Malformed`: the server sent something before TLS that it was not asked for. `Unavailable`: the certificate
    /// is not good. `TryAgain`: the connection is lost.
    pub(in crate::mailbox) fn start_tls(&mut self, roots: Roots, host: &str) -> Result<()> {
        if self.start < self.buffer.len() {
            return Err(Error::malformed(
                &self.place,
                "the server sent data before TLS, which an attacker on the way could have written",
            ));
        }
        let Stream::Plain(mut socket) = std::mem::replace(&mut self.stream, Stream::None) else {
            return Err(Error::malformed(&self.place, "TLS twice"));
        };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| Error::usage(format!("{host}: not the name of a server for TLS")))?;
        let mut tls = ClientConnection::new(roots, name).map_err(|error| self.no_tls(&error))?;
        let end = Instant::now() + self.timeouts.connect;
        while tls.is_handshaking() {
            self.wait_at_most(&socket, end)?;
            if let Err(error) = tls.complete_io(&mut socket) {
                let alert = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                return Err(alert.map_or_else(|| lost(&self.place, &error), |alert| self.no_tls(alert)));
            }
        }
        self.stream = Stream::Tls(Box::new(StreamOwned::new(tls, socket)));
        Ok(())
    }

    /// Sends octets. The answer has its time from here on.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the connection is lost.
    pub(in crate::mailbox) fn send(&mut self, octets: &[u8]) -> Result<()> {
        let sent = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Stream::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Stream::None => Err(io::ErrorKind::NotConnected.into()),
        };
        self.deadline = Instant::now() + self.timeouts.command;
        sent.map_err(|error| lost(&self.place, &error))
    }

    /// The next line, without its end.
    ///
    /// # Errors
    ///
    /// `Malformed`: it is longer than `max` octets. `TryAgain`: the connection is lost, or the server took too long.
    pub(in crate::mailbox) fn line(&mut self, max: usize) -> Result<Vec<u8>> {
        let mut line = self.whole_line(max)?;
        line.pop();
        line.pop_if(|octet| *octet == b'\r');
        Ok(line)
    }

    /// The next line with its end.
    ///
    /// # Errors
    ///
    /// As [`Wire::line`].
    pub(in crate::mailbox) fn whole_line(&mut self, max: usize) -> Result<Vec<u8>> {
        let max = max.saturating_add(b"\r\n".len());
        let mut searched = 0;
        loop {
            let unread = self.unread();
            let end = memchr(b'\n', unread.get(searched..).unwrap_or_default()).map(|at| searched + at + 1);
            searched = unread.len();
            if end.unwrap_or(searched) > max {
                let reason = format!("the server sent a line of more than {max} octets");
                return Err(Error::malformed(&self.place, reason));
            }
            if let Some(end) = end {
                let line = unread.get(..end).unwrap_or_default().to_vec();
                self.start += end;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    /// Gives the answer more time, for so many octets that were announced.
    pub(in crate::mailbox) fn expect(&mut self, octets: usize) {
        let more = Duration::from_secs((octets / RATE) as u64);
        self.deadline = self.deadline.checked_add(more).unwrap_or(self.deadline);
    }

    /// Exactly so many octets. Memory is taken as they come.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the connection is lost, or the server took too long.
    pub(in crate::mailbox) fn octets(&mut self, count: usize) -> Result<Vec<u8>> {
        self.expect(count);
        let mut octets = Vec::new();
        loop {
            let missing = count - octets.len();
            let taken = self.unread().len().min(missing);
            octets.extend_from_slice(self.unread().get(..taken).unwrap_or_default());
            self.start += taken;
            if octets.len() == count {
                return Ok(octets);
            }
            self.fill()?;
        }
    }

    /// Waits until the server has said something, or until `end`, or until `stop`, which is asked every second. Whether there is something to
    /// read.
    ///
    /// # Errors
    ///
    /// `TryAgain`: the connection is lost.
    pub(in crate::mailbox) fn wait(&mut self, end: Instant, stop: &dyn Fn() -> bool) -> Result<bool> {
        loop {
            if self.start < self.buffer.len() {
                self.deadline = Instant::now() + self.timeouts.command;
                return Ok(true);
            }
            if stop() || Instant::now() >= end {
                return Ok(false);
            }
            let tick = Instant::now() + TICK;
            match self.read_until(tick.min(end)) {
                Ok(()) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(lost(&self.place, &error)),
            }
        }
    }

    /// The server's place, for errors.
    pub(in crate::mailbox) fn place(&self) -> &str {
        &self.place
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn fill(&mut self) -> Result<()> {
        let silence = Instant::now() + self.timeouts.silence;
        self.read_until(silence.min(self.deadline)).map_err(|error| {
            if is_timeout(&error) {
                return Error::new(Kind::TryAgain, format!("{}: the server takes too long to answer", self.place));
            }
            lost(&self.place, &error)
        })
    }

    /// Reads at least one octet.
    fn read_until(&mut self, end: Instant) -> io::Result<()> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start >= CHUNK {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let room = self.buffer.get_mut(filled..).unwrap_or_default();
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.set_read_timeout(Some(left)).and_then(|()| stream.read(room)),
            Stream::Tls(stream) => stream.sock.set_read_timeout(Some(left)).and_then(|()| stream.read(room)),
            Stream::None => Err(io::ErrorKind::NotConnected.into()),
        };
        self.buffer.truncate(filled + read.as_ref().map_or(0, |count| *count));
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map(drop),
        }
    }

    fn wait_at_most(&self, socket: &TcpStream, end: Instant) -> Result<()> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(Kind::TryAgain, format!("{}: no TLS: timeout", self.place)));
        }
        socket.set_read_timeout(Some(left)).map_err(|error| lost(&self.place, &error))
    }

    fn no_tls(&self, error: &rustls::Error) -> Error {
        let text = error.to_string();
        Error::new(Kind::Unavailable, format!("{}: no TLS: {text}", self.place))
    }
}

/// A connection that is no longer there, or was never.
fn lost(place: &str, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ if is_timeout(error) => "timeout".to_owned(),
        _ => return Error::new(Kind::TryAgain, Error::io(place, error).to_string()),
    };
    Error::new(Kind::TryAgain, format!("{place}: {why}"))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// Octets read at once.
const CHUNK: usize = 32 * 1024;
/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// How often `stop` is asked.
const TICK: Duration = Duration::from_secs(1);
