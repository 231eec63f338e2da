//! Own [`SecretKey`], [`Clock`] and [`Random`]: the key is in another thread, as it would be in a token or in another process, and the program only
//! sends digests there. The time is fixed, and random octets are counted.
//!
//! `cargo run --example token --no-default-features --features pgp`

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Sender},
    },
    thread,
    time::SystemTime,
};

use postseal::{
    base::{self, Clock, Kind, Limits, Random, Secret, SystemRandom, parse_rfc3339},
    crypto::{KeyAlgorithm, Legacy, Scheme, SecretKey, Unwrap},
    engine::Engine,
    keys::{Handle, Keys, Memory, ProtocolName, Query, Record},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{
        Context, Seal, Signer,
        pgp::generate::{Request, generate},
    },
    store,
    verdict::Standing,
};

/// What is sent to the token: how to sign, the digest, and where the answer goes.
type Order = (Scheme, Vec<u8>, Sender<base::Result<Vec<u8>>>);

/// The key as the program sees it.
#[derive(Debug)]
struct Token {
    algorithm: KeyAlgorithm,
    orders: Sender<Order>,
}

impl Token {
    /// Plugs in a token that holds `key`.
    fn holding(key: Arc<dyn SecretKey>) -> Token {
        let (orders, received) = mpsc::channel::<Order>();
        let algorithm = key.algorithm();
        thread::spawn(move || {
            for (scheme, digest, answer) in received {
                println!("token: signs {} octets with {}", digest.len(), algorithm.name());
                let _ = answer.send(key.sign(scheme, &digest));
            }
        });
        Token { algorithm, orders }
    }
}

impl SecretKey for Token {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }
    fn sign(&self, scheme: Scheme, digest: &[u8]) -> base::Result<Vec<u8>> {
        let gone = |_| base::Error::new(Kind::Unavailable, "token: it was removed");
        let (answer, answered) = mpsc::channel();
        self.orders.send((scheme, digest.to_vec(), answer)).map_err(|error| gone(error.to_string()))?;
        answered.recv().map_err(|error| gone(error.to_string()))?
    }
    fn decrypt(&self, _: Unwrap<'_>, _: &[u8]) -> base::Result<Secret> {
        Err(self.algorithm.refuses("decrypt: this token only signs"))
    }
    fn agree(&self, _: &[u8]) -> base::Result<Secret> {
        Err(self.algorithm.refuses("agree on a secret: this token only signs"))
    }
}

/// Certificates in memory, and the token for every secret key that their records name ([`Record::secrets`]).
struct WithToken {
    certificates: Memory,
    token: Arc<Token>,
}

impl Keys for WithToken {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> base::Result<Vec<Arc<Record>>> {
        self.certificates.find(protocol, query)
    }
    fn secret(&self, _: &Record, _: &Handle) -> base::Result<Option<Arc<dyn SecretKey>>> {
        Ok(Some(Arc::clone(&self.token) as Arc<dyn SecretKey>))
    }
}

/// A clock that stands still, so that signatures have a known time.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        parse_rfc3339("2026-11-23T12:00:00Z").unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// The system's random octets, counted.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Random for Counted {
    fn fill(&self, octets: &mut [u8]) -> base::Result<()> {
        self.0.fetch_add(octets.len(), Ordering::SeqCst);
        SystemRandom.fill(octets)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let key = generate(&Request::new(Address::parse("alice@example.org")?), &Noon)?.described;
    let file = key.secret.as_ref().map(|secret| secret.expose()).unwrap_or_default();
    let certificates = store::load(&[("alice.key", file)], &Arc::default(), &Limits::default())?.keys;
    let inside = certificates.secret(&key.record, key.record.fingerprint())?.ok_or("no secret key in the file")?;
    let keys = WithToken { certificates, token: Arc::new(Token::holding(inside)) };

    let random = Counted::default();
    let context =
        Context { keys: &keys, clock: &Noon, random: &random, legacy: Legacy::Refuse, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    let message = Message::parse(b"From: alice@example.org\r\n\r\nHello.\r\n".to_vec(), &mut engine.budget())?;
    let mut signed = Vec::new();
    let how = Seal { sign: vec![Signer::Author], ..Seal::default() };
    engine.seal(ProtocolName::Pgp, &message, &how.with_usual_headers(ProtocolName::Pgp), &mut signed)?;

    let opening = engine.open(Message::parse(signed, &mut engine.budget())?)?;
    assert_eq!(opening.verdict().standing(), Standing::Authentic);
    println!("{} at noon, with {} random octets", opening.verdict().standing().name(), random.0.load(Ordering::SeqCst));
    Ok(())
}
