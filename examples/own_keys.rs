//! The extension points, implemented outside the library: a `Keys` of your own, a `SecretKey` that counts its signatures,
//! and a `Clock` with a fixed time.
//!
//! `cargo run --example own_keys`

use std::{error::Error, io::Write, sync::Arc, sync::atomic::*, time::SystemTime};

use postseal::base::{Clock, Limits, Result, Secret, SystemRandom, parse_rfc3339};
use postseal::crypto::{KeyAlgorithm, Legacy, Scheme, SecretKey, Unwrap};
use postseal::keys::{Handle, Keys, Memory, Passphrases, ProtocolName, Query, Record};
use postseal::pki::Revocation;
use postseal::protocol::{Context, Seal, Signer, pgp::generate};
use postseal::{engine::Engine, mail::Address, mail::Message, store};

#[derive(Debug)]
struct Counted(Arc<dyn SecretKey>, Arc<AtomicUsize>);

impl SecretKey for Counted {
    fn algorithm(&self) -> KeyAlgorithm {
        self.0.algorithm()
    }
    fn sign(&self, scheme: Scheme, digest: &[u8]) -> Result<Vec<u8>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sign(scheme, digest)
    }
    fn decrypt(&self, unwrap: Unwrap<'_>, wrapped: &[u8]) -> Result<Secret> {
        self.0.decrypt(unwrap, wrapped)
    }
    fn agree(&self, peer: &[u8]) -> Result<Secret> {
        self.0.agree(peer)
    }
}

struct Own(Memory, Arc<AtomicUsize>);

impl Keys for Own {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        self.0.find(protocol, query)
    }
    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        let counted = |secret| Arc::new(Counted(secret, Arc::clone(&self.1))) as Arc<dyn SecretKey>;
        Ok(self.0.secret(record, key)?.map(counted))
    }
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        parse_rfc3339("2026-11-23T12:00:00Z").unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let address = Address::parse("alice@example.org")?;
    let file = generate::generate(&generate::Request::new(address), &Noon)?.described;
    let file = file.secret.map(|secret| secret.expose().to_vec()).unwrap_or_default();
    let loaded = store::load(&[("generated", &file)], &Arc::new(Passphrases::default()), &Limits::default())?;
    let keys = Own(loaded.keys, Arc::default());
    let context = Context {
        keys: &keys,
        clock: &Noon,
        random: &SystemRandom,
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
    };
    let engine = Engine::new(context, Limits::default());
    let message = Message::parse(b"From: alice@example.org\r\n\r\nHello.\r\n".to_vec(), &mut engine.budget())?;
    let how = Seal { sign: vec![Signer::Author], ..Seal::default() };
    engine.seal(ProtocolName::Pgp, &message, &how, &mut std::io::sink())?;
    writeln!(std::io::stdout(), "the key was asked to sign {} time", keys.1.load(Ordering::SeqCst))?;
    Ok(())
}
