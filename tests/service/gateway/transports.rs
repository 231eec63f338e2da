//! Every way in, in this process: what is brought in at one of them, and what comes out for whom.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use postseal::{
    base::{Limits, Result, SystemClock, SystemRandom},
    engine::{Handler, HandlerConfig, Outcome, Posting, ReloadableHandler},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    policy::{Decision, Pattern, Policy},
    report::Metrics,
    transport::{
        Blocking, Endpoint, HandingOver, Listener, MemoryLimit, Network, NextHop, SendError, Sending, SessionId,
        filter::filter,
        milter::{Copying, Milter, Settings},
        relay::{Host, Relay},
        sendmail::{Options, Sendmail, Writer},
        serve::{Event, Listeners, State, serve},
        smtp::{
            BareLf, Caller, Clients, Dialect, Login, Origin, Protection, Reply, Server, Settings as Smtp, Timeouts,
        },
        tls::{Connector, Security},
    },
};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{
    handler,
    ports::{free_port, wait_for_port},
};

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Filter,
    Lmtp,
    Milter,
    Sendmail,
    Submission,
}

impl Way {
    pub(crate) const ALL: [Way; 5] = [Way::Filter, Way::Lmtp, Way::Milter, Way::Sendmail, Way::Submission];
}

/// What came out for some recipients.
pub(crate) struct Copy {
    pub(crate) to: Vec<Address>,
    pub(crate) octets: Vec<u8>,
}

/// What was handled last, and what was decided.
pub(crate) struct Handled {
    pub(crate) mail: Mail,
    pub(crate) decision: Decision,
}

/// A handler that remembers.
struct Spy {
    hook: ReloadableHandler,
    last: Mutex<Option<Handled>>,
}

impl Handler for Spy {
    fn handle(&self, mail: Mail) -> Result<Outcome> {
        let outcome = self.hook.handle(mail.clone())?;
        *self.last.lock().unwrap() = Some(Handled { mail, decision: outcome.decision.clone() });
        Ok(outcome)
    }

    fn copies(&self, posting: &Posting, numbers: std::ops::Range<usize>) -> Result<Vec<Mail>> {
        self.hook.copies(posting, numbers)
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        self.hook.mark(mail)
    }
}

/// Where mail goes on.
#[derive(Clone, Default)]
struct Next {
    copies: Arc<Mutex<Vec<Copy>>>,
}

impl NextHop for Next {
    fn send_all<'a>(
        &'a self,
        mails: &'a [Mail],
        _: Option<&'a Origin>,
    ) -> Sending<'a, Vec<std::result::Result<Reply, SendError>>> {
        let sent = mails.iter().map(|mail| {
            let to = mail.envelope.recipients.iter().map(|path| path.address.clone()).collect();
            self.copies.lock().unwrap().push(Copy { to, octets: mail.message.octets().to_vec() });
            Ok(Reply::new(250, "2.0.0", "Ok"))
        });
        let sent = sent.collect();
        Box::pin(async { Ok(sent) })
    }
}

/// A service with all doors, and the next server.
pub(crate) struct Gateway {
    spy: Arc<Spy>,
    next: Next,
    ports: [u16; 3],
    events: mpsc::Sender<Event>,
    serving: Option<thread::JoinHandle<Result<()>>>,
}

