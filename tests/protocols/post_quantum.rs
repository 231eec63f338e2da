//! ML-KEM and ML-DSA in S/MIME: what is refused and why, what changes come to, and a thousand recipients.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use postseal::{
    base::{Budget, Kind, Limits, Result, SystemClock, SystemRandom},
    crypto::{Hash, Legacy, MlDsa, MlKem, Scheme, Strength},
    engine::Engine,
    keys::{Binding, Keys, Memory, Passphrases},
    mail::{Address, Message},
    pki::{Certificate, Revocation},
    protocol::{
        Aead, Context, Described, Opened, Protocol, Recipient, Seal, Shape, Signer,
        smime::{
            Smime,
            authority::{Authority, NewAuthority, Places, create},
            generate::{Algorithm, Request},
            keyfile::LockedKey,
        },
    },
    verdict::{LayerKind, State},
};
use proptest::prelude::*;

use crate::support::der::{content_info, octets, oid, sequence, tlv};

const TEXT: &str = "Content-Type: text/plain\r\n\r\nThe harvest of today is safe tomorrow.\r\n";

/// An authority with an ML-DSA key, and people whose certificates it issued.
struct Lab {
    keys: Memory,
    authority: Authority,
    people: Vec<Described>,
}

impl Lab {
    fn new() -> Lab {
        let new = NewAuthority {
            algorithm: Algorithm::MlDsa(MlDsa::MlDsa44),
            name: "Lab".to_owned(),
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
        Lab { keys, authority, people: Vec::new() }
    }

    fn person(&mut self, name: &str, algorithm: Algorithm) {
        let mut request = Request::new(address(name));
        request.algorithm = algorithm;
        let made = self.authority.generate(&request, &SystemClock, &SystemRandom).unwrap();
        hold(&mut self.keys, &made);
        self.people.push(made);
    }
}

fn hold(keys: &mut Memory, made: &Described) {
    let secret = made.secret.clone().unwrap();
    let locked = LockedKey::new(&made.record, secret, Arc::new(Passphrases::default()), &Limits::default()).unwrap();
    keys.add_locked(made.record.secrets().to_vec(), Arc::new(locked));
    keys.add(made.record.clone());
}

fn address(name: &str) -> Address {
    Address::parse(&format!("{name}@example.org")).unwrap()
}

static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let mut lab = Lab::new();
    lab.person("alice", Algorithm::MlDsa(MlDsa::MlDsa65));
    lab.person("bob", Algorithm::MlKem(MlKem::MlKem768));
    lab.person("carol", Algorithm::MlKem(MlKem::MlKem512));
    lab.person("other", Algorithm::MlKem(MlKem::MlKem768));
    lab.person("erin", Algorithm::Rsa2048);
    lab
});

fn context(keys: &Memory) -> Context<'_> {
    Context { keys, clock: &SystemClock, random: &SystemRandom, legacy: Legacy::Refuse, revocation: Revocation::Off }
}

fn seal(how: &Seal, keys: &Memory) -> Vec<u8> {
    let octets = format!("From: alice@example.org\r\nTo: bob@example.org\r\n{TEXT}").into_bytes();
    let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
    let mut out = Vec::new();
    Smime.seal(&message, how, context(keys), &mut out).unwrap();
    out
}

/// The CMS object of a message.
fn object(message: &[u8]) -> Vec<u8> {
    let message = Message::parse(message.to_vec(), &mut Budget::new(Limits::default())).unwrap();
    message.root().decoded().into_owned()
}

fn to(names: &[&str]) -> Vec<Recipient> {
    names.iter().map(|name| Recipient::Named(address(name))).collect()
}

fn sealed() -> Vec<u8> {
    object(&seal(&Seal { to: to(&["bob"]), ..Seal::default() }, &LAB.keys))
}

fn open(object: &[u8], keys: &Memory) -> Result<Opened> {
    let header = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let mut budget = Budget::new(Limits::default());
    let message = Message::parse([header, object].concat(), &mut budget)?;
    let claim = Smime.claim(message.root()).expect("it says that it is S/MIME");
    Smime.open(message, &claim, context(keys), &mut budget)
}

