//! The header: lines that are no fields, fields twice, names and ends that readers take differently.

use super::{Change, EVIL, FOREIGN, evil_parts, with_ends};
use crate::support::entity::Entity;

/// What is put between two fields. `\n` is the message's line end.
const LINES: &[(&str, &str)] = &[
    ("no colon", "Please pay Mallory."),
    ("a name with spaces", "Please pay Mallory: today"),
    ("no name", ": Please pay Mallory."),
    ("space before the colon", "X-Mailer : x"),
    ("tab before the colon", "X-Mailer\t: x"),
    ("a type with a space before the colon", "Content-Type : text/plain"),
    ("an encoding with a space before the colon", "Content-Transfer-Encoding : base64"),
    ("a blank continuation", "X: y\n \n Please pay Mallory."),
    ("a blank continuation of tabs", "X: y\n\t\t\n\tPlease pay Mallory."),
    ("a blank continuation at the end", "X: y\n "),
    ("nothing but a continuation", "X:\n y"),
    ("lone CRs", "X: y\r\rPlease pay Mallory."),
    ("a lone CR", "X: y\rContent-Type: text/plain"),
    ("a lone CR at the end", "X: y\r"),
    ("LF CR", "X: y\n\rPlease pay Mallory."),
    ("a line of CRs", "\r\rX: y"),
    ("NUL in the value", "X: y\0"),
    ("NUL in the name", "X\0: y"),
    ("a line of NUL", "\0"),
    ("vertical tab", "X: y\u{b}Please pay Mallory."),
    ("form feed", "X: y\u{c}\u{c}Please pay Mallory."),
    ("a line of form feed", "\u{c}"),
    ("a control in the name", "X\u{1}: y"),
    ("next line", "X: y\u{85}\u{85}Please pay Mallory."),
    ("line separator", "X: y\u{2028}\u{2028}Please pay Mallory."),
    ("file separator", "X: y\u{1c}\u{1c}Please pay Mallory."),
    ("UTF-8 in the name", "\u{e9}: y"),
    ("UTF-8 in the value", "X: \u{e9}"),
    ("nothing in the value", "X:"),
    ("a mailbox's line", "From alice@example.org Sun Nov 29 12:00:00 2026"),
    ("a mailbox's line, quoted", ">From alice@example.org Sun Nov 29 12:00:00 2026"),
    ("armor", "-----BEGIN PGP SIGNED MESSAGE-----"),
    ("a boundary of nobody", "--evil"),
    ("a name of one digit", "1: y"),
    ("a name of odd letters", "X(y)[z]@a,b;c: d"),
    ("a quoted name", "\"X\": y"),
    ("a name with a slash", "X/y: z"),
    ("no space after the colon", "X:y"),
    ("two colons", "X:: y"),
    ("a long name", "X-LONG: y"),
    ("a long value", "X: LONG"),
    ("a field of mailers", "X-Mailer: x\n\ty"),
    ("a type under another name", "X-Content-Type: text/plain"),
    ("a type of the whole", "Content-Type-: text/plain"),
    ("underscore", "Content_Type: text/plain"),
    ("an indented field", " Content-Type: text/plain"),
    ("encoded words", "X: =?utf-8?q?=0D=0AContent-Type:_text/plain?="),
    ("a subject", "Subject: Please pay Mallory."),
    ("a subject with a space before the colon", "Subject : Please pay Mallory."),
    ("a subject in other letters", "SUBJECT: Please pay Mallory."),
    ("a sender", "From: mallory@evil.example"),
    ("a sender with a space before the colon", "From : mallory@evil.example"),
    ("a sender after a lone CR", "X: y\rFrom: mallory@evil.example"),
    ("a subject after a lone CR", "X: y\rSubject: Please pay Mallory."),
    ("an empty sender", "From:"),
    ("a version", "MIME-Version: 1.0 (x)"),
    ("another version", "MIME-Version: 2.0"),
];

