//! Seal, then let GnuPG and Sequoia's programs judge: every shape, for RSA-3072 and Curve25519 keys, with a fixed clock.

pub(crate) mod gnupg;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use gnupg::Gpg;
use postseal::{
    base::{Budget, Error, FixedClock, Hint, Kind, Limits, Secret, SystemRandom},
    crypto::{Hash, Legacy, SecretKey},
    engine::Engine,
    keys::{Binding, Handle, Keys, Memory, Passphrases, ProtocolName, Query, Record},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{
        Context, Described, Headers, Protocol, Recipient, Seal, Sealed, Shape, Signer,
        pgp::{
            Pgp,
            generate::{self, Profile, Request},
            keyfile,
        },
    },
    store,
    verdict::{Layer, LayerKind, State},
};

use crate::support::requirements::present;

/// 2026-11-23T12:00:00Z.
const NOW: u64 = 1_795_435_200;
const ALGORITHMS: [&str; 2] = ["rsa3072", "ed25519"];
const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];

/// An 8-bit body with trailing spaces, dashes and From at line starts, and an attachment.
const MESSAGE: &str = "Received: from a by b\r\nX-First: 1\r\nFrom: Alice <alice@example.org>\r\n\
To: Bob <bob@example.org>\r\nSubject: plans\r\nBcc: carol@example.org\r\n\
Content-Type: multipart/mixed; boundary=\"mixed\"\r\nMIME-Version: 1.0\r\nX-Last: 2\r\n\r\n\
--mixed\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
Gr\u{fc}\u{df}e aus K\u{f6}ln  \r\n\r\nFrom here on\t \r\n-- \r\nAlice\r\n\
--mixed\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
Content-Disposition: attachment; filename=\"a.bin\"\r\n\r\nAAECAwQFBgcICQ==\r\n--mixed--\r\n";

const TEXT: &str = "From: Alice <alice@example.org>\nTo: bob@example.org\nSubject: text\n\
Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\
Gr\u{fc}\u{df}e  \n-- \nFrom Alice\n- item\n";

/// A key ring with everyone's secrets, and a home of GnuPG with their certificates.
struct Fixture {
    algorithm: &'static str,
    people: &'static BTreeMap<&'static str, Vec<u8>>,
    gpg: Gpg,
    keys: Box<dyn Keys>,
}

/// The secret keys of alice, bob and carol for each algorithm, made by GnuPG. Homes are made and ended by each test; the slow part is not.
static SECRETS: LazyLock<BTreeMap<&'static str, BTreeMap<&'static str, Vec<u8>>>> = LazyLock::new(|| {
    let person = |algorithm, person| {
        let gpg = Gpg::new(NOW);
        gpg.generate(&format!("{person} <{person}@example.org>"), algorithm);
        (person, gpg.ok(&["--export-secret-keys"], b""))
    };
    let people = |algorithm| (algorithm, PEOPLE.into_iter().map(|name| person(algorithm, name)).collect());
    ALGORITHMS.into_iter().map(people).collect()
});

fn fixtures() -> Vec<Fixture> {
    if present(&["gpg"]) { ALGORITHMS.into_iter().map(Fixture::new).collect() } else { Vec::new() }
}

impl Fixture {
    fn new(algorithm: &'static str) -> Fixture {
        let people = &SECRETS[algorithm];
        let files: Vec<(&str, &[u8])> = people.iter().map(|(person, secret)| (*person, secret.as_slice())).collect();
        let keys = Box::new(load(&files));
        let gpg = Gpg::new(NOW);
        let alone = Gpg::new(NOW);
        for secret in people.values() {
            alone.ok(&["--import"], secret);
        }
        gpg.ok(&["--import"], &alone.ok(&["--export"], b""));
        Fixture { algorithm, people, gpg, keys }
    }

    /// A home that holds one person's secret key, and everyone's certificates.
    fn only(&self, person: &str) -> Gpg {
        let alone = Gpg::new(NOW);
        alone.ok(&["--import"], &self.gpg.ok(&["--export"], b""));
        alone.ok(&["--import"], &self.people[person]);
        alone
    }