fn refusal(object: &[u8]) -> (Kind, String) {
    let error = open(object, &LAB.keys).expect_err("it must not open");
    (error.kind(), error.to_string())
}

/// `object` with `new` for the only `old` in it, which is as long.
fn changed(object: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at: Vec<usize> =
        object.windows(old.len()).enumerate().filter(|(_, found)| found == &old).map(|(at, _)| at).collect();
    assert_eq!((at.len(), old.len()), (1, new.len()), "{old:02x?}");
    let mut object = object.to_vec();
    object[at[0]..at[0] + new.len()].copy_from_slice(new);
    object
}

/// id-ori-kem, id-alg-ml-kem-768, id-alg-hkdf-with-sha256, id-aes256-wrap; the length of the key that wraps and what follows it.
const ORI_KEM: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x0d\x03";
const ML_KEM_768: &[u8] = b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x04\x02";
const HKDF: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x1c";
const LENGTH: &[u8] = b"\x02\x01\x20\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2d";

#[test]
fn what_is_malformed_is_refused_with_the_reason() {
    let sealed = sealed();
    let last = |old: &[u8], last: u8| [&old[..old.len() - 1], &[last]].concat();
    for (old, new, why) in [
        (
            LENGTH,
            [b"\x02\x01\x10", &LENGTH[3..]].concat(),
            "kekLength is 16, and key wrap algorithm 2.16.840.1.101.3.4.1.45 takes 32 octets (RFC 9936, section 2.2.1)",
        ),
        (LENGTH, [b"\x02\x01\xe0", &LENGTH[3..]].concat(), "kekLength is not within 1 to 65535 (RFC 9629, section 3)"),
        (
            LENGTH,
            last(LENGTH, 0x05),
            "kekLength is 32, and key wrap algorithm 2.16.840.1.101.3.4.1.5 takes 16 octets (RFC 9936, section 2.2.1)",
        ),
        (LENGTH, last(LENGTH, 0x2e), "key wrap algorithm 2.16.840.1.101.3.4.1.46 is not known"),
        (ML_KEM_768, last(ML_KEM_768, 3), "its ml-kem-1024 ciphertext has 1088 octets instead of 1568"),
        (ML_KEM_768, last(ML_KEM_768, 4), "key encapsulation algorithm 2.16.840.1.101.3.4.4.4 is not known"),
        (HKDF, last(HKDF, 0x1b), "key derivation algorithm 1.2.840.113549.1.9.16.3.27 is not known"),
    ] {
        let (kind, said) = refusal(&changed(&sealed, old, &new));
        assert_eq!(kind, Kind::NoKey);
        assert!(said.ends_with(&format!("cannot be unwrapped: {why}")), "{said}");
    }
    let (kind, said) = refusal(&changed(&sealed, ORI_KEM, &last(ORI_KEM, 4)));
    assert_eq!((kind, said.as_str()), (Kind::NoKey, "enveloped data: no secret key for any recipient (unknown)"));
}

/// FIPS 203, section 6.3: a wrong ciphertext yields another secret. Nobody learns which part was wrong, or whether the key was.
#[test]
fn every_failure_of_a_key_is_one_answer() {
    let sealed = sealed();
    let one = (Kind::Undecryptable, "enveloped data: it does not decrypt: it was damaged or changed".to_owned());
    // The head of the ciphertext, of the wrapped key behind it, and the end: the tag.
    let ciphertext = sealed.windows(4).position(|window| window == [0x04, 0x82, 0x04, 0x40]).unwrap() + 4;
    let wrapped = sealed.windows(2).rposition(|window| window == [0x04, 0x28]).unwrap() + 2;
    for at in [ciphertext, ciphertext + 500, ciphertext + 1087, wrapped, wrapped + 39, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        assert_eq!(refusal(&changed), one, "{at}");
    }
    // Bob's certificate with the key of another, of the same kind and of another.
    let named = |name: &str| LAB.people.iter().find(|one| one.record.claimed() == [address(name)]).unwrap();
    for other in ["other", "carol", "alice"] {
        let mut keys = Memory::new();
        let (bob, other) = (named("bob"), named(other));
        let mut holder = Memory::new();
        hold(&mut holder, other);
        let secret = Keys::secret(&holder, &other.record, other.record.fingerprint()).unwrap().unwrap();
        keys.add_secret(bob.record.fingerprint().clone(), secret);
        keys.add(bob.record.clone());
        let error = open(&sealed, &keys).expect_err("another's key");
        assert_eq!((error.kind(), error.to_string()), one);
    }
}

