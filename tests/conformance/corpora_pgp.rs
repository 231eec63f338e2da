//! Other people's OpenPGP mail and messages, opened with their published keys through the public API.
//!
//! `corpora_pgp/expected.tsv` holds one line a file: its path, what it must come to, and, where that is not a good signature or
//! an opened message, why not. `lkml-signed` is judged by its own manifest. A line that is stale, or missing, fails.

mod opening;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use opening::{files, keys, open};
use postseal::{base::parse_rfc3339, crypto::Legacy};

use crate::support::requirements::corpus;

/// A folder of messages and what opens them.
struct Suite {
    name: &'static str,
    /// Below the corpora.
    messages: &'static str,
    /// How the files end that hold messages; all files when empty.
    endings: &'static [&'static str],
    keys: &'static [&'static str],
    passwords: &'static [&'static str],
}

const SUITES: &[Suite] = &[
    Suite {
        name: "rfc9580",
        messages: "rfc9580",
        endings: &[
            "A.6.-sample-cleartext-signed-message.asc",
            "A.7.-sample-inline-signed-message.asc",
            "seipd",
            "eax.asc",
            "ocb.asc",
            "gcm.pgp",
            "aes128.asc",
            "aes192.asc",
            "aes256.asc",
        ],
        keys: &["rfc9580/A.3.transferable-pubkey-v6.asc", "rfc9580/A.4.transferable-seckey-v6.asc"],
        passwords: &["password"],
    },
    Suite {
        name: "thunderbird",
        messages: "thunderbird/mail/test/browser/openpgp/data/eml",
        endings: &["eml"],
        keys: &["thunderbird/mail/test/browser/openpgp/data/keys"],
        passwords: &[],
    },
    Suite {
        name: "kde-mimetreeparser",
        messages: "kde-mimetreeparser/autotests/testdata",
        endings: &["mbox"],
        keys: &[
            "kde-mimetreeparser/autotests/gnupg_home/pubring.gpg",
            "kde-mimetreeparser/autotests/gnupg_home/secring.gpg",
        ],
        passwords: &[],
    },
    Suite {
        name: "rt",
        messages: "rt/t/data/gnupg/emails",
        endings: &["txt", "eml"],
        keys: &["rt/t/data/gnupg/keys"],
        passwords: &["test", "recipient", "rt-test"],
    },
    Suite {
        name: "notmuch",
        messages: "notmuch/test/corpora",
        endings: &[],
        keys: &["notmuch/test/openpgp4-secret-key.asc"],
        passwords: &[],
    },
    Suite { name: "alot", messages: "alot", endings: &["eml"], keys: &["alot/tests/static/gpg-keys"], passwords: &[] },
    Suite {
        name: "autocrypt-protected-headers",
        messages: "autocrypt-protected-headers",
        endings: &["eml"],
        keys: &["autocrypt-protected-headers"],
        passwords: &[],
    },
    Suite {
        name: "pgpainless",
        messages: "pgpainless/assets/test_vectors",
        endings: &["cryptie_signed.asc", "test_message_01.asc"],
        keys: &["pgpainless/assets/test_vectors/keys"],
        passwords: &["password"],
    },
    Suite {
        name: "go-crypto",
        messages: "go-crypto/openpgp/test_data",
        endings: &["message.asc", "message-v1.asc", "message-v2.asc", "header.asc", "length.asc", "mdc.asc"],
        keys: &["go-crypto/openpgp/test_data"],
        passwords: &["password"],
    },
    Suite {
        name: "bc-test-data",
        messages: "bc-test-data/openpgp",
        endings: &["-sign.gpg", "data.pgp", "message.asc", "message-v1.asc", "message-v2.asc"],
        keys: &["bc-test-data/openpgp"],
        passwords: &[],
    },
    Suite {
        name: "openpgp-pqc",
        messages: "openpgp-pqc/test-vectors",
        endings: &["message.asc", "message-v1.asc", "message-v2.asc"],
        keys: &["openpgp-pqc/test-vectors"],
        passwords: &[],
    },
    Suite {
        name: "rnp",
        messages: "rnp/src/tests/data",
        endings: &["asc", "pgp", "gpg"],
        keys: &[
            "rnp/src/tests/data/keyrings",
            "rnp/src/tests/data/test_key_validity",
            "rnp/src/tests/data/test_key_edge_cases",
            "rnp/src/tests/data/test_stream_key_load",
            "rnp/src/tests/data/test_stream_signatures",
            "rnp/src/tests/data/test_repgp",
            "rnp/src/tests/data/test_messages",
            "rnp/src/tests/data/test_large_MPIs",
            "rnp/src/tests/data/RFC9580/A.3.transferable-pubkey-v6.asc",
            "rnp/src/tests/data/draft-ietf-openpgp-pqc",
        ],
        passwords: &["password"],
    },
    Suite {
        name: "gnupg",
        messages: "gnupg/tests/openpgp",
        endings: &["asc", "gpg"],
        keys: &[
            "gnupg/tests/openpgp/pubdemo.asc",
            "gnupg/tests/openpgp/pubring.asc",
            "gnupg/tests/openpgp/samplekeys",
            "gnupg/tests/openpgp/secdemo.asc",
            "gnupg/tests/openpgp/secring.asc",
        ],
        passwords: &["abc", "def"],
    },
];

