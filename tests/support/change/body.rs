//! Text among the lines of a leaf: armor, base64, PEM, signatures; and octets behind binary objects.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Change, EVIL, FOREIGN, insert};
use crate::support::entity::Entity;

/// What is put on a line of its own.
const LINES: &[&str] = &[
    "Please pay Mallory.",
    FOREIGN,
    "Please/pay/Mallory",
    "",
    " ",
    "= Please pay Mallory.",
    "====",
    "-Please pay Mallory.",
    "- Please pay Mallory.",
    "--Please pay Mallory.",
    "Comment: Please pay Mallory.",
    "Version: Please pay Mallory.",
    "Version: Pay Mallory 1000 EUR now.",
    "Version: GnuPG v2",
    "Hash: SHA256, Please pay Mallory.",
    "Hash: SHA512",
    "Charset: utf-7",
    "MessageID: PayMalloryToday",
    "X-Comment: Please pay Mallory.",
    " Please pay Mallory.",
    "\0",
    "\u{c}",
    "\u{feff}",
    "-----BEGIN PGP SIGNATURE-----",
    "-----END PGP SIGNATURE-----",
    "-----BEGIN PGP MESSAGE-----",
    "-----BEGIN PGP SIGNED MESSAGE-----",
    "-----BEGIN PRIVACY-ENHANCED MESSAGE-----",
    "-----END PRIVACY-ENHANCED MESSAGE-----",
    "-----BEGIN PKCS7-----",
    "=20",
    "=",
    "From alice@example.org Sun Nov 29 12:00:00 2026",
    ".",
];

/// What is put at the end of a line.
const TAILS: &[&str] = &[
    " ",
    "\t",
    "  Please pay Mallory.",
    "\tPlease pay Mallory.",
    " \u{41f}\u{43e}\u{436}",
    "\u{41f}\u{43e}\u{436}",
    "=",
    "==Pay",
    "\r",
    "\0",
    "\rPlease pay Mallory.",
    "-",
    ".",
    "!",
    "\u{b}",
    "\u{a0}",
];

/// What is put behind an object of octets.
const BEHIND: &[(&str, &[u8])] = &[
    ("a zero", b"\0"),
    ("zeros", b"\0\0\0\0"),
    ("text", b"Please pay Mallory."),
    ("text and zeros", b"Please pay Mallory.\0\0"),
    ("a line end", b"\r\n"),
    ("an object", b"\x30\x03\x0c\x01x"),
    ("an octet string", b"\x04\x03Pay"),
    ("an end mark and text", b"\0\0Please pay Mallory.\0\0"),
];

pub(super) fn changes(entity: &Entity, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let mut entity = entity.clone();
    let encoding = entity.value("Content-Transfer-Encoding").unwrap_or_default();
    let Some(body) = entity.leaf() else { return };
    let ends: Vec<usize> =
        body.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1).collect();
    let mut starts = vec![0];
    starts.extend(&ends);
    for (number, at) in sampled(body, &starts) {
        for line in LINES {
            let raw = format!("{line}{nl}").into_bytes();
            changes.push(Change::at(path, format!("line more: {line:?}, {number}"), move |entity| {
                if let Some(body) = entity.leaf() {
                    insert(body, at, &raw);
                }
            }));
        }
        for tail in TAILS {
            changes.push(Change::at(path, format!("line longer: {tail:?}, {number}"), move |entity| {
                if let Some(body) = entity.leaf() {
                    let rest = body.get(at..).unwrap_or_default();
                    let length = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n')).unwrap_or(rest.len());
                    insert(body, at + length, tail.as_bytes());
                }
            }));
        }
        let (short, spaced) = (nl.to_owned(), nl.to_owned());
        changes.push(Change::at(path, format!("line gone: {number}"), move |entity| {
            edit_line(entity, at, |_| Vec::new());
        }));
        changes.push(Change::at(path, format!("line in capitals: {number}"), move |entity| {
            edit_line(entity, at, <[u8]>::to_ascii_lowercase);
        }));
        changes.push(Change::at(path, format!("line indented: {number}"), move |entity| {
            edit_line(entity, at, |line| [b" ", line].concat());
        }));
        changes.push(Change::at(path, format!("line stuffed: {number}"), move |entity| {
            edit_line(entity, at, |line| [b"- ", line].concat());
        }));
        changes.push(Change::at(path, format!("line broken: {number}"), move |entity| {
            edit_line(entity, at, |line| {
                let (first, second) = line.split_at(line.len() / 2);
                [first, short.as_bytes(), second].concat()
            });
        }));
        changes.push(Change::at(path, format!("line twice spaced: {number}"), move |entity| {
            edit_line(entity, at, |line| [line, spaced.as_bytes()].concat());
        }));
        changes.push(Change::at(path, format!("line ended by CR: {number}"), move |entity| {
            edit_line(entity, at, |line| [line.trim_ascii_end(), b"\r"].concat());
        }));
    }
    for (name, text) in [
        ("text far below", format!("{}{EVIL}{nl}", nl.repeat(60))),
        ("text far to the right", format!("{}{EVIL}{nl}", " ".repeat(200))),
        ("HTML", format!("<p>{EVIL}</p>{nl}")),
        ("uuencode", format!("begin 644 pay.txt{nl}#0V%T{nl}`{nl}end{nl}")),
        (
            "another block",
            format!("-----BEGIN PGP MESSAGE-----{nl}{nl}Please pay Mallory.{nl}-----END PGP MESSAGE-----{nl}"),
        ),
        ("a signature separator", format!("-- {nl}{EVIL}{nl}")),
    ] {
        for first in [true, false] {
            let text = text.clone().into_bytes();
            let place = if first { "first" } else { "last" };
            changes.push(Change::at(path, format!("text more: {name}, {place}"), move |entity| {
                if let Some(body) = entity.leaf() {
                    insert(body, if first { 0 } else { body.len() }, &text);
                }
            }));
        }
    }
    if encoding.eq_ignore_ascii_case("base64") {
        let clean: Vec<u8> = body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        let Ok(octets) = STANDARD.decode(clean) else { return };
        binary(&octets, path, nl, changes);
    }
}