#[test]
fn both_kinds_of_envelope_open() {
    for (aead, authenticated) in [(Aead::Always, true), (Aead::Announced, false)] {
        let cipher = (aead == Aead::Announced).then(|| "aes256-cbc".to_owned());
        let sealed = seal(&Seal { to: to(&["bob", "carol"]), aead, cipher, ..Seal::default() }, &LAB.keys);
        // It counts as encrypted without any key: it needs no second encryption.
        let message = Message::parse(sealed.clone(), &mut Budget::new(Limits::default())).unwrap();
        assert!(Engine::new(context(&Memory::new()), Limits::default()).is_encrypted(&message));
        let sealed = object(&sealed);
        let opened = open(&sealed, &LAB.keys).unwrap();
        assert!(String::from_utf8_lossy(opened.payload.octets()).contains("safe tomorrow"));
        assert!(
            matches!(opened.layers[0].kind, LayerKind::Encrypted { authenticated: found, .. } if found == authenticated)
        );
    }
}

/// One classical reader is enough to open it.
#[test]
fn a_layer_is_quantum_safe_when_all_its_readers_are() {
    for (names, safe) in
        [(&["bob"] as &[&str], true), (&["bob", "carol"], true), (&["bob", "erin"], false), (&["erin"], false)]
    {
        let opened = open(&object(&seal(&Seal { to: to(names), ..Seal::default() }, &LAB.keys)), &LAB.keys).unwrap();
        let LayerKind::Encrypted { quantum_safe, .. } = &opened.layers[0].kind else { panic!("{names:?}") };
        assert_eq!(*quantum_safe, safe, "{names:?}");
    }
    let signed = |name: &str| {
        let sealed = seal(
            &Seal { sign: vec![Signer::Address(address(name))], shape: Shape::Opaque, ..Seal::default() },
            &LAB.keys,
        );
        let opened = open(&object(&sealed), &LAB.keys).unwrap();
        let LayerKind::Signed { signatures, .. } = &opened.layers[0].kind else { panic!("{name}") };
        signatures[0].quantum_safe
    };
    assert_eq!((signed("alice"), signed("erin")), (true, false));
}

/// A SignedData without signed attributes by alice, whose digest algorithm is 1.2.3.
fn bare(content: &[u8], signature: &[u8]) -> Vec<u8> {
    let alice = LAB.people.iter().find(|one| one.record.claimed() == [address("alice")]).unwrap();
    let certificate = Certificate::parse(alice.record.bytes()).unwrap();
    let identifier = sequence(&[certificate.issuer().der(), &tlv(2, &[certificate.serial()])]);
    let (digest, ml_dsa) = (sequence(&[&oid("1.2.3")]), sequence(&[&oid("2.16.840.1.101.3.4.3.18")]));
    let signer = sequence(&[&[2, 1, 1], &identifier, &digest, &ml_dsa, &octets(signature)]);
    let inner = sequence(&[&oid("1.2.840.113549.1.7.1"), &tlv(0xa0, &[&octets(content)])]);
    let certificates = tlv(0xa0, &[alice.record.bytes()]);
    let data = sequence(&[&[2, 1, 1], &tlv(0x31, &[&digest]), &inner, &certificates, &tlv(0x31, &[&signer])]);
    content_info("1.2.840.113549.1.7.2", &data)
}

