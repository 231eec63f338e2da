//! Building: from the leaf up, by the names of issuers, until an anchor (RFC 4158).

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use super::{
    Certificate, Name, Path, Place, Policies, Purpose, Question, Refusal,
    check::{self, Judged, Stop},
    public_key::PublicKey,
    refusal::Rule,
    revocation::{self, Revocation},
    statements::Statements,
    status::{Asked, Issuer, NoSigners, Revoked, Signers, Status, Worth},
};
use crate::base::{Budget, Result};

/// Finds a path that holds. An outer error means that the Budget is spent.
pub(super) fn find(
    leaf: &Certificate,
    question: &Question<'_>,
    statements: &Statements<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<Path, Refusal>> {
    let authorities = Authorities::new(question.intermediates);
    let search = Search::new(question.clone(), &authorities, statements);
    let found = search.find(leaf, budget)?;
    match found {
        Err(refusal) if !matches!(refusal.rule_of_leaf(), Some(Rule::Revoked { .. })) => {
            Ok(Err(search.taken_back(leaf, budget)?.unwrap_or(refusal)))
        }
        found => Ok(found),
    }
}

/// The possible intermediate certificates, by the normal form of their subjects.
struct Authorities<'a>(HashMap<&'a [u8], Vec<&'a Certificate>>);

impl<'a> Authorities<'a> {
    fn new(certificates: &'a [Certificate]) -> Self {
        let mut by_subject: HashMap<&[u8], Vec<&Certificate>> = HashMap::new();
        let mut seen = HashSet::new();
        for certificate in certificates.iter().filter(|certificate| seen.insert(certificate.fingerprint())) {
            by_subject.entry(certificate.subject().normal()).or_default().push(certificate);
        }
        Authorities(by_subject)
    }

    fn named(&self, subject: &Name) -> &[&'a Certificate] {
        self.0.get(subject.normal()).map(Vec::as_slice).unwrap_or_default()
    }
}

/// One search, for one leaf.
struct Search<'a, 's> {
    question: Question<'a>,
    anchors: Authorities<'a>,
    authorities: &'a Authorities<'a>,
    statements: &'a Statements<'s>,
}

/// The refusal of the path that came furthest so far.
#[derive(Default)]
struct Furthest(Option<(Distance, Refusal)>);

/// How far a path came: of those that end at an anchor, the one that holds the longest way down; of the others, the longest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    /// So many certificates up from the leaf.
    Up(usize),
    /// So many certificates are left to the leaf.
    Down(Reverse<usize>),
}

impl Furthest {
    fn note(&mut self, distance: Distance, refusal: impl FnOnce() -> Refusal) {
        if self.0.as_ref().is_none_or(|(furthest, _)| *furthest < distance) {
            self.0 = Some((distance, refusal()));
        }
    }
}

impl<'a, 's> Search<'a, 's> {
    fn new(question: Question<'a>, authorities: &'a Authorities<'a>, statements: &'a Statements<'s>) -> Self {
        Search { anchors: Authorities::new(question.anchors), question, authorities, statements }
    }

    fn find(&self, leaf: &Certificate, budget: &mut Budget) -> Result<std::result::Result<Path, Refusal>> {
        // A fault of the leaf itself is the best reason, and needs no path.
        if let Err(rule) = check::alone(leaf, &self.question) {
            return Ok(Err(Refusal::new(leaf, Place::Leaf, rule)));
        }
        let mut furthest = Furthest::default();
        let mut trail = vec![leaf.clone()];
        if self.anchors.named(leaf.subject()).contains(&leaf)
            && let Some(path) = self.judge(&trail, &mut furthest, budget)?
        {
            return Ok(Ok(path));
        }
        if let Some(path) = self.climb(&mut trail, &mut furthest, budget)? {
            return Ok(Ok(path));
        }
        let unknown = || Refusal::new(leaf, Place::Leaf, Rule::NoIssuer);
        Ok(Err(furthest.0.map_or_else(unknown, |(_, refusal)| refusal)))
    }

