//! S/MIME signatures opened and judged: what openssl writes holds, and every reason why a signature does not.
//!
//! The messages are those of testdata/smime, and what no program writes is signed here, with the key that lies there.

use std::fs;

use postseal::{
    base::{FixedClock, Limits, Secret, SystemRandom, parse_rfc3339},
    crypto::{Hash, Legacy, Scheme, SecretKey, SoftwareKey},
    engine::Engine,
    keys::{Binding, Memory},
    mail::{
        Address, Message,
        encoding::{base64_decode, base64_encode},
    },
    pki::{Certificate, Revocation},
    protocol::{Context, smime::keyfile},
    verdict::{LayerKind, Signature, Standing, State, Why},
};

const TEXT: &str = "Content-Type: text/plain\r\n\r\nThe bearer may pass.\r\n";
const NOW: &str = "2026-11-24T00:00:00Z";

#[test]
fn what_openssl_signs_holds() {
    for (file, algorithms) in [
        ("brainpool", "brainpoolp256-sha256"),
        ("clear", "rsa2048-sha256"),
        ("key-identifier", "rsa2048-sha256"),
        ("no-attributes", "rsa2048-sha256"),
        ("opaque", "rsa2048-sha256"),
        ("opaque-stream", "rsa2048-sha256"),
        ("p256", "p256-sha256"),
        ("p384", "p384-sha384"),
        ("p521", "p521-sha512"),
        ("pss", "rsa2048-pss-sha256"),
        ("pss-sha512", "rsa2048-pss-sha512"),
        ("rsa-sha3", "rsa2048-sha3-256"),
        ("rsa-sha512", "rsa2048-sha512"),
        ("signing-certificate", "rsa2048-sha256"),
    ] {
        let found = opened(testdata(file), &trust());
        assert_eq!(found.line(), "authentic: valid", "{file}");
        assert_eq!(found.signatures[0].algorithms, algorithms, "{file}");
        assert_eq!(found.payload.as_deref(), Some(TEXT), "{file}");
        assert_eq!(found.signatures[0].at.is_some(), file != "no-attributes", "{file}: signingTime");
    }
    assert_eq!(opened(testdata("two-signers"), &trust()).line(), "authentic: valid, valid");
}

#[test]
fn weak_and_broken_algorithms_count_for_as_much_as_they_are_worth() {
    for (file, line) in [
        ("dsa", "signed: valid but dsa2048 is weak"),
        ("rsa-md5", "unsigned: unknown: md5 is broken"),
        ("rsa-sha1", "unsigned: valid but sha1 is broken"),
        ("rsa1024", "signed: valid but rsa1024 is weak"),
    ] {
        assert_eq!(opened(testdata(file), &trust()).line(), line, "{file}");
    }
}

#[test]
fn certificates_alone_are_taken_out() {
    let found = opened(testdata("certificates"), &trust());
    assert_eq!(found.line(), "unsigned: ");
    assert_eq!(found.payload.unwrap().matches("Content-Type: application/pkix-cert\r\n").count(), 2);
}

#[test]
fn the_certificate_may_lie_in_the_store() {
    let without = || testdata("no-certificates").replace("\r\n", "\n");
    assert_eq!(opened(without(), &trust()).why(), Some(Why::NoKey));
    let mut keys = trust();
    for name in ["rsa", "middle"] {
        keys.add(keyfile::describe(&der(name), name).unwrap().record);
    }
    assert_eq!(opened(without(), &keys).line(), "authentic: valid");
}

#[test]
fn an_owner_who_trusts_a_certificate_needs_no_path() {
    let message = || Draft { signer: "untrusted", ..Draft::default() }.message();
    let found = opened(message(), &trust());
    let why = "signed: valid but certificate \"CN=untrusted\": no trust anchor and no certificate here issued it \
               (RFC 5280, section 6.1)";
    assert_eq!(found.line(), why);
    let mut record = keyfile::describe(&der("untrusted"), "untrusted").unwrap().record;
    record.bind(Binding::Address(Address::parse("alice@example.org").unwrap()));
    let mut keys = trust();
    keys.add(record);
    assert_eq!(opened(message(), &keys).line(), "authentic: valid");
}

