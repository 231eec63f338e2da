//! What OCSP responses and CRLs do to a path: responses of `openssl ocsp` in `testdata/ocsp`.

use std::fs;

use postseal::{
    base::{Budget, Limits, parse_rfc3339},
    crypto::Legacy,
    pki::{Certificate, OcspResponse, Policies, Purpose, Question, Revocation, validate},
};

/// Within the 30 days for which the responses hold.
const NOW: &str = "2026-11-25T00:00:00Z";
/// After them.
const LATER: &str = "2027-02-01T00:00:00Z";
/// Where no response counts.
const NO_RESPONSE: &str = "not known whether it is revoked: there is no CRL of its issuer (RFC 5280, section 6.3.3)";

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/ocsp/{name}.der", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn certificate(name: &str) -> Certificate {
    Certificate::parse(&file(name)).unwrap()
}

/// Judges the certificate `leaf` by the named statements: nothing when its path holds, or else the rule that it breaks.
fn judge(leaf: &str, statements: &[&[u8]], revocation: Revocation, at: &str) -> Option<String> {
    let question = Question {
        at: parse_rfc3339(at).unwrap(),
        anchors: &[certificate("ca")],
        intermediates: &[certificate("delegate")],
        revocations: statements,
        enclosed: &[],
        revocation,
        policies: Policies::default(),
        purpose: Purpose::Any,
        legacy: Legacy::Refuse,
    };
    let judged = validate(&certificate(leaf), &question, &mut Budget::new(Limits::default())).unwrap();
    judged.err().map(|refusal| refusal.rule().to_string())
}

fn hard(leaf: &str, statements: &[&str], at: &str) -> Option<String> {
    let statements: Vec<Vec<u8>> = statements.iter().map(|name| file(name)).collect();
    judge(leaf, &statements.iter().map(Vec::as_slice).collect::<Vec<_>>(), Revocation::Hard, at)
}

#[test]
fn delegated_issuers_are_accepted() {
    for response in [
        "good-by-issuer",
        "good-by-key",
        "good-by-delegate",
        "good-sha256",
        "good-nonce",
        "good-without-certificates",
        "good-by-fallen-delegate",
    ] {
        assert_eq!(hard("good", &[response], NOW), None, "{response}");
    }
}

#[test]
fn other_issuers_are_not_accepted() {
    assert_eq!(hard("good", &[], NOW).as_deref(), Some(NO_RESPONSE));
    assert_eq!(hard("good", &["good-by-impostor"], NOW).as_deref(), Some(NO_RESPONSE));
    // A delegate that the CRL revokes revokes nothing any more.
    assert!(hard("revoked", &["revoked-by-fallen-delegate"], NOW).is_some());
    assert_eq!(hard("revoked", &["revoked-by-fallen-delegate", "fallen.crl"], NOW), None);
}

#[test]
fn a_changed_response_says_nothing() {
    let response = file("good-without-certificates");
    assert_eq!(judge("good", &[&response], Revocation::Hard, NOW), None);
    for at in 0..response.len() {
        let mut changed = response.clone();
        changed[at] ^= 1;
        let judged = judge("good", &[&changed], Revocation::Hard, NOW);
        assert_eq!(judged.as_deref(), Some(NO_RESPONSE), "octet {at}");
    }
    // About another certificate of the same issuer.
    assert_eq!(hard("absent", &["good-by-delegate"], NOW).as_deref(), Some(NO_RESPONSE));
}

#[test]
fn what_is_revoked_stays_revoked_and_what_is_good_does_not_stay_good() {
    let revoked = "revoked on 2026-11-01T00:00:00Z: key compromised (RFC 5280, section 6.1.3 (a)(3))";
    assert_eq!(hard("revoked", &["revoked-by-delegate"], NOW).as_deref(), Some(revoked));
    assert_eq!(hard("revoked", &["revoked-by-delegate"], LATER).as_deref(), Some(revoked));
    let held = "revoked on 2026-11-01T00:00:00Z: on hold (RFC 5280, section 6.1.3 (a)(3))";
    assert_eq!(hard("held", &["held-by-delegate"], NOW).as_deref(), Some(held));
    let was_held = "not known whether it is revoked: it was on hold, and nothing newer says otherwise (RFC 5280, section 6.3.3 (a))";
    assert_eq!(hard("held", &["held-by-delegate"], LATER).as_deref(), Some(was_held));
    assert_eq!(hard("good", &["good-by-delegate"], LATER).as_deref(), Some(NO_RESPONSE));
    assert_eq!(hard("absent", &["unknown"], NOW).as_deref(), Some(NO_RESPONSE));
}

#[test]
fn a_crl_of_another_time_revokes_but_does_not_clear() {
    let revoked = "revoked on 2026-11-01T00:00:00Z: key compromised (RFC 5280, section 6.1.3 (a)(3))";
    assert_eq!(hard("good", &["fallen.crl"], NOW), None);
    let old = "not known whether it is revoked: the CRL is not of this time (RFC 5280, section 6.3.3 (a))";
    assert_eq!(hard("good", &["fallen.crl"], LATER).as_deref(), Some(old));
    for at in [NOW, LATER] {
        assert_eq!(hard("fallen-delegate", &["fallen.crl"], at).as_deref(), Some(revoked));
    }
}

#[test]
fn how_much_must_be_known() {
    let (revoked, crl) = (file("revoked-by-delegate"), file("fallen.crl"));
    assert_eq!(judge("good", &[], Revocation::Soft, NOW), None);
    assert_eq!(judge("good", &[&crl], Revocation::Soft, LATER), None);
    assert!(judge("revoked", &[&revoked], Revocation::Soft, NOW).is_some());
    assert_eq!(judge("revoked", &[&revoked], Revocation::Off, NOW), None);
}

/// A CRL may clear what an OCSP response revokes, or the other way round: the worse counts.
#[test]
fn revoked_by_any_source_is_revoked() {
    let (revoked, crl) = (file("revoked-by-delegate"), file("fallen.crl"));
    assert_eq!(judge("revoked", &[&crl], Revocation::Hard, NOW), None);
    assert!(judge("revoked", &[&crl, &revoked], Revocation::Hard, NOW).is_some());
    assert!(judge("revoked", &[&revoked, &crl], Revocation::Hard, NOW).is_some());
}

#[test]
fn the_nonce_is_there_to_be_compared() {
    assert_eq!(OcspResponse::parse(&file("good-nonce")).unwrap().nonce().map(<[u8]>::len), Some(16));
    assert_eq!(OcspResponse::parse(&file("good-by-key")).unwrap().nonce(), None);
}

#[test]
fn octets_cut_short_are_no_statement() {
    for name in ["good-by-delegate", "fallen.crl"] {
        let octets = file(name);
        postseal::pki::check_statement(&octets).unwrap();
        for end in 0..octets.len() {
            assert!(postseal::pki::check_statement(&octets[..end]).is_err(), "{name} {end}");
        }
    }
}
