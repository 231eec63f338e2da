//! One path, from the anchor down to the leaf, judged by the rules of RFC 5280, section 6.1, but for revocation.

use der::asn1::ObjectIdentifier;

use super::{
    Certificate, Purpose, Question, SignatureAlgorithm,
    cert::{EMAIL_PROTECTION, Version},
    constraints,
    extensions::{KeyUsage, NameConstraints},
    policy::PolicyGraph,
    public_key::PublicKey,
    refusal::Rule,
};
use crate::{
    base::{Budget, Error, Kind},
    crypto::{Legacy, Strength, Unverified},
};

/// What a path that holds says.
#[derive(Debug)]
pub(super) struct Judged {
    /// The keys, leaf first, with the parameters that they inherit.
    pub(super) keys: Vec<PublicKey>,
    /// The policies that the authorities allow the leaf, as dotted object identifiers.
    pub(super) policies: Vec<String>,
}

/// Why judging stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The Budget is spent.
    Budget(Error),
    /// The certificate with so many below it in the path breaks a rule.
    Refused(usize, Rule),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Budget(error)
    }
}

/// Judges `path`, leaf first, anchor last. The signatures were found good when the path was built, but for those by keys that inherit their
/// parameters.
pub(super) fn judge(path: &[Certificate], question: &Question<'_>, budget: &mut Budget) -> Result<Judged, Stop> {
    let Some((anchor, certificates)) = path.split_last() else {
        return Ok(Judged { keys: Vec::new(), policies: Vec::new() });
    };
    let Some((leaf, authorities)) = certificates.split_first() else {
        return Ok(Judged { keys: vec![anchor.public_key().clone()], policies: Vec::new() });
    };
    // RFC 5280, section 6.2: the certificate of an anchor limits what it is trusted for. Its signature is not checked.
    alone(anchor, question).map_err(|rule| Stop::Refused(certificates.len(), rule))?;
    let extensions = anchor.extensions();
    let mut walk = Walk {
        constraints: extensions.name_constraints.iter().collect(),
        issuer: anchor,
        keys: vec![anchor.public_key().clone()],
        policies: PolicyGraph::new(&question.policies, anchor, certificates.len()),
        path_length: extensions.basic.and_then(|basic| basic.path_length).unwrap_or(u32::MAX),
        question,
    };
    for (at, certificate) in authorities.iter().enumerate().rev() {
        let refused = |rule| Stop::Refused(at + 1, rule);
        walk.certificate(certificate).map_err(refused)?;
        // Section 6.1.3 (b) and (c): not for authorities that change their own keys.
        if !certificate.is_self_issued() {
            walk.names(certificate, budget)?.map_err(refused)?;
        }
        walk.policies.authority(certificate).map_err(refused)?;
        walk.descend(certificate).map_err(refused)?;
    }
    let refused = |rule| Stop::Refused(0, rule);
    walk.certificate(leaf).map_err(refused)?;
    walk.names(leaf, budget)?.map_err(refused)?;
    let policies = walk.policies.leaf(leaf, &question.policies).map_err(refused)?;
    walk.keys.reverse();
    Ok(Judged { keys: walk.keys, policies })
}

/// The rules for a certificate by itself, independent of its issuers.
pub(super) fn alone(certificate: &Certificate, question: &Question<'_>) -> Result<(), Rule> {
    let extensions = certificate.extensions();
    let (from, until) = certificate.validity();
    if question.at < from {
        return Err(Rule::NotYetValid(from));
    }
    if question.at > until {
        return Err(Rule::Expired(until));
    }
    if let Some(defect) = extensions.defects.first() {
        return Err(Rule::Malformed(defect.clone()));
    }
    if let Some(kind) = extensions.unknown_critical.first() {
        return Err(Rule::CriticalExtension(kind.clone()));
    }
    let [signed, named] = certificate.signature_algorithms();
    if signed != named {
        return Err(Rule::Malformed("two signature algorithms that differ".to_owned()));
    }
    // Section 4.2.1.12 is about the leaf. That the purposes of an authority limit those of the certificates below it is common practice.
    match purpose(question.purpose) {
        Some(purpose) if !certificate.is_for(&purpose) => Err(Rule::Purpose),
        _ => Ok(()),
    }
}