/// What is said a second time, before or after the first.
const AGAIN: &[&str] = &[
    "Content-Type: text/plain",
    "Content-Type: text/html",
    "Content-Type: multipart/mixed; boundary=evil",
    "Content-Type: multipart/alternative; boundary=\"evil\"",
    "Content-Type: message/rfc822",
    "Content-Type:",
    "Content-Type: application/octet-stream; name=\"pay-mallory.pdf\"",
    "content-type: text/plain",
    "CONTENT-TYPE: text/plain",
    "Content-Type\t: text/plain",
    "Content-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: quoted-printable",
    "Content-Transfer-Encoding: 7bit",
    "Content-Transfer-Encoding: x-uuencode",
    "Content-Transfer-Encoding:",
    "Content-Disposition: attachment; filename=\"pay-mallory.txt\"",
    "Content-Disposition: inline",
    "Content-Description: Please pay Mallory.",
    "Content-ID: <mallory@example.org>",
    "Content-Location: https://evil.example/",
    "Content-Base: https://evil.example/",
    "Content-Language: de",
    "Content-Encoding: gzip",
];

/// What ends the header instead of an empty line.
const BLANKS: &[(&str, &str)] = &[
    ("a space", " \n"),
    ("a tab", "\t\n"),
    ("CR before the line end", "\r\n"),
    ("CR alone", "\r"),
    ("LF CR", "\n\r"),
    ("nothing", ""),
    ("NUL", "\0\n"),
    ("form feed", "\u{c}\n"),
    ("a space first", " \n\n"),
    ("two lines", "\n\n"),
    ("two lines with a space", "\n \n"),
    ("text", "\nPlease pay Mallory.\n\n"),
    ("CRs", "\r\r\n"),
];

pub(super) fn changes(entity: &Entity, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let count = entity.fields.len();
    let mut places = vec![0, entity.at("Content-Type").unwrap_or(0), count];
    places.dedup();
    let body = evil_parts(nl);
    let lines = LINES.iter().map(|(name, line)| ((*name).to_owned(), (*line).to_owned()));
    let lines = lines.chain([
        ("a foreign line".to_owned(), FOREIGN.to_owned()),
        ("text after an empty line".to_owned(), format!("X: y\n\n{EVIL}")),
        ("Latin-1 in the value".to_owned(), "X: \u{1}LATIN".to_owned()),
    ]);
    for (name, line) in lines {
        for place in places.clone() {
            let raw = [octets(&line, nl), nl.as_bytes().to_vec()].concat();
            let place_name = match place {
                0 => "first",
                _ if place == count => "last",
                _ => "before the type",
            };
            changes.push(Change::at(path, format!("header line: {name}, {place_name}"), move |entity| {
                entity.fields.insert(place.min(entity.fields.len()), raw.clone());
            }));
        }
    }
    for line in AGAIN {
        for place in [0, count] {
            let (raw, body) = ([octets(line, nl), nl.as_bytes().to_vec()].concat(), body.clone());
            let has_evil = line.contains("evil\"") || line.ends_with("=evil");
            let order = if place == 0 { "first" } else { "last" };
            changes.push(Change::at(path, format!("header field more: {line}, {order}"), move |entity| {
                entity.fields.insert(place.min(entity.fields.len()), raw.clone());
                if let Some(parts) = entity.parts().filter(|_| has_evil) {
                    parts.preamble.extend_from_slice(body.as_bytes());
                }
            }));
        }
    }
    for (name, blank) in BLANKS {
        let blank = with_ends(blank, nl);
        changes.push(Change::at(path, format!("header end: {name}"), move |entity| entity.blank.clone_from(&blank)));
    }
    for index in 0..count {
        named(entity, index, path, nl, changes);
    }
}

