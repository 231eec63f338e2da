//! Which statements about revocations stand in the place of older ones.

use std::time::SystemTime;

use super::{
    Certificate,
    crl::{Crl, Freshness, Understood},
    crl_status,
    ocsp::OcspResponse,
    statements::Statements,
    status::{Asked, Issuer, IssuerId, NoSigners, Worth},
};
use crate::{
    base::{Budget, Result},
    crypto::Legacy,
};

/// Whose certificates [`supersedes`] needs for these two: none when they are not of one issuer, or not of one kind. Nothing is verified.
pub fn issuers_of_series(newer: &[u8], older: &[u8]) -> Vec<IssuerId> {
    if let (Ok(newer), Ok(older)) = (Crl::parse(newer), Crl::parse(older)) {
        return if newer.issuer() == older.issuer() {
            vec![IssuerId::Name(newer.issuer().clone())]
        } else {
            Vec::new()
        };
    }
    match (OcspResponse::parse(newer), OcspResponse::parse(older)) {
        (Ok(newer), Ok(older)) if newer.is_about_all_of(&older) => newer.issuers(),
        _ => Vec::new(),
    }
}

/// Whether the statement `newer` stands in the place of `older` at that time, so that `older` need not be kept. Without the certificate of the issuer
/// in `issuers` nothing is superseded: an attacker could write a list with a high number.
///
/// - A CRL takes the place of a CRL or delta: it is a complete list of the same issuer and scope, issued later (RFC 5280, section 5.2.3), and one key
///   made both signatures.
/// - An OCSP response takes the place of a response: it is about the same certificates, by a responder whom their issuer authorized, issued later
///   (RFC 6960, section 4.2.2.1), and takes back no revocation.
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
    if let (Ok(newer), Ok(older)) = (Crl::parse(newer), Crl::parse(older)) {
        return list_supersedes(&newer, &older, issuers, at, budget);
    }
    match (OcspResponse::parse(newer), OcspResponse::parse(older)) {
        (Ok(newer), Ok(older)) => response_supersedes(&newer, &older, issuers, at, budget),
        _ => Ok(false),
    }
}

fn list_supersedes(
    newer: &Crl<'_>,
    older: &Crl<'_>,
    issuers: &[Certificate],
    at: SystemTime,
    budget: &mut Budget,
) -> Result<bool> {
    let takes_its_place = !newer.is_delta()
        && newer.understood() == Understood::Wholly
        && newer.freshness(at) != Freshness::Future
        && newer.is_of_series(older)
        && newer.is_newer_than(older);
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

fn response_supersedes(
    newer: &OcspResponse<'_>,
    older: &OcspResponse<'_>,
    issuers: &[Certificate],
    at: SystemTime,
    budget: &mut Budget,
) -> Result<bool> {
    if !newer.answers_all_of(older, at) {
        return Ok(false);
    }
    let (statements, asked) = (Statements::none(), Asked { at, legacy: Legacy::Refuse, signers: &NoSigners });
    for certificate in issuers.iter().filter(|issuer| older.is_of_issuer(issuer)) {
        let issuer = Issuer { certificate, key: certificate.public_key() };
        if newer.worth(issuer, &statements, &asked, budget)? == Some(Worth::Everything) {
            return Ok(true);
        }
    }
    Ok(false)
}
