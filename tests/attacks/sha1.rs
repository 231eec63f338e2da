//! SHA-1 in signatures: it counts for nothing without `--legacy`, and with it two texts of one digest are found out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::requirements::present;

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Lab {
        Lab(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Exit code and standard output.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
        command.arg("--home").arg(self.path("home")).args(arguments).current_dir(self.0.path());
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/pgp").join(name).to_string_lossy().into_owned()
}

/// The published collision of Stevens and others 2017: Bob signed one of the two files, by SHA-1, in 2026.
#[test]
fn sha1_counts_for_nothing_and_a_collision_for_less() {
    let lab = Lab::new();
    let bob = testdata("bob-of-2026.pgp");
    let run = |legacy: &[&str], file: &str| {
        let message = testdata(&format!("sha1-{file}.eml"));
        let mut arguments = vec!["--at", "2026-06-30T00:00:00Z", "--keys", &bob];
        arguments.extend(legacy);
        arguments.extend(["verify", "--require", "signed", &message]);
        lab.run(&arguments)
    };
    let (code, out) = run(&[], "recent-sha1");
    assert_eq!(code, 1);
    assert!(out.contains("unsigned") && out.contains("sha1 is broken"), "{out}");
    assert_eq!(run(&["--legacy"], "recent-sha1").0, 0);
    for file in ["signed-by-bob", "never-signed"] {
        for legacy in [&[][..], &["--legacy"]] {
            let (code, out) = run(legacy, file);
            assert_eq!(code, 1, "{file} {legacy:?}: {out}");
            assert!(out.contains("invalid: the octets were made to collide with others under sha1"), "{file}: {out}");
        }
    }
}

/// The same two files within S/MIME: openssl signs the one, and the signature fits the other.
#[test]
fn a_collision_in_smime_is_found_out() {
    if !present(&["openssl"]) {
        return;
    }
    let lab = Lab::new();
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        let output = command.args(arguments.split(' ')).current_dir(lab.0.path()).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=Bob \
         -addext subjectAltName=email:bob@example.org -addext basicConstraints=critical,CA:false",
    );
    for (file, legacy, expected) in [
        ("shattered-1.bin", true, "invalid: the octets were made to collide with others under sha1"),
        ("shattered-2.bin", true, "invalid: the octets were made to collide with others under sha1"),
        ("shattered-1.bin", false, "invalid: the octets were made to collide with others under sha1"),
        ("plain", true, "valid"),
        ("plain", false, "sha1 is broken"),
    ] {
        match file {
            "plain" => fs::write(lab.path("content"), "Content-Type: text/plain\r\n\r\nhello\r\n").unwrap(),
            file => drop(fs::copy(testdata(file), lab.path("content")).unwrap()),
        }
        openssl(
            "cms -sign -md sha1 -binary -nodetach -in content -signer cert.pem -inkey key.pem -outform SMIME -out signed.eml",
        );
        let mut arguments = vec!["--keys", "cert.pem"];
        arguments.extend(legacy.then_some("--legacy"));
        arguments.extend(["verify", "signed.eml"]);
        let (_, out) = lab.run(&arguments);
        assert!(out.contains(expected), "{file} {legacy}: {out}");
        assert_eq!(out.contains("unsigned"), file != "plain" || !legacy, "{file} {legacy}: {out}");
    }
}
