//! Which CRLs count for a certificate (RFC 5280, section 6.3.3); `news` derives the status from them.

use super::{
    Certificate, Name, PublicKey,
    crl::{Crl, Listed},
    distribution::{Issuers, Point, Reasons},
    extensions::KeyUsage,
    news::{self, Flaw, List, News},
    statements::Statements,
    status::{Asked, Issuer, Worth},
};
use crate::{
    base::{Budget, Result},
    crypto::KeyAlgorithm,
};

/// Adds to `news` the CRLs among `statements` that cover `certificate`, which `issuer` issued; returns why they are not sufficient, if they are not.
/// An error means that the Budget is spent.
pub(super) fn tell(
    certificate: &Certificate,
    issuer: Issuer<'_>,
    statements: &Statements<'_>,
    asked: &Asked<'_>,
    budget: &mut Budget,
    news: &mut News,
) -> Result<Option<Flaw>> {
    let search = Search { certificate, issuer, statements, asked };
    let (points, mut flaw) = match Point::all_of(certificate) {
        Ok(points) => (points, None),
        Err(_) => (Vec::new(), Some(Flaw::Points)),
    };
    let points = [points, vec![Point::of_issuer(certificate.issuer())]].concat();
    let mut names: Vec<&Name> = vec![certificate.issuer()];
    for name in points.iter().flat_map(|point| point.crl_issuers.iter().flatten()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut lists = Vec::new();
    for (origin, crl) in names.into_iter().flat_map(|name| statements.of_issuer(name)) {
        let listed = crl.find(certificate.issuer(), certificate.serial());
        let is_revoked = matches!(listed, Some(Listed::Revoked(_)));
        let reasons = search.reasons(crl, &points);
        if reasons.is_none() && !(is_revoked && crl.scope().speaks_of_certificates()) {
            flaw = flaw.max(Some(Flaw::Scope));
            continue;
        }
        match search.signer(crl, budget)? {
            Some((key, worth)) if worth == Worth::Everything || is_revoked => {
                // When it is not known which lists are missing, the available ones prove nothing good.
                let reasons = reasons.filter(|_| flaw != Some(Flaw::Points)).unwrap_or(Reasons::NONE);
                lists.push(List { crl, origin: *origin, key, reasons, listed });
            }
            _ => flaw = flaw.max(Some(Flaw::Signature)),
        }
    }
    Ok(flaw.max(news::tell(&lists, asked.at, news)))
}

struct Search<'a, 's> {
    certificate: &'a Certificate,
    issuer: Issuer<'a>,
    statements: &'a Statements<'s>,
    asked: &'a Asked<'a>,
}

impl Search<'_, '_> {
    /// The reasons that `crl` covers for the certificate at any of `points` (b), (d); `None` when it is not of its scope.
    fn reasons(&self, crl: &Crl<'_>, points: &[Point]) -> Option<Reasons> {
        let is_indirect = crl.scope().issuers == Issuers::Others;
        let meant = points.iter().filter(|point| {
            // (b)(1): another issuer's CRL must say that it is indirect.
            let by_whom = match &point.crl_issuers {
                Some(named) => is_indirect && named.contains(crl.issuer()),
                None => crl.issuer() == self.certificate.issuer(),
            };
            by_whom && crl.scope().covers(self.certificate, point)
        });
        meant.map(|point| point.reasons.and(crl.scope().reasons)).reduce(Reasons::or)
    }

    /// The key of an authorized signer that signed `crl` (f), (g), and how far the list counts.
    fn signer(&self, crl: &Crl<'_>, budget: &mut Budget) -> Result<Option<(PublicKey, Worth)>> {
        let Issuer { certificate: issuer, key } = self.issuer;
        if issuer.subject() == crl.issuer()
            && signs_crls(issuer)
            && let Some(worth) = crl.is_by(key, self.asked.legacy, budget)?
        {
            return Ok(Some((key.clone(), worth)));
        }
        for signer in self.asked.signers.named(crl.issuer()) {
            if signer == *issuer || !signs_crls(&signer) || !crl.may_be_by(&signer) {
                continue;
            }
            // The signature first: it costs less than a path. A key that inherits its parameters has none without its path.
            let is_whole = signer.public_key().algorithm() != KeyAlgorithm::Dsa(0);
            let own = if is_whole { crl.is_by(signer.public_key(), self.asked.legacy, budget)? } else { None };
            if is_whole && own.is_none() {
                continue;
            }
            let Some((key, most)) = self.statements.signer_key(&signer, self.certificate, self.asked, budget)? else {
                continue;
            };
            let worth = if own.is_some() { own } else { crl.is_by(&key, self.asked.legacy, budget)? };
            if let Some(worth) = worth {
                return Ok(Some((key, worth.min(most))));
            }
        }
        Ok(None)
    }
}

/// (f): the bit cRLSign, where there is a key usage at all.
pub(super) fn signs_crls(signer: &Certificate) -> bool {
    signer.extensions().key_usage.is_none_or(|usage| usage.has(KeyUsage::CRL_SIGN))
}
