//! The canonical skeleton over other people's mail: which sealed messages leave it, where, and how.
//!
//! `skeleton/deviating.tsv` names each message that loses its author by it, with the reason. A line that is stale or missing fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use postseal::{
    base::{Budget, Limits},
    mail::{Message, Part, skeleton},
};

use crate::support::requirements::corpus;

#[test]
fn real_mail_is_canonical() {
    let Some(place) = corpus("") else { return };
    let expected =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/skeleton/deviating.tsv"))
            .unwrap();
    let expected: BTreeSet<&str> = expected.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut sealed, mut found) = (BTreeMap::<String, usize>::new(), BTreeSet::new());
    for entry in walkdir::WalkDir::new(&place).sort_by_file_name().into_iter().filter_map(Result::ok) {
        if !entry.file_type().is_file() || entry.metadata().is_ok_and(|data| data.len() > LARGEST) {
            continue;
        }
        let octets = fs::read(entry.path()).unwrap();
        let Ok(message) = Message::parse(octets, &mut Budget::new(Limits::default())) else { continue };
        if !is_sealed(message.root()) {
            continue;
        }
        let path = entry.path().strip_prefix(&place).unwrap().display().to_string();
        *sealed.entry(path.split('/').next().unwrap().to_owned()).or_default() += 1;
        if let Some(deviation) = skeleton::deviation(message.root()) {
            found.insert(format!("{path}\t{deviation}"));
        }
    }
    let total: usize = sealed.values().sum();
    println!("{total} sealed messages, {} of them not canonical; by suite: {sealed:?}", found.len());
    assert!(total > 900, "only {total} sealed messages were found");
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    let (missing, stale): (Vec<_>, Vec<_>) =
        (found.difference(&expected).collect(), expected.difference(&found).collect());
    assert!(missing.is_empty() && stale.is_empty(), "not listed: {missing:#?}\nstale: {stale:#?}");
}

/// Whether the root says that it is signed or encrypted, or is a text with a block of armor and an author.
fn is_sealed(root: Part<'_>) -> bool {
    // Files that hold a CMS object alone are no mail.
    if root.header_octets().is_empty() {
        return false;
    }
    let kind = root.content_type();
    let forms = [
        ("multipart", "signed"),
        ("multipart", "encrypted"),
        ("application", "pkcs7-mime"),
        ("application", "x-pkcs7-mime"),
    ];
    let text = root.decoded();
    let holds = |begin: &str| memchr::memmem::find(&text, begin.as_bytes()).is_some();
    let blocks = ["-----BEGIN PGP MESSAGE", "-----BEGIN PGP SIGNED", "-----BEGIN PRIVACY-ENHANCED"];
    forms.iter().any(|(own, subtype)| kind.is(own, subtype))
        || (kind.is("text", "plain") && root.header("from").is_some() && blocks.into_iter().any(holds))
}

/// What is longer is no mail of these suites.
const LARGEST: u64 = 5_000_000;
