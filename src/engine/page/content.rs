//! What a page holds: a description in JSON with the header and the text, and the files.

use std::borrow::Cow;

use serde::Serialize;

use super::text_of_html::text_of_html;
use crate::{
    base::{Error, Result},
    mail::{
        Message, Part,
        header::{ContentType, Field},
    },
};

/// What the page shows.
#[derive(Default, Serialize)]
struct Description {
    /// Names and values.
    header: Vec<(String, String)>,
    /// The text, with LF.
    text: String,
    /// In the order of their octets.
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    octets: usize,
}

/// `head`, the number of octets of the description in four octets (big-endian), the description, and the octets of the files one after another.
pub(super) fn octets(message: &Message, head: &[u8]) -> Result<Vec<u8>> {
    let mut content = Content { octets: Vec::with_capacity(message.octets().len()), ..Content::default() };
    content.gather(message.root(), Html::IsText);
    let Content { mut description, texts, mut octets } = content;
    description.text = texts.join("\n\n");
    description.header = message.root().fields().filter(is_shown).map(shown).collect();
    let json = serde_json::to_vec(&description).map_err(|error| Error::unavailable(error.to_string()))?;
    let length =
        u32::try_from(json.len()).map_err(|_| Error::malformed("message", "its text is too long for a page"))?;
    octets.splice(0..0, head.iter().copied().chain(length.to_be_bytes()).chain(json));
    Ok(octets)
}

#[derive(Default)]
struct Content {
    description: Description,
    texts: Vec<String>,
    /// Of the files.
    octets: Vec<u8>,
}

/// Whether HTML is shown as text. It is among the files in any case.
#[derive(Clone, Copy)]
enum Html {
    /// The same text is there as text/plain.
    IsFile,
    IsText,
}

impl Content {
    fn gather(&mut self, part: Part<'_>, html: Html) {
        let kind = part.content_type();
        if part.children().len() > 0 && kind.kind == "multipart" {
            let html = if kind.subtype == "alternative" && has_plain(part) { Html::IsFile } else { html };
            part.children().for_each(|child| self.gather(child, html));
            return;
        }
        let is_text = |subtype| kind.is("text", subtype) && !is_attached(part);
        if is_text("plain") {
            self.texts.push(part.text().replace("\r\n", "\n"));
            return;
        }
        if is_text("html") && matches!(html, Html::IsText) {
            self.texts.push(text_of_html(&part.text()));
        }
        // A message within is a file as it is.
        let decoded = if part.children().len() > 0 { Cow::Borrowed(part.body()) } else { part.decoded() };
        self.octets.extend_from_slice(&decoded);
        let name = self.name_of(part);
        self.description.files.push(File { name, kind: kind.essence(), octets: decoded.len() });
    }

    /// A name that is safe to save, and that no other file has.
    fn name_of(&self, part: Part<'_>) -> String {
        let disposition = part.header("Content-Disposition").map(|value| ContentType::disposition(&value));
        let given = disposition.as_ref().and_then(|value| value.parameter("filename"));
        let name = safe(given.or(part.content_type().parameter("name")).unwrap_or_default());
        let ending = match part.content_type().essence().as_str() {
            "text/html" => ".html",
            "text/plain" => ".txt",
            "text/calendar" => ".ics",
            "message/rfc822" => ".eml",
            _ => "",
        };
        let name = if name.is_empty() { format!("file{ending}") } else { name };
        let is_taken = |name: &str| self.description.files.iter().any(|file| file.name == name);
        let numbered = (2..).map(|number| match name.rsplit_once('.') {
            Some((stem, ending)) => format!("{stem}-{number}.{ending}"),
            None => format!("{name}-{number}"),
        });
        let mut names = std::iter::once(name.clone()).chain(numbered);
        names.find(|name| !is_taken(name)).unwrap_or_default()
    }
}

fn is_attached(part: Part<'_>) -> bool {
    part.header("Content-Disposition").is_some_and(|value| ContentType::disposition(&value).kind == "attachment")
}

