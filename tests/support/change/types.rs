//! Content-Type, its parameters, Content-Transfer-Encoding and Content-Disposition in all the forms that readers take differently.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Change, EVIL, FOREIGN, evil_parts};
use crate::support::entity::{Body, Entity};

pub(super) fn changes(entity: &Entity, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let value = entity.value("Content-Type").unwrap_or_else(|| "text/plain".to_owned());
    let (kind, parameters) = value.split_once(';').map_or((value.as_str(), ""), |(kind, rest)| (kind.trim(), rest));
    let (main, sub) = kind.split_once('/').unwrap_or((kind, ""));
    let parameters = if parameters.is_empty() { String::new() } else { format!(";{parameters}") };
    for (how, kind) in kinds(main, sub) {
        typed(path, nl, &format!("type: {how}"), &format!("{kind}{parameters}"), changes);
    }
    for other in OTHER {
        typed(path, nl, &format!("another type: {other}"), &format!("{other}{parameters}"), changes);
    }
    separators(&format!("{main}/{sub}"), &parameters, path, nl, changes);
    for name in ["boundary", "protocol", "charset", "name", "micalg", "smime-type"] {
        if let Some(known) = entity.parameter(name) {
            parameter(&value, name, &known, path, nl, changes);
        }
    }
    for more in MORE {
        typed(path, nl, &format!("parameter more: {more}"), &format!("{value}; {more}"), changes);
        typed(
            path,
            nl,
            &format!("parameter more, first: {more}"),
            &format!("{main}/{sub}; {more}{parameters}"),
            changes,
        );
    }
    encodings(entity, path, nl, changes);
    for disposition in DISPOSITIONS {
        let line = format!("Content-Disposition: {disposition}{nl}").into_bytes();
        changes.push(Change::at(path, format!("disposition: {disposition}"), move |entity| {
            match entity.at("Content-Disposition") {
                Some(at) => entity.fields[at].clone_from(&line),
                None => entity.fields.push(line.clone()),
            }
        }));
    }
}

fn kinds(main: &str, sub: &str) -> Vec<(&'static str, String)> {
    vec![
        ("a second slash", format!("{main}/{sub}/x")),
        ("a second slash, empty", format!("{main}/{sub}/")),
        ("two slashes", format!("{main}//{sub}")),
        ("a word more", format!("{main}/{sub} x")),
        ("a type more", format!("{main}/{sub} text/plain")),
        ("a type first", format!("text/plain {main}/{sub}")),
        ("a type after a comma", format!("{main}/{sub}, text/plain")),
        ("a type before a comma", format!("text/plain, {main}/{sub}")),
        ("a comma", format!("{main}/{sub},")),
        ("a colon", format!("{main}/{sub}:")),
        ("spaces around the slash", format!("{main} / {sub}")),
        ("a space before the slash", format!("{main} /{sub}")),
        ("a space after the slash", format!("{main}/ {sub}")),
        ("a comment after the type", format!("{main}(c)/{sub}")),
        ("a comment after the slash", format!("{main}/(c){sub}")),
        ("a comment after the subtype", format!("{main}/{sub}(c)")),
        ("a comment after the subtype, with space", format!("{main}/{sub} (c)")),
        ("a comment first", format!("(c){main}/{sub}")),
        ("a comment with a semicolon", format!("{main}/{sub} (c; boundary=evil)")),
        ("a quoted type", format!("\"{main}\"/{sub}")),
        ("a quoted subtype", format!("{main}/\"{sub}\"")),
        ("quoted whole", format!("\"{main}/{sub}\"")),
        ("in angles", format!("<{main}/{sub}>")),
        ("an escape", format!("{main}/\\{sub}")),
        ("a backslash", format!("{main}\\{sub}")),
        ("no subtype", format!("{main}/")),
        ("no slash", main.to_owned()),
        ("no type", format!("/{sub}")),
        ("nothing", String::new()),
        ("capitals", format!("{}/{}", main.to_uppercase(), sub.to_uppercase())),
        ("NUL after", format!("{main}/{sub}\0")),
        ("NUL within", format!("{main}/\0{sub}")),
        ("a control after", format!("{main}/{sub}\u{1}")),
        ("vertical tab", format!("{main}/{sub}\u{b}")),
        ("UTF-8 after", format!("{main}/{sub}\u{e9}")),
        ("a no-break space after", format!("{main}/{sub}\u{a0}")),
        ("an encoded word", format!("=?us-ascii?q?{main}/{sub}?=")),
        ("folded at the slash", format!("{main}/\n {sub}")),
        ("folded before the slash", format!("{main}\n /{sub}")),
        ("folded within", format!("{main}/{}\n {}", &sub[..sub.len() / 2], &sub[sub.len() / 2..])),
        ("x-", format!("{main}/x-{sub}")),
        ("a star", format!("{main}/*")),
        ("an equals sign", format!("type={main}/{sub}")),
        ("a dot", format!("{main}/{sub}.")),
        ("an open quote", format!("{main}/{sub} \"")),
    ]
}