#[test]
fn what_is_crafted_here_holds_unless_something_is_wrong_with_it() {
    let attributes = |change: fn(&mut Vec<Vec<u8>>)| {
        let mut draft = Draft::default();
        change(&mut draft.attributes);
        draft
    };
    for (name, draft) in [
        ("as it is", Draft::default()),
        ("named by its key identifier", Draft { id: Id::Key, ..Draft::default() }),
        ("content inside", Draft { content: Content::Inside, ..Draft::default() }),
        ("algorithms protected", attributes(|all| all.push(protection(SHA512, ED25519)))),
        ("certificate named", attributes(|all| all.push(signing_certificate("ed25519")))),
        ("attributes out of order", attributes(|all| all.reverse())),
        ("attributes out of order, and signed so", Draft { order: Order::AsIs, ..attributes(|all| all.reverse()) }),
        ("a strange attribute twice", attributes(|all| all.extend([strange(), strange()]))),
        (
            "signed with bare line feeds",
            Draft { text: TEXT.replace('\r', "").into(), shown: TEXT.replace('\r', "").into(), ..Draft::default() },
        ),
    ] {
        let found = opened(draft.message(), &trust());
        assert_eq!(found.line(), "authentic: valid", "{name}");
        assert!(found.signatures[0].notes.is_empty(), "{name}");
    }
}

#[test]
fn line_ends_are_put_right_and_reported() {
    for (file, keys) in [(testdata("clear"), trust()), (Draft::default().message(), trust())] {
        let found = opened(file.replace("\r\n", "\n"), &keys);
        assert_eq!(found.line(), "authentic: valid");
        assert_eq!(
            found.signatures[0].notes,
            ["line breaks were corrected before it was checked (RFC 8551, section 3.1.1)"]
        );
    }
}

#[test]
fn every_reason_why_a_signature_does_not_hold() {
    let malformed = |reason: &str| Why::Malformed(reason.to_owned());
    let attributes = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut draft = Draft::default();
        change(&mut draft.attributes);
        draft
    };
    let base = Draft::default;
    let twice = "signed attributes: attribute 1.2.840.113549.1.9.3 occurs twice";
    let protected = "its algorithms differ from those in its attributes (RFC 6211)";
    let posing = tlv(0x31, &base().attributes.concat());
    let cases: Vec<(&str, Draft, Why)> = vec![
        ("zero signers", Draft { signers: 0, ..base() }, malformed("it has no signers")),
        (
            "content beside the content",
            Draft { content: Content::Both, ..base() },
            malformed("it holds content of its own besides the shown content"),
        ),
        ("an attribute twice", attributes(&|all| all.push(content_type(DATA))), malformed(twice)),
        (
            "an attribute with two values",
            attributes(&|all| all[0] = attribute(CONTENT_TYPE, &[oid(DATA), oid(DATA)].concat())),
            malformed("signed attributes: attribute 1.2.840.113549.1.9.3 has two values"),
        ),
        ("digest mismatch", Draft { shown: TEXT.replace("may", "may not").into(), ..base() }, Why::Mismatch),
        (
            "wrong messageDigest",
            attributes(&|all| all[1] = message_digest(&Hash::Sha512.digest(b"else"))),
            Why::Mismatch,
        ),
        (
            "short messageDigest",
            attributes(&|all| all[1] = message_digest(&Hash::Sha512.digest(TEXT.as_bytes())[..20])),
            Why::Mismatch,
        ),
        (
            "no messageDigest",
            attributes(&|all| _ = all.remove(1)),
            malformed("its attributes hold no digest of the content"),
        ),
        ("no contentType", attributes(&|all| _ = all.remove(0)), malformed("its attributes have no content type")),
        (
            "another contentType",
            attributes(&|all| all[0] = content_type(SIGNED)),
            malformed(
                "it is over content of type 1.2.840.113549.1.7.2, but the content is of type 1.2.840.113549.1.7.1",
            ),
        ),
        (
            "no attributes over what is no data",
            Draft { content_type: SIGNED, attributes: Vec::new(), ..base() },
            malformed("it has no attributes, over content of type 1.2.840.113549.1.7.2"),
        ),
        ("another digest protected", attributes(&|all| all.push(protection(SHA256, ED25519))), malformed(protected)),
        ("another signature protected", attributes(&|all| all.push(protection(SHA512, RSA))), malformed(protected)),
        (
            "another certificate named",
            attributes(&|all| all.push(signing_certificate("mallory"))),
            malformed("its attributes name another certificate (RFC 5035)"),
        ),
        (
            "attributes posing as content",
            Draft { text: posing.clone(), shown: posing, content: Content::Inside, attributes: Vec::new(), ..base() },
            malformed("it has no attributes, and its content is a set of attributes"),
        ),
        ("signature changed", Draft { flip: 7, ..base() }, Why::Mismatch),
        (
            "signature over attributes in an order that was not sent",
            Draft {
                order: Order::AsIs,
                attributes: base().attributes.into_iter().rev().collect(),
                sent: Some(base().attributes),
                ..base()
            },
            Why::Mismatch,
        ),
        ("no certificate", Draft { certificates: vec!["middle"], ..base() }, Why::NoKey),
        ("unknown digest", Draft { digest: b"\x2a\x03\x04", ..base() }, Why::UnknownAlgorithm("1.2.3.4".to_owned())),
        ("expired", Draft { signer: "expired", ..base() }, Why::CertificateExpired),
        ("not yet valid", Draft { signer: "future", ..base() }, Why::CertificateNotYetValid),
        ("not for mail", Draft { signer: "tls", ..base() }, Why::WrongUsage),
    ];
    for (name, draft, why) in cases {
        let found = opened(draft.message(), &trust());
        assert_eq!((found.standing, found.why()), (Standing::Unsigned, Some(why)), "{name}");
        assert!(found.signatures[0].authenticated.is_empty(), "{name}");
    }
}

