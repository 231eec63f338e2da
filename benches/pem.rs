//! The time to verify a filing like EDGAR's, compared with one pass of MD5 over it: `cargo bench --bench pem`.
#![allow(missing_docs)]

use std::{fs, hint::black_box, path::Path};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use postseal::{
    base::{Limits, SystemClock, SystemRandom},
    crypto::{Hash, Legacy},
    engine::Engine,
    keys::Memory,
    mail::Message,
    pki::Revocation,
    protocol::Context,
};

criterion_group!(pem, verify);
criterion_main!(pem);

fn verify(criterion: &mut Criterion) {
    let Some(filing) = filing() else { return eprintln!("skipped: no corpora/pem") };
    let keys = Memory::new();
    let context = Context {
        keys: &keys,
        clock: &SystemClock,
        random: &SystemRandom,
        legacy: Legacy::Admit,
        revocation: Revocation::Soft,
    };
    let engine = Engine::new(context, Limits::default());
    // The text of a grown one is longer than the one that was signed: judging it costs the same, whatever comes of it.
    let grown = |size: usize| grown(&filing, size * 1024 * 1024);
    for (name, large) in [("as it is", filing.clone()), ("of 1 MiB", grown(1)), ("of 16 MiB", grown(16))] {
        let mut group = criterion.benchmark_group(format!("a filing {name}"));
        group.throughput(Throughput::Bytes(large.len() as u64));
        group.bench_function("md5", |bencher| bencher.iter(|| Hash::Md5.digest(black_box(&large))));
        group.bench_function("verify", |bencher| {
            let run = |octets| {
                let message = Message::parse(octets, &mut engine.budget()).unwrap();
                black_box(engine.open(message).unwrap())
            };
            bencher.iter_batched(|| large.clone(), run, BatchSize::PerIteration);
        });
    }
}

fn filing() -> Option<Vec<u8>> {
    let folder = std::env::var("POSTSEAL_CORPORA").unwrap_or_else(|_| "../shared/corpora".into());
    fs::read(Path::new(&folder).join("pem/edgar/0000950129-95-001652.txt")).ok()
}

/// Its text repeated to so many octets.
fn grown(filing: &[u8], size: usize) -> Vec<u8> {
    let end = b"-----END PRIVACY-ENHANCED MESSAGE-----\n";
    let inside = filing.strip_suffix(end).unwrap();
    let text = inside.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
    let mut grown = inside.to_vec();
    while grown.len() < size {
        grown.extend_from_slice(&inside[text..]);
    }
    grown.extend_from_slice(end);
    grown
}
