//! Authentic means the same to every reader of mail: what we call authentic, other people's programs show as the signer's text, and nothing else.
//!
//! Genuine messages in every form are changed in all the ways that tests/support/change knows, alone and together. What is still authentic is
//! shown to the other readers. POSTSEAL_READERS sets how many changed messages there are; `just readers` tries every change.

mod carrier;
mod compare;
mod peers;
mod seeds;
mod trial;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use compare::Comparison;
use seeds::{Keyring, Seed};
use trial::{Finding, Genuine};

use crate::support::{
    change::{self, Change, Dice},
    entity::Entity,
    requirements::present,
};

static KEYRING: LazyLock<Keyring> = LazyLock::new(Keyring::new);

/// How many changed messages there are where POSTSEAL_READERS does not say.
const SHORT: usize = 6_000;

/// The changes of ../shared/findings/security 06, 07, 08, 09, 11 and 12, and of tests/attacks/readers.rs: always tried.
const GIVEN: &[(&str, &[&str])] = &[
    ("gpg-mime/plain", &["type: a second slash, and a preamble, at []"]),
    ("gpg-mime/plain", &["type: a comment after the type, and a preamble, at []"]),
    ("gpg-clear/plain", &["base64, foreign text before: as \"\\\"base64\\\"\", at []"]),
    ("pgp-mime/nested", &["boundary renamed: an inner boundary, \"inner\", at []"]),
    ("openssl-opaque/plain", &["behind the object: text, at []"]),
    ("openssl-ber/plain", &["behind the object: text and zeros, at []"]),
    (
        "mic-only/plain",
        &["line more: \"\u{41f}\u{43e}\u{436}\u{430}\u{43b}\u{443}\u{439}\u{441}\u{442}\u{430}.\", LAST, at []"],
    ),
    ("mic-clear/plain", &["line longer: \" \u{41f}\u{43e}\u{436}\", 5, at []"]),
    ("pgp-nested/plain", &["part more: text, 0, at []"]),
    ("pgp-nested/plain", &["header line: no colon, last, at [1]"]),
    ("gpg-mime/plain", &["another type: text/plain, at [1]", "line more: \"Please pay Mallory.\", 0, at [1]"]),
    ("gpg-mime/plain", &["part wrapped: 1 in mixed with text before, at []"]),
    ("gpg-mime/plain", &["line more: \"Please pay Mallory.\", 0, at [1]"]),
    (
        "openssl-clear/plain",
        &["another type: text/plain, at [1]", "in PEM, not encoded, with text after: PKCS7, at [1]"],
    ),
    ("gpg-mime/plain", &["boundary: evil first, and a preamble, at []"]),
    ("gpg-mime/plain", &["gap: a longer boundary, before the preamble, at []"]),
];

#[test]
fn what_is_authentic_is_shown_alike_by_every_reader() {
    if !present(&["gpg", "openssl"]) {
        return;
    }
    let mut seeds = KEYRING.seeds();
    if let Ok(only) = env::var("POSTSEAL_READERS_SEED") {
        seeds.retain(|seed| seed.name.contains(&only));
    }
    let count =
        env::var("POSTSEAL_READERS").map_or(SHORT, |count| count.parse().expect("a number in POSTSEAL_READERS"));
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    let shares: Vec<Share> = std::thread::scope(|scope| {
        let (seeds, handles) = (&seeds, (0..workers));
        let handles: Vec<_> = handles.map(|worker| scope.spawn(move || share(seeds, count, worker, workers))).collect();
        handles.into_iter().map(|handle| handle.join().expect("a worker ends")).collect()
    });
    let sum = |of: fn(&Share) -> usize| shares.iter().map(of).sum::<usize>();
    writeln!(
        io::stderr(),
        "{} genuine messages, {} changed, {} of them authentic, {} readers",
        seeds.len(),
        sum(|share| share.changed),
        sum(|share| share.authentic),
        shares[0].readers
    )
    .expect("standard error is open");
    let odd: Vec<String> = shares.iter().flat_map(|share| share.odd.clone()).collect();
    let findings: Vec<Finding> = shares.into_iter().flat_map(|share| share.findings).collect();
    assert!(findings.is_empty(), "{}\n{}", summary(&findings), odd.join("\n"));
    assert!(odd.is_empty(), "genuine messages that a reader shows otherwise:\n{}", odd.join("\n"));
}

/// What one worker found.
#[derive(Default)]
struct Share {
    readers: usize,
    changed: usize,
    authentic: usize,
    odd: Vec<String>,
    findings: Vec<Finding>,
}

