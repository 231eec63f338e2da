//! The cost of handling a mail, compared with the private-key operation in it: mails per second and signatures per second, in
//! one run, on one thread and on all cores.
//!
//! `cargo bench --bench handle`; with `-- recipients` only what a mail to many recipients costs, with `-- lists` only what a post
//! to a list costs.

#[path = "handle/lists.rs"]
mod lists;
#[path = "handle/recipients.rs"]
mod recipients;

use std::{
    env,
    hint::black_box,
    sync::{
        Arc, Barrier,
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
use postseal::{
    base::{Budget, Limits, Secret, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Keys, Memory, Passphrases, ProtocolName},
    mail::{Address, Envelope, ForwardPath, Mail, Message, ReversePath, Submitter},
    pki::Revocation,
    policy::{Condition, Direction, Order, Pattern, Policy, Rule},
    protocol::{pgp, smime},
    store,
};

fn main() {
    let is_asked = |name: &str| env::args().any(|argument| argument == name);
    if is_asked("lists") {
        return lists::run();
    }
    recipients::run();
    if !is_asked("recipients") {
        signatures();
        lists::run();
    }
}

fn signatures() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let rng = rand::SystemRandom::new();
    let rsa = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let bare_rsa = || {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &rng, black_box(b"digest"), &mut signature).unwrap();
    };
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let bare_ed25519 = || {
        black_box(ed25519.sign(black_box(&[7; 64])));
    };
    println!("{:<24} {:>8} {:>12} {:>12} {:>6}", "mail", "threads", "bare ops/s", "mails/s", "");
    for (name, protocol, bare) in [
        ("smime rsa2048 sign", ProtocolName::Smime, &bare_rsa as &(dyn Fn() + Sync)),
        ("pgp ed25519 sign", ProtocolName::Pgp, &bare_ed25519),
    ] {
        for (size, length) in [("4 KiB", 4 * 1024), ("100 KiB", 100 * 1024)] {
            let hook = hook(protocol);
            let octets = message(length);
            for threads in [1, cores] {
                // In turns, so that whatever else the machine does falls on both.
                let (mut operations, mut mails) = (0.0, 0.0);
                for _ in 0..ROUNDS {
                    operations += rate(threads, &bare);
                    mails += rate(threads, &|| {
                        let outcome = hook.handle(mail(octets.clone())).unwrap();
                        assert_eq!(black_box(outcome).mails.len(), 1);
                    });
                }
                let (operations, mails) = (operations / f64::from(ROUNDS), mails / f64::from(ROUNDS));
                let share = 100.0 * mails / operations;
                println!(
                    "{:<24} {threads:>8} {operations:>12.0} {mails:>12.0} {share:>5.1}%",
                    format!("{name}, {size}")
                );
            }
        }
    }
}

/// How often a second `work` is done by so many threads.
fn rate(threads: usize, work: &(dyn Fn() + Sync)) -> f64 {
    let done = AtomicU64::new(0);
    let start = Barrier::new(threads + 1);
    let seconds = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let end = Instant::now() + ROUND;
                    while Instant::now() < end {
                        work();
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        start.wait();
        let began = Instant::now();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        began.elapsed().as_secs_f64()
    });
    done.load(Ordering::Relaxed) as f64 / seconds
}

fn hook(protocol: ProtocolName) -> ReloadableHandler {
    let sign = Rule {
        name: "sign".to_owned(),
        conditions: vec![Condition::Direction(Direction::Outbound)],
        orders: [Order::Sign, Order::Clear].into(),
        protocols: vec![protocol],
        ..Rule::default()
    };
    ReloadableHandler::new(setup(Arc::new(keys()), vec![sign]))
}

fn setup(keys: Arc<dyn Keys>, rules: Vec<Rule>) -> HandlerConfig {
    HandlerConfig {
        keys,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
        limits: Limits::default(),
        policy: Policy {
            local: Vec::new(),
            identities: Default::default(),
            trusted: vec![Pattern::Any],
            rules,
            obstacles: Default::default(),
            max_size: 64 * 1024 * 1024,
            mailboxes: Default::default(),
            aliases: Default::default(),
            forwards: Default::default(),
            lists: Default::default(),
            mode: Default::default(),
        },
        name: "mx.example.org".to_owned(),
        authserv_ids: Vec::new(),
        marker: Secret::from("0123456789abcdef"),
    }
}

fn keys() -> Memory {
    let alice = || address("alice@example.org");
    let pgp = pgp::generate::generate(&pgp::generate::Request::new(alice()), &SystemClock).unwrap();
    let mut request = smime::generate::Request::new(alice());
    request.algorithm = smime::generate::Algorithm::Rsa2048;
    let smime = smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
    let (pgp, smime_secret) = (pgp.described.secret.unwrap(), smime.secret.unwrap());
    let files = [("pgp", pgp.expose()), ("certificate", &**smime.record.bytes()), ("key", smime_secret.expose())];
    store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn mail(octets: Vec<u8>) -> Mail {
    mail_to(octets, vec![address("bob@example.net")])
}

fn mail_to(octets: Vec<u8>, recipients: Vec<Address>) -> Mail {
    let sender = ReversePath { address: Some(address("alice@example.org")), parameters: Vec::new() };
    let recipients = recipients.into_iter().map(|address| ForwardPath { address, parameters: Vec::new() }).collect();
    let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
    Mail { envelope: Envelope { sender, recipients }, submitter: Submitter::Trusted, client: None, message }
}

/// Lines of 72 characters, CRLF, under the header that a mail reader writes.
fn message(size: usize) -> Vec<u8> {
    let mut octets = b"Received: from laptop (laptop [192.0.2.7]) by mx.example.org with ESMTPSA id 1; Tue, 24 Nov 2026 03:00:00 +0000\r\n\
        Message-ID: <4711@example.org>\r\nDate: Tue, 24 Nov 2026 03:00:00 +0000\r\nMIME-Version: 1.0\r\nUser-Agent: bench\r\n\
        From: Alice <alice@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: bench\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        .to_vec();
    while octets.len() < size {
        octets.extend_from_slice(b"The quick brown fox jumps over the lazy dog and runs away from it again.\r\n");
    }
    octets
}

const ROUND: Duration = Duration::from_millis(500);
const ROUNDS: u32 = 4;