const OTHER: &[&str] = &[
    "multipart/mixed",
    "multipart/alternative",
    "multipart/related",
    "multipart/report",
    "multipart/digest",
    "multipart/signed",
    "multipart/encrypted",
    "multipart/appledouble",
    "multipart/x-unknown",
    "message/rfc822",
    "message/global",
    "message/partial",
    "message/external-body",
    "message/delivery-status",
    "text/plain",
    "text/html",
    "text/x-unknown",
    "text/calendar",
    "application/octet-stream",
    "application/pgp",
    "application/pgp-keys",
    "application/pgp-signature",
    "application/pgp-encrypted",
    "application/pkcs7-mime",
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/x-pkcs7-mime",
    "application/ms-tnef",
    "image/png",
    "video/mp4",
    "x-unknown/x-unknown",
];

const MORE: &[&str] = &[
    "boundary=evil",
    "boundary=\"evil\"",
    "boundary*=us-ascii''evil",
    "boundary*0=ev; boundary*1=il",
    "boundary*0*=us-ascii''ev; boundary*1=il",
    "BOUNDARY=evil",
    "boundary =evil",
    "boundary= evil",
    "x=\"; boundary=evil\"",
    "x=\"\\\"; boundary=evil; y=\\\"\"",
    "(; boundary=evil)",
    "x='; boundary=evil; y='",
    "x=y boundary=evil",
    "x=; boundary=evil",
    "=; boundary=evil",
    "boundary",
    "boundary=",
    "boundary=\"\"",
    "charset=utf-7",
    "charset=utf-16",
    "charset=x-unknown",
    "charset=\"utf-8\"",
    "charset*=us-ascii'en'utf-16",
    "name=\"pay-mallory.txt\"",
    "name*=utf-8''pay%2Dmallory.txt",
    "format=flowed",
    "format=flowed; delsp=yes",
    "protected-headers=v1",
    "hp=clear",
    "type=\"text/html\"",
    "protocol=\"text/plain\"",
    "start=\"<mallory@example.org>\"",
    "x=\"open",
    "x=y; x=z",
    ";",
    " ",
    "x=\u{e9}",
    "x=\"a\n b\"",
    "x=y (z)",
];

const DISPOSITIONS: &[&str] = &[
    "inline",
    "attachment",
    "attachment; filename=\"pay-mallory.txt\"",
    "attachment; filename*=utf-8''pay%2Dmallory.txt",
    "inline; filename=\"pay-mallory.html\"",
    "inline; filename=\"smime.p7m\"",
    "attachment; filename=\"signature.asc\"; filename=\"pay-mallory.txt\"",
    "form-data; name=\"x\"",
    "\"attachment\"",
    "(c) attachment",
    "attachment (c)",
    "x-unknown",
    "ATTACHMENT",
    "",
];

/// Content-Type with that value; of a multipart also with a preamble, which a reader shows that takes the whole for one text or `evil` for the
/// boundary.
fn typed(path: &[usize], nl: &str, name: &str, value: &str, changes: &mut Vec<Change>) {
    let field = format!("Content-Type: {}{nl}", value.replace("\r\n", "\n").replace('\n', nl)).into_bytes();
    for (more, preamble) in [("", String::new()), (", and a preamble", format!("{EVIL}{nl}{}", evil_parts(nl)))] {
        let field = field.clone();
        changes.push(Change::at(path, format!("{name}{more}"), move |entity| {
            match entity.at("Content-Type") {
                Some(at) => entity.fields[at].clone_from(&field),
                None => entity.fields.push(field.clone()),
            }
            if let Some(parts) = entity.parts() {
                parts.preamble = [preamble.as_bytes(), &parts.preamble].concat();
            }
        }));
    }
}

