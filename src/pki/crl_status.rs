//! The status of a certificate by CRLs (RFC 5280, section 6.3.3).

use super::{
    Certificate, PublicKey,
    crl::{Crl, Freshness, Listed, Understood},
    distribution::{Issuers, Point, Reasons},
    extensions::KeyUsage,
    revocation::{Asked, Issuer, Reason, Revoked, Role, Statements, Status},
};
use crate::{
    base::{Budget, Result},
    crypto::KeyAlgorithm,
};

/// What the CRLs among `statements` say of `certificate`, which `issuer` issued. An error means that the Budget is spent.
pub(super) fn status(
    certificate: &Certificate,
    issuer: Issuer<'_>,
    statements: &Statements<'_>,
    asked: &Asked<'_>,
    budget: &mut Budget,
) -> Result<Status> {
    let mut points = match Point::all_of(certificate) {
        Ok(points) => points,
        Err(error) => return Ok(Status::Unknown(format!("{error} (RFC 5280, section 4.2.1.13)"))),
    };
    points.push(Point::of_issuer(certificate.issuer()));
    let mut search = Search { certificate, issuer, statements, asked, known: Reasons::NONE, flaw: None };
    for point in &points {
        let issuers = point.crl_issuers.as_deref().unwrap_or(std::slice::from_ref(certificate.issuer()));
        for crl in issuers.iter().flat_map(|issuer| statements.of_issuer(issuer)) {
            if let Some(revoked) = search.consult(crl, point, budget)? {
                return Ok(Status::Revoked(revoked));
            }
        }
    }
    if search.known.has(Reasons::ALL) {
        return Ok(Status::Good);
    }
    Ok(Status::Unknown(search.why()))
}

struct Search<'a, 's> {
    certificate: &'a Certificate,
    issuer: Issuer<'a>,
    statements: &'a Statements<'s>,
    asked: &'a Asked<'a>,
    /// The reasons for which it is known not to be revoked: reasons_mask.
    known: Reasons,
    /// What kept the CRL that came furthest from counting.
    flaw: Option<Flaw>,
}

/// Why a CRL does not settle a status; a later one came further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    Scope,
    Signature,
    Freshness,
    Extension,
}

impl<'a, 's> Search<'a, 's> {
    /// Whether `crl` revokes the certificate; if it does not, for which reasons it is known now that it is not revoked.
    fn consult(&mut self, crl: &Crl<'s>, point: &Point, budget: &mut Budget) -> Result<Option<Revoked>> {
        let is_indirect = crl.scope().issuers == Issuers::Others;
        // (b)(1): another issuer's CRL must say that it is indirect. Deltas are looked for below.
        let is_meant = !crl.is_delta() && (point.crl_issuers.is_none() || is_indirect);
        if !is_meant || !crl.scope().covers(self.certificate, point) {
            self.fall_short(Flaw::Scope);
            return Ok(None);
        }
        // (d), (e)
        let reasons = point.reasons.and(crl.scope().reasons);
        if self.known.has(reasons) {
            return Ok(None);
        }
        let Some(key) = self.signer(crl, budget)? else {
            self.fall_short(Flaw::Signature);
            return Ok(None);
        };
        let delta = self.delta(crl, &key, budget)?;
        Ok(self.judge(crl, delta, reasons))
    }

    /// The key that signed `crl`, of somebody who may (f), (g).
    fn signer(&self, crl: &Crl<'_>, budget: &mut Budget) -> Result<Option<PublicKey>> {
        let Issuer { certificate: issuer, key, role } = self.issuer;
        let may_sign = role == Role::Anchor || signs_crls(issuer);
        if issuer.subject() == crl.issuer() && may_sign && crl.is_by(key, self.asked.legacy, budget)? {
            return Ok(Some(key.clone()));
        }
        for signer in self.asked.signers.named(crl.issuer()) {
            if signer == *issuer || !signs_crls(&signer) || !crl.may_be_by(&signer) {
                continue;
            }
            // The signature first: it costs less than a path. A key that inherits its parameters has none without its path.
            let is_whole = signer.public_key().algorithm() != KeyAlgorithm::Dsa(0);
            if is_whole && !crl.is_by(signer.public_key(), self.asked.legacy, budget)? {
                continue;
            }
            let Some(key) = self.statements.signer_key(&signer, self.certificate, self.asked, budget)? else {
                continue;
            };
            if is_whole || crl.is_by(&key, self.asked.legacy, budget)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The newest current delta of `complete` that the same key signed (c), (h).
    fn delta(&self, complete: &Crl<'_>, key: &PublicKey, budget: &mut Budget) -> Result<Option<&'a Crl<'s>>> {
        let all = self.statements.of_issuer(complete.issuer()).iter();
        let mut deltas: Vec<&'a Crl<'s>> =
            all.filter(|crl| crl.updates(complete) && crl.freshness(self.asked.at) == Freshness::Current).collect();
        deltas.sort_by_key(|delta| std::cmp::Reverse(delta.number()));
        for delta in deltas {
            if delta.is_by(key, self.asked.legacy, budget)? {
                return Ok(Some(delta));
            }
        }
        Ok(None)
    }

    /// (i) to (l). With a current delta an old CRL is as good as a current one (RFC 5280, section 5.2.4).
    fn judge(&mut self, crl: &Crl<'_>, delta: Option<&Crl<'_>>, reasons: Reasons) -> Option<Revoked> {
        let find = |crl: &Crl<'_>| crl.find(self.certificate.issuer(), self.certificate.serial());
        let listed = delta.and_then(find).or_else(|| find(crl));
        let is_current = delta.is_some() || crl.freshness(self.asked.at) == Freshness::Current;
        match listed {
            // Whoever is revoked stays revoked, so a CRL of another time tells that much; what was on hold may not be any more.
            Some(Listed::Revoked(revoked))
                if is_current || (revoked.reason != Reason::Hold && revoked.since <= self.asked.at) =>
            {
                return Some(revoked);
            }
            _ if !is_current => self.fall_short(Flaw::Freshness),
            _ if is_partly_understood(crl) || delta.is_some_and(is_partly_understood) => {
                self.fall_short(Flaw::Extension)
            }
            _ => self.known = self.known.or(reasons),
        }
        None
    }

    fn fall_short(&mut self, flaw: Flaw) {
        self.flaw = self.flaw.max(Some(flaw));
    }

    fn why(&self) -> String {
        let (reason, section) = match self.flaw {
            _ if self.known != Reasons::NONE => ("the CRLs leave out some reasons", "6.3.3 (e)"),
            None => ("there is no CRL of its issuer", "6.3.3"),
            Some(Flaw::Scope) => ("no CRL of its issuer speaks of it", "6.3.3 (b)"),
            Some(Flaw::Signature) => ("nobody who may has signed the CRL", "6.3.3 (f)"),
            Some(Flaw::Freshness) => ("the CRL is not of this time", "6.3.3 (a)"),
            Some(Flaw::Extension) => ("the CRL has a critical extension that is not known", "5.2"),
        };
        format!("{reason} (RFC 5280, section {section})")
    }
}

fn is_partly_understood(crl: &Crl<'_>) -> bool {
    crl.understood() == Understood::Partly
}

/// (f): the bit cRLSign, where there is a key usage at all.
fn signs_crls(signer: &Certificate) -> bool {
    signer.extensions().key_usage.is_none_or(|usage| usage.has(KeyUsage::CRL_SIGN))
}
