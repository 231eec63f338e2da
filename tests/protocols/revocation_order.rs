//! Bad news counts in every order of statements: CRLs, deltas and OCSP responses of `testdata/crl`, from the owner and from the message.

use std::{collections::BTreeMap, fs, sync::LazyLock};

use postseal::{
    base::{Budget, Limits, parse_rfc3339},
    crypto::Legacy,
    pki::{Certificate, Policies, Purpose, Question, Revocation, Rule, supersedes, validate},
};
use proptest::prelude::*;

/// What the folder holds that is no certificate.
const STATEMENTS: [&str; 19] = [
    "list-2",
    "list-3",
    "list-4",
    "list-5",
    "no-number",
    "contradictory",
    "delta-removes",
    "delta-holds",
    "delta-revokes",
    "users",
    "other-key",
    "unknown-extension",
    "forged",
    "lister-1",
    "lister-2",
    "weak",
    "alice-good",
    "carol-good",
    "carol-held",
];
const CERTIFICATES: [&str; 8] = ["ca", "ca-other-key", "lister", "responder", "alice", "bob", "carol", "dave"];

static FILES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let read = |name: &&'static str| {
        let path = format!("{}/testdata/crl/{name}.der", env!("CARGO_MANIFEST_DIR"));
        ((*name).to_owned(), fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
    };
    STATEMENTS.iter().chain(&CERTIFICATES).map(read).collect()
});

fn certificate(name: &str) -> Certificate {
    Certificate::parse(&FILES[name]).unwrap()
}

fn octets<'a>(names: &[&str]) -> Vec<&'a [u8]> {
    names.iter().map(|name| FILES[*name].as_slice()).collect()
}

/// Whether the path of `leaf` holds; the rule that it breaks, where it does not.
fn judge(leaf: &str, owned: &[&str], enclosed: &[&str], revocation: Revocation, at: &str) -> Result<(), Rule> {
    let question = Question {
        at: parse_rfc3339(at).unwrap(),
        anchors: &[certificate("ca")],
        intermediates: &["ca-other-key", "lister", "responder"].map(certificate),
        revocations: &octets(owned),
        enclosed: &octets(enclosed),
        revocation,
        policies: Policies::default(),
        purpose: Purpose::Email,
        legacy: Legacy::Refuse,
    };
    let judged = validate(&certificate(leaf), &question, &mut Budget::new(Limits::default())).unwrap();
    judged.map(drop).map_err(|refusal| refusal.rule().clone())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Good,
    Revoked,
    Held,
    Nothing,
}
use Known::{Good, Held, Nothing, Revoked};

/// What the owner's statements come to, and that it is the same backwards.
fn known(leaf: &str, owned: &[&str], enclosed: &[&str], at: &str) -> Known {
    let there = judge(leaf, owned, enclosed, Revocation::Hard, at);
    let mut backwards = (owned.to_vec(), enclosed.to_vec());
    backwards.0.reverse();
    backwards.1.reverse();
    assert_eq!(judge(leaf, &backwards.0, &backwards.1, Revocation::Hard, at), there, "{leaf} {owned:?} {enclosed:?}");
    let soft = judge(leaf, owned, enclosed, Revocation::Soft, at);
    match there {
        Ok(()) => {
            assert_eq!(soft, Ok(()));
            Good
        }
        Err(Rule::UnknownStatus(_)) => {
            assert_eq!(soft, Ok(()));
            Nothing
        }
        Err(Rule::Revoked { reason, .. }) => {
            assert!(matches!(soft, Err(Rule::Revoked { .. })));
            if reason == "on hold" { Held } else { Revoked }
        }
        Err(rule) => panic!("{rule}"),
    }
}

const NOV30: &str = "2026-11-30T00:00:00Z";
const DEC03: &str = "2026-12-03T12:00:00Z";
const DEC05: &str = "2026-12-05T12:00:00Z";
const DEC08: &str = "2026-12-08T00:00:00Z";
const DEC18: &str = "2026-12-18T00:00:00Z";

#[test]
fn an_older_list_takes_nothing_back_wherever_it_comes_from() {
    for (owned, enclosed) in [
        (&["list-3", "list-4"][..], &[][..]),
        (&["list-4"], &["list-3"]),
        (&["list-3"], &["list-4"]),
        (&[], &["list-3", "list-4"]),
        (&["list-2", "list-3", "list-4", "alice-good"], &["list-2", "list-3", "alice-good"]),
    ] {
        assert_eq!(known("alice", owned, enclosed, NOV30), Revoked, "{owned:?} {enclosed:?}");
        assert_eq!(known("bob", owned, enclosed, NOV30), Held);
        assert_eq!(known("carol", owned, enclosed, NOV30), Good);
    }
    // Nor when both are no longer current, or the one that revokes alone.
    assert_eq!(known("alice", &["list-4", "list-2"], &[], DEC18), Revoked);
    assert_eq!(known("alice", &["list-3", "list-4"], &[], DEC18), Revoked);
    // A list that is no longer current says that the hold may have ended, and not that it has.
    assert_eq!(known("bob", &["list-3", "list-4"], &[], DEC18), Nothing);
}

