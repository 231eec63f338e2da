//! What does not open takes as long, whatever is wrong with it: the ciphertext of ML-KEM, the wrapped key, the text or its tag, or all of it, because it is
//! for another key. `cargo test --release --test attacks equal_time -- --ignored --nocapture --test-threads=1` prints the figures.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use postseal::{
    base::{Budget, Limits, SystemClock, SystemRandom},
    crypto::{Legacy, MlDsa, MlKem},
    keys::{Binding, Keys as _, Memory, Passphrases},
    mail::{
        Address, Message,
        encoding::{base64_decode, base64_encode},
    },
    pki::Revocation,
    protocol::{
        Context, Described, Protocol as _, Recipient, Seal,
        pgp::generate::Algorithm,
        smime::{
            Smime,
            authority::{Authority, NewAuthority, Places, create},
            generate::{Algorithm as Certified, Request},
            keyfile::LockedKey,
        },
    },
};

use super::{ADDRESS, Captured, flipped, keyring, opened};

/// Rounds. Source: at this many the median of a difference is within some percent on a machine that does other work too.
const ROUNDS: usize = 150;

/// Opens each of `messages` in turn, and the control: one whose answer may come sooner, because nothing secret is asked for it. Its time shows that an early exit is seen.
fn compare(protocol: &str, messages: &[(&str, String)], control: &str, keys: &Memory) {
    let first = opened(&messages[0].1, keys).expect_err("it does not open");
    for (what, message) in messages {
        assert_eq!(opened(message, keys).expect_err("it does not open"), first, "{what}");
    }
    let timed = |message: &str| {
        let begun = Instant::now();
        let _ = black_box(opened(black_box(message), keys));
        begun.elapsed()
    };
    let mut times: Vec<Vec<Duration>> = vec![Vec::with_capacity(ROUNDS); messages.len() + 1];
    for round in 0..ROUNDS {
        // Each of them first once in a while: what comes before has an effect on caches.
        for step in 0..times.len() {
            let place = (round + step) % times.len();
            times[place].push(timed(messages.get(place).map_or(control, |(_, message)| message)));
        }
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let usual = median(times[0].iter().copied().map(micros).collect());
    let difference = |place: usize| {
        median(times[place].iter().zip(&times[0]).map(|(one, other)| micros(*one) - micros(*other)).collect())
    };
    let early = difference(messages.len());
    println!(
        "{protocol}: {usual:.0} us; an early exit {early:+.1} us; t = {:.1}",
        welch(&times[messages.len()], &times[0])
    );
    assert!(
        early < -usual * 0.02,
        "{protocol}: an answer that comes too soon would not be seen: {early:+.1} of {usual:.0} us"
    );
    for (place, (what, _)) in messages.iter().enumerate().skip(1) {
        let difference = difference(place);
        println!("{protocol}: {what}: {difference:+.1} us; t = {:.1}", welch(&times[place], &times[0]));
        assert!(difference.abs() < -early / 2.0, "{protocol}: {what}: {difference:+.1} us of {usual:.0} us");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Welch's t of the times without their slowest tenth, as dudect has it (Reparaz, Balasch, Verbauwhede 2017): beyond 4.5 they differ.
fn welch(one: &[Duration], other: &[Duration]) -> f64 {
    let moments = |times: &[Duration]| {
        let mut times: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
        #[allow(clippy::cast_precision_loss, reason = "some hundreds")]
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        (mean, times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0) / count)
    };
    let ((one, first), (other, second)) = (moments(one), moments(other));
    (one - other) / (first + second).sqrt()
}

/// Long enough for a decryption that is left out to be seen.
fn text() -> String {
    let body = "The launch code is not in this line, and not in the next one.\r\n".repeat(1_000);
    format!("From: {ADDRESS}\r\nTo: {ADDRESS}\r\nSubject: x\r\n\r\n{body}")
}

#[test]
#[ignore = "measures time, which other work on the machine disturbs: run it alone"]
fn openpgp() {
    let (keys, others) = (keyring(Algorithm::Curve25519), keyring(Algorithm::Curve25519));
    let (message, other) = (Captured::of_text(&text(), &keys), Captured::of_text(&text(), &others));
    let start = message.fields();
    let for_another = [&message.session[..start], &other.session[other.fields()..]].concat();
    let for_another = Captured { session: for_another, container: other.container.clone() };
    let messages = [
        ("a wrong ciphertext", message.with_session(start + 32 + 500).mail()),
        ("a wrong share of the curve", message.with_session(start + 5).mail()),
        ("a wrong wrapped key", message.with_session(message.session.len() - 3).mail()),
        ("the first chunk changed", message.with_container(50).mail()),
        ("a chunk in the middle changed", message.with_container(message.container.len() / 2).mail()),
        ("a broken tag at the end", message.with_container(message.container.len() - 3).mail()),
        ("for another key", for_another.mail()),
    ];
    compare("openpgp", &messages, &other.mail(), &keys);
}

#[test]
#[ignore = "measures time, which other work on the machine disturbs: run it alone"]
fn cms() {
    let (keys, others) = (certified(), certified());
    let (message, other) = (envelope(&keys), envelope(&others));
    // ML-KEM-768's ciphertext and the wrapped key, each behind its head.
    let parts = |object: &[u8]| {
        let ciphertext = object.windows(4).position(|head| head == [0x04, 0x82, 0x04, 0x40]).unwrap() + 4;
        let wrap = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2d, 0x04, 0x28];
        (ciphertext, object.windows(wrap.len()).position(|head| head == wrap).unwrap() + wrap.len())
    };
    let (ciphertext, wrapped) = parts(&message);
    let mut for_another = message.clone();
    let (theirs, their_wrapped) = parts(&other);
    for_another[ciphertext..ciphertext + 1088].copy_from_slice(&other[theirs..theirs + 1088]);
    for_another[wrapped..wrapped + 40].copy_from_slice(&other[their_wrapped..their_wrapped + 40]);
    let messages = [
        ("a wrong ciphertext", mail(&flipped(&message, ciphertext + 500))),
        ("a wrong wrapped key", mail(&flipped(&message, wrapped + 7))),
        ("a changed text", mail(&flipped(&message, message.len() / 2))),
        ("a broken tag", mail(&flipped(&message, message.len() - 1))),
        ("for another key", mail(&for_another)),
    ];
    // kekLength, which is looked at before any key is used.
    let length = message.windows(3).position(|found| found == [0x02, 0x01, 0x20]).unwrap() + 2;
    compare("cms", &messages, &mail(&flipped(&message, length)), &keys);
}

/// Alice's ML-KEM certificate, by an authority of its own.
fn certified() -> Memory {
    let new = NewAuthority {
        algorithm: Certified::MlDsa(MlDsa::MlDsa44),
        name: "Lab".to_owned(),
        domains: Vec::new(),
        places: Places::default(),
        passphrase: None,
        validity: Duration::from_secs(86_400),
    };
    let mut made = create(&new, &SystemClock, &SystemRandom).unwrap();
    made.record.bind(Binding::Anchor);
    let mut keys = Memory::new();
    hold(&mut keys, made);
    let authority = keys.anchors().unwrap().remove(0);
    let authority = Authority::open(&authority, &keys, &Limits::default()).unwrap();
    let mut request = Request::new(Address::parse(ADDRESS).unwrap());
    request.algorithm = Certified::MlKem(MlKem::MlKem768);
    hold(&mut keys, authority.generate(&request, &SystemClock, &SystemRandom).unwrap());
    keys
}

fn hold(keys: &mut Memory, made: Described) {
    let passphrases = Arc::new(Passphrases::default());
    let locked = LockedKey::new(&made.record, made.secret.unwrap(), passphrases, &Limits::default()).unwrap();
    keys.add_locked(made.record.secrets().to_vec(), Arc::new(locked));
    keys.add(made.record);
}

fn envelope(keys: &Memory) -> Vec<u8> {
    let message = Message::parse(text().into_bytes(), &mut Budget::new(Limits::default())).unwrap();
    let how = Seal { to: vec![Recipient::Named(Address::parse(ADDRESS).unwrap())], ..Seal::default() };
    let (clock, random, legacy, revocation) = (&SystemClock, &SystemRandom, Legacy::Refuse, Revocation::Off);
    let mut sealed = Vec::new();
    Smime.seal(&message, &how, Context { keys, clock, random, legacy, revocation }, &mut sealed).unwrap();
    let sealed = String::from_utf8(sealed).unwrap();
    base64_decode(sealed.split_once("\r\n\r\n").unwrap().1.replace("\r\n", "").as_bytes())
}

fn mail(object: &[u8]) -> String {
    let body = String::from_utf8(base64_encode(object)).unwrap();
    format!(
        "From: {ADDRESS}\r\nTo: {ADDRESS}\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{body}"
    )
}
