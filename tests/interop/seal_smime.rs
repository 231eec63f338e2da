//! Seal, then let openssl judge: every shape, for RSA, ECDSA, Ed25519, PSS, OAEP, ECDH and passwords.

mod capabilities;
mod interop;
pub(crate) mod openssl;
mod peers;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use der::{Decode as _, asn1::AnyRef};
use openssl::{For, Lab};

use crate::support::requirements::present;
use postseal::{
    base::{Budget, Clock, FixedClock, Hint, Kind, Limits, Random, Result, Secret, SystemClock, SystemRandom},
    crypto::{Hash, Legacy},
    engine::{Engine, Opening},
    keys::{Binding, Handle, Keys, Memory, Passphrases, ProtocolName, Query, Record, Want},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{self, Context, Headers, Padding, Protocol, Recipient, Seal, Sealed, Shape, Signer, smime::Smime},
    store,
    verdict::{LayerKind, Standing, State},
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
const BRAINPOOL_P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"];
const BRAINPOOL_P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP384r1"];
const BRAINPOOL_P512: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP512r1"];
const PSS: &[&str] = &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"];
const ED25519: &[&str] = &["-algorithm", "ED25519"];
const X25519: &[&str] = &["-algorithm", "X25519"];

/// All people, and a CA that certifies them.
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
        ("heidi", X25519),
        ("ivan", BRAINPOOL_P256),
        ("judy", BRAINPOOL_P384),
        ("karl", BRAINPOOL_P512),
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
    keys.add(record(&lab.read("root.crt")).with_bindings([Binding::Anchor]));
    keys
}

fn load(files: &[(&str, &[u8])]) -> Memory {
    store::load(files, &Arc::new(Passphrases::new(Vec::new())), &Limits::default()).unwrap().keys
}

fn record(file: &[u8]) -> Record {
    let loaded = load(&[("certificate", file)]);
    let records = loaded.find(ProtocolName::Smime, &Query::manage(Want::All)).unwrap();
    assert_eq!(records.len(), 1);
    Record::clone(&records[0])
}