#[test]
fn a_newer_complete_list_takes_back_what_it_leaves_out_but_not_out_of_a_message() {
    assert_eq!(known("bob", &["list-4", "list-5"], &[], DEC03), Good);
    assert_eq!(known("bob", &["list-4", "list-5"], &[], NOV30), Held, "list 5 is not issued yet");
    assert_eq!(known("bob", &["list-4"], &["list-5"], DEC03), Held, "the message may not say so");
    assert_eq!(known("bob", &["list-5"], &["list-4"], DEC03), Good);
    assert_eq!(known("bob", &[], &["list-4", "list-5"], DEC03), Good);
    assert_eq!(known("bob", &["list-4", "forged"], &[], DEC08), Held, "the issuer did not sign that");
    assert_eq!(known("bob", &["list-4", "unknown-extension"], &[], DEC08), Held, "nobody knows what it leaves out");
    // By thisUpdate where one of them has no number; where number and thisUpdate contradict each other, neither is newer.
    assert_eq!(known("carol", &["list-4", "no-number"], &[], DEC03), Held);
    assert_eq!(known("carol", &["list-5", "no-number"], &[], DEC03), Good);
    assert_eq!(known("carol", &["list-3", "contradictory"], &[], DEC03), Held);
    assert_eq!(known("carol", &["list-4", "contradictory"], &[], DEC03), Good);
}

#[test]
fn the_newest_list_is_the_one_that_must_be_current() {
    assert_eq!(known("carol", &["list-2"], &[], NOV30), Nothing);
    assert_eq!(known("carol", &["list-2", "list-3"], &[], NOV30), Good);
    assert_eq!(
        known("carol", &["list-3", "list-5"], &[], DEC18),
        Nothing,
        "list 5 is over, and list 3 is not the newest"
    );
    assert_eq!(known("carol", &["list-5", "unknown-extension"], &[], DEC08), Nothing);
}

#[test]
fn deltas_add_and_remove_holds_and_nothing_else() {
    assert_eq!(known("bob", &["list-4", "delta-removes"], &[], DEC05), Good);
    assert_eq!(known("bob", &["list-4"], &["delta-removes"], DEC05), Held, "the message may not say so");
    assert_eq!(known("alice", &["list-4", "delta-removes"], &[], DEC05), Revoked, "only a hold can be removed");
    assert_eq!(known("carol", &["list-5", "delta-holds"], &[], DEC05), Held);
    assert_eq!(known("carol", &["delta-holds"], &[], DEC05), Held, "also without the list that it changes");
    assert_eq!(known("carol", &["list-5"], &["delta-holds"], DEC05), Held);
    assert_eq!(known("carol", &["list-5", "delta-holds", "delta-revokes"], &[], DEC05), Revoked);
    assert_eq!(known("carol", &["list-5", "delta-removes", "delta-holds"], &[], DEC05), Held);
}

#[test]
fn no_other_series_and_no_response_takes_anything_back() {
    assert_eq!(known("bob", &["list-5", "users"], &[], DEC03), Held, "of another scope");
    assert_eq!(known("bob", &["list-5", "other-key"], &[], DEC03), Held, "by another key of the issuer");
    assert_eq!(known("alice", &["list-5", "alice-good"], &[], DEC03), Revoked);
    assert_eq!(known("alice", &["alice-good"], &[], DEC03), Good);
    assert_eq!(known("carol", &["list-3", "carol-held"], &[], NOV30), Held);
    // After the response that has it on hold, only what is newer shows that it is good.
    assert_eq!(known("carol", &["list-3", "carol-held", "carol-good"], &[], DEC03), Nothing);
    assert_eq!(known("carol", &["list-5", "carol-held"], &[], DEC03), Good);
    assert_eq!(known("dave", &["lister-1", "list-3"], &[], NOV30), Good);
    assert_eq!(known("dave", &["lister-2", "lister-1", "list-4"], &[], NOV30), Revoked);
    assert_eq!(known("dave", &["lister-1", "list-3"], &["lister-2"], NOV30), Revoked);
    // Nothing current is known of the Lister's own certificate. Its lists still revoke, but clear no certificate.
    assert_eq!(known("dave", &["lister-2"], &[], NOV30), Revoked);
    assert_eq!(known("dave", &["lister-1"], &[], NOV30), Nothing);
    assert_eq!(known("dave", &["lister-2", "list-3"], &["unknown-extension"], DEC08), Revoked);
}

#[test]
fn a_weak_signature_revokes_but_does_not_clear() {
    assert_eq!(known("carol", &["weak"], &[], NOV30), Revoked);
    assert_eq!(known("carol", &["weak", "list-4"], &[], NOV30), Revoked);
    assert_eq!(known("bob", &["weak"], &[], NOV30), Nothing);
    assert_eq!(known("bob", &["weak", "list-4"], &[], NOV30), Held, "though it is newer");
}