impl Gateway {
    pub(crate) fn start() -> Gateway {
        let (spy, next) = (Arc::new(Spy { hook: handler::hook(), last: Mutex::default() }), Next::default());
        let ports = [free_port(), free_port(), free_port()];
        let (events, told) = mpsc::channel(1);
        let upstream = sink(&next);
        let handler: Arc<dyn Handler> = Arc::clone(&spy) as Arc<dyn Handler>;
        let next_hop: Arc<dyn NextHop> = Arc::new(next.clone());
        let serving = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let metrics = Arc::new(Metrics::default());
            let load = move || Ok(open(ports, upstream, &handler, &next_hop));
            runtime.block_on(serve(load, &[], metrics, told, |_: State| {}))
        });
        ports.into_iter().for_each(wait_for_port);
        Gateway { spy, next, ports, events, serving: Some(serving) }
    }

    /// From now on this is decided.
    pub(crate) fn decides(&self, policy: &Policy) {
        let setup = HandlerConfig::clone(&self.spy.hook.config());
        self.spy.hook.replace(HandlerConfig { policy: policy.clone(), ..setup });
    }

    /// What came out, and what was decided; `None` when nothing was.
    pub(crate) fn brought(
        &self,
        way: Way,
        submitter: &Submitter,
        to: &[&str],
        octets: &[u8],
    ) -> Option<(Vec<Copy>, Handled)> {
        *self.spy.last.lock().unwrap() = None;
        self.next.copies.lock().unwrap().clear();
        let mut copies = match way {
            Way::Filter => self.filtered(submitter, to, octets),
            Way::Sendmail => self.sent(submitter, to, octets),
            Way::Submission => self.spoken(Dialect::Smtp, submitter, to, octets),
            Way::Lmtp => self.spoken(Dialect::Lmtp, submitter, to, octets),
            Way::Milter => self.milted(submitter, to, octets),
        }
        .unwrap_or_default();
        copies.append(&mut self.next.copies.lock().unwrap());
        Some((copies, self.spy.last.lock().unwrap().take()?))
    }

    fn filtered(&self, submitter: &Submitter, to: &[&str], octets: &[u8]) -> Option<Vec<Copy>> {
        let to: Vec<Address> = to.iter().map(|one| handler::address(one)).collect();
        let recipients = to.iter().map(|one| ForwardPath { address: one.clone(), parameters: Vec::new() }).collect();
        let envelope =
            Envelope { sender: ReversePath { address: Some(to[0].clone()), parameters: Vec::new() }, recipients };
        let mut budget = postseal::base::Budget::new(Limits::default());
        let message = Message::parse(octets.to_vec(), &mut budget).ok()?;
        let mail = Mail { envelope, submitter: submitter.clone(), client: None, message };
        let octets = filter(&*self.spy, &SessionId::new(&SystemRandom).unwrap(), mail).ok()??;
        Some(vec![Copy { to, octets }])
    }

    fn sent(&self, submitter: &Submitter, to: &[&str], octets: &[u8]) -> Option<Vec<Copy>> {
        // A local user who runs a program counts as authenticated.
        let user = match submitter {
            Submitter::Authenticated(login) => login.as_str().to_owned(),
            Submitter::Host | Submitter::Trusted | Submitter::Unknown => "nobody".to_owned(),
        };
        let writer = Writer {
            user: &user,
            full_name: None,
            domain: "example.org",
            date: "D".to_owned(),
            unique: "u".to_owned(),
        };
        let next_hop = Blocking::new(|| Ok(Box::new(self.next.clone()))).unwrap();
        let (limits, session) = (Limits::default(), SessionId::new(&SystemRandom).unwrap());
        let sendmail = Sendmail {
            copies: HandingOver {
                handler: &*self.spy,
                next_hop: &next_hop,
                quarantine: None,
                bounces: None,
                name: "sendmail",
                session: &session,
            },
            writer,
            limits: &limits,
        };
        let arguments: Vec<String> =
            ["-i", "-f", "alice@example.org", "--"].iter().chain(to).map(|one| (*one).to_owned()).collect();
        sendmail.send(&Options::parse(&arguments).unwrap(), &mut &octets[..]).ok()?;
        Some(Vec::new())
    }

    fn spoken(&self, dialect: Dialect, submitter: &Submitter, to: &[&str], octets: &[u8]) -> Option<Vec<Copy>> {
        let (port, hello) = match dialect {
            Dialect::Smtp => (self.ports[0], "EHLO client.test"),
            Dialect::Lmtp => (self.ports[1], "LHLO client.test"),
        };
        let mut client = Client::new(port);
        client.say(hello);
        let told = match submitter {
            Submitter::Authenticated(login) => {
                let xtext = |octet: u8| {
                    if octet.is_ascii_alphanumeric() { char::from(octet).to_string() } else { format!("+{octet:02X}") }
                };
                // In capitals: the name is the same.
                let name: String = login.as_str().to_uppercase().bytes().map(xtext).collect();
                client.say(&format!("XCLIENT ADDR=192.0.2.7 LOGIN={name}"))
            }
            Submitter::Trusted => client.say("XFORWARD SOURCE=LOCAL"),
            Submitter::Host | Submitter::Unknown => client.say("XCLIENT ADDR=192.0.2.7"),
        };
        assert!(told.starts_with('2'), "{told}");
        client.say(hello);
        client.say("MAIL FROM:<alice@example.org> BODY=8BITMIME");
        let taken = to.iter().filter(|one| client.say(&format!("RCPT TO:<{one}>")).starts_with("250")).count();
        client.say("DATA");
        let lines: Vec<Vec<u8>> = octets
            .split(|octet| *octet == b'\n')
            .map(|line| {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                [if line.starts_with(b".") { b".".as_slice() } else { b"" }, line, b"\r\n"].concat()
            })
            .collect();
        client.write(&lines.concat());
        client.say(".");
        if dialect == Dialect::Lmtp {
            (1..taken).for_each(|_| drop(client.hear()));
        }
        client.say("QUIT");
        Some(Vec::new())
    }

    /// As an MTA would: the one copy that it has is changed as it is told.
    fn milted(&self, submitter: &Submitter, to: &[&str], octets: &[u8]) -> Option<Vec<Copy>> {
        let mut mta = Mta(TcpStream::connect(("127.0.0.1", self.ports[2])).unwrap());
        mta.say(b'O', &[6_u32, 0x1ff, 0].map(u32::to_be_bytes).concat());
        mta.hear()?;
        let host = if *submitter == Submitter::Trusted { "127.0.0.1" } else { "192.0.2.7" };
        mta.ask(b'C', format!("client.test\x004\x10\0{host}\0").as_bytes())?;
        mta.ask(b'H', b"client.test\0")?;
        if let Submitter::Authenticated(login) = submitter {
            mta.say(b'D', format!("M{{auth_authen}}\0{}\0", login.as_str().to_uppercase()).as_bytes());
        }
        mta.ask(b'M', b"<alice@example.org>\0")?;
        let mut remaining: Vec<Address> = to.iter().map(|one| handler::address(one)).collect();
        for one in to {
            mta.ask(b'R', format!("<{one}>\0").as_bytes())?;
        }
        let split = memchr::memmem::find(octets, b"\r\n\r\n")
            .map(|at| (at + 2, at + 4))
            .or(memchr::memmem::find(octets, b"\n\n").map(|at| (at + 1, at + 2)));
        let (header, body) = split.map_or((octets, &b""[..]), |(end, start)| (&octets[..end], &octets[start..]));
        let mut fields: Vec<Vec<u8>> = Vec::new();
        for line in header
            .split(|octet| *octet == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
        {
            match fields.last_mut() {
                Some(field) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                    field.extend([b"\n", line].concat())
                }
                // An MTA has no other fields.
                _ if line.contains(&b':') => fields.push(line.to_vec()),
                _ => {}
            }
        }
        for field in &fields {
            let colon = memchr::memchr(b':', field)?;
            mta.ask(b'L', &[&field[..colon], b"\0", field[colon + 1..].trim_ascii_start(), b"\0"].concat())?;
        }
        mta.ask(b'N', b"")?;
        for piece in body.chunks(60_000) {
            mta.ask(b'B', piece)?;
        }
        mta.say(b'E', b"");
        let mut replaced: Option<Vec<u8>> = None;
        loop {
            let (letter, rest) = mta.hear()?;
            match letter {
                b'b' => replaced.get_or_insert_default().extend(rest),
                b'-' => {
                    let gone = String::from_utf8_lossy(&rest).trim_matches(['<', '>', '\0']).to_owned();
                    remaining.retain(|one| *one != handler::address(&gone));
                }
                b'a' | b'c' => break,
                b'r' | b't' | b'y' | b'd' | b'q' => return None,
                _ => {}
            }
        }
        // Edits of the header do not matter when looking for a text in the body.
        let octets = [b"From: x\r\n\r\n".as_slice(), replaced.as_deref().unwrap_or(body)].concat();
        Some(vec![Copy { to: remaining, octets }])
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.events.blocking_send(Event::Stop);
        let _ = self.serving.take().map(thread::JoinHandle::join);
    }
}