/// Whether the key of `issuer` made the signature of `certificate` (RFC 5280, section 6.1.3 (a)(1)).
pub(super) fn signed(certificate: &Certificate, issuer: &PublicKey) -> Result<(), Rule> {
    let algorithm = algorithm(certificate)?;
    algorithm.verify_message(issuer, certificate.tbs(), certificate.signature()).map_err(|why| match why {
        Unverified::Algorithm => Rule::UnknownAlgorithm(format!("cannot verify {}", algorithm.name(issuer))),
        _ => Rule::Signature,
    })
}

/// Whether an anchor's key may have signed other certificates. Trust in one person's certificate does not make that person an authority: an
/// anchor of version 3 has to say that it is one.
pub(super) fn may_issue(anchor: &Certificate) -> bool {
    anchor.version() == Version::Old || (anchor.is_authority() && signs_certificates(anchor))
}

fn signs_certificates(certificate: &Certificate) -> bool {
    certificate.extensions().key_usage.is_none_or(|usage| usage.has(KeyUsage::CERT_SIGN))
}

fn algorithm(certificate: &Certificate) -> Result<SignatureAlgorithm, Rule> {
    let [algorithm, _] = certificate.signature_algorithms();
    SignatureAlgorithm::parse(algorithm, None).map_err(|error| match error.kind() {
        Kind::Unavailable => Rule::UnknownAlgorithm(error.to_string()),
        _ => Rule::Malformed(error.to_string()),
    })
}

fn purpose(purpose: Purpose) -> Option<ObjectIdentifier> {
    match purpose {
        Purpose::Any => None,
        Purpose::Email | Purpose::Hierarchy => Some(EMAIL_PROTECTION),
    }
}

/// What RFC 5280, section 6.1.2 calls the state variables.
struct Walk<'a> {
    constraints: Vec<&'a NameConstraints>,
    /// The certificate before.
    issuer: &'a Certificate,
    /// Of the anchor and what was walked through.
    keys: Vec<PublicKey>,
    path_length: u32,
    policies: PolicyGraph,
    question: &'a Question<'a>,
}

impl<'a> Walk<'a> {
    /// Section 6.1.3 (a), and 6.1.4 (d) to (f).
    fn certificate(&mut self, certificate: &'a Certificate) -> Result<(), Rule> {
        let key = self.keys.last().unwrap_or(self.issuer.public_key());
        if self.issuer.public_key().inherits() {
            signed(certificate, key)?;
        }
        let algorithm = algorithm(certificate)?;
        match algorithm.strength(key) {
            Strength::Unknown => return Err(Rule::UnknownAlgorithm(format!("cannot verify {}", algorithm.name(key)))),
            Strength::Broken | Strength::Weak if self.question.legacy == Legacy::Refuse => {
                return Err(Rule::WeakAlgorithm(algorithm.name(key)));
            }
            Strength::Broken | Strength::Weak | Strength::Strong => {}
        }
        let key = certificate.public_key().inheriting(key);
        self.keys.push(key);
        self.issuer = certificate;
        alone(certificate, self.question)
    }

    /// Section 6.1.3 (b) and (c).
    fn names(&self, certificate: &Certificate, budget: &mut Budget) -> Result<Result<(), Rule>, Error> {
        let violation = constraints::violation(certificate, &self.constraints, budget)?;
        Ok(violation.map_or(Ok(()), |name| Err(Rule::NameConstraints(name))))
    }

    /// Section 6.1.4 (g), (k) to (n).
    fn descend(&mut self, certificate: &'a Certificate) -> Result<(), Rule> {
        let extensions = certificate.extensions();
        self.constraints.extend(&extensions.name_constraints);
        let basic = extensions.basic.filter(|basic| basic.authority && certificate.version() == Version::Three);
        let by_name = self.question.purpose == Purpose::Hierarchy && certificate.version() == Version::Old;
        if basic.is_none() && !by_name {
            return Err(Rule::NotAuthority);
        }
        if !certificate.is_self_issued() {
            self.path_length = self.path_length.checked_sub(1).ok_or(Rule::PathLength)?;
        }
        self.path_length = self.path_length.min(basic.and_then(|basic| basic.path_length).unwrap_or(u32::MAX));
        if signs_certificates(certificate) { Ok(()) } else { Err(Rule::KeyUsage) }
    }
}
