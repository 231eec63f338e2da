//! Certificates of X.509 as S/MIME and PEM select them: whether one can be used, and what its authorities say of it.

use std::time::SystemTime;

use super::{select::Authority, unfit::Unfit};
use crate::{
    base::{Result, rfc3339},
    crypto::{Legacy, Strength},
    mail::Address,
    pki::{Certificate, PublicKey, Refusal, Rule, Usage},
};

/// Why there is no path.
pub(super) struct NoPath {
    /// Which certificate, and which rule.
    pub(super) reason: String,
    /// The rule of RFC 5280 that the leaf itself breaks, if it is that.
    pub(super) rule_of_leaf: Option<Rule>,
}

impl From<Refusal> for NoPath {
    fn from(refusal: Refusal) -> Self {
        NoPath { reason: refusal.to_string(), rule_of_leaf: refusal.rule_of_leaf().cloned() }
    }
}

/// What authorities say of `certificate`. `path` looks for a path to an anchor at a time, and answers with the mailboxes that the path ties to the
/// key.
///
/// A certificate that is out of its time is judged at the nearest time of its validity: an authority that vouched for it when it could be used is
/// the reason why no untrusted certificate may take its place.
pub(super) fn authority(
    certificate: &Certificate,
    now: SystemTime,
    path: impl FnOnce(SystemTime) -> Result<std::result::Result<Vec<Address>, NoPath>>,
) -> Result<Authority> {
    let (from, until) = certificate.validity();
    let at = now.max(from).min(until);
    Ok(match path(at)? {
        Ok(mailboxes) => Authority::Vouches(mailboxes),
        Err(NoPath { reason, rule_of_leaf }) => match rule_of_leaf {
            Some(rule @ Rule::Revoked { .. }) => Authority::Revoked(rule.to_string()),
            // That it is out of its time is the better reason.
            Some(Rule::UnknownStatus(_)) if at != now => Authority::Vouches(certificate.mailboxes()),
            Some(rule @ Rule::UnknownStatus(_)) => Authority::Unknown(rule.to_string()),
            _ => Authority::Silent(Some(reason)),
        },
    })
}

/// Whether the certificate alone can be used at `at`; otherwise why not, in words that follow its fingerprint.
pub(super) fn fit(
    certificate: &Certificate,
    usage: Usage,
    at: SystemTime,
    legacy: Legacy,
) -> std::result::Result<(), Unfit> {
    let (from, until) = certificate.validity();
    if at < from {
        return Err(format!("is not valid before {}", rfc3339(from)).into());
    }
    if at > until {
        return Err(Unfit::Expired(format!("expired on {}", rfc3339(until))));
    }
    if !certificate.allows(usage) {
        let what = if usage == Usage::Sign { "signing" } else { "encrypting" };
        let rule = if certificate.is_for_mail() { "key usage" } else { "extended key usage" };
        return Err(format!("is not for {what} mail ({rule})").into());
    }
    strong(certificate.public_key(), legacy)
}

/// Whether a key is strong enough; otherwise why not, in words that follow its fingerprint.
pub(super) fn strong(key: &PublicKey, legacy: Legacy) -> std::result::Result<(), Unfit> {
    let algorithm = key.algorithm();
    match algorithm.strength() {
        Strength::Strong => Ok(()),
        _ if legacy == Legacy::Admit => Ok(()),
        strength => Err(format!("is of a {} key: {}", strength.name(), algorithm.name()).into()),
    }
}