/// One field, written otherwise.
fn named(entity: &Entity, index: usize, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let raw = entity.fields[index].clone();
    let Some(colon) = raw.iter().position(|octet| *octet == b':') else { return };
    let name = String::from_utf8_lossy(&raw[..colon]).into_owned();
    let value = String::from_utf8_lossy(&raw[colon + 1..]).trim().to_owned();
    let forms = [
        ("upper case", format!("{}: {value}{nl}", name.to_uppercase())),
        ("a space before the colon", format!("{name} : {value}{nl}")),
        ("a tab before the colon", format!("{name}\t: {value}{nl}")),
        ("a line break before the colon", format!("{name}{nl} : {value}{nl}")),
        ("no space after the colon", format!("{name}:{value}{nl}")),
        ("folded after the colon", format!("{name}:{nl} {value}{nl}")),
        ("folded with a tab", format!("{name}:{nl}\t{value}{nl}")),
        ("folded over a blank line", format!("{name}: {nl} {nl} {value}{nl}")),
        ("folded with a lone CR", format!("{name}:\r {value}{nl}")),
        ("folded with LF CR", format!("{name}:\n\r {value}{nl}")),
        ("a blank continuation after", format!("{name}: {value}{nl} {nl}")),
        ("unfolded", format!("{name}: {}{nl}", value.replace(['\r', '\n'], "").replace('\t', " "))),
        (
            "folded at each space",
            format!("{name}: {}{nl}", value.replace(['\r', '\n'], "").replace(' ', &format!("{nl} "))),
        ),
        ("folded within words", format!("{name}: {}{nl} {}{nl}", &value[..half(&value)], &value[half(&value)..])),
        ("a space at the end", format!("{name}: {value} {nl}")),
        ("NUL at the end", format!("{name}: {value}\0{nl}")),
        ("NUL at the start", format!("{name}: \0{value}{nl}")),
        ("NUL in the name", format!("{name}\0: {value}{nl}")),
        ("a comment first", format!("{name}: (x) {value}{nl}")),
        ("a comment last", format!("{name}: {value} (x){nl}")),
        ("an open comment last", format!("{name}: {value} (x{nl}")),
        ("an indented name", format!(" {name}: {value}{nl}")),
        ("a lone CR at the end", format!("{name}: {value}\r{nl}")),
        ("a wrong line end", format!("{name}: {value}{}", if nl == "\n" { "\r\n" } else { "\n" })),
        ("a lone CR for its end", format!("{name}: {value}\r")),
        ("twice", format!("{name}: {value}{nl}{name}: {value}{nl}")),
        ("empty", format!("{name}:{nl}")),
        ("gone", String::new()),
    ];
    for (how, form) in forms {
        let form = form.into_bytes();
        changes.push(Change::at(path, format!("field written otherwise: {name}, {how}"), move |entity| {
            if index < entity.fields.len() {
                entity.fields[index].clone_from(&form);
            }
        }));
    }
    for (how, other) in others(&name) {
        let form = [octets(&format!("{name}: {other}"), nl), nl.as_bytes().to_vec()].concat();
        changes.push(Change::at(path, format!("another {name}: {how}"), move |entity| {
            if index < entity.fields.len() {
                entity.fields[index].clone_from(&form);
            }
        }));
    }
}

