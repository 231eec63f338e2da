//! Secret keys imported from a file: foreign octets never replace a stored key.

use crate::support::lab::Lab;
use sequoia_openpgp::{Cert, Packet, cert::amalgamation::key::PrimaryKey, parse::Parse, serialize::MarshalInto};

/// What a stranger puts behind each public key (RFC 9580, section 5.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fake {
    /// Octets that look as if a passphrase locked them.
    Locked,
    /// A number, in the clear.
    Open,
}

/// Which keys of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    All,
    Primary,
    Subkeys,
}

const EVERY_FAKE: [(Fake, Which); 6] = [
    (Fake::Locked, Which::All),
    (Fake::Locked, Which::Primary),
    (Fake::Locked, Which::Subkeys),
    (Fake::Open, Which::All),
    (Fake::Open, Which::Primary),
    (Fake::Open, Which::Subkeys),
];

/// Alice with a key that nothing locks, a message, and one that is encrypted to her.
fn alice() -> Lab {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("message", "From: alice@example.org\nTo: alice@example.org\nSubject: t\n\nhello\n");
    lab.run(&["encrypt", "--to", "alice@example.org", "-o", "encrypted", "message"]).code(0);
    lab.run(&["key", "export", "--binary", "-o", "public", "alice@example.org"]).code(0);
    lab
}

#[track_caller]
fn works(lab: &Lab, options: &[&str]) {
    lab.run(&[options, &["sign", "message"]].concat()).code(0);
    lab.run(&[options, &["decrypt", "encrypted"]].concat()).code(0);
}

#[test]
fn a_fake_does_not_replace_a_key() {
    for (fake, which) in EVERY_FAKE {
        let lab = alice();
        lab.write("fake", faked(&lab.read("public"), fake, which));
        let said = lab.run(&["key", "import", "fake"]);
        match fake {
            Fake::Locked => {
                let said = said.code(0);
                assert!(said.stderr.contains("the stored secret part is kept"), "{which:?}: {}", said.stderr);
                assert!(said.text().starts_with("unchanged"), "{}", said.text());
            }
            Fake::Open => {
                let said = said.code(65);
                assert!(
                    said.stderr.contains("does not match the public part and is not imported"),
                    "{which:?}: {}",
                    said.stderr
                );
            }
        }
        works(&lab, &[]);
        // Nor with a passphrase that opens nothing.
        lab.write("pass", "correct horse\n");
        lab.run(&["--passphrase-file", "pass", "key", "import", "fake"]);
        works(&lab, &[]);
    }
}

/// Given for one run, beside the true key in the home, or in another file, before or after it.
#[test]
fn a_fake_in_a_key_file_hides_no_key() {
    for (fake, which) in EVERY_FAKE {
        let lab = alice();
        lab.write("fake", faked(&lab.read("public"), fake, which));
        works(&lab, &["--keys", "fake"]);
        lab.run(&["key", "export", "--secret", "-o", "true", "alice@example.org"]).code(0);
        for order in [["true", "fake"], ["fake", "true"]] {
            let options = ["--home", "none", "--keys", order[0], "--keys", order[1]];
            works(&lab, &options);
        }
    }
}

/// Where no key is held, what is open is looked at too; what is locked may be right, and gives way to the true key.
#[test]
fn a_fake_comes_first() {
    for (fake, which) in EVERY_FAKE {
        let lab = alice();
        lab.write("fake", faked(&lab.read("public"), fake, which)).write("pass", "correct horse\n");
        lab.run(&["key", "export", "--secret", "-o", "true", "alice@example.org"]).code(0);
        let other = ["--home", "other"];
        let code = if fake == Fake::Open { 65 } else { 0 };
        lab.run(&[&other[..], &["key", "import", "fake"]].concat()).code(code);
        let listed = lab.run(&[&other[..], &["key", "list"]].concat()).code(0).text();
        assert_eq!(listed.contains("secret"), fake == Fake::Locked, "{fake:?} {which:?}: {listed}");
        lab.run(&[&other[..], &["key", "import", "true"]].concat()).code(0);
        works(&lab, &other);
    }
}

/// A key whose passphrase has changed replaces the one that is held, if it can be opened.
#[test]
fn a_changed_passphrase_is_taken_when_it_is_given() {
    let lab = alice();
    lab.run(&["key", "export", "--secret", "--binary", "-o", "true", "alice@example.org"]).code(0);
    lab.write("locked", locked(&lab.read("true"), "new")).write("pass", "new\n");
    let said = lab.run(&["key", "import", "locked"]).code(0);
    assert!(said.stderr.contains("the stored secret part is kept"), "{}", said.stderr);
    works(&lab, &[]);
    let said = lab.run(&["--passphrase-file", "pass", "key", "import", "locked"]).code(0);
    assert!(said.text().starts_with("updated"), "{}", said.text());
    lab.run(&["sign", "message"]).code(77);
    works(&lab, &["--passphrase-file", "pass"]);
    // The same file again is no news, and says nothing.
    let said = lab.run(&["key", "import", "locked"]).code(0);
    assert!(said.text().starts_with("unchanged") && said.stderr.is_empty(), "{}{}", said.text(), said.stderr);
}