    /// The revocation of `leaf` by an issuer, when no path is valid: the owner may trust the certificate without a path, and the issuer of a
    /// certificate may revoke it, whether trusted or not.
    fn taken_back(&self, leaf: &Certificate, budget: &mut Budget) -> Result<Option<Refusal>> {
        let asked = Asked { at: self.question.at, legacy: self.question.legacy, signers: &NoSigners };
        if self.statements.is_empty() {
            return Ok(None);
        }
        for (issuer, _) in self.issuers(leaf) {
            budget.path_signature(issuer.public_key().algorithm().cost(), leaf.tbs().len())?;
            if check::signed(leaf, issuer.public_key()).is_err() {
                continue;
            }
            let issuer = Issuer { certificate: issuer, key: issuer.public_key() };
            if let Status::Revoked(revoked) = revocation::status(leaf, issuer, self.statements, &asked, budget)? {
                return Ok(Some(Refusal::new(leaf, Place::Leaf, revoked.into())));
            }
        }
        Ok(None)
    }

    /// Tries every issuer of the last certificate of `trail`.
    fn climb(
        &self,
        trail: &mut Vec<Certificate>,
        furthest: &mut Furthest,
        budget: &mut Budget,
    ) -> Result<Option<Path>> {
        let Some(last) = trail.last().cloned() else { return Ok(None) };
        let most = budget.limits().path_length;
        if trail.len() >= most {
            furthest.note(Distance::Up(trail.len()), || refusal(&last, trail.len() - 1, Rule::TooLong(most)));
            return Ok(None);
        }
        let mut rule = Rule::NoIssuer;
        for (issuer, standing) in self.issuers(&last) {
            if standing == Standing::Authority && is_loop(trail, issuer) {
                continue;
            }
            // A key that inherits its parameters is known when the path is; it is tried then.
            budget.path_signature(issuer.public_key().algorithm().cost(), last.tbs().len())?;
            if !issuer.public_key().inherits()
                && let Err(wrong) = check::signed(&last, issuer.public_key())
            {
                // A key of another holder of the same name proves nothing; the issuer's own key gives the better reason.
                if key_fits(&last, issuer) {
                    rule = wrong;
                }
                continue;
            }
            trail.push(issuer.clone());
            let found = match standing {
                Standing::Anchor => self.judge(trail, furthest, budget)?,
                Standing::Authority => self.climb(trail, furthest, budget)?,
            };
            trail.pop();
            if found.is_some() {
                return Ok(found);
            }
        }
        furthest.note(Distance::Up(trail.len()), || refusal(&last, trail.len() - 1, rule));
        Ok(None)
    }

    /// The possible issuers of `certificate`, likely ones first: anchors, those with the key identifier that it names, those whose time it is (RFC
    /// 4158, section 3.5).
    fn issuers(&self, certificate: &Certificate) -> Vec<(&'a Certificate, Standing)> {
        let anchors =
            self.anchors.named(certificate.issuer()).iter().copied().filter(|anchor| check::may_issue(anchor));
        let mut issuers: Vec<_> = anchors.map(|anchor| (anchor, Standing::Anchor)).collect();
        let authorities = self.authorities.named(certificate.issuer()).iter().copied();
        issuers.extend(authorities.map(|authority| (authority, Standing::Authority)));
        issuers.sort_by_key(|(issuer, standing)| {
            let (from, until) = issuer.validity();
            let current = (from..=until).contains(&self.question.at);
            (Reverse(key_fits(certificate, issuer)), *standing, Reverse(current), Reverse(from))
        });
        issuers
    }

    /// Judges a path that ends at an anchor.
    fn judge(&self, path: &[Certificate], furthest: &mut Furthest, budget: &mut Budget) -> Result<Option<Path>> {
        let judged = check::judge(path, &self.question, budget).and_then(|judged| {
            self.revocation(path, &judged.keys, budget)?;
            Ok(judged)
        });
        match judged {
            Ok(Judged { keys, policies }) => {
                let (Some(leaf), Some(key)) = (path.first(), keys.into_iter().next()) else { return Ok(None) };
                Ok(Some(Path { certificates: path.to_vec(), key, mailboxes: leaf.mailboxes(), policies }))
            }
            Err(Stop::Budget(error)) => Err(error),
            Err(Stop::Refused(at, rule)) => {
                if let Some(certificate) = path.get(at) {
                    furthest.note(Distance::Down(Reverse(at)), || refusal(certificate, at, rule));
                }
                Ok(None)
            }
        }
    }

