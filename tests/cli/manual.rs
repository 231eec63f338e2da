//! Pages of the manual whose commands are typed in one shell as they are printed, with what they print.

mod postgresql;

use std::{fs, path::Path};

use crate::support::{
    lab::{Done, Lab, POSTSEAL},
    requirements::present,
};

/// A command, its exit code, and lines that it prints.
struct Typed<'p> {
    command: &'p str,
    code: i32,
    shown: Vec<&'p str>,
}

#[test]
fn the_life_of_a_key() {
    assert!(typed("keys.md", &with_message()) > 20);
}

#[test]
fn the_life_of_a_certificate() {
    if present(&["openssl"]) {
        assert!(typed("authority.md", &with_message()) > 20);
    }
}

#[test]
fn keys_on_tokens() {
    if present(&["softhsm2-util", crate::support::token::SOFTHSM]) {
        assert!(typed("tokens.md", &with_message()) > 10);
    }
}

fn with_message() -> Lab {
    let lab = Lab::new();
    lab.write("message.eml", "From: alice@example.org\nTo: bob@example.org\nSubject: Lunch\n\nAt noon.\n");
    lab
}

#[test]
fn post_quantum() {
    if present(&["jq"]) {
        assert!(typed("post-quantum.md", &with_message()) > 8);
    }
}

#[test]
fn the_first_ten_minutes() {
    assert!(typed("tutorial.md", &Lab::new()) > 20);
}

#[test]
fn json_in_scripts() {
    if present(&["jq"]) {
        assert!(typed("json.md", &Lab::new()) > 10);
    }
}

#[test]
fn the_audit_log() {
    assert!(typed("audit.md", &Lab::new()) > 10);
}

#[test]
fn questions_and_answers() {
    assert!(typed("faq.md", &Lab::with_keys(&["alice"])) > 3);
}

/// Types the commands of the page, each line after four spaces and `$`, with the exit code that the page says. Returns how many there are.
fn typed(page: &str, lab: &Lab) -> usize {
    typed_by(page, lab, |script| lab.shell(script))
}

/// As [`typed`]; `run` runs the commands of one shell.
fn typed_by(page: &str, lab: &Lab, run: impl FnOnce(&str) -> Done) -> usize {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manual").join(page);
    let page = fs::read_to_string(path).unwrap();
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
    let mut script = format!("PATH={}:$PATH\n", Path::new(POSTSEAL).parent().unwrap().display());
    for (number, one) in all.iter().enumerate() {
        script += &format!("{{ {}\n}} > said 2>&1; code=$?; cp said said.{number}; echo $code >> codes\n", one.command);
    }
    run(&script).code(0);
    let codes = String::from_utf8(lab.read("codes")).unwrap();
    for ((number, one), code) in all.iter().enumerate().zip(codes.lines()) {
        let said = String::from_utf8_lossy(&lab.read(&format!("said.{number}"))).into_owned();
        assert_eq!(code.parse(), Ok(one.code), "{}: {said}", one.command);
        for shown in &one.shown {
            assert!(said.lines().any(|line| fits(line, shown)), "{}: {shown:?} is not in {said}", one.command);
        }
    }
    assert_eq!(codes.lines().count(), all.len());
    all.len()
}

/// Whether a line is as the page shows it, where `...` stands for anything and indentation does not count.
fn fits(line: &str, shown: &str) -> bool {
    let mut rest = line.trim();
    for (number, part) in shown.split("...").map(str::trim).enumerate() {
        match rest.find(part) {
            Some(at) if number > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    shown.ends_with("...") || rest.is_empty()
}
