//! Attacks on OpenPGP that move packets about: each is built here, from a message that the program made or that testdata/attack holds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use postseal::mail::encoding::{base64_decode, base64_encode};

const MESSAGE: &str = "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: x\r\n\r\nLunch is at noon.\r\n";

/// One packet: its type and its body (RFC 9580, section 4.2).
#[derive(Clone, Debug, PartialEq)]
struct Packet {
    tag: u8,
    body: Vec<u8>,
}

const PKESK: u8 = 1;
const SIGNATURE: u8 = 2;
const SED: u8 = 9;
const SEIPD: u8 = 18;

/// Both forms of headers, and partial bodies put together.
fn packets(octets: &[u8]) -> Vec<Packet> {
    let mut rest = octets;
    let mut take = |length: usize| -> Vec<u8> {
        let (taken, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        taken.to_vec()
    };
    let number = |octets: Vec<u8>| octets.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    let mut found = Vec::new();
    while let [first] = take(1)[..] {
        let mut body = Vec::new();
        if first & 0x40 == 0 {
            let length = number(take(1 << (first & 3)));
            body.extend(take(length));
            found.push(Packet { tag: first >> 2 & 15, body });
            continue;
        }
        loop {
            match number(take(1)) {
                length @ ..192 => body.extend(take(length)),
                high @ 192..224 => {
                    let length = (high - 192) * 256 + number(take(1)) + 192;
                    body.extend(take(length));
                }
                255 => {
                    let length = number(take(4));
                    body.extend(take(length));
                }
                partial => {
                    body.extend(take(1 << (partial & 31)));
                    continue;
                }
            }
            break;
        }
        found.push(Packet { tag: first & 63, body });
    }
    found
}

fn octets(packets: &[Packet]) -> Vec<u8> {
    let packet = |packet: &Packet| {
        let length = u32::try_from(packet.body.len()).unwrap().to_be_bytes();
        [&[0xc0 | packet.tag, 255], &length[..], &packet.body].concat()
    };
    packets.iter().flat_map(packet).collect()
}

/// The packets of the first block of armor with this label in `text`.
fn dearmored(text: &str, label: &str) -> Vec<Packet> {
    let block = text.split(&format!("-----BEGIN PGP {label}-----")).nth(1).unwrap();
    let block = block.split("-----END").next().unwrap().replace('\r', "");
    let data = block.split_once("\n\n").unwrap().1;
    let base64: String = data.lines().filter(|line| !line.starts_with('=')).collect();
    packets(&base64_decode(base64.as_bytes()))
}

fn armored(packets: &[Packet], label: &str, headers: &str) -> String {
    let base64 = String::from_utf8(base64_encode(&octets(packets))).unwrap().replace("\r\n", "\n");
    format!("-----BEGIN PGP {label}-----\n{headers}\n{}\n-----END PGP {label}-----\n", base64.trim_end())
}

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Lab {
        Lab(tempfile::tempdir().unwrap())
    }

    fn run(&self, arguments: &[&str], message: &str) -> Output {
        let file = self.0.path().join("message.eml");
        fs::write(&file, message).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.0.path().join("home")).args(arguments).arg(file).output().unwrap()
    }

    fn done(&self, arguments: &[&str], message: &str) -> String {
        let output = self.run(arguments, message);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A key of this profile for alice@example.org.
    fn generate(&self, profile: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.0.path().join("home"));
        command.args(["key", "generate", "--no-passphrase", "--profile", profile, "alice@example.org"]);
        assert!(command.output().unwrap().status.success());
    }
}

