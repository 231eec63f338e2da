//! Files that import each other: a reader has to know both to understand either. pairs.txt lists those that there are; the list only shrinks.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, document, sources};

#[test]
fn no_new_pair_of_files_imports_each_other() {
    let files = sources();
    let files: Vec<Source> = files.iter().map(|(path, text)| Source::read(path, text)).collect();
    let found = mutual(&files);
    let listed: BTreeSet<String> = document("tests/layers/pairs.txt").lines().map(str::to_owned).collect();
    let new: Vec<&String> = found.difference(&listed).collect();
    let gone: Vec<&String> = listed.difference(&found).collect();
    assert!(new.is_empty(), "these files import each other; break the circle:\n{new:#?}");
    assert!(gone.is_empty(), "these no longer import each other; take them off tests/layers/pairs.txt:\n{gone:#?}");
}

/// `src/a.rs src/b.rs`, once for each pair. A parent that declares a module and re-exports from it does not import it by that.
fn mutual(files: &[Source]) -> BTreeSet<String> {
    let paths: BTreeMap<&[String], &str> = files.iter().map(|one| (one.module.as_slice(), one.path.as_str())).collect();
    let exports = exports(files);
    let mut edges: BTreeSet<(&str, &str)> = BTreeSet::new();
    for source in files.iter().filter(|one| !one.module.is_empty()) {
        for named in source.named().into_iter().filter(|named| named.segments[0] == "crate" && !named.public) {
            let mut target = named.segments[1..].to_vec();
            // An item that a module re-exports is the file's that defines it.
            for _ in 0..4 {
                let known =
                    |length: &usize| exports.get(&target[..*length]).filter(|origin| **origin != target[..*length]);
                let Some(length) = (1..=target.len()).rev().find(|length| known(length).is_some()) else { break };
                let origin = exports.get(&target[..length]).cloned().unwrap_or_default();
                target.splice(..length, origin);
            }
            let longest = (1..=target.len()).rev().find_map(|length| paths.get(&target[..length]));
            if let Some(path) = longest.filter(|path| **path != source.path) {
                edges.insert((source.path.as_str(), path));
            }
        }
    }
    let back = |(from, to): &&(&str, &str)| from < to && edges.contains(&(*to, *from));
    edges.iter().filter(back).map(|(from, to)| format!("{from} {to}")).collect()
}

/// What a `use` makes known in a module under a name: the name's path, and the item's own.
fn exports(files: &[Source]) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut exports = BTreeMap::new();
    for source in files {
        for (alias, segments) in source.imported() {
            let name = source.module.iter().cloned().chain([alias]).collect();
            if segments[0] == "crate" {
                exports.insert(name, segments[1..].to_vec());
            }
        }
    }
    exports
}

#[test]
fn a_circle_of_two_is_found() {
    let read = |files: &[(&str, &str)]| files.iter().map(|(path, text)| Source::read(path, text)).collect::<Vec<_>>();
    let circle = read(&[
        ("src/mail/mod.rs", "mod a;\nmod b;\npub use b::B;"),
        ("src/mail/a.rs", "use crate::mail::B;"),
        ("src/mail/b.rs", "fn f() { super::a::go() }"),
    ]);
    assert_eq!(mutual(&circle), BTreeSet::from(["src/mail/a.rs src/mail/b.rs".to_owned()]));
    let line = read(&[
        ("src/mail/mod.rs", "mod a;\nmod b;\npub use b::B;\npub struct Own;"),
        ("src/mail/a.rs", "use super::{B, Own};"),
        ("src/mail/b.rs", "use super::Own;"),
    ]);
    assert_eq!(mutual(&line), BTreeSet::new());
    let parent = read(&[("src/mail/mod.rs", "mod a;\nfn f() { a::go() }"), ("src/mail/a.rs", "use super::Own;")]);
    assert_eq!(mutual(&parent), BTreeSet::from(["src/mail/a.rs src/mail/mod.rs".to_owned()]));
}
