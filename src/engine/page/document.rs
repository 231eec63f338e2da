//! The HTML around the sealed octets: a constant template, the texts in its languages, and the policy that lets it load nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    crypto::Hash,
    mail::html::escaped,
    policy::{PageText, PageTexts},
};

/// What stands before the sealed octets in base64, and what stands after them: ASCII, in lines that end in CRLF.
pub(super) fn around(texts: &PageTexts) -> (String, String) {
    let each = |which| {
        let lines = texts.languages().iter().map(|language| {
            format!("<p lang=\"{}\">{}</p>", escaped(&language.code), broken(&escaped(language.text(which))))
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let joined = |which| {
        let mut all: Vec<&str> = texts.languages().iter().map(|language| language.text(which)).collect();
        all.dedup();
        escaped(&all.join(" / "))
    };
    let language = texts.languages().first().map_or("en", |language| language.code.as_str());
    let filled = [
        ("@language@", escaped(language)),
        ("@script-hash@", hash(SCRIPT)),
        ("@style-hash@", hash(STYLE)),
        ("@mark@", MARK.to_owned()),
        ("@style@", STYLE.to_owned()),
        ("@script@", SCRIPT.to_owned()),
        ("@title@", joined(PageText::Title)),
        ("@instructions@", each(PageText::Instructions)),
        ("@passphrase@", joined(PageText::Passphrase)),
        ("@open@", joined(PageText::Open)),
        ("@opening@", each(PageText::Opening)),
        ("@refused@", each(PageText::Refused)),
        ("@unsupported@", each(PageText::Unsupported)),
        ("@files@", joined(PageText::Files)),
    ];
    let page = filled.iter().fold(TEMPLATE.to_owned(), |page, (place, text)| page.replace(place, text));
    let page = page.replace('\n', "\r\n");
    let (above, below) = page.split_once("@sealed@\r\n").unwrap_or_default();
    (above.to_owned(), below.to_owned())
}

/// Text in lines of mail (RFC 5322, section 2.1.1): broken at spaces, where HTML shows one.
fn broken(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + 16);
    let mut length = 0;
    for word in text.split([' ', '\n']) {
        if length > 0 {
            let breaks = length + word.len() > LINE;
            lines.push(if breaks { '\n' } else { ' ' });
            length = if breaks { 0 } else { length + 1 };
        }
        lines.push_str(word);
        length += word.len();
    }
    lines
}

/// As a source of a Content Security Policy names an inline element: CSP Level 3, section 2.3.1. Browsers hash it with LF.
fn hash(element: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Hash::Sha256.digest(element.as_bytes())))
}

/// What [`is_page`](super::is_page) looks for.
pub(super) const MARK: &str = "<meta name=\"generator\" content=\"postseal page 1\">";
/// Within so many octets.
pub(super) const START: usize = 1_024;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Octets of a line.
const LINE: usize = 76;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PageLanguage;

    #[test]
    fn a_page_is_ascii_in_short_lines_with_nothing_left_to_fill_in() {
        let texts = PageTexts::new(PageLanguage::codes().filter_map(PageLanguage::known).collect());
        let (above, below) = around(&texts);
        for half in [&above, &below] {
            assert!(half.is_ascii() && half.ends_with("\r\n") && !half.contains('@'), "{half}");
            assert!(half.lines().all(|line| line.len() < 400 && !line.starts_with("From ")), "{half}");
        }
        let mark = above.find(MARK).unwrap();
        assert!(mark + MARK.len() < START);
    }

    #[test]
    fn texts_are_text() {
        let hostile = "<script>alert(1)</script>\" onload=\"x";
        let texts = PageTexts::new(vec![PageLanguage::new("en\"><b", |_| Some(hostile.to_owned())).unwrap()]);
        let (above, below) = around(&texts);
        assert!(!above.contains("<script>alert") && !above.contains("\" onload") && !below.contains("alert"));
    }
}