/// Some lines of the body: the first, the last, and those where something begins or ends.
fn sampled(body: &[u8], starts: &[usize]) -> Vec<(usize, usize)> {
    let is_plain = |at: usize| {
        let line = body[at..].split(|octet| *octet == b'\n').next().unwrap_or_default();
        line.len() > 60 && line.iter().all(|octet| octet.is_ascii_alphanumeric() || b"+/\r ".contains(octet))
    };
    let mut picked = Vec::new();
    let mut plain = 0;
    for (number, &at) in starts.iter().enumerate() {
        // Of lines of base64, the first two of a row and the last are enough.
        plain = if is_plain(at) { plain + 1 } else { 0 };
        if plain <= 2 {
            picked.push((number, at));
        }
    }
    picked
}

fn edit_line(entity: &mut Entity, at: usize, edit: impl Fn(&[u8]) -> Vec<u8>) {
    if let Some(body) = entity.leaf().filter(|body| at < body.len()) {
        let end = body[at..].iter().position(|octet| *octet == b'\n').map_or(body.len(), |length| at + length + 1);
        let line = edit(&body[at..end]);
        body.splice(at..end, line);
    }
}

fn binary(octets: &[u8], path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let pem = |label: &str| {
        let base64: String = STANDARD
            .encode(octets)
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned() + nl)
            .collect();
        format!("-----BEGIN {label}-----{nl}{base64}-----END {label}-----{nl}")
    };
    let mut forms: Vec<(String, Vec<u8>, bool)> = Vec::new();
    for (name, more) in BEHIND {
        forms.push((format!("behind the object: {name}"), [octets, more].concat(), true));
        forms.push((format!("before the object: {name}"), [more, octets].concat(), true));
    }
    for label in ["PKCS7", "CMS", "PGP SIGNATURE"] {
        forms.push((format!("in PEM: {label}"), pem(label).into_bytes(), true));
        forms.push((
            format!("in PEM, with text before: {label}"),
            format!("{EVIL}{nl}{}", pem(label)).into_bytes(),
            true,
        ));
        forms.push((
            format!("in PEM, with text after: {label}"),
            format!("{}{EVIL}{nl}", pem(label)).into_bytes(),
            true,
        ));
        forms.push((
            format!("in PEM, with text after the label: {label}"),
            pem(label).replacen("-----BEGIN ", "-----BEGIN x ", 1).into_bytes(),
            true,
        ));
        forms.push((
            format!("in PEM, with foreign text within: {label}"),
            pem(label).replacen(nl, &format!("{nl}{FOREIGN}{nl}"), 1).into_bytes(),
            true,
        ));
        forms.push((format!("in PEM, not encoded: {label}"), pem(label).into_bytes(), false));
        forms.push((
            format!("in PEM, not encoded, with text before: {label}"),
            format!("{EVIL}{nl}{}", pem(label)).into_bytes(),
            false,
        ));
        forms.push((
            format!("in PEM, not encoded, with text after: {label}"),
            format!("{}{EVIL}{nl}", pem(label)).into_bytes(),
            false,
        ));
        forms.push((
            format!("in PEM, not encoded, with text within: {label}"),
            pem(label).replacen(nl, &format!("{nl}{FOREIGN}{nl}"), 1).into_bytes(),
            false,
        ));
    }
    forms.push(("base64 twice: all".to_owned(), STANDARD.encode(octets).into_bytes(), true));
    for (name, octets, is_encoded) in forms {
        let body = match is_encoded {
            true => STANDARD
                .encode(octets)
                .as_bytes()
                .chunks(76)
                .map(|line| String::from_utf8_lossy(line).into_owned() + nl)
                .collect::<String>()
                .into_bytes(),
            false => octets,
        };
        changes.push(Change::at(path, name, move |entity| {
            if let Some(leaf) = entity.leaf() {
                leaf.clone_from(&body);
            }
            if let Some(at) = entity.at("Content-Transfer-Encoding").filter(|_| !is_encoded) {
                entity.fields.remove(at);
            }
        }));
    }
}
