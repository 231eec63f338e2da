//! Other people's S/MIME mail and messages, opened with their published keys through the public API.
//!
//! `corpora_smime/expected.tsv` holds one line a file: its path, what it must come to, and, where that is not a good signature or
//! an opened message, why not. `lkml-signed` is judged by its own manifest. A line that is stale, or missing, fails.

mod gnupg;
pub(crate) mod opening;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use opening::{files, keys, open};
use postseal::{base::parse_rfc3339, crypto::Legacy};

use crate::support::requirements::{corpus, missing};

/// A folder of messages, what opens them, and where their paths end.
struct Suite {
    name: &'static str,
    /// Below the corpora.
    messages: &'static str,
    /// How the files end that hold messages.
    endings: &'static [&'static str],
    keys: &'static [&'static str],
    anchors: &'static [&'static str],
    passwords: &'static [&'static str],
    /// When the certificates were good.
    at: &'static str,
    /// Suites that are older than today's algorithms are opened with `--legacy`.
    legacy: Legacy,
}

const SUITES: &[Suite] = &[
    Suite {
        name: "rfc4134",
        messages: "bc-test-data/rfc4134",
        endings: &["eml", "0.bin", "1.bin", "2.bin", "3.bin", "4.bin", "5.bin", "6.bin", "7.bin"],
        keys: &["bc-test-data/rfc4134"],
        anchors: &["bc-test-data/rfc4134/CarlDSSSelf.cer", "bc-test-data/rfc4134/CarlRSASelf.cer"],
        passwords: &[],
        at: "2026-11-23T00:00:00Z",
        legacy: Legacy::Admit,
    },
    Suite {
        name: "thunderbird",
        messages: "thunderbird",
        // Those without an ending are of an older set of keys, which is gone.
        endings: &["eml", "_ossl.env", "sha256.env", "sha512.env"],
        keys: &[
            "thunderbird/mailnews/test/data/smime",
            "thunderbird/mailnews/test/data/smime-interop",
            "thunderbird/mail/test/browser/smime/data",
        ],
        anchors: &[
            "thunderbird/mailnews/test/data/smime/TestCA.pem",
            "thunderbird/mail/test/browser/smime/data/TestCA.pem",
        ],
        passwords: &["nss"],
        at: "2026-11-23T00:00:00Z",
        legacy: Legacy::Refuse,
    },
    Suite {
        name: "kde-mimetreeparser",
        messages: "kde-mimetreeparser/autotests/testdata",
        endings: &["mbox"],
        keys: &["kde-mimetreeparser/autotests/gnupg_home"],
        // Its trustlist.txt says so of the unittest cert.
        anchors: &["kde-mimetreeparser/autotests/gnupg_home/pubring.kbx"],
        passwords: &[],
        at: "2013-02-01T00:00:00Z",
        legacy: Legacy::Admit,
    },
    Suite {
        name: "rt",
        messages: "rt/t/data/smime/mails",
        endings: &["eml"],
        keys: &["rt/t/data/smime/keys"],
        anchors: &["rt/t/data/smime/keys/demoCA/cacert.pem"],
        passwords: &["123456"],
        at: "2026-11-23T00:00:00Z",
        legacy: Legacy::Admit,
    },
    Suite {
        name: "notmuch",
        messages: "notmuch/test/corpora",
        endings: &["eml"],
        keys: &["notmuch/test/smime"],
        anchors: &["notmuch/test/smime/ca.crt"],
        passwords: &[],
        at: "2026-11-23T00:00:00Z",
        legacy: Legacy::Refuse,
    },
    Suite {
        name: "mimekit",
        messages: "mimekit/UnitTests/TestData/smime",
        endings: &["thunderbird-signed.txt"],
        keys: &["mimekit/UnitTests/TestData/smime"],
        anchors: &["mimekit/UnitTests/TestData/smime/StartComCertificationAuthority.crt"],
        passwords: &["no.secret"],
        at: "2013-11-01T00:00:00Z",
        legacy: Legacy::Admit,
    },
    Suite {
        name: "openssl-test",
        messages: "openssl-test",
        endings: &["eml", "cms", "der", "attrs.pem", "md4.pem", "encrypted.pem", "gcm.pem", "IV.pem"],
        keys: &[
            "openssl-test/openssl-3.6.3/test/smime-certs",
            "openssl-test/openssl-3.6.3/test/recipes/80-test_cms_data",
        ],
        anchors: &["openssl-test/openssl-3.6.3/test/smime-certs/smroot.pem"],
        // The key of authenveloped_attrs.pem.
        passwords: &["000102030405060708090a0b0c0d0e0f"],
        at: "2026-11-23T00:00:00Z",
        legacy: Legacy::Admit,
    },
];