    fn seal(&self, message: &str, how: &Seal) -> Result<(Vec<u8>, Sealed), Error> {
        seal(self.keys.as_ref(), message, how, Legacy::Refuse)
    }

    fn sealed(&self, message: &str, how: &Seal) -> Vec<u8> {
        self.seal(message, how).unwrap_or_else(|error| panic!("{}: {error}", self.algorithm)).0
    }
}

fn load(files: &[(&str, &[u8])]) -> impl Keys + use<> {
    store::load(files, &Arc::new(Passphrases::new(Vec::new())), &Limits::default()).unwrap().keys
}

fn seal(keys: &dyn Keys, message: &str, how: &Seal, legacy: Legacy) -> Result<(Vec<u8>, Sealed), Error> {
    let message = Message::parse(message.as_bytes().to_vec(), &mut Budget::new(Limits::default())).unwrap();
    let clock = FixedClock(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    let mut out = Vec::new();
    let context = Context { keys, clock: &clock, random: &SystemRandom, legacy, revocation: Revocation::Soft };
    match Pgp.seal(&message, how, context, &mut out) {
        Ok(sealed) => Ok((out, sealed)),
        Err(error) => {
            assert!(out.is_empty(), "{} octets were written before the refusal", out.len());
            Err(error)
        }
    }
}

fn address(person: &str) -> Address {
    Address::parse(&format!("{person}@example.org")).unwrap()
}

fn to(people: &[&str]) -> Vec<Recipient> {
    people.iter().map(|person| Recipient::Named(address(person))).collect()
}

fn signed() -> Seal {
    Seal { sign: vec![Signer::Author], ..Seal::default() }
}

/// The parts of a multipart message as a user would cut them out: between boundary lines, without the last line break.
fn cut(message: &[u8]) -> (String, Vec<Vec<u8>>) {
    let text = String::from_utf8_lossy(message);
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    let (_, rest) = header.split_once("boundary=\"").unwrap_or_else(|| panic!("no boundary in {header}"));
    let delimiter = format!("--{}", rest.split_once('"').unwrap().0);
    let mut starts: Vec<usize> = Vec::new();
    let mut from = 0;
    while let Some(at) = find(&message[from..], delimiter.as_bytes()) {
        starts.push(from + at);
        from += at + delimiter.len();
    }
    let parts = starts.windows(2).map(|pair| {
        let start = pair[0] + delimiter.len() + 2;
        message[start..pair[1] - 2].to_vec()
    });
    let parts = parts.collect();
    assert!(message[starts[starts.len() - 1]..].starts_with(format!("{delimiter}--").as_bytes()), "not closed");
    (header.to_owned(), parts)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn body(part: &[u8]) -> &[u8] {
    &part[find(part, b"\r\n\r\n").unwrap() + 4..]
}

fn assert_has(text: &[u8], what: &str) {
    assert!(find(text, what.as_bytes()).is_some(), "no {what:?} in {}", String::from_utf8_lossy(text));
}

/// What GnuPG and sqv say of a multipart/signed message.
fn assert_verifies(fixture: &Fixture, message: &[u8], switches: &[&str]) -> String {
    let (header, parts) = cut(message);
    let [part, signature] = parts.as_slice() else { panic!("{} parts", parts.len()) };
    let file = |name: &str, octets: &[u8]| {
        let path = fixture.gpg.home().join(name);
        std::fs::write(&path, octets).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (sig, data) = (file("sig.asc", body(signature)), file("part", part));
    let mut arguments = switches.to_vec();
    arguments.extend(["--verify", &sig, &data]);
    let run = fixture.gpg.run(&arguments, b"");
    assert!(run.success, "{}: {}", fixture.algorithm, run.status);
    assert!(run.status.contains("GOODSIG") && run.status.contains("VALIDSIG"), "{}", run.status);

    let mut changed = part.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let data = file("changed", &changed);
    let run = fixture.gpg.run(&[switches, &["--verify", &sig, &data]].concat(), b"");
    assert!(run.status.contains("BADSIG"), "a changed octet: {}", run.status);
    header
}

#[test]
fn mime_signed() {
    for fixture in fixtures().iter() {
        let message = fixture.sealed(MESSAGE, &signed());
        let header = assert_verifies(fixture, &message, &[]);
        assert!(header.contains("micalg=pgp-sha512"), "{header}");
        let names: Vec<&str> = header
            .lines()
            .filter(|line| !line.starts_with(' '))
            .filter_map(|line| Some(line.split_once(':')?.0))
            .collect();
        assert_eq!(
            names,
            ["Received", "X-First", "From", "To", "Subject", "Bcc", "MIME-Version", "X-Last", "Content-Type"]
        );
        let part = &cut(&message).1[0];
        assert!(part.is_ascii() && part.starts_with(b"Content-Type: multipart/mixed"));
        assert!(part.split(|octet| *octet == b'\n').all(|line| !line.ends_with(b" \r") && !line.starts_with(b"From ")));
    }
}

#[test]
fn mime_signed_verifies_in_sqv() {
    for fixture in fixtures().iter().filter(|_| present(&["sqv"])) {
        let message = fixture.sealed(MESSAGE, &signed());
        let (_, parts) = cut(&message);
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str, octets: &[u8]| {
            std::fs::write(place.path().join(name), octets).unwrap();
            place.path().join(name)
        };
        let ring = write("ring", &fixture.gpg.ok(&["--export"], b""));
        let (sig, part) = (write("sig", body(&parts[1])), write("part", &parts[0]));
        let run = std::process::Command::new("sqv").arg("--keyring").args([&ring, &sig, &part]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let changed = write("changed", &[&parts[0][..], b"x"].concat());
        let run = std::process::Command::new("sqv").arg("--keyring").args([&ring, &sig, &changed]).output().unwrap();
        assert!(!run.status.success());
    }
}

#[test]
fn mime_encrypted_to_two_and_one_in_bcc() {
    for fixture in fixtures().iter() {
        let message = fixture.sealed(MESSAGE, &Seal { to: to(&["bob", "alice", "carol"]), ..Seal::default() });
        let (header, parts) = cut(&message);
        assert!(header.contains("multipart/encrypted") && header.contains("Subject: plans"));
        assert!(!String::from_utf8_lossy(&message).contains("carol"), "nobody else's copy names her: {header}");
        assert_eq!(body(&parts[0]), b"Version: 1\r\n");
        let armor = body(&parts[1]);
        assert!(find(armor, b"Version:").is_none() && find(armor, b"Comment:").is_none());
        let packets = fixture.gpg.run(&["--list-packets", "--list-only"], armor);
        let shown = String::from_utf8_lossy(&packets.stdout).into_owned();
        assert_eq!(shown.matches("pubkey enc packet").count(), 3, "{shown}");
        assert_eq!(shown.matches("keyid 0000000000000000").count(), 1, "carol is in Bcc alone: {shown}");
        for person in ["alice", "bob", "carol"] {
            let alone = fixture.only(person);
            let run = alone.run(&["--decrypt"], armor);
            assert!(run.success && run.status.contains("GOODMDC"), "{person}: {}", run.status);
            let (_, content) = MESSAGE.split_once("\r\n\r\n").unwrap();
            assert_eq!(
                String::from_utf8_lossy(&run.stdout),
                format!("Content-Type: multipart/mixed; boundary=\"mixed\"\r\n\r\n{content}")
            );
        }
    }
}

#[test]
fn mime_signed_and_encrypted_in_one() {
    for fixture in fixtures().iter() {
        let message = fixture.sealed(MESSAGE, &Seal { to: to(&["bob"]), ..signed() });
        let run = fixture.only("bob").run(&["--decrypt"], body(&cut(&message).1[1]));
        for word in ["DECRYPTION_OKAY", "GOODMDC", "GOODSIG", "VALIDSIG"] {
            assert!(run.status.contains(word), "{word}: {}", run.status);
        }
        assert!(run.stdout.is_ascii(), "RFC 3156, section 3");
        assert_has(&run.stdout, "AAECAwQFBgcICQ==");
    }
}

#[test]
fn mime_nested() {
    for fixture in fixtures().iter() {
        let how = Seal { to: to(&["bob"]), shape: Shape::Nested, ..signed() };
        let message = fixture.sealed(MESSAGE, &how);
        let run = fixture.only("bob").run(&["--decrypt"], body(&cut(&message).1[1]));
        assert!(run.status.contains("GOODMDC") && !run.status.contains("GOODSIG"), "{}", run.status);
        assert!(assert_verifies(fixture, &run.stdout, &[]).starts_with("Content-Type: multipart/signed"));
    }
}

#[test]
fn inline_cleartext() {
    for fixture in fixtures().iter() {
        let message = fixture.sealed(TEXT, &Seal { shape: Shape::Inline, ..signed() });
        let parsed = Message::parse(message.clone(), &mut Budget::new(Limits::default())).unwrap();
        assert_eq!(parsed.root().header("Content-Type").as_deref(), Some("text/plain; charset=utf-8"));
        let decoded = parsed.root().decoded().into_owned();
        assert!(message.is_ascii());
        assert_has(&decoded, "- -- \r\n- From Alice\r\n- - item\r\n");
        let run = fixture.gpg.run(&["--decrypt"], &decoded);
        assert!(run.status.contains("GOODSIG"), "{}", run.status);
        let shown = String::from_utf8(run.stdout).unwrap().replace('\r', "");
        assert_eq!(
            shown.trim_end(),
            "Gr\u{fc}\u{df}e\n--\nFrom Alice\n- item",
            "without the white space that is not signed"
        );
        let changed = String::from_utf8(decoded).unwrap().replace("item", "iten");
        assert!(fixture.gpg.run(&["--verify"], changed.as_bytes()).status.contains("BADSIG"));
    }
}

#[test]
fn inline_opaque_and_inline_encrypted() {
    for fixture in fixtures().iter() {
        let message = fixture.sealed(TEXT, &Seal { shape: Shape::Opaque, ..signed() });
        let run = fixture.gpg.run(&["--decrypt"], body(&message));
        assert!(run.status.contains("GOODSIG"), "{}", run.status);
        let content = TEXT.split_once("\n\n").unwrap().1.replace('\n', "\r\n");
        assert_eq!(String::from_utf8(run.stdout).unwrap(), content);

        for sign in [Vec::new(), vec![Signer::Author]] {
            let count = sign.len();
            let how = Seal { shape: Shape::Inline, to: to(&["bob"]), sign, ..Seal::default() };
            let run = fixture.only("bob").run(&["--decrypt"], body(&fixture.sealed(TEXT, &how)));
            assert_eq!(run.status.matches("GOODSIG").count(), count, "{}", run.status);
            assert_eq!(String::from_utf8(run.stdout).unwrap(), content);
        }
    }
}

#[test]
fn inline_refuses_what_it_cannot_hold() {
    for fixture in fixtures().iter() {
        let error = fixture.seal(MESSAGE, &Seal { shape: Shape::Inline, ..signed() }).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(error.to_string(), "inline: the message is multipart/mixed, not text/plain");
    }
}

#[test]
fn hidden_recipients_have_wildcard_key_ids() {
    for fixture in fixtures().iter() {
        let how = Seal { to: vec![Recipient::Hidden(address("bob"))], ..signed() };
        let message = fixture.sealed(TEXT, &how);
        let armor = cut(&message).1[1].clone();
        let shown = fixture.gpg.run(&["--list-packets", "--list-only"], body(&armor)).stdout;
        assert_has(&shown, "keyid 0000000000000000");
        assert!(fixture.only("bob").run(&["--decrypt"], body(&armor)).status.contains("DECRYPTION_OKAY"));
    }
}

#[test]
fn passwords() {
    for fixture in fixtures().iter().take(1) {
        let how = Seal { passwords: vec![Secret::from("correct horse")], to: to(&["carol"]), ..Seal::default() };
        let message = fixture.sealed(TEXT, &how);
        let armor = cut(&message).1[1].clone();
        let read = |password| {
            let switches = ["--pinentry-mode", "loopback", "--passphrase", password, "--decrypt"];
            fixture.only("bob").run(&switches, body(&armor)).status
        };
        assert!(read("correct horse").contains("GOODMDC"), "{}", read("correct horse"));
        assert!(!read("wrong horse").contains("DECRYPTION_OKAY"));
    }
}

#[test]
fn several_signers_share_one_digest() {
    for fixture in fixtures().iter() {
        let sign = ["alice", "bob"].map(|person| Signer::Address(address(person))).to_vec();
        let message = fixture.sealed(MESSAGE, &Seal { sign: sign.clone(), ..Seal::default() });
        let (_, parts) = cut(&message);
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("s"), body(&parts[1])).unwrap();
        std::fs::write(place.path().join("p"), &parts[0]).unwrap();
        let name = |file: &str| place.path().join(file).to_str().unwrap().to_owned();
        let run = fixture.gpg.run(&["--verify", &name("s"), &name("p")], b"");
        assert_eq!(run.status.matches("GOODSIG").count(), 2, "{}", run.status);

        let message = fixture.sealed(MESSAGE, &Seal { sign, to: to(&["bob"]), ..Seal::default() });
        let run = fixture.only("bob").run(&["--decrypt"], body(&cut(&message).1[1]));
        assert_eq!(run.status.matches("GOODSIG").count(), 2, "{}", run.status);
    }
}

#[test]
fn legacy_digests() {
    for fixture in fixtures().iter().filter(|fixture| fixture.algorithm == "rsa3072") {
        for (hash, name) in [(Hash::Sha1, "sha1"), (Hash::Md5, "md5"), (Hash::Ripemd160, "ripemd160")] {
            let how = Seal { digest: Some(hash), ..signed() };
            let refused = fixture.seal(MESSAGE, &how).unwrap_err();
            assert_eq!((refused.kind(), refused.to_string()), (Kind::Usage, format!("digest {name} is weak")));
            assert_eq!(refused.hint(), Some(&Hint::WriteLegacy));
            let (message, _) = seal(fixture.keys.as_ref(), MESSAGE, &how, Legacy::Admit).unwrap();
            let header = assert_verifies(fixture, &message, &["--allow-weak-digest-algos"]);
            assert!(header.contains(&format!("micalg=pgp-{name};")), "{header}");
        }
    }
}

#[test]
fn legacy_ciphers() {
    for fixture in fixtures().iter() {
        for (name, number) in [("3des", "2"), ("cast5", "3"), ("idea", "1")] {
            let how = Seal { cipher: Some(name.to_owned()), to: to(&["bob"]), ..signed() };
            let refused = fixture.seal(MESSAGE, &how).unwrap_err();
            assert_eq!((refused.kind(), refused.to_string()), (Kind::Usage, format!("cipher {name} is weak")));
            let (message, _) = seal(fixture.keys.as_ref(), MESSAGE, &how, Legacy::Admit).unwrap();
            let run = fixture.only("bob").run(&["--decrypt"], body(&cut(&message).1[1]));
            assert!(run.status.contains("GOODMDC") && run.status.contains("GOODSIG"), "{name}: {}", run.status);
            assert!(run.status.contains(&format!("DECRYPTION_INFO 2 {number}")), "{name}: {}", run.status);
        }
    }
}

#[test]
fn an_mbox_line_stays_first_and_outside() {
    for fixture in fixtures().iter() {
        let mbox = format!("From alice@example.org Mon Nov 23 12:00:00 2026\n{TEXT}");
        for headers in [Headers::Outside, Headers::Clear] {
            let message = fixture.sealed(&mbox, &Seal { headers, ..signed() });
            assert!(message.starts_with(b"From alice@example.org Mon Nov 23 12:00:00 2026\r\nFrom: Alice"));
            assert_verifies(fixture, &message, &[]);
            assert!(find(&cut(&message).1[0], b"Mon Nov 23").is_none());
        }
    }
}

#[test]
fn protected_headers_hide_the_subject_and_never_hold_bcc() {
    for fixture in fixtures().iter() {
        let how = Seal { headers: Headers::Baseline, to: to(&["bob"]), ..signed() };
        let message = fixture.sealed(MESSAGE, &how);
        let (header, parts) = cut(&message);
        assert!(header.contains("Subject: [...]") && !header.contains("plans"), "{header}");
        let run = fixture.only("bob").run(&["--decrypt"], body(&parts[1]));
        assert_has(&run.stdout, "Subject: plans");
        assert_has(&run.stdout, "hp=\"cipher\"");
        assert!(find(&run.stdout, b"carol").is_none(), "{}", String::from_utf8_lossy(&run.stdout));
    }
}

#[test]
fn refusals_name_key_and_reason() {
    if !present(&["gpg"]) {
        return;
    }
    let gpg = Gpg::new(NOW);
    let year_ago = NOW - 365 * 86_400;
    gpg.generate_at(year_ago, "dora <dora@example.org>", "ed25519", "1m");
    gpg.generate("emil <emil@example.org>", "ed25519");
    gpg.revoke("emil@example.org");
    gpg.generate_primary("fred <fred@example.org>", "ed25519");
    let fingerprint = |person: &str| gpg.fingerprint(&format!("{person}@example.org"));
    let secret = gpg.ok(&["--export-secret-keys"], b"");
    let keys = load(&[("keys", &secret)]);

    let refused = |how: &Seal| {
        let error = seal(&keys, TEXT, how, Legacy::Refuse).unwrap_err();
        let expired = error.to_string().contains("expired");
        assert_eq!(error.kind(), if expired { Kind::KeyExpired } else { Kind::NoKey }, "{error}");
        error.to_string()
    };
    let sign_as = |person| Seal { sign: vec![Signer::Address(address(person))], ..Seal::default() };
    let encrypt_to = |person| Seal { to: to(&[person]), ..Seal::default() };
    let expired = format!("{} expired on 2025-12-23", fingerprint("dora"));
    assert_eq!(refused(&sign_as("dora")), format!("dora@example.org: no usable signing key: {expired}"));
    assert_eq!(refused(&encrypt_to("dora")), format!("dora@example.org: no usable encryption key: {expired}"));
    let revoked = format!("{} revoked: key material has been compromised", fingerprint("emil"));
    assert!(refused(&sign_as("emil")).starts_with(&format!("emil@example.org: no usable signing key: {revoked}")));
    assert!(
        refused(&encrypt_to("emil")).starts_with(&format!("emil@example.org: no usable encryption key: {revoked}"))
    );
    assert_eq!(
        refused(&encrypt_to("fred")),
        format!("fred@example.org: no usable encryption key: {} no encryption subkey", fingerprint("fred"))
    );
    assert_eq!(refused(&encrypt_to("nobody")), "nobody@example.org: no encryption key");
    let handle = Handle::parse("0123456789ABCDEF").unwrap();
    assert_eq!(
        refused(&Seal { sign: vec![Signer::Key(handle)], ..Seal::default() }),
        "key 0123456789ABCDEF: not found"
    );
    let mixed = Seal { to: to(&["fred"]), sign: vec![Signer::Address(address("fred"))], ..Seal::default() };
    assert!(refused(&mixed).starts_with("fred@example.org: no usable encryption key"));
}

/// Keys of RFC 9580, which GnuPG 2.2 does not read.
fn v6(person: &str) -> Described {
    let mut request = Request::new(address(person));
    request.profile = Profile::Rfc9580;
    let clock = FixedClock(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - 86_400));
    generate::generate(&request, &clock).unwrap().described
}

fn ring(people: &[Described]) -> impl Keys + use<> {
    let exported = people.iter().map(|one| {
        let secret = one.secret.as_ref().unwrap();
        keyfile::export_secret(&one.record, secret, keyfile::Armor::Binary).unwrap()
    });
    let exported: Vec<Secret> = exported.collect();
    let files: Vec<(&str, &[u8])> = exported.iter().map(|secret| ("ring", secret.expose())).collect();
    load(&files)
}

fn open(keys: &dyn Keys, message: Vec<u8>) -> (Vec<Layer>, Message) {
    let clock = FixedClock(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    let context =
        Context { keys, clock: &clock, random: &SystemRandom, legacy: Legacy::Refuse, revocation: Revocation::Soft };
    let mut budget = Budget::new(Limits::default());
    let message = Message::parse(message, &mut budget).unwrap();
    let claim = Pgp.claim(message.root()).unwrap();
    let opened = Pgp.open(message, &claim, context, &mut budget).unwrap();
    (opened.layers, opened.payload)
}

#[test]
fn version_6_keys_sign_and_encrypt_with_aead() {
    let keys = ring(&[v6("alice"), v6("bob")]);
    let (signed, _) = seal(&keys, MESSAGE, &signed(), Legacy::Refuse).unwrap();
    let signature = cut(&signed).1[1].clone();
    assert!(find(&signature, b"\r\n=").is_none(), "no checksum around version 6 (RFC 9580, section 6.1)");
    let (layers, _) = open(&keys, signed);
    let LayerKind::Signed { signatures } = &layers[0].kind else { panic!("{layers:?}") };
    assert!(matches!(signatures[0].state, State::Valid(_)), "{signatures:?}");

    for shape in [Shape::Mime, Shape::Nested] {
        let how = Seal { to: to(&["bob"]), shape, ..self::signed() };
        let (sealed, _) = seal(&keys, MESSAGE, &how, Legacy::Refuse).unwrap();
        let (layers, payload) = open(&keys, sealed);
        let LayerKind::Encrypted { cipher, authenticated, .. } = &layers[0].kind else { panic!("{layers:?}") };
        assert_eq!((cipher.as_str(), *authenticated), ("aes256-ocb", true));
        let layers =
            if shape == Shape::Nested { open(&keys, payload.octets().to_vec()).0 } else { layers[1..].to_vec() };
        let LayerKind::Signed { signatures } = &layers[0].kind else { panic!("{layers:?}") };
        assert!(matches!(signatures[0].state, State::Valid(_)), "{signatures:?}");
    }

    let how = Seal { digest: Some(Hash::Sha1), ..self::signed() };
    let error = seal(&keys, MESSAGE, &how, Legacy::Admit).unwrap_err();
    assert_eq!(error.to_string(), "digest sha1: not for version 6 keys (RFC 9580, section 9.5)");
}

#[test]
fn one_reader_without_aead_means_none_for_all() {
    for fixture in fixtures().iter().take(1) {
        let keys = Both(ring(&[v6("dora")]), fixture);
        let how = Seal { to: to(&["dora", "bob"]), ..Seal::default() };
        let (sealed, _) = seal(&keys, MESSAGE, &how, Legacy::Refuse).unwrap();
        let run = fixture.only("bob").run(&["--decrypt"], body(&cut(&sealed).1[1]));
        assert!(run.status.contains("GOODMDC"), "{}", run.status);
        let LayerKind::Encrypted { cipher, .. } = &open(&keys, sealed).0[0].kind else { panic!() };
        assert_eq!(cipher, "aes256");
    }
}

/// Two key rings, one after the other.
struct Both<'a, K: Keys>(K, &'a Fixture);

impl<K: Keys> Keys for Both<'_, K> {
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>, Error> {
        Ok([self.0.find(protocol, query)?, self.1.keys.find(protocol, query)?].concat())
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>, Error> {
        Ok(self.0.secret(record, key)?.or(self.1.keys.secret(record, key)?))
    }
}

#[test]
fn an_untrusted_certificate() {
    let found = |count: usize| {
        let mut keys = Memory::new();
        let mut names = Vec::new();
        for _ in 0..count {
            let record = v6("bob").record;
            names.push(record.fingerprint().to_string());
            keys.add(record);
        }
        (keys, names)
    };
    let how = Seal { to: to(&["bob"]), ..Seal::default() };
    let (keys, names) = found(1);
    let (_, sealed) = seal(&keys, MESSAGE, &how, Legacy::Refuse).unwrap();
    let name = &names[0];
    assert_eq!(
        sealed.warnings,
        [
            "the bcc field is left out; give its addresses to whatever sends the message".to_owned(),
            format!("bob@example.org: key {name} is not trusted")
        ]
    );

    let (keys, names) = found(2);
    let error = seal(&keys, MESSAGE, &how, Legacy::Refuse).unwrap_err();
    assert_eq!(error.kind(), Kind::NoKey);
    assert!(names.iter().all(|name| error.to_string().contains(name)), "{error}");

    // One of them bound to the address: that one, with no word about it.
    let (mut keys, _) = found(2);
    let mut bound = v6("bob").record;
    bound.bind(Binding::Address(address("bob")));
    let name = bound.fingerprint().to_string();
    keys.add(bound);
    let (_, sealed) = seal(&keys, MESSAGE, &how, Legacy::Refuse).unwrap();
    assert_eq!(sealed.warnings, ["the bcc field is left out; give its addresses to whatever sends the message"]);
    assert_eq!(sealed.did, [format!("encrypted to bob@example.org with {name}")]);

    // A certificate that is bound to bob but is not good for encryption is not replaced by one that anyone could have made.
    let (mut keys, _) = found(1);
    let mut other = v6("carol").record;
    other = other.with_bindings([Binding::Address(address("bob"))]);
    other = other.clone().with_bytes(without_subkeys(other.bytes()));
    keys.add(other);
    let error = seal(&keys, MESSAGE, &how, Legacy::Refuse).unwrap_err();
    assert!(error.to_string().ends_with("no encryption subkey"), "{error}");
}

/// The certificate up to its first subkey packet (tag 14, new format).
fn without_subkeys(bytes: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while bytes[at] != 0xC0 | 14 {
        let (length, octets) = match bytes[at + 1] {
            short @ ..192 => (usize::from(short), 1),
            first @ 192..224 => ((usize::from(first) - 192) * 256 + usize::from(bytes[at + 2]) + 192, 2),
            _ => panic!("a length of more than 8383 octets"),
        };
        at += 1 + octets + length;
    }
    bytes[..at].to_vec()
}

/// What a mailing list makes of an encrypted message, and a block within a letter: opened in their places when asked, and the text around
/// them stays as it was.
#[test]
fn encrypted_parts_beside_other_text_are_opened_on_request() {
    for fixture in fixtures() {
        let clock = FixedClock(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
        let keys = fixture.keys.as_ref();
        let revocation = Revocation::Soft;
        let context = Context { keys, clock: &clock, random: &SystemRandom, legacy: Legacy::Refuse, revocation };
        let engine = Engine::new(context, Limits::default());
        let parts =
            |text: &str| engine.open_parts(&Message::parse(text.into(), &mut Budget::new(Limits::default())).unwrap());
        let how = |shape| Seal { to: to(&["bob"]), shape, ..Seal::default() };
        let letter = "From: alice@example.org\nTo: bob@example.org\nSubject: s\nContent-Type: text/plain\n\nat noon\n";

        let sealed = String::from_utf8(fixture.sealed(letter, &how(Shape::Inline))).unwrap().replace("\r\n", "\n");
        let (header, block) = sealed.split_once("\n\n").unwrap();
        let text = format!("{header}\n\nbefore\n{block}after\n");
        let opened = parts(&text).unwrap();
        assert_eq!((opened.count, opened.closed.len()), (1, 0), "{:?}", opened.closed);
        let octets = String::from_utf8(opened.octets).unwrap();
        let shown = Message::parse(octets.clone().into(), &mut Budget::new(Limits::default())).unwrap();
        let bodies: Vec<String> = shown.root().children().map(|child| child.text().trim_end().to_owned()).collect();
        assert_eq!(bodies, ["before", "at noon", "after"], "{octets}");
        assert_eq!(shown.root().header("Subject").as_deref(), Some("s"));

        let sealed = String::from_utf8(fixture.sealed(letter, &how(Shape::Mime))).unwrap().replace("\r\n", "\n");
        let content = sealed.find("Content-Type").unwrap();
        let list = |footer: &str| {
            format!(
                "From: alice@example.org\nContent-Type: multipart/mixed; boundary=list\n\n--list\n{}\n--list\n{footer}\n--list--\n",
                &sealed[content..]
            )
        };
        let opened = parts(&list("Content-Type: text/plain\n\nfooter")).unwrap();
        let octets = String::from_utf8(opened.octets).unwrap();
        assert_eq!(opened.count, 1);
        assert!(
            octets.contains("\n\nat noon\n") && octets.contains("\n--list\nContent-Type: text/plain\n\nfooter\n"),
            "{octets}"
        );
        assert!(!octets.contains("BEGIN PGP"), "{octets}");
        let refused = parts(&list("Content-Type: text/html\n\n<img src=\"http://eve/")).unwrap_err();
        assert!(refused.to_string().contains("text/html stands beside what is encrypted"), "{refused}");
    }
}
