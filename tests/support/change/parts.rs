//! Parts more, fewer, in another order and wrapped, and other boundaries.

use super::{Change, EVIL};
use crate::support::entity::{Entity, Part, Parts};

/// What is put beside the parts.
const PARTS: &[(&str, &str)] = &[
    ("text", "Content-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("HTML", "Content-Type: text/html\n\n<p>Please pay Mallory.</p>\n"),
    ("no header", "\nPlease pay Mallory.\n"),
    ("nothing", "\n"),
    ("no empty line", "Please pay Mallory.\n"),
    (
        "an attachment",
        "Content-Type: application/pdf\nContent-Disposition: attachment; filename=\"pay-mallory.pdf\"\n\nx\n",
    ),
    (
        "a picture",
        "Content-Type: image/png\nContent-Transfer-Encoding: base64\nContent-Disposition: inline\n\niVBORw0KGgo=\n",
    ),
    ("a message", "Content-Type: message/rfc822\n\nSubject: Pay\n\nPlease pay Mallory.\n"),
    ("alternatives", "Content-Type: multipart/alternative; boundary=evil\n\n--evil\n\nPlease pay Mallory.\n--evil--\n"),
    ("a signature", "Content-Type: application/pgp-signature\n\nPlease pay Mallory.\n"),
    ("octets", "Content-Type: application/octet-stream\n\nPlease pay Mallory.\n"),
    ("a version", "Content-Type: application/pgp-encrypted\n\nVersion: 1\nPlease pay Mallory.\n"),
    ("a calendar", "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\nEND:VCALENDAR\n"),
    ("blank text with a name", "Content-Type: text/plain; name=\"Please pay Mallory.txt\"\n\n\n"),
    (
        "an outside body",
        "Content-Type: message/external-body; access-type=URL; URL=\"https://evil.example/\"\n\nContent-Type: text/html\n\n",
    ),
];

pub(super) fn changes(entity: &Entity, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let mut entity = entity.clone();
    let Some(parts) = entity.parts() else { return };
    let count = parts.parts.len();
    for (name, part) in PARTS {
        for place in 0..=count {
            let (line, part) =
                (format!("{nl}--{}{nl}", parts.boundary), Entity::parse(part.trim_end().replace('\n', nl).as_bytes()));
            changes.push(Change::at(path, format!("part more: {name}, {place}"), move |entity| {
                if let Some(parts) = entity.parts() {
                    let place = place.min(parts.parts.len());
                    parts.parts.insert(place, (line.clone().into_bytes(), Part::Open(part.clone())));
                }
            }));
        }
    }
    for index in 0..count {
        changes.push(Change::at(path, format!("part gone: {index}"), move |entity| {
            if let Some(parts) = entity.parts().filter(|parts| index < parts.parts.len()) {
                parts.parts.remove(index);
            }
        }));
        changes.push(Change::at(path, format!("part twice: {index}"), move |entity| {
            if let Some(parts) = entity.parts().filter(|parts| index < parts.parts.len()) {
                let (line, part) = parts.parts[index].clone();
                let line = if line.starts_with(b"-") { [b"\r\n", line.as_slice()].concat() } else { line };
                parts.parts.push((line, part));
            }
        }));
        for kind in ["mixed", "alternative", "related", "signed", "digest"] {
            for first in [true, false] {
                let nl = nl.to_owned();
                let place = if first { "before" } else { "after" };
                changes.push(Change::at(
                    path,
                    format!("part wrapped: {index} in {kind} with text {place}"),
                    move |entity| {
                        if let Some((_, part)) = entity.parts().and_then(|parts| parts.parts.get_mut(index)) {
                            let inside = match part {
                                Part::Frozen(octets) => octets.clone(),
                                Part::Open(entity) => entity.write(),
                            };
                            *part = Part::Open(Entity::parse(&wrapped(kind, &inside, Some(first), &nl)));
                        }
                    },
                ));
            }
        }
    }
    changes.push(Change::at(path, "parts in the other order: all", |entity| {
        if let Some(parts) = entity.parts() {
            let contents: Vec<Part> = parts.parts.iter().rev().map(|(_, part)| part.clone()).collect();
            for ((_, part), content) in parts.parts.iter_mut().zip(contents) {
                *part = content;
            }
        }
    }));
    boundaries(parts, path, changes);
}

/// The boundary renamed, wherever it stands: like a line of what is signed, too long, of odd letters.
fn boundaries(parts: &Parts, path: &[usize], changes: &mut Vec<Change>) {
    let frozen: Vec<u8> = parts
        .parts
        .iter()
        .flat_map(|(_, part)| match part {
            Part::Frozen(octets) => octets.clone(),
            Part::Open(_) => Vec::new(),
        })
        .collect();
    let text = String::from_utf8_lossy(&frozen).into_owned();
    let mut names: Vec<(String, String)> = vec![
        ("empty".to_owned(), String::new()),
        ("a space".to_owned(), " ".to_owned()),
        ("a dash".to_owned(), "-".to_owned()),
        ("two dashes".to_owned(), "--".to_owned()),
        ("one letter".to_owned(), "b".to_owned()),
        ("a space at the end".to_owned(), format!("{} ", parts.boundary)),
        ("a space at the start".to_owned(), format!(" {}", parts.boundary)),
        ("a space within".to_owned(), "a b".to_owned()),
        ("dashes at the end".to_owned(), format!("{}--", parts.boundary)),
        ("71 letters".to_owned(), "b".repeat(71)),
        ("200 letters".to_owned(), "b".repeat(200)),
        ("1000 letters".to_owned(), "b".repeat(1000)),
        ("all that may be".to_owned(), "'()+_,-./:=?".to_owned()),
        ("a semicolon".to_owned(), "a;b".to_owned()),
        ("a quote".to_owned(), "a\\\"b".to_owned()),
        ("a backslash".to_owned(), "a\\\\b".to_owned()),
        ("an escape".to_owned(), "a\\b".to_owned()),
        ("a percent".to_owned(), "a%20b".to_owned()),
        ("UTF-8".to_owned(), "\u{e9}".to_owned()),
        ("a tab".to_owned(), "a\tb".to_owned()),
        ("a NUL".to_owned(), "a\0b".to_owned()),
        ("a pattern".to_owned(), ".*".to_owned()),
        ("an encoded word".to_owned(), "=?us-ascii?q?a?=".to_owned()),
        ("an apostrophe".to_owned(), "us-ascii''b".to_owned()),
    ];
    // Also within a line: some look for a boundary there.
    let dashed = text
        .lines()
        .flat_map(|line| line.match_indices("--").map(|(at, _)| line[at + 2..].trim_end()).collect::<Vec<_>>());
    for line in dashed.filter(|line| line.len() < 70) {
        let open = line.strip_suffix("--").unwrap_or(line);
        for (how, name) in [
            ("a line of the text", line.to_owned()),
            ("an inner boundary", open.to_owned()),
            ("the start of a line of the text", open.chars().take(open.chars().count() / 2).collect()),
            (
                "all but one letter of a line of the text",
                open.chars().take(open.chars().count().saturating_sub(1)).collect(),
            ),
            ("a line of the text and more", format!("{open}x")),
            ("a line of the text in capitals", open.to_uppercase()),
        ] {
            names.push((format!("{how}, {line:?}"), name));
        }
    }
    for (how, name) in names {
        let old = parts.boundary.clone();
        changes.push(Change::at(path, format!("boundary renamed: {how}"), move |entity| {
            let to_raw = name.replace("\\\"", "\"").replace("\\\\", "\\").replace("a\\b", "ab");
            if let Some(at) = entity.at("Content-Type") {
                let field = String::from_utf8_lossy(&entity.fields[at]).into_owned();
                let quoted = format!("boundary=\"{name}\"");
                let field =
                    field.replace(&format!("boundary=\"{old}\""), &quoted).replace(&format!("boundary={old}"), &quoted);
                entity.fields[at] = field.into_bytes();
            }
            if let Some(parts) = entity.parts() {
                let rename = |raw: &[u8]| {
                    String::from_utf8_lossy(raw).replace(&format!("--{old}"), &format!("--{to_raw}")).into_bytes()
                };
                for (line, _) in &mut parts.parts {
                    *line = rename(line);
                }
                parts.close = rename(&parts.close);
            }
        }));
    }
}

/// The whole put into something else.
pub(super) fn wrappings(root: &Entity, nl: &str, changes: &mut Vec<Change>) {
    if root.at("From").is_none() {
        return;
    }
    for kind in ["mixed", "alternative", "related", "digest", "report", "signed", "encrypted", "x-unknown"] {
        for text in [None, Some(true), Some(false)] {
            let nl = nl.to_owned();
            let place = text.map_or("alone", |first| if first { "after text" } else { "before text" });
            changes.push(Change::at(&[], format!("wrapped: in multipart/{kind}, {place}"), move |entity| {
                let (outer, inner) = split(entity);
                *entity = Entity::parse(&[outer, wrapped(kind, &inner, text, &nl)].concat());
            }));
        }
    }
    for kind in ["message/rfc822", "message/global", "message/partial", "text/plain", "application/octet-stream"] {
        let nl = nl.to_owned();
        changes.push(Change::at(&[], format!("wrapped: in {kind}"), move |entity| {
            let whole = entity.write();
            let (outer, _) = split(entity);
            *entity = Entity::parse(&[outer, format!("Content-Type: {kind}{nl}{nl}").into_bytes(), whole].concat());
        }));
    }
    for (name, text) in [
        ("an empty line", "\n"),
        ("text", "Please pay Mallory.\n"),
        ("text and an empty line", "Please pay Mallory.\n\n"),
        ("a byte order mark", "\u{feff}"),
        ("a NUL", "\0"),
        ("a space", " "),
        ("a lone CR", "\r"),
        ("a mailbox's line", "From alice@example.org Sun Nov 29 12:00:00 2026\n"),
        ("a mailbox's line of HTTP", "POST / HTTP/1.1\n"),
        ("a count of octets", "12345\n"),
        ("a boundary", "--evil\n"),
    ] {
        let text = text.replace('\n', nl).into_bytes();
        changes.push(Change::at(&[], format!("before the header: {name}"), move |entity| {
            entity.fields.insert(0, text.clone());
        }));
    }
}

/// The fields of the message itself, and the entity that the others begin.
fn split(entity: &Entity) -> (Vec<u8>, Vec<u8>) {
    let is_content = |field: &&Vec<u8>| field.to_ascii_lowercase().starts_with(b"content-");
    let mut inner = entity.clone();
    let outer: Vec<u8> = entity.fields.iter().filter(|field| !is_content(field)).flatten().copied().collect();
    inner.fields.retain(|field| is_content(&field));
    (outer, inner.write())
}

/// `inside` as a part of a multipart; with a text before or after it.
fn wrapped(kind: &str, inside: &[u8], text: Option<bool>, nl: &str) -> Vec<u8> {
    let boundary = "wrapping";
    let text_part = format!("--{boundary}{nl}Content-Type: text/plain{nl}{nl}{EVIL}{nl}");
    let part = [format!("--{boundary}{nl}").as_bytes(), inside, nl.as_bytes()].concat();
    let parts = match text {
        None => part,
        Some(true) => [text_part.into_bytes(), part].concat(),
        Some(false) => [part, text_part.into_bytes()].concat(),
    };
    let header = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"{nl}{nl}");
    [header.into_bytes(), parts, format!("--{boundary}--{nl}").into_bytes()].concat()
}
