//! Copies of one OpenPGP certificate that differ, in several places: a revocation in any of them counts, whichever copy the question finds.
//!
//! The certificate, its revocation and the signed mail in `testdata/pgp/copies` were made by GnuPG and changed packet by packet.

use std::{fs, path::Path, sync::Arc};

use crate::support::lab::Lab;
use postseal::{
    base::{FixedClock, Limits, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::Engine,
    keys::{Binding, Chain, Keys, Memory, Record},
    mail::{Address, Message},
    pki::Revocation,
    protocol::{Context, pgp::keyfile},
    store,
    verdict::Standing,
};
use proptest::{collection::vec, prelude::*};

/// What a copy has of the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// All of it, and no revocation.
    Clean,
    /// The primary key and its user ID.
    WithoutSubkeys,
    /// The primary key, its revocation and its user ID.
    Revoked,
    /// The primary key and its revocation.
    RevocationAlone,
    /// The primary key and both subkeys.
    WithoutNames,
}

use Part::{Clean, RevocationAlone, Revoked, WithoutNames, WithoutSubkeys};

impl Part {
    const ALL: [Part; 5] = [Clean, WithoutSubkeys, Revoked, RevocationAlone, WithoutNames];

    fn octets(self) -> Vec<u8> {
        let (clean, revoked) = (read("clean.pgp"), read("revoked-primary.pgp"));
        let (clean, revoked) = (packets(&clean), packets(&revoked));
        match self {
            Clean => clean.concat(),
            WithoutSubkeys => clean[..3].concat(),
            Revoked => revoked.concat(),
            RevocationAlone => revoked[..2].concat(),
            WithoutNames => [&clean[..1], &clean[3..]].concat().concat(),
        }
    }

    fn record(self, bindings: &[Binding]) -> Record {
        let file = keyfile::describe(&self.octets(), "copy").unwrap();
        let [found] = file.found.as_slice() else { panic!("{self:?}: {:?}", file.skipped) };
        found.record.clone().with_bindings(bindings.iter().cloned())
    }
}

/// What is to be thought of the mail, by all that the copies know together.
fn right(copies: &[Part]) -> Standing {
    let has = |wanted: &[Part]| copies.iter().any(|copy| wanted.contains(copy));
    let is_found = has(&[Clean, WithoutNames]) && has(&[Clean, WithoutSubkeys, Revoked]);
    if has(&[Revoked, RevocationAlone]) || !is_found { Standing::Unsigned } else { Standing::Authentic }
}

fn standing(keys: &dyn Keys) -> Standing {
    let clock = FixedClock(parse_rfc3339(AT).unwrap());
    let (random, legacy, revocation) = (&SystemRandom, Legacy::Refuse, Revocation::Soft);
    let engine = Engine::new(Context { keys, clock: &clock, random, legacy, revocation }, Limits::default());
    let message = Message::parse(read("signed.eml"), &mut engine.budget()).unwrap();
    engine.open(message).unwrap().verdict().standing()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any copies, in any order, in any of three places, one of which the owner believes: one answer. The same for all of them in one place.
    #[test]
    fn order_and_place_of_copies_do_not_matter(
        placed in vec((proptest::sample::select(&Part::ALL[..]), 0_usize..3), 1..7),
        believed in any::<prop::sample::Index>(),
    ) {
        let believed = believed.index(placed.len());
        let mut places = [Memory::new(), Memory::new(), Memory::new()];
        let mut one = Memory::new();
        for (number, (copy, place)) in placed.iter().enumerate() {
            let bound = [Binding::Address(Address::parse("v@example.org").unwrap())];
            let record = copy.record(if number == believed { &bound } else { &[] });
            places[*place].add(record.clone());
            one.add(record);
        }
        let copies: Vec<Part> = placed.iter().map(|(copy, _)| *copy).collect();
        let sources = places.map(|place| Arc::new(place) as Arc<dyn Keys>).to_vec();
        let chain = Chain::new(sources, store::merge);
        prop_assert_eq!(standing(&chain), right(&copies), "in several places: {:?}", placed);
        prop_assert_eq!(standing(&one), right(&copies), "in one place: {:?}", placed);
    }
}

