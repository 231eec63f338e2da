//! Every symmetric cipher of OpenPGP against GnuPG in each role: in messages that are read and written, to keys and to passwords, and as the
//! lock of a secret key.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use sequoia_openpgp::{
    Cert, Packet,
    crypto::{Password, S2K},
    parse::Parse as _,
    serialize::SerializeInto as _,
    types::SymmetricAlgorithm,
};

use crate::support::requirements::present;

const TEXT: &str = "The vault code is 4711.";
/// OpenPGP's number, GnuPG's name and ours.
const CIPHERS: [(u8, &str, &str); 11] = [
    (1, "IDEA", "idea"),
    (2, "3DES", "3des"),
    (3, "CAST5", "cast5"),
    (4, "BLOWFISH", "blowfish"),
    (7, "AES", "aes128"),
    (8, "AES192", "aes192"),
    (9, "AES256", "aes256"),
    (10, "TWOFISH", "twofish"),
    (11, "CAMELLIA128", "camellia128"),
    (12, "CAMELLIA192", "camellia192"),
    (13, "CAMELLIA256", "camellia256"),
];

/// A folder with a home of GnuPG, whose agent ends with it.
struct Place(tempfile::TempDir);

impl Place {
    /// With Bob's secret key in GnuPG's home; `None`, said loudly, when gpg is not here.
    fn new() -> Option<Place> {
        if !present(&["gpg"]) {
            return None;
        }
        let place = Place(tempfile::Builder::new().prefix("ps").tempdir().unwrap());
        fs::create_dir(place.path("g")).unwrap();
        fs::set_permissions(place.path("g"), fs::Permissions::from_mode(0o700)).unwrap();
        let mail = format!("From: alice@example.org\nTo: bob@example.org\nSubject: case\n\n{TEXT}\n");
        fs::write(place.path("plain.eml"), mail).unwrap();
        fs::write(place.path("passphrase"), "secret\n").unwrap();
        place.gpg(&["--import", &testdata("bob.sec.asc")], "");
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn gpg(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.path("g")).args(["-q", "--batch", "--yes", "--trust-model", "always"]);
        command.args(["--pinentry-mode", "loopback", "--passphrase", "secret"]);
        // Newer ones have an option for what older ones do.
        let options = Command::new("gpg").arg("--dump-options").output().unwrap().stdout;
        let old = "--allow-old-cipher-algos";
        command.args(String::from_utf8_lossy(&options).lines().filter(|line| line.trim() == old).map(|_| old));
        done(command.args(arguments).current_dir(self.0.path()), input)
    }

    fn postseal(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        done(command.arg("--home").arg(self.path("home")).args(arguments).current_dir(self.0.path()), "")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.path("g")).args(["--kill", "all"]).output();
    }
}

fn done(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output: Output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pgp").join(name).to_string_lossy().into_owned()
}

fn block(mail: &str) -> String {
    let end = "-----END PGP MESSAGE-----";
    let (start, stop) = (mail.find("-----BEGIN PGP MESSAGE-----").unwrap(), mail.find(end).unwrap());
    mail[start..stop + end.len()].replace('\r', "") + "\n"
}

#[test]
fn what_gnupg_writes_is_read() {
    let Some(place) = Place::new() else { return };
    for (_, gnupg, _) in CIPHERS {
        let to_key = ["-e", "-r", "bob@example.org"];
        let to_both = ["-e", "-r", "bob@example.org", "-c"];
        let to_password = ["-c"];
        for to in [&to_key[..], &to_both, &to_password] {
            let algorithms = ["-a", "--cipher-algo", gnupg, "--s2k-cipher-algo", gnupg];
            let sealed = place.gpg(&[&algorithms[..], to].concat(), TEXT);
            fs::write(place.path("sealed.eml"), format!("From: a@example.org\nSubject: x\n\n{sealed}")).unwrap();
            let bob = testdata("bob.sec.asc");
            let ways: &[&[&str]] = match to.len() {
                1 => &[&["--passphrase-file", "passphrase"]],
                3 => &[&["--keys", &bob]],
                _ => &[&["--passphrase-file", "passphrase"], &["--keys", &bob]],
            };
            for way in ways {
                let opened = place.postseal(&[way, &["decrypt", "sealed.eml"][..]].concat());
                assert!(opened.contains(TEXT), "{gnupg} {to:?}: {opened}");
            }
        }
    }
}