#[test]
fn a_certificate_that_was_taken_back_signs_nothing() {
    let draft = |crls| Draft { signer: "revoked", crls, ..Draft::default() };
    assert_eq!(opened(draft(vec![]).message(), &trust()).line(), "authentic: valid");
    let found = opened(draft(vec!["crl"]).message(), &trust());
    assert!(
        matches!(found.why(), Some(Why::KeyRevoked(reason)) if reason.contains("key compromise")),
        "{:?}",
        found.why()
    );
    assert_eq!(found.standing, Standing::Unsigned);
}

#[test]
fn another_signer_is_not_the_author() {
    let found = opened(Draft { signer: "mallory", ..Draft::default() }.message(), &trust());
    assert_eq!(found.line(), "signed: valid");
    let addresses: Vec<String> =
        found.signatures[0].authenticated.iter().map(|one| one.address().to_string()).collect();
    assert_eq!(addresses, ["mallory@example.net"]);
}

/// Anyone can make a certificate with the issuer and the serial number of another.
#[test]
fn a_false_certificate_of_the_same_name_does_not_hide_the_true_one() {
    let mut changed = der("ed25519");
    let at = changed.len() - 200;
    changed[at] ^= 1;
    let mut draft = Draft::default();
    draft.extra.push(changed);
    assert_eq!(opened(draft.message(), &trust()).line(), "authentic: valid");
}

#[test]
fn floods_are_refused() {
    let crowd = Draft { extra: vec![der("tls"); 10_000], ..Draft::default() };
    let found = opened(crowd.message(), &trust());
    assert_eq!(found.why(), Some(Why::Malformed("layer: more than 64 certificates".to_owned())));
    let found = opened(Draft { signers: 33, ..Draft::default() }.message(), &trust());
    assert_eq!(found.why(), Some(Why::Malformed("layer: more than 32 signatures".to_owned())));
    let found = opened(detached(TEXT, &[0x30, 0x80].repeat(1_000_000)), &trust());
    assert_eq!(found.why(), Some(Why::Malformed("asn.1: more than 64 elements within one another".to_owned())));
    let opaque = Draft { content: Content::Inside, extra: vec![der("tls"); 10_000], ..Draft::default() };
    assert_eq!(opened(opaque.message(), &trust()).error.as_deref(), Some("layer: more than 64 certificates"));
}

