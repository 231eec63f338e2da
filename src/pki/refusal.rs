//! Why a path does not hold.

use std::{fmt, time::SystemTime};

use super::Certificate;
use crate::base::{hex, rfc3339};

/// Why no path holds: of all that were tried, the one that came furthest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    certificate: Certificate,
    place: Place,
    rule: Rule,
}

/// Where on the path a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// One of an authority.
    Authority,
    /// The certificate that was asked about.
    Leaf,
}

/// The rule that a certificate breaks. Its `Display` names the fault, the RFC and the section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// An unsupported critical extension, as a dotted object identifier.
    CriticalExtension(String),
    /// Its time was over then.
    Expired(SystemTime),
    /// It issued a certificate, but its key usage does not have keyCertSign.
    KeyUsage,
    /// Malformed or contradictory content.
    Malformed(String),
    /// A policy mapping from or to anyPolicy.
    MappedAnyPolicy,
    /// A name that an authority above may not give.
    NameConstraints(String),
    /// Neither an anchor nor a certificate that could be its issuer's is here.
    NoIssuer,
    /// Policies are required, and the path has none that is wanted.
    NoPolicy,
    /// It issued a certificate, but does not say that it is an authority.
    NotAuthority,
    /// Its time had not come then.
    NotYetValid(SystemTime),
    /// More certificates below an authority than it allows.
    PathLength,
    /// Its extended key usage does not have the purpose in question.
    Purpose,
    /// Its issuer took it back.
    Revoked {
        /// Why, in words.
        reason: String,
        /// When.
        since: SystemTime,
    },
    /// Its signature was not made with the key of its issuer.
    Signature,
    /// More certificates than a path may have.
    TooLong(usize),
    /// Its signature algorithm is not supported; the name.
    UnknownAlgorithm(String),
    /// Its revocation status is not known; the text names what is missing, the RFC and the section.
    UnknownStatus(String),
    /// Its signature is made with an algorithm too weak to count, by its name in reports.
    WeakAlgorithm(String),
}

impl Refusal {
    pub(super) fn new(certificate: &Certificate, place: Place, rule: Rule) -> Self {
        Refusal { certificate: certificate.clone(), place, rule }
    }

    /// That the owner of this machine declared `certificate` revoked, the one that a path is looked for.
    pub(crate) fn withdrawn(certificate: &Certificate, reason: String, since: SystemTime) -> Self {
        Refusal::new(certificate, Place::Leaf, Rule::Revoked { reason, since })
    }

    /// The certificate that breaks the rule.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The rule that it breaks.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// Whether a path to an anchor breaks a rule of RFC 5280. Otherwise something is missing, too weak or not known here: an issuer (another of the
    /// same name did not sign it), a status, an algorithm, a critical extension.
    pub fn is_violation(&self) -> bool {
        match self.rule {
            Rule::NoIssuer | Rule::Signature | Rule::TooLong(_) | Rule::UnknownStatus(_) | Rule::WeakAlgorithm(_) => {
                false
            }
            Rule::CriticalExtension(_) | Rule::UnknownAlgorithm(_) => false,
            Rule::Expired(_) | Rule::KeyUsage | Rule::Malformed(_) | Rule::MappedAnyPolicy | Rule::NoPolicy => true,
            Rule::NameConstraints(_) | Rule::NotAuthority | Rule::NotYetValid(_) | Rule::PathLength => true,
            Rule::Purpose | Rule::Revoked { .. } => true,
        }
    }

    /// The rule, if it is the leaf that breaks it.
    pub fn rule_of_leaf(&self) -> Option<&Rule> {
        (self.place == Place::Leaf).then_some(&self.rule)
    }
}

impl fmt::Display for Refusal {
    /// `certificate "CN=...": expired on 2011-04-14T08:30:00Z (RFC 5280, section 6.1.3 (a)(2))`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.certificate.subject().is_empty() {
            let serial = hex(self.certificate.serial());
            return write!(f, "certificate {serial} of \"{}\": {}", self.certificate.issuer(), self.rule);
        }
        write!(f, "certificate \"{}\": {}", self.certificate.subject(), self.rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::CriticalExtension(kind) => {
                write!(f, "critical extension {kind} is not known (RFC 5280, section 4.2)")
            }
            Rule::Expired(at) => write!(f, "expired on {} (RFC 5280, section 6.1.3 (a)(2))", rfc3339(*at)),
            Rule::KeyUsage => {
                f.write_str("its key usage does not allow to sign certificates (RFC 5280, section 6.1.4 (n))")
            }
            Rule::Malformed(what) => write!(f, "{what} (RFC 5280, section 4)"),
            Rule::MappedAnyPolicy => f.write_str("it maps anyPolicy (RFC 5280, section 6.1.4 (a))"),
            Rule::NameConstraints(name) => write!(f, "{name} (RFC 5280, section 6.1.3 (b) and (c))"),
            Rule::NoIssuer => f.write_str("no trust anchor and no certificate here issued it (RFC 5280, section 6.1)"),
            Rule::NoPolicy => f.write_str("no acceptable policy where one is required (RFC 5280, section 6.1.5 (g))"),
            Rule::NotAuthority => f.write_str("it is no certification authority's (RFC 5280, section 6.1.4 (k))"),
            Rule::NotYetValid(at) => write!(f, "not valid before {} (RFC 5280, section 6.1.3 (a)(2))", rfc3339(*at)),
            Rule::PathLength => f.write_str("too many certificates below an authority (RFC 5280, section 6.1.4 (l))"),
            Rule::Purpose => f.write_str("its extended key usage does not allow mail (RFC 8550, section 4.4.4)"),
            Rule::Revoked { reason, since } => {
                write!(f, "revoked on {}: {reason} (RFC 5280, section 6.1.3 (a)(3))", rfc3339(*since))
            }
            Rule::Signature => f.write_str("its issuer's key did not sign it (RFC 5280, section 6.1.3 (a)(1))"),
            Rule::TooLong(most) => write!(f, "a path of more than {most} certificates (RFC 4158, section 3.5.7)"),
            Rule::UnknownAlgorithm(algorithm) => write!(f, "{algorithm} (RFC 5280, section 6.1.3 (a)(1))"),
            Rule::UnknownStatus(what) => write!(f, "not known whether it is revoked: {what}"),
            Rule::WeakAlgorithm(name) => write!(f, "signed with {name}, which does not count (RFC 8550, section 4.3)"),
        }
    }
}
