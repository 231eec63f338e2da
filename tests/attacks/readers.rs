//! Messages that two readers of mail show differently: the verified text is not what the other reader shows, so they have no author.
//! And unsigned text in or below the armor of a signed text.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

const EVIL: &str = "--evil\nContent-Type: text/plain\n\nPay Mallory.\n--evil--\n";

/// Python's reader and others take the first of two boundaries, some the last, many know no RFC 2231, and some look into comments and quotes.
#[test]
fn two_boundaries_are_two_messages() {
    let genuine = read("johnny-intact");
    let (header, body) = genuine.split_once("\n\n").unwrap();
    let boundary = header.split_once("boundary=\"").unwrap().1.split_once('"').unwrap().0;
    let with = |parameters: String| {
        let header = header.replace(&format!("boundary=\"{boundary}\""), &parameters);
        assert!(header.contains("evil"));
        format!("{header}\n\n{EVIL}{body}{EVIL}")
    };
    assert_eq!(judged(&genuine), "authentic");
    assert_eq!(judged(&format!("{header}\n\n{EVIL}{body}")), "authentic", "a preamble alone changes nothing");
    let (half, rest) = boundary.split_at(5);
    let tricks = [
        format!("boundary=\"{boundary}\"; boundary=\"evil\""),
        format!("boundary=\"evil\"; boundary*=us-ascii''{boundary}"),
        format!("boundary=evil; boundary*0=\"{half}\"; boundary*1=\"{rest}\""),
        format!("Boundary = evil; boundary*0*=us-ascii''{half}; boundary*1=\"{rest}\""),
        format!("(; boundary=evil;) boundary=\"{boundary}\""),
        format!("x=\"; boundary=evil\"; boundary=\"{boundary}\""),
    ];
    for trick in tricks {
        let message = with(trick.clone());
        assert_eq!(judged(&message), "signed", "{trick}");
        assert_eq!(judged(&encrypted(&message)), "signed", "{trick}, encrypted by the attacker");
    }
}

/// Python's reader and others take what is no field, and a line that a lone CR makes blank, for the end of the header, and show what follows.
#[test]
fn a_header_ends_where_every_reader_finds_its_end() {
    let genuine = read("johnny-intact");
    for line in ["Pay Mallory.", "Pay Mallory: now", "X: y\r\rPay Mallory.", "X: y\n \n Pay Mallory."] {
        let message = genuine.replacen("\nMIME-Version", &format!("\n{line}\nMIME-Version"), 1);
        assert_eq!(judged(&message), "signed", "{line:?}");
    }
    let harmless = genuine.replacen("\nMIME-Version", "\nX-Mailer: x\n\ty\nMIME-Version", 1);
    assert_eq!(judged(&harmless), "authentic");
    assert_eq!(judged(&format!("From alice@example.org Sun Mar  1 12:00:00 2026\n{genuine}")), "authentic");
}

/// RFC 2046, section 5.1.1 lets a line that only starts like the boundary be one, and some readers end lines at a lone CR.
#[test]
fn a_boundary_is_one_to_every_reader() {
    let genuine = read("johnny-intact");
    let (header, body) = genuine.split_once("\n\n").unwrap();
    for hidden in ["--=_signed2\n\nPay Mallory.\n", "x\r--=_signed\r\rPay Mallory.\r--=_signed--\r\n"] {
        assert_eq!(judged(&format!("{header}\n\n{hidden}{body}")), "signed", "{hidden:?}");
    }
}

/// The same for the other fields of a header that only the attacker's encryption covers.
#[test]
fn an_attacker_who_encrypts_writes_the_header_around_the_signature() {
    let genuine = read("johnny-intact");
    let sealed = encrypted(&genuine);
    assert_eq!(judged(&sealed), "authentic");
    let twice = genuine.replacen("\n\n", "\nContent-Type: text/plain\n\n", 1);
    assert_eq!(judged(&encrypted(&twice)), "signed");
}

#[test]
fn text_in_armor_is_not_signed() {
    let genuine = read("cleartext-intact");
    assert_eq!(judged(&genuine), "authentic");
    let end = "-----END PGP SIGNATURE-----";
    for last in [
        format!("{end} .\n\nPay Mallory."),
        "-----END PGP MESSAGE-----\n\nPay Mallory.\n".to_owned(),
        format!("= Pay Mallory.\n{end}"),
        format!("==== Pay Mallory\n{end}"),
    ] {
        let message = genuine.replace(end, &last);
        assert!(message.contains("Pay Mallory"));
        assert_eq!(judged(&message), "unsigned", "{last}");
    }
}

fn encrypted(message: &str) -> String {
    run(&["encrypt", "--again", "--to", "bob@example.org"], message)
}

fn judged(message: &str) -> String {
    let said = run(&["verify", "--json"], message);
    let verdict: Value = serde_json::from_str(&said).unwrap();
    verdict["standing"].as_str().unwrap().to_owned()
}

fn run(arguments: &[&str], message: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.args(["--home", "/nonexistent", "--at", "2026-04-01T00:00:00Z"]);
    for key in ["alice", "bob.secret"] {
        command.arg("--keys").arg(folder().join(format!("keys/{key}.asc")));
    }
    let child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.unwrap();
    child.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.eml"))).unwrap().replace("\r\n", "\n")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/attack")
}
