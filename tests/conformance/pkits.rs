//! NIST's Public Key Interoperability Test Suite: its 224 paths, judged by the library, by the program, and in the messages they came in.
//!
//! The verdicts are those of the suite's manifest. The suite's RSA keys and digests are strong; three of its rows are made with DSA
//! and SHA-1, which count only where legacy algorithms are admitted.

mod row;

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use assert_cmd::Command;
use postseal::{
    base::{Budget, FixedClock, Limits, SystemRandom, parse_rfc3339},
    crypto::Legacy,
    engine::Engine,
    keys::{Binding, Memory, Passphrases},
    mail::Message,
    pki::{Certificate, Purpose, Question, validate},
    protocol::{
        Context,
        smime::{keyfile, record::record, revocation_files},
    },
    verdict::{LayerKind, State, Why},
};
use row::{Row, rows};

use crate::support::requirements::corpus;

/// Within the years 2010 to 2030 that the suite is made for.
const NOW: &str = "2026-11-23T00:00:00Z";

/// What all rows share.
struct Shared {
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    statements: Vec<Arc<[u8]>>,
    now: SystemTime,
}

impl Shared {
    fn read(suite: &Path, row: &Row) -> Self {
        let octets = |name: &str| fs::read(suite.join(name)).unwrap();
        Shared {
            anchors: certificates(&octets(&row.trust)),
            intermediates: certificates(&octets(&row.extra_certs)),
            statements: revocation_files::read(&octets(&row.crls), &row.crls).unwrap(),
            now: parse_rfc3339(NOW).unwrap(),
        }
    }

    /// Accepted, or why not.
    fn judge(&self, leaf: &Certificate, row: &Row, legacy: Legacy) -> Result<(), String> {
        let revocations: Vec<&[u8]> = self.statements.iter().map(AsRef::as_ref).collect();
        let question = Question {
            at: self.now,
            anchors: &self.anchors,
            intermediates: &self.intermediates,
            revocations: &revocations,
            enclosed: &[],
            revocation: row.revocation(),
            policies: row.policies(),
            purpose: Purpose::Email,
            legacy,
        };
        let judged = validate(leaf, &question, &mut Budget::new(Limits::default())).unwrap();
        judged.map(drop).map_err(|refusal| refusal.to_string())
    }
}

fn certificates(bundle: &[u8]) -> Vec<Certificate> {
    let file = keyfile::read(&[("bundle", bundle)], &Passphrases::new(Vec::new()), &Limits::default(), &Memory::new());
    file.unwrap().found.iter().map(|one| Certificate::parse(one.record.bytes()).unwrap()).collect()
}

