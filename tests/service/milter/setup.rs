//! postseal's milter in this process, its keys, and other programs that check its output.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU16, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use postseal::{
    base::{Budget, Error, Kind, Limits, Result, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Keys, Passphrases, ProtocolName},
    mail::{Address, Mail, Message},
    pki::Revocation,
    policy::{Action, Condition, Direction, Mode, Order, Pattern, Policy, Rule},
    protocol::{pgp, smime},
    report::{KeyFigures, Metrics, html::KeyEnd},
    store,
    transport::{
        Endpoint, Health, Listener, Measured, MemoryLimit, Monitor, Network, NextHop, SendError, Sending,
        milter::{Copying, Milter, Settings},
        serve::{Event, Listeners, State, serve},
        smtp::{Origin, Reply},
    },
};
use tokio::sync::{Semaphore, mpsc};

use crate::support::{
    ports::{free_port, wait_for_port},
    postfix::{Postfix, Sink, read_to_end, run_with},
};

/// The monitor's answer is always the same.
struct Healthy;

impl Health for Healthy {
    fn clock_skew(&self) -> Option<std::time::Duration> {
        None
    }

    fn ready(&self) -> Result<()> {
        Ok(())
    }

    fn keys(&self) -> Option<KeyFigures> {
        None
    }

    fn endings(&self) -> Vec<KeyEnd> {
        Vec::new()
    }
}

/// What becomes of copies.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Copies {
    /// There are none: the policy is log-only.
    LogOnly,
    Submit,
    Tempfail,
}

/// A running milter and monitor; they stop when this is dropped.
pub(crate) struct Server {
    port: u16,
    monitor: u16,
    upstream: Arc<Upstream>,
    events: mpsc::Sender<Event>,
    serving: Option<JoinHandle<Result<()>>>,
    folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start(copies: Copies) -> Server {
        let port = free_port();
        let server = Server::open(copies, port, format!("127.0.0.1:{port}"));
        wait_for_port(port);
        server
    }

