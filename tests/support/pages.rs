//! What a page for people must be: markup of ours, and nothing that loads or runs.

use std::collections::BTreeSet;

use postseal::{crypto::Hash, mail::encoding::base64_encode};

/// The text of a page without its markup and its style, with entities read.
pub(crate) fn text(page: &str) -> String {
    let body = page.split_once("</style>").map_or(page, |(_, body)| body);
    let pieces = body.split('<').enumerate().map(|(index, piece)| match (index, piece.split_once('>')) {
        (0, _) | (_, None) => piece,
        (_, Some((_, text))) => text,
    });
    let text = pieces.collect::<Vec<_>>().join("");
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, c)| text.replace(entity, c))
}

/// Fails unless the page has a strict policy, and only elements and attributes that load nothing and run nothing.
#[track_caller]
pub(crate) fn assert_harmless(page: &str) {
    let (head, body) = page.split_once("</head>").expect("a head");
    assert!(head.starts_with("<!DOCTYPE html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"), "{head}");
    let style = head.split_once("<style>").expect("a style").1.split_once("</style>").expect("its end").0;
    let digest = String::from_utf8(base64_encode(&Hash::Sha256.digest(style.as_bytes()))).expect("ASCII");
    let policy = format!(
        "<meta http-equiv=Content-Security-Policy content=\"default-src &#39;none&#39;; style-src &#39;sha256-{}&#39;; \
         base-uri &#39;none&#39;; form-action &#39;none&#39;\">\n",
        digest.trim_end()
    );
    assert!(head.contains(&policy), "{policy} is not in {head}");
    assert!(head.contains("<meta name=referrer content=no-referrer>"));
    assert_eq!(head.matches("</style>").count(), 1);
    let mut elements = BTreeSet::new();
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("a tag that does not end: {tag}"));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        elements.insert(name.trim_start_matches('/').trim_end_matches('/'));
        // Without the values, which may hold spaces.
        let names: String = attributes.split('"').step_by(2).collect();
        for attribute in names.split_whitespace() {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            assert!(ATTRIBUTES.contains(&name.trim_end_matches('/')) || name == "/", "{name} in {tag}");
            assert!(name != "href" || value.starts_with("#m"), "{tag}");
        }
    }
    let strange: Vec<&&str> = elements.iter().filter(|name| !ELEMENTS.contains(name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

const ELEMENTS: [&str; 42] = [
    "a", "article", "bdi", "body", "br", "code", "dd", "details", "div", "dl", "dt", "footer", "g", "h1", "h2", "h3",
    "h4", "header", "html", "i", "li", "line", "main", "p", "pre", "rect", "section", "span", "strong", "summary",
    "svg", "table", "td", "text", "th", "title", "tr", "ul", "tbody", "thead", "em", "b",
];

const ATTRIBUTES: [&str; 19] = [
    "aria-hidden",
    "aria-label",
    "class",
    "dir",
    "height",
    "href",
    "id",
    "lang",
    "role",
    "scope",
    "text-anchor",
    "viewBox",
    "width",
    "x",
    "x1",
    "x2",
    "y",
    "y1",
    "y2",
];