fn separators(kind: &str, parameters: &str, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let forms = [
        ("semicolon twice", format!("{kind};{parameters}")),
        ("semicolon twice with a space", format!("{kind}; {parameters}")),
        ("a space before the semicolon", format!("{kind} {parameters}")),
        ("a semicolon last", format!("{kind}{parameters};")),
        ("a semicolon first", format!(";{kind}{parameters}")),
        ("no semicolon", format!("{kind} {}", parameters.trim_start_matches(';'))),
        ("no semicolons", format!("{kind} {}", parameters.replace(';', " "))),
        ("commas", format!("{kind}{}", parameters.replace(';', ","))),
        ("colons", format!("{kind}{}", parameters.replace(';', ":"))),
        ("folded over a blank line", format!("{kind};\n \n {}", parameters.trim_start_matches(';').trim_start())),
        ("folded with lone CR", format!("{kind};\r {}", parameters.trim_start_matches(';').trim_start())),
        ("all folded", format!("{kind}{}", parameters.replace(';', ";\n\t"))),
        ("spaces around the equals signs", format!("{kind}{}", parameters.replace('=', " = "))),
        ("comments at the semicolons", format!("{kind}{}", parameters.replace(';', "; (c) "))),
        ("the parameters twice", format!("{kind}{parameters}{parameters}")),
        ("no parameters", kind.to_owned()),
        ("NUL for the semicolon", format!("{kind}\0{}", parameters.trim_start_matches(';'))),
    ];
    for (how, value) in forms {
        typed(path, nl, &format!("separators: {how}"), &value, changes);
    }
}

