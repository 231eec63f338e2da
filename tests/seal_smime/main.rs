//! Seal, then let openssl judge: every shape, for RSA, ECDSA, Ed25519, PSS, OAEP, ECDH and passwords.

mod openssl;

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use openssl::{For, Lab, present};
use postseal::{
    base::{Budget, Clock, Error, FixedClock, Kind, Limits, Random, Result, Secret, SystemClock, SystemRandom},
    crypto::{Hash, Legacy},
    keys::{Binding, Keys, Memory, Passphrases, ProtocolName, Record, Want},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{Aead, Context, Headers, Padding, Protocol, Recipient, Seal, Sealed, Shape, Signer, smime::Smime},
    store,
};

/// An 8-bit body with trailing spaces, dashes and From at line starts, and an attachment.
const MESSAGE: &str = "Received: from a by b\r\nX-First: 1\r\nFrom: Alice <alice@example.org>\r\n\
To: Bob <bob@example.org>\r\nSubject: plans\r\n\
Content-Type: multipart/mixed; boundary=\"mixed\"\r\nMIME-Version: 1.0\r\nX-Last: 2\r\n\r\n\
--mixed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
Gr\u{fc}\u{df}e aus K\u{f6}ln  \r\n\r\nFrom here on\t \r\n-- \r\nAlice\r\n\
--mixed\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
Content-Disposition: attachment; filename=\"a.bin\"\r\n\r\nAAECAwQFBgcICQ==\r\n--mixed--\r\n";

/// What a reader of `MESSAGE` finds in its text once it was signed.
const TEXT: &str = "Gr=C3=BC=C3=9Fe aus K=C3=B6ln =20";

const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const P521: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
const PSS: &[&str] = &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"];
const ED25519: &[&str] = &["-algorithm", "ED25519"];

/// Everybody, and an authority that vouches for them.
static LAB: LazyLock<Lab> = LazyLock::new(|| {
    let lab = Lab::new();
    for (person, algorithm) in [
        ("alice", RSA),
        ("bob", RSA),
        ("carol", P256),
        ("dave", P384),
        ("erin", P521),
        ("frank", ED25519),
        ("grace", PSS),
    ] {
        lab.issue(person, &format!("{person}@example.org"), algorithm, For::Mail, 3650, "");
    }
    lab
});

/// The keys of these people, their authority, and the root as an anchor.
fn keys(lab: &Lab, people: &[&str]) -> Memory {
    let mut files = vec![("ca".to_owned(), lab.read("ca.crt"))];
    for person in people {
        files.push((
            (*person).to_owned(),
            [lab.read(&format!("{person}.crt")), lab.read(&format!("{person}.key"))].concat(),
        ));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, octets)| (name.as_str(), octets.as_slice())).collect();
    let mut keys = load(&files);
    keys.add(Record { bindings: vec![Binding::Anchor], ..record(&lab.read("root.crt")) });
    keys
}

fn load(files: &[(&str, &[u8])]) -> Memory {
    store::load(files, &Arc::new(Passphrases::new(Vec::new())), &Limits::default()).unwrap().keys
}

fn record(file: &[u8]) -> Record {
    let loaded = load(&[("certificate", file)]);
    let records = loaded.find(ProtocolName::Smime, &Want::All).unwrap();
    assert_eq!(records.len(), 1);
    Record::clone(&records[0])
}

fn everybody() -> Memory {
    keys(&LAB, &["alice", "bob", "carol", "dave", "erin", "frank", "grace"])
}

fn seal_at(
    keys: &dyn Keys,
    message: &str,
    how: &Seal,
    legacy: Legacy,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(String, Sealed)> {
    let message = Message::parse(message.as_bytes().to_vec(), &mut Budget::new(Limits::default())).unwrap();
    let context = Context { keys, clock, random, legacy, revocation: Revocation::Soft };
    let mut out = Vec::new();
    match Smime.seal(&message, how, context, &mut out) {
        Ok(sealed) => Ok((String::from_utf8(out).expect("S/MIME is ASCII"), sealed)),
        Err(error) => {
            assert!(out.is_empty(), "{} octets were written before the refusal", out.len());
            Err(error)
        }
    }
}

fn seal(keys: &dyn Keys, how: &Seal, legacy: Legacy) -> Result<(String, Sealed)> {
    seal_at(keys, MESSAGE, how, legacy, &SystemClock, &SystemRandom)
}

fn sealed(keys: &dyn Keys, how: &Seal) -> String {
    seal(keys, how, Legacy::Refuse).unwrap_or_else(|error| panic!("{error}")).0
}

fn address(person: &str) -> Address {
    Address::parse(&format!("{person}@example.org")).unwrap()
}

fn to(people: &[&str]) -> Vec<Recipient> {
    people.iter().map(|person| Recipient::Named(address(person))).collect()
}

fn by(person: &str) -> Vec<Signer> {
    vec![Signer::Address(address(person))]
}

fn header(message: &str) -> &str {
    message.split_once("\r\n\r\n").expect("an empty line").0
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).expect("7-bit")
}

#[test]
fn every_signature_is_good_to_openssl() {
    if !present("openssl") {
        return;
    }
    let keys = everybody();
    for (person, micalg) in
        [("alice", "sha-256"), ("carol", "sha-256"), ("dave", "sha-384"), ("erin", "sha-512"), ("grace", "sha-256")]
    {
        for (shape, padding) in
            [(Shape::Mime, Padding::Pkcs1), (Shape::Opaque, Padding::Pkcs1), (Shape::Mime, Padding::PssOaep)]
        {
            let how = Seal { sign: by(person), shape, padding, ..Seal::default() };
            let message = sealed(&keys, &how);
            if shape == Shape::Mime {
                assert!(header(&message).contains(&format!("micalg={micalg};")), "{message}");
            } else {
                assert!(
                    header(&message).contains("application/pkcs7-mime; smime-type=signed-data;\r\n name=\"smime.p7m\"")
                );
            }
            assert!(message.lines().all(|line| line.len() <= 77), "lines of at most 76 and a CR");
            let read = text(&LAB.verified(message.as_bytes()));
            assert!(read.contains(TEXT), "{person} {shape:?}: {read}");
        }
    }
}