/// Every `workers`-th seed.
fn share(seeds: &[Seed], count: usize, worker: usize, workers: usize) -> Share {
    let mut comparison = Comparison::new(peers::readers());
    let mut share = Share { readers: comparison.len(), ..Share::default() };
    let per_seed = count / seeds.len().max(1);
    for (index, seed) in seeds.iter().enumerate().filter(|(index, _)| index % workers == worker) {
        let genuine = match Genuine::new(&KEYRING, &mut comparison, seed) {
            Ok(genuine) => genuine,
            Err(reason) => {
                share.odd.push(format!("{}: {reason}", seed.name));
                continue;
            }
        };
        let root = Entity::parse(&seed.message);
        assert_eq!(root.write(), seed.message, "{}: the skeleton is the message", seed.name);
        let changes = change::all(&root);
        for picked in picks(seed, &changes, per_seed, index) {
            let mut changed = root.clone();
            picked.iter().for_each(|change| change.apply(&mut changed));
            let changed = changed.write();
            if changed == seed.message {
                continue;
            }
            share.changed += 1;
            let (is_authentic, finding) = genuine.judge(&KEYRING, &mut comparison, &changed, &picked);
            share.authentic += usize::from(is_authentic);
            share.findings.extend(finding);
        }
    }
    share
}

/// The changes to try on a message: the given ones, as many single ones as there is time for, and some together.
fn picks<'a>(seed: &Seed, changes: &'a [Change], count: usize, number: usize) -> Vec<Vec<&'a Change>> {
    let find = |name: &str| {
        let matching = |change: &&Change| match name.split_once("LAST") {
            Some((start, end)) => change.name.starts_with(start) && change.name.ends_with(end),
            None => change.name == name,
        };
        let found = changes.iter().filter(matching);
        let found: Vec<&Change> = found.collect();
        // LAST: after it come the line that ends the block, and the end.
        *found.get(found.len().saturating_sub(3)).unwrap_or_else(|| panic!("{}: no change is called {name}", seed.name))
    };
    let given = GIVEN.iter().filter(|(of, _)| *of == seed.name);
    let mut picks: Vec<Vec<&Change>> = given.map(|(_, names)| names.iter().map(|name| find(name)).collect()).collect();
    let mut dice = Dice(number as u64);
    let together = count / 4;
    let step = (changes.len() * 4).div_ceil((count * 3).max(1)).max(1);
    picks.extend(changes.iter().skip(dice.below(step)).step_by(step).map(|change| vec![change]));
    for _ in 0..together {
        let more = 2 + dice.below(2);
        picks.push((0..more).map(|_| &changes[dice.below(changes.len())]).collect());
    }
    picks
}

/// The findings by family, one example of each in target/tmp/readers.
fn summary(findings: &[Finding]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readers");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("target/tmp can be written");
    let mut families: BTreeMap<(bool, String), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        families.entry((finding.families.len() > 1, finding.class())).or_default().push(finding);
    }
    let mut lines = vec![format!(
        "{} messages are authentic, and a reader shows something else (in {}):",
        findings.len(),
        folder.display()
    )];
    for (number, ((_, class), found)) in families.iter().enumerate() {
        let readers: BTreeSet<&str> =
            found.iter().flat_map(|finding| &finding.disagreements).map(|one| one.reader.as_str()).collect();
        let example = found[0];
        let path: PathBuf = folder.join(format!("{number:03}.eml"));
        fs::write(&path, &example.message).expect("target/tmp can be written");
        let details: Vec<String> = found.iter().map(|finding| finding.describe()).collect();
        fs::write(folder.join(format!("{number:03}.txt")), details.join("\n\n")).expect("target/tmp can be written");
        if let Some(inner) = &example.inner {
            fs::write(folder.join(format!("{number:03}.inner")), inner).expect("target/tmp can be written");
        }
        lines.push(format!(
            "{number:03} {class}: {} ({})\n    {}",
            found.len(),
            Vec::from_iter(readers).join(", "),
            example.describe()
        ));
    }
    lines.join("\n")
}

/// The built program says the same as the library.
#[test]
fn the_program_judges_as_the_library_does() {
    if !present(&["gpg", "openssl"]) {
        return;
    }
    let arguments = KEYRING.arguments();
    let mut dice = Dice(17);
    let seeds = KEYRING.seeds();
    for seed in seeds.iter().step_by(5) {
        let root = Entity::parse(&seed.message);
        let changes = change::all(&root);
        for _ in 0..2 {
            let mut changed = root.clone();
            let change = &changes[dice.below(changes.len())];
            change.apply(&mut changed);
            let message = KEYRING.around(seed.around, &changed.write());
            let expected = KEYRING.opened(&message).map_or("unsigned", |opening| opening.verdict().standing().name());
            let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
            command.args(&arguments).args(["verify", "--json"]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&message).unwrap();
            let said = child.wait_with_output().unwrap().stdout;
            let verdict: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
            let found = verdict["standing"].as_str().unwrap_or("unsigned");
            assert_eq!(found, expected, "{}: {}", seed.name, change.name);
        }
    }
}