#[test]
fn three_parts_are_refused() {
    let message = Draft::default().message().replace("--b--", "--b\r\n\r\nand more\r\n--b--");
    assert_eq!(opened(message, &trust()).error.as_deref(), Some("multipart/signed: has 3 parts instead of 2"));
}

#[test]
fn wrapped_messages_are_named() {
    let message = "From: alice@example.org\nContent-Type: application/ms-tnef; name=winmail.dat\n\nIPM.Note.SMIME.MultipartSigned\n";
    let error = opened(message.to_owned(), &trust()).error.unwrap();
    assert_eq!(error, "application/ms-tnef: microsoft exchange wrapped an s/mime message into its own format (tnef)");
}

#[test]
fn spellings_of_other_programs_open() {
    let (clear, opaque) = (testdata("clear"), testdata("opaque-stream"));
    let pem = |message: &str| {
        let (header, body) = message.split_once("\n\n").unwrap();
        format!("{header}\n\n-----BEGIN PKCS7-----\n{}\n-----END PKCS7-----\n", body.trim())
    };
    let odd = |message: &str| {
        let (header, body) = message.split_once("\n\n").unwrap();
        let broken: Vec<String> =
            body.trim().as_bytes().chunks(7).map(|piece| String::from_utf8_lossy(piece).into()).collect();
        format!("{header}\n\n{}\n", broken.join(" \n\n\t"))
    };
    let clear_as = |from: &str, to: &str| replaced(&clear, from, to);
    let opaque_as = |from: &str, to: &str| replaced(&opaque, from, to);
    for (name, message) in [
        ("x-pkcs7-signature", clear_as("pkcs7-signature", "x-pkcs7-signature")),
        ("no micalg", clear_as("micalg=\"sha-256\"; ", "")),
        ("wrong micalg", clear_as("micalg=\"sha-256\";", "micalg=md5;")),
        ("no protocol", clear_as("protocol=\"application/pkcs7-signature\"; ", "")),
        ("x-pkcs7-mime", opaque_as("application/pkcs7-mime", "application/x-pkcs7-mime")),
        ("no smime-type", opaque_as("smime-type=signed-data; ", "")),
        ("another smime-type", opaque_as("smime-type=signed-data;", "smime-type=enveloped-data;")),
        ("octet-stream", opaque_as("application/pkcs7-mime", "application/octet-stream")),
    ] {
        assert_eq!(opened(message, &trust()).line(), "authentic: valid", "{name}");
    }
    // They open, and have no author: readers decode their bodies differently.
    for (name, message) in [
        ("no encoding named", opaque_as("Content-Transfer-Encoding: base64\n", "")),
        ("pem", pem(&opaque)),
        ("odd breaks", odd(&opaque)),
    ] {
        assert_eq!(opened(message, &trust()).line(), "signed: valid", "{name}");
    }
}

fn replaced(message: &str, from: &str, to: &str) -> String {
    assert!(message.contains(from), "{from}");
    message.replace(from, to)
}

/// What came of one message.
struct Found {
    standing: Standing,
    signatures: Vec<Signature>,
    payload: Option<String>,
    error: Option<String>,
}

impl Found {
    fn line(&self) -> String {
        let one = |signature: &Signature| match (&signature.state, &signature.reservation) {
            (State::Valid(_), None) => "valid".to_owned(),
            (State::Valid(_), Some(why)) => format!("valid but {why}"),
            (State::Invalid(why) | State::Unknown(why), _) => format!("{}: {why}", signature.state.name()),
        };
        let signatures: Vec<String> = self.signatures.iter().map(one).collect();
        format!("{}: {}", self.standing.name(), signatures.join(", "))
    }