#[test]
fn what_is_written_gnupg_reads() {
    let Some(place) = Place::new() else { return };
    let bob = testdata("bob.sec.asc");
    for (number, gnupg, ours) in CIPHERS {
        let mut seal = vec!["--legacy", "--keys", &bob, "encrypt", "--cipher", ours];
        seal.extend(["--to", "bob@example.org", "-o", "sealed.eml", "plain.eml"]);
        place.postseal(&seal);
        let sealed = block(&fs::read_to_string(place.path("sealed.eml")).unwrap());
        let said = place.gpg(&["--status-fd", "1", "-d"], &sealed);
        assert!(said.contains("DECRYPTION_OKAY") && said.contains(TEXT), "{gnupg}: {said}");
        assert!(said.contains(&format!("DECRYPTION_INFO 2 {number} ")), "{gnupg}: {said}");
        assert!(place.postseal(&["--keys", &bob, "decrypt", "sealed.eml"]).contains(TEXT), "{gnupg}");
    }
}

/// Large enough for several partial bodies.
#[test]
fn a_long_message_under_blowfish_is_read_by_gnupg_whole() {
    let Some(place) = Place::new() else { return };
    let bob = testdata("bob.sec.asc");
    let text = "All of these lines come back.\n".repeat(20_000);
    fs::write(place.path("plain.eml"), format!("From: alice@example.org\nSubject: case\n\n{text}")).unwrap();
    let mut seal = vec!["--legacy", "--keys", &bob, "encrypt", "--cipher", "blowfish"];
    seal.extend(["--to", "bob@example.org", "-o", "sealed.eml", "plain.eml"]);
    place.postseal(&seal);
    let sealed = block(&fs::read_to_string(place.path("sealed.eml")).unwrap());
    fs::write(place.path("sealed.asc"), sealed).unwrap();
    assert!(place.gpg(&["-d", "sealed.asc"], "").replace('\r', "").contains(&text));
    assert!(place.postseal(&["--keys", &bob, "decrypt", "sealed.eml"]).replace('\r', "").contains(&text));
}

/// GnuPG imports a key that is locked with each, and the same file opens here.
#[test]
fn what_locks_a_key_is_what_gnupg_reads() {
    let Some(place) = Place::new() else { return };
    let sealed = place.gpg(&["-a", "-e", "-r", "bob@example.org"], TEXT);
    fs::write(place.path("sealed.eml"), format!("From: a@example.org\nSubject: x\n\n{sealed}")).unwrap();
    for (number, gnupg, _) in CIPHERS.into_iter().filter(|cipher| cipher.1 != "BLOWFISH") {
        let locked = locked(&testdata("bob.sec.asc"), SymmetricAlgorithm::from(number));
        fs::write(place.path("locked.pgp"), &locked).unwrap();
        let given = ["--passphrase-file", "passphrase", "--keys", "locked.pgp", "decrypt", "sealed.eml"];
        assert!(place.postseal(&given).contains(TEXT), "{gnupg}");
        let other = Place(tempfile::Builder::new().prefix("ps").tempdir().unwrap());
        fs::create_dir(other.path("g")).unwrap();
        fs::set_permissions(other.path("g"), fs::Permissions::from_mode(0o700)).unwrap();
        other.gpg(&["--import", place.path("locked.pgp").to_str().unwrap()], "");
        assert!(other.gpg(&["-d"], &sealed).contains(TEXT), "{gnupg}");
    }
    // No program reads this encryption as written by Sequoia; GnuPG opens this one.
    let blowfish = testdata("blowfish-locked.sec.asc");
    let message = testdata("to-blowfish-locked.eml");
    let given = ["--passphrase-file", "passphrase", "--keys", &blowfish, "decrypt", &message];
    assert!(place.postseal(&given).contains(TEXT));
    fs::write(place.path("wrong"), "Secret\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(place.path("home")).args(["--passphrase-file", "wrong", "--keys", &blowfish]);
    let refused = command.args(["decrypt", &message]).current_dir(place.0.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(77));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("locked, and no passphrase fits"));
}

/// The key with every secret part locked by the passphrase and this cipher.
fn locked(file: &str, cipher: SymmetricAlgorithm) -> Vec<u8> {
    let cert = Cert::from_file(file).unwrap();
    let lock = |packet: Packet| match packet {
        Packet::SecretKey(key) => {
            let (public, mut secret) = key.take_secret();
            secret.encrypt_in_place_with(&public, S2K::default(), cipher, None, &Password::from("secret")).unwrap();
            Packet::SecretKey(public.add_secret(secret).0)
        }
        Packet::SecretSubkey(key) => {
            let (public, mut secret) = key.take_secret();
            secret.encrypt_in_place_with(&public, S2K::default(), cipher, None, &Password::from("secret")).unwrap();
            Packet::SecretSubkey(public.add_secret(secret).0)
        }
        other => other,
    };
    cert.as_tsk().into_packets().map(lock).flat_map(|packet| packet.to_vec().unwrap()).collect()
}
