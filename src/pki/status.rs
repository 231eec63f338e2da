//! The status of a certificate, and what a check of it is given.

use std::{cell::RefCell, fmt, time::SystemTime};

use super::{Certificate, Name, PublicKey, SignatureAlgorithm};
use crate::{
    base::{Budget, Result},
    crypto::{Hash, Legacy, Strength},
};

/// What is known of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// An authorized signer states that it is not revoked.
    Good,
    /// It is revoked.
    Revoked(Revoked),
    /// There is no current statement; the text names the reason, the RFC and the section.
    Unknown(String),
}

/// That a certificate is revoked, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Revoked {
    /// Why.
    pub(super) reason: Reason,
    /// When its issuer processed the revocation.
    pub(super) since: SystemTime,
}

impl Revoked {
    /// After every [`rank`](Revoked::rank).
    pub(super) const LAST: (u8, SystemTime, Reason) = (2, SystemTime::UNIX_EPOCH, Reason::Unspecified);

    /// Orders revocations, the one that is reported first: for good, then on hold; each the earliest.
    pub(super) fn rank(&self) -> (u8, SystemTime, Reason) {
        (u8::from(self.reason == Reason::Hold), self.since, self.reason)
    }
}

/// CRLReason (RFC 5280, section 5.3.1), but removeFromCRL, which revokes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    AffiliationChanged,
    AttributeAuthorityCompromise,
    AuthorityCompromise,
    CessationOfOperation,
    Hold,
    KeyCompromise,
    PrivilegeWithdrawn,
    Superseded,
    Unspecified,
}

impl Reason {
    /// Reads the number; what RFC 5280 does not name is unspecified. `None` for removeFromCRL.
    pub(super) fn of_number(number: u8) -> Option<Reason> {
        Some(match number {
            1 => Reason::KeyCompromise,
            2 => Reason::AuthorityCompromise,
            3 => Reason::AffiliationChanged,
            4 => Reason::Superseded,
            5 => Reason::CessationOfOperation,
            6 => Reason::Hold,
            8 => return None,
            9 => Reason::PrivilegeWithdrawn,
            10 => Reason::AttributeAuthorityCompromise,
            _ => Reason::Unspecified,
        })
    }
}

impl fmt::Display for Reason {
    /// `key compromised`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::AffiliationChanged => "affiliation changed",
            Reason::AttributeAuthorityCompromise => "attribute authority compromised",
            Reason::AuthorityCompromise => "certification authority compromised",
            Reason::CessationOfOperation => "no longer in use",
            Reason::Hold => "on hold",
            Reason::KeyCompromise => "key compromised",
            Reason::PrivilegeWithdrawn => "privilege withdrawn",
            Reason::Superseded => "superseded",
            Reason::Unspecified => "no reason given",
        })
    }
}

/// Where a statement came from. A later one is trusted more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The message that is judged.
    Message,
    /// The owner of this machine: the home, or a file that the command line names.
    Owner,
}

/// How much of a signed statement counts, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// Only that certificates are revoked. The algorithm of its signature is weak: a collision could make a certificate look good, and to make one
    /// look revoked has no use for an attacker. Or it is not known whether the signer's own certificate is revoked, and that has to be known.
    Revocations,
    /// Everything that it says.
    Everything,
}

/// The context of a status check.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The time that counts.
    pub(super) at: SystemTime,
    /// Whether signatures by weak or broken algorithms count.
    pub(super) legacy: Legacy,
    /// Who else may have signed.
    pub(super) signers: &'a dyn Signers,
}

/// The issuer of a certificate, as a path found it.
#[derive(Clone, Copy)]
pub(super) struct Issuer<'a> {
    pub(super) certificate: &'a Certificate,
    /// Its key, with the parameters that it inherits.
    pub(super) key: &'a PublicKey,
}

/// What a statement says of the certificate of its issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerId {
    /// The SHA-1 of its public key.
    Key(Vec<u8>),
    /// Its subject.
    Name(Name),
}

/// Finds the certificates of CRL signers that are not the issuers on the path: indirect CRLs, separate keys, keys rolled over.
pub(super) trait Signers {
    /// Certificates with that subject, from the message and the store, and the anchor of the path if it has that name.
    fn named(&self, subject: &Name) -> Vec<Certificate>;

    /// The key of `signer` with the parameters that it inherits, if a path from it holds to the anchor at which the path in question ends
    /// (RFC 5280, section 6.3.3 (f)), for any purpose and policy, with the status of each certificate on it; and how much of what it signs
    /// counts. An error means that the Budget is spent.
    fn key(&self, signer: &Certificate, budget: &mut Budget) -> Result<Option<(PublicKey, Worth)>>;
}

/// No CRL signers but the issuer.
pub(super) struct NoSigners;

impl Signers for NoSigners {
    fn named(&self, _: &Name) -> Vec<Certificate> {
        Vec::new()
    }

    fn key(&self, _: &Certificate, _: &mut Budget) -> Result<Option<(PublicKey, Worth)>> {
        Ok(None)
    }
}

/// Signed octets: a CRL or an OCSP response.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    octets: &'a [u8],
    algorithm: SignatureAlgorithm,
    signature: &'a [u8],
    /// Of the octets, made when first needed, and `None` within when they were made to collide with others: there may be a megabyte of them, and several candidates for the key.
    digest: RefCell<Option<Option<Vec<u8>>>>,
}

impl<'a> Sealed<'a> {
    /// `algorithm` is an AlgorithmIdentifier; an error when it is not supported.
    pub(super) fn new(octets: &'a [u8], algorithm: &[u8], signature: &'a [u8]) -> Result<Self> {
        let algorithm = SignatureAlgorithm::parse(algorithm, None)?;
        Ok(Sealed { octets, algorithm, signature, digest: RefCell::new(None) })
    }

    /// How far it counts with a signature by `key`; `None` when `key` did not sign it, or with broken algorithms that are not admitted.
    pub(super) fn is_by(&self, key: &PublicKey, legacy: Legacy, budget: &mut Budget) -> Result<Option<Worth>> {
        let worth = match (legacy, self.algorithm.strength(key)) {
            (Legacy::Admit, _) | (Legacy::Refuse, Strength::Strong) => Worth::Everything,
            (Legacy::Refuse, Strength::Weak) => Worth::Revocations,
            // Bad news counts by SHA-1 too: many authorities signed their lists so for long.
            (Legacy::Refuse, Strength::Broken) if self.algorithm.hash() == Some(Hash::Sha1) => Worth::Revocations,
            (Legacy::Refuse, _) => return Ok(None),
        };
        // They are hashed once, unless the algorithm takes nothing less than all of them.
        let octets = if self.digest.borrow().is_some() { 0 } else { self.octets.len() };
        budget.path_signature(key.algorithm().cost(), octets)?;
        let Some(hash) = self.algorithm.hash() else {
            return Ok(self.algorithm.verify(key, self.octets, self.signature).is_ok().then_some(worth));
        };
        let mut digest = self.digest.borrow_mut();
        let digest = digest.get_or_insert_with(|| hash.guarded_digest(self.octets));
        let is_right = |digest: &[u8]| self.algorithm.verify(key, digest, self.signature).is_ok();
        Ok(digest.as_deref().is_some_and(is_right).then_some(worth))
    }
}