    /// Why the first signature does not hold.
    fn why(&self) -> Option<Why> {
        match &self.signatures.first()?.state {
            State::Invalid(why) | State::Unknown(why) => Some(why.clone()),
            State::Valid(_) => None,
        }
    }
}

fn opened(message: String, keys: &Memory) -> Found {
    let clock = FixedClock(parse_rfc3339(NOW).unwrap());
    let (legacy, revocation) = (Legacy::Refuse, Revocation::Soft);
    let context = Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation };
    let engine = Engine::new(context, Limits::default());
    let message = Message::parse(message.into_bytes(), &mut engine.budget()).unwrap();
    let opening = engine.open(message).unwrap();
    let signatures = opening.verdict().layers().iter().flat_map(|layer| match &layer.kind {
        LayerKind::Signed { signatures } => signatures.clone(),
        _ => Vec::new(),
    });
    Found {
        standing: opening.verdict().standing(),
        signatures: signatures.collect(),
        payload: opening.payload().map(|payload| String::from_utf8_lossy(payload.octets()).into_owned()),
        error: opening.error().map(ToString::to_string),
    }
}

/// The root as a trust anchor, and nothing else.
fn trust() -> Memory {
    let mut record = keyfile::describe(&der("root"), "root").unwrap().record;
    record.bind(Binding::Anchor);
    let mut memory = Memory::new();
    memory.add(record);
    memory
}

