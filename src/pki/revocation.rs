//! Whether a certificate is revoked, by its issuer's CRLs and OCSP responses.

use std::time::SystemTime;

use super::{
    Certificate, Name,
    crl::Crl,
    crl_status,
    news::News,
    ocsp::{self, OcspResponse},
    statements::Statements,
    status::{Asked, Issuer, Status},
};
use crate::base::{Budget, Error, Result};

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

/// From when and until when the CRL or OCSP response `der` is current: thisUpdate and nextUpdate; of a response about several certificates, the time in
/// which it is about all of them. `None` if it cannot be read. Nothing is verified.
pub fn period(der: &[u8]) -> Option<(SystemTime, SystemTime)> {
    match Crl::parse(der) {
        Ok(list) => Some((list.this_update(), list.next_update()?)),
        Err(_) => OcspResponse::parse(der).ok()?.period(),
    }
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
