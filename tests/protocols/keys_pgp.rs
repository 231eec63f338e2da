//! OpenPGP keys as others make them: revocations by themselves and by designated revokers, keys without flags, stubs of keys on a card.
//!
//! What is in `testdata/pgp` was made by GnuPG 2.2.40, and by Sequoia where GnuPG writes no such thing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PLAIN: &str = "From: alice@example.org\nTo: bob@example.org\nSubject: case\n\nThe vault code is 4711.\n";
const BOB: &str = "8A11C67767C6E028114E808A6C2332324103A4BE";
const REVOKED: &str = "50CB424D86D4B2FFB24E5BEC8C983E36393135B8";
const CAROL: &str = "B47DB25E19E38510C358717348FF2A8D0830397E";

struct Lab(tempfile::TempDir);

/// Exit code, standard output, standard error.
type Said = (i32, String, String);

impl Lab {
    fn new() -> Lab {
        let lab = Lab(tempfile::tempdir().unwrap());
        fs::write(lab.path("plain.eml"), PLAIN).unwrap();
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.path("home")).args(arguments).current_dir(self.0.path());
        let output = command.output().unwrap();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn done(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert_eq!(said.0, 0, "{arguments:?}: {said:?}");
        said.1
    }

    fn import(&self, files: &[&str]) -> Said {
        let files: Vec<String> = files.iter().map(|file| testdata(file)).collect();
        let mut arguments = vec!["key", "import"];
        arguments.extend(files.iter().map(String::as_str));
        self.run(&arguments)
    }

    /// The line of `key list` for this key.
    fn listed(&self, fingerprint: &str) -> String {
        let list = self.done(&["key", "list"]);
        list.lines().find(|line| line.contains(fingerprint)).unwrap_or_default().to_owned()
    }
}

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pgp").join(name).to_string_lossy().into_owned()
}

fn read(name: &str) -> String {
    fs::read_to_string(testdata(name)).unwrap()
}

#[test]
fn a_revocation_certificate_revokes_by_itself() {
    let lab = Lab::new();
    assert_eq!(lab.import(&["bob.asc"]).0, 0);
    assert!(lab.listed(BOB).contains("good"));
    let (code, out, err) = lab.import(&["bob-revocation.asc"]);
    assert_eq!((code, out.contains("updated"), err.as_str()), (0, true, ""));
    assert!(lab.listed(BOB).contains("revoked"), "{}", lab.listed(BOB));
    // It stays so, whatever comes of the clean certificate again.
    assert_eq!(lab.import(&["bob.asc"]).0, 0);
    assert!(lab.listed(BOB).contains("revoked"));
}

#[test]
fn a_revocation_certificate_comes_in_any_company() {
    let (certificate, revocation) = (read("bob.asc"), read("bob-revocation.asc"));
    // GnuPG's own file has an explanation, and a colon against importing it by accident.
    let laid_aside = format!("This is a revocation certificate.\n\n:{revocation}");
    for both in [
        format!("{certificate}{revocation}"),
        format!("{revocation}{certificate}"),
        format!("{certificate}\n{laid_aside}"),
        format!("{laid_aside}{certificate}"),
    ] {
        let lab = Lab::new();
        fs::write(lab.path("both.asc"), both).unwrap();
        let said = lab.run(&["key", "import", "both.asc"]);
        assert_eq!(said.0, 0, "{said:?}");
        assert!(lab.listed(BOB).contains("revoked"), "{said:?}");
    }
    // In either order of two files.
    for files in [["bob.asc", "bob-revocation.asc"], ["bob-revocation.asc", "bob.asc"]] {
        let lab = Lab::new();
        assert_eq!(lab.import(&files).0, 0);
        assert!(lab.listed(BOB).contains("revoked"));
    }
}

#[test]
fn a_revocation_that_revokes_nothing_here_is_no_success() {
    let lab = Lab::new();
    let (code, _, err) = lab.import(&["bob-revocation.asc"]);
    assert_eq!(code, 77);
    assert!(err.contains(&format!("a revocation certificate for key {BOB}, whose certificate is missing")), "{err}");
    // Another's certificate is taken in, and the exit code says that something was lost.
    let (code, out, err) = lab.import(&["carol-the-revoker.asc", "bob-revocation.asc"]);
    assert_eq!((code, out.contains(CAROL)), (77, true), "{err}");
    assert!(lab.listed(CAROL).contains("good"));
    // A damaged one.
    let damaged = read("bob-revocation.asc").replace("huTREeTH0OHOSv", "huTREeTH0OHOSw").replace("=DJ1w\n", "");
    assert_ne!(damaged, read("bob-revocation.asc"));
    fs::write(lab.path("damaged.asc"), damaged).unwrap();
    assert_eq!(lab.import(&["bob.asc"]).0, 0);
    let (code, _, err) = lab.run(&["key", "import", "damaged.asc"]);
    assert_eq!(code, 65, "{err}");
    assert!(err.contains("revocation certificate") && lab.listed(BOB).contains("good"), "{err}");
}