fn testdata(name: &str) -> String {
    fs::read_to_string(format!("{}/testdata/smime/{name}.eml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// What is in a PEM file.
fn der(name: &str) -> Vec<u8> {
    let pem = fs::read_to_string(format!("{}/testdata/smime/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap();
    base64_decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>().as_bytes())
}

/// A message as it is to be signed by the key of testdata, with whatever is to be wrong with it.
struct Draft {
    /// What is hashed.
    text: Vec<u8>,
    /// What is sent.
    shown: Vec<u8>,
    content: Content,
    content_type: &'static [u8],
    digest: &'static [u8],
    /// Signed; empty: none.
    attributes: Vec<Vec<u8>>,
    /// Sent in their stead.
    sent: Option<Vec<Vec<u8>>>,
    order: Order,
    signer: &'static str,
    id: Id,
    signers: usize,
    certificates: Vec<&'static str>,
    extra: Vec<Vec<u8>>,
    crls: Vec<&'static str>,
    /// The octet of the signature that is changed; 0: none.
    flip: usize,
}

#[derive(PartialEq)]
enum Content {
    Beside,
    Both,
    Inside,
}

enum Id {
    Issuer,
    Key,
}

enum Order {
    AsIs,
    Der,
}

impl Default for Draft {
    fn default() -> Self {
        Draft {
            text: TEXT.into(),
            shown: TEXT.into(),
            content: Content::Beside,
            content_type: DATA,
            digest: SHA512,
            attributes: vec![content_type(DATA), message_digest(&Hash::Sha512.digest(TEXT.as_bytes()))],
            sent: None,
            order: Order::Der,
            signer: "ed25519",
            id: Id::Issuer,
            signers: 1,
            certificates: vec!["ed25519", "expired", "future", "mallory", "revoked", "tls", "untrusted", "middle"],
            extra: Vec::new(),
            crls: Vec::new(),
            flip: 0,
        }
    }
}

impl Draft {
    fn message(mut self) -> String {
        if self.text != TEXT.as_bytes() && !self.attributes.is_empty() {
            self.attributes[1] = message_digest(&Hash::Sha512.digest(&self.text));
        }
        let cms = self.cms();
        match self.content {
            Content::Inside => format!(
                "From: alice@example.org\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{}",
                String::from_utf8(base64_encode(&cms)).unwrap()
            ),
            Content::Beside | Content::Both => detached(str::from_utf8(&self.shown).unwrap(), &cms),
        }
    }

    fn cms(&self) -> Vec<u8> {
        let content = match self.content {
            Content::Beside => Vec::new(),
            Content::Both | Content::Inside => tlv(0xa0, &tlv(4, &self.shown)),
        };
        let encapsulated = tlv(0x30, &[oid(self.content_type), content].concat());
        let certificates: Vec<u8> =
            self.extra.iter().cloned().chain(self.certificates.iter().map(|name| der(name))).flatten().collect();
        let crls: Vec<u8> = self.crls.iter().flat_map(|name| der(name)).collect();
        let crls = if crls.is_empty() { crls } else { tlv(0xa1, &crls) };
        let signers = tlv(0x31, &self.signer_info().repeat(self.signers));
        let digests = tlv(0x31, &algorithm(self.digest));
        let data = [tlv(2, &[1]), digests, encapsulated, tlv(0xa0, &certificates), crls, signers].concat();
        tlv(0x30, &[oid(SIGNED), tlv(0xa0, &tlv(0x30, &data))].concat())
    }

    fn signer_info(&self) -> Vec<u8> {
        let certificate = Certificate::parse(&der(self.signer)).unwrap();
        let id = match self.id {
            Id::Issuer => tlv(0x30, &[certificate.issuer().der().to_vec(), tlv(2, certificate.serial())].concat()),
            Id::Key => tlv(0x80, certificate.key_identifier().unwrap()),
        };
        let mut sorted = self.attributes.clone();
        if let Order::Der = self.order {
            sorted.sort();
        }
        let (signed, sent) = match self.attributes.is_empty() {
            true => (self.text.clone(), Vec::new()),
            false => (tlv(0x31, &sorted.concat()), tlv(0xa0, &self.sent.as_ref().unwrap_or(&self.attributes).concat())),
        };
        let mut signature = key(&certificate).sign(Scheme::EdDsa, &signed).unwrap();
        if self.flip > 0 {
            signature[self.flip] ^= 1;
        }
        let fields = [tlv(2, &[1]), id, algorithm(self.digest), sent, algorithm(ED25519), tlv(4, &signature)].concat();
        tlv(0x30, &fields)
    }
}

fn detached(text: &str, cms: &[u8]) -> String {
    let signature = String::from_utf8(base64_encode(cms)).unwrap();
    format!(
        "From: alice@example.org\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n\
         --b\r\n{text}\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {signature}\r\n--b--\r\n"
    )
}

fn key(certificate: &Certificate) -> SoftwareKey {
    let pkcs8 = der("ed25519.key");
    let seed = Secret::new(pkcs8[pkcs8.len() - 32..].to_vec());
    SoftwareKey::ed25519(&seed, certificate.public_key().octets()).unwrap()
}

fn content_type(kind: &[u8]) -> Vec<u8> {
    attribute(CONTENT_TYPE, &oid(kind))
}

fn message_digest(digest: &[u8]) -> Vec<u8> {
    attribute(MESSAGE_DIGEST, &tlv(4, digest))
}

/// CMSAlgorithmProtection.
fn protection(digest: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut signature = algorithm(signature);
    signature[0] = 0xa1;
    attribute(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x34", &tlv(0x30, &[algorithm(digest), signature].concat()))
}

/// SigningCertificateV2.
fn signing_certificate(name: &str) -> Vec<u8> {
    let id = tlv(0x30, &tlv(4, &Hash::Sha256.digest(&der(name))));
    attribute(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f", &tlv(0x30, &tlv(0x30, &id)))
}

fn strange() -> Vec<u8> {
    attribute(b"\x2a\x03\x04", &tlv(4, b"?"))
}

fn attribute(kind: &[u8], values: &[u8]) -> Vec<u8> {
    tlv(0x30, &[oid(kind), tlv(0x31, values)].concat())
}

fn algorithm(kind: &[u8]) -> Vec<u8> {
    tlv(0x30, &oid(kind))
}

fn oid(kind: &[u8]) -> Vec<u8> {
    tlv(6, kind)
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let header = match length {
        0..=0x7f => vec![tag, length as u8],
        _ => {
            let octets: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
            [vec![tag, 0x80 | octets.len() as u8], octets].concat()
        }
    };
    [header, value.to_vec()].concat()
}

const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ED25519: &[u8] = b"\x2b\x65\x70";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
const RSA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