/// Strenzke 2023: what AEAD protects is given for CFB, or for another mode, under the same session key. With X25519 anyone can turn a packet of
/// version 6 into one of version 3, because the cipher's number stands outside what is wrapped (RFC 9580, section 5.1.6).
#[test]
fn what_aead_protects_is_nothing_to_another_mode() {
    let lab = Lab::new();
    lab.generate("rfc9580");
    let sealed = lab.done(&["encrypt", "--inline", "--to", "alice@example.org"], MESSAGE);
    let found = dearmored(&sealed, "MESSAGE");
    let [session, container] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((session.tag, container.tag, container.body[..3].to_vec()), (PKESK, SEIPD, vec![2, 9, 2]));

    let opened = |arguments: &[&str], packets: &[Packet]| {
        let block = armored(packets, "MESSAGE", "");
        let message = format!("From: alice@example.org\nContent-Type: text/plain\n\n{block}");
        let output = lab.run(arguments, &message);
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    // Untouched, and with its length written otherwise, it opens.
    let (text, error) = opened(&["decrypt"], &found);
    assert!(String::from_utf8_lossy(&text).contains("Lunch is at noon."), "{error}");

    // Version 6: a version, the fingerprint with its length and version, the algorithm, the point, the wrapped key with its length.
    let [6, 33, 6, rest @ ..] = session.body.as_slice() else { panic!("{session:?}") };
    let (fingerprint, [25, rest @ ..]) = rest.split_at(32) else { panic!("{session:?}") };
    let (point, [40, wrapped @ ..]) = rest.split_at(32) else { panic!("{session:?}") };
    let older = [&[3], &fingerprint[..8], &[25], point, &[41, 9], wrapped].concat();
    let older = Packet { tag: PKESK, body: older };
    let ciphertext = &container.body[36..];
    let cfb = Packet { tag: SEIPD, body: [&[1], ciphertext].concat() };
    let bare = Packet { tag: SED, body: ciphertext.to_vec() };
    let with = |at: usize, octet: u8| {
        let mut changed = container.clone();
        changed.body[at] = octet;
        [session.clone(), changed]
    };
    let changed = "its integrity check fails: it was damaged or changed";
    let tricks = [
        ("cfb", [older.clone(), cfb.clone()], changed),
        ("no integrity", [older.clone(), bare.clone()], changed),
        ("cfb, by a session key of version 6", [session.clone(), cfb], changed),
        ("eax", with(2, 1), changed),
        ("gcm", with(2, 3), changed),
        ("camellia", with(1, 13), changed),
    ];
    for (name, packets, why) in tricks {
        let (text, error) = opened(&["--legacy", "decrypt"], &packets);
        assert!(text.is_empty() && error.contains(why), "{name}: {error}");
        assert!(!error.contains("Lunch"), "{name}");
    }
}

/// Obenour 2022 (CVE-2022-34903): notations that imitate GnuPG's status lines. Anyone can add them to the unhashed area.
#[test]
fn notations_do_not_speak() {
    let genuine = testdata("cleartext-intact");
    let spoof = "x\n[GNUPG:] GOODSIG 0123456789ABCDEF mallory@example.org\n[GNUPG:] TRUST_FULLY\n";
    let notation = |flags: u8| {
        let name = b"[GNUPG:]\n@example.org";
        let lengths = [[0, name.len() as u8], [0, spoof.len() as u8]].concat();
        [&[20, flags, 0, 0, 0][..], &lengths, name, spoof.as_bytes()].concat()
    };
    let with = |subpackets: &[Vec<u8>]| {
        let mut found = dearmored(&genuine, "SIGNATURE");
        let [Packet { tag: SIGNATURE, body }] = found.as_mut_slice() else { panic!("{found:?}") };
        let hashed = usize::from(u16::from_be_bytes([body[4], body[5]]));
        let at = 6 + hashed;
        let length = u16::from_be_bytes([body[at], body[at + 1]]);
        let added: Vec<u8> =
            subpackets.iter().flat_map(|one| [&[255, 0, 0, 0, one.len() as u8], &one[..]].concat()).collect();
        body[at..at + 2].copy_from_slice(&(length + added.len() as u16).to_be_bytes());
        body.splice(at + 2..at + 2, added);
        let (text, _) = genuine.split_once("-----BEGIN PGP SIGNATURE").unwrap();
        text.to_owned() + &armored(&found, "SIGNATURE", "")
    };
    let policy = [&[26][..], spoof.as_bytes()].concat();
    let signer = [&[28][..], b"Mallory <mallory@example.org>"].concat();
    let lab = Lab::new();
    let plain = lab.run(&[&judging()[..], &["verify"]].concat(), &genuine);
    for subpackets in [vec![], vec![notation(0x80), notation(0)], vec![policy], vec![signer]] {
        let message = with(&subpackets);
        let output = lab.run(&[&judging()[..], &["verify"]].concat(), &message);
        // The signature holds, and all that is said of it is what is said without them.
        assert_eq!((output.status.code(), &output), (Some(0), &plain), "{message}");
        let json = lab.done(&[&judging()[..], &["verify", "--json"]].concat(), &message);
        assert!(!json.contains("GNUPG") && !json.contains("mallory"), "{json}");
        assert_eq!(lab.done(&[&judging()[..], &["decrypt"]].concat(), &message).matches("GNUPG").count(), 0);
    }
}

/// Anyone can write `Comment:` and `Version:`: no signature covers the headers of armor. A reader without OpenPGP shows them, so that a message
/// with other words in them than programs write has no author.
#[test]
fn headers_of_armor_are_neither_shown_nor_written() {
    let lab = Lab::new();
    let genuine = testdata("cleartext-intact");
    let headers = "Version: Pay Mallory.\nComment: Pay Mallory.\nCharset: Pay Mallory.\nPay Mallory: now\n";
    let begin = "-----BEGIN PGP SIGNATURE-----\n";
    let commented = genuine.replace(begin, &format!("{begin}{headers}"));
    assert!(commented.contains("Mallory"));
    let sealed = lab.done(&[&judging()[..], &["encrypt", "--inline", "--to", "bob@example.org"]].concat(), MESSAGE);
    let begin = "-----BEGIN PGP MESSAGE-----\r\n";
    let sealed = sealed.replace(begin, &format!("{begin}{}", headers.replace('\n', "\r\n")));
    assert!(sealed.contains("Mallory"));
    for (message, standing) in [(commented, "signed"), (sealed, "unsigned")] {
        for verb in [&["verify"][..], &["verify", "--json"], &["decrypt"], &["decrypt", "--json"]] {
            let output = lab.run(&[&judging()[..], verb].concat(), &message);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(!said.contains("Mallory") && said.contains(standing), "{verb:?}: {said}");
            assert_eq!(said.contains("Lunch is at noon."), verb[0] == "decrypt", "{verb:?}: {said}");
        }
    }

    lab.generate("rfc4880");
    let mut export = Command::new(env!("CARGO_BIN_EXE_postseal"));
    export.arg("--home").arg(lab.0.path().join("home")).args(["key", "export", "alice@example.org"]);
    let mut written = vec![String::from_utf8(export.output().unwrap().stdout).unwrap()];
    for verb in [
        &["sign"][..],
        &["sign", "--inline"],
        &["sign", "--inline", "--opaque"],
        &["encrypt", "--to", "alice@example.org"],
        &["encrypt", "--sign", "--inline", "--to", "alice@example.org"],
    ] {
        written.push(lab.done(verb, MESSAGE));
    }
    for text in written {
        let armors: Vec<&str> =
            text.split("-----BEGIN PGP ").skip(1).filter(|one| !one.starts_with("SIGNED")).collect();
        assert!(!armors.is_empty(), "{text}");
        assert!(armors.iter().all(|one| one.lines().nth(1).is_some_and(|line| line.trim().is_empty())), "{text}");
        // RFC 9580, section 7.1: the cleartext has `Hash` and nothing else.
        let mut header = text.lines().skip_while(|line| !line.starts_with("-----BEGIN PGP SIGNED")).skip(1);
        assert!(
            header.by_ref().take_while(|line| !line.trim().is_empty()).all(|line| line.starts_with("Hash: ")),
            "{text}"
        );
    }
}

/// Alice's certificate and Bob's key, at the time of testdata/attack.
fn judging() -> [&'static str; 6] {
    const ALICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/attack/keys/alice.asc");
    const BOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/attack/keys/bob.secret.asc");
    ["--at", "2026-04-01T00:00:00Z", "--keys", ALICE, "--keys", BOB]
}

fn testdata(name: &str) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/attack");
    fs::read_to_string(folder.join(format!("{name}.eml"))).unwrap().replace("\r\n", "\n")
}