#[test]
fn our_own_revocation_certificate_revokes() {
    for profile in ["rfc4880", "rfc9580"] {
        let lab = Lab::new();
        lab.done(&["key", "generate", "--no-passphrase", "--profile", profile, "alice@example.org"]);
        lab.done(&["sign", "--as", "alice@example.org", "-o", "signed.eml", "plain.eml"]);
        assert_eq!(lab.run(&["verify", "signed.eml"]).0, 0);
        let revocation = fs::read_dir(lab.path("home/revocations")).unwrap().next().unwrap().unwrap().path();
        lab.done(&["key", "import", revocation.to_str().unwrap()]);
        assert!(lab.done(&["key", "list"]).contains("revoked"));
        let (code, out, _) = lab.run(&["verify", "signed.eml"]);
        assert_eq!(code, 1);
        assert!(out.contains("unsigned") && out.contains("the key is revoked"), "{out}");
        assert_eq!(lab.run(&["sign", "--as", "alice@example.org", "plain.eml"]).0, 77);
    }
}

#[test]
fn keys_of_one_run_bring_revocations_to_what_is_in_the_home() {
    let lab = Lab::new();
    assert_eq!(lab.import(&["bob.asc"]).0, 0);
    lab.done(&["key", "trust", BOB, "bob@example.org"]);
    lab.done(&["encrypt", "--to", "bob@example.org", "-o", "out.eml", "plain.eml"]);
    let revocation = testdata("bob-revocation.asc");
    let (code, _, err) = lab.run(&["--keys", &revocation, "encrypt", "--to", "bob@example.org", "plain.eml"]);
    assert_eq!(code, 77, "{err}");
    assert!(err.contains("revoked"), "{err}");
    // It was for that run.
    assert!(lab.listed(BOB).contains("good"));
}

