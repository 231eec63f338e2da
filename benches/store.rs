//! Look-ups in a home with a million certificates: by address, by key ID, and by an address without a certificate.
//!
//! `cargo bench --bench store`; POSTSEAL_RECORDS sets the number of records. The time to fill it and its size are printed first.
#![allow(missing_docs)]

use std::{env, fs, hint::black_box, sync::Arc, time::Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use postseal::{
    base::Limits,
    crypto::Hash,
    keys::{Handle, Keys, Passphrases, ProtocolName, Query, Record, Want},
    mail::Address,
    protocol::Described,
    store::Keystore,
};

fn lookup(criterion: &mut Criterion) {
    let count = env::var("POSTSEAL_RECORDS").map_or(1_000_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("home");
    let home = Keystore::open_home(&place, Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    let start = Instant::now();
    for first in (0..count).step_by(10_000) {
        let batch: Vec<Described> = (first..count.min(first + 10_000)).map(described).collect();
        home.add(&batch).unwrap();
    }
    let size: u64 = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    println!("{count} records: filled in {:.0} s, {} MB", start.elapsed().as_secs_f64(), size / 1_000_000);

    // Another one each time, so that nothing is found because it was just read.
    let mut number = 0;
    let mut next = || {
        number = (number + 7_919) % count;
        number
    };
    let find = |want: Want<'_>| home.find(ProtocolName::Pgp, &Query::manage(black_box(want))).unwrap().len();
    criterion.bench_function("address", |bencher| {
        bencher.iter(|| assert_eq!(find(Want::Address(&address(next()))), 1));
    });
    criterion.bench_function("key-id", |bencher| {
        bencher
            .iter(|| assert_eq!(find(Want::Handle(&Handle::parse(&fingerprint(next()).as_str()[24..]).unwrap())), 1));
    });
    criterion.bench_function("absent", |bencher| {
        bencher.iter(|| assert_eq!(find(Want::Address(&address(count + next()))), 0));
    });
}

/// As large as a certificate with one Ed25519 and one X25519 key, and found by both.
fn described(number: usize) -> Described {
    let subkey = Handle::from_octets(&Hash::Sha1.digest(format!("{number} too").as_bytes()));
    let record = Record::new(ProtocolName::Pgp, fingerprint(number), vec![0; 600], [])
        .with_handles([subkey])
        .with_claimed([address(number)]);
    Described { record, secret: None, proven: Vec::new() }
}

fn fingerprint(number: usize) -> Handle {
    Handle::from_octets(&Hash::Sha1.digest(number.to_string().as_bytes()))
}

fn address(number: usize) -> Address {
    Address::parse(&format!("user{number}@host{}.example.org", number % 1_000)).unwrap()
}

criterion_group!(benches, lookup);
criterion_main!(benches);