fn everybody() -> Memory {
    keys(&LAB, &["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "karl"])
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
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    for (person, micalg) in [
        ("alice", "sha-256"),
        ("carol", "sha-256"),
        ("dave", "sha-384"),
        ("erin", "sha-512"),
        ("grace", "sha-256"),
        ("ivan", "sha-256"),
        ("judy", "sha-384"),
        ("karl", "sha-512"),
    ] {
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
    if !present(&["openssl"]) {
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
    if !present(&["openssl"]) {
        return;
    }
    let sign = vec![Signer::Address(address("alice")), Signer::Address(address("erin"))];
    let message = sealed(&everybody(), &Seal { sign, ..Seal::default() });
    assert!(header(&message).contains("micalg=\"sha-256,sha-512\""), "{message}");
    LAB.verified(&message);
}

#[test]
fn every_named_recipient_can_read() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    let people = ["alice", "bob", "carol", "dave", "erin", "ivan", "judy", "karl"];
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
    if !present(&["openssl"]) {
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
    if !present(&["openssl"]) {
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
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    for cipher in ["3des", "des", "rc2-40", "RC2-64", "rc2-128"] {
        let how = Seal { to: to(&["bob"]), cipher: Some(cipher.to_owned()), ..Seal::default() };
        let error = seal(&keys, &how, Legacy::Refuse).unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::Usage, Some(&Hint::WriteLegacy)), "{error}");
        let (message, _) = seal(&keys, &how, Legacy::Admit).unwrap();
        let read = LAB.decrypted(&message, "bob", &["-provider", "legacy", "-provider", "default"]);
        assert!(read.contains("Gr\u{fc}\u{df}e aus"), "{cipher}");
    }
    for (digest, micalg) in [(Hash::Sha1, "sha-1"), (Hash::Md5, "md5")] {
        let how = Seal { sign: by("alice"), digest: Some(digest), ..Seal::default() };
        let error = seal(&keys, &how, Legacy::Refuse).unwrap_err();
        assert_eq!((error.kind(), error.hint()), (Kind::Usage, Some(&Hint::WriteLegacy)), "{error}");
        let (message, _) = seal(&keys, &how, Legacy::Admit).unwrap();
        assert!(header(&message).contains(&format!("micalg={micalg};")));
        LAB.verified(&message);
    }
}

#[test]
fn ciphers_by_name() {
    if !present(&["openssl"]) {
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
    assert_eq!(error.to_string(), "p256 key: AES key wrap does not take a content key of 8 octets");
}

/// No program here reads ChaCha20-Poly1305 in CMS (RFC 8103). But openssl unwraps the content key, and knows the bare stream cipher, whose
/// first block makes the key of the tag (RFC 8439, section 2.8).
#[test]
fn chacha20_is_written_as_others_would_read_it() {
    if !present(&["openssl"]) {
        return;
    }
    let (keys, cipher) = (everybody(), "chacha20-poly1305");
    let how = Seal { to: to(&["bob", "carol"]), cipher: Some(cipher.to_owned()), ..Seal::default() };
    let message = sealed(&keys, &how);
    assert!(header(&message).contains("smime-type=authEnveloped-data;"), "{message}");
    let (written, opening) = opened(&keys, message.clone(), Legacy::Refuse);
    assert!(written.contains("Gr\u{fc}\u{df}e aus"), "{written}");
    let LayerKind::Encrypted { cipher: found, authenticated, .. } = &opening.verdict().layers()[0].kind else {
        panic!()
    };
    assert_eq!((found.as_str(), *authenticated), (cipher, true));

    let data = interop::within(&interop::within(&interop::cms(&message).0)[1])[0].clone();
    let [_, recipients, content, tag] = interop::within(&data).try_into().unwrap();
    let [_, algorithm, encrypted] = interop::within(&content).try_into().unwrap();
    let value = |element: &[u8]| AnyRef::from_der(element).unwrap().value().to_vec();
    let hexadecimal = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    // id-alg-AEADChaCha20Poly1305 and its nonce (RFC 8103, section 3).
    let [identifier, nonce] = interop::within(&algorithm).try_into().unwrap();
    assert_eq!(hexadecimal(&identifier), "060b2a864886f70d0109100312");
    assert_eq!((nonce[..2].to_vec(), tag[..2].to_vec()), (vec![4, 12], vec![4, 16]));

    let wrapped =
        interop::within(&recipients).iter().find(|info| info[0] == 0x30).map(|info| interop::within(info)[3].clone());
    let wrapped = LAB.fresh(value(&wrapped.unwrap()));
    let key = LAB.run(&["pkeyutl", "-decrypt", "-inkey", "bob.key", "-in", &wrapped]);
    let encrypted = LAB.fresh(value(&encrypted));
    let counter_and_nonce = format!("01000000{}", hexadecimal(&value(&nonce)));
    let read =
        LAB.run(&["enc", "-chacha20", "-d", "-K", &hexadecimal(&key), "-iv", &counter_and_nonce, "-in", &encrypted]);
    assert!(text(&read).contains("Gr\u{fc}\u{df}e aus"));
}

/// Opened by ourselves: what was inside, and what is thought of it.
fn opened(keys: &Memory, message: impl Into<Vec<u8>>, legacy: Legacy) -> (String, Opening) {
    let context = Context { keys, clock: &SystemClock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    let opening = engine.open(Message::parse(message.into(), &mut engine.budget()).unwrap()).unwrap();
    if let Some(error) = opening.error() {
        panic!("{error}");
    }
    let mut written = Vec::new();
    opening.write(&mut written).unwrap();
    (text(&written), opening)
}

#[test]
fn what_we_seal_we_open() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    for (signer, readers, shape, padding, aead) in [
        ("alice", &[][..], Shape::Mime, Padding::Pkcs1, protocol::Aead::Announced),
        ("alice", &[], Shape::Opaque, Padding::PssOaep, protocol::Aead::Announced),
        ("grace", &[], Shape::Mime, Padding::Pkcs1, protocol::Aead::Announced),
        ("carol", &[], Shape::Opaque, Padding::Pkcs1, protocol::Aead::Announced),
        ("frank", &[], Shape::Mime, Padding::Pkcs1, protocol::Aead::Announced),
        ("frank", &[], Shape::Opaque, Padding::Pkcs1, protocol::Aead::Announced),
        ("alice", &["bob"], Shape::Mime, Padding::Pkcs1, protocol::Aead::Announced),
        ("alice", &["bob", "carol"], Shape::Opaque, Padding::PssOaep, protocol::Aead::Always),
        ("frank", &["heidi"], Shape::Mime, Padding::Pkcs1, protocol::Aead::Announced),
        ("dave", &["erin"], Shape::Triple, Padding::Pkcs1, protocol::Aead::Always),
        ("alice", &["bob", "heidi"], Shape::Triple, Padding::Pkcs1, protocol::Aead::Announced),
    ] {
        let how = Seal { sign: by(signer), to: to(readers), shape, padding, aead, ..Seal::default() };
        let (written, opening) = opened(&keys, sealed(&keys, &how), Legacy::Refuse);
        assert!(written.contains(TEXT), "{signer} {shape:?}: {written}");
        let layers = opening.verdict().layers();
        let signatures: Vec<_> = layers
            .iter()
            .flat_map(|layer| match &layer.kind {
                LayerKind::Signed { signatures, .. } => signatures.as_slice(),
                _ => &[],
            })
            .collect();
        assert_eq!(signatures.len(), if shape == Shape::Triple { 2 } else { 1 });
        assert!(
            signatures.iter().all(|one| matches!(one.state, State::Valid(_))),
            "{signer} {shape:?}: {signatures:?}"
        );
        let expected = if signer == "alice" { Standing::Authentic } else { Standing::Signed };
        assert_eq!(opening.verdict().standing(), expected, "{signer} {shape:?}: {signatures:?}");
    }
}

fn refusal(keys: &dyn Keys, how: &Seal) -> (Kind, String) {
    let error = seal(keys, how, Legacy::Refuse).expect_err("it is refused");
    (error.kind(), error.to_string())
}

fn fingerprint(lab: &Lab, name: &str) -> String {
    record(&lab.read(&format!("{name}.crt"))).fingerprint().to_string()
}

/// Several certificates for one address: short and long lived, for servers, unable to encrypt.
static CROWD: LazyLock<Lab> = LazyLock::new(|| {
    let lab = Lab::new();
    lab.issue("alice", "alice@example.org", RSA, For::Mail, 3650, "");
    lab.issue("short", "bob@example.org", RSA, For::Mail, 1, "");
    lab.issue("long", "bob@example.org", P256, For::Mail, 3650, "");
    lab.issue("server", "bob@example.org", RSA, For::Servers, 3650, "");
    lab.issue("signing", "bob@example.org", RSA, For::Signing, 3650, "");
    let gcm = "1.2.840.113549.1.9.15=DER:30:0D:30:0B:06:09:60:86:48:01:65:03:04:01:2E\n";
    lab.issue("modern", "modern@example.org", RSA, For::Mail, 3650, gcm);
    lab
});

#[test]
fn what_cannot_serve_is_passed_over_while_something_can() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = keys(&CROWD, &["alice", "short", "long", "server", "signing"]);
    let later = FixedClock(SystemClock.now() + Duration::from_secs(30 * 24 * 3600));
    let how = Seal { to: to(&["bob"]), ..Seal::default() };
    let (message, sealed) = seal_at(&keys, MESSAGE, &how, Legacy::Refuse, &later, &SystemRandom).unwrap();
    assert_eq!(sealed.did, [format!("encrypted to bob@example.org with {}", fingerprint(&CROWD, "long"))]);
    assert!(sealed.warnings.is_empty(), "{:?}", sealed.warnings);
    CROWD.decrypted(&message, "long", &[]);
}

#[test]
fn when_nothing_serves_each_trusted_certificate_and_its_fault_is_named() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = keys(&CROWD, &["short", "server", "signing"]);
    let later = FixedClock(SystemClock.now() + Duration::from_secs(30 * 24 * 3600));
    let how = Seal { to: to(&["bob"]), ..Seal::default() };
    let error = seal_at(&keys, MESSAGE, &how, Legacy::Refuse, &later, &SystemRandom).unwrap_err();
    let said = error.to_string();
    assert_eq!(error.kind(), Kind::NoKey);
    assert!(said.starts_with("bob@example.org: no usable encryption certificate: "), "{said}");
    assert!(said.contains(&format!("{} expired on ", fingerprint(&CROWD, "short"))), "{said}");
    let fault = |name, rule| format!("{} is not for encrypting mail ({rule})", fingerprint(&CROWD, name));
    assert!(said.contains(&fault("signing", "key usage")), "{said}");
    // No CA certifies it for mail; the others are certified.
    assert!(!said.contains(&fingerprint(&CROWD, "server")), "{said}");
    let error =
        seal_at(&load(&[("bob", &CROWD.read("server.crt"))]), MESSAGE, &how, Legacy::Refuse, &later, &SystemRandom);
    let said = error.unwrap_err().to_string();
    assert!(said.contains(&fault("server", "extended key usage")), "{said}");
    let how = Seal { to: to(&["nobody"]), ..Seal::default() };
    assert_eq!(refusal(&keys, &how), (Kind::NoKey, "nobody@example.org: no encryption certificate".to_owned()));
    let how = Seal { sign: by("alice"), ..Seal::default() };
    assert_eq!(refusal(&keys, &how), (Kind::NoKey, "alice@example.org: no signing certificate".to_owned()));
}

#[test]
fn who_was_revoked_neither_signs_nor_is_encrypted_to() {
    if !present(&["openssl"]) {
        return;
    }
    let list = CROWD.revoked("long");
    let mut keys = keys(&CROWD, &["long", "alice"]);
    let sign = Seal { sign: by("bob"), ..Seal::default() };
    let named = Handle::parse(&fingerprint(&CROWD, "long")).unwrap();
    let sign_named = Seal { sign: vec![Signer::Key(named)], ..Seal::default() };
    let encrypt = Seal { to: to(&["bob"]), ..Seal::default() };
    for how in [&sign, &sign_named, &encrypt] {
        seal(&keys, how, Legacy::Refuse).expect("nothing is known of revocation");
    }
    keys.add_revocation(list.into());
    for how in [&sign, &sign_named, &encrypt] {
        let (kind, said) = refusal(&keys, how);
        assert_eq!(kind, Kind::NoKey, "{said}");
        assert!(said.contains(&fingerprint(&CROWD, "long")) && said.contains(" revoked on 2026-"), "{said}");
    }
    seal(&keys, &Seal { sign: by("alice"), ..Seal::default() }, Legacy::Refuse).expect("hers was not");
}

#[test]
fn an_untrusted_certificate_is_warned_of_or_refused() {
    if !present(&["openssl"]) {
        return;
    }
    let how = Seal { to: to(&["bob"]), ..Seal::default() };
    // One certificate without an anchor: a warning.
    let mut keys = load(&[("bob", &CROWD.read("long.crt"))]);
    let (_, sealed) = seal(&keys, &how, Legacy::Refuse).unwrap();
    let expected = format!("bob@example.org: certificate {} is not trusted (", fingerprint(&CROWD, "long"));
    assert!(sealed.warnings.len() == 1 && sealed.warnings[0].starts_with(&expected), "{:?}", sealed.warnings);
    // Two: neither.
    keys.add(record(&CROWD.read("short.crt")));
    let (kind, said) = refusal(&keys, &how);
    assert_eq!(kind, Kind::NoKey);
    assert!(said.starts_with("bob@example.org: none of several certificates is trusted: "), "{said}");
    // The owner's word counts, and no other certificate beside it.
    let bound = record(&CROWD.read("long.crt")).with_bindings([Binding::Address(address("bob"))]);
    let mut keys = load(&[("bob", &CROWD.read("short.crt"))]);
    keys.add(bound);
    let (_, sealed) = seal(&keys, &how, Legacy::Refuse).unwrap();
    assert!(sealed.warnings.is_empty(), "{:?}", sealed.warnings);
    assert!(sealed.did[0].ends_with(&fingerprint(&CROWD, "long")), "{:?}", sealed.did);
}

#[test]
fn gcm_when_every_reader_announced_it() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = keys(&CROWD, &["modern", "long"]);
    let modern = sealed(&keys, &Seal { to: to(&["modern"]), ..Seal::default() });
    assert!(header(&modern).contains("smime-type=authEnveloped-data"));
    CROWD.decrypted(&modern, "modern", &[]);
    let mixed = sealed(&keys, &Seal { to: to(&["modern", "bob"]), ..Seal::default() });
    assert!(header(&mixed).contains("smime-type=enveloped-data"));
}

#[test]
fn hidden_recipients_need_a_copy_of_their_own() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    let refused = "carol@example.org: cannot be hidden from the others: S/MIME names every recipient";
    let hidden = vec![Recipient::Named(address("bob")), Recipient::Hidden(address("carol"))];
    assert_eq!(refusal(&keys, &Seal { to: hidden, ..Seal::default() }), (Kind::Usage, refused.to_owned()));

    let blind = MESSAGE.replace("Subject:", "Bcc: carol@example.org\r\nSubject:");
    let sealed_to = |people: &[&str]| {
        let how = Seal { to: to(people), ..Seal::default() };
        seal_at(&keys, &blind, &how, Legacy::Refuse, &SystemClock, &SystemRandom)
    };
    assert_eq!(sealed_to(&["bob", "carol"]).unwrap_err().to_string(), refused);
    for people in [&["bob"], &["carol"]] {
        let (message, sealed) = sealed_to(people).unwrap();
        assert!(!header(&message).contains("Bcc"), "{message}");
        assert_eq!(sealed.warnings, ["the bcc field is left out; give its addresses to whatever sends the message"]);
    }
}

