//! One message a published trick (testdata/attack, docs/manual/attacks.md): what `verify --json` says of each, and that `decrypt` gives nothing away.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// What must be said of one file.
struct Case {
    file: &'static str,
    /// Beside Alice's certificate and Bob's secret key.
    keys: &'static [&'static str],
    standing: &'static str,
    /// The first signature's state, `(part)` if it covers no more than that, and why; `-` if no signature is reported.
    signature: &'static str,
    /// The exit code of `verify`; 65 and more come with an error.
    exit: i32,
}

const fn case(file: &'static str, standing: &'static str, signature: &'static str, exit: i32) -> Case {
    Case { file, keys: &[], standing, signature, exit }
}

const fn with(keys: &'static [&'static str], case: Case) -> Case {
    Case { keys, ..case }
}

const CASES: &[Case] = &[
    case("argon2", "unsigned", "-", 65),
    case("around-ciphertext", "unsigned", "valid", 1),
    case("bomb", "unsigned", "-", 65),
    case("certification", "unsigned", "invalid: the signature is malformed", 1),
    case("changed", "unsigned", "invalid: the octets are not those that were signed", 1),
    case("cleartext-after", "unsigned", "valid (part)", 1),
    case("cleartext-before", "unsigned", "valid (part)", 1),
    case("cleartext-header", "unsigned", "-", 65),
    case("cleartext-html", "unsigned", "-", 1),
    case("cleartext-intact", "authentic", "valid", 0),
    case("cleartext-no-blank-line", "unsigned", "-", 65),
    case("cleartext-not-dash-escaped", "unsigned", "-", 65),
    case("covert-content", "unsigned", "-", 1),
    with(&["dsa"], case("dsa", "unsigned", "valid: sha1 is broken", 1)),
    case("efail-direct-exfiltration", "unsigned", "-", 1),
    case("efail-downgrade", "unsigned", "-", 65),
    case("efail-intact", "unsigned", "-", 1),
    case("efail-malleability", "unsigned", "-", 65),
    case("efail-no-mdc", "unsigned", "-", 65),
    case("efail-truncated", "unsigned", "-", 65),
    with(&["expired"], case("expired-key", "unsigned", "invalid: the key had expired when the signature was made", 1)),
    case("expired-signature", "unsigned", "invalid: the signature has expired", 1),
    case("future-signature", "unsigned", "invalid: the signature is dated in the future", 1),
    case("johnny-alternative", "unsigned", "valid", 1),
    case("johnny-attached", "unsigned", "valid", 1),
    case("johnny-beside", "unsigned", "valid", 1),
    case("johnny-comment", "signed", "valid", 1),
    case("johnny-display-name", "signed", "valid", 1),
    case("johnny-intact", "authentic", "valid", 0),
    case("johnny-lone-cr", "signed", "valid", 1),
    with(&["mallory"], case("johnny-other-signer", "signed", "valid", 1)),
    case("johnny-preamble", "authentic", "valid", 0),
    case("johnny-sender", "signed", "valid", 1),
    case("johnny-third-part", "unsigned", "-", 65),
    case("johnny-two-authors", "signed", "valid", 1),
    case("johnny-two-content-types", "signed", "valid", 1),
    case("johnny-two-from-fields", "signed", "valid", 1),
    case("johnny-user-id", "signed", "valid", 1),
    with(&["short-rsa"], case("md5", "unsigned", "unknown: md5 is broken", 1)),
    with(&["revoked"], case("revoked-key", "unsigned", "invalid: the key is revoked: stolen", 1)),
    case("sha1", "unsigned", "valid: sha1 is broken", 1),
    with(&["sha1-bound"], case("sha1-bound", "unsigned", "valid: the certificate's sha1 self-signature is broken", 1)),
    with(&["short-rsa"], case("short-rsa", "signed", "valid: rsa1024 is weak", 1)),
    case("signature-flood", "unsigned", "-", 65),
    case("sigspoof", "unsigned", "-", 1),
    with(&["subkey"], case("subkey", "authentic", "valid", 0)),
    with(
        &["no-back-signature"],
        case("subkey", "unsigned", "invalid: the certificate does not bind the signing key", 1),
    ),
    with(&["unbound-subkey"], case("subkey", "unsigned", "invalid: the certificate does not bind the signing key", 1)),
    case("trailing-plaintext", "unsigned", "-", 65),
    case("two-plaintexts", "unsigned", "-", 65),
];