    /// RFC 5280, section 6.1.3 (a)(3), for each certificate below the anchor, from the top.
    fn revocation(&self, path: &[Certificate], keys: &[PublicKey], budget: &mut Budget) -> Result<(), Stop> {
        let Some(anchor) = path.last().filter(|_| self.question.revocation != Revocation::Off) else { return Ok(()) };
        let signers = Below { search: self, anchor };
        let asked = Asked { at: self.question.at, legacy: self.question.legacy, signers: &signers };
        for (at, (pair, key)) in path.windows(2).zip(keys.iter().skip(1)).enumerate().rev() {
            let [certificate, issuer] = pair else { continue };
            let issuer = Issuer { certificate: issuer, key };
            let rule = match revocation::status(certificate, issuer, self.statements, &asked, budget)? {
                Status::Revoked(revoked) => revoked.into(),
                Status::Unknown(what) if self.question.revocation == Revocation::Hard => Rule::UnknownStatus(what),
                Status::Good | Status::Unknown(_) => continue,
            };
            return Err(Stop::Refused(at, rule));
        }
        Ok(())
    }
}

impl From<Revoked> for Rule {
    fn from(Revoked { reason, since }: Revoked) -> Self {
        Rule::Revoked { reason: reason.to_string(), since }
    }
}

/// Signers of CRLs below the anchor of a path.
struct Below<'b, 'a, 's> {
    search: &'b Search<'a, 's>,
    anchor: &'b Certificate,
}

impl Signers for Below<'_, '_, '_> {
    fn named(&self, subject: &Name) -> Vec<Certificate> {
        let authorities = self.search.authorities.named(subject).iter().copied();
        authorities.chain((self.anchor.subject() == subject).then_some(self.anchor)).cloned().collect()
    }

    fn key(&self, signer: &Certificate, budget: &mut Budget) -> Result<Option<(PublicKey, Worth)>> {
        // When all statuses are required, a signer of unknown status cannot prove certificates good, but can revoke them.
        let asked = match self.search.question.revocation {
            Revocation::Hard => &[(Revocation::Hard, Worth::Everything), (Revocation::Soft, Worth::Revocations)][..],
            Revocation::Off | Revocation::Soft => &[(Revocation::Soft, Worth::Everything)],
        };
        for (revocation, worth) in asked {
            let question = Question {
                anchors: std::slice::from_ref(self.anchor),
                policies: Policies::default(),
                purpose: Purpose::Any,
                revocation: *revocation,
                ..self.search.question.clone()
            };
            let search = Search::new(question, self.search.authorities, self.search.statements);
            if let Ok(path) = search.find(signer, budget)? {
                return Ok(Some((path.key, *worth)));
            }
        }
        Ok(None)
    }
}

/// What an issuer is to a search.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Anchor,
    Authority,
}

/// RFC 4158, section 2.4.2: no two certificates of a path have the same subject and key.
fn is_loop(trail: &[Certificate], issuer: &Certificate) -> bool {
    trail.iter().any(|other| other.public_key() == issuer.public_key() && other.subject() == issuer.subject())
}

/// Whether the key identifiers agree, or one of them is not there (RFC 4158, section 3.5.12).
fn key_fits(certificate: &Certificate, issuer: &Certificate) -> bool {
    match (certificate.extensions().authority_key.as_deref(), issuer.key_identifier()) {
        (Some(wanted), Some(identifier)) => wanted == identifier,
        _ => true,
    }
}

fn refusal(certificate: &Certificate, at: usize, rule: Rule) -> Refusal {
    let place = if at == 0 { Place::Leaf } else { Place::Authority };
    Refusal::new(certificate, place, rule)
}
