//! X.509 certificates, as S/MIME and PEM both use them: whether one is usable, and whether an authority confirms it.

pub(in crate::protocol) mod chain;
pub(in crate::protocol) mod placeholder;
pub mod record;

use std::time::SystemTime;

use super::{select::Authority, unfit::Unfit};
use crate::{
    base::{Result, rfc3339},
    crypto::{Legacy, Strength},
    keys::Authenticated,
    mail::Address,
    pki::{Certificate, PublicKey, Refusal, Rule, Usage},
    verdict::{Signature, State, Why},
};

/// Why there is no path.
pub(super) struct NoPath {
    /// The certificate and the rule.
    pub(super) reason: String,
    /// The rule of RFC 5280 that the leaf itself breaks, if any.
    pub(super) rule_of_leaf: Option<Rule>,
    /// Whether a path to an anchor exists but breaks a rule. Otherwise something is missing or too weak.
    pub(super) is_violation: bool,
}

impl From<Refusal> for NoPath {
    fn from(refusal: Refusal) -> Self {
        NoPath {
            reason: refusal.to_string(),
            rule_of_leaf: refusal.rule_of_leaf().cloned(),
            is_violation: refusal.is_violation(),
        }
    }
}

impl NoPath {
    /// Records the missing path in a valid signature. `by_owner` are the addresses that the owner of this machine ties
    /// to the certificate: only a revocation counts against them. A path that breaks a rule makes the signature invalid,
    /// as in `openssl cms -verify`.
    pub(super) fn enter(self, signature: &mut Signature, by_owner: Vec<Authenticated>) {
        match self.rule_of_leaf {
            Some(Rule::Revoked { reason, .. }) => signature.state = State::Invalid(Why::KeyRevoked(reason)),
            _ if !by_owner.is_empty() => signature.authenticated = by_owner,
            _ if self.is_violation => signature.state = State::Invalid(Why::Path(self.reason)),
            _ => signature.reservation = Some(Why::Path(self.reason)),
        }
    }
}

/// Whether an authority confirms `certificate`. `path` looks for a path to an anchor at a given time, and returns the
/// mailboxes that the path ties to the key.
///
/// An expired or future certificate is judged at the nearest time of its validity. If an authority confirmed it then, no
/// untrusted certificate may replace it.
pub(super) fn authority(
    certificate: &Certificate,
    now: SystemTime,
    path: impl FnOnce(SystemTime) -> Result<std::result::Result<Vec<Address>, NoPath>>,
) -> Result<Authority> {
    let (from, until) = certificate.validity();
    let at = now.max(from).min(until);
    Ok(match path(at)? {
        Ok(mailboxes) => Authority::Ties(mailboxes),
        Err(NoPath { reason, rule_of_leaf, .. }) => match rule_of_leaf {
            Some(rule @ Rule::Revoked { .. }) => Authority::Revoked(rule.to_string()),
            // The date is the better reason.
            Some(Rule::UnknownStatus(_)) if at != now => Authority::Ties(certificate.mailboxes()),
            Some(rule @ Rule::UnknownStatus(_)) => Authority::Unknown(rule.to_string()),
            _ => Authority::Silent(Some(reason)),
        },
    })
}

/// Checks that the certificate by itself is usable at `at`. The error is worded to follow its fingerprint.
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

/// Checks that a key is strong enough. The error is worded to follow its fingerprint.
pub(super) fn strong(key: &PublicKey, legacy: Legacy) -> std::result::Result<(), Unfit> {
    let algorithm = key.algorithm();
    match algorithm.strength() {
        Strength::Strong => Ok(()),
        _ if legacy == Legacy::Admit => Ok(()),
        strength => Err(format!("has a {} key: {}", strength.name(), algorithm.name()).into()),
    }
}
