//! The whole path, driven from another process: smtp-source, Postfix, smtp-sink. Postfix has no milter, one that does nothing,
//! postseal, or one that forks `openssl cms` for each message.
//!
//! `cargo bench --bench load`, as root, with Postfix and openssl. POSTSEAL_MESSAGES sets the messages per round (2,000).
//! With POSTSEAL_ENDURANCE=100000 that many are signed, and postseal's memory is recorded.
//!
//! accepted/s: until smtp-source has every 250. delivered/s: until smtp-sink has every message. p50, p99: from the end of the data to its
//! reply, over connections of our own. share: accepted/s beside what is left when the bare private-key operation, on all cores, is added
//! to what Postfix takes with the milter that does nothing.
#![allow(missing_docs)]

#[path = "load/stand_in.rs"]
mod stand_in;
#[path = "../tests/support/mod.rs"]
mod support;

use std::{
    env, fs,
    hint::black_box,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand,
    rsa::{KeyPair, KeySize},
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA256},
};
use stand_in::Work;
use support::{
    ports::{free_port, wait_for_port},
    postfix::{Postfix, Sink, present, run_with},
};

fn main() {
    if !present(&["smtp-source", "smtp-sink", "openssl"]) {
        return;
    }
    let folder = tempfile::Builder::new().prefix("load").tempdir().unwrap();
    let keys = Keys::generate(folder.path());
    let plain = keys.file("plain.eml", message(4 * 1024));
    if let Some(count) = number("POSTSEAL_ENDURANCE") {
        return endure(&keys, &plain, count);
    }

    let count = number("POSTSEAL_MESSAGES").unwrap_or(2_000);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("{count} messages of 4 KiB a round, {SESSIONS} connections, {cores} cores");
    println!(
        "{:<34} {:>10} {:>11} {:>8} {:>8} {:>9} {:>6}",
        "", "accepted/s", "delivered/s", "p50 ms", "p99 ms", "RSS MiB", "share"
    );
    print("Postfix alone", &round(None, &plain, count), None, None);
    let nothing = round(Some(stand_in::start(Work::Nothing)), &plain, count);
    print("a milter that does nothing", &nothing, None, None);

    for (name, format, operation) in [("S/MIME RSA-2048", "smime", rsa()), ("PGP Ed25519", "pgp", ed25519())] {
        let signed = keys.file("signed.eml", keys.postseal(&["sign", "-f", format, plain.to_str().unwrap()]));
        for isolation in ISOLATION {
            let service = keys.serve(&sign(format), isolation);
            prove(service.port, &plain, "multipart/signed");
            let figures = round(Some(service.port), &plain, count);
            let left = 1.0 / (1.0 / nothing.accepted + operation / cores as f64);
            let share = Some(figures.accepted / left);
            print(&format!("signs, {name}, {isolation}"), &figures, Some(&service), share);
            drop(service);

            let service = keys.serve(VERIFY, isolation);
            prove(service.port, &signed, &format!("{}=pass", if format == "pgp" { "x-pgp" } else { "smime" }));
            let figures = round(Some(service.port), &signed, count);
            print(&format!("verifies, {name}, {isolation}"), &figures, Some(&service), None);
        }
    }

    let openssl = stand_in::start(keys.openssl());
    prove(openssl, &plain, "multipart/signed");
    print("openssl cms forked, RSA-2048", &round(Some(openssl), &plain, count), None, None);
}

/// Signs very many, and says how large postseal is meanwhile.
fn endure(keys: &Keys, plain: &Path, count: u64) {
    let service = keys.serve(&sign("smime"), "processes");
    let sink = Counter::start();
    let postfix = postfix(Some(service.port), sink.port);
    for tenth in 0..=10 {
        println!("{:>8} messages: {:.1} MiB", count / 10 * tenth, service.memory());
        if tenth < 10 {
            send(postfix.port(), plain, count / 10);
            sink.wait_for(count / 10 * (tenth + 1));
        }
    }
}

struct Figures {
    accepted: f64,
    delivered: f64,
    median: Duration,
    p99: Duration,
}

fn print(name: &str, figures: &Figures, service: Option<&Service>, share: Option<f64>) {
    let memory = service.map_or(String::new(), |service| format!("{:.1}", service.memory()));
    let share = share.map_or(String::new(), |share| format!("{:.0}%", 100.0 * share));
    let milliseconds = |time: Duration| 1_000.0 * time.as_secs_f64();
    println!(
        "{name:<34} {:>10.0} {:>11.0} {:>8.1} {:>8.1} {memory:>9} {share:>6}",
        figures.accepted,
        figures.delivered,
        milliseconds(figures.median),
        milliseconds(figures.p99)
    );
}

