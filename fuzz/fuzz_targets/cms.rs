//! Any octets as application/pkcs7-mime, with a password at hand: an answer within the Budget, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, FixedClock, Limits, Secret, SystemRandom},
    crypto::Legacy,
    keys::Memory,
    mail::Message,
    pki::Revocation,
    protocol::{Context, Protocol, smime::Smime},
};

fuzz_target!(|octets: &[u8]| {
    let mail = [b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n", octets].concat();
    let mut budget = Budget::new(Limits { kdf_iterations: 10_000, ..Limits::default() });
    let Ok(message) = Message::parse(mail, &mut budget) else { return };
    let Some(claim) = Smime.claim(message.root()) else { return };
    let mut keys = Memory::new();
    keys.add_password(Secret::from("000102030405060708090a0b0c0d0e0f"));
    let clock = FixedClock(std::time::SystemTime::UNIX_EPOCH);
    let context = Context {
        keys: &keys,
        clock: &clock,
        random: &SystemRandom,
        legacy: Legacy::Admit,
        revocation: Revocation::Off,
    };
    if let Ok(opened) = Smime.open(message, &claim, context, &mut budget) {
        assert!(!opened.layers.is_empty() || opened.payload.octets().starts_with(b"Content-Type: multipart/mixed"));
    }
});
