//! The links of the documents: each names a file that exists and, after `#`, a heading in it. `just book` makes HTML of docs/, so its pages name each
//! other alone, and docs/SUMMARY.md has them all.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut wrong = Vec::new();
    let (mut pages, mut links) = (0, 0);
    for page in pages_below(".", 1).into_iter().chain(pages_below("docs", usize::MAX)) {
        pages += 1;
        for link in links_of(&read(&page)) {
            links += 1;
            wrong.extend(fault(&page, &link).map(|fault| format!("{}: {link}: {fault}", page.display())));
        }
    }
    assert!(pages > 20 && links > 100, "only {links} links on {pages} pages were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_summary_has_every_page_once() {
    let listed: Vec<PathBuf> =
        links_of(&read(Path::new("docs/SUMMARY.md"))).iter().map(|link| Path::new("docs").join(link)).collect();
    let pages: BTreeSet<PathBuf> =
        pages_below("docs", usize::MAX).into_iter().filter(|page| !page.ends_with("SUMMARY.md")).collect();
    let listed_once: BTreeSet<PathBuf> = listed.iter().cloned().collect();
    let missing: Vec<&PathBuf> = pages.difference(&listed_once).collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md has no line for {missing:?}");
    assert_eq!(listed.len(), pages.len(), "docs/SUMMARY.md names a page twice");
}

#[test]
fn what_is_wrong_with_a_link_is_found() {
    let page = Path::new("docs/manual/smtp.md");
    for (link, is_right) in [
        ("policy.md", true),
        ("policy.md#how-rules-decide", true),
        ("#permissions", true),
        ("../performance.md", true),
        ("https://example.org/absent", true),
        ("absent.md", false),
        ("policy.md#absent", false),
        ("#absent", false),
        ("../../README.md", false),
    ] {
        assert_eq!(fault(page, link).is_none(), is_right, "{link}: {:?}", fault(page, link));
    }
    assert_eq!(links_of("[a](b.md) `[c](d)`\n```\n[e](f)\n```\n    [g](h)\n[i](j.md#k)\n"), ["b.md", "j.md#k"]);
    assert_eq!(anchor("With a `mail` server, by pipe(8)"), "with-a-mail-server-by-pipe8");
}

/// What is wrong with a link on this page, both from the root of the project.
fn fault(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { page.to_path_buf() } else { joined(page.parent().unwrap_or(page), file) };
    if !root().join(&target).exists() {
        return Some("there is no such file".to_owned());
    }
    if page.starts_with("docs") && !target.starts_with("docs") {
        return Some("it is outside of docs, and not in the book".to_owned());
    }
    let heading = heading?;
    let has = |line: &str| line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == heading;
    let text = read(&target);
    let is_there = without_code(&text).any(has);
    (!is_there).then(|| "there is no such heading".to_owned())
}

/// As GitHub and mdBook name a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn links_of(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for line in without_code(text) {
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let targets = outside.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target.to_owned()));
    }
    links
}

/// The lines outside of blocks of code.
fn without_code(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    })
}

fn joined(folder: &Path, link: &str) -> PathBuf {
    let mut path = folder.to_path_buf();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

/// The pages below this folder of the project, by their paths from its root.
fn pages_below(folder: &str, depth: usize) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(root().join(folder)).max_depth(depth).sort_by_file_name();
    let paths = entries.into_iter().map(|entry| entry.expect("a folder that can be read").into_path());
    let pages = paths.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    pages
        .map(|path| path.components().skip(root().components().count()).filter(|c| *c != Component::CurDir).collect())
        .collect()
}

fn read(page: &Path) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