/// A parameter that is there, written otherwise.
fn parameter(value: &str, name: &str, known: &str, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let written =
        [format!("{name}=\"{known}\""), format!("{name}={known}")].into_iter().find(|one| value.contains(one.as_str()));
    let Some(written) = written else { return };
    let (start, end) = known.split_at(half(known));
    let percent: String = known.bytes().map(|octet| format!("%{octet:02X}")).collect();
    let forms = [
        ("bare", format!("{name}={known}")),
        ("quoted", format!("{name}=\"{known}\"")),
        ("single quotes", format!("{name}='{known}'")),
        ("in angles", format!("{name}=<{known}>")),
        ("a space before the equals sign", format!("{name} =\"{known}\"")),
        ("a space after the equals sign", format!("{name}= \"{known}\"")),
        ("a comment before the value", format!("{name}=(c)\"{known}\"")),
        ("a comment after the value", format!("{name}=\"{known}\" (c)")),
        ("a comment before the name", format!("(c){name}=\"{known}\"")),
        ("a comment after the name", format!("{name}(c)=\"{known}\"")),
        ("a comment after the bare value", format!("{name}={known}(c)")),
        ("a space at the end, quoted", format!("{name}=\"{known} \"")),
        ("a space at the start, quoted", format!("{name}=\" {known}\"")),
        ("an open quote", format!("{name}=\"{known}")),
        ("a quote at the end", format!("{name}={known}\"")),
        ("an escape", format!("{name}=\"\\{known}\"")),
        ("escapes", format!("{name}=\"{}\"", known.chars().flat_map(|c| ['\\', c]).collect::<String>())),
        ("an escaped quote more", format!("{name}=\"{known}\\\"\"")),
        ("a word after", format!("{name}=\"{known}\" x")),
        ("a word right after", format!("{name}=\"{known}\"x")),
        ("two quoted", format!("{name}=\"{start}\"\"{end}\"")),
        ("capitals in the name", format!("{}=\"{known}\"", name.to_uppercase())),
        ("capitals in the value", format!("{name}=\"{}\"", known.to_uppercase())),
        ("RFC 2231", format!("{name}*=us-ascii''{known}")),
        ("RFC 2231, percent", format!("{name}*=us-ascii''{percent}")),
        ("RFC 2231, no charset", format!("{name}*=''{known}")),
        ("RFC 2231, quoted", format!("{name}*=\"us-ascii''{known}\"")),
        ("RFC 2231, without quotes", format!("{name}*={known}")),
        ("in two", format!("{name}*0=\"{start}\"; {name}*1=\"{end}\"")),
        ("in two, the other order", format!("{name}*1=\"{end}\"; {name}*0=\"{start}\"")),
        ("in two, percent", format!("{name}*0*=us-ascii''{start}; {name}*1=\"{end}\"")),
        ("in two, from 1", format!("{name}*1=\"{start}\"; {name}*2=\"{end}\"")),
        ("in two, 00", format!("{name}*00=\"{start}\"; {name}*01=\"{end}\"")),
        ("folded in quotes", format!("{name}=\"{start}\n {end}\"")),
        ("folded bare", format!("{name}={start}\n {end}")),
        ("an encoded word", format!("{name}==?us-ascii?q?{known}?=")),
        ("an encoded word, quoted", format!("{name}=\"=?us-ascii?q?{known}?=\"")),
        ("NUL at the end", format!("{name}=\"{known}\0\"")),
        ("NUL after", format!("{name}=\"{known}\"\0")),
        ("a tab within", format!("{name}=\"{start}\t{end}\"")),
        ("evil first", format!("{name}=\"evil\"; {name}=\"{known}\"")),
        ("evil last", format!("{name}=\"{known}\"; {name}=\"evil\"")),
        ("evil first in capitals", format!("{}=\"evil\"; {name}=\"{known}\"", name.to_uppercase())),
        ("evil in RFC 2231", format!("{name}=\"{known}\"; {name}*=us-ascii''evil")),
        ("evil in RFC 2231, first", format!("{name}*=us-ascii''evil; {name}=\"{known}\"")),
        ("evil, and ours in two", format!("{name}=evil; {name}*0=\"{start}\"; {name}*1=\"{end}\"")),
        ("evil in two, and ours", format!("{name}*0=ev; {name}*1=il; {name}=\"{known}\"")),
        ("evil in a comment", format!("(; {name}=evil;) {name}=\"{known}\"")),
        ("evil in quotes", format!("x=\"; {name}=evil\"; {name}=\"{known}\"")),
        ("evil in single quotes", format!("x='; {name}=evil; y='; {name}=\"{known}\"")),
        ("evil after a folded blank line", format!("{name}=\"{known}\";\n \n {name}=evil")),
        ("a semicolon within", format!("{name}=\"{start};{end}\"")),
        ("empty", format!("{name}=\"\"")),
        ("another", format!("{name}=\"evil\"")),
    ];
    for (how, form) in forms {
        typed(path, nl, &format!("{name}: {how}"), &value.replace(&written, &form), changes);
    }
}

fn half(value: &str) -> usize {
    (value.len() / 2..value.len()).find(|at| value.is_char_boundary(*at)).unwrap_or_default()
}

