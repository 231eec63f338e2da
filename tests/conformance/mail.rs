//! Mail read as others read it: the suites of mail-parser and mime4j come with what those parsers found. And bounds on what bad mail costs.

#![allow(clippy::print_stderr)]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use postseal::{
    base::{Budget, Limits},
    mail::{Message, Part, address, header::Field},
};
use serde_json::Value;

use crate::support::requirements::corpus;

#[test]
fn structure_as_mail_parser_reads_it() {
    let Some(corpora) = corpus("") else { return };
    let mut suite = Suite::new("mail-parser", MAIL_PARSER);
    for file in files_under(&corpora.join("mail-parser"), "eml") {
        let text = latin1(&std::fs::read(&file).unwrap());
        let octets = |text: String| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
        let lf = octets(text.replace('\r', ""));
        let crlf = octets(text.replace("\r\n", "\n").replace('\n', "\r\n"));
        for (octets, extension) in [(lf, "json"), (crlf, "crlf.json")] {
            let expected: Value =
                serde_json::from_slice(&std::fs::read(file.with_extension(extension)).unwrap()).unwrap();
            let message = parse(octets);
            let mut theirs = String::new();
            let mut ours = String::new();
            mail_parser(&expected, 0, 0, message.root(), &mut theirs, &mut ours);
            let name = file.with_extension(extension);
            suite.compare(&name, &theirs, &ours);
        }
    }
    suite.finish(214);
}

#[test]
fn structure_as_mime4j_reads_it() {
    let Some(corpora) = corpus("") else { return };
    let mut suite = Suite::new("mime4j", MIME4J);
    for file in files_under(&corpora.join("mime4j/core"), "xml") {
        let message = file.with_extension("msg");
        if !message.exists() {
            // `x_decoded.xml` says the same of `x.msg` with bodies decoded.
            continue;
        }
        let theirs = latin1(&std::fs::read(&file).unwrap()).replace('\r', "");
        let message = parse(std::fs::read(message).unwrap());
        let mut ours = String::new();
        mime4j("message", message.root(), &mut ours);
        suite.compare(&file, &without_empty_margins(theirs), &without_empty_margins(ours));
    }
    suite.finish(80);
}

#[test]
fn bad_mail_is_refused_or_read_at_once() {
    let nested: String =
        (0..300).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let deep: String = (0..60)
        .map(|n| format!("Content-Type: multipart/mixed; boundary={}{n}\n\n--{0}{n}\n", "b".repeat(1_000)))
        .collect();
    let near_misses = format!("--{}x\n", "b".repeat(1_000)).repeat(20_000);
    let lines = format!("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n{}", "--\n".repeat(5_000_000));
    let parameters = format!("Content-Type: a/b; {}\n\n", "a=1 ".repeat(60_000));
    let words = format!("Subject: {}\n\n", "=?a?q?".repeat(40_000));
    let comments = format!("From: {} a@x.org\n\n", "(".repeat(250_000));
    for (name, octets, refusal) in [
        ("300-deep nesting", nested, Some("message: more than 64 levels of nested parts")),
        ("a header of 5 million lines", "A: b\n".repeat(5_000_000), Some("header: more than 262144 octets")),
        ("no line break at all", "\u{e9}".repeat(5_000_000), Some("header: more than 262144 octets")),
        ("many boundaries and many near misses", deep + "\n" + &near_misses, None),
        ("a body of dashes", lines, None),
        ("a header of parameters", parameters, Some("header field \"Content-Type\": more than 128 parameters")),
        ("a header of encoded words", words, None),
        ("a header of comments", comments, None),
    ] {
        let start = Instant::now();
        let parsed = Message::parse(octets.into(), &mut Budget::new(Limits::default()));
        if let Ok(message) = &parsed {
            message.root().fields().for_each(|field| drop(field.decoded()));
            assert!(postseal::mail::header::author(message.root()).is_err());
        }
        assert_eq!(parsed.err().map(|error| error.to_string()).as_deref(), refusal, "{name}");
        assert!(start.elapsed() < Duration::from_secs(30), "{name}: {:?}", start.elapsed());
    }
}