#[test]
fn every_suite_comes_to_what_is_expected_of_it() {
    let Some(root) = corpus("") else { return };
    let now = parse_rfc3339("2026-11-23T00:00:00Z").unwrap();
    let expected = expectations();
    let mut met = BTreeSet::new();
    let mut wrong = Vec::new();
    println!("{:28} {:>6} {:>12} {:>8}", "suite", "files", "as expected", "excepted");
    for suite in SUITES {
        let places: Vec<_> = suite.keys.iter().map(|place| root.join(place)).collect();
        let keys = keys(&places, suite.passwords);
        let (mut count, mut good, mut excepted) = (0, 0, 0);
        for file in files(&root.join(suite.messages)) {
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            if !suite.endings.is_empty() && !suite.endings.iter().any(|ending| name.ends_with(ending)) {
                continue;
            }
            let line = open(message(&file), &keys, now, Legacy::Refuse).line();
            if line.is_empty() && !expected.contains_key(&name) {
                continue;
            }
            count += 1;
            match expected.get(&name) {
                Some((wanted, why)) if *wanted == line => {
                    good += usize::from(why.is_empty());
                    excepted += usize::from(!why.is_empty());
                }
                other => wrong.push(format!("{name}\t{line}\t(expected {:?})", other.map(|(wanted, _)| wanted))),
            }
            met.insert(name);
        }
        println!("{:28} {count:>6} {good:>12} {excepted:>8}", suite.name);
    }
    for name in expected.keys().filter(|name| !met.contains(*name)) {
        wrong.push(format!("{name}\tis expected and was not found"));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_not_good_has_a_reason() {
    for (name, (line, why)) in expectations() {
        let bad = [" !", "! ", "invalid", "unknown"].iter().any(|word| line.contains(word));
        assert_eq!(bad, !why.is_empty(), "{name}: {line}");
    }
}

#[test]
fn list_mail_agrees_with_its_manifest() {
    let Some(root) = corpus("") else { return };
    let root = root.join("lkml-signed");
    let keys = keys(&[root.join("keys")], &[]);
    let now = parse_rfc3339("2026-11-23T00:00:00Z").unwrap();
    let manifest = fs::read_to_string(root.join("manifest.jsonl")).unwrap();
    let mut tiers: BTreeMap<String, usize> = BTreeMap::new();
    for line in manifest.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (file, tier) = (row["file"].as_str().unwrap(), row["tier"].as_str().unwrap());
        // Tier S is S/MIME. Tier C names keys that expired or were retired after the mail was signed: good at the time.
        let expected = match tier.chars().next().unwrap() {
            'A' | 'B' | 'C' => "signed(valid)",
            'D' => "signed(unknown: the signing key is not here)",
            'S' => continue,
            other => panic!("{file}: tier {other}"),
        };
        let found = open(fs::read(root.join(file)).unwrap(), &keys, now, Legacy::Refuse);
        assert_eq!(found.line(), expected, "{file} ({tier})");
        if let Some(key) = row["expect"]["key_id"].as_str() {
            assert!(found.signers().iter().any(|signer| signer.ends_with(key)), "{file}: not by {key}");
        }
        *tiers.entry(tier.to_owned()).or_default() += 1;
    }
    println!("{tiers:#?}");
    assert_eq!(tiers.values().sum::<usize>(), 518);
}

/// The detached signatures of the authors of RFC 9980, over a text of one line.
#[test]
fn published_post_quantum_signatures_hold() {
    let Some(root) = corpus("openpgp-pqc") else { return };
    let folder = root.join("test-vectors");
    let keys = keys(std::slice::from_ref(&folder), &[]);
    let now = parse_rfc3339("2026-11-23T00:00:00Z").unwrap();
    let mut held = 0;
    for file in files(&folder).iter().filter(|file| file.display().to_string().ends_with("-sample-signature.asc")) {
        let signature = fs::read_to_string(file).unwrap();
        let judged = |text: &str| {
            let mail = format!(
                "Content-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"\r\n\r\n--b\r\n{text}\r\n\
                 --b\r\nContent-Type: application/pgp-signature\r\n\r\n{signature}\r\n--b--\r\n"
            );
            open(mail.into_bytes(), &keys, now, Legacy::Refuse).line()
        };
        assert_eq!(judged("Testing\n"), "signed(valid)", "{}", file.display());
        let changed = "signed(invalid: the octets are not those that were signed)";
        assert_eq!(judged("Resting\n"), changed, "{}", file.display());
        held += 1;
    }
    // ML-DSA-65, ML-DSA-87, SLH-DSA-SHAKE-128s, -128f, -256s.
    assert_eq!(held, 5);
}

/// The messages of suites that hold no mail are put into one.
fn message(file: &Path) -> Vec<u8> {
    let mut octets = fs::read(file).unwrap();
    let ending = file.extension().and_then(|ending| ending.to_str());
    if matches!(ending, Some("asc" | "gpg" | "pgp" | "5-v6pkesk-v2seipd")) {
        let header = b"Content-Type: application/octet-stream; name=x.pgp\r\nContent-Transfer-Encoding: binary\r\n\r\n";
        octets.splice(..0, *header);
    }
    octets
}

/// Path to what is expected and why it is no better.
fn expectations() -> BTreeMap<String, (String, String)> {
    let lines = include_str!("corpora_pgp/expected.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.splitn(3, '\t').map(str::to_owned);
            let mut column = || columns.next().unwrap_or_default();
            (column(), (column(), column()))
        })
        .collect()
}
