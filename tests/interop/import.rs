//! Keys move in from GnuPG's homes and from a folder of openssl's files, and work.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::support::requirements::present;

/// A folder with short paths (GnuPG's sockets lie in its home), whose agent ends with it.
struct Place(TempDir);

impl Place {
    /// `None`, said loudly, when a program is not here.
    fn with(programs: &[&str]) -> Option<Place> {
        if !present(programs) {
            return None;
        }
        let place = Place(tempfile::Builder::new().prefix("ps").tempdir().unwrap());
        for name in ["gnupg", "other"] {
            fs::create_dir(place.path(name)).unwrap();
            fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(place.path("gnupg/gpg-agent.conf"), "allow-loopback-pinentry\n").unwrap();
        fs::write(place.path("gnupg/gpgsm.conf"), "disable-crl-checks\nbatch\n").unwrap();
        fs::write(place.path("phrases"), "wrong\nopen sesame\n").unwrap();
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn gnupg(&self, program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut command = Command::new(program);
        command.arg("--homedir").arg(self.path("gnupg")).args(["--batch", "--yes"]).args(arguments);
        let output = fed(&mut command, input);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn postseal(&self, arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.path("home")).args(arguments).current_dir(self.0.path());
        let output = fed(&mut command, input);
        (output.status.code().unwrap(), output.stdout, String::from_utf8(output.stderr).unwrap())
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut command = Command::new("openssl");
        let output = fed(command.args(arguments).current_dir(self.path("other")), b"");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.path("gnupg")).args(["--kill", "all"]).output();
    }
}

#[test]
fn a_home_of_gpg() {
    let Some(place) = Place::with(&["gpg"]) else { return };
    let generate = |who: &str, (algorithm, usage): (&str, &str), passphrase: &str| {
        let secret = ["--pinentry-mode", "loopback", "--passphrase", passphrase];
        place.gnupg("gpg", &[&secret[..], &["--quick-generate-key", who, algorithm, usage, "never"]].concat(), b"");
    };
    generate("Alice <alice@example.org>", ("future-default", "default"), "");
    generate("Bob <bob@example.org>", ("rsa2048", "cert,sign,encr"), "open sesame");
    // Another person's key with ultimate trust in gpg: no binding is made.
    generate("Carol <carol@example.org>", ("future-default", "default"), "");
    let carol = fingerprint(&place, "carol@example.org");
    place.gnupg("gpg", &["--delete-secret-keys", &carol], b"");

    // Bob's passphrase is not given: Bob's key comes without its secret part, and all others come.
    let (code, out, err) = place.postseal(&["import", "gpg-home", "gnupg"], b"");
    let out = String::from_utf8(out).unwrap();
    let bob = fingerprint(&place, "bob@example.org");
    assert_eq!(code, 77, "{out}{err}");
    assert!(err.contains(&format!("secret key {bob} in gnupg: it is on a card, or no passphrase fits")), "{err}");
    assert!(out.contains("alice@example.org with its secret key") && out.contains("carol@example.org\n"), "{out}");
    assert!(!out.contains(&format!("{carol} is trusted")), "{out}");

    let with = ["--passphrase-file", "phrases", "import", "gpg-home", "gnupg"];
    let (code, out, err) = place.postseal(&with, b"");
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("bob@example.org with its secret key"), "{out}");
    let (code, out, err) = place.postseal(&with, b"");
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.lines().all(|line| line.starts_with("unchanged")) && out.lines().count() == 3, "{out}");

    // They work, and are locked as they were.
    let (code, signed, err) = place.postseal(&["sign"], b"From: alice@example.org\n\nhello\n");
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = place.postseal(&["verify"], &signed);
    assert_eq!(code, 0, "{err}");
    let sealed = place.gnupg("gpg", &["--trust-model", "always", "-ear", &bob], b"for Bob\n");
    let message = [b"From: x@example.org\n\n", sealed.as_slice()].concat();
    let (code, out, err) = place.postseal(&["--passphrase-file", "phrases", "decrypt"], &message);
    assert_eq!((code, out.ends_with(b"for Bob\n")), (0, true), "{err}");
    assert_eq!(place.postseal(&["decrypt"], &message).0, 77);
}