    /// One at a local socket, with this path.
    pub(crate) fn at(socket: &Path, copies: Copies) -> Server {
        let server = Server::open(copies, 0, format!("unix:{}", socket.display()));
        let end = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(socket).is_err() {
            assert!(Instant::now() < end, "nobody listens at {socket:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn open(copies: Copies, port: u16, address: String) -> Server {
        let monitor = free_port();
        let upstream = Arc::new(Upstream { port: AtomicU16::new(0) });
        let (events, told) = mpsc::channel(1);
        let metrics = Arc::new(Metrics::default());
        let courier = Arc::clone(&upstream);
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            let counted = Arc::clone(&metrics);
            let load = move || Ok(open(&address, monitor, copies, &courier, &counted));
            runtime.block_on(serve(load, &[], metrics, told, |_: State| {}))
        });
        let folder = tempfile::Builder::new().prefix("ps").tempdir().expect("a throwaway folder");
        Server { port, monitor, upstream, events, serving: Some(serving), folder }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn monitor(&self) -> u16 {
        self.monitor
    }

    /// From now on copies go to this port of loopback.
    pub(crate) fn submit_to(&self, port: u16) {
        self.upstream.port.store(port, Ordering::SeqCst);
    }

    /// A Postfix that asks this milter, and hands over to `sink`.
    pub(crate) fn postfix(&self, sink: &Sink, settings: &[(&str, &str)]) -> Postfix {
        let milter = format!("inet:127.0.0.1:{}", self.port);
        let own = [("smtpd_milters", milter.as_str()), ("milter_default_action", "tempfail")];
        Postfix::start(sink.port(), &[&own, settings].concat(), "")
    }

    /// What gpg reads in a PGP/MIME message, and its status lines.
    pub(crate) fn gpg_decrypt(&self, to: &str, message: &[u8]) -> (String, String) {
        let whole = parse(message);
        let ciphertext = whole.root().children().nth(1).expect("a second part").decoded().into_owned();
        self.gpg(to, &["--decrypt"], &ciphertext)
    }

    /// gpg's status lines about a multipart/signed message.
    pub(crate) fn gpg_verify(&self, message: &[u8]) -> String {
        let whole = parse(message);
        let parts: Vec<_> = whole.root().children().collect();
        let signature = self.write("signature", &parts[1].decoded());
        self.gpg("bob@example.net", &["--verify", &signature, "-"], parts[0].octets()).1
    }

    /// A body that gpg signed in the old way.
    pub(crate) fn gpg_clearsigned(&self, author: &str) -> String {
        let (text, _) = self.gpg(author, &["--local-user", author, "--clearsign"], b"hello\n");
        text.replace('\n', "\r\n")
    }

    fn gpg(&self, owner: &str, arguments: &[&str], input: &[u8]) -> (String, String) {
        let home = self.folder.path().join(owner);
        if !home.exists() {
            fs::create_dir(&home).expect("a home");
            let mut permissions = fs::metadata(&home).expect("a home").permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o700);
            fs::set_permissions(&home, permissions).expect("a private home");
            let people = people();
            let key = &people.pgp.iter().find(|(name, _)| *name == owner).expect("a key").1;
            let alice = &people.pgp[0].1;
            for key in [key, alice] {
                run_with(Command::new("gpg").arg("--homedir").arg(&home).args(["--batch", "--import"]), key);
            }
        }
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&home).args(["--batch", "--trust-model", "always", "--status-fd", "2"]);
        let output = run_with(command.args(arguments), input);
        let status = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "gpg {arguments:?}: {status}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), status)
    }

    /// What openssl reads in an enveloped message, and in the signed one within.
    pub(crate) fn openssl_decrypt(&self, to: &str, message: &[u8]) -> String {
        let (certificate, key) = self.pem(to);
        let signed = openssl(&["cms", "-decrypt", "-recip", &certificate, "-inkey", &key], message);
        self.openssl_verify("alice@example.org", &signed)
    }

    /// What openssl reads in a signed message.
    pub(crate) fn openssl_verify(&self, author: &str, message: &[u8]) -> String {
        let (certificate, _) = self.pem(author);
        let clear = openssl(&["cms", "-verify", "-purpose", "any", "-CAfile", &certificate], message);
        String::from_utf8_lossy(&clear).into_owned()
    }

    /// Certificate and private key, as files.
    fn pem(&self, owner: &str) -> (String, String) {
        let (_, certificate, key) = people().smime.iter().find(|(name, ..)| *name == owner).expect("a certificate");
        let form = |octets: &[u8], what: &str| {
            if octets.starts_with(b"-----") { octets.to_vec() } else { armored(octets, what) }
        };
        let certificate = self.write(&format!("{owner}.crt"), &form(certificate, "CERTIFICATE"));
        (certificate, self.write(&format!("{owner}.key"), &form(key, "PRIVATE KEY")))
    }

    fn write(&self, name: &str, octets: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, octets).expect("the throwaway folder can be written");
        path.display().to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.events.blocking_send(Event::Stop);
        let ended = self.serving.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("it was started").expect("no panic").expect("a good end");
        }
    }
}

/// The milter and the monitor.
fn open(address: &str, monitor: u16, copies: Copies, upstream: &Arc<Upstream>, metrics: &Arc<Metrics>) -> Listeners {
    let limits = Limits { message: 16 * 1024 * 1024, ..Limits::default() };
    let hook: Arc<dyn Handler> = Arc::new(ReloadableHandler::new(HandlerConfig {
        keys: Arc::clone(&people().keys),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: limits.clone(),
        policy: Policy {
            mode: if copies == Copies::LogOnly { Mode::LogOnly } else { Mode::Enforce },
            ..policy(limits.message)
        },
        name: "mx.example.org".to_owned(),
        authserv_ids: vec!["dkim.example.org".to_owned()],
        marker: Secret::from("0123456789abcdef"),
    }));
    let measured: Arc<dyn Handler> = Arc::new(Measured::new(hook, Arc::clone(metrics), "milter"));
    let next_hop: Arc<dyn NextHop> = Arc::clone(upstream) as Arc<dyn NextHop>;
    let settings = Settings {
        // The rest of loopback is the world.
        trusted: vec![Network::parse("127.0.0.1").expect("a network")],
        memory: MemoryLimit::new(MemoryLimit::least(limits.message), &limits),
        limits,
        copying: if copies == Copies::Submit { Copying::Submit(next_hop) } else { Copying::Tempfail(Arc::default()) },
        bounces: None,
        recipients: 100,
        rate_limits: Default::default(),
        progress: Duration::from_millis(100),
        idle: Duration::from_secs(60),
        metrics: Arc::clone(metrics),
    };
    let milter: Arc<dyn Listener> = Arc::new(Milter::new(measured, Arc::new(Semaphore::new(2)), settings));
    let at = |address: &str| Endpoint::parse(address).expect("an endpoint");
    let figures: Arc<dyn Listener> = Arc::new(Monitor::new(Arc::clone(metrics), Arc::new(Healthy), None));
    let by_endpoint = [(at(address), milter), (at(&format!("127.0.0.1:{monitor}")), figures)].into();
    Listeners {
        by_endpoint,
        background: Vec::new(),
        connections: CONNECTIONS,
        drain: Duration::from_secs(20),
        random: Arc::new(SystemRandom),
    }
}

