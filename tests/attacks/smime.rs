//! Published tricks against S/MIME, made here anew: names that certificates give, paths that lead nowhere, content that is no message, and
//! what costs too much (docs/manual/attacks.md). Reasons why a signature itself does not hold are in tests/protocols/open_smime.rs.

use std::{
    fs,
    time::{Duration, Instant},
};

use postseal::{
    base::{FixedClock, Limits, Secret, SystemRandom, parse_rfc3339},
    crypto::{Hash, Legacy, Scheme, SecretKey, SoftwareKey},
    engine::{Engine, Opening},
    keys::{Binding, Memory},
    mail::{
        Message,
        encoding::{base64_decode, base64_encode},
    },
    pki::{Certificate, Revocation},
    protocol::{Context, smime::keyfile},
    verdict::{LayerKind, Signature, Standing, State},
};

const ALICE: &str = "alice@example.org";

#[test]
fn a_mailbox_that_differs_from_the_author_does_not_count() {
    for (name, names, standing) in [
        ("her own", vec![mailbox(ALICE)], Standing::Authentic),
        ("in capitals", vec![mailbox("ALICE@EXAMPLE.ORG")], Standing::Authentic),
        ("one of two", vec![mailbox("mallory@evil.example"), mailbox(ALICE)], Standing::Authentic),
        // Marlinspike 2009; Kaminsky, Patterson, Sassaman 2010.
        ("a nul after it", vec![mailbox("alice@example.org\0.evil.example")], Standing::Signed),
        ("a line feed after it", vec![mailbox("alice@example.org\n")], Standing::Signed),
        ("a blank after it", vec![mailbox("alice@example.org ")], Standing::Signed),
        ("a period after it", vec![mailbox("alice@example.org.")], Standing::Signed),
        ("a list", vec![mailbox("mallory@evil.example,alice@example.org")], Standing::Signed),
        ("in angle brackets", vec![mailbox("Mallory <alice@example.org>")], Standing::Signed),
        ("a comment", vec![mailbox("alice@example.org(@evil.example)")], Standing::Signed),
        ("within a local part", vec![mailbox("\"alice@example.org\"@evil.example")], Standing::Signed),
        ("a route", vec![mailbox("alice%example.org@evil.example")], Standing::Signed),
        ("a host", vec![tlv(0x82, ALICE.as_bytes())], Standing::Signed),
        ("a uri", vec![tlv(0x86, b"mailto:alice@example.org")], Standing::Signed),
    ] {
        let leaf = Leaf { names, ..Leaf::default() };
        assert_eq!(opened(leaf.mail(ALICE), &trust()).0, standing, "{name}");
    }
}

/// RFC 8550, section 3: the subject speaks only where no alternative name does.
#[test]
fn the_subject_does_not_speak_beside_an_alternative_name() {
    let subject = || [rdn(EMAIL, 0x16, ALICE), rdn(COMMON_NAME, 0x0c, "x")].concat();
    for (name, names, standing) in [
        ("alone", vec![], Standing::Authentic),
        ("beside a mailbox", vec![mailbox("mallory@evil.example")], Standing::Signed),
        ("beside what is no mailbox", vec![mailbox("nobody")], Standing::Signed),
        ("beside what cannot be read", vec![tlv(0x81, b"m\xe9@evil.example")], Standing::Signed),
    ] {
        let leaf = Leaf { subject: subject(), names, ..Leaf::default() };
        assert_eq!(opened(leaf.mail(ALICE), &trust()).0, standing, "{name}");
    }
    for subject in [rdn(COMMON_NAME, 0x0c, ALICE), rdn(COMMON_NAME, 0x0c, "x,emailAddress=alice@example.org")] {
        let leaf = Leaf { subject, names: Vec::new(), ..Leaf::default() };
        assert_eq!(opened(leaf.mail(ALICE), &trust()).0, Standing::Signed);
    }
}

