//! Parsing loses nothing: what the parts, their headers and the boundaries between them span is the whole message, each octet once.

#![allow(clippy::print_stderr)]

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use postseal::{
    base::{Budget, Limits},
    mail::{
        Message, Part, Span,
        canonical::{Carried, write_signable},
        header::Edit,
    },
};
use proptest::prelude::*;

use crate::support::requirements::corpus;

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(octets: Vec<u8>) {
        let message = parse(&octets);
        prop_assert_eq!(tiles(&message, message.root()), Ok(()));
        prop_assert_eq!(message.into_octets(), octets);
    }

    #[test]
    fn anything_that_looks_like_mail(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let octets = pieces.concat();
        let message = parse(&octets);
        prop_assert_eq!(tiles(&message, message.root()), Ok(()));
        prop_assert_eq!(signs(&message).map(|_| ()), Ok(()), "{:?}", String::from_utf8_lossy(&octets));
        prop_assert_eq!(message.into_octets(), octets);
    }
}

#[test]
fn every_file_of_the_corpora() {
    let Some(corpora) = corpus("") else { return };
    let mut failures = Vec::new();
    for (corpus, expected) in CORPORA {
        let start = Instant::now();
        let (mut files, mut octets, mut parts, mut signable) = (0, 0, 0, 0);
        for file in files_under(&corpora.join(corpus)) {
            let read = std::fs::read(&file).unwrap();
            let message = match Message::parse(read.clone(), &mut Budget::new(Limits::default())) {
                Ok(message) => message,
                Err(error) => {
                    failures.push(format!("{}: {error}", file.display()));
                    continue;
                }
            };
            files += 1;
            octets += read.len();
            parts += count(message.root());
            if let Err(failure) = tiles(&message, message.root()) {
                failures.push(format!("{}: {failure}", file.display()));
            }
            match signs(&message) {
                Ok(could) => signable += usize::from(could),
                Err(failure) => failures.push(format!("{}: {failure}", file.display())),
            }
            if message.into_octets() != read {
                failures.push(format!("{}: not the same octets", file.display()));
            }
        }
        println!(
            "{corpus}: {files} files, {octets} octets, {parts} parts, {signable} can be made 7-bit, {:?}",
            start.elapsed()
        );
        assert!(files >= expected, "{corpus}: {files} files, expected {expected}");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Checks that the spans of `part` and of everything in it follow one another without gap or overlap.
fn tiles(message: &Message, part: Part<'_>) -> Result<(), String> {
    let whole = message.octets();
    let slice = |span: Span| whole.get(span.start..span.end).ok_or(format!("{span:?} is no span"));
    let (span, header, body) = (part.span(), part.header_span(), part.body_span());
    let bounds = [span.start, header.start, header.end, body.start, body.end, span.end];
    if !bounds.is_sorted() || span.start != header.start || body.end != span.end {
        return Err(format!("{bounds:?} of {:?}", part.content_type()));
    }
    let separator = slice(Span { start: header.end, end: body.start })?;
    let breaks = separator.iter().filter(|octet| **octet == b'\n').count();
    if !separator.trim_ascii().is_empty() || breaks > 1 {
        return Err(format!("separator {separator:?}"));
    }
    let mut at = header.start;
    for field in part.fields() {
        if field.span.start != at || slice(field.span)? != field.raw {
            return Err(format!("field at {:?}, expected {at}", field.span));
        }
        at = field.span.end;
    }
    let same = slice(header)? == part.header_octets() && slice(body)? == part.body() && slice(span)? == part.octets();
    if at != header.end || !same {
        return Err(format!("header {header:?} or body {body:?}"));
    }
    let (preamble, epilogue) = part.margins();
    let same = slice(preamble)? == part.preamble() && slice(epilogue)? == part.epilogue();
    if !same || preamble.start != body.start || epilogue.end != body.end {
        return Err(format!("margins {preamble:?} {epilogue:?}"));
    }
    if part.children().len() == 0 && part.content_type().kind != "multipart" {
        return Ok(());
    }
    let is_message = part.content_type().kind == "message";
    let between = |start: usize, end: usize| {
        let gap = slice(Span { start, end })?;
        // A message has nothing around it; a boundary is one line, with the break before it and that after it.
        let line = gap.strip_prefix(b"\r\n").or(gap.strip_prefix(b"\n")).unwrap_or(gap);
        let is_boundary = line.starts_with(b"--") && !line.trim_ascii_end().contains(&b'\n');
        let fits = gap.is_empty() || !is_message && is_boundary;
        fits.then_some(()).ok_or(format!("between parts: {:?}", String::from_utf8_lossy(gap)))
    };
    // A multipart without any boundary is all preamble, or, when it has no boundary parameter, a leaf.
    if part.children().len() == 0 && preamble.end == body.start {
        return Ok(());
    }
    let mut at = preamble.end;
    for child in part.children() {
        between(at, child.span().start)?;
        tiles(message, child)?;
        at = child.span().end;
    }
    between(at, epilogue.start)
}

/// The signable form is 7-bit, in short lines, stable, and says the same. False when it was refused.
fn signs(message: &Message) -> Result<bool, String> {
    let mut written = Vec::new();
    if write_signable(message.root(), &Edit::new(message.root()), Carried::InClear, &mut written).is_err() {
        return Ok(false);
    }
    if !written.is_ascii() || written.contains(&0) {
        return Err("signable form is not 7-bit".into());
    }
    let mut lines = written.split(|octet| *octet == b'\n');
    let last = lines.next_back().unwrap_or_default();
    if last.len() > 998 || !lines.all(|line| line.ends_with(b"\r") && line.len() <= 999) {
        return Err("signable form has a long line, or a bare line feed".into());
    }
    let again = parse(&written);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    contents(message.root(), &mut before);
    contents(again.root(), &mut after);
    if before.len() != after.len() {
        return Err(format!("signable form has {} leaf parts of {}", after.len(), before.len()));
    }
    if let Some((old, new)) = before.iter().zip(&after).find(|(old, new)| old != new) {
        return Err(format!(
            "signable form turns {:?} into {:?}",
            String::from_utf8_lossy(old),
            String::from_utf8_lossy(new)
        ));
    }
    let mut twice = Vec::new();
    write_signable(again.root(), &Edit::new(again.root()), Carried::InClear, &mut twice)
        .map_err(|error| error.to_string())?;
    if twice != written {
        return Err("signable form is not stable".into());
    }
    Ok(true)
}

/// Leaf contents in order: what signing must not change, up to line ends.
fn contents(part: Part<'_>, into: &mut Vec<Vec<u8>>) {
    if part.children().len() == 0 {
        into.push(part.decoded().iter().copied().filter(|octet| *octet != b'\r').collect());
    }
    part.children().for_each(|child| contents(child, into));
}

fn parse(octets: &[u8]) -> Message {
    Message::parse(octets.to_vec(), &mut Budget::new(Limits::default())).unwrap()
}

fn count(part: Part<'_>) -> usize {
    1 + part.children().map(count).sum::<usize>()
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap());
    // The key rings and lists beside the messages are no mail, and have no header that ends.
    let is_mail = |path: &Path| !path.extension().is_some_and(|extension| extension == "pgp" || extension == "jsonl");
    files.filter(|entry| entry.file_type().is_file() && is_mail(entry.path())).map(|entry| entry.into_path()).collect()
}

/// Each with the least number of files that makes the test mean something.
const CORPORA: [(&str, usize); 6] = [
    ("mail-parser", 107),
    ("mime4j", 81),
    ("python-email-data", 48),
    ("ruby-mail", 103),
    ("rspamd", 211),
    ("lkml-signed", 581),
];

/// What mail is made of, badly put together.
const PIECES: &[&[u8]] = &[
    b"Content-Type: multipart/mixed; boundary=a\n",
    b"Content-Type: multipart/mixed; boundary=\"a b\"\r\n",
    b"Content-Type: multipart/digest; boundary=ab\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: application/octet-stream\n",
    b"Content-Type: text/plain;\n",
    b"Content-Transfer-Encoding: quoted-printable\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: 8bit\n",
    b"Content-Transfer-Encoding: binary\n",
    b"Subject: \xe9 x\n",
    b"From someone Mon\n",
    b" folded\r\n",
    b"no field\n",
    b"\n",
    b"\r\n",
    b"\n",
    b"\r\n",
    b"--a\n",
    b"--a\r\n",
    b"--a--\n",
    b"--ab \r\n",
    b"--ab--",
    b"--a b\n",
    b"--a b--\r\n",
    b"\n--a\n\n",
    b"text\n",
    b"text \t\r\n",
    b"\r",
    b"\r;\n",
    b"\0",
    b"\xe9\xa9",
    b"=20=\n",
    b"aGVsbG8=\n",
    b"-",
];