fn policy(max_size: usize) -> Policy {
    let rule = |name: &str, to: &str, orders: &[Order], protocols: &[ProtocolName]| Rule {
        name: name.to_owned(),
        conditions: vec![Condition::Recipient(vec![Pattern::parse(to).expect("a pattern")])],
        orders: orders.iter().copied().collect::<BTreeSet<_>>(),
        protocols: protocols.to_vec(),
        ..Rule::default()
    };
    let inbound =
        Rule { conditions: vec![Condition::Direction(Direction::Inbound)], ..rule("in", "*", &[Order::Annotate], &[]) };
    let later =
        Rule { text: Some("100% later".to_owned()), ..rule("later", "later@example.net", &[Order::Tempfail], &[]) };
    let mut edited = rule("edited", "edited@example.net", &[Order::Sign, Order::Clear], &[ProtocolName::Pgp]);
    edited.edits = vec![
        Action::RemoveHeader("X-Same".to_owned()),
        Action::TagSubject("[x]".to_owned()),
        Action::AddHeader("X-Same".to_owned(), "ours".to_owned()),
    ];
    Policy {
        local: vec![Pattern::parse("example.org").expect("a pattern")],
        identities: Default::default(),
        trusted: vec![Pattern::parse("alice@example.org").expect("a pattern")],
        rules: vec![
            inbound,
            rule("clear", "clear@example.net", &[Order::Clear], &[]),
            rule("held", "held@example.net", &[Order::Quarantine], &[]),
            rule("void", "void@example.net", &[Order::Discard], &[]),
            later,
            edited,
            rule("list", "list@example.net", &[Order::Sign, Order::Clear], &[ProtocolName::Pgp]),
            rule("paper", "paper@example.net", &[Order::Sign, Order::Clear], &[ProtocolName::Smime]),
            rule("bank", "bank.example", &[Order::Sign, Order::Encrypt], &[ProtocolName::Smime]),
            rule("rest", "*", &[Order::Sign, Order::Encrypt], &[ProtocolName::Pgp]),
        ],
        obstacles: Default::default(),
        max_size,
        mailboxes: Default::default(),
        aliases: Default::default(),
        forwards: Default::default(),
        lists: Default::default(),
        mode: Default::default(),
    }
}

/// The keys of all users, made once.
struct People {
    keys: Arc<dyn Keys>,
    /// Secret keys; alice's first.
    pgp: Vec<(&'static str, Vec<u8>)>,
    /// Certificates and private keys.
    smime: Vec<(&'static str, Vec<u8>, Vec<u8>)>,
}

fn people() -> &'static People {
    static PEOPLE: OnceLock<People> = OnceLock::new();
    let address = |text: &str| Address::parse(text).expect("an address");
    PEOPLE.get_or_init(|| {
        let pgp = ["alice@example.org", "bob@example.net", "ben@example.net"].map(|name| {
            let request = pgp::generate::Request::new(address(name));
            let generated = pgp::generate::generate(&request, &SystemClock).expect("a key");
            (name, generated.described.secret.expect("a secret").expose().to_vec())
        });
        let smime = ["alice@example.org", "carol@bank.example"].map(|name| {
            let mut request = smime::generate::Request::new(address(name));
            request.algorithm = smime::generate::Algorithm::P256;
            let described = smime::generate::generate(&request, &SystemClock, &SystemRandom).expect("a certificate");
            (name, described.record.bytes().to_vec(), described.secret.expect("a secret").expose().to_vec())
        });
        let mut files: Vec<(&str, &[u8])> = pgp.iter().map(|(name, key)| (*name, key.as_slice())).collect();
        files.extend(smime.iter().flat_map(|(name, certificate, key)| [(*name, &certificate[..]), (*name, &key[..])]));
        let loaded = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).expect("readable keys");
        People { keys: Arc::new(loaded.keys), pgp: pgp.into(), smime: smime.into() }
    })
}

