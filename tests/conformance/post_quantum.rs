//! CMS with ML-DSA, SLH-DSA and ML-KEM by five producers, and the examples of RFC 9882, RFC 9936, RFC 9881 and RFC 9909.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use postseal::{
    base::{FixedClock, Limits, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::Engine,
    keys::{Memory, Passphrases},
    mail::{Message, encoding::base64_decode},
    pki::{Certificate, Revocation},
    protocol::{Context, smime::keyfile},
};

use crate::{
    corpora_smime::opening,
    support::requirements::{corpus, present},
};

/// What an object comes to in one line, and its plaintext.
fn open(octets: &[u8], keys: &Memory) -> (String, Vec<u8>) {
    let now = parse_rfc3339("2026-11-23T00:00:00Z").unwrap();
    let line = opening::open(octets.to_vec(), keys, now, Legacy::Refuse);
    let clock = FixedClock(now);
    let context =
        Context { keys, clock: &clock, random: &SystemRandom, legacy: Legacy::Refuse, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    let opened = engine.open(Message::parse(octets.to_vec(), &mut engine.budget()).unwrap()).unwrap();
    (line, opened.payload().map(|payload| payload.octets().to_vec()).unwrap_or_default())
}

fn contains(octets: &[u8], text: &[u8]) -> bool {
    octets.windows(text.len()).any(|window| window == text)
}

/// The octets of a PEM block.
fn pem(file: &Path) -> Vec<u8> {
    let text = fs::read_to_string(file).unwrap();
    let body: String =
        text.lines().skip_while(|line| !line.starts_with("-----")).filter(|line| !line.starts_with("-----")).collect();
    base64_decode(body.as_bytes())
}

/// The files of each producer, unpacked.
fn producer(name: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let archive = corpus("pqc-cms")?.join(format!("{name}-cms_v3.zip"));
    if !present(&["python3"]) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let done = Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&archive).arg(folder.path()).status().unwrap();
    assert!(done.success());
    let inner = folder.path().join("artifacts_cms_v3");
    let place = if inner.is_dir() { inner } else { folder.path().to_owned() };
    Some((folder, place))
}

/// What is expected of a file by its name; `None` for a file of another kind. The identifiers in the names are those of the keys.
fn expected(producer: &str, title: &str) -> Option<&'static str> {
    let identifier = title.split('-').rev().find(|part| part.starts_with("1.") || part.starts_with("2."))?;
    let identifier = identifier.split('_').next()?;
    let last: u32 = identifier.rsplit('.').next()?.parse().ok()?;
    Some(match identifier.rsplit_once('.')?.0 {
        "2.16.840.1.101.3.4.3" if last < 32 => "signed signed(valid)",
        "2.16.840.1.101.3.4.3" => "unsigned signed(unknown: unknown algorithm hash-",
        // Chunghwa's name ML-KEM in a KeyTransRecipientInfo.
        "2.16.840.1.101.3.4.4" if producer == "cht" && title.contains("_auth_") => {
            "unsigned ! enveloped data: its key for "
        }
        "2.16.840.1.101.3.4.4" if title.contains("_auth") => "unsigned encrypted",
        "2.16.840.1.101.3.4.4" => "unsigned encrypted(unprotected)",
        // Composites of drafts, NTRU, FrodoKEM, Falcon.
        _ if title.contains("_kemri") => "unsigned ! enveloped data: its key for ",
        _ => "unsigned signed(unknown: unknown algorithm 1.",
    })
}

