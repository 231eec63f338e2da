//! Where mail ends: an SMTP server that takes everything, keeps it as it came, and says what it is told to say.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// One message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// What followed `MAIL FROM:`, parameters and all: `<a@x.org> SIZE=12`.
    pub(crate) sender: String,
    /// What followed each `RCPT TO:`.
    pub(crate) recipients: Vec<String>,
    /// When its end was heard.
    pub(crate) at: Instant,
    /// What followed `AUTH ` on its connection.
    pub(crate) login: Option<String>,
    /// The message with CRLF, without the dots that SMTP adds (RFC 5321, section 4.5.2).
    pub(crate) message: Vec<u8>,
}

impl Received {
    /// The message as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }

    /// The message with LF, as files have it.
    pub(crate) fn as_file(&self) -> Vec<u8> {
        self.message.split_inclusive(|octet| *octet == b'\n').fold(Vec::new(), |mut file, line| {
            file.extend_from_slice(line.strip_suffix(b"\r\n").unwrap_or(line));
            file.extend(line.ends_with(b"\r\n").then_some(b'\n'));
            file
        })
    }

    /// The mailboxes of the recipients, without brackets and parameters.
    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.recipients.iter().map(|path| path.split(['<', '>']).nth(1).unwrap_or(path)).collect()
    }
}

/// A running server; it stops when dropped.
pub(crate) struct Sink {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    more: Condvar,
    /// Prefixes of commands (`.` is the end of the data), and what is said to them.
    answers: Mutex<Vec<(String, String)>>,
    is_over: AtomicBool,
    is_down: AtomicBool,
    /// Milliseconds between the end of a message and the answer to it.
    pause: AtomicU64,
    /// Every connection that there has been.
    streams: Mutex<Vec<TcpStream>>,
}

impl Sink {
    /// Starts one on a free port of loopback.
    pub(crate) fn start() -> Sink {
        Self::on(0)
    }

    /// Starts one on this port of loopback.
    pub(crate) fn on(port: u16) -> Sink {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if theirs.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&theirs);
                if theirs.is_down.load(Ordering::SeqCst) {
                    continue;
                }
                shared
                    .streams
                    .lock()
                    .expect("nobody panics with it")
                    .extend(stream.iter().flat_map(TcpStream::try_clone));
                // A client that goes away in the middle is none of our business.
                thread::spawn(move || stream.and_then(|stream| converse(&stream, &shared)));
            }
        });
        Sink { port, shared, accepting: Some(accepting) }
    }

    /// Where it listens, on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on says `reply` (`550 5.1.1 nobody`) to commands that begin with `prefix`, in upper case (`RCPT TO:<NOBODY@`); `.` is the
    /// end of the data. `250 ...` as the last word takes it back.
    pub(crate) fn answer(&self, prefix: &str, reply: &str) {
        let mut answers = self.shared.answers.lock().expect("nobody panics with it");
        answers.insert(0, (prefix.to_ascii_uppercase(), reply.to_owned()));
    }

    /// Cuts every connection in the middle of whatever it is in, and every new one, until [`Sink::resume`].
    pub(crate) fn hang_up(&self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
        for stream in self.shared.streams.lock().expect("nobody panics with it").drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Serves again.
    pub(crate) fn resume(&self) {
        self.shared.is_down.store(false, Ordering::SeqCst);
    }

    /// From now on thinks that long about each message before it is taken.
    pub(crate) fn slow(&self, pause: Duration) {
        self.shared.pause.store(u64::try_from(pause.as_millis()).expect("not for ever"), Ordering::SeqCst);
    }

    /// What has arrived so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("nobody panics with it").clone()
    }

    /// What has arrived since the last call, which it forgets.
    pub(crate) fn drain(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock().expect("nobody panics with it"))
    }

    /// Waits until at least `count` messages have arrived; panics after 30 seconds.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Received> {
        let received = self.shared.received.lock().expect("nobody panics with it");
        let wait = self.shared.more.wait_timeout_while(received, Duration::from_secs(30), |all| all.len() < count);
        let (received, waited) = wait.expect("nobody panics with it");
        assert!(!waited.timed_out(), "{} messages instead of {count} arrived: {received:?}", received.len());
        received.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

fn converse(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(300)))?;
    // Replies to several commands at once do not wait for one another.
    stream.set_nodelay(true)?;
    let mut from = BufReader::new(stream);
    let mut to = stream;
    let (mut sender, mut recipients, mut login) = (String::new(), Vec::new(), None);
    to.write_all(b"220 sink.postseal.test ESMTP\r\n")?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let command = text.to_ascii_uppercase();
        if let Some(reply) = shared.told(&command) {
            write!(to, "{reply}\r\n")?;
            continue;
        }
        match command.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => to.write_all(EXTENSIONS)?,
            "MAIL" => {
                (sender, recipients) = (argument(&text), Vec::new());
                to.write_all(b"250 2.1.0 ok\r\n")?;
            }
            "RCPT" => {
                recipients.push(argument(&text));
                to.write_all(b"250 2.1.5 ok\r\n")?;
            }
            "DATA" if recipients.is_empty() => to.write_all(b"503 5.5.1 no recipients\r\n")?,
            "DATA" => {
                to.write_all(b"354 go on\r\n")?;
                let message = data(&mut from)?;
                thread::sleep(Duration::from_millis(shared.pause.load(Ordering::SeqCst)));
                let reply = shared.told(".").unwrap_or_else(|| {
                    let count = shared.received.lock().expect("nobody panics with it").len();
                    format!("250 2.0.0 taken: queued as K{count}")
                });
                if reply.starts_with('2') {
                    let (sender, login) = (sender.clone(), login.clone());
                    let (recipients, at) = (std::mem::take(&mut recipients), Instant::now());
                    let received = Received { sender, recipients, at, login, message };
                    shared.received.lock().expect("nobody panics with it").push(received);
                    shared.more.notify_all();
                }
                write!(to, "{reply}\r\n")?;
            }
            "AUTH" => {
                login = text.split_once(' ').map(|(_, how)| how.to_owned());
                to.write_all(b"235 2.7.0 whoever you are\r\n")?;
            }
            "QUIT" => return to.write_all(b"221 2.0.0 bye\r\n"),
            "HELO" | "NOOP" | "RSET" => to.write_all(b"250 2.0.0 ok\r\n")?,
            _ => to.write_all(b"502 5.5.2 what?\r\n")?,
        }
    }
}

impl Shared {
    /// What is to be said to `command` out of order.
    fn told(&self, command: &str) -> Option<String> {
        let answers = self.answers.lock().expect("nobody panics with it");
        let found = answers.iter().find(|(prefix, _)| command.starts_with(prefix.as_str()));
        found.map(|(_, reply)| reply.clone()).filter(|reply| !reply.starts_with('2'))
    }
}

fn argument(line: &str) -> String {
    line.split_once(':').map(|(_, argument)| argument.trim().to_owned()).unwrap_or_default()
}

fn data(from: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if from.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

const EXTENSIONS: &[u8] =
    b"250-sink.postseal.test\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n\
250-ENHANCEDSTATUSCODES\r\n250 HELP\r\n";
