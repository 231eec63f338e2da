//! Parsing and canonical forms of mail: `cargo bench --bench mail`.
#![allow(missing_docs)]

use std::{hint::black_box, io::Write};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use postseal::{
    base::{Budget, Limits},
    mail::{
        Message,
        canonical::{Canonical, Carried, Form, canonical, write_signable},
        encoding::{base64_decode, base64_encode, quoted_printable_decode, quoted_printable_encode},
        header::Edit,
    },
};

criterion_group!(mail, parse, canonical_forms, encodings, signable);
criterion_main!(mail);

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, octets) in [
        ("one part, 50 MiB", text("\r\n")),
        ("base64 attachment, 50 MiB", attachment()),
        ("1,000 parts, 10 KiB each", parts()),
    ] {
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function(name, |bencher| {
            let clone = || octets.clone();
            let run = |octets| black_box(Message::parse(octets, &mut budget()).unwrap());
            bencher.iter_batched(clone, run, BatchSize::PerIteration);
        });
    }
}

fn canonical_forms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("canonical");
    for (name, octets) in [("CRLF", text("\r\n")), ("LF", text("\n"))] {
        group.throughput(Throughput::Bytes(octets.len() as u64));
        for (form_name, form) in [("to CRLF", Form::Crlf), ("to CRLF, trimmed", Form::CrlfTrimmed)] {
            group.bench_function(format!("writer, {name} {form_name}"), |bencher| {
                bencher.iter(|| {
                    let mut writer = Canonical::new(form, std::io::sink());
                    black_box(&octets).chunks(64 * 1024).for_each(|chunk| writer.write_all(chunk).unwrap());
                    writer.finish().unwrap()
                });
            });
        }
    }
    let octets = text("\r\n");
    group.bench_function("check, CRLF", |bencher| {
        bencher.iter(|| black_box(canonical(black_box(&octets), Form::Crlf)).len())
    });
}

fn encodings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encodings");
    let octets = text("\r\n");
    group.throughput(Throughput::Bytes(octets.len() as u64));
    let (base64, quoted) = (base64_encode(&octets), quoted_printable_encode(&octets));
    group.bench_function("base64 encode", |bencher| bencher.iter(|| base64_encode(black_box(&octets))));
    group.bench_function("base64 decode", |bencher| bencher.iter(|| base64_decode(black_box(&base64))));
    group.bench_function("quoted-printable encode", |bencher| {
        bencher.iter(|| quoted_printable_encode(black_box(&octets)))
    });
    group.bench_function("quoted-printable decode", |bencher| {
        bencher.iter(|| quoted_printable_decode(black_box(&quoted)))
    });
}

fn signable(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write_signable");
    for (name, octets) in [("base64 attachment, clean", attachment()), ("text, clean, LF", text("\n"))] {
        group.throughput(Throughput::Bytes(octets.len() as u64));
        let message = Message::parse(octets, &mut budget()).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                write_signable(message.root(), &Edit::new(message.root()), Carried::InClear, &mut std::io::sink())
                    .unwrap()
            });
        });
    }
}

/// 50 MiB in lines of 72 characters.
fn text(line_break: &str) -> Vec<u8> {
    let line = format!(
        "{}{line_break}",
        "The quick brown fox jumps over the lazy dog, and the dog does not mind. ".replace(". ", "..")
    );
    let mut octets = format!("Subject: text{line_break}{line_break}").into_bytes();
    octets.extend(line.as_bytes().iter().cycle().take(SIZE / line.len() * line.len()));
    octets
}

fn attachment() -> Vec<u8> {
    let data: Vec<u8> = (0..SIZE / 78 * 57).map(|n| (n * 31 % 251) as u8).collect();
    let mut octets = b"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n--=_b\r\n\r\ntext\r\n--=_b\r\n\
        Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        .to_vec();
    octets.extend(base64_encode(&data));
    octets.extend_from_slice(b"--=_b--\r\n");
    octets
}

fn parts() -> Vec<u8> {
    let part =
        format!("--b\r\nContent-Type: text/plain\r\n\r\n{}\r\n", "A line of seventy-two characters.\r\n".repeat(300));
    format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\n", part.repeat(999)).into_bytes()
}

fn budget() -> Budget {
    Budget::new(Limits::default())
}

const SIZE: usize = 50 * 1024 * 1024;
