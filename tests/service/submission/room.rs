//! MemoryLimit for messages that are being received is shared, and has an end.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use postseal::{
    base::{Error, Kind, Limits, Result, SystemClock, SystemRandom},
    engine::{Handler, Outcome, Posting},
    mail::{Mail, Message},
    report::Metrics,
    transport::{
        Connection, Listener, Load, MemoryLimit, Network, SessionId,
        relay::{Host, Relay},
        smtp::{BareLf, Caller, Clients, Dialect, Login, Protection, Server, Settings, Timeouts},
        tls::{Connector, Security},
    },
};
use tokio::{
    runtime::Runtime,
    sync::{Semaphore, watch},
};

use crate::support::ports::free_port;

/// A message that needs more memory than is left is put off, by DATA and by BDAT, after its last octet. The others are not disturbed, and what
/// they held is there for the next one.
#[test]
fn a_message_without_room_is_put_off() {
    let port = serve();
    let piece = format!("{}\r\n", "x".repeat(98)).repeat(15_000);
    let mut first = client(port);
    begin(&mut first);
    // In a chunk, whose reply says that its octets are counted.
    let large = format!("Subject: large\r\n\r\n{piece}");
    assert!(say(&mut first, &format!("BDAT {}\r\n{large}", large.len())).starts_with("250"));
    let mut second = client(port);
    let no_room = "452 4.3.1 Insufficient system storage\r\n";
    let whole = format!("Subject: large\r\n\r\n{piece}.\r\n");
    begin(&mut second);
    assert!(say(&mut second, "DATA\r\n").starts_with("354"));
    assert_eq!(say(&mut second, &whole), no_room);
    begin(&mut second);
    assert_eq!(say(&mut second, &format!("BDAT {}\r\n{piece}", piece.len())), no_room);
    assert_eq!(say(&mut second, "BDAT 3 LAST\r\nx\r\n"), no_room);
    // A small one has room.
    begin(&mut second);
    assert!(say(&mut second, "DATA\r\n").starts_with("354"));
    assert!(say(&mut second, "Subject: small\r\n\r\nx\r\n.\r\n").starts_with(HANDLED));
    // The first one is not disturbed, and leaves room behind.
    assert!(say(&mut first, "BDAT 0 LAST\r\n").starts_with(HANDLED));
    begin(&mut second);
    assert!(say(&mut second, "DATA\r\n").starts_with("354"));
    assert!(say(&mut second, &whole).starts_with(HANDLED));
}

/// A server in this process, with room for 2 MiB of messages on their way in.
fn serve() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let caller = Caller {
        name: "proxy.postseal.test".to_owned(),
        connector: Connector::new(),
        timeouts: Timeouts::default(),
        dialect: Dialect::Smtp,
    };
    let nowhere = Host::Address(([127, 0, 0, 1], free_port()).into());
    let settings = Settings {
        bounces: None,
        kind: "submission",
        dialect: Dialect::Smtp,
        clients: Clients::Known,
        name: "proxy.postseal.test".to_owned(),
        protection: Protection::None,
        login: Login::None,
        login_limits: Arc::default(),
        rate_limits: Default::default(),
        metrics: Arc::new(Metrics::default()),
        trusted: vec![Network::parse("127.0.0.0/8").expect("a network")],
        peers: Vec::new(),
        aliases: None,
        local: Vec::new(),
        limits: Limits::default(),
        recipients: 100,
        per_client: 50,
        memory: MemoryLimit::new(8 * 1024 * 1024, &Limits::default()),
        timeouts: Timeouts::default(),
        bare_lf: BareLf::Reject,
        clock: Arc::new(SystemClock),
        quarantine: None,
    };
    let relay = Arc::new(Relay::new(caller, nowhere, Security::None));
    let server = Arc::new(Server::new(Arc::new(Refusing), relay, Arc::new(Semaphore::new(4)), settings));
    thread::spawn(move || {
        let runtime = Runtime::new().expect("a runtime");
        runtime.block_on(async {
            listener.set_nonblocking(true).expect("a mode");
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let (stream, peer) = listener.accept().await.expect("somebody");
                let connection = Connection { stream: Box::new(stream), peer: Some(peer), load: Load::none() };
                let (stop, stopping) = watch::channel(false);
                let session = SessionId::new(&SystemRandom).expect("randomness");
                let welcome = Arc::clone(&server).serve(connection, session, stopping);
                tokio::spawn(async move {
                    let _held = stop;
                    welcome.await
                });
            }
        });
    });
    port
}

/// Says of every message that there was room for that it is malformed.
struct Refusing;

impl Handler for Refusing {
    fn handle(&self, _: Mail) -> Result<Outcome> {
        Err(Error::new(Kind::Malformed, "handled"))
    }

    fn copies(&self, _: &Posting, _: std::ops::Range<usize>) -> Result<Vec<Mail>> {
        Err(Error::new(Kind::Unavailable, "no posts"))
    }

    fn mark(&self, mail: &Mail) -> Result<Message> {
        Ok(mail.message.clone())
    }
}

const HANDLED: &str = "554 5.6.0 Error: message content cannot be processed";

fn client(port: u16) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut client = BufReader::new(stream);
    hear(&mut client);
    client
}

fn begin(client: &mut BufReader<TcpStream>) {
    for line in ["EHLO client.test\r\n", "MAIL FROM:<alice@example.org>\r\n", "RCPT TO:<bob@example.net>\r\n"] {
        let said = say(client, line);
        assert!(said.starts_with("250"), "{line}: {said}");
    }
}

fn say(client: &mut BufReader<TcpStream>, words: &str) -> String {
    client.get_mut().write_all(words.as_bytes()).expect("he hears it");
    hear(client)
}

/// The last line of a reply.
fn hear(client: &mut BufReader<TcpStream>) -> String {
    loop {
        let mut line = String::new();
        client.read_line(&mut line).expect("a line");
        if line.as_bytes().get(3) != Some(&b'-') {
            return line;
        }
    }
}
