//! Any octets as certificates, CRLs and OCSP responses, beside those of `testdata/crl`: read or refused, a path to a fixed anchor judged within
//! the Budget, and the same answer in the opposite order of statements.
#![no_main]

use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use postseal::{
    base::{Budget, Limits},
    crypto::Legacy,
    pki::{
        Certificate, CertificationRequest, OcspResponse, Policies, Purpose, Question, Revocation, Rule, check_statement, list_issuer,
        supersedes, validate,
    },
};

macro_rules! known {
    ($($name:literal),*) => { [$(include_bytes!(concat!("../../testdata/crl/", $name, ".der")).as_slice()),*] };
}

const ANCHOR: &[u8] = include_bytes!("../../testdata/crl/ca.der");
const LEAVES: [&[u8]; 4] = known!("alice", "bob", "carol", "dave");
const AUTHORITIES: [&[u8]; 3] = known!("ca-other-key", "lister", "responder");
const STATEMENTS: [&[u8]; 19] = known!(
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
    "carol-held"
);

fuzz_target!(|octets: &[u8]| {
    if let Ok(request) = CertificationRequest::parse(octets) {
        let _ = (request.mailboxes(), request.beyond_mail());
    }
    let [day, leaf, rest @ ..] = octets else { return };
    // 2026-11-20 and the 255 days and quarters of days after it.
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_132_800 + u64::from(*day) * 21_600);
    let (mut owned, mut enclosed, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
    for piece in Pieces(rest) {
        let list = if piece.enclosed { &mut enclosed } else { &mut owned };
        list.push(piece.octets);
        let _ = (check_statement(piece.octets), list_issuer(piece.octets));
        let _ = OcspResponse::parse(piece.octets).map(|response| response.nonce().map(<[u8]>::len));
        if let Ok(certificate) = Certificate::parse(piece.octets) {
            let _ = (certificate.mailboxes(), certificate.subject().to_string(), certificate.is_self_signed());
            certificates.push(certificate);
        }
    }
    let anchor = Certificate::parse(ANCHOR).unwrap();
    let leaf = Certificate::parse(LEAVES[usize::from(*leaf) % LEAVES.len()]).unwrap();
    let authorities = AUTHORITIES.map(|der| Certificate::parse(der).unwrap());
    let intermediates: Vec<Certificate> = authorities.into_iter().chain(certificates.iter().cloned()).collect();
    let anchors: Vec<Certificate> = [anchor].into_iter().chain(certificates.iter().cloned()).collect();

    let judge = |leaf: &Certificate, anchors: &[Certificate], owned: &[&[u8]], enclosed: &[&[u8]]| {
        let question = Question {
            at,
            anchors,
            intermediates: &intermediates,
            revocations: owned,
            enclosed,
            revocation: Revocation::Hard,
            policies: Policies::default(),
            purpose: Purpose::Email,
            legacy: Legacy::Refuse,
        };
        let judged = validate(leaf, &question, &mut Budget::new(Limits::default()));
        judged.map(|judged| judged.map(drop).map_err(|refusal| refusal.rule().clone()))
    };
    let there = judge(&leaf, &anchors[..1], &owned, &enclosed);
    let without = judge(&leaf, &anchors[..1], &owned, &[]);
    for leaf in &certificates {
        let _ = judge(leaf, &anchors, &owned, &enclosed);
    }
    if let [newer, older, ..] = owned[..] {
        let later = supersedes(newer, older, &anchors, at, &mut Budget::new(Limits::default()));
        let earlier = supersedes(older, newer, &anchors, at, &mut Budget::new(Limits::default()));
        assert!(!(matches!(later, Ok(true)) && matches!(earlier, Ok(true))));
    }
    owned.reverse();
    enclosed.reverse();
    let back = judge(&leaf, &anchors[..1], &owned, &enclosed);
    if let (Ok(there), Ok(back), Ok(without)) = (there, back, without) {
        assert_eq!(there, back);
        if matches!(without, Err(Rule::Revoked { .. })) {
            assert!(matches!(there, Err(Rule::Revoked { .. })), "the message took it back: {there:?}");
        }
    }
});

/// One statement or certificate.
struct Piece<'a> {
    enclosed: bool,
    octets: &'a [u8],
}

/// An octet that is below the number of known statements names one; any other is followed by a length and so many octets. The high bit says
/// that the message encloses it.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (kind, rest) = self.0.split_first()?;
        let enclosed = kind & 0x80 != 0;
        if let Some(octets) = STATEMENTS.get(usize::from(kind & 0x7f)) {
            self.0 = rest;
            return Some(Piece { enclosed, octets });
        }
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (octets, rest) = rest.split_at(length);
        self.0 = rest;
        Some(Piece { enclosed, octets })
    }
}
