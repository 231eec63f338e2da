//! One mail to many recipients by a home with many certificates: how often the keys are asked, and how long it takes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use postseal::{
    base::{Clock as _, Limits, Result, Secret, SystemClock, SystemRandom},
    crypto::{Hash, SecretKey},
    engine::{Handler, ReloadableHandler},
    keys::{Binding, Handle, Keys, Passphrases, ProtocolName, Query, Record},
    mail::{Address, Mail},
    policy::{Condition, Order, Pattern, Rule},
    protocol::{Described, pgp, smime},
    store::{Intake, Keystore, Origin},
};

/// 50 recipients with S/MIME and 50 with OpenPGP, among 100,000 certificates and 20 trust anchors.
pub(super) fn run() {
    let folder = tempfile::tempdir().unwrap();
    let home =
        Keystore::open_home(&folder.path().join("home"), Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    let began = Instant::now();
    fill(&home);
    println!("{CERTIFICATES} certificates: filled in {:.0} s", began.elapsed().as_secs_f64());
    let rules = [ProtocolName::Smime, ProtocolName::Pgp].map(|protocol| Rule {
        name: protocol.name().to_owned(),
        conditions: vec![Condition::Recipient(vec![Pattern::parse(domain(protocol)).unwrap()])],
        orders: [Order::Sign, Order::Encrypt].into(),
        protocols: vec![protocol],
        ..Rule::default()
    });
    let keys = Arc::new(Counting { keys: home, finds: AtomicUsize::new(0), others: AtomicUsize::new(0) });
    let hook = ReloadableHandler::new(super::setup(Arc::clone(&keys) as Arc<dyn Keys>, rules.to_vec()));
    let mails = |octets: &[u8]| {
        let outcome = hook.handle(mail(octets)).unwrap();
        assert_eq!(outcome.mails.len(), 2, "{:?}", outcome.decision);
    };
    let octets = message();
    // The first mail reads the certificates of its recipients from the disk.
    let cold = Instant::now();
    mails(&octets);
    let cold = cold.elapsed();
    let (finds, others) = (keys.finds.load(Ordering::Relaxed), keys.others.load(Ordering::Relaxed));
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            mails(&octets);
            began.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "100 recipients: {finds} look-ups, {others} questions for anchors and revocations; \
         the first mail {:.1} ms, then {:.1} ms (median of {ROUNDS})",
        cold.as_secs_f64() * 1e3,
        times[times.len() / 2].as_secs_f64() * 1e3,
    );
}

/// Counts what is asked.
struct Counting {
    keys: Keystore,
    finds: AtomicUsize,
    others: AtomicUsize,
}

impl Keys for Counting {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        self.keys.find(protocol, query)
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.keys.secret(record, key)
    }

    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        self.others.fetch_add(1, Ordering::Relaxed);
        self.keys.anchors()
    }

    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        self.others.fetch_add(1, Ordering::Relaxed);
        self.keys.revocations()
    }

    fn passwords(&self) -> Result<Vec<Secret>> {
        self.keys.passwords()
    }
}

fn fill(home: &Keystore) {
    for first in (0..CERTIFICATES).step_by(10_000) {
        home.add(&(first..first + 10_000).map(stranger).collect::<Vec<_>>()).unwrap();
    }
    let protocols = [ProtocolName::Smime, ProtocolName::Pgp];
    let mut certificates = Vec::new();
    let mut beliefs = Vec::new();
    let mut add = |described: Described, binding| {
        beliefs.push((described.record.fingerprint().clone(), binding, Origin::Trusted));
        certificates.push(described);
    };
    for protocol in protocols {
        let alice = super::address("alice@example.org");
        add(generated(protocol, &alice), Binding::Address(alice));
        for recipient in recipients(protocol) {
            let mut described = generated(protocol, &recipient);
            described.secret = None;
            described.record = described.record.without_secrets();
            add(described, Binding::Address(recipient));
        }
    }
    for number in 0..ANCHORS {
        let mut anchor = generated(ProtocolName::Smime, &super::address(&format!("ca{number}@authority.example")));
        anchor.secret = None;
        anchor.record = anchor.record.without_secrets();
        add(anchor, Binding::Anchor);
    }
    let intake = Intake { certificates: &certificates, beliefs: &beliefs, ..Intake::default() };
    home.take_in(&intake, home, SystemClock.now()).unwrap();
}

fn generated(protocol: ProtocolName, address: &Address) -> Described {
    match protocol {
        ProtocolName::Pgp => {
            let request = pgp::generate::Request::new(address.clone());
            pgp::generate::generate(&request, &SystemClock).unwrap().described
        }
        ProtocolName::Smime | ProtocolName::Pem => {
            let mut request = smime::generate::Request::new(address.clone());
            request.algorithm = smime::generate::Algorithm::P256;
            smime::generate::generate(&request, &SystemClock, &SystemRandom).unwrap()
        }
    }
}

/// A certificate that is in the way, as large as one with two keys.
fn stranger(number: usize) -> Described {
    let protocol = if number.is_multiple_of(2) { ProtocolName::Pgp } else { ProtocolName::Smime };
    let handle = |text: String| Handle::from_octets(&Hash::Sha1.digest(text.as_bytes()));
    let record = Record::new(protocol, handle(number.to_string()), vec![0; 600], [])
        .with_handles([handle(format!("{number} too"))])
        .with_claimed([super::address(&format!("user{number}@host{}.example.org", number % 1_000))]);
    Described { record, secret: None, proven: Vec::new() }
}

fn domain(protocol: ProtocolName) -> &'static str {
    match protocol {
        ProtocolName::Pgp => "pgp.example",
        ProtocolName::Smime | ProtocolName::Pem => "smime.example",
    }
}

fn recipients(protocol: ProtocolName) -> impl Iterator<Item = Address> {
    (0..50).map(move |number| super::address(&format!("user{number}@{}", domain(protocol))))
}

fn everyone() -> Vec<Address> {
    [ProtocolName::Smime, ProtocolName::Pgp].into_iter().flat_map(recipients).collect()
}

fn message() -> Vec<u8> {
    let to: Vec<String> = everyone().iter().map(Address::to_string).collect();
    let text = String::from_utf8(super::message(4 * 1024)).unwrap();
    text.replace("To: Bob <bob@example.net>", &format!("To: {}", to.join(",\r\n "))).into_bytes()
}

fn mail(octets: &[u8]) -> Mail {
    super::mail_to(octets.to_vec(), everyone())
}

const CERTIFICATES: usize = 100_000;
const ANCHORS: usize = 20;
const ROUNDS: usize = 21;