/// The home and `--keys`, in both parts: what is refused is refused wherever the revocation is.
#[test]
fn the_home_and_key_files_are_one() {
    for (home, file) in [(Clean, RevocationAlone), (RevocationAlone, Clean), (Clean, Revoked), (Revoked, Clean)] {
        let lab = Lab::new();
        lab.write("home.pgp", home.octets()).write("file.pgp", file.octets()).write("signed.eml", read("signed.eml"));
        lab.write("message.eml", "From: b@example.org\nTo: v@example.org\nSubject: t\n\nhello\n");
        lab.run(&["key", "import", "home.pgp"]).code(0);
        lab.run(&["key", "trust", FINGERPRINT, "v@example.org"]).code(0);
        let verified = lab.run(&["--at", AT, "--keys", "file.pgp", "verify", "signed.eml"]).code(1);
        assert!(verified.text().contains("the key is revoked"), "{home:?} {file:?}: {}", verified.text());
        let encrypt = ["--at", AT, "--keys", "file.pgp", "encrypt", "--to", "v@example.org", "message.eml"];
        lab.run(&encrypt).refused(77, "revoked");
    }
}

/// Without the revocation the same calls succeed: the test above is about nothing else.
#[test]
fn copies_without_a_revocation_complete_one_another() {
    let lab = Lab::new();
    lab.write("home.pgp", WithoutSubkeys.octets()).write("file.pgp", WithoutNames.octets());
    lab.write("signed.eml", read("signed.eml"));
    lab.write("message.eml", "From: b@example.org\nTo: v@example.org\nSubject: t\n\nhello\n");
    lab.run(&["key", "import", "home.pgp"]).code(0);
    lab.run(&["key", "trust", FINGERPRINT, "v@example.org"]).code(0);
    lab.run(&["--at", AT, "--keys", "file.pgp", "verify", "signed.eml"]).code(0);
    lab.run(&["--at", AT, "--keys", "file.pgp", "encrypt", "--to", "v@example.org", "message.eml"]).code(0);
}

/// A revocation list that comes in a bundle of certificates counts as one that comes by itself.
#[test]
fn a_list_among_certificates_counts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/crl");
    let file = |name: &str| fs::read(folder.join(name)).unwrap();
    let lab = Lab::new();
    let bundle = [file("list-4.der"), file("ca.der")].concat();
    lab.write("alice.der", file("alice.der")).write("ca.der", file("ca.der")).write("bundle.der", bundle);
    for name in ["ca", "alice", "list-4"] {
        lab.write(name, file(&format!("{name}.der")));
    }
    lab.shell(
        "openssl x509 -inform DER -in ca -out bundle.pem && openssl crl -inform DER -in list-4 >> bundle.pem && \
         openssl crl2pkcs7 -inform DER -in list-4 -certfile bundle.pem -out bundle.p7",
    )
    .code(0);
    let judge = ["--at", AT, "--anchors", "ca.der", "cert", "verify", "--purpose", "any", "alice.der"];
    lab.run(&judge).code(0);
    for bundle in ["bundle.der", "bundle.pem", "bundle.p7"] {
        let judged = lab.run(&[&["--keys", bundle], &judge[..]].concat()).code(1);
        assert!(judged.text().contains("revoked"), "{bundle}: {}", judged.text());
        let home = ["--home", &format!("home-{bundle}")].map(str::to_owned);
        let home = home.each_ref().map(String::as_str);
        let imported = lab.run(&[&home[..], &["key", "import", bundle]].concat()).code(0).text();
        assert!(imported.contains("revocation list") && imported.lines().count() == 2, "{bundle}: {imported}");
        lab.run(&[&home[..], &judge[..]].concat()).code(1);
    }
}

fn read(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pgp/copies").join(name)).unwrap()
}

/// Packets with lengths of one octet in the old form, or of one or two in the new one (RFC 9580, section 4.2), each with its header.
fn packets(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while let [first, length, rest @ ..] = octets {
        let (head, length) = match (first & 0x40, first & 3, length) {
            (0, 0, length) => (2, usize::from(*length)),
            (0, 1, high) => (3, usize::from(*high) << 8 | usize::from(rest[0])),
            (0x40, _, length @ 0..192) => (2, usize::from(*length)),
            form => panic!("{form:?}"),
        };
        let (packet, after) = octets.split_at(head + length);
        found.push(packet);
        octets = after;
    }
    found
}

const AT: &str = "2026-12-01T00:00:00Z";
const FINGERPRINT: &str = "B38A0B4F28EF7F872F36BFC3FF055D7A9E5F4E04";
