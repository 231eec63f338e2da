//! Text where a multipart has none: before, between and after its parts, and around its boundary lines.

use super::{Change, EVIL, FOREIGN, evil_parts, with_ends};
use crate::support::entity::{Entity, Part};

/// What is put there. `BOUNDARY` is the multipart's; `\n` the line end of the message.
const CHUNKS: &[(&str, &str)] = &[
    ("text", "Please pay Mallory.\n"),
    ("text between empty lines", "\n\nPlease pay Mallory.\n\n"),
    ("an empty line", "\n"),
    ("spaces", "   \n"),
    ("HTML", "<html><body><h1>Please pay Mallory.</h1></body></html>\n"),
    ("a header and text", "Content-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a longer boundary", "--BOUNDARYx\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a longer boundary with a space", "--BOUNDARY x\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary with a tab", "--BOUNDARY\tx\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary with NUL", "--BOUNDARY\0\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary with one dash", "--BOUNDARY-\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary with three dashes", "--BOUNDARY---\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary with no-break space", "--BOUNDARY\u{a0}\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary with vertical tab", "--BOUNDARY\u{b}\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("an indented boundary", " --BOUNDARY\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary after text", "x--BOUNDARY\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary in other letters", "--OTHERCASE\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("a boundary after a lone CR", "x\r--BOUNDARY\r\rPlease pay Mallory.\r"),
    ("a boundary with text behind a lone CR", "--BOUNDARY\r\rPlease pay Mallory.\n"),
    ("a boundary after a form feed", "\u{c}--BOUNDARY\n\nPlease pay Mallory.\n"),
    ("a boundary after a line separator", "x\u{2028}--BOUNDARY\n\nPlease pay Mallory.\n"),
    ("a boundary without dashes", "BOUNDARY\n\nPlease pay Mallory.\n"),
    ("a boundary with one dash first", "-BOUNDARY\n\nPlease pay Mallory.\n"),
    ("a boundary with three dashes first", "---BOUNDARY\n\nPlease pay Mallory.\n"),
    ("a last boundary with text", "--BOUNDARY--x\nPlease pay Mallory.\n"),
    ("a last boundary with a space and text", "--BOUNDARY-- x\nPlease pay Mallory.\n"),
    ("a last boundary", "--BOUNDARY--\nPlease pay Mallory.\n"),
    ("an empty boundary", "--\nContent-Type: text/plain\n\nPlease pay Mallory.\n"),
    ("armor", "-----BEGIN PGP SIGNED MESSAGE-----\n\nPlease pay Mallory.\n-----END PGP SIGNATURE-----\n"),
    ("uuencode", "begin 644 pay-mallory.txt\n34&QE87-E('!A>2!-86QL;W)Y+@ \n`\nend\n"),
    ("yEnc", "=ybegin line=128 size=4 name=pay-mallory.txt\nabcd\n=yend size=4\n"),
    ("NUL", "\0\n"),
    ("a lone CR", "\r"),
    ("a byte order mark", "\u{feff}\n"),
    ("a mailbox's line", "From alice@example.org Sun Nov 29 12:00:00 2026\n\nPlease pay Mallory.\n"),
    ("a message", "From: mallory@evil.example\nSubject: Pay\n\nPlease pay Mallory.\n"),
    ("evil boundary", "--evil\nContent-Type: text/plain\n\nPlease pay Mallory.\n--evil--\n"),
];

/// What is put after a boundary on its line.
const TAILS: &[(&str, &str)] = &[
    ("a space", " "),
    ("a tab", "\t"),
    ("spaces and tabs", " \t \t"),
    ("CR", "\r"),
    ("vertical tab", "\u{b}"),
    ("form feed", "\u{c}"),
    ("NUL", "\0"),
    ("no-break space", "\u{a0}"),
    ("text", " Please pay Mallory."),
    ("a comment", " (c)"),
    ("a dash", "-"),
    ("two dashes", "--"),
    (
        "many spaces",
        "                                                                                                    ",
    ),
];

pub(super) fn changes(entity: &Entity, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let mut entity = entity.clone();
    let Some(parts) = entity.parts() else { return };
    let count = parts.parts.len();
    let chunks = CHUNKS.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    let chunks =
        chunks.chain([("foreign text".to_owned(), format!("{FOREIGN}\n")), ("evil".to_owned(), format!("{EVIL}\n"))]);
    for (name, text) in chunks {
        let text = text.replace("BOUNDARY", &parts.boundary).replace("OTHERCASE", &swapped(&parts.boundary));
        let text = with_ends(&text, nl);
        for place in 0..count + 3 {
            let (where_, text, end) = (place_name(place, count), text.clone(), nl.as_bytes().to_vec());
            changes.push(Change::at(path, format!("gap: {name}, {where_}"), move |entity| {
                let Some(parts) = entity.parts() else { return };
                if place == 0 {
                    parts.preamble = [&text, parts.preamble.as_slice()].concat();
                } else if place == 1 {
                    let end = if parts.preamble.is_empty() { &[] } else { end.as_slice() };
                    parts.preamble.extend_from_slice(&[end, &text].concat());
                } else if place == count + 2 {
                    parts.epilogue.extend_from_slice(&text);
                } else if let Some((_, part)) = parts.parts.get_mut(place - 2) {
                    // At its end, which is before the next boundary.
                    match part {
                        Part::Frozen(octets) => octets.extend_from_slice(&[&end, text.trim_ascii_end()].concat()),
                        Part::Open(entity) => match entity.leaf() {
                            Some(leaf) => leaf.extend_from_slice(&[&end, text.trim_ascii_end()].concat()),
                            None => {
                                entity.parts().into_iter().for_each(|parts| parts.epilogue.extend_from_slice(&text))
                            }
                        },
                    }
                }
            }));
        }
    }
    for (name, tail) in TAILS {
        for line in 0..=count {
            changes.push(delimiter(path, format!("boundary line: {name} after, {line}"), line, move |raw| {
                let end = raw.trim_ascii_end().len();
                [&raw[..end], tail.as_bytes(), &raw[end..]].concat()
            }));
        }
    }
    for line in 0..=count {
        let own = nl.to_owned();
        let other = if nl == "\n" { "\r\n" } else { "\n" };
        let edits: Vec<(&str, LineEdit)> = vec![
            ("gone", Box::new(move |_: &[u8]| own.clone().into_bytes())),
            ("twice", Box::new(|raw: &[u8]| [raw.trim_ascii_end(), raw].concat())),
            ("other line ends", Box::new(move |raw: &[u8]| ended(raw, other))),
            ("lone CR for line ends", Box::new(|raw: &[u8]| ended(raw, "\r"))),
            ("CR before line ends", Box::new(|raw: &[u8]| ended(raw, "\r\r\n"))),
            ("LF CR for line ends", Box::new(|raw: &[u8]| ended(raw, "\n\r"))),
            (
                "a space first",
                Box::new(|raw: &[u8]| String::from_utf8_lossy(raw).replacen("--", " --", 1).into_bytes()),
            ),
            ("a dash first", Box::new(|raw: &[u8]| String::from_utf8_lossy(raw).replacen("--", "---", 1).into_bytes())),
            ("no line end before", Box::new(|raw: &[u8]| raw.trim_ascii_start().to_vec())),
            ("capitals", Box::new(|raw: &[u8]| raw.to_ascii_uppercase())),
            (
                "quoted",
                Box::new(|raw: &[u8]| {
                    let text = String::from_utf8_lossy(raw).into_owned();
                    let boundary = text.trim().trim_start_matches('-').to_owned();
                    text.replace(&boundary, &format!("\"{boundary}\"")).into_bytes()
                }),
            ),
        ];
        for (name, edit) in edits {
            changes.push(delimiter(path, format!("boundary line: {name}, {line}"), line, edit));
        }
    }
    let evil = evil_parts(nl);
    changes.push(Change::at(path, "gap: another multipart before and after", move |entity| {
        if let Some(parts) = entity.parts() {
            parts.preamble = evil.clone().into_bytes();
            parts.epilogue = evil.clone().into_bytes();
        }
    }));
}

/// From one boundary line to another.
type LineEdit = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

fn place_name(place: usize, count: usize) -> String {
    match place {
        0 => "before the preamble".to_owned(),
        1 => "before the first boundary".to_owned(),
        _ if place == count + 2 => "after the last boundary".to_owned(),
        _ => format!("at the end of part {}", place - 2),
    }
}

/// A change of the boundary line with that number; the last is the closing one.
fn delimiter(
    path: &[usize],
    name: String,
    line: usize,
    edit: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
) -> Change {
    Change::at(path, name, move |entity| {
        let Some(parts) = entity.parts() else { return };
        let raw = match parts.parts.get_mut(line) {
            Some((raw, _)) => raw,
            None => &mut parts.close,
        };
        *raw = edit(raw);
    })
}

fn ended(raw: &[u8], end: &str) -> Vec<u8> {
    String::from_utf8_lossy(raw).replace("\r\n", "\n").replace('\n', end).into_bytes()
}

fn swapped(text: &str) -> String {
    text.chars().map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
}
