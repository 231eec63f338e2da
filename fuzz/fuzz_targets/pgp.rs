//! OpenPGP messages put together of packets: some of a real signed and of a real encrypted message whose keys are here, some made up. Nothing
//! panics, and nothing is authentic but the text that was signed.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, FixedClock, Limits, Secret, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::Engine,
    keys::{Memory, Passphrases},
    mail::{
        Message,
        encoding::{base64_decode, base64_encode},
    },
    pki::Revocation,
    protocol::Context,
    store,
    verdict::Standing,
};

/// Alice signed it in `trailing-plaintext.eml`.
const SIGNED: &[u8] = b"Lunch is at noon.";
const MESSAGES: [&str; 4] = [
    include_str!("../../testdata/attack/trailing-plaintext.eml"),
    include_str!("../../testdata/attack/efail-intact.eml"),
    include_str!("../../testdata/pgp/ocb.eml"),
    // By ML-DSA-65 with Ed25519, to ML-KEM-768 with X25519.
    include_str!("../../testdata/pgp/post-quantum.eml"),
];

static KEYS: LazyLock<Memory> = LazyLock::new(|| {
    let files: [(&str, &[u8]); 3] = [
        ("alice", include_bytes!("../../testdata/attack/keys/alice.asc")),
        ("bob", include_bytes!("../../testdata/attack/keys/bob.secret.asc")),
        ("post-quantum", include_bytes!("../../testdata/pgp/post-quantum.secret.asc")),
    ];
    let mut keys = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys;
    keys.add_password(Secret::from("password"));
    keys
});

/// The bodies of real packets, each with its tag.
static POOL: LazyLock<Vec<(u8, Vec<u8>)>> =
    LazyLock::new(|| MESSAGES.iter().flat_map(|message| packets(&dearmored(message))).collect());

fuzz_target!(|octets: &[u8]| {
    let base64 = String::from_utf8(base64_encode(&message(octets))).unwrap();
    let mail = format!(
        "From: Alice <alice@example.org>\r\nContent-Type: text/plain\r\n\r\n\
         -----BEGIN PGP MESSAGE-----\r\n\r\n{base64}\r\n-----END PGP MESSAGE-----\r\n"
    );
    let limits = Limits { argon2_memory: 1 << 16, ..Limits::default() };
    let clock = FixedClock(parse_rfc3339("2026-11-23T12:00:00Z").unwrap());
    let context = Context {
        keys: &*KEYS,
        clock: &clock,
        random: &SystemRandom,
        legacy: Legacy::Admit,
        revocation: Revocation::Off,
    };
    let Ok(message) = Message::parse(mail.into_bytes(), &mut Budget::new(limits.clone())) else { return };
    let Ok(opening) = Engine::new(context, limits).open(message) else { return };
    if opening.verdict().standing() == Standing::Authentic {
        let payload = opening.payload().expect("what is authentic can be shown");
        assert_eq!(payload.root().body().trim_ascii(), SIGNED);
    }
});

/// Packets by a program of instructions, one octet each: a real packet, a real packet with one octet changed or cut short, or a made up one.
fn message(mut program: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    while let [instruction, rest @ ..] = program {
        program = rest;
        let (tag, mut body) = POOL[usize::from(*instruction & 0x1f) % POOL.len()].clone();
        match instruction >> 5 {
            0..=3 => {}
            4 | 5 => {
                let [high, low, mask, rest @ ..] = program else { break };
                let at = usize::from(u16::from_be_bytes([*high, *low])) % body.len().max(1);
                body.get_mut(at).into_iter().for_each(|octet| *octet ^= mask);
                program = rest;
            }
            6 => {
                let [length, rest @ ..] = program else { break };
                body.truncate(body.len() * usize::from(*length) / 255);
                program = rest;
            }
            _ => {
                let [tag, length, rest @ ..] = program else { break };
                let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
                packet(&mut octets, tag & 0x3f, body);
                program = rest;
                continue;
            }
        }
        packet(&mut octets, tag, &body);
    }
    octets
}

fn packet(octets: &mut Vec<u8>, tag: u8, body: &[u8]) {
    octets.extend([0xc0 | tag, 255]);
    octets.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    octets.extend(body);
}

fn dearmored(message: &str) -> Vec<u8> {
    let block = message.split("-----BEGIN PGP MESSAGE-----").nth(1).unwrap().split("-----END").next().unwrap();
    let block = block.replace('\r', "");
    let lines = block.split_once("\n\n").unwrap().1.lines().filter(|line| !line.starts_with('='));
    base64_decode(lines.collect::<String>().as_bytes())
}

/// Packets with either form of header (RFC 9580, section 4.2).
fn packets(mut octets: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    let number = |octets: &[u8]| octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    while let [first, rest @ ..] = octets {
        let (tag, length, rest) = match (first & 0x40, rest) {
            (0, rest) => {
                let (length, rest) = rest.split_at(1 << (first & 3));
                (first >> 2 & 15, number(length), rest)
            }
            (_, [length @ 0..192, rest @ ..]) => (first & 63, usize::from(*length), rest),
            (_, [high @ 192..224, low, rest @ ..]) => {
                (first & 63, (usize::from(*high) - 192) * 256 + usize::from(*low) + 192, rest)
            }
            // A partial body of the seeds is followed by the rest of one: what is put together of it is a packet too.
            (_, [high @ 224..=254, rest @ ..]) => (first & 63, 1 << (high & 31), rest),
            (_, [_, rest @ ..]) => (first & 63, number(&rest[..4]), &rest[4..]),
            (_, []) => break,
        };
        let (body, rest) = rest.split_at(length.min(rest.len()));
        found.push((tag, body.to_vec()));
        octets = rest;
    }
    found
}
