//! Paths from a certificate to a trust anchor: built and validated (RFC 5280, section 6; RFC 4158).

use std::time::SystemTime;

use super::{Certificate, PublicKey, Refusal, Revocation, search};
use crate::{
    base::{Budget, Result},
    crypto::Legacy,
    mail::Address,
};

/// What a path is judged by. Anchors are trusted for their name and key alone, as RFC 5280, section 6.1.1 (d) has it: their own times,
/// constraints and revocation do not matter. But an anchor of version 3 that does not say that it is an authority vouches for itself alone.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The time that counts.
    pub at: SystemTime,
    /// Where paths may end.
    pub anchors: &'a [Certificate],
    /// What may lie in between, in any order; from the message and from the store.
    pub intermediates: &'a [Certificate],
    /// CRLs and OCSP responses, DER, of any issuer.
    pub revocations: &'a [&'a [u8]],
    /// How much must be known about revocation.
    pub revocation: Revocation,
    /// The initial policy inputs.
    pub policies: Policies,
    /// What the leaf must be good for.
    pub purpose: Purpose,
    /// Whether signatures by weak or broken algorithms on the path count.
    pub legacy: Legacy,
}

/// The inputs (c) and (e) to (g) of RFC 5280, section 6.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    /// The user-initial-policy-set as dotted object identifiers; empty is any-policy.
    pub initial: Vec<String>,
    /// initial-explicit-policy.
    pub explicit: Require,
    /// initial-policy-mapping-inhibit.
    pub inhibit_mapping: Require,
    /// initial-any-policy-inhibit.
    pub inhibit_any: Require,
}

/// Whether an indicator of RFC 5280, section 6.1.1 is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// It is not.
    #[default]
    Unset,
    /// It is.
    Set,
}

/// What the leaf must be good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Anything: extended key usage is not looked at.
    Any,
    /// Mail: emailProtection, or no extended key usage at all (RFC 8550, section 4.4.4).
    #[default]
    Email,
    /// Classic PEM: as mail, and certificates of version 1, which RFC 1422 knows alone, may be authorities. Its own rule in place of
    /// basicConstraints, that names are subordinate, is for who asks to check.
    Hierarchy,
}

/// A path that was found valid. Made by [`validate`] alone.
#[derive(Clone, Debug)]
pub struct Path {
    pub(super) certificates: Vec<Certificate>,
    pub(super) key: PublicKey,
    pub(super) mailboxes: Vec<Address>,
    pub(super) policies: Vec<String>,
}

impl Path {
    /// From the leaf to the anchor, both included; one certificate when the leaf is an anchor.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The key of the leaf, with the parameters that it inherits (RFC 5280, section 6.1.5 (c) to (e)).
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The mailboxes of the leaf that the path's name constraints permit: all that it names, or the path would not be valid.
    pub fn mailboxes(&self) -> &[Address] {
        &self.mailboxes
    }

    /// The authority-constrained policies as dotted object identifiers, in order; none when the leaf is an anchor.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }
}

/// Finds a path from `leaf` to an anchor and validates it. The inner error says which certificate and which rule; the outer one only
/// that the Budget is spent.
pub fn validate(
    leaf: &Certificate,
    question: &Question<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<Path, Refusal>> {
    search::find(leaf, question, budget)
}
