//! The service through the library alone, and the replies of all transports to the same error.
#![cfg(all(feature = "service", feature = "store"))]

mod classes;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use postseal::{
    base::Kind,
    service::Service,
    transport::serve::{Event, State},
};
use tokio::sync::mpsc;

/// An embedder starts the configured service, reloads it, and stops it, without the command line.
#[test]
fn an_embedder_runs_the_configured_service() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let path = folder.path().join("postseal.toml");
    let (smtp, lmtp, metrics) = (free_port(), free_port(), free_port());
    configure(&path, &[("relay", smtp)], metrics);
    let (events, received) = mpsc::channel(1);
    let (tell, told) = std::sync::mpsc::channel();
    let service = Service::new(&path).with_supervisor(move |state| tell.send(state).expect("the test listens"));
    let serving = thread::spawn(move || runtime().block_on(service.serve(received)));
    let next_state = || told.recv_timeout(Duration::from_secs(30)).expect("the service tells its state");

    assert_eq!(next_state(), State::Ready);
    let mut client = Client::connect(smtp);
    assert_eq!(client.hear(), "220 mail.example.org ESMTP postseal\r\n");
    assert_eq!(client.say("MAIL FROM:<a@example.org>"), "503 5.5.1 Error: send HELO/EHLO first\r\n");
    assert!(client.say("HELO client.test").starts_with("250 "));
    assert_eq!(client.say("RCPT TO:<b@example.org>"), "503 5.5.1 Error: need MAIL command\r\n");
    assert_eq!(client.say("MAKE MONEY FAST"), "500 5.5.2 Error: command not recognized\r\n");
    assert!(get(metrics, "/metrics").contains("postseal_connections{listener=\"relay\"} 1\n"));

    // A bad configuration leaves the current one in force.
    fs::write(&path, "colour = 1\n").expect("a file");
    events.blocking_send(Event::Reload).expect("the service runs");
    assert_eq!((next_state(), next_state()), (State::Reloading, State::Unchanged));
    assert!(get(metrics, "/metrics").contains("postseal_reloads_total{result=\"failed\"} 1\n"));
    assert_eq!(Client::connect(smtp).hear(), "220 mail.example.org ESMTP postseal\r\n");

    // A good one replaces it, and open connections stay.
    configure(&path, &[("relay", smtp), ("lmtp", lmtp)], metrics);
    events.blocking_send(Event::Reload).expect("the service runs");
    assert_eq!((next_state(), next_state()), (State::Reloading, State::Ready));
    let mut new = Client::connect(lmtp);
    assert_eq!(new.hear(), "220 mail.example.org LMTP postseal\r\n");
    assert_eq!(new.say("MAIL FROM:<a@example.org>"), "503 5.5.1 Error: send LHLO first\r\n");
    assert!(client.say("NOOP").starts_with("250 "));

    events.blocking_send(Event::Stop).expect("the service runs");
    assert_eq!(next_state(), State::Stopping);
    assert_eq!(client.hear(), "421 4.3.2 Service unavailable, shutting down\r\n");
    serving.join().expect("no panic").expect("the service ends well");
    assert!(TcpStream::connect(("127.0.0.1", smtp)).is_err());
}

#[test]
fn a_service_without_listeners_does_not_start() {
    let folder = tempfile::tempdir().expect("a throwaway folder");
    let path = folder.path().join("postseal.toml");
    fs::write(&path, "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\n").expect("a file");
    let error = Service::new(&path).run().expect_err("nothing to serve");
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().ends_with("postseal.toml: no listener is configured"), "{error}");
    assert_eq!(Service::new(folder.path().join("absent")).run().map_err(|error| error.kind()), Err(Kind::Config));
}

fn configure(path: &Path, listeners: &[(&str, u16)], metrics: u16) {
    let mut text = format!(
        "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nmetrics = \"127.0.0.1:{metrics}\"\n\
         local-domains = [\"example.org\"]\nupstream.smart-host = \"127.0.0.1:1\"\n"
    );
    for (kind, port) in listeners {
        text.push_str(&format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:{port}\"\n"));
    }
    fs::write(path, text).expect("a file");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The answer of the metrics listener.
fn get(port: u16, page: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    write!(stream, "GET {page} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a page");
    text
}

/// An SMTP client.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(port: u16) -> Client {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
                    return Client(BufReader::new(stream));
                }
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The last line of the next reply.
    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a reply");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    fn say(&mut self, line: &str) -> String {
        write!(self.0.get_mut(), "{line}\r\n").expect("the server reads");
        self.hear()
    }
}