fn round(milter: Option<u16>, message: &Path, count: u64) -> Figures {
    let sink = Counter::start();
    let postfix = postfix(milter, sink.port);
    // Postfix starts its daemons, and postseal reads its keys, when they are first needed.
    send(postfix.port(), message, WARM_UP);
    sink.wait_for(WARM_UP);
    let start = Instant::now();
    send(postfix.port(), message, count);
    let accepted = start.elapsed();
    sink.wait_for(WARM_UP + count);
    let delivered = start.elapsed();
    let times = latencies(postfix.port(), message, count / 2);
    Figures {
        accepted: count as f64 / accepted.as_secs_f64(),
        delivered: count as f64 / delivered.as_secs_f64(),
        median: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

fn postfix(milter: Option<u16>, sink: u16) -> Postfix {
    let milter = milter.map_or(String::new(), |port| format!("inet:127.0.0.1:{port}"));
    let settings = [("smtpd_milters", milter.as_str()), ("milter_default_action", "tempfail"), ("in_flow_delay", "0")];
    Postfix::start(sink, &settings, "")
}

fn send(port: u16, message: &Path, count: u64) {
    let mut source = Command::new("/usr/sbin/smtp-source");
    source.args(["-s", &SESSIONS.to_string(), "-m", &count.to_string(), "-f", "alice@example.org"]);
    source.args(["-t", "bob@example.net", "-F"]).arg(message).arg(format!("127.0.0.1:{port}"));
    let output = run_with(&mut source, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// That what arrives was worked on: a fast milter that does nothing must not win.
fn prove(milter: u16, message: &Path, word: &str) {
    let sink = Sink::start();
    let postfix = postfix(Some(milter), sink.port());
    send(postfix.port(), message, 1);
    let arrived = sink.wait_for(1);
    assert!(arrived[0].text().contains(word), "{word}: {}", arrived[0].text());
}

/// From the end of the data to its reply, in order of length.
fn latencies(port: u16, message: &Path, count: u64) -> Vec<Duration> {
    let text = fs::read_to_string(message).unwrap().replace('\n', "\r\n");
    let client = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut replies = BufReader::new(&stream);
        let mut say = |words: &str, code: &str| {
            (&stream).write_all(words.as_bytes()).unwrap();
            let mut line = String::new();
            while line.get(3..4) != Some(" ") {
                line.clear();
                assert!(replies.read_line(&mut line).unwrap() > 0);
            }
            assert!(line.starts_with(code), "{words:.40}: {line}");
        };
        say("", "220");
        say("HELO load.test\r\n", "250");
        let one = |_| {
            say("MAIL FROM:<alice@example.org>\r\n", "250");
            say("RCPT TO:<bob@example.net>\r\n", "250");
            say("DATA\r\n", "354");
            (&stream).write_all(text.as_bytes()).unwrap();
            let start = Instant::now();
            say(".\r\n", "250");
            start.elapsed()
        };
        (0..count / SESSIONS).map(one).collect::<Vec<_>>()
    };
    let mut times = thread::scope(|scope| {
        let clients: Vec<_> = (0..SESSIONS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    times.sort_unstable();
    times
}

/// A running smtp-sink, and how many messages it has.
struct Counter {
    port: u16,
    child: Child,
    count: Arc<AtomicU64>,
}

impl Counter {
    fn start() -> Counter {
        let port = free_port();
        let mut command = Command::new("/usr/sbin/smtp-sink");
        command.args(["-c", "-u", "nobody", &format!("127.0.0.1:{port}"), "1000"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let count = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&count);
        thread::spawn(move || {
            let (mut piece, mut text) = ([0; 4096], String::new());
            while let Ok(1..) = output.read(&mut piece).inspect(|length| {
                text.push_str(&String::from_utf8_lossy(&piece[..*length]));
            }) {
                // sess=1 quit=0 mesg=12, and a carriage return.
                let end = text.rfind('\r').map_or(0, |end| end + 1);
                let number = text[..end].rsplit("mesg=").next().and_then(|number| number.trim().parse().ok());
                if let Some(number) = number {
                    seen.store(number, Ordering::SeqCst);
                }
                text.drain(..end);
            }
        });
        wait_for_port(port);
        Counter { port, child, count }
    }

    fn wait_for(&self, count: u64) {
        let mut end = Instant::now() + PATIENCE;
        let mut before = 0;
        while self.count.load(Ordering::SeqCst) < count {
            let now = self.count.load(Ordering::SeqCst);
            if now > before {
                (before, end) = (now, Instant::now() + PATIENCE);
            }
            assert!(Instant::now() < end, "{now} of {count} messages arrived");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A home with alice's keys.
struct Keys<'a> {
    folder: &'a Path,
}

impl Keys<'_> {
    fn generate(folder: &Path) -> Keys<'_> {
        let keys = Keys { folder };
        keys.postseal(&["key", "generate", "-f", "pgp", "--no-passphrase", "alice@example.org"]);
        keys.postseal(&[
            "key",
            "generate",
            "-f",
            "smime",
            "--algorithm",
            "rsa2048",
            "--no-passphrase",
            "alice@example.org",
        ]);
        keys
    }

    fn postseal(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        let output = run_with(command.arg("--home").arg(self.folder.join("home")).args(arguments), b"");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Keeps a message as smtp-source wants it: its lines end with LF.
    fn file(&self, name: &str, octets: Vec<u8>) -> PathBuf {
        let place = self.folder.join(name);
        let octets: Vec<u8> = octets.into_iter().filter(|octet| *octet != b'\r').collect();
        fs::write(&place, octets).unwrap();
        place
    }

    fn openssl(&self) -> Work {
        let (certificate, key) = (self.folder.join("openssl.crt"), self.folder.join("openssl.key"));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=alice"]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        assert!(run_with(&mut command, b"").status.success());
        Work::Openssl { certificate, key }
    }

    /// Starts `postseal serve` as a milter.
    fn serve(&self, rules: &str, isolation: &str) -> Service {
        let port = free_port();
        let place = self.folder.join("postseal.toml");
        let configuration = format!(
            "isolation = {isolation:?}\nhome = \"home\"\nhostname = \"mx.postseal.test\"\nlocal-domains = [\"example.net\"]\n{rules}\
            [[listener]]\nkind = \"milter\"\naddress = \"127.0.0.1:{port}\"\n"
        );
        fs::write(&place, configuration).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        let log = fs::File::create(self.folder.join("log")).unwrap();
        let child = command.args(["serve", "--config"]).arg(place).stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(1));
        }
        println!("{:<34} listens after {:.0} ms", isolation, 1_000.0 * start.elapsed().as_secs_f64());
        Service { port, child }
    }
}

struct Service {
    port: u16,
    child: Child,
}

impl Service {
    /// The memory of its processes in MiB, with its share of what they have in common.
    fn memory(&self) -> f64 {
        let id = self.child.id();
        let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
        let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
        let children: String = children.collect();
        let all = std::iter::once(id.to_string()).chain(children.split_whitespace().map(str::to_owned));
        let of_one = |id: String| -> Option<f64> {
            let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
            let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        all.filter_map(of_one).sum::<f64>() / 1_024.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In one process, and with processes for mail.
const ISOLATION: [&str; 2] = ["none", "processes"];

/// Seconds that an RSA-2048 signature takes.
fn rsa() -> f64 {
    let rng = rand::SystemRandom::new();
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    seconds(|| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &rng, black_box(b"digest"), &mut signature).unwrap();
    })
}

/// Seconds that an Ed25519 signature takes.
fn ed25519() -> f64 {
    let key = Ed25519KeyPair::generate().unwrap();
    seconds(|| {
        black_box(key.sign(black_box(&[7; 64])));
    })
}

fn seconds(work: impl Fn()) -> f64 {
    let start = Instant::now();
    (0..2_000).for_each(|_| work());
    start.elapsed().as_secs_f64() / 2_000.0
}

fn message(size: usize) -> Vec<u8> {
    let mut octets =
        b"From: Alice <alice@example.org>\nTo: Bob <bob@example.net>\nSubject: load\nMessage-ID: <4711@example.org>\n\
        Date: Tue, 24 Nov 2026 03:00:00 +0000\n\n"
            .to_vec();
    while octets.len() < size {
        octets.extend_from_slice(b"The quick brown fox jumps over the lazy dog and runs away from it again.\n");
    }
    octets
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|number| number.parse().unwrap())
}

fn sign(protocol: &str) -> String {
    format!(
        "trusted.networks = [\"127.0.0.0/8\"]\ntrusted.sign-as = [\"alice@example.org\"]\n\
        [[rule]]\nname = \"sign\"\naction = \"sign+clear\"\nprotocol = [\"{protocol}\"]\n"
    )
}

const VERIFY: &str = "[[rule]]\nname = \"verify\"\ndirection = \"inbound\"\naction = \"annotate\"\n";
const SESSIONS: u64 = 8;
const WARM_UP: u64 = 200;
/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(30);
