//! Our handles and digests beside the bare operations of aws-lc, and Sequoia's digests beside both.
//!
//! `cargo bench --bench crypto`; the numbers say what our layers cost.
#![allow(missing_docs)]

use std::{hint::black_box, time::Duration};

use aws_lc_rs::{
    digest,
    encoding::{AsBigEndian, AsDer},
    rand::SystemRandom,
    rsa::{
        KeyPair, KeySize, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey, PublicKeyComponents,
    },
    signature::{self, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use postseal::{
    base::Secret,
    crypto::{Hash, PublicKey, RsaComponents, Scheme, SecretKey, SoftwareKey, Unwrap, verify},
};
use sequoia_openpgp::types::HashAlgorithm;

fn rsa(criterion: &mut Criterion) {
    let digest = Hash::Sha256.digest(b"text");
    for (bits, size) in [(2048, KeySize::Rsa2048), (3072, KeySize::Rsa3072)] {
        let mut group = criterion.benchmark_group(format!("rsa{bits}"));
        let bare = KeyPair::generate(size).unwrap();
        let imported = digest::digest(&digest::SHA256, b"text");
        let mut signature = vec![0; bare.public_modulus_len()];
        group.bench_function("sign/aws-lc", |bencher| {
            bencher.iter(|| bare.sign_digest(&signature::RSA_PKCS1_SHA256, &imported, &mut signature).unwrap());
        });
        let public = UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, bare.public_key().as_ref());
        group.bench_function("verify/aws-lc", |bencher| {
            bencher.iter(|| public.verify_digest(&imported, &signature).unwrap());
        });

        let parts = RsaComponents::generate(bits).unwrap();
        let ours = SoftwareKey::rsa(&parts).unwrap();
        let scheme = Scheme::RsaPkcs1(Hash::Sha256);
        group.bench_function("load/ours", |bencher| bencher.iter(|| SoftwareKey::rsa(&parts).unwrap()));
        group.bench_function("sign/ours", |bencher| bencher.iter(|| ours.sign(scheme, &digest).unwrap()));
        let signature = ours.sign(scheme, &digest).unwrap();
        let public = PublicKey::Rsa { n: &parts.n, e: &parts.e };
        group.bench_function("verify/ours", |bencher| {
            bencher.iter(|| verify(public, scheme, &digest, &signature).unwrap());
        });

        let der = bare.as_der().unwrap();
        let opening = Pkcs1PrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap()).unwrap();
        let wrapping: PublicEncryptingKey = PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap().public_key();
        let mut wrapped = vec![0; bits / 8];
        Pkcs1PublicEncryptingKey::new(wrapping).unwrap().encrypt(&[7; 35], &mut wrapped).unwrap();
        let mut plain = vec![0; bits / 8];
        group.bench_function("decrypt/aws-lc", |bencher| {
            bencher.iter(|| opening.decrypt(&wrapped, &mut plain).unwrap().len());
        });
        let components = PublicKeyComponents { n: parts.n.as_slice(), e: parts.e.as_slice() };
        let wrapping: PublicEncryptingKey = components.try_into().unwrap();
        Pkcs1PublicEncryptingKey::new(wrapping).unwrap().encrypt(&[7; 35], &mut wrapped).unwrap();
        group.bench_function("decrypt/ours", |bencher| {
            bencher.iter(|| ours.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap());
        });
        // Wrong padding must take the same time.
        wrapped[bits / 8 - 1] ^= 1;
        group.bench_function("decrypt/ours, wrong padding", |bencher| {
            bencher.iter(|| ours.decrypt(Unwrap::RsaPkcs1, &wrapped).unwrap());
        });
        group.finish();
    }
}

fn ed25519(criterion: &mut Criterion) {
    let digest = Hash::Sha512.digest(b"text");
    let mut group = criterion.benchmark_group("ed25519");
    let bare = Ed25519KeyPair::generate().unwrap();
    let public = bare.public_key().as_ref().to_vec();
    group.bench_function("sign/aws-lc", |bencher| bencher.iter(|| bare.sign(&digest)));
    let signature = bare.sign(&digest);
    let key = UnparsedPublicKey::new(&signature::ED25519, &public);
    group.bench_function("verify/aws-lc", |bencher| bencher.iter(|| key.verify(&digest, signature.as_ref()).unwrap()));

    let seed = Secret::new(bare.seed().unwrap().as_be_bytes().unwrap().as_ref().to_vec());
    let ours = SoftwareKey::ed25519(&seed, &public).unwrap();
    group.bench_function("load/ours", |bencher| bencher.iter(|| SoftwareKey::ed25519(&seed, &public).unwrap()));
    group.bench_function("sign/ours", |bencher| bencher.iter(|| ours.sign(Scheme::EdDsa, &digest).unwrap()));
    group.bench_function("verify/ours", |bencher| {
        bencher.iter(|| verify(PublicKey::Ed25519(&public), Scheme::EdDsa, &digest, signature.as_ref()).unwrap());
    });
    group.finish();
}

fn hashes(criterion: &mut Criterion) {
    let mut data = vec![0; 1024 * 1024];
    aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut data).unwrap();
    let rows = [
        (Hash::Sha1, &digest::SHA1_FOR_LEGACY_USE_ONLY, HashAlgorithm::SHA1),
        (Hash::Sha256, &digest::SHA256, HashAlgorithm::SHA256),
        (Hash::Sha512, &digest::SHA512, HashAlgorithm::SHA512),
    ];
    for (hash, algorithm, sequoia) in rows {
        let mut group = criterion.benchmark_group(hash.name());
        group.throughput(Throughput::Bytes(data.len() as u64));
        let size = "1 MiB";
        group.bench_function(BenchmarkId::new("aws-lc", size), |bencher| {
            bencher.iter(|| digest::digest(algorithm, black_box(&data)));
        });
        group.bench_function(BenchmarkId::new("ours", size), |bencher| bencher.iter(|| hash.digest(black_box(&data))));
        group.bench_function(BenchmarkId::new("sequoia", size), |bencher| {
            bencher.iter(|| {
                let mut context = sequoia.context().unwrap().for_digest();
                context.update(black_box(&data));
                context.into_digest().unwrap()
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(30);
    targets = rsa, ed25519, hashes
}
criterion_main!(benches);
