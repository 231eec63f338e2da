//! Messages that `postseal scan` judges in a second, beside `gpg --verify` for each message and the bare public-key operations.
//!
//! `cargo bench --bench scan`; with `-- 100000` so many messages. With POSTSEAL_CORPORA also the signed list mail of lkml-signed.

use std::{
    env,
    fmt::Write as _,
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use aws_lc_rs::{
    rand::SystemRandom as Randomness,
    rsa::{KeyPair, KeySize},
    signature::{
        ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey,
    },
};
use postseal::{
    base::{Budget, Limits, SystemClock},
    keys::ProtocolName,
    mail::{Address, Message},
    protocol::pgp::{
        generate::{Algorithm, Request, generate},
        keyfile::{self, Armor},
    },
    store,
};

fn main() {
    let count = env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = tempfile::tempdir().unwrap();
    let Written { messages, keys } = write();
    let keyring = work.path().join("keys.asc");
    fs::write(&keyring, keys).unwrap();
    let mbox = work.path().join("box");
    fs::write(&mbox, repeated(&messages, count)).unwrap();
    println!("{} different messages of OpenPGP, half Ed25519, half RSA-2048, {cores} cores", messages.len());
    println!("bare public-key operations     {:>9.0} / s", bare(cores));
    let arguments = |mbox: &Path, keys: &Path| [mbox.to_owned(), PathBuf::from("--keys"), keys.to_owned()];
    for options in [[].as_slice(), &["--json"]] {
        report(&format!("scan {}", options.join(" ")), count, &arguments(&mbox, &keyring), options);
    }
    gpg(&messages, &keyring, work.path(), cores);
    if let Some(corpus) = env::var_os("POSTSEAL_CORPORA").map(|folder| Path::new(&folder).join("lkml-signed")) {
        let files = fs::read_dir(corpus.join("pgp")).unwrap().map(|entry| entry.unwrap().path());
        let mut messages: Vec<Vec<u8>> = files.map(|path| fs::read(path).unwrap()).collect();
        messages.sort();
        let mbox = work.path().join("lkml");
        fs::write(&mbox, repeated(&messages, count)).unwrap();
        println!("{} messages of lkml-signed", messages.len());
        report("scan", count, &arguments(&mbox, &corpus.join("keys/keyring.pgp")), &[]);
    }
}

/// Signed messages, and the certificates of their signers.
struct Written {
    messages: Vec<Vec<u8>>,
    keys: Vec<u8>,
}

fn write() -> Written {
    let mut written = Written { messages: Vec::new(), keys: Vec::new() };
    for number in 0..SIGNERS {
        let author = format!("a{number}@example.org");
        let mut request = Request::new(Address::parse(&author).unwrap());
        request.algorithm = if number % 2 == 0 { Algorithm::Curve25519 } else { Algorithm::Rsa2048 };
        let key = generate(&request, &SystemClock).unwrap().described;
        written.keys.extend_from_slice(&keyfile::export(&key.record, Armor::Ascii).unwrap());
        let secret = key.secret.unwrap();
        let own = store::load(&[("key", secret.expose())], &Default::default(), &Limits::default()).unwrap().keys;
        for message in 0..EACH {
            let mut text = format!(
                "From: <{author}>\nTo: list@example.net\nDate: Mon, 30 Nov 2026 10:00:00 +0000\nMessage-ID: <{message}.{number}@example.org>\nSubject: {message}\n\n"
            );
            while text.len() < LENGTH {
                let _ =
                    writeln!(text, "line {} of message {message}, which is about nothing in particular", text.len());
            }
            written.messages.push(postseal::sign(text.as_bytes(), ProtocolName::Pgp, &own).unwrap());
        }
    }
    written
}

fn repeated(messages: &[Vec<u8>], count: usize) -> Vec<u8> {
    let mut mbox = Vec::new();
    for message in messages.iter().cycle().take(count) {
        mbox.extend_from_slice(b"From list@example.net Mon Nov 30 10:00:00 2026\n");
        for line in message.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b"From ") {
                mbox.push(b'>');
            }
            mbox.extend_from_slice(line);
        }
        mbox.extend_from_slice(b"\n");
    }
    mbox
}

/// Runs `scan`, and prints how long it took and how much memory.
fn report(name: &str, count: usize, arguments: &[PathBuf], options: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_postseal"))
        .arg("scan")
        .args(options)
        .args(arguments)
        .env("POSTSEAL_HOME", home.path().join("none"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut stdout = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut text).map(|_| text)
    });
    let mut memory = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak =
            text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        memory = memory.max(peak.unwrap_or_default() / 1024.0);
        thread::sleep(Duration::from_millis(5));
    }
    let seconds = start.elapsed().as_secs_f64();
    let text = reader.join().unwrap().unwrap();
    println!("{name:<30} {:>9.0} / s, {memory:.0} MiB, {seconds:.2} s", count as f64 / seconds);
    if options.is_empty() {
        println!("    {}", String::from_utf8_lossy(&text).lines().last().unwrap_or_default());
    }
}

/// `gpg --verify` of some of the messages, on all cores.
fn gpg(messages: &[Vec<u8>], keyring: &Path, work: &Path, cores: usize) {
    let home = work.join("gpg");
    fs::create_dir(&home).unwrap();
    let gpg = || {
        let mut command = Command::new("gpg");
        command.env("GNUPGHOME", &home).args(["--batch", "--quiet", "--trust-model", "always"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !gpg().arg("--import").arg(keyring).status().is_ok_and(|status| status.success()) {
        println!("gpg: absent");
        return;
    }
    let files: Vec<(PathBuf, PathBuf)> = messages
        .iter()
        .step_by(messages.len().div_ceil(SHARE))
        .enumerate()
        .map(|(number, octets)| {
            let message = Message::parse(octets.clone(), &mut Budget::new(Limits::default())).unwrap();
            let parts: Vec<_> = message.root().children().collect();
            let [text, signature] = parts.as_slice() else { panic!("two parts") };
            let files = (work.join(format!("{number}.txt")), work.join(format!("{number}.asc")));
            fs::write(&files.0, text.octets()).unwrap();
            fs::write(&files.1, signature.decoded()).unwrap();
            files
        })
        .collect();
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some((text, signature)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    assert!(gpg().arg("--verify").arg(signature).arg(text).status().unwrap().success());
                }
            });
        }
    });
    println!("gpg --verify, one by one       {:>9.0} / s", files.len() as f64 / start.elapsed().as_secs_f64());
}

/// Ed25519 and RSA-2048 in turns, on all cores, in a second.
fn bare(cores: usize) -> f64 {
    let text = [7; 64];
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let ed25519_signature = ed25519.sign(&text);
    let rsa = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let mut rsa_signature = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PKCS1_SHA256, &Randomness::new(), &text, &mut rsa_signature).unwrap();
    let ed25519 = UnparsedPublicKey::new(&ED25519, ed25519.public_key().as_ref());
    let rsa = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, rsa.public_key().as_ref());
    let done = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while start.elapsed() < Duration::from_secs(2) {
                    ed25519.verify(black_box(&text), ed25519_signature.as_ref()).unwrap();
                    rsa.verify(black_box(&text), &rsa_signature).unwrap();
                    done.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// Different signers, and different messages of each.
const SIGNERS: usize = 20;
const EACH: usize = 50;
/// Octets of text. Source: the messages of lkml-signed have 12 KB in the mean with their headers.
const LENGTH: usize = 4 * 1024;
/// Messages that gpg verifies.
const SHARE: usize = 200;