#[test]
fn a_designated_revoker_is_heard() {
    let lab = Lab::new();
    assert_eq!(lab.import(&["carol-the-revoker.asc", "bob-revoked-by-carol.asc"]).0, 0);
    assert!(lab.listed(REVOKED).contains("revoked"), "{}", lab.listed(REVOKED));
    let shown = lab.done(&["key", "show", "--json", REVOKED]);
    assert!(shown.contains(r#""state":"revoked""#), "{shown}");
    lab.done(&["key", "trust", REVOKED, "bob@example.org"]);
    let (code, out, _) = lab.run(&["verify", &testdata("signed-by-revoked-bob.eml")]);
    assert_eq!(code, 1);
    assert!(out.contains("unsigned") && out.contains("the key is revoked"), "{out}");
    let (code, _, err) = lab.run(&["encrypt", "--to", "bob@example.org", "-o", "out.eml", "plain.eml"]);
    assert_eq!(code, 77);
    assert!(err.contains("revoked: key material has been compromised"), "{err}");
}

#[test]
fn a_designated_revoker_who_is_not_here_is_named() {
    let lab = Lab::new();
    let (code, _, err) = lab.import(&["bob-revoked-by-carol.asc"]);
    assert!(code == 0 && err.contains("warning") && err.contains(CAROL), "{err}");
    assert!(lab.listed(REVOKED).contains(&format!("perhaps revoked: by {CAROL}")), "{}", lab.listed(REVOKED));
    lab.done(&["key", "trust", REVOKED, "bob@example.org"]);
    let (_, out, _) = lab.run(&["verify", &testdata("signed-by-revoked-bob.eml")]);
    assert!(out.contains(CAROL), "{out}");
    let (code, _, err) = lab.run(&["encrypt", "--to", "bob@example.org", "-o", "out.eml", "plain.eml"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("warning") && err.contains(CAROL), "{err}");
    // With her key for one run.
    let carol = testdata("carol-the-revoker.asc");
    let (code, ..) = lab.run(&["--keys", &carol, "encrypt", "--to", "bob@example.org", "-o", "out.eml", "plain.eml"]);
    assert_eq!(code, 77);
}

#[test]
fn without_key_flags_the_algorithm_decides() {
    let lab = Lab::new();
    assert_eq!(lab.import(&["no-flags.asc"]).0, 0);
    let shown = lab.done(&["key", "show", "bob@example.org"]);
    assert_eq!(shown.matches("encrypt").count(), 2, "{shown}");
    assert!(shown.contains("certify, sign, encrypt"), "{shown}");
    let (code, _, err) = lab.run(&["encrypt", "--to", "bob@example.org", "-o", "out.eml", "plain.eml"]);
    assert_eq!(code, 0, "{err}");
    // To the subkey alone, as GnuPG does.
    let sealed = lab.done(&["inspect", "out.eml"]);
    assert!(fs::read_to_string(lab.path("out.eml")).unwrap().contains("BEGIN PGP MESSAGE"), "{sealed}");
    let (_, _, err) = lab.run(&["decrypt", "out.eml"]);
    assert!(err.contains("814FAD04FE9408B2") && !err.contains(&REVOKED[24..]), "{err}");
}

#[test]
fn a_key_on_a_card_is_named() {
    let lab = Lab::new();
    let (code, _, err) = lab.import(&["card-stubs.sec.asc"]);
    assert_eq!(code, 0, "{err}");
    let words = "its secret part is on a smart card, which is not supported";
    assert!(err.contains(words), "{err}");
    let fingerprint = "576A39D884784DA2475452D82576D806335037CD";
    assert!(lab.listed(fingerprint).contains("public"), "{}", lab.listed(fingerprint));
    // By address, by fingerprint, and after it was imported once more.
    for round in 0..2 {
        for who in [["--as", "alice@example.org"], ["--key", fingerprint]] {
            let (code, _, err) = lab.run(&["sign", who[0], who[1], "-o", "out.eml", "plain.eml"]);
            assert_eq!(code, 77, "{round}: {err}");
            assert!(err.contains(words), "{round}: {err}");
        }
        assert_eq!(lab.import(&["card-stubs.sec.asc"]).0, 0);
    }
    // What is encrypted to it.
    lab.done(&["key", "trust", fingerprint, "alice@example.org"]);
    lab.done(&["encrypt", "--to", "alice@example.org", "-o", "sealed.eml", "plain.eml"]);
    let (code, _, err) = lab.run(&["decrypt", "sealed.eml"]);
    assert_eq!(code, 77, "{err}");
    assert!(err.contains(words), "{err}");
    let stubs = testdata("card-stubs.sec.asc");
    let other = Lab::new();
    fs::copy(lab.path("sealed.eml"), other.path("sealed.eml")).unwrap();
    let (code, _, err) = other.run(&["--keys", &stubs, "decrypt", "sealed.eml"]);
    assert!(code == 77 && err.contains("error: key") && err.contains(words), "{err}");
    // Nothing is lost with it.
    lab.done(&["key", "remove", fingerprint]);
}

/// What GnuPG 2.3 and later write to keys that ask for it.
#[test]
fn librepgp_packet_20_is_read() {
    let lab = Lab::new();
    assert_eq!(lab.import(&["bob-of-gnupg-2.4.sec.asc"]).0, 0);
    let alice = testdata("alice.asc");
    for file in ["ocb.eml", "ocb-many-chunks.eml"] {
        let (code, out, err) = lab.run(&["--keys", &alice, "decrypt", &testdata(file)]);
        assert_eq!(code, 0, "{file}: {err}");
        assert!(out.contains("The vault code is 4711."), "{file}: {out}");
        let (code, out, err) = lab.run(&["--keys", &alice, "verify", &testdata(file)]);
        assert!(code == 0 && out.contains("authentic"), "{file}: {out} {err}");
    }
}

/// Every octet of the packet changed, and the packet cut short at every chunk: nothing of it comes out.
#[test]
fn librepgp_packet_20_is_proved_to_its_end() {
    let lab = Lab::new();
    assert_eq!(lab.import(&["bob-of-gnupg-2.4.sec.asc"]).0, 0);
    let text = read("ocb-many-chunks.eml");
    let start = text.find("-----BEGIN").unwrap();
    let lines: Vec<&str> = text[start..].lines().collect();
    let body: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].len() == 64).collect();
    // The session key is in the first lines; the container follows.
    for at in body.iter().skip(6).step_by(7) {
        let changed = if lines[*at].starts_with('A') { "B" } else { "A" };
        let mut other: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        other[*at].replace_range(0..1, changed);
        other.retain(|line| !line.starts_with('='));
        fs::write(lab.path("changed.eml"), format!("{}{}\n", &text[..start], other.join("\n"))).unwrap();
        let (code, out, _) = lab.run(&["decrypt", "changed.eml"]);
        assert!(code >= 64 && out.is_empty(), "line {at}: {out}");
        let mut cut: Vec<&str> = lines.clone();
        cut.retain(|line| !line.starts_with('='));
        cut.drain(*at..cut.len() - 1);
        fs::write(lab.path("cut.eml"), format!("{}{}\n", &text[..start], cut.join("\n"))).unwrap();
        let (code, out, _) = lab.run(&["decrypt", "cut.eml"]);
        assert!(code >= 64 && out.is_empty(), "cut at line {at}: {out}");
    }
}

#[test]
fn no_error_speaks_of_tokens() {
    let lab = Lab::new();
    let files: [(&str, &[u8]); 4] = [
        ("signature.asc", b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n"),
        ("cut.pgp", b"\x99\x01\x0d\x04"),
        ("user-id.pgp", b"\xb4\x03bob"),
        ("zeros.pgp", b"\xc6\x00\xc6\x00"),
    ];
    for (name, octets) in files {
        fs::write(lab.path(name), octets).unwrap();
        let (code, _, err) = lab.run(&["key", "import", name]);
        assert_eq!(code, 65, "{name}: {err}");
        let theirs = ["token", "malformed cert", "malformed packet", "unsupported cert", "eof", "packet sequence"];
        assert!(!theirs.iter().any(|word| err.to_lowercase().contains(word)), "{name}: {err}");
    }
}
