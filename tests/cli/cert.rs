//! `postseal cert verify` over `testdata/ocsp`; `tests/conformance/pkits.rs` asks it about other people's certificates.

use std::fs;

use assert_cmd::Command;

use crate::support::requirements::corpus;

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut program = Command::cargo_bin("postseal").unwrap();
    program.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/ocsp"));
    program.arg("--home").arg(home.path().join("none")).args(["--at", "2026-11-25T00:00:00Z", "cert", "verify"]);
    let output = program.args(arguments).output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_path_is_drawn_from_its_anchor() {
    let (code, out, _) = run(&["--anchors", "ca.der", "good.der"]);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().map(|line| line.split(" (").next().unwrap()).collect();
    assert_eq!(lines, ["valid  CN=good", "CN=Test CA", "└─ CN=good", "addresses  good@example.org"]);
}

#[test]
fn one_object_for_programs() {
    let (code, out, _) = run(&["--anchors", "ca.der", "--json", "good.der"]);
    let valid =
        r#"{"valid":true,"why":null,"path":["CN=good","CN=Test CA"],"addresses":["good@example.org"],"policies":[]}"#;
    assert_eq!((code, out.trim_end()), (0, valid));
    let (code, out, _) = run(&["--anchors", "ca.der", "--crls", "revoked-by-delegate.der", "--json", "revoked.der"]);
    let why = r#"certificate \"CN=revoked\": revoked on 2026-11-01T00:00:00Z: key compromised (RFC 5280, section 6.1.3 (a)(3))"#;
    let invalid = format!(r#"{{"valid":false,"why":"{why}","path":[],"addresses":[],"policies":[]}}"#);
    assert_eq!((code, out.trim_end()), (1, invalid.as_str()));
}

#[test]
fn without_an_anchor_nothing_holds() {
    let (code, out, err) = run(&["good.der"]);
    assert_eq!((code, err.starts_with("hint: name a trust anchor with --anchors FILE")), (1, true), "{err}");
    assert!(out.contains("no trust anchor and no certificate here issued it"), "{out}");
}

/// The end-entity certificates of RFC 9216, each under the root of its own kind, and under the other one by way of the cross-certificate.
#[test]
fn the_sample_certificates_of_rfc_9216_hold() {
    let Some(suite) = corpus("rfc9216") else { return };
    let mut files: Vec<String> =
        fs::read_dir(&suite).unwrap().map(|entry| entry.unwrap().path().display().to_string()).collect();
    files.sort();
    let named = |part: &str| files.iter().filter(|file| file.contains(part)).collect::<Vec<_>>();
    let (roots, crosses, leaves) = (named("-root-certificate"), named("-cross-signed"), named("-end-entity"));
    assert_eq!((roots.len(), crosses.len(), leaves.len()), (2, 2, 8));
    for leaf in leaves {
        let mut lengths: Vec<usize> = roots
            .iter()
            .map(|root| {
                let mut arguments = vec!["--json", "--anchors", root, leaf];
                arguments.extend(crosses.iter().flat_map(|cross| ["--intermediates", cross]));
                let (code, out, err) = run(&arguments);
                assert_eq!(code, 0, "{root} {leaf}: {out}{err}");
                serde_json::from_str::<serde_json::Value>(&out).unwrap()["path"].as_array().unwrap().len()
            })
            .collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [2, 3], "{leaf}");
    }
}

#[test]
fn what_must_be_known_of_revocation_is_asked_for() {
    let hard = |crls: &[&str]| run(&[&["--revocation", "hard", "--anchors", "ca.der", "good.der"], crls].concat());
    let (code, out, err) = hard(&[]);
    assert_eq!(
        (code, err.trim_end()),
        (1, "hint: give CRLs or OCSP responses with --crls FILE, or fetch them with --revocation-fetch both")
    );
    assert!(
        out.contains("not known whether it is revoked: there is no CRL of its issuer (RFC 5280, section 6.3.3)"),
        "{out}"
    );
    assert_eq!(hard(&["--crls", "good-by-delegate.der"]).0, 0);
}

#[test]
fn purposes_and_policies() {
    let (code, out, err) = run(&["--anchors", "ca.der", "delegate.der"]);
    assert_eq!((code, err.trim_end()), (1, "hint: --purpose any judges it for whatever use"));
    assert!(out.contains("its extended key usage does not allow mail"), "{out}");
    assert_eq!(run(&["--anchors", "ca.der", "--purpose", "any", "delegate.der"]).0, 0);
    let (code, out, _) = run(&["--anchors", "ca.der", "good.der", "--explicit-policy", "--policy", "2.5.29.32.0"]);
    assert_eq!(code, 1);
    assert!(out.contains("no acceptable policy where one is required"), "{out}");
    let (code, _, err) = run(&["--anchors", "ca.der", "good.der", "--policy", "any"]);
    assert_eq!(code, 64);
    assert!(err.contains("policy \"any\": not an object identifier"), "{err}");
}

#[test]
fn files_that_hold_something_else_are_named() {
    let (code, _, err) = run(&["--crls", "good.der", "good.der"]);
    assert_eq!(code, 65);
    assert!(err.contains("good.der: neither a CRL nor an OCSP response"), "{err}");
    let (code, _, err) = run(&["unknown.der"]);
    assert_eq!(code, 65, "{err}");
    assert_eq!(run(&["no-such-file"]).0, 66);
}

/// An authority has no address, and is named all the same when it is imported.
#[test]
fn an_imported_authority_is_named_by_its_subject() {
    let home = tempfile::tempdir().unwrap();
    let mut program = Command::cargo_bin("postseal").unwrap();
    program.arg("--home").arg(home.path().join("home")).args(["key", "import"]);
    program.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/ocsp/ca.der"));
    let said = String::from_utf8(program.output().unwrap().stdout).unwrap();
    assert!(said.starts_with("added ") && said.ends_with("  CN=Test CA\n"), "{said:?}");
}