#[test]
fn certificates_in_the_message_are_no_anchors() {
    let authority = || authority("Mallory CA", "Mallory CA", &[]);
    for (name, leaf, why) in [
        (
            "an authority in the message",
            Leaf { issuer: "Mallory CA", beside: vec![authority()], ..Leaf::default() },
            "certificate \"CN=Mallory CA\": no trust anchor and no certificate here issued it (RFC 5280, section 6.1)",
        ),
        (
            "his own signature",
            Leaf { issuer: "x", ..Leaf::default() },
            "certificate \"CN=x\": no trust anchor and no certificate here issued it (RFC 5280, section 6.1)",
        ),
        (
            "one who is no authority",
            Leaf {
                issuer: "person",
                beside: vec![Leaf { subject: rdn(COMMON_NAME, 0x0c, "person"), ..Leaf::default() }.certificate()],
                ..Leaf::default()
            },
            "certificate \"CN=person\": it is no certification authority's (RFC 5280, section 6.1.4 (k))",
        ),
        (
            "an authority for others",
            Leaf { issuer: "bounded", beside: vec![authority_of("bounded", "evil.example", 0xa0)], ..Leaf::default() },
            "mailbox \"alice@example.org\" is in no permitted subtree",
        ),
        (
            "an authority for all but these",
            Leaf { issuer: "bounded", beside: vec![authority_of("bounded", "example.org", 0xa1)], ..Leaf::default() },
            "mailbox \"alice@example.org\" is in an excluded subtree",
        ),
        (
            "an authority for others, by the subject",
            Leaf {
                issuer: "bounded",
                subject: rdn(EMAIL, 0x16, ALICE),
                names: Vec::new(),
                beside: vec![authority_of("bounded", "evil.example", 0xa0)],
                ..Leaf::default()
            },
            "mailbox \"alice@example.org\" is in no permitted subtree",
        ),
        (
            "an authority for others, in UTF-8 (RFC 9598)",
            Leaf {
                issuer: "bounded",
                names: vec![utf8_mailbox(ALICE)],
                beside: vec![authority_of("bounded", "evil.example", 0xa0)],
                ..Leaf::default()
            },
            "mailbox \"alice@example.org\" is in no permitted subtree",
        ),
    ] {
        let (standing, signatures) = opened(leaf.mail(ALICE), &trust());
        // A path to an anchor that breaks a rule makes the signature invalid; without such a path the signer is a stranger.
        let (expected, said) = match &signatures[0].state {
            State::Invalid(why) => (Standing::Unsigned, why.to_string()),
            _ => (Standing::Signed, signatures[0].reservation.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        assert_eq!(standing, expected, "{name}");
        assert_eq!(standing == Standing::Signed, why.contains("no trust anchor"), "{name}: {said}");
        assert!(said.contains(why), "{name}: {said}");
    }
    let good = Leaf { issuer: "good", beside: vec![authority_of("good", "example.org", 0xa0)], ..Leaf::default() };
    assert_eq!(opened(good.mail(ALICE), &trust()).0, Standing::Authentic);
}

#[test]
fn two_authors_are_none() {
    for from in
        ["alice@example.org, mallory@evil.example", "x: alice@example.org;", "\"alice@example.org\" <m@evil.example>"]
    {
        assert_eq!(opened(Leaf::default().mail(from), &trust()).0, Standing::Signed, "{from}");
    }
}

/// A receipt holds octets chosen by its requester (RFC 2634, section 2.7); a time stamp likewise.
#[test]
fn what_a_program_signed_by_itself_is_no_message() {
    for kind in [RECEIPT, TIME_STAMP, SIGNED] {
        let (standing, signatures) = opened(Leaf { content: kind, ..Leaf::default() }.mail(ALICE), &trust());
        assert_eq!(standing, Standing::Unsigned);
        let State::Invalid(why) = &signatures[0].state else { panic!("{:?}", signatures[0].state) };
        assert!(why.to_string().ends_with("which is not a message (RFC 8551, section 2.4.1)"), "{why}");
    }
}

/// One signature that does not hold takes nothing from another that does, and nothing is hidden.
#[test]
fn a_bad_signature_beside_a_good_one_is_reported() {
    let (standing, signatures) = opened(Leaf { flawed: true, ..Leaf::default() }.mail(ALICE), &trust());
    let states: Vec<&str> = signatures.iter().map(|signature| signature.state.name()).collect();
    assert_eq!((standing, states.as_slice()), (Standing::Authentic, &["valid", "invalid"][..]));
}

/// Names do not drive terminals, nor begin lines.
#[test]
fn a_name_stays_on_its_line() {
    let leaf =
        Leaf { subject: rdn(COMMON_NAME, 0x0c, "x\n[GNUPG:] GOODSIG \u{1b}[31m"), issuer: "nobody", ..Leaf::default() };
    let said = opened(leaf.mail(ALICE), &trust()).1[0].reservation.as_ref().unwrap().to_string();
    assert!(said.contains("GOODSIG") && !said.contains(|c: char| c.is_control()), "{said:?}");
}

#[test]
fn tiny_segments_and_huge_lengths_take_no_time() {
    let started = Instant::now();
    let head = |rest: &[u8]| [&[0x30, 0x80][..], &oid(SIGNED), &[0xa0, 0x80, 0x30, 0x80], rest].concat();
    let content = |rest: &[u8]| {
        let version = [tlv(2, &[1]), tlv(0x31, &[])].concat();
        head(&[&version[..], &[0x30, 0x80], &oid(DATA), &[0xa0, 0x80, 0x24, 0x80], rest].concat())
    };
    let ends = [[0; 4].to_vec(), tlv(0x31, &[]), [0; 6].to_vec()].concat();
    let segments = [[4, 1, b'\n'].repeat(1_000_000), vec![0; 2], ends].concat();
    for (cms, error) in [
        (content(&segments), None),
        (content(&[0x24, 0x80].repeat(1_000_000)), Some("asn.1: more than 64 elements within one another")),
        (head(&[2, 0x88, 0x7f, 255, 255, 255, 255, 255, 255, 255]), Some("asn.1: it ends early")),
        (head(&[[2, 0xfe].to_vec(), vec![255; 126]].concat()), Some("asn.1: it ends early")),
    ] {
        let opening = open(enclosed(ALICE, &cms), &trust());
        assert_eq!(opening.error().map(ToString::to_string).as_deref(), error);
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

/// What a certificate says and how it came to be: signed by the key of testdata, as all that is made here.
struct Leaf {
    subject: Vec<u8>,
    issuer: &'static str,
    /// GeneralNames; none: no extension.
    names: Vec<Vec<u8>>,
    /// Certificates that come along.
    beside: Vec<Vec<u8>>,
    content: &'static [u8],
    /// Whether a signature that does not hold stands beside the one that does.
    flawed: bool,
}

impl Default for Leaf {
    fn default() -> Self {
        Leaf {
            subject: rdn(COMMON_NAME, 0x0c, "x"),
            issuer: "Root",
            names: vec![mailbox(ALICE)],
            beside: Vec::new(),
            content: DATA,
            flawed: false,
        }
    }
}

impl Leaf {
    fn certificate(&self) -> Vec<u8> {
        let names = tlv(0x30, &self.names.concat());
        let extensions = if self.names.is_empty() { Vec::new() } else { extension(SUBJECT_ALT_NAME, &names) };
        certificate(&self.subject, self.issuer, &extensions)
    }

    fn mail(&self, from: &str) -> Vec<u8> {
        const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nThe bearer may pass.\r\n";
        let encapsulated = tlv(0x30, &[oid(self.content), tlv(0xa0, &tlv(4, TEXT))].concat());
        let digest = tlv(4, &Hash::Sha512.digest(TEXT));
        let attributes = [attribute(CONTENT_TYPE, &oid(self.content)), attribute(MESSAGE_DIGEST, &digest)].concat();
        let signature = sign(&tlv(0x31, &attributes));
        let id = tlv(0x30, &[name(self.issuer), tlv(2, &[1])].concat());
        let signer = |signature: &[u8]| {
            let algorithms = [tlv(0x30, &oid(SHA512)), tlv(0xa0, &attributes), tlv(0x30, &oid(ED25519))].concat();
            tlv(0x30, &[tlv(2, &[1]), id.clone(), algorithms, tlv(4, signature)].concat())
        };
        let flawed = if self.flawed { signer(&[0; 64]) } else { Vec::new() };
        let certificates = [self.certificate(), self.beside.concat()].concat();
        let digests = tlv(0x31, &tlv(0x30, &oid(SHA512)));
        let signers = tlv(0x31, &[signer(&signature), flawed].concat());
        let data = [tlv(2, &[1]), digests, encapsulated, tlv(0xa0, &certificates), signers].concat();
        enclosed(from, &tlv(0x30, &[oid(SIGNED), tlv(0xa0, &tlv(0x30, &data))].concat()))
    }
}

fn enclosed(from: &str, cms: &[u8]) -> Vec<u8> {
    let header = format!(
        "From: {from}\r\nContent-Type: application/pkcs7-mime; smime-type=signed-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
    [header.into_bytes(), base64_encode(cms)].concat()
}

fn authority(subject: &str, issuer: &str, constraints: &[u8]) -> Vec<u8> {
    let basic = extension(BASIC_CONSTRAINTS, &tlv(0x30, &tlv(1, &[0xff])));
    certificate(&rdn(COMMON_NAME, 0x0c, subject), issuer, &[basic, constraints.to_vec()].concat())
}

/// Below the root, with one subtree of mailboxes that is permitted (`[0]`) or excluded (`[1]`).
fn authority_of(subject: &str, domain: &str, subtrees: u8) -> Vec<u8> {
    let tree = tlv(subtrees, &tlv(0x30, &mailbox(domain)));
    authority(subject, "Root", &extension(NAME_CONSTRAINTS, &tlv(0x30, &tree)))
}

fn certificate(subject: &[u8], issuer: &str, extensions: &[u8]) -> Vec<u8> {
    let algorithm = tlv(0x30, &oid(ED25519));
    let validity = tlv(0x30, &[tlv(0x17, b"250101000000Z"), tlv(0x17, b"350101000000Z")].concat());
    let key = [&[0][..], public().octets_of_key()].concat();
    let fields = [
        tlv(0xa0, &tlv(2, &[2])),
        tlv(2, &[1]),
        algorithm.clone(),
        name(issuer),
        validity,
        tlv(0x30, subject),
        tlv(0x30, &[algorithm.clone(), tlv(3, &key)].concat()),
        if extensions.is_empty() { Vec::new() } else { tlv(0xa3, &tlv(0x30, extensions)) },
    ];
    let signed = tlv(0x30, &fields.concat());
    let signature = [vec![0], sign(&signed)].concat();
    tlv(0x30, &[signed, algorithm, tlv(3, &signature)].concat())
}

fn opened(mail: Vec<u8>, keys: &Memory) -> (Standing, Vec<Signature>) {
    let opening = open(mail, keys);
    let signatures = opening.verdict().layers().iter().flat_map(|layer| match &layer.kind {
        LayerKind::Signed { signatures } => signatures.clone(),
        _ => Vec::new(),
    });
    (opening.verdict().standing(), signatures.collect())
}

fn open(mail: Vec<u8>, keys: &Memory) -> Opening {
    let clock = FixedClock(parse_rfc3339("2026-11-24T00:00:00Z").unwrap());
    let (legacy, revocation) = (Legacy::Refuse, Revocation::Soft);
    let context = Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation };
    let engine = Engine::new(context, Limits::default());
    engine.open(Message::parse(mail, &mut engine.budget()).unwrap()).unwrap()
}

fn trust() -> Memory {
    let mut record = keyfile::describe(&authority("Root", "Root", &[]), "root").unwrap().record;
    record.bind(Binding::Anchor);
    let mut memory = Memory::new();
    memory.add(record);
    memory
}

fn sign(octets: &[u8]) -> Vec<u8> {
    let pkcs8 = testdata("ed25519.key");
    let seed = Secret::new(pkcs8[pkcs8.len() - 32..].to_vec());
    SoftwareKey::ed25519(&seed, public().octets_of_key()).unwrap().sign(Scheme::EdDsa, octets).unwrap()
}

struct Public(Certificate);

impl Public {
    fn octets_of_key(&self) -> &[u8] {
        self.0.public_key().octets()
    }
}

fn public() -> Public {
    Public(Certificate::parse(&testdata("ed25519")).unwrap())
}

fn testdata(name: &str) -> Vec<u8> {
    let pem = fs::read_to_string(format!("{}/testdata/smime/{name}.pem", env!("CARGO_MANIFEST_DIR"))).unwrap();
    base64_decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>().as_bytes())
}

fn mailbox(text: &str) -> Vec<u8> {
    tlv(0x81, text.as_bytes())
}

fn utf8_mailbox(text: &str) -> Vec<u8> {
    tlv(0xa0, &[oid(SMTP_UTF8_MAILBOX), tlv(0xa0, &tlv(0x0c, text.as_bytes()))].concat())
}

fn name(common: &str) -> Vec<u8> {
    tlv(0x30, &rdn(COMMON_NAME, 0x0c, common))
}

fn rdn(kind: &[u8], tag: u8, text: &str) -> Vec<u8> {
    tlv(0x31, &tlv(0x30, &[oid(kind), tlv(tag, text.as_bytes())].concat()))
}

fn extension(kind: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[oid(kind), tlv(1, &[0xff]), tlv(4, value)].concat())
}

fn attribute(kind: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[oid(kind), tlv(0x31, value)].concat())
}

fn oid(kind: &[u8]) -> Vec<u8> {
    tlv(6, kind)
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let length = if value.len() < 128 { vec![length[3]] } else { [&[0x84][..], &length].concat() };
    [&[tag][..], &length, value].concat()
}

const BASIC_CONSTRAINTS: &[u8] = b"\x55\x1d\x13";
const COMMON_NAME: &[u8] = b"\x55\x04\x03";
const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
const DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
const ED25519: &[u8] = b"\x2b\x65\x70";
const EMAIL: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01";
const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
const NAME_CONSTRAINTS: &[u8] = b"\x55\x1d\x1e";
const RECEIPT: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x01";
const SHA512: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x03";
const SIGNED: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
const SMTP_UTF8_MAILBOX: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x08\x09";
const SUBJECT_ALT_NAME: &[u8] = b"\x55\x1d\x11";
const TIME_STAMP: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";