#[test]
fn a_home_of_gpgsm() {
    let Some(place) = Place::with(&["gpgsm", "openssl"]) else { return };
    pair(&place, "dan@example.org", &["-newkey", "rsa:2048", "-nodes"]);
    let p12 = ["pkcs12", "-export", "-legacy", "-inkey", "dan@example.org.key", "-in", "dan@example.org.crt"];
    // Not every file of openssl's can be read by gpgsm 2.2.
    let import = || {
        place.openssl(&[&p12[..], &["-passout", "pass:open sesame", "-out", "dan.p12"]].concat());
        let mut command = Command::new("gpgsm");
        let phrase = ["--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "--import"];
        command.arg("--homedir").arg(place.path("gnupg")).args(phrase).arg(place.path("other/dan.p12"));
        fed(&mut command, b"open sesame\n").status.success()
    };
    assert!((0..4).any(|_| import()), "gpgsm reads no PKCS#12 file");
    let list = String::from_utf8(place.gnupg("gpgsm", &["--list-keys", "--with-colons"], b"")).unwrap();
    let sha1 = list.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().split(':').nth(8).unwrap().to_owned();
    fs::write(place.path("gnupg/trustlist.txt"), format!("# mine\n{sha1} S relax\n")).unwrap();

    let with = ["--passphrase-file", "phrases", "import", "gpgsm", "gnupg"];
    let (code, out, err) = place.postseal(&with, b"");
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("dan@example.org with its secret key") && out.contains("is a trust anchor"), "{out}");
    let arguments = ["--passphrase-file", "phrases", "sign", "-f", "smime"];
    let (code, signed, err) = place.postseal(&arguments, b"From: dan@example.org\n\nhello\n");
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = place.postseal(&["verify"], &signed);
    assert_eq!(code, 0, "{}{err}", String::from_utf8_lossy(&out));
}

#[test]
fn a_folder_of_openssl() {
    let Some(place) = Place::with(&["openssl"]) else { return };
    pair(&place, "erin@example.org", &["-newkey", "rsa:2048", "-nodes"]);
    pair(&place, "frank@example.org", &["-newkey", "rsa:2048", "-passout", "pass:open sesame"]);
    fs::write(place.path("other/broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    // By its name another's.
    fs::copy(place.path("other/erin@example.org.crt"), place.path("other/grace@example.net.pem")).unwrap();

    let with = ["--passphrase-file", "phrases", "import", "openssl-dir", "other"];
    let (code, out, err) = place.postseal(&with, b"");
    let out = String::from_utf8(out).unwrap();
    assert_eq!(code, 65, "{out}{err}");
    assert!(err.contains("error: other/broken.pem"), "{err}");
    assert!(err.contains("does not name grace@example.net itself"), "{err}");
    for who in ["erin@example.org", "frank@example.org"] {
        assert!(out.contains(&format!("{who} with its secret key")), "{out}");
        assert!(out.contains(&format!("is trusted for {who}")), "{out}");
        let arguments = ["--passphrase-file", "phrases", "sign", "-f", "smime"];
        let (code, signed, err) = place.postseal(&arguments, format!("From: {who}\n\nhello\n").as_bytes());
        assert_eq!(code, 0, "{err}");
        assert_eq!(place.postseal(&["verify"], &signed).0, 0, "{who}");
    }
    let (code, _, err) = place.postseal(&["import", "openssl-dir", "gnupg"], b"");
    assert_eq!(code, 65, "{err}");
    let (code, _, err) = place.postseal(&["import", "gpg-home", "other"], b"");
    assert_eq!((code, err.contains("other: no keyring of gnupg is there")), (66, true), "{err}");
}

/// A key and a self-signed certificate, in two files named after an address.
fn pair(place: &Place, address: &str, key: &[&str]) {
    let (key_file, cert_file) = (format!("{address}.key"), format!("{address}.crt"));
    let (subject, name) = (format!("/CN={address}"), format!("subjectAltName=email:{address}"));
    let rest = ["-keyout", &key_file, "-out", &cert_file, "-subj", &subject, "-addext", &name, "-days", "30"];
    place.openssl(&[&["req", "-x509"], key, &rest].concat());
}

fn fingerprint(place: &Place, who: &str) -> String {
    let list = String::from_utf8(place.gnupg("gpg", &["--with-colons", "--list-keys", who], b"")).unwrap();
    list.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned()
}

fn fed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}
