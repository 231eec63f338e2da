//! ML-DSA and ML-KEM beside the bare operations of aws-lc: the handles, then whole messages.
//!
//! `cargo bench --bench post_quantum`. A message to many is compared with as many encapsulations, which is the least that it takes; the rest are the
//! certificates: each recipient's is looked up, and its path is validated.
#![allow(missing_docs)]

use std::{hint::black_box, sync::Arc, time::Duration};

use aws_lc_rs::{
    kem::{DecapsulationKey, EncapsulationKey, ML_KEM_768},
    signature::{KeyPair as _, ML_DSA_65, ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey},
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use postseal::{
    base::{Budget, Limits, Secret, SystemClock, SystemRandom},
    crypto::{
        KeyAlgorithm, Legacy, MlDsa, MlKem, PostQuantumSecret, PublicKey, Scheme, SecretKey, SlhDsa, SoftwareKey,
        encapsulate, generate, verify,
    },
    keys::{Binding, Memory, Passphrases, Snapshot},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{
        Context, Described, Protocol, Recipient, Seal,
        smime::{
            Smime,
            authority::{Authority, NewAuthority, Places, create},
            generate::{Algorithm, Request},
            keyfile::LockedKey,
        },
    },
};

/// As long as the signed attributes of a message.
const MESSAGE: [u8; 400] = [7; 400];

fn ml_dsa(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ml-dsa-65");
    let bare = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap();
    let mut signature = vec![0; 3309];
    group.bench_function("sign/aws-lc", |bencher| bencher.iter(|| bare.sign(&MESSAGE, &mut signature).unwrap()));
    let key = UnparsedPublicKey::new(&ML_DSA_65, bare.public_key().as_ref());
    group.bench_function("verify/aws-lc", |bencher| bencher.iter(|| key.verify(&MESSAGE, &signature).unwrap()));

    let algorithm = KeyAlgorithm::MlDsa(MlDsa::MlDsa65);
    let (seed, public) = generate(algorithm).unwrap();
    let ours = SoftwareKey::post_quantum(algorithm, &PostQuantumSecret::Seed(seed), &public).unwrap();
    group.bench_function("sign/ours", |bencher| bencher.iter(|| ours.sign(Scheme::Pure, &MESSAGE).unwrap()));
    let signature = ours.sign(Scheme::Pure, &MESSAGE).unwrap();
    let key = PublicKey::MlDsa { set: MlDsa::MlDsa65, key: &public };
    group.bench_function("verify/ours", |bencher| {
        bencher.iter(|| verify(key, Scheme::Pure, &MESSAGE, &signature).unwrap());
    });
    group.finish();
}

fn slh_dsa(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("slh-dsa");
    group.sample_size(10);
    for set in [SlhDsa::Sha2_128s, SlhDsa::Sha2_128f, SlhDsa::Sha2_256f, SlhDsa::Shake256f] {
        let algorithm = KeyAlgorithm::SlhDsa(set);
        let (secret, public) = generate(algorithm).unwrap();
        let ours = SoftwareKey::post_quantum(algorithm, &PostQuantumSecret::Expanded(secret), &public).unwrap();
        group.bench_function(BenchmarkId::new("sign", set.name()), |bencher| {
            bencher.iter(|| ours.sign(Scheme::Pure, &MESSAGE).unwrap());
        });
        let signature = ours.sign(Scheme::Pure, &MESSAGE).unwrap();
        let key = PublicKey::SlhDsa { set, key: &public };
        group.bench_function(BenchmarkId::new("verify", set.name()), |bencher| {
            bencher.iter(|| verify(key, Scheme::Pure, &MESSAGE, &signature).unwrap());
        });
    }
    group.finish();
}

fn ml_kem(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ml-kem-768");
    let bare = DecapsulationKey::generate(&ML_KEM_768).unwrap();
    let public = bare.encapsulation_key().unwrap().key_bytes().unwrap();
    let key = EncapsulationKey::new(&ML_KEM_768, public.as_ref()).unwrap();
    group.bench_function("encapsulate/aws-lc", |bencher| bencher.iter(|| black_box(key.encapsulate().unwrap())));
    group.bench_function("encapsulate/ours", |bencher| {
        bencher.iter(|| encapsulate(MlKem::MlKem768, public.as_ref()).unwrap());
    });
    let (ciphertext, _) = key.encapsulate().unwrap();
    group.bench_function("decapsulate/aws-lc", |bencher| {
        bencher.iter(|| black_box(bare.decapsulate(ciphertext.as_ref().into()).unwrap()));
    });
    let algorithm = KeyAlgorithm::MlKem(MlKem::MlKem768);
    let (seed, public) = generate(algorithm).unwrap();
    let ours = SoftwareKey::post_quantum(algorithm, &PostQuantumSecret::Seed(seed), &public).unwrap();
    let (ciphertext, _) = encapsulate(MlKem::MlKem768, &public).unwrap();
    group.bench_function("decapsulate/ours", |bencher| bencher.iter(|| ours.decapsulate(&ciphertext).unwrap()));
    group.finish();
}

/// A message to so many, and as many bare encapsulations.
fn recipients(criterion: &mut Criterion) {
    let new = NewAuthority {
        algorithm: Algorithm::MlDsa(MlDsa::MlDsa44),
        name: "Bench".to_owned(),
        domains: Vec::new(),
        places: Places::default(),
        passphrase: None,
        validity: Duration::from_secs(86_400),
    };
    let mut made = create(&new, &SystemClock, &SystemRandom).unwrap();
    made.record.bind(Binding::Anchor);
    let mut keys = Memory::new();
    hold(&mut keys, &made);
    let authority = Authority::open(&made.record, &keys, &Limits::default()).unwrap();
    let address = |number: usize| Address::parse(&format!("reader{number}@example.org")).unwrap();
    for number in 0..1000 {
        let mut request = Request::new(address(number));
        request.algorithm = Algorithm::MlKem(MlKem::MlKem768);
        let mut made = authority.generate(&request, &SystemClock, &SystemRandom).unwrap();
        made.record.bind(Binding::Address(address(number)));
        keys.add(made.record);
    }
    let octets = b"From: alice@example.org\r\nSubject: harvest\r\n\r\nSafe tomorrow.\r\n".to_vec();
    let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
    let bare = DecapsulationKey::generate(&ML_KEM_768).unwrap().encapsulation_key().unwrap();

    let mut group = criterion.benchmark_group("message to ml-kem-768");
    group.sample_size(10);
    for count in [1, 10, 1000] {
        group.bench_function(BenchmarkId::new("aws-lc", count), |bencher| {
            bencher.iter(|| (0..count).for_each(|_| drop(black_box(bare.encapsulate().unwrap()))));
        });
        let how = Seal { to: (0..count).map(|number| Recipient::Named(address(number))).collect(), ..Seal::default() };
        group.bench_function(BenchmarkId::new("ours", count), |bencher| {
            bencher.iter(|| {
                // As the engine does for each message.
                let keys = Snapshot::new(&keys, Duration::ZERO);
                let context = Context {
                    keys: &keys,
                    clock: &SystemClock,
                    random: &SystemRandom,
                    legacy: Legacy::Refuse,
                    revocation: Revocation::Off,
                };
                Smime.seal(&message, &how, context, &mut std::io::sink()).unwrap()
            });
        });
    }
    group.finish();
}

fn hold(keys: &mut Memory, made: &Described) {
    let secret: Secret = made.secret.clone().unwrap();
    let locked = LockedKey::new(&made.record, secret, Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    keys.add_locked(made.record.secrets().to_vec(), Arc::new(locked));
    keys.add(made.record.clone());
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(30);
    targets = ml_dsa, slh_dsa, ml_kem, recipients
}
criterion_main!(benches);
