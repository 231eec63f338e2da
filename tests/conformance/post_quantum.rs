//! CMS with ML-DSA, SLH-DSA and ML-KEM by five producers, and the examples of RFC 9882, RFC 9936, RFC 9881 and RFC 9909.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::Arc};

use postseal::{
    base::{FixedClock, Limits, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::Engine,
    keys::{Memory, Passphrases},
    mail::Message,
    pki::{Certificate, Revocation},
    protocol::{Context, smime::keyfile},
};

use crate::{
    corpora_smime::opening,
    support::requirements::{corpus, present},
};

/// What an object comes to in one line, and its plaintext.
fn open(file: &Path, keys: &Memory) -> (String, Vec<u8>) {
    let now = parse_rfc3339("2026-11-23T00:00:00Z").unwrap();
    let octets = fs::read(file).unwrap();
    let line = opening::open(octets.clone(), keys, now, Legacy::Refuse);
    let clock = FixedClock(now);
    let context =
        Context { keys, clock: &clock, random: &SystemRandom, legacy: Legacy::Refuse, revocation: Revocation::Soft };
    let engine = Engine::new(context, Limits::default());
    let opened = engine.open(Message::parse(octets, &mut engine.budget()).unwrap()).unwrap();
    (line, opened.payload().map(|payload| payload.octets().to_vec()).unwrap_or_default())
}

fn contains(octets: &[u8], text: &[u8]) -> bool {
    octets.windows(text.len()).any(|window| window == text)
}

/// The files of each producer, unpacked.
fn producer(name: &str) -> Option<(tempfile::TempDir, std::path::PathBuf)> {
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

#[test]
fn five_producers() {
    let mut counts = BTreeMap::new();
    for name in ["bc", "carl-redhound", "cht", "cryptonext", "ossl35"] {
        let Some((_folder, place)) = producer(name) else { return };
        for file in opening::files(&place) {
            let title = file.file_name().unwrap().to_str().unwrap().to_owned();
            if !title.contains("_signed_attrs") && !title.contains("_kemri") {
                continue;
            }
            let stem = title.split("_").next().unwrap();
            let keys: Vec<_> = opening::files(&place)
                .into_iter()
                .filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&format!("{stem}_")) && (file.to_str().unwrap().contains("_ee.der") || file.to_str().unwrap().contains("priv.der")))
                .collect();
            let keys = opening::keys(&keys, &[place.join("ta.der")], &[]);
            let (line, _plain) = open(&file, &keys);
            println!("{name}\t{title}\t{line}");
            *counts.entry((name, line)).or_insert(0) += 1;
        }
    }
    for (key, count) in counts { println!("COUNT {count} {key:?}"); }
}