#[test]
fn the_header_stays_outside_or_is_protected() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    let plain = sealed(&keys, &Seal { sign: by("alice"), ..Seal::default() });
    assert!(plain.starts_with("Received: from a by b\r\nX-First: 1\r\nFrom: Alice <alice@example.org>\r\n"), "{plain}");
    assert_eq!(header(&plain).matches("Content-Type:").count(), 1);
    assert_eq!(header(&plain).matches("MIME-Version: 1.0").count(), 1);
    assert!(header(&plain).contains("X-Last: 2"));
    let clear = sealed(&keys, &Seal { sign: by("alice"), headers: Headers::Clear, ..Seal::default() });
    let read = LAB.verified(&clear);
    assert!(read.contains("Subject: plans\r\n") && read.contains("hp=\"clear\""), "{read}");
    let how = Seal { sign: by("alice"), to: to(&["bob"]), headers: Headers::Baseline, ..Seal::default() };
    let hidden = sealed(&keys, &how);
    assert!(header(&hidden).contains("Subject: [...]\r\n"), "{hidden}");
    let read = LAB.verified(LAB.decrypted(&hidden, "bob", &[]));
    assert!(read.contains("Subject: plans\r\n") && read.contains("hp=\"cipher\""), "{read}");
}

/// Random octets that are the same each time.
struct Counted(std::sync::Mutex<u8>);

