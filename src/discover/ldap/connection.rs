//! One connection with a server of a directory: in clear or over TLS, with a deadline for everything and a bound on what comes.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::{
    super::{
        directory::{Clear, LdapServer, Scheme},
        http::{Failure, lost},
    },
    message::{self, Message},
};

/// A connection. Its requests have an end together, and a bound on the octets of all answers.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// The number of the last request.
    id: u32,
    /// The octets that may still come.
    octets: usize,
    /// All that may come, for errors.
    max: usize,
    last: Vec<u8>,
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A socket whose every read and write ends at the deadline, so that a server which sends an octet now and then gets no more time than others.
struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Connection {
    /// Connects with `server` at `address`, and begins TLS.
    pub(super) fn open(
        server: &LdapServer,
        address: SocketAddr,
        clear: Clear,
        tls: &Arc<ClientConfig>,
        deadline: Instant,
        max: usize,
    ) -> Result<Connection, Failure> {
        let left = deadline.saturating_duration_since(Instant::now()).max(SHORTEST);
        let socket = TcpStream::connect_timeout(&address, left).map_err(lost)?;
        socket.set_nodelay(true).map_err(lost)?;
        let socket = Timed { socket, deadline };
        let connection = |stream| Connection { stream, id: 0, octets: max, max, last: Vec::new() };
        Ok(match (server.scheme, clear) {
            (Scheme::Ldaps, _) => connection(encrypted(socket, server, tls)?),
            (Scheme::Ldap, Clear::Allow) => connection(Box::new(socket)),
            (Scheme::Ldap, Clear::Refuse) => {
                let copy = Timed { socket: socket.socket.try_clone().map_err(lost)?, deadline };
                connection(Box::new(copy)).start_tls()?;
                // Nothing was read beyond the answer, so whatever came with it in clear spoils the handshake.
                connection(encrypted(socket, server, tls)?)
            }
        })
    }

    fn start_tls(&mut self) -> Result<(), Failure> {
        let id = self.next_id();
        self.send(&message::start_tls(id))?;
        let reply = self.receive(id)?;
        let done = reply.done().map_err(|_| no_ldap())?;
        match (reply.tag, done.code) {
            (message::EXTENDED, 0) => Ok(()),
            _ => Err(Failure::Failed(format!("no TLS: the server answers {}", outcome(&done)))),
        }
    }

    /// The number of the next request.
    pub(super) fn next_id(&mut self) -> u32 {
        self.id += 1;
        self.id
    }

    /// Sends a request.
    pub(super) fn send(&mut self, octets: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(octets).and_then(|()| self.stream.flush()).map_err(lost)
    }

    /// The next message, which has to answer request `id`.
    pub(super) fn receive(&mut self, id: u32) -> Result<Message<'_>, Failure> {
        let mut head = Vec::new();
        let (length, _) = loop {
            if let Some(found) = message::length(&head).map_err(|_| no_ldap())? {
                break found;
            }
            let mut octet = [0];
            self.stream.read_exact(&mut octet).map_err(lost)?;
            head.extend_from_slice(&octet);
        };
        if head.first() != Some(&0x30) {
            return Err(no_ldap());
        }
        self.octets = match self.octets.checked_sub(head.len().saturating_add(length)) {
            Some(octets) => octets,
            None => return Err(Failure::Unfit(format!("the answer is larger than {} octets", self.max))),
        };
        self.last.clear();
        self.last.resize(length, 0);
        self.stream.read_exact(&mut self.last).map_err(lost)?;
        let message = Message::read(&self.last).map_err(|_| no_ldap())?;
        match message.id {
            found if found == id => Ok(message),
            // RFC 4511, section 4.4.1
            0 => Err(Failure::Failed("the server ends the connection".to_owned())),
            _ => Err(no_ldap()),
        }
    }
}

/// The reason of a result that is no success.
pub(super) fn outcome(done: &message::Done) -> String {
    // RFC 4511, appendix A.
    let meaning = match done.code {
        1 => "operations error",
        3 => "time limit exceeded",
        4 => "size limit exceeded",
        8 | 13 => "it wants a stronger login, or TLS",
        10 => "a referral to another server, which is not followed",
        32 => "the base does not exist",
        48 => "it takes no such login",
        49 => "the login is wrong",
        50 => "not permitted",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling",
        _ => "an error",
    };
    let text = if done.text.is_empty() { String::new() } else { format!(": {}", done.text.trim()) };
    format!("{} ({meaning}){text}", done.code)
}

pub(super) fn no_ldap() -> Failure {
    Failure::Failed("the answer is not LDAP".to_owned())
}

fn encrypted(socket: Timed, server: &LdapServer, tls: &Arc<ClientConfig>) -> Result<Box<dyn Stream>, Failure> {
    let name = ServerName::try_from(server.host.clone());
    let name = name.map_err(|_| Failure::Failed("not a name for TLS".to_owned()))?;
    let wrong = |error: rustls::Error| Failure::Failed(format!("tls: {error}").to_lowercase());
    let connection = ClientConnection::new(Arc::clone(tls), name).map_err(wrong)?;
    Ok(Box::new(StreamOwned::new(connection, socket)))
}

/// Sockets refuse no time at all.
const SHORTEST: Duration = Duration::from_millis(1);

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left.max(SHORTEST))) }
    }
}

impl Read for Timed {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(octets)
    }
}

impl Write for Timed {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
