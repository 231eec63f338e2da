//! The commands of docs/manual/keys.md and docs/manual/authority.md, typed in one shell as they are printed, with what they print.

use std::{fs, path::Path};

use super::MESSAGE;
use crate::support::{
    lab::{Lab, POSTSEAL},
    requirements::present,
};

/// A command, its exit code, and lines that it prints.
struct Typed<'p> {
    command: &'p str,
    code: i32,
    shown: Vec<&'p str>,
}

#[test]
fn the_life_of_a_key_is_as_the_manual_tells_it() {
    as_printed("keys.md");
}

#[test]
fn the_life_of_a_certificate_is_as_the_manual_tells_it() {
    if present(&["openssl"]) {
        as_printed("authority.md");
    }
}

/// Types the commands of a page.
fn as_printed(name: &str) {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual").join(name)).unwrap();
    let mut all: Vec<Typed<'_>> = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("    ")) {
        match line.strip_prefix("$ ") {
            Some(command) => {
                let (command, code) = command.split_once("   # exit code ").unwrap_or((command, "0"));
                all.push(Typed { command, code: code.parse().unwrap(), shown: Vec::new() });
            }
            None => all.last_mut().expect("a command first").shown.push(line),
        }
    }
    assert!(all.len() > 20, "only {} commands were found", all.len());
    let lab = Lab::new();
    lab.write("message.eml", MESSAGE);
    let mut script = format!("PATH={}:$PATH\n", Path::new(POSTSEAL).parent().unwrap().display());
    for (number, one) in all.iter().enumerate() {
        script += &format!("{{ {}\n}} > said 2>&1; code=$?; cp said said.{number}; echo $code >> codes\n", one.command);
    }
    lab.shell(&script).code(0);
    let codes = String::from_utf8(lab.read("codes")).unwrap();
    for ((number, one), code) in all.iter().enumerate().zip(codes.lines()) {
        let said = String::from_utf8_lossy(&lab.read(&format!("said.{number}"))).into_owned();
        assert_eq!(code.parse(), Ok(one.code), "{}: {said}", one.command);
        for shown in &one.shown {
            assert!(said.lines().any(|line| fits(line, shown)), "{}: {shown:?} is not in {said}", one.command);
        }
    }
    assert_eq!(codes.lines().count(), all.len());
}

/// Whether a line is as the page shows it, where `...` stands for anything.
fn fits(line: &str, shown: &str) -> bool {
    let mut rest = line;
    for (number, part) in shown.split("...").map(str::trim).enumerate() {
        match rest.find(part) {
            Some(at) if number > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    shown.ends_with("...") || rest.is_empty()
}