/// The owner may believe a certificate to which no path leads. Its issuer takes it back all the same.
#[test]
fn without_a_path_it_is_revoked_all_the_same() {
    let judged = |anchors: &[Certificate], intermediates: &[Certificate], purpose| {
        let question = Question {
            at: parse_rfc3339(NOV30).unwrap(),
            anchors,
            intermediates,
            revocations: &octets(&["list-3", "list-4"]),
            enclosed: &[],
            revocation: Revocation::Soft,
            policies: Policies::default(),
            purpose,
            legacy: Legacy::Refuse,
        };
        validate(&certificate("alice"), &question, &mut Budget::new(Limits::default()))
            .unwrap()
            .unwrap_err()
            .rule()
            .clone()
    };
    let ca = [certificate("ca")];
    assert!(matches!(judged(&ca, &[], Purpose::Email), Rule::Revoked { .. }));
    assert!(matches!(judged(&[], &ca, Purpose::Email), Rule::Revoked { .. }), "no anchor");
    assert_eq!(judged(&[], &[], Purpose::Email), Rule::NoIssuer);
}

#[test]
fn what_supersedes_what() {
    let at = |time| parse_rfc3339(time).unwrap();
    let by = |newer, older, issuers: &[Certificate], time| {
        supersedes(&FILES[newer], &FILES[older], issuers, at(time), &mut Budget::new(Limits::default())).unwrap()
    };
    let ca = [certificate("ca")];
    assert!(by("list-4", "list-3", &ca, NOV30));
    assert!(by("list-5", "weak", &ca, DEC03));
    assert!(by("list-5", "list-4", &[certificate("lister"), certificate("ca")], DEC03));
    for (newer, older, why) in [
        ("list-3", "list-4", "older"),
        ("list-4", "list-4", "the same"),
        ("list-4", "users", "another scope"),
        ("list-5", "other-key", "another key"),
        ("forged", "list-4", "forged"),
        ("unknown-extension", "list-4", "not understood"),
        ("delta-removes", "list-4", "a delta"),
        ("weak", "list-3", "weak"),
        ("list-4", "contradictory", "contradictory"),
        ("lister-2", "list-3", "another issuer"),
        ("carol-good", "list-3", "no list"),
    ] {
        if why != "contradictory" {
            assert!(!by(newer, older, &ca, DEC08), "{why}");
        }
    }
    assert!(!by("list-3", "contradictory", &ca, DEC08) && !by("contradictory", "list-3", &ca, DEC08));
    assert!(!by("list-5", "list-4", &ca, NOV30), "not issued yet");
    assert!(!by("list-5", "list-4", &[], DEC03), "nobody knows who signed them");
    assert!(!by("list-5", "list-4", &[certificate("lister"), certificate("ca-other-key")], DEC03));
}

fn statements() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(STATEMENTS.to_vec(), 0..=STATEMENTS.len()).prop_shuffle()
}

fn moment() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "2026-11-20T00:00:00Z",
        NOV30,
        "2026-12-01T12:00:00Z",
        DEC03,
        DEC05,
        DEC08,
        "2026-12-13T00:00:00Z",
        DEC18,
        "2027-01-01T00:00:00Z",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The same answer, and the same reason for it, in every order.
    #[test]
    fn order_does_not_matter(
        (owned, again) in statements().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        (enclosed, once_more) in statements().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        leaf in proptest::sample::select(vec!["alice", "bob", "carol", "dave"]),
        at in moment(),
    ) {
        for revocation in [Revocation::Hard, Revocation::Soft] {
            let one = judge(leaf, &owned, &enclosed, revocation, at);
            prop_assert_eq!(judge(leaf, &again, &once_more, revocation, at), one);
        }
    }

    /// Whatever a message encloses, what the owner's own statements revoke stays revoked.
    #[test]
    fn a_message_takes_nothing_back(
        owned in statements(),
        enclosed in statements(),
        leaf in proptest::sample::select(vec!["alice", "bob", "carol", "dave"]),
        at in moment(),
    ) {
        for revocation in [Revocation::Hard, Revocation::Soft] {
            if let Err(Rule::Revoked { .. }) = judge(leaf, &owned, &[], revocation, at) {
                let judged = judge(leaf, &owned, &enclosed, revocation, at);
                prop_assert!(matches!(judged, Err(Rule::Revoked { .. })), "{:?}", judged);
            }
        }
    }

    /// Once a list revokes Alice for good, no statement of the folder makes her good again: no newer list leaves her out, but the one that
    /// cannot be understood and those that are forged or weak.
    #[test]
    fn revoked_for_good_is_revoked_among_any_others(others in statements(), at in moment(), place in any::<prop::sample::Index>()) {
        let mut owned = others;
        owned.retain(|name| *name != "list-4");
        owned.insert(place.index(owned.len() + 1), "list-4");
        let judged = judge("alice", &owned, &[], Revocation::Soft, at);
        // Before she was revoked, on 27 November, nothing says so.
        prop_assert_eq!(judged.is_err(), at > "2026-11-27");
    }
}
