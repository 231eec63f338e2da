//! Real objects with ML-KEM, ML-DSA and SLH-DSA (`testdata/post_quantum`), changed: messages whose keys are here, certificates, and a private key. Nothing
//! panics, no changed text is authentic or comes out of an authenticated envelope, and no changed certificate has a path.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, FixedClock, Limits, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::Engine,
    keys::{Binding, Keys, Memory, Passphrases, ProtocolName, Query, Want},
    mail::Message,
    pki::{Certificate, Policies, Purpose, Question, Revocation, validate},
    protocol::Context,
    store,
    verdict::Standing,
};

macro_rules! known {
    ($name:literal) => {
        include_bytes!(concat!("../../testdata/post_quantum/", $name)).as_slice()
    };
}

const TEXT: &[u8] = known!("text.txt");
const ROOT: &[u8] = known!("root.der");
const MESSAGES: [&[u8]; 4] =
    [known!("signed-ml-dsa.p7m"), known!("signed-slh-dsa.p7m"), known!("auth-enveloped.p7m"), known!("enveloped.p7m")];
/// The one of them whose text its reader cannot take for whole.
const UNAUTHENTICATED: usize = 3;
const CERTIFICATES: [&[u8]; 3] = [known!("ml-dsa-65.der"), known!("ml-kem-768.der"), known!("slh-dsa-shake-128f.der")];
const SECRETS: [&[u8]; 2] = [known!("ml-dsa-65.key.der"), known!("ml-kem-768.key.der")];

static KEYS: LazyLock<Memory> = LazyLock::new(|| {
    let files: [(&str, &[u8]); 5] = [
        ("root", ROOT),
        ("signer", CERTIFICATES[0]),
        ("reader", CERTIFICATES[1]),
        ("signer's key", SECRETS[0]),
        ("reader's key", SECRETS[1]),
    ];
    let mut keys = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()).unwrap().keys;
    let all = keys.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap();
    let root = all.iter().find(|record| **record.bytes() == *ROOT).unwrap();
    keys.bind(root.fingerprint(), &Binding::Anchor);
    keys
});

fuzz_target!(|octets: &[u8]| {
    let [which, program @ ..] = octets else { return };
    let which = usize::from(*which);
    match which % 3 {
        0 => message(which / 3 % MESSAGES.len(), program),
        1 => certificate(which / 3 % CERTIFICATES.len(), program),
        _ => secret(which / 3 % SECRETS.len(), program),
    }
});

fn message(which: usize, program: &[u8]) {
    let object = changed(MESSAGES[which], program);
    let mail = [
        b"From: ml-dsa-65@example.org\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        &object[..],
    ];
    let clock = FixedClock(parse_rfc3339("2026-12-24T12:00:00Z").unwrap());
    let context = Context {
        keys: &*KEYS,
        clock: &clock,
        random: &SystemRandom,
        legacy: Legacy::Refuse,
        revocation: Revocation::Off,
    };
    let Ok(message) = Message::parse(mail.concat(), &mut Budget::new(Limits::default())) else { return };
    let Ok(opening) = Engine::new(context, Limits::default()).open(message) else { return };
    let is_authentic = opening.verdict().standing() == Standing::Authentic;
    assert!(which == 0 || !is_authentic);
    let is_sealed = which == 2 && !opening.verdict().layers().is_empty();
    if let Some(payload) = opening.payload().filter(|_| is_authentic || is_sealed && which != UNAUTHENTICATED) {
        // One layer was removed, or none was.
        assert!(payload.octets() == TEXT || payload.octets().ends_with(&object));
    }
}

fn certificate(which: usize, program: &[u8]) {
    let octets = changed(CERTIFICATES[which], program);
    let Ok(certificate) = Certificate::parse(&octets) else { return };
    let _ = (certificate.mailboxes(), certificate.is_self_signed(), certificate.public_key().encapsulation().map(|_| ()));
    let anchors = [Certificate::parse(ROOT).unwrap()];
    let question = Question {
        at: parse_rfc3339("2026-12-24T12:00:00Z").unwrap(),
        anchors: &anchors,
        intermediates: &[],
        revocations: &[],
        enclosed: &[],
        revocation: Revocation::Off,
        policies: Policies::default(),
        purpose: Purpose::Email,
        legacy: Legacy::Refuse,
    };
    if let Ok(Ok(path)) = validate(&certificate, &question, &mut Budget::new(Limits::default())) {
        let original = Certificate::parse(CERTIFICATES[which]).unwrap();
        assert_eq!((path.mailboxes(), path.public_key()), (&original.mailboxes()[..], original.public_key()));
    }
}

fn secret(which: usize, program: &[u8]) {
    let files = [("key", &changed(SECRETS[which], program)[..]), ("certificate", CERTIFICATES[which])];
    let Ok(loaded) = store::load(&files, &Arc::new(Passphrases::default()), &Limits::default()) else { return };
    for record in loaded.keys.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap() {
        for handle in record.secrets() {
            let _ = loaded.keys.secret(&record, handle);
        }
    }
}

/// The object after a program of changes, four octets each: where, what, with which octet.
fn changed(object: &[u8], program: &[u8]) -> Vec<u8> {
    let mut object = object.to_vec();
    for change in program.chunks_exact(4) {
        let [high, low, kind, octet] = *change else { break };
        // The head of an object, where its structure is, is more often changed than its long numbers.
        let at = usize::from(u16::from_be_bytes([high, low]));
        let at = if kind & 8 == 0 { at % object.len().max(1) } else { at % object.len().clamp(1, 256) };
        match kind % 8 {
            0..=3 => object.get_mut(at).into_iter().for_each(|place| *place ^= octet),
            4 => object.truncate(at),
            5 => object.insert(at.min(object.len()), octet),
            6 if at < object.len() => drop(object.remove(at)),
            _ => object.push(octet),
        }
    }
    object
}
