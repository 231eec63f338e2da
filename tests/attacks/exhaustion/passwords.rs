//! Messages under passwords that cost as much as they can.

use crate::{
    exhaustion::generators::{FROM, wrapped},
    support::lab::Lab,
};

/// SKESK packets (RFC 9580, section 5.3.1), and a container that none of them opens.
fn message(s2k: &[u8], count: usize) -> String {
    let body = [&[4, 9][..], s2k, &[0x5a; 33]].concat();
    let packet = [&[0xc3, u8::try_from(body.len()).unwrap()][..], &body].concat();
    let container = [&[0xd2, 60, 1][..], &[0xa5; 59]].concat();
    let armored = wrapped(&[packet.repeat(count), container].concat());
    format!("{FROM}\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n{armored}-----END PGP MESSAGE-----\r\n")
}

fn iterated(hash: u8) -> Vec<u8> {
    [&[3, hash][..], b"saltsalt", &[0xff]].concat()
}

fn argon2(passes: u8, memory: u8) -> Vec<u8> {
    [&[4][..], b"saltsaltsaltsalt", &[passes, 4, memory]].concat()
}

/// In this many seconds of processor time and octets of address space, `verify` and `decrypt` answer as for any message that they cannot open.
fn bounded(lab: &Lab, seconds: u32, kib: u32) {
    for verb in ["verify", "decrypt"] {
        let line = format!(
            "ulimit -c 0; ulimit -v {kib}; ulimit -t {seconds}; exec \"$0\" --passphrase-file pass {verb} message"
        );
        let done = lab.shell(&line);
        assert!([65, 77].contains(&done.code), "{verb}: {} {}{}", done.code, done.text(), done.stderr);
    }
}

#[test]
fn many_session_keys_under_passwords_cost_two_seconds_in_all() {
    let lab = Lab::new();
    lab.write("pass", "one\ntwo\nthree\n");
    // MD5, SHA-1, RIPEMD-160, SHA-256, SHA-512, SHA-224, SHA3-256, SHA3-512.
    for hash in [1, 2, 3, 8, 10, 11, 12, 14] {
        lab.write("message", message(&iterated(hash), 900));
        bounded(&lab, 10, 204_800);
    }
}

/// The documented maximum of Argon2 is one try: by passes here, since 2 GiB are not everywhere.
#[test]
fn argon2_is_tried_as_often_as_its_memory_and_passes_allow() {
    let lab = Lab::new();
    lab.write("pass", "one\ntwo\nthree\n");
    lab.write("message", message(&argon2(255, 15), 64));
    bounded(&lab, 10, 204_800);
    // More memory than is allowed, and passes that make more than four over it, are no try at all.
    for (passes, memory) in [(1, 22), (1, 31), (5, 21), (255, 21)] {
        lab.write("message", message(&argon2(passes, memory), 64));
        bounded(&lab, 1, 204_800);
    }
}

/// Without a password nothing is derived.
#[test]
fn nothing_is_derived_without_a_password() {
    let lab = Lab::new();
    lab.write("message", message(&argon2(255, 15), 64));
    lab.shell("ulimit -c 0; ulimit -t 1; exec \"$0\" verify message").code(77);
}