fn open(ports: [u16; 3], upstream: u16, handler: &Arc<dyn Handler>, next_hop: &Arc<dyn NextHop>) -> Listeners {
    let limits = Limits { message: 1024 * 1024, ..Limits::default() };
    let memory = MemoryLimit::new(MemoryLimit::least(limits.message), &limits);
    let (work, metrics) = (Arc::new(Semaphore::new(2)), Arc::new(Metrics::default()));
    let caller = Caller {
        name: "mx.example.org".to_owned(),
        connector: Connector::new(),
        timeouts: Timeouts::default(),
        dialect: Dialect::Smtp,
    };
    let relay = Arc::new(Relay::new(caller, Host::Address(([127, 0, 0, 1], upstream).into()), Security::None));
    let smtp = |dialect| {
        let settings = Smtp {
            kind: "smtp",
            dialect,
            clients: Clients::Anyone,
            name: "mx.example.org".to_owned(),
            protection: Protection::None,
            login: Login::None,
            login_limits: Arc::default(),
            rate_limits: Default::default(),
            metrics: Arc::clone(&metrics),
            trusted: Vec::new(),
            peers: vec![Network::parse("127.0.0.1").unwrap()],
            aliases: None,
            local: vec![Pattern::parse("example.org").unwrap()],
            limits: limits.clone(),
            recipients: 100,
            per_client: 100,
            memory: memory.clone(),
            timeouts: Timeouts::default(),
            bare_lf: BareLf::Reject,
            clock: Arc::new(SystemClock),
            quarantine: None,
            bounces: None,
        };
        Arc::new(Server::new(Arc::clone(handler), Arc::clone(&relay), Arc::clone(&work), settings)) as Arc<dyn Listener>
    };
    let settings = Settings {
        bounces: None,
        trusted: vec![Network::parse("127.0.0.1").unwrap()],
        limits: limits.clone(),
        recipients: 100,
        rate_limits: Default::default(),
        memory: memory.clone(),
        copying: Copying::Submit(Arc::clone(next_hop)),
        progress: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        metrics: Arc::clone(&metrics),
    };
    let milter: Arc<dyn Listener> = Arc::new(Milter::new(Arc::clone(handler), Arc::clone(&work), settings));
    let doors = [smtp(Dialect::Smtp), smtp(Dialect::Lmtp), milter];
    let at = |port: u16| Endpoint::parse(&format!("127.0.0.1:{port}")).unwrap();
    let by_endpoint = ports.map(at).into_iter().zip(doors).collect();
    Listeners {
        by_endpoint,
        background: Vec::new(),
        connections: 100,
        drain: Duration::from_secs(5),
        random: Arc::new(SystemRandom),
    }
}

