//! Whether a certificate is revoked, by its issuer's CRLs and OCSP responses.

use std::time::SystemTime;

use super::{
    Certificate, Name,
    crl::{Crl, Freshness, Understood},
    crl_status,
    news::News,
    ocsp::{self, OcspResponse},
    statements::Statements,
    status::{Asked, Issuer, Status, Worth},
};
use crate::{
    base::{Budget, Error, Result},
    crypto::Legacy,
};

/// `--revocation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revocation {
    /// Every certificate of a path must be known not to be revoked.
    Hard,
    /// Nothing is looked at.
    Off,
    /// Revoked certificates are refused; without current statements, the path is valid.
    #[default]
    Soft,
}

/// Whether `der` is a CRL or a successful OCSP response that can be read; nothing is verified.
///
/// # Errors
///
/// `Malformed` with the fault when it cannot.
pub fn check_statement(der: &[u8]) -> Result<()> {
    match (Crl::parse(der), OcspResponse::parse(der)) {
        (Err(error), Err(other)) => {
            Err(Error::malformed("neither a CRL nor an OCSP response", format_args!("{error}; {other}")))
        }
        _ => Ok(()),
    }
}

/// The issuer of a CRL.
///
/// # Errors
///
/// `Malformed` when it is not a CRL that can be read.
pub fn list_issuer(der: &[u8]) -> Result<Name> {
    Crl::parse(der).map(|list| list.issuer().clone())
}

/// The issue time of the CRL that is oldest, of the newest of each issuer; `None` when none of `statements` is a CRL that can be read. Nothing is
/// verified.
pub fn oldest_list<'a>(statements: impl IntoIterator<Item = &'a [u8]>) -> Option<SystemTime> {
    let mut newest: Vec<(Name, SystemTime)> = Vec::new();
    for list in statements.into_iter().filter_map(|der| Crl::parse(der).ok()) {
        match newest.iter_mut().find(|(issuer, _)| issuer == list.issuer()) {
            Some((_, issued)) => *issued = list.this_update().max(*issued),
            None => newest.push((list.issuer().clone(), list.this_update())),
        }
    }
    newest.into_iter().map(|(_, issued)| issued).min()
}

/// Whether the CRL `newer` stands in the place of the CRL or delta `older` at that time, so that `older` need not be kept: a complete list of the
/// same issuer and scope, issued later (RFC 5280, section 5.2.3), and the key of one of `issuers` made both signatures. Without that key nothing is
/// superseded: an attacker could write a list with a high number.
///
/// # Errors
///
/// An error means that the Budget is spent.
pub fn supersedes(
    newer: &[u8],
    older: &[u8],
    issuers: &[Certificate],
    at: SystemTime,
    budget: &mut Budget,
) -> Result<bool> {
    let (Ok(newer), Ok(older)) = (Crl::parse(newer), Crl::parse(older)) else { return Ok(false) };
    let takes_its_place = !newer.is_delta()
        && newer.understood() == Understood::Wholly
        && newer.freshness(at) != Freshness::Future
        && newer.is_of_series(&older)
        && newer.is_newer_than(&older);
    if !takes_its_place {
        return Ok(false);
    }
    for issuer in issuers.iter().filter(|issuer| issuer.subject() == newer.issuer() && crl_status::signs_crls(issuer)) {
        let key = issuer.public_key();
        if newer.is_by(key, Legacy::Refuse, budget)? == Some(Worth::Everything)
            && older.is_by(key, Legacy::Admit, budget)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The status of `certificate`, which `issuer` issued, by the rules in `news`. An error means that the Budget is spent.
pub(super) fn status(
    certificate: &Certificate,
    issuer: Issuer<'_>,
    statements: &Statements<'_>,
    asked: &Asked<'_>,
    budget: &mut Budget,
) -> Result<Status> {
    let mut news = News::default();
    ocsp::tell(certificate, issuer, statements, asked, budget, &mut news)?;
    let flaw = crl_status::tell(certificate, issuer, statements, asked, budget, &mut news)?;
    Ok(news.status(flaw))
}
