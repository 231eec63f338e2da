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
    protocol::{self, Context, Headers, Padding, Protocol, Recipient, Seal, Sealed, Shape, Signer, smime::Smime},
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
    let loaded = load(&files);
    let mut keys = loaded;
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
            let read = LAB.verified(&message);
            assert!(read.contains(TEXT), "{person} {shape:?}: {read}");
        }
    }
}

#[test]
fn a_signed_message_brings_its_chain_without_the_root() {
    if !present("openssl") {
        return;
    }
    let message = sealed(&everybody(), &Seal { sign: by("alice"), ..Seal::default() });
    let message = LAB.fresh(&message);
    let listed = text(&LAB.run(&["cms", "-cmsout", "-print", "-noout", "-in", &message]));
    assert_eq!(listed.matches("d.certificate:").count(), 2, "{listed}");
    assert_eq!(listed.matches("subject: O=Lab, CN=Root").count(), 0);
    for attribute in [
        "contentType (1.2.840.113549.1.9.3)",
        "messageDigest (1.2.840.113549.1.9.4)",
        "signingTime (1.2.840.113549.1.9.5)",
        "S/MIME Capabilities (1.2.840.113549.1.9.15)",
        "id-smime-aa-signingCertificateV2 (1.2.840.113549.1.9.16.2.47)",
        "undefined (1.2.840.113549.1.9.52)",
    ] {
        assert_eq!(listed.matches(attribute).count(), 1, "{attribute}: {listed}");
    }
}

#[test]
fn several_sign_in_parallel_with_a_digest_each() {
    if !present("openssl") {
        return;
    }
    let sign = vec![Signer::Address(address("alice")), Signer::Address(address("erin"))];
    let message = sealed(&everybody(), &Seal { sign, ..Seal::default() });
    assert!(header(&message).contains("micalg=\"sha-256,sha-512\""), "{message}");
    LAB.verified(&message);
}

#[test]
fn everybody_named_can_read() {
    if !present("openssl") {
        return;
    }
    let keys = everybody();
    let people = ["alice", "bob", "carol", "dave", "erin"];
    for (padding, aead, smime_type) in [
        (Padding::Pkcs1, protocol::Aead::Announced, "enveloped-data"),
        (Padding::PssOaep, protocol::Aead::Announced, "enveloped-data"),
        (Padding::Pkcs1, protocol::Aead::Always, "authEnveloped-data"),
    ] {
        let message = sealed(&keys, &Seal { to: to(&people), padding, aead, ..Seal::default() });
        let expected =
            format!("Content-Type: application/pkcs7-mime; smime-type={smime_type};\r\n name=\"smime.p7m\"\r\n");
        assert!(header(&message).contains(&expected), "{message}");
        assert!(header(&message).contains("Content-Disposition: attachment; filename=\"smime.p7m\""));
        for person in people {
            let read = LAB.decrypted(&message, person, &[]);
            assert!(read.contains("Gr\u{fc}\u{df}e aus K\u{f6}ln  \r\n"), "{person}: {read}");
        }
    }
}

#[test]
fn signed_then_encrypted_in_every_shape() {
    if !present("openssl") {
        return;
    }
    let keys = everybody();
    for signer in ["alice", "carol"] {
        for shape in [Shape::Mime, Shape::Opaque, Shape::Triple] {
            let mut message =
                sealed(&keys, &Seal { sign: by(signer), to: to(&["bob", "dave"]), shape, ..Seal::default() });
            if shape == Shape::Triple {
                assert!(header(&message).contains("multipart/signed"));
                message = LAB.verified(&message);
            }
            assert!(header(&message).contains("smime-type=enveloped-data"), "{message}");
            for reader in ["bob", "dave"] {
                let inner = LAB.decrypted(&message, reader, &[]);
                let kind = if shape == Shape::Opaque { "smime-type=signed-data" } else { "multipart/signed" };
                assert!(header(&inner).contains(kind), "{shape:?}");
                assert!(LAB.verified(&inner).contains(TEXT), "{shape:?}");
            }
        }
    }
}

#[test]
fn a_password_opens() {
    if !present("openssl") {
        return;
    }
    let passwords = vec![Secret::from("correct horse")];
    for aead in [protocol::Aead::Announced, protocol::Aead::Always] {
        let how = Seal { to: to(&["bob"]), passwords: passwords.clone(), aead, ..Seal::default() };
        let message = sealed(&everybody(), &how);
        LAB.decrypted(&message, "bob", &[]);
        let message = LAB.fresh(&message);
        let read = LAB.run(&["cms", "-decrypt", "-in", &message, "-pwri_password", "correct horse"]);
        assert!(text(&read).contains("Gr\u{fc}\u{df}e aus"));
    }
}

#[test]
fn what_is_weak_is_written_on_request_alone() {
    if !present("openssl") {
        return;
    }
    let keys = everybody();
    for cipher in ["3des", "des", "rc2-40", "RC2-64", "rc2-128"] {
        let how = Seal { to: to(&["bob"]), cipher: Some(cipher.to_owned()), ..Seal::default() };
        let error = seal(&keys, &how, Legacy::Refuse).unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::Usage, Some("--legacy")), "{error}");
        let (message, _) = seal(&keys, &how, Legacy::Admit).unwrap();
        let read = LAB.decrypted(&message, "bob", &["-provider", "legacy", "-provider", "default"]);
        assert!(read.contains("Gr\u{fc}\u{df}e aus"), "{cipher}");
    }
    for (digest, micalg) in [(Hash::Sha1, "sha-1"), (Hash::Md5, "md5")] {
        let how = Seal { sign: by("alice"), digest: Some(digest), ..Seal::default() };
        let error = seal(&keys, &how, Legacy::Refuse).unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::Usage, Some("--legacy")), "{error}");
        let (message, _) = seal(&keys, &how, Legacy::Admit).unwrap();
        assert!(header(&message).contains(&format!("micalg={micalg};")));
        LAB.verified(&message);
    }
}

#[test]
fn ciphers_by_name() {
    if !present("openssl") {
        return;
    }
    let keys = everybody();
    for (cipher, kind) in [
        ("aes128", "enveloped-data"),
        ("aes-192-cbc", "enveloped-data"),
        ("AES256", "enveloped-data"),
        ("aes128-gcm", "authEnveloped-data"),
        ("aes-256-GCM", "authEnveloped-data"),
    ] {
        let message =
            sealed(&keys, &Seal { to: to(&["bob", "carol"]), cipher: Some(cipher.to_owned()), ..Seal::default() });
        assert!(header(&message).contains(&format!("smime-type={kind};")), "{cipher}");
        LAB.decrypted(&message, "bob", &[]);
        LAB.decrypted(&message, "carol", &[]);
    }
    for (cipher, aead, said) in [
        ("twofish", protocol::Aead::Announced, "cipher twofish: not in S/MIME"),
        ("3des", protocol::Aead::Always, "cipher \"3des\": does not authenticate"),
    ] {
        let how = Seal { to: to(&["bob"]), cipher: Some(cipher.to_owned()), aead, ..Seal::default() };
        let error = seal(&keys, &how, Legacy::Admit).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Usage, said));
    }
    let how = Seal { to: to(&["carol"]), cipher: Some("des".to_owned()), ..Seal::default() };
    let error = seal(&keys, &how, Legacy::Admit).unwrap_err();
    assert_eq!(error.to_string(), "p256 key: AES key wrap takes no content key of 8 octets");
}