/// An SMTP server that copies are handed to.
struct Upstream {
    port: AtomicU16,
}

impl NextHop for Upstream {
    fn send_all<'a>(
        &'a self,
        mails: &'a [Mail],
        _: Option<&'a Origin>,
    ) -> Sending<'a, Vec<std::result::Result<Reply, SendError>>> {
        let port = self.port.load(Ordering::SeqCst);
        let mails = mails.to_vec();
        let hand_over = move |mail: Mail| {
            let sender = mail.envelope.sender.address.map(|address| address.to_string()).unwrap_or_default();
            let recipients: Vec<String> =
                mail.envelope.recipients.iter().map(|path| path.address.to_string()).collect();
            let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| Error::io("upstream", &error))?;
            let reply = try_send(port, &sender, &recipients, mail.message.octets());
            if reply.starts_with("250") {
                Ok(Reply::new(250, "2.0.0", "Ok"))
            } else {
                Err(Error::new(Kind::TryAgain, reply))
            }
        };
        let all = move || mails.into_iter().map(|mail| hand_over(mail).map_err(SendError::Failed)).collect();
        Box::pin(async move { Ok(tokio::task::spawn_blocking(all).await.expect("no panic")) })
    }
}

/// A small letter; lines of `body` end in CRLF.
pub(crate) fn letter(from: &str, to: &str, body: &str) -> Vec<u8> {
    format!(
        "Received: from x by y; Tue, 24 Nov 2026 00:00:00 +0000\r\nFrom: {from}\r\nTo: {to}\r\nSubject: a\r\n folded one\r\n\
         Date: Tue, 24 Nov 2026 00:00:00 +0000\r\nMessage-ID: <{to}>\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends a message, and sees to it that it is taken.
pub(crate) fn send(port: u16, from: &str, to: &[&str], message: &[u8]) {
    let reply = try_send(port, from, to, message);
    assert!(reply.starts_with("250 "), "{to:?}: {reply}");
}

/// Sends a message; the reply to its last dot.
pub(crate) fn try_send(port: u16, from: &str, to: &[&str], message: &[u8]) -> String {
    let mut stuffed: Vec<u8> = Vec::new();
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        stuffed.extend(line.starts_with(b".").then_some(b'.'));
        stuffed.extend(line);
    }
    let mut commands: Vec<Vec<u8>> = vec![b"EHLO client.test\r\n".to_vec(), format!("MAIL FROM:<{from}>\r\n").into()];
    commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>\r\n").into_bytes()));
    commands.extend([b"DATA\r\n".to_vec(), [&stuffed[..], b".\r\n"].concat()]);
    let commands: Vec<&[u8]> = commands.iter().map(Vec::as_slice).collect();
    converse(port, &commands).pop().expect("a reply")
}

/// Says one thing after the other, each after the reply to the one before; the replies, the last line of each.
pub(crate) fn client(port: u16, commands: &[&str]) -> Vec<String> {
    converse(port, &commands.iter().map(|command| command.as_bytes()).collect::<Vec<_>>())
}

/// [`client`], from 127.0.0.2.
pub(crate) fn stranger(port: u16, commands: &[&str]) -> Vec<String> {
    let commands: Vec<&[u8]> = commands.iter().map(|command| command.as_bytes()).collect();
    talk(from_afar(port), &commands)
}

/// Starts a message, pours `octets` in, and reads until the server hangs up.
pub(crate) fn pour(port: u16, from: &str, to: &str, octets: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("a greeting");
    for command in [
        &b"HELO x\r\n"[..],
        format!("MAIL FROM:<{from}>\r\n").as_bytes(),
        format!("RCPT TO:<{to}>\r\n").as_bytes(),
        b"DATA\r\n",
    ] {
        stream.write_all(command).expect("the server reads");
        reader.read_line(&mut line).expect("a reply");
    }
    stream.write_all(octets).expect("the server reads");
    read_to_end(&mut stream);
}

fn converse(port: u16, commands: &[&[u8]]) -> Vec<String> {
    talk(TcpStream::connect(("127.0.0.1", port)).expect("somebody listens"), commands)
}

/// A connection from another address of loopback.
fn from_afar(port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 2], 0).into()).expect("an address of loopback");
        socket.connect(([127, 0, 0, 1], port).into()).await.expect("somebody listens").into_std().expect("a socket")
    });
    stream.set_nonblocking(false).expect("a socket that waits");
    stream
}