/// The port of a next server that takes everything.
fn sink(next: &Next) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let (port, next) = (listener.local_addr().unwrap().port(), next.clone());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let next = next.clone();
            thread::spawn(move || take(stream, &next));
        }
    });
    port
}

fn take(stream: TcpStream, next: &Next) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut to = stream;
    to.write_all(b"220 sink\r\n").ok()?;
    let (mut recipients, mut data): (Vec<Address>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        if let Some(octets) = &mut data {
            if line == b".\r\n" {
                let copy = Copy { to: std::mem::take(&mut recipients), octets: data.take()? };
                next.copies.lock().unwrap().push(copy);
                to.write_all(b"250 ok\r\n").ok()?;
            } else {
                octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            }
            continue;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let reply: &[u8] = match text.get(..4) {
            Some("EHLO") => b"250-sink\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 99999999\r\n",
            Some("DATA") => {
                data = Some(Vec::new());
                b"354 go\r\n"
            }
            Some("RCPT") => {
                recipients.push(handler::address(text.split(['<', '>']).nth(1)?));
                b"250 ok\r\n"
            }
            Some("RSET" | "MAIL") => {
                recipients.clear();
                b"250 ok\r\n"
            }
            _ => b"250 ok\r\n",
        };
        to.write_all(reply).ok()?;
    }
}

/// An SMTP client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(port: u16) -> Client {
        let mut client = Client(BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap()));
        client.hear();
        client
    }

    fn write(&mut self, octets: &[u8]) {
        let _ = self.0.get_mut().write_all(octets);
    }

    fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        self.hear()
    }

    /// The last line of a reply; empty when there is none any more.
    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or_default() == 0 || line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

/// An MTA's side of the milter protocol.
struct Mta(TcpStream);

impl Mta {
    fn say(&mut self, letter: u8, rest: &[u8]) {
        let length = u32::try_from(rest.len() + 1).unwrap().to_be_bytes();
        let _ = self.0.write_all(&[&length, &[letter][..], rest].concat());
    }

    fn hear(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
        self.0.read_exact(&mut packet).ok()?;
        Some((*packet.first()?, packet[1..].to_vec()))
    }

    /// `None` unless the milter says to go on.
    fn ask(&mut self, letter: u8, rest: &[u8]) -> Option<()> {
        self.say(letter, rest);
        self.hear().filter(|(letter, _)| *letter == b'c').map(drop)
    }
}