impl Random for Counted {
    fn fill(&self, octets: &mut [u8]) -> Result<()> {
        let mut next = self.0.lock().expect("nobody panicked");
        for octet in octets {
            *next = next.wrapping_add(1);
            *octet = *next;
        }
        Ok(())
    }
}

#[test]
fn the_same_again_from_the_same_clock_and_randomness() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    let clock = FixedClock(SystemClock.now());
    for (signer, shape) in [("alice", Shape::Mime), ("alice", Shape::Opaque), ("frank", Shape::Mime)] {
        let how = Seal { sign: by(signer), shape, ..Seal::default() };
        let once = || seal_at(&keys, MESSAGE, &how, Legacy::Refuse, &clock, &Counted(0.into())).unwrap().0;
        assert_eq!(once(), once(), "{signer} {shape:?}");
    }
}

#[test]
fn shapes_that_there_are_not() {
    if !present(&["openssl"]) {
        return;
    }
    let keys = everybody();
    let inline = Seal { sign: by("alice"), shape: Shape::Inline, ..Seal::default() };
    assert_eq!(refusal(&keys, &inline), (Kind::Usage, "inline: S/MIME has no such form".to_owned()));
    let triple = Seal { sign: by("alice"), shape: Shape::Triple, ..Seal::default() };
    assert_eq!(refusal(&keys, &triple), (Kind::Usage, "triple wrapping: needs a signer and a recipient".to_owned()));
    assert_eq!(refusal(&keys, &Seal::default()), (Kind::Usage, "neither a signer nor a recipient is given".to_owned()));
    let short = Seal { sign: by("frank"), digest: Some(Hash::Sha256), ..Seal::default() };
    let said = "digest sha256: ed25519 keys sign only sha512 (RFC 8419)";
    assert_eq!(refusal(&keys, &short), (Kind::Usage, said.to_owned()));
}