/// Whether a text/plain is shown somewhere in it.
fn has_plain(part: Part<'_>) -> bool {
    part.content_type().is("text", "plain") && !is_attached(part) || part.children().any(has_plain)
}

fn is_shown(field: &Field<'_>) -> bool {
    ["From", "Reply-To", "To", "Cc", "Date", "Subject"].iter().any(|name| field.is(name))
}

fn shown(field: Field<'_>) -> (String, String) {
    (field.name.to_owned(), field.decoded())
}

/// The last component of a file name, without what file systems and readers take for something else: separators, control characters, marks that
/// change the direction of the text, and a dot at the start.
fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let kept: String = last.chars().map(|c| if is_unsafe(c) { '_' } else { c }).take(LONGEST_NAME).collect();
    kept.trim_matches(|c: char| c == '.' || c.is_whitespace()).to_owned()
}

/// Characters of a file name. Most file systems take 255 octets.
const LONGEST_NAME: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Limits};

    fn read(message: &str) -> (serde_json::Value, Vec<u8>) {
        let message = Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap();
        let octets = octets(&message, b"head").unwrap();
        let rest = octets.strip_prefix(b"head").unwrap();
        let (length, rest) = rest.split_first_chunk().unwrap();
        let (json, files) = rest.split_at(u32::from_be_bytes(*length) as usize);
        (serde_json::from_slice(json).unwrap(), files.to_vec())
    }

    #[test]
    fn a_message_is_its_text_and_its_files() {
        let (described, files) = read(
            "From: =?utf-8?q?J=C3=BCrgen?= <j@x.org>\r\nTo: b@x.org\r\nBcc: hidden@x.org\r\nSubject: one\r\n two\r\n\
             Content-Type: multipart/mixed; boundary=m\r\n\r\n\
             --m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
             --a\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nna\u{ef}ve\r\nline\r\n\
             --a\r\nContent-Type: text/html\r\n\r\n<p>rich</p>\r\n--a--\r\n\
             --m\r\nContent-Type: application/pdf; name=\"../../a<b>.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n\
             --m\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"a_b_.pdf\"\r\n\r\nattached\r\n\
             --m\r\nContent-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\nx\r\n--m--\r\n",
        );
        assert_eq!(
            described,
            serde_json::json!({
                "header": [["From", "J\u{fc}rgen <j@x.org>"], ["To", "b@x.org"], ["Subject", "one two"]],
                "text": "na\u{c3}\u{af}ve\nline",
                "files": [
                    {"name": "file.html", "type": "text/html", "octets": 11},
                    {"name": "a_b_.pdf", "type": "application/pdf", "octets": 2},
                    {"name": "a_b_-2.pdf", "type": "text/plain", "octets": 8},
                    {"name": "file.eml", "type": "message/rfc822", "octets": 20},
                ],
            })
        );
        assert_eq!(files, b"<p>rich</p>hiattachedSubject: within\r\n\r\nx");
    }

    #[test]
    fn html_alone_is_shown_as_text() {
        let (described, files) =
            read("Content-Type: text/html; charset=utf-8\r\n\r\n<p>Hello <b>you</b></p><script>x()</script>\r\n");
        assert_eq!(described["text"], "Hello you");
        assert_eq!(described["files"][0]["name"], "file.html");
        assert!(files.starts_with(b"<p>Hello"));
    }

    #[test]
    fn names_are_safe_to_save() {
        for (name, expected) in [
            ("report.pdf", "report.pdf"),
            ("C:\\Windows\\x.exe", "x.exe"),
            ("../.bashrc", "bashrc"),
            ("a\u{202e}fdp.exe", "a_fdp.exe"),
            ("a\r\nb", "a__b"),
            ("...", ""),
            (&"x".repeat(200), &"x".repeat(60)),
        ] {
            assert_eq!(safe(name), expected, "{name:?}");
        }
    }
}