#[test]
fn every_trick_is_answered() {
    let home = home();
    let mut wrong = Vec::new();
    for case in CASES {
        let name = format!("{} {:?}", case.file, case.keys);
        let output = postseal(home.path(), case, &["verify", "--json"]);
        let Ok(verdict) = serde_json::from_slice::<Value>(&output.stdout) else {
            if output.status.code() != Some(case.exit) || case.exit < 64 || !output.stdout.is_empty() {
                wrong.push(format!("{name}: {output:?}"));
            }
            continue;
        };
        let found = (
            verdict["standing"].as_str().unwrap_or_default(),
            first_signature(&verdict),
            output.status.code().unwrap_or(-1),
        );
        let as_expected = found.0 == case.standing
            && found.2 == case.exit
            && if case.signature.contains(':') {
                found.1.starts_with(case.signature)
            } else {
                found.1.split(':').next() == Some(case.signature)
            };
        if !as_expected {
            wrong.push(format!(
                "{name}: expected {:?}, found {found:?}\n    {verdict}",
                (case.standing, case.signature, case.exit)
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

#[test]
fn every_file_has_its_case() {
    let cases: BTreeSet<&str> = CASES.iter().map(|case| case.file).collect();
    let folder = fs::read_dir(folder()).expect("testdata/attack");
    let files: BTreeSet<String> = folder
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(cases, files.iter().map(String::as_str).collect());
}

/// Nothing of a plaintext that did not pass its check, or that lies errant, leaves the program.
#[test]
fn no_trick_makes_decrypt_speak() {
    let home = home();
    let silent = [
        "argon2",
        "bomb",
        "covert-content",
        "efail-direct-exfiltration",
        "efail-downgrade",
        "efail-malleability",
        "efail-no-mdc",
        "efail-truncated",
    ];
    for file in silent {
        let output = postseal(home.path(), &case(file, "", "", 0), &["decrypt"]);
        assert!(output.stdout.is_empty(), "{file}: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(65), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!String::from_utf8_lossy(&output.stderr).contains("Lunch is at"), "{file}");
    }
    let output = postseal(home.path(), &case("efail-intact", "", "", 0), &["decrypt"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("Lunch is at noon."), "{output:?}");
}

/// A name that imitates another program's voice stays on one line.
#[test]
fn nothing_in_a_message_starts_a_line_of_ours() {
    let output = postseal(home().path(), &case("sigspoof", "", "", 0), &["verify"]);
    let said = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).lines().any(|line| line.starts_with("[GNUPG:]")));
}

/// A home with the impostor's key, without trust.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a throwaway home");
    let pretender = folder().join("keys/pretender.asc");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(home.path().join("home")).args(["key", "import"]).arg(pretender);
    let output = command.output().expect("postseal starts");
    assert!(output.status.success(), "{output:?}");
    home
}

fn postseal(home: &Path, case: &Case, verb: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postseal"));
    command.arg("--home").arg(home.join("home")).args(["--at", "2026-04-01T00:00:00Z"]);
    for key in ["alice", "bob.secret"].iter().chain(case.keys) {
        command.arg("--keys").arg(folder().join(format!("keys/{key}.asc")));
    }
    command.args(verb).arg(folder().join(format!("{}.eml", case.file)));
    command.output().expect("postseal starts")
}

/// `state (part): why` of the first signature in the envelope, or else among the errant layers.
fn first_signature(verdict: &Value) -> String {
    let layers = ["layers", "errant"].iter().filter_map(|place| verdict[place].as_array()).flatten();
    let mut signatures = layers.filter_map(|layer| layer["signatures"].as_array()).flatten();
    let Some(signature) = signatures.next() else { return "-".into() };
    let state = signature["state"].as_str().unwrap_or_default();
    let covers = if signature["covers"] == "part" { " (part)" } else { "" };
    signature["why"].as_str().map_or_else(|| format!("{state}{covers}"), |why| format!("{state}{covers}: {why}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/attack")
}
