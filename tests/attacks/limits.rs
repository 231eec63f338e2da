//! Input that is broken or means harm, given to the program: a clear error with the right exit code, within 200 MiB of address space.

use std::io::{self, Read, Write};

use crate::support::lab::{Done, Lab};
use base64::{Engine, engine::general_purpose::STANDARD};

#[test]
fn truncated_armor() {
    let lab = Lab::with_keys(&["bob"]);
    let sealed = sealed(&lab);
    // In the middle of a line, and at the end of one.
    let middle = sealed.find("-----END").unwrap() - 150;
    let line = sealed[..middle].rfind('\n').unwrap() + 1;
    for at in [middle, line] {
        lab.write("cut", &sealed[..at]);
        bounded(&lab, &["decrypt", "cut"]).refused(65, "");
    }
}

#[test]
fn armor_without_a_checksum_is_read() {
    let lab = Lab::with_keys(&["bob"]);
    let sealed = sealed(&lab);
    let without: String = sealed.split_inclusive('\n').filter(|line| !is_checksum(line)).collect();
    assert_eq!(without.lines().count() + 1, sealed.lines().count());
    // RFC 9580, section 6.1: a reader must not reject a message for its checksum, wrong or absent.
    lab.write("without", without);
    let wrong: String =
        sealed.split_inclusive('\n').map(|line| if is_checksum(line) { "=AAAA\n" } else { line }).collect();
    lab.write("wrong", wrong);
    for name in ["without", "wrong"] {
        let done = bounded(&lab, &["decrypt", name]).code(0);
        assert!(done.text().ends_with("\n\nHello\n"), "{name}: {done:?}");
    }
}

#[test]
fn three_hundred_parts_within_parts() {
    let lab = Lab::new();
    let mut message = String::from("From: a@example.org\n");
    for depth in 0..300 {
        message += &format!("Content-Type: multipart/mixed; boundary=b{depth}x\n\n--b{depth}x\n");
    }
    everywhere(&lab, &message, 65, "64");
    let forwarded = "Content-Type: message/rfc822\n\n".repeat(300);
    everywhere(&lab, &forwarded, 65, "64");
}

#[test]
fn a_gigabyte_of_zeros_in_a_few_kilobytes() {
    let lab = Lab::with_keys(&["bob"]);
    let bomb = bomb();
    assert!(bomb.len() < 10 * 1024, "{} octets", bomb.len());
    let armored = format!("-----BEGIN PGP MESSAGE-----\n\n{}\n-----END PGP MESSAGE-----\n", STANDARD.encode(&bomb));
    lab.write("bomb", format!("From: a@example.org\n\n{armored}"));
    for verb in ["verify", "decrypt"] {
        let done = bounded(&lab, &[verb, "bomb"]).code(65);
        assert!(done.stderr.contains("decompressed data: more than"), "{}", done.stderr);
    }
    lab.write("bomb", format!("{ENCRYPTED}{armored}\n--b--\n"));
    for verb in ["verify", "decrypt"] {
        bounded(&lab, &[verb, "bomb"]).code(65);
    }
}

#[test]
fn five_million_lines_of_header() {
    let lab = Lab::new();
    everywhere(&lab, &("From: a@example.org\n".to_owned() + &"X: y\n".repeat(5_000_000) + "\nHello\n"), 65, "header");
    everywhere(&lab, &("X: y\n".to_owned() + &" y\n".repeat(5_000_000) + "\nHello\n"), 65, "header");
}