/// Content-Transfer-Encoding: the field alone, or with a body that was encoded for it.
fn encodings(entity: &Entity, path: &[usize], nl: &str, changes: &mut Vec<Change>) {
    let spellings = |name: &str| {
        vec![
            name.to_owned(),
            name.to_uppercase(),
            format!("\"{name}\""),
            format!("'{name}'"),
            format!("{name} (c)"),
            format!("(c) {name}"),
            format!("{name};"),
            format!("{name}; x=y"),
            format!("{name} 7bit"),
            format!("7bit {name}"),
            format!("{name},"),
            format!("{name}\0"),
            format!("{name}\u{b}"),
            format!("\n {name}"),
            format!("{name}\n "),
            format!("x-{name}"),
            format!("=?us-ascii?q?{name}?="),
            format!("<{name}>"),
            format!("{name}."),
        ]
    };
    let plain = [
        "7bit",
        "8bit",
        "binary",
        "x-unknown",
        "uuencode",
        "x-uuencode",
        "x-gzip",
        "",
        "base-64",
        "quoted printable",
        "none",
    ];
    let mut all: Vec<String> = plain.iter().map(|name| (*name).to_owned()).collect();
    for name in ["base64", "quoted-printable", "7bit"] {
        all.extend(spellings(name));
    }
    for value in all {
        changes.push(encoded(path, nl, format!("encoding: {value:?}"), &value, None));
    }
    let Body::Leaf(body) = &entity.body else { return };
    let current = entity.value("Content-Transfer-Encoding").unwrap_or_default().to_ascii_lowercase();
    let base64 = match current.as_str() {
        "base64" => String::from_utf8_lossy(body).into_owned(),
        "quoted-printable" => return,
        _ => wrapped(&STANDARD.encode(body), nl),
    };
    for value in spellings("base64") {
        changes.push(encoded(path, nl, format!("base64: as {value:?}"), &value, Some(base64.clone())));
        let more = format!("{FOREIGN}{nl}{base64}");
        changes.push(encoded(path, nl, format!("base64, foreign text before: as {value:?}"), &value, Some(more)));
    }
    let with = |name: &str, body: String| encoded(path, nl, format!("base64: {name}"), "base64", Some(body));
    let text = base64.trim_end();
    changes.push(with("foreign text after", format!("{text}{nl}{FOREIGN}{nl}")));
    changes.push(with("foreign text far after", format!("{text}{nl}{}{FOREIGN}{nl}", nl.repeat(40))));
    changes.push(with("another base64 after", format!("{text}{nl}{}{nl}", STANDARD.encode(format!("\n{EVIL}\n")))));
    changes.push(with(
        "padding, and another base64",
        format!("{}===={nl}{}{nl}", text, STANDARD.encode(format!("\n{EVIL}\n"))),
    ));
    changes.push(with("a dot at the end", format!("{text}.{nl}")));
    changes.push(with("a space in each line", text.replace(nl, &format!(" {nl} ")) + nl));
    changes.push(with("one line", text.replace(nl, "") + nl));
    changes.push(with("no padding", text.trim_end_matches('=').to_owned() + nl));
    changes.push(with("a comment", format!("{text}{nl}(Please pay Mallory.){nl}")));
    changes.push(with("dashes first", format!("------{nl}{text}{nl}")));
    changes.push(with("URL letters", text.replace('+', "-").replace('/', "_") + nl));
    let quoted: String = match current.as_str() {
        "base64" => return,
        _ => String::from_utf8_lossy(body).replace('=', "=3D"),
    };
    for value in spellings("quoted-printable") {
        changes.push(encoded(path, nl, format!("quoted-printable: as {value:?}"), &value, Some(quoted.clone())));
    }
    let with = |name: &str, body: String| {
        encoded(path, nl, format!("quoted-printable: {name}"), "quoted-printable", Some(body))
    };
    changes.push(with("soft breaks", quoted.replace(nl, &format!("={nl}{nl}"))));
    changes.push(with("soft breaks with spaces", quoted.replace(nl, &format!("= {nl}{nl}"))));
    changes.push(with("a soft break at the end", format!("{quoted}={nl}")));
    changes.push(with("bad escapes", format!("{quoted}=XY{nl}")));
    changes.push(with("lower case escapes", quoted.replace("=3D", "=3d")));
    changes.push(with("encoded line ends", quoted.replace(nl, "=0D=0A")));
    changes.push(with("encoded whole", body.iter().map(|octet| format!("={octet:02X}")).collect::<Vec<_>>().join("")));
}

fn encoded(path: &[usize], nl: &str, name: String, value: &str, body: Option<String>) -> Change {
    let field = format!("Content-Transfer-Encoding: {}{nl}", value.replace('\n', nl)).into_bytes();
    Change::at(path, name, move |entity| {
        match entity.at("Content-Transfer-Encoding") {
            Some(at) => entity.fields[at].clone_from(&field),
            None => entity.fields.push(field.clone()),
        }
        if let (Some(leaf), Some(body)) = (entity.leaf(), &body) {
            leaf.clear();
            leaf.extend_from_slice(body.as_bytes());
        }
    })
}

fn wrapped(base64: &str, nl: &str) -> String {
    base64.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned() + nl).collect()
}