/// RSA numbers of two keys put together: openssl reads the file, and the certificate's key does not replace its own.
#[test]
fn numbers_of_another_rsa_key_are_no_private_key() {
    let lab = Lab::new();
    lab.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.crt -subj /CN=Own -days 30 \
           -addext subjectAltName=email:alice@example.org 2>/dev/null && \
         openssl rsa -in own.key -traditional -outform DER -out own.der 2>/dev/null && \
         openssl genrsa 2048 2>/dev/null | openssl rsa -traditional -outform DER -out other.der 2>/dev/null",
    )
    .code(0);
    lab.write("message", "From: alice@example.org\nTo: alice@example.org\nSubject: t\n\nhello\n");
    lab.run(&["key", "import", "own.crt", "own.key"]).code(0);
    lab.run(&["encrypt", "-f", "smime", "--to", "alice@example.org", "-o", "encrypted", "message"]).code(0);
    let (own, other) = (numbers(&lab.read("own.der")), numbers(&lab.read("other.der")));
    // version, n, e, d, p, q, and what follows from them (RFC 8017, appendix A.1.2).
    for kept in [3, 4] {
        let mixed = [&own[..kept], &other[kept..]].concat();
        lab.write("mixed.der", sequence(&mixed));
        lab.run(&["key", "import", "mixed.der"]).code(77);
        lab.run(&["key", "import", "own.crt", "mixed.der"]).code(77);
        lab.run(&["sign", "-f", "smime", "message"]).code(0);
        lab.run(&["decrypt", "encrypted"]).code(0);
    }
}

/// The public packets with secret parts behind those of `which`: a packet of a public key has the tag 6 or 14, one of a secret key 5 or 7.
fn faked(public: &[u8], fake: Fake, which: Which) -> Vec<u8> {
    let mut faked = Vec::new();
    let mut rest = public;
    while let [first, length, ..] = *rest {
        let (head, length) = match length {
            short @ 0..192 => (2, usize::from(short)),
            high => (3, (usize::from(high - 192) << 8) + usize::from(rest[2]) + 192),
        };
        let (packet, after) = rest.split_at(head + length);
        let tag = match (first & 63, which) {
            (6, Which::All | Which::Primary) => Some(5),
            (14, Which::All | Which::Subkeys) => Some(7),
            _ => None,
        };
        match tag {
            None => faked.extend_from_slice(packet),
            Some(tag) => {
                let body = [&packet[head..], &secret_part(fake)].concat();
                assert!(body.len() < 192);
                faked.extend_from_slice(&[0xc0 | tag, u8::try_from(body.len()).unwrap()]);
                faked.extend_from_slice(&body);
            }
        }
        rest = after;
    }
    faked
}

fn secret_part(fake: Fake) -> Vec<u8> {
    match fake {
        // SHA-1 of the whole, AES-256, iterated and salted S2K with SHA-256, salt, count, vector, ciphertext.
        Fake::Locked => [&[254, 9, 3, 8][..], b"saltsalt", b"\x60", &[0x5a; 16], &[0xa5; 54]].concat(),
        // A number of 254 bits, and the sum of its octets.
        Fake::Open => {
            let number = [&[0, 254][..], &[0x2a; 32]].concat();
            let sum: u16 = number.iter().copied().map(u16::from).sum();
            [&[0][..], &number, &sum.to_be_bytes()].concat()
        }
    }
}

/// The same secret key under this passphrase.
fn locked(secret: &[u8], passphrase: &str) -> Vec<u8> {
    let cert = Cert::from_bytes(secret).unwrap();
    let packets: Vec<Packet> = cert
        .keys()
        .secret()
        .map(|part| {
            let key = part.key().clone().encrypt_secret(&passphrase.into()).unwrap();
            match part.primary() {
                true => Packet::from(key.role_into_primary()),
                false => Packet::from(key.role_into_subordinate()),
            }
        })
        .collect();
    cert.insert_packets(packets).unwrap().0.as_tsk().to_vec().unwrap()
}

/// The elements of a SEQUENCE of INTEGERs, each with its header.
fn numbers(der: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &der[header(der)..];
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let length = header(rest) + length(rest);
        numbers.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    numbers
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    let content = elements.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82][..], &length, &content].concat()
}

fn header(der: &[u8]) -> usize {
    if der[1] < 128 { 2 } else { 2 + usize::from(der[1] & 127) }
}

fn length(der: &[u8]) -> usize {
    match der[1] {
        short @ 0..128 => usize::from(short),
        long => der[2..2 + usize::from(long & 127)].iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet)),
    }
}