/// What both say of a part and of those in it: offsets, type, Subject and addresses. `part` is ours of the same place.
fn mail_parser(message: &Value, index: usize, depth: usize, part: Part<'_>, theirs: &mut String, ours: &mut String) {
    let their = &message["parts"][index];
    let indent = " ".repeat(depth);
    let offsets = (&their["offset_header"], &their["offset_body"], &their["offset_end"]);
    writeln!(theirs, "{indent}{} {} {}", offsets.0, offsets.1, offsets.2).unwrap();
    writeln!(ours, "{indent}{} {} {}", part.span().start, part.body_span().start, part.span().end).unwrap();
    for header in their["headers"].as_array().unwrap() {
        // Fields that it does not know are objects.
        let (name, value) = (header["name"].as_str().unwrap_or_default(), &header["value"]);
        let mut said = |their: String, our: String| {
            writeln!(theirs, "{indent}{name}: {their}").unwrap();
            writeln!(ours, "{indent}{name}: {our}").unwrap();
        };
        if let Some(content_type) = value.get("ContentType").filter(|_| name == "content_type") {
            let kind = |key: &str| content_type[key].as_str().unwrap_or("-").to_lowercase();
            said(
                format!("{}/{}", kind("c_type"), kind("c_subtype")),
                format!("{}/{}", part.content_type().kind, part.content_type().subtype),
            );
        }
        if let (Some(text), "subject") = (value["Text"].as_str(), name) {
            let blank = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            said(blank(text), last(part, name).map(|field| blank(&field.decoded())).unwrap_or_default());
        }
        if let (Some(list), "from" | "to" | "cc" | "reply_to") = (value["Address"]["List"].as_array(), name) {
            let their: Vec<_> =
                list.iter().filter_map(|entry| entry["address"].as_str()).map(str::to_lowercase).collect();
            let field = last(part, &name.replace('_', "-")).unwrap();
            let Ok(read) = address::list(&field.unfolded()) else {
                // Ours refuses what theirs guesses at.
                continue;
            };
            said(
                their.join(", "),
                read.iter().map(|mailbox| mailbox.address.to_string().to_lowercase()).collect::<Vec<_>>().join(", "),
            );
        }
    }
    let (nested, children): (_, Vec<usize>) = match &their["body"] {
        Value::Object(body) => match body.iter().next().unwrap() {
            (kind, ids) if kind == "Multipart" => {
                (None, ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as usize).collect())
            }
            (kind, inner) if kind == "Message" => (Some(inner), vec![0]),
            _ => (None, vec![]),
        },
        _ => (None, vec![]),
    };
    // It decodes what is encoded and reads on; to us an encoded message is a leaf.
    if nested.is_some() && part.children().len() == 0 && part.transfer_encoding() != "7bit" {
        return;
    }
    writeln!(theirs, "{indent}parts: {}", children.len()).unwrap();
    writeln!(ours, "{indent}parts: {}", part.children().len()).unwrap();
    for (child, id) in part.children().zip(children) {
        mail_parser(nested.unwrap_or(message), id, depth + 1, child, theirs, ours);
    }
}

fn last<'a>(part: Part<'a>, name: &str) -> Option<Field<'a>> {
    part.fields().filter(|field| field.is(name)).last()
}

/// The part in the words of mime4j's XML.
fn mime4j(tag: &str, part: Part<'_>, into: &mut String) {
    let escaped = |octets: &[u8]| {
        latin1(octets).replace('\r', "").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    };
    writeln!(into, "<{tag}>\n<header>").unwrap();
    for field in part.fields().filter(|field| !field.name.is_empty()) {
        writeln!(into, "<field>\n{}</field>", escaped(field.raw).trim_end_matches('\n')).unwrap();
    }
    writeln!(into, "</header>").unwrap();
    let text = |tag: &str, octets: &[u8]| format!("<{tag}>\n{}</{tag}>\n", escaped(octets));
    match part.content_type().kind.as_str() {
        "multipart" if part.margins().0.end > part.body_span().start || part.children().len() > 0 => {
            writeln!(into, "<multipart>").unwrap();
            if part.margins().0.end > part.body_span().start {
                *into += &text("preamble", part.preamble());
            }
            part.children().for_each(|child| mime4j("body-part", child, into));
            if !part.epilogue().is_empty() {
                *into += &text("epilogue", part.epilogue());
            }
            writeln!(into, "</multipart>").unwrap();
        }
        "message" if part.children().len() > 0 => part.children().for_each(|child| mime4j("message", child, into)),
        _ => *into += &text("body", part.body()),
    }
    writeln!(into, "</{tag}>").unwrap();
}

/// Whether an empty line before or after the boundaries is a preamble or an epilogue is a matter of taste.
fn without_empty_margins(xml: String) -> String {
    ["preamble", "epilogue"].into_iter().fold(xml, |xml, tag| {
        let xml = xml.replace(&format!("<{tag}>\n</{tag}>\n"), "");
        xml.replace(&format!("<{tag}>\n\n</{tag}>\n"), "")
    })
}

