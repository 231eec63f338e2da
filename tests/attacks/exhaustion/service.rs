//! A service with little memory, and clients that try to use all of it.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::DirBuilderExt,
    process::{Child, Command, Stdio},
    sync::Barrier,
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    exhaustion::{MB, generators},
    support::{
        lab::{Lab, POSTSEAL},
        ports::{free_port, wait_for_port},
    },
};

/// The case security/13: the second ordinary mail is taken.
#[test]
fn a_message_over_the_bounds_ends_alone() {
    let service = Service::start();
    let packets = STANDARD.encode(generators::PACKETS[0].1.repeat(2 * MB));
    let lines: String =
        packets.as_bytes().chunks(76).map(|line| format!("{}\r\n", str::from_utf8(line).unwrap())).collect();
    let signature = format!(
        "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n\
         Content-Type: application/pgp-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}\r\n--b--\r\n"
    );
    for (body, code) in [("\r\nhi\r\n", "250 "), (&signature, "554 5.6.0 "), ("\r\nhi\r\n", "250 ")] {
        let said = Client::new(service.port).send(body);
        assert!(said.starts_with(code), "{said}");
    }
}

/// 40 messages of 8 MB at once are more than a quarter of 512 MiB: some are put off, all are answered, and clients that try again are served.
#[test]
fn messages_at_once_share_the_memory() {
    let service = Service::start();
    let body = format!("\r\n{}", format!("{}\r\n", "x".repeat(98)).repeat(80_000));
    let replies = service.send_at_once(40, &body);
    let put_off = replies.iter().filter(|reply| reply.starts_with("452 4.3.1 ")).count();
    let taken = replies.iter().filter(|reply| reply.starts_with("250 ")).count();
    assert!(put_off > 0 && taken > 0 && put_off + taken == replies.len(), "{replies:?}");
    assert!(Client::new(service.port).send(&body).starts_with("250 "));
}

/// 40 small messages that each grow by 64 MiB: those that find no memory wait.
#[test]
fn messages_that_grow_share_the_memory() {
    let service = Service::start();
    let packed = String::from_utf8(generators::packed(11, 1)).unwrap();
    let (_, body) = packed.split_once("\r\n\r\n").unwrap();
    let replies = service.send_at_once(40, &format!("\r\n{body}"));
    assert!(replies.iter().all(|reply| reply.starts_with(['2', '4', '5'])), "{replies:?}");
    assert!(Client::new(service.port).send("\r\nhi\r\n").starts_with("250 "));
}

/// `postseal serve` with 700 MB of memory that it may write to, and a next server that takes everything. Its address space is not what counts: each
/// of glibc's arenas reserves 64 MiB of it, and there are more of them the more threads run at once.
struct Service {
    port: u16,
    child: Child,
    _lab: Lab,
}

impl Service {
    fn start() -> Service {
        let (lab, port) = (Lab::new(), free_port());
        std::fs::DirBuilder::new().mode(0o700).create(lab.path("home")).unwrap();
        lab.write(
            "service.toml",
            format!(
                "home = \"home\"\nhome-must-exist = false\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n\n[[listener]]\nkind = \"relay\"\n\
                 address = \"127.0.0.1:{port}\"\n\n[upstream]\nsmart-host = \"127.0.0.1:{}\"\ntls = \"none\"\n\n[[rule]]\nname = \"in\"\n\
                 direction = \"inbound\"\naction = \"annotate\"\n",
                sink()
            ),
        );
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -c 0; ulimit -d 700000; exec \"$0\" serve -c service.toml", POSTSEAL]);
        command.current_dir(lab.path("")).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("a shell starts");
        wait_for_port(port);
        Service { port, child, _lab: lab }
    }

    /// The replies to as many messages with this body, all of them on their way before one of them ends.
    fn send_at_once(&self, count: usize, body: &str) -> Vec<String> {
        let (port, all_written) = (self.port, &Barrier::new(count));
        thread::scope(|scope| {
            let one = || {
                let mut client = Client::new(port);
                client.begin();
                client.write(body);
                all_written.wait();
                client.say(".")
            };
            let clients: Vec<_> = (0..count).map(|_| scope.spawn(one)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        // By its number: it is our own child, and not waited for yet.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !thread::panicking() {
            assert_eq!(ended, None, "the service has ended");
        }
    }
}

/// A stranger's SMTP session.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the service listens");
        stream.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
        let mut client = Client(BufReader::new(stream));
        client.reply();
        client.say("EHLO stranger.example.org");
        client
    }

    fn begin(&mut self) {
        for line in ["MAIL FROM:<eve@evil.example.org>", "RCPT TO:<bob@example.org>", "DATA"] {
            let said = self.say(line);
            assert!(said.starts_with(['2', '3']), "{line}: {said}");
        }
        self.write("From: eve@evil.example.org\r\nTo: bob@example.org\r\n");
    }

    fn send(&mut self, body: &str) -> String {
        self.begin();
        self.write(body);
        self.say(".")
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("the service reads on");
    }

    fn say(&mut self, line: &str) -> String {
        self.write(&format!("{line}\r\n"));
        self.reply()
    }

    /// The last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).expect("a reply") > 0, "the connection was closed");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }
}

/// The port of a next server that takes everything and keeps nothing.
fn sink() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(move || take(stream)))));
    port
}

fn take(stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut to = stream;
    to.write_all(b"220 sink\r\n").ok()?;
    let (mut line, mut is_data) = (Vec::new(), false);
    while {
        line.clear();
        lines.read_until(b'\n', &mut line).ok()? > 0
    } {
        let reply: &[u8] = match (is_data, line.get(..4)) {
            (true, _) if line == b".\r\n" => b"250 ok\r\n",
            (true, _) => continue,
            (false, Some(b"EHLO")) => b"250-sink\r\n250-8BITMIME\r\n250 SIZE 99999999\r\n",
            (false, Some(b"DATA")) => b"354 go\r\n",
            (false, _) => b"250 ok\r\n",
        };
        is_data = reply.starts_with(b"354");
        to.write_all(reply).ok()?;
    }
    Some(())
}
