//! The four verbs with messages of several sizes, compared with the bare operations.
//!
//! `cargo bench --bench flow`; `cargo bench --bench flow -- sign` for one group. Compare within one run only.

use std::{
    hint::black_box,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use aws_lc_rs::{
    digest, rand,
    rsa::{KeyPair, KeySize},
    signature::{Ed25519KeyPair, RSA_PKCS1_SHA512},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use postseal::{
    base::{Limits, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::Engine,
    keys::{Memory, Passphrases, ProtocolName},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{Context, Described, Recipient, Seal, Signer, pgp, smime},
    store,
};

const SIZES: [(&str, usize); 4] =
    [("1KiB", 1024), ("10KiB", 10 * 1024), ("1MiB", 1024 * 1024), ("50MiB", 50 * 1024 * 1024)];
const KEYS: [(&str, ProtocolName, KeyMaker); 5] = [
    ("pgp-rsa2048", ProtocolName::Pgp, || pgp_key(pgp::generate::Algorithm::Rsa2048)),
    ("pgp-rsa3072", ProtocolName::Pgp, || pgp_key(pgp::generate::Algorithm::Rsa3072)),
    ("pgp-ed25519", ProtocolName::Pgp, || pgp_key(pgp::generate::Algorithm::Curve25519)),
    ("smime-rsa2048", ProtocolName::Smime, || smime_key(smime::generate::Algorithm::Rsa2048)),
    ("smime-p256", ProtocolName::Smime, || smime_key(smime::generate::Algorithm::P256)),
];

type KeyMaker = fn() -> Described;

fn alice() -> Address {
    Address::parse("alice@example.org").unwrap()
}

fn pgp_key(algorithm: pgp::generate::Algorithm) -> Described {
    let mut request = pgp::generate::Request::new(alice());
    request.algorithm = algorithm;
    pgp::generate::generate(&request, &SystemClock).unwrap().described
}

fn smime_key(algorithm: smime::generate::Algorithm) -> Described {
    let mut request = smime::generate::Request::new(alice());
    request.algorithm = algorithm;
    smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap()
}

fn keys(make: KeyMaker) -> Memory {
    let Described { record, secret, .. } = make();
    let files = [("certificate", &**record.bytes()), ("key", secret.as_ref().unwrap().expose())];
    store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys
}

/// Lines of 72 characters, CRLF: what most text mail looks like.
fn message(size: usize) -> Vec<u8> {
    let mut octets = b"From: alice@example.org\r\nTo: alice@example.org\r\nSubject: bench\r\n\r\n".to_vec();
    let line = b"The quick brown fox jumps over the lazy dog and runs away from it again.\r\n";
    while octets.len() < size {
        octets.extend_from_slice(line);
    }
    octets
}

fn engine(keys: &Memory) -> Engine<'_> {
    let context = Context {
        keys,
        clock: &SystemClock,
        random: &SystemRandom,
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
    };
    Engine::new(context, Limits { message: 1 << 30, ..Limits::default() })
}

fn signing() -> Seal {
    Seal { sign: vec![Signer::Author], ..Seal::default() }
}

fn encrypting() -> Seal {
    Seal { to: vec![Recipient::Named(alice())], ..Seal::default() }
}

fn sealed(engine: &Engine<'_>, protocol: ProtocolName, octets: Vec<u8>, how: &Seal) -> Vec<u8> {
    let message = Message::parse(octets, &mut engine.budget()).unwrap();
    let mut out = Vec::new();
    engine.seal(protocol, &message, how, &mut out).unwrap();
    out
}

fn bare(c: &mut Criterion) {
    let mut group = c.benchmark_group("bare");
    let rng = rand::SystemRandom::new();
    for (name, size) in [("rsa2048", KeySize::Rsa2048), ("rsa3072", KeySize::Rsa3072)] {
        let pair = KeyPair::generate(size).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        group.bench_function(BenchmarkId::new("sign", name), |b| {
            b.iter(|| pair.sign(&RSA_PKCS1_SHA512, &rng, black_box(b"digest"), &mut signature).unwrap());
        });
    }
    let pair = Ed25519KeyPair::generate().unwrap();
    group.bench_function(BenchmarkId::new("sign", "ed25519"), |b| b.iter(|| pair.sign(black_box(&[7; 64]))));
    for (name, size) in SIZES {
        let octets = message(size);
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function(BenchmarkId::new("sha512", name), |b| b.iter(|| digest::digest(&digest::SHA512, &octets)));
    }
    group.finish();
}

fn verbs(c: &mut Criterion) {
    for (verb, how) in [("sign", signing()), ("encrypt", encrypting())] {
        let mut group = c.benchmark_group(verb);
        for (name, protocol, make) in KEYS {
            let keys = keys(make);
            let engine = engine(&keys);
            for (size, length) in SIZES {
                let octets = message(length);
                group.throughput(Throughput::Bytes(octets.len() as u64));
                let parsed = Message::parse(octets, &mut engine.budget()).unwrap();
                group.bench_function(BenchmarkId::new(name, size), |b| {
                    b.iter(|| engine.seal(protocol, &parsed, &how, &mut Sink).unwrap());
                });
            }
        }
        group.finish();
    }
    for (verb, how) in [("verify", signing()), ("decrypt", encrypting())] {
        let mut group = c.benchmark_group(verb);
        for (name, protocol, make) in KEYS {
            let keys = keys(make);
            let engine = engine(&keys);
            for (size, length) in SIZES {
                let octets = sealed(&engine, protocol, message(length), &how);
                group.throughput(Throughput::Bytes(octets.len() as u64));
                group.bench_function(BenchmarkId::new(name, size), |b| {
                    b.iter_batched(
                        || octets.clone(),
                        |octets| engine.open(Message::parse(octets, &mut engine.budget()).unwrap()).unwrap(),
                        criterion::BatchSize::PerIteration,
                    );
                });
            }
        }
        group.finish();
    }
}

/// Takes the octets as a socket would, and does nothing with them.
struct Sink;

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(black_box(octets).len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_millis(500));
    targets = bare, verbs
}
criterion_main!(benches);