/// Compares what became of every row with the manifest, and says of each that differs what the suite's document says.
fn compare(judge: impl Fn(&Row) -> Result<(), String>, rows: &[Row]) {
    let differs = |row: &&Row| judge(row).is_ok() != row.accepts();
    let wrong: Vec<String> = rows
        .iter()
        .filter(differs)
        .map(|row| format!("{}: {:?}, but {}: {}", row.id, judge(row), row.expect.path, row.expected_text))
        .collect();
    assert_eq!(rows.len(), 224);
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn the_library_agrees_on_every_path() {
    let Some(suite) = corpus("pkits") else { return };
    let rows = rows(&suite);
    let shared = Shared::read(&suite, &rows[0]);
    compare(|row| shared.judge(&row.leaf(&suite), row, Legacy::Admit), &rows);
}

/// Where the suite says what is known of revocation, that is the reason given.
#[test]
fn revoked_differs_from_unknown() {
    let Some(suite) = corpus("pkits") else { return };
    let rows = rows(&suite);
    let shared = Shared::read(&suite, &rows[0]);
    let mut told = 0;
    for row in &rows {
        let revoked = row.expected_text.contains("has been revoked") || row.expected_text.contains("is on hold");
        let unknown = row.expected_text.contains("can not be determined");
        if revoked || unknown {
            told += 1;
            let why = shared.judge(&row.leaf(&suite), row, Legacy::Admit).unwrap_err();
            assert_eq!(why.contains(": revoked on "), revoked, "{}: {why}", row.id);
            assert_eq!(why.contains(": not known whether it is revoked: "), unknown, "{}: {why}", row.id);
        }
    }
    assert_eq!(told, 38, "rows that say so");
}

#[test]
fn without_legacy_algorithms_the_rows_with_dsa_fall_and_no_others() {
    let Some(suite) = corpus("pkits") else { return };
    let rows = rows(&suite);
    let shared = Shared::read(&suite, &rows[0]);
    for row in &rows {
        let found = shared.judge(&row.leaf(&suite), row, Legacy::Refuse);
        assert_eq!(found.is_ok(), row.accepts() && !row.is_weak(), "{}: {found:?}", row.id);
        if row.accepts() && row.is_weak() {
            assert!(found.as_ref().is_err_and(|why| why.contains("dsa1024-sha1")), "{}: {found:?}", row.id);
        }
    }
}

#[test]
fn cert_verify_agrees_on_every_path() {
    let Some(suite) = corpus("pkits") else { return };
    let folder = tempfile::tempdir().unwrap();
    let leaf = folder.path().join("leaf.der");
    let run = |row: &Row| {
        fs::write(&leaf, row.leaf(&suite).der()).unwrap();
        let mut program = Command::cargo_bin("postseal").unwrap();
        program.args(["--legacy", "--revocation", "hard", "--at", NOW, "--home"]).arg(folder.path().join("home"));
        program.arg("--anchors").arg(suite.join(&row.trust)).arg("--crls").arg(suite.join(&row.crls));
        program.args(["cert", "verify", "--json", "--intermediates"]).arg(suite.join(&row.extra_certs)).arg(&leaf);
        let output = program.output().unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}: {}", row.id, String::from_utf8_lossy(&output.stderr)));
        let valid = report["valid"].as_bool().unwrap();
        assert_eq!(output.status.code(), Some(if valid { 0 } else { 1 }), "{}", row.id);
        assert_eq!(report["path"].as_array().unwrap().is_empty(), !valid, "{}", row.id);
        if valid { Ok(()) } else { Err(report["why"].as_str().unwrap().to_owned()) }
    };
    compare(run, &rows(&suite));
}

#[test]
fn the_messages_agree_on_every_path_and_every_signature_is_good() {
    let Some(suite) = corpus("pkits") else { return };
    let rows = rows(&suite);
    let shared = Shared::read(&suite, &rows[0]);
    let mut keys = Memory::new();
    for anchor in &shared.anchors {
        let mut record = record(anchor);
        record.bind(Binding::Anchor);
        keys.add(record);
    }
    shared.intermediates.iter().for_each(|one| keys.add(record(one)));
    shared.statements.iter().for_each(|der| keys.add_revocation(Arc::clone(der)));
    let clock = FixedClock(shared.now);
    let open = |row: &Row| {
        assert_eq!(row.expect.signature, "good");
        let context = Context {
            keys: &keys,
            clock: &clock,
            random: &SystemRandom,
            legacy: Legacy::Admit,
            revocation: row.revocation(),
        };
        let octets = fs::read(suite.join(&row.file)).unwrap();
        let message = Message::parse(octets, &mut Budget::new(Limits::default())).unwrap();
        let opening = Engine::new(context, Limits::default()).open(message).unwrap();
        let [layer] = opening.verdict().layers() else { panic!("{}: {:?}", row.id, opening.verdict().layers()) };
        let LayerKind::Signed { signatures } = &layer.kind else { panic!("{}: {layer:?}", row.id) };
        let [signature] = signatures.as_slice() else { panic!("{}: {layer:?}", row.id) };
        match (&signature.state, &signature.reservation) {
            (State::Valid(_), Some(Why::Path(why))) | (State::Invalid(Why::Path(why)), _) => Err(why.clone()),
            (State::Valid(_), None | Some(Why::BrokenAlgorithm(_) | Why::WeakAlgorithm(_))) => Ok(()),
            // The octets are those that were signed, but the signer's certificate is no good by itself.
            (State::Invalid(why @ (Why::CertificateExpired | Why::CertificateNotYetValid | Why::KeyRevoked(_))), _) => {
                Err(why.to_string())
            }
            other => panic!("{}: {other:?}", row.id),
        }
    };
    compare(open, &rows);
}
