//! A post of 50 KB to a list of 10,000 members: copies per second, beside the bare public-key operation of each.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use aws_lc_rs::{
    agreement::{self, EphemeralPrivateKey, UnparsedPublicKey, X25519},
    rand,
    rsa::{KeySize, Pkcs1PublicEncryptingKey, PrivateDecryptingKey},
};
use postseal::{
    base::{Limits, SystemClock, SystemRandom},
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::{Memory, Passphrases, ProtocolName},
    mail::Address,
    policy::{
        FixedMembers, FromField, Gets, List, Lists, Member, Members, Order, Otherwise, Posters, ReplyTo, Rule,
        Subscription, WithoutKey,
    },
    protocol::{pgp, smime},
    store,
};

const LIST: &str = "dev@example.org";

/// Members with keys of their own; each is in the list several times, so that not so many keys have to be generated.
const OWNERS: usize = 100;
const MEMBERS: usize = 10_000;
/// Copies that are made at once.
const BATCHES: [usize; 2] = [10, 100];

pub(super) fn run() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let rng = rand::SystemRandom::new();
    let rsa = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap().public_key();
    let rsa = Pkcs1PublicEncryptingKey::new(rsa).unwrap();
    let bare_rsa = || {
        let mut wrapped = vec![0; rsa.ciphertext_size()];
        rsa.encrypt(black_box(&[7; 32]), &mut wrapped).unwrap();
    };
    let peer = EphemeralPrivateKey::generate(&X25519, &rng).unwrap().compute_public_key().unwrap();
    let bare_x25519 = || {
        let own = EphemeralPrivateKey::generate(&X25519, &rng).unwrap();
        black_box(own.compute_public_key().unwrap());
        let peer = UnparsedPublicKey::new(&X25519, peer.as_ref());
        agreement::agree_ephemeral(own, peer, (), |shared| {
            black_box(shared);
            Ok(())
        })
        .unwrap();
    };
    println!(
        "{:<20} {:>8} {:>6} {:>12} {:>12} {:>8} {:>10}",
        "list", "threads", "batch", "bare ops/s", "copies/s", "", "memory"
    );
    for (name, protocol, bare) in [
        ("smime rsa2048", ProtocolName::Smime, &bare_rsa as &(dyn Fn() + Sync)),
        ("pgp x25519", ProtocolName::Pgp, &bare_x25519),
    ] {
        let handler = handler(protocol);
        let outcome =
            handler.handle(super::mail_to(super::message(50 * 1024), vec![Address::parse(LIST).unwrap()])).unwrap();
        let [posting] = outcome.postings.as_slice() else { panic!("{:?}", outcome.decision) };
        assert_eq!(posting.mails(), MEMBERS);
        for threads in [1, cores] {
            let bare = super::rate(threads, bare);
            for batch in BATCHES {
                let next = AtomicUsize::new(0);
                let began = Instant::now();
                thread::scope(|scope| {
                    for _ in 0..threads {
                        scope.spawn(|| {
                            loop {
                                let start = next.fetch_add(batch, Ordering::Relaxed);
                                if start >= MEMBERS {
                                    break;
                                }
                                black_box(handler.copies(posting, start..start + batch).unwrap());
                            }
                        });
                    }
                });
                let rate = MEMBERS as f64 / began.elapsed().as_secs_f64();
                let share = 100.0 * rate / bare;
                println!(
                    "{name:<20} {threads:>8} {batch:>6} {bare:>12.0} {rate:>12.0} {share:>7.1}% {:>6} MiB",
                    memory()
                );
            }
        }
    }
}

/// The most memory so far.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap_or_default() / 1024
}

fn handler(protocol: ProtocolName) -> ReloadableHandler {
    let address = |text: &str| Address::parse(text).unwrap();
    let owner = |number: usize| format!("member{number}@example.net");
    let members = (0..MEMBERS).map(|number| Member {
        address: address(&owner(number % OWNERS)),
        gets: None,
        protocols: Vec::new(),
    });
    let list = List {
        address: address(LIST),
        owners: vec![address("root@example.org")],
        description: None,
        members: Members(Arc::new(FixedMembers(members.collect()))),
        post: Posters::Anybody,
        otherwise: Otherwise::Reject,
        moderators: Vec::new(),
        requires: Default::default(),
        gets: Gets::Encrypt,
        without_key: WithoutKey::Skip,
        rule: Rule { name: "list".to_owned(), protocols: vec![protocol], ..Rule::default() },
        from: FromField::Keep,
        reply_to: ReplyTo::Author,
        subscription: Subscription::Closed,
        unsubscribe: None,
    };
    let mut lists = Lists::default();
    lists.insert(list);
    let clear = Rule { name: "clear".to_owned(), orders: [Order::Clear].into(), ..Rule::default() };
    let keys = keys(protocol, std::iter::once(LIST.to_owned()).chain((0..OWNERS).map(owner)));
    let mut config: HandlerConfig = super::setup(Arc::new(keys), vec![clear]);
    config.policy.lists = lists;
    ReloadableHandler::new(config)
}

fn keys(protocol: ProtocolName, names: impl Iterator<Item = String>) -> Memory {
    let mut files: Vec<Vec<u8>> = Vec::new();
    for name in names {
        let address = Address::parse(&name).unwrap();
        if protocol == ProtocolName::Pgp {
            let generated = pgp::generate::generate(&pgp::generate::Request::new(address), &SystemClock).unwrap();
            files.push(generated.described.secret.unwrap().expose().to_vec());
        } else {
            let mut request = smime::generate::Request::new(address);
            request.algorithm = smime::generate::Algorithm::Rsa2048;
            let described = smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap();
            files.push(described.record.bytes().to_vec());
            files.push(described.secret.unwrap().expose().to_vec());
        }
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|file| ("generated", file.as_slice())).collect();
    store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys
}