fn talk(stream: TcpStream, commands: &[&[u8]]) -> Vec<String> {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut reader = BufReader::new(&stream);
    let mut reply = || {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a reply in time");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    };
    reply();
    let mut said = Vec::new();
    for command in commands {
        (&stream).write_all(command).expect("the server reads");
        said.push(reply());
    }
    said
}

/// OpenDKIM as a milter that signs, and as a verifier.
pub(crate) struct Dkim {
    port: u16,
    folder: tempfile::TempDir,
    child: Child,
}

impl Dkim {
    /// Signs mail of users who logged in and of clients up to 127.0.0.7, and verifies other mail.
    pub(crate) fn start(domain: &str) -> Dkim {
        let folder = tempfile::Builder::new().prefix("dk").tempdir().expect("a throwaway folder");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let made = run_with(Command::new("openssl").args(["genrsa", "-out", &at("key"), "2048"]), b"");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let public = run_with(Command::new("openssl").args(["rsa", "-in", &at("key"), "-pubout"]), b"").stdout;
        let public = String::from_utf8_lossy(&public);
        let public: String = public.lines().filter(|line| !line.starts_with('-')).collect();
        fs::write(at("dns"), format!("s._domainkey.{domain} v=DKIM1; k=rsa; p={public}\n")).expect("a file");
        let port = free_port();
        let signer = format!(
            "Domain {domain}\nSelector s\nKeyFile {}\nSocket inet:{port}@127.0.0.1\nMode sv\nCanonicalization relaxed/simple\n\
             InternalHosts 127.0.0.0/29\nBackground no\nSyslog no\nRequireSafeKeys no\nTestDNSData {}\nAuthservID mail.example.org\n\
             AlwaysAddARHeader yes\n",
            at("key"),
            at("dns")
        );
        fs::write(at("signer"), signer).expect("a file");
        fs::write(at("verifier"), format!("Mode v\nTestDNSData {}\nSyslog no\nAuthservID test\n", at("dns")))
            .expect("a file");
        let child = Command::new("/usr/sbin/opendkim").args(["-f", "-x", &at("signer")]).stdin(Stdio::null()).spawn();
        let child = child.expect("opendkim starts");
        wait_for_port(port);
        Dkim { port, folder, child }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The file of the private key, selector `s`.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }

    /// What the verifier says of a message.
    pub(crate) fn verify(&self, message: &[u8]) -> String {
        let at = |name: &str| -> PathBuf { self.folder.path().join(name) };
        fs::write(at("message"), message).expect("a file");
        let mut command = Command::new("/usr/sbin/opendkim");
        command.arg("-x").arg(at("verifier")).arg("-v").arg("-t").arg(at("message"));
        let output = run_with(&mut command, b"");
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat()
    }
}

impl Drop for Dkim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(octets: &[u8]) -> Message {
    Message::parse(octets.to_vec(), &mut Budget::new(Limits::default())).expect("a message")
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run_with(Command::new("openssl").args(arguments), input);
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn armored(der: &[u8], what: &str) -> Vec<u8> {
    let kind = if what == "CERTIFICATE" { "x509" } else { "pkey" };
    openssl(&[kind, "-inform", "DER", "-outform", "PEM"], der)
}

/// At each door at once.
pub(crate) const CONNECTIONS: usize = 50;