fn latin1(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// One suite, and the files of it on which we differ on purpose.
struct Suite {
    name: &'static str,
    exceptions: BTreeSet<&'static str>,
    same: usize,
    failures: Vec<String>,
}

impl Suite {
    fn new(name: &'static str, exceptions: &[(&'static str, &'static str)]) -> Self {
        let exceptions = exceptions.iter().flat_map(|(files, _)| files.split_whitespace()).collect();
        Suite { name, exceptions, same: 0, failures: Vec::new() }
    }

    fn compare(&mut self, file: &Path, theirs: &str, ours: &str) {
        let folder = file.parent().unwrap().file_name().unwrap().to_string_lossy();
        let name = format!("{folder}/{}", file.file_name().unwrap().to_string_lossy());
        let excepted = self.exceptions.contains(name.as_str());
        if theirs == ours {
            self.same += 1;
            if excepted {
                self.failures.push(format!("{name}: agrees; the exception is stale"));
            }
        } else if !excepted {
            let (their, our) = theirs
                .lines()
                .zip(ours.lines())
                .find(|(their, our)| their != our)
                .unwrap_or(("more or fewer lines", ""));
            self.failures.push(format!("{name}: {their:?}, but ours is {our:?}"));
        }
    }

    fn finish(self, expected: usize) {
        assert!(
            self.failures.is_empty(),
            "{}: {} differ:\n{}",
            self.name,
            self.failures.len(),
            self.failures.join("\n")
        );
        assert!(self.same + self.exceptions.len() >= expected, "{} files", self.same);
    }
}

fn parse(octets: Vec<u8>) -> Message {
    Message::parse(octets, &mut Budget::new(Limits::default())).unwrap()
}

fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    files.filter(|path| path.extension().is_some_and(|own| own == extension)).collect()
}

/// Files, and why they differ.
const MAIL_PARSER: &[(&str, &str)] = &[
    (
        "legacy/010.json legacy/010.crlf.json legacy/020.json legacy/020.crlf.json legacy/022.json legacy/022.crlf.json \
         legacy/027.json legacy/027.crlf.json legacy/052.json legacy/052.crlf.json",
        "raw octets that are no UTF-8 are read as windows-1252; mail-parser gives them up",
    ),
    (
        "malformed/001.json malformed/001.crlf.json malformed/004.json malformed/004.crlf.json malformed/007.json malformed/007.crlf.json \
         malformed/008.json malformed/008.crlf.json malformed/016.json malformed/016.crlf.json malformed/022.json malformed/022.crlf.json \
         thirdparty/005.json thirdparty/005.crlf.json",
        "a boundary is a whole line, as in Thunderbird, Python and Go; mail-parser takes any text that starts with it",
    ),
    (
        "malformed/009.json malformed/009.crlf.json malformed/011.json malformed/011.crlf.json malformed/012.json malformed/012.crlf.json \
         thirdparty/015.json thirdparty/015.crlf.json",
        "the boundary of an outer multipart ends an inner one that is not closed (RFC 2046, 5.1.2); mail-parser looks for the innermost alone",
    ),
    (
        "malformed/000.json malformed/000.crlf.json malformed/013.json malformed/013.crlf.json malformed/014.json malformed/014.crlf.json",
        "what stands between two boundaries, or after the last one that does not close, is a part, though it be empty",
    ),
    (
        "malformed/020.json malformed/020.crlf.json malformed/021.json malformed/021.crlf.json",
        "of two Content-Type fields, the first counts",
    ),
    (
        "malformed/019.json malformed/019.crlf.json thirdparty/011.json thirdparty/011.crlf.json",
        "of a header straight before a boundary, the last line break is the boundary's",
    ),
];

/// Files, and why they differ.
const MIME4J: &[(&str, &str)] = &[
    (
        "mimetools-testmsgs/multi-2gifs-base64.xml testmsgs/bad-newlines-multiple-parts-base64.xml testmsgs/base64encoded-rfc822message-nested.xml \
         testmsgs/base64encoded-rfc822message.xml",
        "an encoded message/rfc822 is a leaf (RFC 2046, 5.2.1 forbids it); mime4j decodes it and reads on",
    ),
    ("testmsgs/ending-boundaries.xml", "a boundary is a whole line; mime4j takes a line that starts with it"),
    (
        "testmsgs/very-long-boundary.xml testmsgs/very-very-long-boundary.xml testmsgs/weird-boundary.xml",
        "RFC 2046, 5.1.1: a boundary does not end with white space; mime4j counts the spaces that may be lost on the way",
    ),
    (
        "testmsgs/malformedHeaderStartsBody-nocrlfcrlf.xml testmsgs/malformedHeaderStartsBody-noheader.xml",
        "mime4j set to end a header at the first line that is no field; we agree with it as it is without that setting",
    ),
];