#[test]
fn garbage_where_ciphertext_should_be() {
    let lab = Lab::with_keys(&["bob"]);
    let noise: Vec<u8> = (0..50_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut message = ENCRYPTED.as_bytes().to_vec();
    message.extend(&noise);
    message.extend(b"\n--b--\n");
    lab.write("octets", message);
    lab.write(
        "armor",
        format!(
            "{ENCRYPTED}-----BEGIN PGP MESSAGE-----\n\n{}\n-----END PGP MESSAGE-----\n--b--\n",
            STANDARD.encode(&noise)
        ),
    );
    lab.write("nothing", format!("{ENCRYPTED}\n--b--\n"));
    for name in ["octets", "armor", "nothing"] {
        bounded(&lab, &["decrypt", name]).refused(65, "");
        bounded(&lab, &["verify", name]).code(65);
    }
}

#[test]
fn nul_octets_are_octets() {
    let lab = Lab::with_keys(&["alice"]);
    lab.write("nul", b"From: alice@example.org\nSubject: a\0b\n\n\0\0\0Hello\0\n");
    bounded(&lab, &["verify", "nul"]).code(1);
    bounded(&lab, &["inspect", "nul"]).code(0);
    // A header with a NUL cannot be protected.
    bounded(&lab, &["sign", "nul"]).refused(65, "header field \"Subject\": holds a NUL");
    bounded(&lab, &["sign", "--protect-headers", "none", "-o", "signed", "nul"]).code(0);
    // Some readers end the header at a NUL: what they show is not what was signed.
    bounded(&lab, &["verify", "signed"]).code(1);
    assert!(!bounded(&lab, &["verify", "--require", "signed", "signed"]).code(0).stdout.contains(&0));
    lab.write("body", b"From: alice@example.org\nSubject: ab\n\n\0\0\0Hello\0\n");
    bounded(&lab, &["sign", "-o", "signed-body", "body"]).code(0);
    bounded(&lab, &["verify", "signed-body"]).code(0);
    lab.write("zeros", [0; 100_000]);
    bounded(&lab, &["verify", "zeros"]).code(1);
    bounded(&lab, &["key", "import", "zeros"]).refused(65, "");
}

/// Every verb that reads a message refuses it in the same way.
fn everywhere(lab: &Lab, message: &str, code: i32, why: &str) {
    lab.write("message", message);
    for arguments in [
        &["verify", "message"][..],
        &["decrypt", "message"],
        &["inspect", "message"],
        &["canon", "--form", "pgp", "message"],
        &["sign", "--as", "alice@example.org", "message"],
        &["encrypt", "--to", "alice@example.org", "--", "message"],
    ] {
        bounded(lab, arguments).refused(code, why);
    }
}

/// A run in 200 MiB of address space, which is more than it can have in memory.
fn bounded(lab: &Lab, arguments: &[&str]) -> Done {
    lab.shell(&format!("ulimit -v 204800; exec \"$0\" {}", arguments.join(" ")))
}

/// A message for Bob; its armor has a checksum.
fn sealed(lab: &Lab) -> String {
    lab.write("m", "From: Alice <alice@example.org>\nSubject: Hi\n\nHello\n");
    lab.run(&["encrypt", "--to", "bob@example.org", "-o", "sealed", "m"]).code(0);
    String::from_utf8(lab.read("sealed")).unwrap()
}

fn is_checksum(line: &str) -> bool {
    line.len() == 6 && line.starts_with('=')
}

/// A compressed data packet (RFC 9580, section 5.6) of 1 GiB of zeros in one literal (section 5.9).
fn bomb() -> Vec<u8> {
    const SIZE: u32 = 1 << 30;
    // New format, tag 11, a length of five octets; binary, no name, no date.
    let mut literal = vec![0xcb, 0xff];
    literal.extend((SIZE + 6).to_be_bytes());
    literal.extend(b"b\0\0\0\0\0");
    // Old format, tag 8, as long as there is data; algorithm 3.
    let mut bzip2 = bzip2::write::BzEncoder::new(vec![0xa3, 3], bzip2::Compression::best());
    bzip2.write_all(&literal).unwrap();
    io::copy(&mut io::repeat(0).take(u64::from(SIZE)), &mut bzip2).unwrap();
    bzip2.finish().unwrap()
}

/// The head of an RFC 3156 encrypted message, up to the ciphertext.
const ENCRYPTED: &str = "From: a@example.org\nMIME-Version: 1.0\n\
    Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n\
    --b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n\n--b\nContent-Type: application/octet-stream\n\n";