/// RFC 9882, section 3.3: without attributes the signature is over the content itself, and the digest algorithm has no meaning.
#[test]
fn without_attributes_the_content_is_signed() {
    let alice = LAB.people.iter().find(|one| one.record.claimed() == [address("alice")]).unwrap();
    let key = Keys::secret(&LAB.keys, &alice.record, alice.record.fingerprint()).unwrap().unwrap();
    let content = TEXT.as_bytes();
    let signature = key.sign(Scheme::Pure, content).unwrap();
    let judged = |content: &[u8], signature: &[u8]| {
        let opened = open(&bare(content, signature), &LAB.keys).unwrap();
        let LayerKind::Signed { signatures } = &opened.layers[0].kind else { panic!("no signature") };
        (signatures[0].state.name().to_owned(), signatures[0].algorithms.clone(), signatures[0].strength)
    };
    let valid = ("valid".to_owned(), "ml-dsa-65".to_owned(), Strength::Strong);
    assert_eq!(judged(content, &signature), valid);
    assert_eq!(judged(&TEXT.replace("safe", "sold").into_bytes(), &signature).0, "invalid");
    // The digest of the content is another message.
    let digest = key.sign(Scheme::Pure, &Hash::Sha512.digest(content)).unwrap();
    assert_eq!(judged(content, &digest).0, "invalid");
    assert_eq!(judged(content, &signature[..3308]).0, "invalid");
}

static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    object(&seal(&Seal { sign: vec![Signer::Author], shape: Shape::Opaque, ..Seal::default() }, &LAB.keys))
});
static SEALED: LazyLock<Vec<u8>> = LazyLock::new(sealed);

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A changed bit never leaves a signature valid, but where it says the same to every reader.
    #[test]
    fn a_flipped_bit_under_ml_dsa(at in 0_usize..1 << 16, bit in 0_u8..8) {
        let mut changed = SIGNED.clone();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        let unchanged = open(&SIGNED, &LAB.keys).unwrap();
        let Ok(opened) = open(&changed, &LAB.keys) else { return Ok(()) };
        for layer in &opened.layers {
            let LayerKind::Signed { signatures } = &layer.kind else { continue };
            if signatures.iter().any(|one| matches!(one.state, State::Valid(_)) && one.reservation.is_none() && !one.authenticated.is_empty()) {
                prop_assert_eq!(opened.payload.octets(), unchanged.payload.octets());
                // Neither the signed attributes nor the signature are where it changed.
                prop_assert!(at < SIGNED.len() - 3309, "the signature is at the end");
            }
        }
    }

    #[test]
    fn a_flipped_bit_under_ml_kem(at in 0_usize..1 << 16, bit in 0_u8..8) {
        let mut changed = SEALED.clone();
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        if let Ok(opened) = open(&changed, &LAB.keys) {
            let text = String::from_utf8_lossy(opened.payload.octets()).into_owned();
            prop_assert!(text.contains("The harvest of today is safe tomorrow."));
        }
    }
}

/// 1,000 recipients: 1,568 octets of ciphertext each, within the Budget of one message and in lines that every server takes.
#[test]
fn a_thousand_recipients() {
    let mut lab = Lab::new();
    let names: Vec<String> = (0..1000).map(|number| format!("reader{number}")).collect();
    names.iter().for_each(|name| lab.person(name, Algorithm::MlKem(MlKem::MlKem1024)));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let message = seal(&Seal { to: to(&names), ..Seal::default() }, &lab.keys);
    println!("1,000 recipients: {} octets, sealed in {:?}", message.len(), begun.elapsed());
    assert!(message.split(|octet| *octet == b'\n').all(|line| line.len() <= 78));
    assert!((2_000_000..3_000_000).contains(&message.len()), "{}", message.len());
    let mut keys = Memory::new();
    hold(&mut keys, lab.people.last().unwrap());
    let opened = open(&object(&message), &keys).unwrap();
    assert!(String::from_utf8_lossy(opened.payload.octets()).contains("safe tomorrow"));
}
