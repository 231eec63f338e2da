//! Tests of the selection of keys.

use std::time::Duration;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::{
    base::Error,
    keys::{Binding, ProtocolName},
};

/// A candidate without a protocol.
#[derive(Clone, Debug)]
struct Fake {
    copies: Copies,
    made: Option<SystemTime>,
    authority: Authority,
    unfit: Option<Unfit>,
}

impl Candidate<()> for Fake {
    fn copies(&self) -> &Copies {
        &self.copies
    }

    fn made(&self) -> Option<SystemTime> {
        self.made
    }

    fn authority(&self, (): &mut ()) -> Result<Authority> {
        Ok(self.authority.clone())
    }
}

/// What a test says of a candidate: its fingerprint is `name` eight times.
#[derive(Clone, Debug)]
struct Draft {
    binding: Option<Binding>,
    authority: Authority,
    unfit: Option<Unfit>,
    year: Option<u32>,
    secret: bool,
}

impl Draft {
    fn named(self, name: u8) -> Fake {
        let fingerprint = Handle::from_octets(&[name; 8]);
        let secret = self.secret.then(|| fingerprint.clone());
        let record = Record::new(ProtocolName::Smime, fingerprint, Vec::new(), secret)
            .with_claimed([bob()])
            .with_bindings(self.binding);
        Fake {
            copies: Copies::grouped(vec![Arc::new(record)]).remove(0),
            made: self.year.map(|year| SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(year))),
            authority: self.authority,
            unfit: self.unfit,
        }
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn bob() -> Address {
    address("bob@example.org")
}

fn claim(year: u32) -> Draft {
    Draft { binding: None, authority: Authority::Silent(None), unfit: None, year: Some(year), secret: true }
}

fn certified(year: u32) -> Draft {
    Draft { authority: Authority::Ties(vec![bob()]), ..claim(year) }
}

fn owned(year: u32) -> Draft {
    Draft { binding: Some(Binding::Address(bob())), ..claim(year) }
}

fn expired(draft: Draft) -> Draft {
    Draft { unfit: Some(Unfit::Expired("expired".into())), ..draft }
}

fn unfit(draft: Draft) -> Draft {
    Draft { unfit: Some(Unfit::Otherwise("is unfit".into())), ..draft }
}

fn revoked(draft: Draft) -> Draft {
    Draft { authority: Authority::Revoked("is revoked".into()), ..draft }
}

/// The fingerprint's first octet and whether there is a warning; or the kind of the error and its text.
fn answer(role: Role, candidates: &[Fake]) -> Result<(u8, bool), (Kind, String)> {
    let words = Words { noun: "key", kind: "", signing: KeyForm::OpenPgp };
    let (bob, serve) = (bob(), |candidate: &Fake| Ok(candidate.unfit.clone().map_or(Ok(()), Err).into()));
    let wanted = Wanted { address: &bob, role, words };
    match choose(wanted, candidates, &mut (), serve).unwrap().map_err(Error::from) {
        Ok(chosen) => {
            let name =
                u8::from_str_radix(chosen.candidate.copies.fingerprint().as_str().get(..2).unwrap(), 16).unwrap();
            Ok((name, chosen.warning.is_some()))
        }
        Err(error) => Err((error.kind(), error.to_string())),
    }
}

fn named(drafts: Vec<Draft>) -> Vec<Fake> {
    (0..).zip(drafts).map(|(name, draft)| draft.named(name)).collect()
}

#[test]
fn the_rule() {
    let warned = |name: u8| Ok((name, true));
    let taken = |name: u8| Ok((name, false));
    let refused = |kind: Kind| Err(kind);
    let unknown = |draft: Draft| Draft { authority: Authority::Unknown("is not known".into()), ..draft };
    let other = |draft: Draft| Draft { authority: Authority::Ties(vec![address("eve@example.org")]), ..draft };
    let user_ids = |draft: Draft| Draft { binding: Some(Binding::UserIds), ..draft };
    let anchor = |draft: Draft| Draft { binding: Some(Binding::Anchor), ..draft };
    let found = |draft: Draft, source| Draft { binding: Some(Binding::Found { address: bob(), source }), ..draft };
    let domain = |draft| found(draft, Source::Domain);
    let for_eve = |draft: Draft| Draft { binding: Some(Binding::Address(address("eve@example.org"))), ..draft };
    let public = |draft: Draft| Draft { secret: false, ..draft };
    for (drafts, encrypt, sign) in [
        (vec![], refused(Kind::NoKey), refused(Kind::NoKey)),
        // One tie.
        (vec![claim(1)], warned(0), taken(0)),
        (vec![claim(1), claim(2)], refused(Kind::NoKey), taken(1)),
        (vec![claim(1), expired(claim(2))], warned(0), taken(0)),
        (vec![expired(claim(1))], refused(Kind::KeyExpired), refused(Kind::KeyExpired)),
        (vec![certified(1), certified(2)], taken(1), taken(1)),
        (vec![certified(1), expired(certified(2))], taken(0), taken(0)),
        (vec![certified(1), revoked(certified(2))], taken(0), taken(0)),
        (vec![owned(1), owned(2)], taken(1), taken(1)),
        (vec![owned(1), unfit(owned(2))], taken(0), taken(0)),
        (vec![unfit(owned(1)), expired(owned(2))], refused(Kind::NoKey), refused(Kind::NoKey)),
        // A better one is taken, however old.
        (vec![claim(9), certified(8), owned(1)], taken(2), taken(2)),
        (vec![claim(9), certified(1)], taken(1), taken(1)),
        // And if it cannot be used, none is.
        (vec![claim(9), expired(certified(1))], refused(Kind::KeyExpired), refused(Kind::KeyExpired)),
        (vec![claim(9), expired(owned(1))], refused(Kind::KeyExpired), refused(Kind::KeyExpired)),
        (vec![claim(9), revoked(claim(1))], refused(Kind::NoKey), refused(Kind::NoKey)),
        (vec![claim(9), revoked(owned(1))], refused(Kind::NoKey), refused(Kind::NoKey)),
        (vec![certified(9), expired(owned(1))], refused(Kind::KeyExpired), refused(Kind::KeyExpired)),
        (vec![certified(9), revoked(owned(1))], refused(Kind::NoKey), refused(Kind::NoKey)),
        (vec![claim(9), unfit(owned(1))], refused(Kind::NoKey), refused(Kind::NoKey)),
        (vec![claim(9), unfit(user_ids(claim(1)))], refused(Kind::NoKey), refused(Kind::NoKey)),
        // Where revocation has to be known, the owner's word is enough.
        (vec![claim(9), unknown(claim(1))], refused(Kind::NoKey), refused(Kind::NoKey)),
        (vec![claim(9), unknown(owned(1))], taken(1), taken(1)),
        // A path for another address does not count.
        (vec![other(claim(1))], warned(0), taken(0)),
        (vec![other(claim(1)), claim(2)], refused(Kind::NoKey), taken(1)),
        (vec![anchor(claim(1)), certified(1)], taken(1), taken(1)),
        (vec![for_eve(claim(1)), owned(1)], taken(1), taken(1)),
        // What a key source found is better than a claim. It is not trusted, whatever the key source says.
        (vec![claim(9), domain(claim(1))], warned(1), taken(1)),
        (vec![domain(claim(1)), domain(claim(2))], refused(Kind::NoKey), taken(1)),
        (vec![domain(claim(1)), found(claim(2), Source::Dnssec)], warned(1), taken(1)),
        (vec![claim(9), expired(domain(claim(1)))], refused(Kind::KeyExpired), refused(Kind::KeyExpired)),
        (vec![found(claim(9), Source::Owner), certified(1)], taken(1), taken(1)),
        // To sign it takes the secret part.
        (vec![claim(1), expired(public(owned(1)))], refused(Kind::KeyExpired), taken(0)),
        (vec![public(owned(1))], taken(0), refused(Kind::NoKey)),
    ] {
        let candidates = named(drafts);
        for (role, expected) in [(Role::Recipient, encrypt), (Role::Signer, sign)] {
            let found = answer(role, &candidates).map_err(|(kind, _)| kind);
            assert_eq!(found, expected, "{role:?} {candidates:#?}");
        }
    }
}

#[test]
fn the_refusal_names_what_was_trusted_and_nothing_else() {
    let candidates = named(vec![claim(9), expired(owned(1)), revoked(owned(2))]);
    let (kind, text) = answer(Role::Recipient, &candidates).unwrap_err();
    assert_eq!(kind, Kind::NoKey);
    assert_eq!(
        text,
        "bob@example.org: no usable encryption key: 0202020202020202 is revoked; 0101010101010101 expired"
    );
    let (_, text) = answer(Role::Recipient, &named(vec![claim(2), claim(1)])).unwrap_err();
    let expected = "bob@example.org: none of several keys is trusted: 0000000000000000, 0101010101010101";
    assert_eq!(text, expected);
}

fn draft() -> impl Strategy<Value = Draft> {
    let bindings = vec![
        None,
        Some(Binding::Anchor),
        Some(Binding::UserIds),
        Some(Binding::Found { address: bob(), source: Source::Domain }),
        Some(Binding::Address(bob())),
        Some(Binding::Address(address("eve@example.org"))),
    ];
    let authorities = vec![
        Authority::Silent(None),
        Authority::Silent(Some("no path".into())),
        Authority::Ties(vec![bob()]),
        Authority::Ties(vec![address("eve@example.org")]),
        Authority::Unknown("is not known".into()),
        Authority::Revoked("is revoked".into()),
    ];
    let reasons = vec![None, None, Some(Unfit::Expired("expired".into())), Some(Unfit::Otherwise("is unfit".into()))];
    (select(bindings), select(authorities), select(reasons), option::of(0..4_u32), any::<bool>())
        .prop_map(|(binding, authority, unfit, year, secret)| Draft { binding, authority, unfit, year, secret })
}

fn is_trusted(fake: &Fake) -> bool {
    let by_authority = match &fake.authority {
        Authority::Ties(mailboxes) => mailboxes.contains(&bob()),
        Authority::Unknown(_) | Authority::Revoked(_) => true,
        Authority::Silent(_) => false,
    };
    by_authority || fake.copies.is_bound_to(&bob())
}

fn roles() -> impl Strategy<Value = Role> {
    select(vec![Role::Recipient, Role::Signer])
}

proptest! {
    #[test]
    fn order_does_not_matter(role in roles(), drafts in vec(draft(), 0..6), turn in 0..6_usize) {
        let candidates = named(drafts);
        let mut others = candidates.clone();
        others.reverse();
        let turn = turn.min(others.len());
        others.rotate_left(turn);
        prop_assert_eq!(answer(role, &candidates), answer(role, &others));
    }

    #[test]
    fn a_strangers_certificate_changes_nothing_where_one_is_trusted(
        role in roles(), drafts in vec(draft(), 1..6), stranger in draft(),
    ) {
        let candidates = named(drafts);
        let considered = |fake: &&Fake| role == Role::Recipient || fake.copies.has_secrets();
        prop_assume!(candidates.iter().filter(considered).any(is_trusted));
        let stranger = stranger.named(0xff);
        prop_assume!(!is_trusted(&stranger));
        let others = [&candidates[..], &[stranger]].concat();
        prop_assert_eq!(answer(role, &candidates), answer(role, &others));
    }

    #[test]
    fn a_revoked_trusted_one_never_makes_an_answer_better(
        role in roles(), drafts in vec(draft(), 0..6), more in draft(),
    ) {
        let candidates = named(drafts);
        let others = [&candidates[..], &[revoked(more).named(0xff)]].concat();
        match (answer(role, &candidates), answer(role, &others)) {
            (_, Err(_)) => {}
            (before, after) => prop_assert_eq!(before, after),
        }
    }

    #[test]
    fn what_is_taken_can_be_used_and_is_trusted_where_any_is(role in roles(), drafts in vec(draft(), 0..6)) {
        let candidates = named(drafts);
        if let Ok((name, warning)) = answer(role, &candidates) {
            let taken = &candidates[usize::from(name)];
            prop_assert!(taken.unfit.is_none() && !matches!(taken.authority, Authority::Revoked(_)));
            prop_assert!(role == Role::Recipient || taken.copies.has_secrets());
            let considered = |fake: &&Fake| role == Role::Recipient || fake.copies.has_secrets();
            prop_assert_eq!(is_trusted(taken), candidates.iter().filter(considered).any(is_trusted));
            prop_assert_eq!(warning, role == Role::Recipient && !is_trusted(taken));
        }
    }
}
