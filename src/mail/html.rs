//! HTML, as far as text is written into it, or one element put into it or taken out.

use memchr::{memchr, memmem};

/// Text as HTML in ASCII, for the content of elements and for attribute values in double quotes.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_ascii() => escaped.push(c),
            c => escaped.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    escaped
}

/// `html` with `element` at the start of its body, or as near to that as its tags say.
pub(super) fn with_first_in_body(html: &[u8], element: &[u8]) -> Vec<u8> {
    let after = |name: &[u8]| tag(html, name, 0).and_then(|start| tag_end(html, start));
    let at = after(b"body").or_else(|| after(b"/head")).or_else(|| after(b"html")).or_else(|| after(b"!doctype"));
    let (before, rest) = html.split_at_checked(at.unwrap_or_default()).unwrap_or_default();
    [before, element, rest].concat()
}

/// `html` without each `div` of that class, whole; `None` when there is none, or one does not end.
pub(super) fn without_divisions(html: &[u8], class: &str) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(html.len());
    let (mut from, mut at, mut is_found) = (0, 0, false);
    while let Some(start) = tag(html, b"div", at) {
        let end = tag_end(html, start)?;
        at = end;
        if has_class(html.get(start..end)?, class) {
            at = closing(html, end)?;
            kept.extend_from_slice(html.get(from..start)?);
            from = at;
            is_found = true;
        }
    }
    kept.extend_from_slice(html.get(from..)?);
    is_found.then_some(kept)
}

/// Where the `div` ends whose content begins at `at`. Each octet is looked at once, however deep other `div`s are nested in it.
fn closing(html: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1_usize;
    while depth > 0 {
        let (start, name) = first_tag(html, &[b"div", b"/div"], at)?;
        depth = if name == b"div" { depth + 1 } else { depth - 1 };
        at = tag_end(html, start)?;
    }
    Some(at)
}

/// Where the next tag of that name begins at or after `at`, outside comments.
fn tag(html: &[u8], name: &[u8], at: usize) -> Option<usize> {
    first_tag(html, &[name], at).map(|(start, _)| start)
}

/// The next tag with one of `names` at or after `at`, outside comments: where it begins, and its name.
fn first_tag<'n>(html: &[u8], names: &[&'n [u8]], mut at: usize) -> Option<(usize, &'n [u8])> {
    loop {
        let start = at + memchr(b'<', html.get(at..)?)?;
        let rest = html.get(start + 1..)?;
        if rest.starts_with(b"!--") {
            at = start + memmem::find(html.get(start..)?, b"-->")?;
            continue;
        }
        let is_here = |name: &&&[u8]| {
            let (own, after) = rest.split_at_checked(name.len()).unwrap_or_default();
            let ends = after.first().is_some_and(|octet| octet.is_ascii_whitespace() || b"/>".contains(octet));
            !name.is_empty() && own.eq_ignore_ascii_case(name) && ends
        };
        if let Some(name) = names.iter().find(is_here) {
            return Some((start, name));
        }
        at = start + 1;
    }
}

/// Behind the `>` that ends the tag at `start`; one within quotes does not.
fn tag_end(html: &[u8], start: usize) -> Option<usize> {
    let mut quote = None;
    for (at, octet) in html.iter().enumerate().skip(start) {
        match (quote, octet) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(octet),
            (Some(open), octet) if open == octet => quote = None,
            _ => {}
        }
    }
    None
}

/// Whether the class attribute of a tag names `class`.
fn has_class(tag: &[u8], class: &str) -> bool {
    let mut rest = tag.get(1..).unwrap_or_default();
    // The name of the element.
    rest = rest.trim_ascii_start();
    rest = rest.get(word(rest)..).unwrap_or_default();
    loop {
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(b"/").unwrap_or(rest).trim_ascii_start();
        let (name, after) = rest.split_at_checked(word(rest)).unwrap_or_default();
        if name.is_empty() && !after.starts_with(b"=") {
            return false;
        }
        let after = after.trim_ascii_start();
        let Some(value) = after.strip_prefix(b"=") else {
            rest = after;
            continue;
        };
        let value = value.trim_ascii_start();
        let (value, after) = match value.first() {
            Some(quote @ (b'"' | b'\'')) => {
                let value = value.get(1..).unwrap_or_default();
                let end = memchr(*quote, value).unwrap_or(value.len());
                (value.get(..end).unwrap_or_default(), value.get(end + 1..).unwrap_or_default())
            }
            _ => value.split_at_checked(unquoted(value)).unwrap_or_default(),
        };
        if name.eq_ignore_ascii_case(b"class") {
            return value.split(u8::is_ascii_whitespace).any(|one| one == class.as_bytes());
        }
        rest = after;
    }
}

fn word(text: &[u8]) -> usize {
    text.iter().take_while(|octet| !octet.is_ascii_whitespace() && !b"=/>".contains(octet)).count()
}

fn unquoted(text: &[u8]) -> usize {
    text.iter().take_while(|octet| !octet.is_ascii_whitespace() && **octet != b'>').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(html: &str) -> Option<String> {
        without_divisions(html.as_bytes(), "c").map(|html| String::from_utf8(html).unwrap())
    }

    #[test]
    fn a_division_goes_with_all_that_is_in_it() {
        for (html, rest) in [
            ("<body><div class=\"c\"><pre>s</pre></div>text</body>", Some("<body>text</body>")),
            ("a<DIV id=1 CLASS='b c'><div>x</div>y</div >b", Some("ab")),
            ("a<div class=c>x</div>b<div class=c />y</div>", Some("ab")),
            ("<div>a<div class=c>x</div>b</div>", Some("<div>ab</div>")),
            ("a<div title='class=c'>x</div>", None),
            ("a<div class=\"cc\">x</div>", None),
            ("a<!-- <div class=c>x</div> -->b", None),
            ("a<div class=c>x", None),
            ("a<divider class=c>x</divider>", None),
            ("<div class", None),
            ("<div =c=d", None),
        ] {
            assert_eq!(without(html).as_deref(), rest, "{html}");
        }
    }

    #[test]
    fn an_element_goes_where_the_body_begins() {
        for (html, expected) in [
            ("<html><body a='>'>x</body>", "<html><body a='>'>+x</body>"),
            ("<head></head>x", "<head></head>+x"),
            ("<!DOCTYPE html>x", "<!DOCTYPE html>+x"),
            ("<!-- <body> -->x", "+<!-- <body> -->x"),
            ("x", "+x"),
        ] {
            assert_eq!(with_first_in_body(html.as_bytes(), b"+"), expected.as_bytes(), "{html}");
        }
    }
}