#[test]
fn five_producers() {
    let mut good = BTreeMap::<_, usize>::new();
    let mut wrong = Vec::new();
    for name in ["bc", "carl-redhound", "cht", "cryptonext", "ossl35"] {
        let Some((_folder, place)) = producer(name) else { return };
        let plaintext = fs::read(place.join("expected_plaintext.txt")).unwrap();
        let all: Vec<PathBuf> = opening::files(&place);
        let title = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
        for file in &all {
            let title_of = title(file);
            if !title_of.contains("_signed_attrs") && !title_of.contains("_kemri") {
                continue;
            }
            let stem = title_of.split('_').next().unwrap();
            let own = |other: &&PathBuf| {
                let other = title(other);
                other.starts_with(&format!("{stem}_")) && (other.contains("_ee.") || other.contains("priv."))
            };
            // HashML-DSA's keys are of no use here.
            let places: Vec<PathBuf> = all.iter().filter(own).cloned().collect();
            let keys = opening::keys(&places, &[place.join("ta.der")], &[]);
            let (line, text) = open(&fs::read(file).unwrap(), &keys);
            let right = expected(name, &title_of).is_some_and(|wanted| match wanted.ends_with([' ', '-', '.']) {
                true => line.starts_with(wanted),
                false => line == wanted && contains(&text, plaintext.trim_ascii()),
            });
            if !right {
                wrong.push(format!("{name}/{title_of}: {line}"));
            } else if !line.contains("unknown") && !line.contains('!') {
                *good.entry((name, title_of.contains("_kemri"))).or_default() += 1;
            }
            if name == "cht" && line.contains('!') {
                assert!(
                    line.ends_with(
                        "in a KeyTransRecipientInfo; its place is a KEMRecipientInfo (RFC 9936, section 2.1)"
                    ),
                    "{line}"
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let counts: Vec<_> = good.into_iter().collect();
    assert_eq!(
        counts,
        [
            (("bc", false), 15),
            (("bc", true), 12),
            (("carl-redhound", true), 12),
            (("cht", true), 3),
            (("cryptonext", false), 15),
            (("cryptonext", true), 12),
            (("ossl35", false), 15)
        ]
    );
}

/// RFC 9882, appendix B, by the keys of RFC 9881, appendix C.
#[test]
fn examples_of_rfc_9882() {
    let (Some(messages), Some(certificates)) =
        (corpus("cms-ml-dsa/examples"), corpus("dilithium-certificates/examples"))
    else {
        return;
    };
    for set in ["44", "65", "87"] {
        let certificate = certificates.join(format!("ML-DSA-{set}.crt"));
        let keys = opening::keys(&[], &[certificate], &[]);
        let (line, text) = open(&pem(&messages.join(format!("mldsa{set}-signed-attrs.pem"))), &keys);
        assert_eq!(line, "signed signed(valid)", "{set}");
        let wanted = format!("ML-DSA-{set} signed-data example with signed attributes");
        assert!(contains(&text, wanted.as_bytes()), "{set}");
    }
}

/// RFC 9936, appendix C, by each of the three forms of the private key (RFC 9935, section 6).
#[test]
fn example_of_rfc_9936() {
    let Some(folder) = corpus("cms-kyber/example") else { return };
    for form in ["seed", "expanded", "both"] {
        let key = folder.join(format!("ML-KEM-512-{form}.priv"));
        let keys = opening::keys(&[key, folder.join("ML-KEM-512.pem")], &[], &[]);
        let (line, text) = open(&pem(&folder.join("ML-KEM-512.cms")), &keys);
        assert_eq!((line.as_str(), contains(&text, b"Hello, world!")), ("unsigned encrypted", true), "{form}");
    }
}

/// RFC 9881, appendix C: certificates that sign themselves, and each of the three forms of their private keys; and those that are to be refused.
#[test]
fn keys_and_certificates_of_rfc_9881() {
    let Some(folder) = corpus("dilithium-certificates/examples") else { return };
    let read = |certificate: &str, key: &str| {
        let files = [folder.join(certificate), folder.join(key)].map(|file| fs::read(file).unwrap());
        let files = [("certificate", files[0].as_slice()), ("key", files[1].as_slice())];
        keyfile::read(&files, &Passphrases::default(), &Limits::default(), &Memory::new())
    };
    for set in ["44", "65", "87"] {
        let name = format!("ML-DSA-{set}.crt");
        let certificate = Certificate::parse(&pem(&folder.join(&name))).unwrap();
        assert!(certificate.is_issued_by(&certificate), "{name}");
        assert_eq!(certificate.public_key().algorithm().name(), format!("ml-dsa-{set}"));
        for form in ["seed", "expanded", "both"] {
            let found = read(&name, &format!("ML-DSA-{set}-{form}.priv")).unwrap().found;
            assert!(found.len() == 1 && found[0].secret.is_some(), "{name} {form}");
        }
    }
    for number in 1..=3 {
        let error = read("ML-DSA-44.crt", &format!("bad-ML-DSA-44-{number}.priv")).unwrap_err();
        assert_eq!(error.to_string(), "ml-dsa-44 key: its parts do not belong together", "{number}");
    }
}

/// RFC 9909, appendix C.
#[test]
fn certificate_of_rfc_9909() {
    let Some(folder) = corpus("pqc-cms/x509-slhdsa") else { return };
    let mut certificate = pem(&folder.join("id-slh-dsa-sha2-128s.pem"));
    let read = Certificate::parse(&certificate).unwrap();
    assert_eq!(read.public_key().algorithm().name(), "slh-dsa-sha2-128s");
    assert!(read.is_issued_by(&read));
    *certificate.last_mut().unwrap() ^= 1;
    let read = Certificate::parse(&certificate).unwrap();
    assert!(!read.is_issued_by(&read));
}

/// Composites of the LAMPS drafts, whose identifiers may change: the signature is unknown, the key of the envelope too, and each is named.
#[test]
fn composites_of_drafts_are_unknown() {
    let Some(folder) = corpus("pqc-cms/lamps-composite") else { return };
    let keys = opening::keys(&[], &[folder.join("examples/in/id-MLDSA65-ECDSA-P256-SHA512.crt")], &[]);
    let (line, text) = open(&pem(&folder.join("examples/id-MLDSA65-ECDSA-P256-SHA512-signed-attrs.pem")), &keys);
    assert_eq!(line, "unsigned signed(unknown: unknown algorithm 1.3.6.1.5.5.7.6.45)");
    assert!(contains(&text, b"id-MLDSA65-ECDSA-P256-SHA512 signed-data example"));
    let keys = opening::keys(&[folder.join("example/MLKEM768-ECDH-P256-SHA3-256.pem")], &[], &[]);
    let (line, _) = open(&pem(&folder.join("example/MLKEM768-ECDH-P256-SHA3-256.cms")), &keys);
    assert!(line.starts_with("unsigned ! enveloped data: its key for "), "{line}");
    assert!(
        line.ends_with(" cannot be unwrapped: key encapsulation algorithm 1.3.6.1.5.5.7.6.59 is not known"),
        "{line}"
    );
}
