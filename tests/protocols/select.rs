//! Which key is taken for an address: one table for the three protocols, through the program. The keys are made by gpg and openssl.

mod people;

use std::path::Path;

use people::{Candidate, Fixture, Format, Person, State, Tie, Verb};

use State::{Expired, Good, Later, Revoked, SigningOnly};
use Tie::{Authority, Claim, Owner};

/// What the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It takes the candidate with this place in the row, without a word.
    Takes(usize),
    /// It takes it with a warning that it is not trusted.
    Warns(usize),
    /// It refuses, with one of these reasons (between them `|`).
    Refuses(&'static str),
}

use Outcome::{Refuses, Takes, Warns};

/// What OpenPGP and X.509 say of a key that is for signing alone.
const USAGE: &str = "no encryption subkey|is not for encrypting mail (key usage)";

/// Candidates for one address; what encrypting to it does, and what signing as it does. All secret keys are here.
const TABLE: &[(&[Candidate], Outcome, Outcome)] = &[
    // Only claims: one is enough, with a warning.
    (&[Candidate(Claim, Good)], Warns(0), Takes(0)),
    (&[Candidate(Claim, Good), Candidate(Claim, Expired)], Warns(0), Takes(0)),
    (&[Candidate(Claim, Good), Candidate(Claim, SigningOnly)], Warns(0), Takes(1)),
    (&[Candidate(Claim, Expired)], Refuses("expired on 2026-01-"), Refuses("expired on 2026-01-")),
    (&[Candidate(Claim, Later)], Refuses("not valid before 2026-09-01"), Refuses("not valid before 2026-09-01")),
    // Several owner-bound ones: what can be used.
    (&[Candidate(Owner, Good), Candidate(Owner, Expired)], Takes(0), Takes(0)),
    (&[Candidate(Owner, Good), Candidate(Owner, Later)], Takes(0), Takes(0)),
    (&[Candidate(Owner, Good), Candidate(Owner, Revoked)], Takes(0), Takes(0)),
    (&[Candidate(Owner, Expired), Candidate(Owner, Revoked)], Refuses("revoked"), Refuses("revoked")),
    // A trusted one that can be used, and a stranger's.
    (&[Candidate(Owner, Good), Candidate(Claim, Good)], Takes(0), Takes(0)),
    (&[Candidate(Authority, Good), Candidate(Claim, Good)], Takes(0), Takes(0)),
    (&[Candidate(Owner, Good), Candidate(Authority, Good)], Takes(0), Takes(0)),
    // A trusted one that cannot be used, and a stranger's that could.
    (
        &[Candidate(Owner, Expired), Candidate(Claim, Good)],
        Refuses("expired on 2026-01-"),
        Refuses("expired on 2026-01-"),
    ),
    (&[Candidate(Owner, Revoked), Candidate(Claim, Good)], Refuses("revoked"), Refuses("revoked")),
    (&[Candidate(Owner, Later), Candidate(Claim, Good)], Refuses("not valid before"), Refuses("not valid before")),
    (&[Candidate(Owner, SigningOnly), Candidate(Claim, Good)], Refuses(USAGE), Takes(0)),
    (&[Candidate(Authority, Expired), Candidate(Claim, Good)], Refuses("expired on"), Refuses("expired on")),
    (&[Candidate(Authority, Revoked), Candidate(Claim, Good)], Refuses("revoked on"), Refuses("revoked on")),
    (&[Candidate(Authority, Later), Candidate(Claim, Good)], Refuses("not valid before"), Refuses("not valid before")),
    (&[Candidate(Authority, SigningOnly), Candidate(Claim, Good)], Refuses(USAGE), Takes(0)),
    // The owner's word is not replaced by an authority's.
    (&[Candidate(Owner, Expired), Candidate(Authority, Good)], Refuses("expired on"), Refuses("expired on")),
    (&[Candidate(Owner, Revoked), Candidate(Authority, Good)], Refuses("revoked"), Refuses("revoked")),
    // A renewed certificate of the same authority.
    (&[Candidate(Authority, Expired), Candidate(Authority, Good)], Takes(1), Takes(1)),
    (&[Candidate(Authority, Revoked), Candidate(Authority, Good)], Takes(1), Takes(1)),
];

fn table(format: Format) {
    let Some(fixture) = Fixture::new(format) else { return };
    let (mut rows, mut wrong) = (0, Vec::new());
    for (candidates, encrypt, sign) in TABLE {
        let Some(people) = fixture.people(candidates) else { continue };
        rows += 1;
        for (verb, expected) in [(Verb::Encrypt, encrypt), (Verb::Sign, sign)] {
            let found = outcome(&fixture, &people, verb, *expected);
            if found.as_ref() != Ok(expected) {
                wrong.push(format!("{verb:?} {candidates:?}: {found:?} instead of {expected:?}"));
            }
        }
    }
    assert!(rows >= 14, "{format:?}: only {rows} rows");
    assert!(wrong.is_empty(), "{format:?}:\n{}", wrong.join("\n"));
}

/// What the program does with these people in a new home. A refusal is the expected one only if its text is; an error is any other end.
fn outcome(fixture: &Fixture, people: &[Person], verb: Verb, expected: Outcome) -> Result<Outcome, String> {
    let home = fixture.home(people);
    let done = home.run(verb);
    match (done.code, done.output) {
        (0, Some(file)) => {
            let warned = done.stderr.contains("is not trusted");
            let place = taken(fixture, people, verb, &file);
            Ok(if warned { Warns(place) } else { Takes(place) })
        }
        (77, None) => match expected {
            Refuses(why) if why.split('|').any(|why| done.stderr.contains(why)) => Ok(expected),
            _ => Err(done.stderr),
        },
        (code, _) => Err(format!("exit code {code}: {}", done.stderr)),
    }
}

/// The owner of the key used, found by opening the message or verifying the signature with each person's key.
fn taken(fixture: &Fixture, people: &[Person], verb: Verb, file: &Path) -> usize {
    let places: Vec<usize> =
        (0..).zip(people).filter(|(_, person)| fixture.fits(person, verb, file)).map(|(place, _)| place).collect();
    assert_eq!(places.len(), 1, "{verb:?} {people:?}: {places:?}");
    places[0]
}

#[test]
fn openpgp() {
    table(Format::Pgp);
}

#[test]
fn smime() {
    table(Format::Smime);
}

#[test]
fn pem() {
    table(Format::Pem);
}