#[test]
fn every_suite_comes_to_what_is_expected_of_it() {
    let Some(root) = corpus("") else { return };
    let expected = expectations();
    let mut met = BTreeSet::new();
    let mut wrong = Vec::new();
    println!("{:20} {:>6} {:>6} {:>8}", "suite", "files", "good", "reasons");
    for suite in SUITES {
        let places = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
        let keys = keys(&places(suite.keys), &places(suite.anchors), suite.passwords);
        let now = parse_rfc3339(suite.at).unwrap();
        let (mut count, mut good, mut excepted) = (0, 0, BTreeMap::<&str, usize>::new());
        for file in files(&root.join(suite.messages)) {
            let name = file.strip_prefix(&root).unwrap().display().to_string();
            if !suite.endings.iter().any(|ending| name.ends_with(ending)) || !is_smime(&file) {
                continue;
            }
            let line = open(message(&file), &keys, now, suite.legacy);
            count += 1;
            match expected.get(&name) {
                Some((wanted, why)) if *wanted == line => match why.as_str() {
                    "" => good += 1,
                    why => *excepted.entry(why).or_default() += 1,
                },
                other => wrong.push(format!("{name}\t{line}\t(expected {:?})", other.map(|(wanted, _)| wanted))),
            }
            met.insert(name);
        }
        println!("{:20} {count:>6} {good:>6}", suite.name);
        excepted.iter().for_each(|(why, count)| println!("{count:>36}  {why}"));
    }
    for name in expected.keys().filter(|name| !met.contains(*name)) {
        wrong.push(format!("{name}\tis expected and was not found"));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_not_good_has_a_reason() {
    for (name, (line, why)) in expectations() {
        let bad = [" ! ", "invalid", "unknown", " but "].iter().any(|word| line.contains(word));
        assert_eq!(bad || why.contains(OTHERWISE), !why.is_empty(), "{name}: {line}");
    }
}

/// Thunderbird's own tables, once with SHA-1 forbidden and once allowed. Where we say otherwise, the table has the reason.
#[test]
fn thunderbird_agrees_with_its_manifest() {
    let Some(root) = corpus("") else { return };
    let suite = SUITES.iter().find(|suite| suite.name == "thunderbird").unwrap();
    let places = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
    let keys = keys(&places(suite.keys), &places(suite.anchors), suite.passwords);
    let (expected, now) = (expectations(), parse_rfc3339(suite.at).unwrap());
    let manifest = fs::read_to_string(root.join("thunderbird/manifest.jsonl")).unwrap();
    let (mut same, mut other, mut wrong) = (0, BTreeMap::<String, usize>::new(), Vec::new());
    for row in manifest.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        if row["kind"] != "smime" {
            continue;
        }
        let name = format!("thunderbird/{}", row["file"].as_str().unwrap()).replace("smime/../", "");
        let legacy = if row["policy"] == "sha1-allowed" { Legacy::Admit } else { Legacy::Refuse };
        let line = open(message(&root.join(&name)), &keys, now, legacy);
        // What is deeper, or signed around a ciphertext, counts for nothing.
        let root = line.split(" | ").next().unwrap();
        let within = root.rsplit("encrypted").next().unwrap();
        let found = [root.contains("encrypted"), within.contains("signed("), root.starts_with("authentic")];
        let said = ["encrypted", "signed", "signature_good"].map(|field| row["expect"][field].as_bool().unwrap());
        let why = expected.get(&name).map(|(_, why)| why.as_str()).unwrap_or_default();
        match (found == said, why.split_once(OTHERWISE)) {
            (true, _) => same += 1,
            (false, Some((_, why))) => *other.entry(why.to_owned()).or_default() += 1,
            (false, None) => wrong.push(format!("{name} ({}): {line}; it says {said:?}", row["policy"])),
        }
    }
    println!("{same} rows agree; {other:#?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Real mail with real public chains, at the time of its Date.
#[test]
fn list_mail_agrees_with_its_manifest() {
    let Some(root) = corpus("") else { return };
    let root = root.join("lkml-signed");
    let bundle = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if !bundle.is_file() {
        missing(&bundle.display().to_string());
        return;
    }
    let keys = keys(&[], &[bundle.to_owned()], &[]);
    let manifest = fs::read_to_string(root.join("manifest.jsonl")).unwrap();
    let (mut whole, mut errant, mut wrong) = (0, 0, Vec::new());
    for line in manifest.lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let (file, tier) = (row["file"].as_str().unwrap(), row["tier"].as_str().unwrap());
        if !tier.starts_with('S') {
            continue;
        }
        let octets = fs::read(root.join(file)).unwrap();
        let line = open(octets.clone(), &keys, date(&octets), Legacy::Refuse);
        let expected = match row["expect"]["signature"].as_str().unwrap() {
            // A mailing list put its footer below: what is signed is a part of the message, and counts for nothing.
            "good chain-ok" if row["mime_path"] != "0" => line == "unsigned | signed(valid)",
            "good chain-ok" => line == "authentic signed(valid)",
            "good chain-untrusted" => line.starts_with("signed signed(valid but certificate "),
            other => panic!("{file}: {other}"),
        };
        if !expected {
            wrong.push(format!("{file} ({tier}): {line}"));
        }
        match row["mime_path"] == "0" {
            true => whole += 1,
            false => errant += 1,
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((whole, errant), (22, 41));
}

/// The time in the field Date (RFC 5322, section 3.6.1), which stands in many spellings.
fn date(octets: &[u8]) -> std::time::SystemTime {
    let message = postseal::mail::Message::parse(octets.to_vec(), &mut budget()).unwrap();
    let value = message.root().header("Date").unwrap();
    let value = value.split('(').next().unwrap().trim();
    let at =
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).unwrap_or_else(|e| panic!("{value}: {e}"));
    parse_rfc3339(&at.to_string()).unwrap()
}

fn budget() -> postseal::base::Budget {
    postseal::base::Budget::new(postseal::base::Limits::default())
}

/// Whether a file says that it is S/MIME, or is CMS.
fn is_smime(file: &Path) -> bool {
    let octets = fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&octets).to_lowercase();
    !is_mail(file) || text.contains("pkcs7") || text.contains(".p7m")
}

fn is_mail(file: &Path) -> bool {
    !matches!(file.extension().and_then(|ending| ending.to_str()), Some("bin" | "cms" | "der" | "pem" | "env"))
}

/// The messages of suites that hold no mail are put into one.
fn message(file: &Path) -> Vec<u8> {
    let mut octets = fs::read(file).unwrap();
    if !is_mail(file) && !octets.windows(13).any(|window| window.eq_ignore_ascii_case(b"content-type:")) {
        let header = b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\n";
        octets.splice(..0, *header);
    }
    octets
}

/// Path to what is expected and why it is no better.
fn expectations() -> BTreeMap<String, (String, String)> {
    let lines = include_str!("corpora_smime/expected.tsv").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut columns = line.splitn(3, '\t').map(str::to_owned);
            let mut column = || columns.next().unwrap_or_default();
            (column(), (column(), column()))
        })
        .collect()
}

/// What a reason holds when the suite expects something else.
const OTHERWISE: &str = "Thunderbird says otherwise: ";
