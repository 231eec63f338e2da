//! What a message holds that is no layer, and that its reader should know of.

use memchr::memmem;

use crate::{mail::Part, protocol::pgp};

/// One line for each such thing in `part`.
pub(super) fn of(part: Part<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    let what = match part.octets() {
        [] => Some("empty"),
        octets if octets.starts_with(&OUTLOOK) => Some("an item of Outlook (.msg)"),
        // A file without a header: what is in it has nothing around it.
        _ if part.header_octets().is_empty() => pgp::kind::no_message(&part.decoded()),
        _ => None,
    };
    notes.extend(what.map(|what| format!("it is {what}, and no message")));
    in_html(part, &mut notes);
    notes
}

/// OpenPGP's armor in HTML is not opened: what a reader shows of HTML and what is in it are different things.
fn in_html(part: Part<'_>, notes: &mut Vec<String>) {
    part.children().for_each(|child| in_html(child, notes));
    if part.content_type().is("text", "html") && holds_armor(&part.decoded()) {
        let span = part.span();
        notes
            .push(format!("an OpenPGP block stands in HTML (part at {}..{}), and is not opened", span.start, span.end));
    }
}

/// Whether the words of a first line of armor are in HTML, with whatever spaces.
fn holds_armor(html: &[u8]) -> bool {
    memmem::find_iter(html, b"BEGIN").any(|at| {
        let words = ["PGP", "MESSAGE"];
        let signed = ["PGP", "SIGNED", "MESSAGE"];
        let after = html.get(at + b"BEGIN".len()..).unwrap_or_default();
        follows(after, &words) || follows(after, &signed)
    })
}

/// Whether these words come next, each after at least one space.
fn follows(html: &[u8], words: &[&str]) -> bool {
    let mut rest = html;
    words.iter().all(|word| {
        let before = rest;
        while let Some(after) = SPACES.iter().find_map(|space| rest.strip_prefix(*space)) {
            rest = after;
        }
        let is_apart = rest.len() < before.len();
        match rest.strip_prefix(word.as_bytes()) {
            Some(after) if is_apart => {
                rest = after;
                true
            }
            _ => false,
        }
    })
}

/// How a compound file begins ([MS-CFB], section 2.2).
const OUTLOOK: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// A space, and what writers of HTML make of it.
const SPACES: [&[u8]; 7] = [b" ", b"\t", b"\r", b"\n", b"&nbsp;", b"&#160;", b"\xc2\xa0"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Budget, Limits},
        mail::Message,
    };

    #[test]
    fn armor_in_html_is_named_however_it_is_spaced() {
        let notes = |kind: &str, text: &str| {
            let message = format!("Content-Type: {kind}\n\n{text}\n");
            of(Message::parse(message.into(), &mut Budget::new(Limits::default())).unwrap().root())
        };
        for text in [
            "<pre>-----BEGIN PGP MESSAGE-----",
            "-----BEGIN&nbsp;PGP \r\nMESSAGE-----<br>",
            "BEGIN BEGIN\u{a0}PGP SIGNED MESSAGE",
        ] {
            assert_eq!(notes("text/html", text).len(), 1, "{text}");
            assert!(notes("text/plain", text).is_empty(), "{text}");
        }
        for text in ["BEGIN PGPMESSAGE", "BEGINPGP MESSAGE", "BEGIN PGP SIGNATURE", "<p>BEGIN"] {
            assert!(notes("text/html", text).is_empty(), "{text}");
        }
    }
}