/// Other values of a field that is shown.
fn others(name: &str) -> &'static [(&'static str, &'static str)] {
    match name {
        "From" => &[
            ("bare", "alice@example.org"),
            ("quoted name", "\"Alice, or Mallory\" <alice@example.org>"),
            ("two", "alice@example.org, mallory@evil.example"),
            ("two, one empty", "alice@example.org, <>"),
            ("a comma at the end", "alice@example.org,"),
            ("a comma first", ", alice@example.org"),
            ("a group", "people: alice@example.org;"),
            ("a group of two", "people: alice@example.org, mallory@evil.example;"),
            ("a comment", "alice@example.org (mallory@evil.example)"),
            ("a comment first", "(mallory@evil.example) alice@example.org"),
            ("a comment within", "alice(mallory)@example.org"),
            ("a comment in the domain", "alice@example.org(.evil.example)"),
            ("a route", "<@evil.example:alice@example.org>"),
            ("a route of two", "<@a.example,@evil.example:alice@example.org>"),
            ("an address as name", "mallory@evil.example <alice@example.org>"),
            ("an address as quoted name", "\"mallory@evil.example\" <alice@example.org>"),
            ("an encoded address as name", "=?utf-8?q?mallory=40evil=2Eexample?= <alice@example.org>"),
            ("two in angles", "<mallory@evil.example> <alice@example.org>"),
            ("two in angles, ours first", "<alice@example.org> <mallory@evil.example>"),
            ("text after", "<alice@example.org> mallory@evil.example"),
            ("a quoted local part", "<\"alice\"@example.org>"),
            ("a quoted local part with a space", "<\"alice \"@example.org>"),
            ("an escape", "<\"al\\ice\"@example.org>"),
            ("spaces", "alice @ example.org"),
            ("spaces in angles", "< alice@example.org >"),
            ("a dot at the end", "alice@example.org."),
            ("two at signs", "alice@example.org@evil.example"),
            ("two at signs, ours last", "mallory@evil.example@example.org"),
            ("double angles", "<<alice@example.org>>"),
            ("an open angle", "Alice <alice@example.org"),
            ("a semicolon", "alice@example.org; mallory@evil.example"),
            (
                "an encoded word with an address",
                "=?utf-8?q?Mallory_=3Cmallory=40evil=2Eexample=3E?= <alice@example.org>",
            ),
            ("an encoded word with a comma", "=?utf-8?q?mallory=40evil=2Eexample=2C?= <alice@example.org>"),
            ("an encoded address", "=?utf-8?q?alice=40example=2Eorg?="),
            ("an open quote", "\"Alice <alice@example.org>"),
            ("an open comment", "(Alice <alice@example.org>"),
            ("a NUL", "alice@example.org\0.evil.example"),
            ("a NUL in the name", "mallory@evil.example\0 <alice@example.org>"),
            ("a lone CR", "mallory@evil.example\r <alice@example.org>"),
            ("folded", "Alice\n <alice@example.org>"),
            ("capitals", "ALICE@EXAMPLE.ORG"),
            ("UTF-8", "\u{c4}lice <alice@example.org>"),
            ("a backslash", "Alice \\<mallory@evil.example\\> <alice@example.org>"),
            ("an escaped quote", "\"Alice\\\" <mallory@evil.example>\" <alice@example.org>"),
            ("mailto", "<mailto:alice@example.org>"),
            ("a colon in the name", "Fwd: Alice <alice@example.org>"),
        ],
        "Subject" => &[
            ("plain", "Lunch"),
            ("empty", ""),
            ("two encoded words", "=?utf-8?q?Lu?= =?utf-8?q?nch?="),
            ("an encoded word without an end", "=?utf-8?q?Lunch"),
            ("an encoded word within a word", "Lu=?utf-8?q?n?=ch"),
            ("an encoded word with spaces", "=?utf-8?q?Lunch at noon?="),
            ("base64 without padding", "=?utf-8?b?THVuY2g?="),
            ("base64 with more", "=?utf-8?b?THVuY2g=IFBheQ==?="),
            ("an unknown charset", "=?x-unknown?q?Lunch?="),
            ("a language", "=?utf-8*en?q?Lunch?="),
            ("quoted", "\"=?utf-8?q?Lunch?=\""),
            ("UTF-8", "Fr\u{fc}hst\u{fc}ck"),
            ("a split character", "=?utf-8?b?w7w=?= =?utf-8?b?w7w=?="),
            ("a character over two words", "=?utf-8?q?=C3?= =?utf-8?q?=BC?="),
            ("line breaks within", "=?utf-8?q?Lunch=0D=0AFrom:_mallory=40evil.example?="),
            ("NUL", "Lunch\0Pay"),
            ("a lone CR", "Lunch\rPay"),
            ("folded", "Lunch\n at noon"),
            ("UTF-7", "=?utf-7?q?+AFA-ay?="),
            ("control characters", "Lunch\u{8}\u{8}Pay"),
        ],
        _ => &[],
    }
}

fn half(value: &str) -> usize {
    (value.len() / 2..value.len()).find(|at| value.is_char_boundary(*at)).unwrap_or_default()
}

/// `\n` is the line end of the message; `LONG` is long; `\u{1}LATIN` is one octet that is no UTF-8.
fn octets(line: &str, nl: &str) -> Vec<u8> {
    let line = line.replace("X-LONG", &format!("X-{}", "L".repeat(998))).replace("LONG", &"x".repeat(2000));
    let mut octets = Vec::new();
    for (index, piece) in line.split("\u{1}LATIN").enumerate() {
        if index > 0 {
            octets.extend_from_slice(b"\xe9\xff");
        }
        octets.extend_from_slice(&with_ends(piece, nl));
    }
    octets
}
