//! What statements say of a certificate.

use std::{sync::Arc, time::SystemTime};

use super::issuers;
use crate::{
    base::{Budget, Error, Limits, Result},
    crypto::Legacy,
    keys::Keys,
    pki::{self, Certificate, Policies, Purpose, Question, Revocation, Rule},
};

/// Whether a certificate is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is not.
    Good,
    /// It is.
    Revoked,
}

impl Status {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Status::Good => "good",
            Status::Revoked => "revoked",
        }
    }
}

/// The certificate that is asked about, and what it is judged with.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) certificate: &'a Certificate,
    pub(super) issuer: &'a Certificate,
    /// From the certificate to the trust anchor.
    pub(super) path: &'a [Certificate],
    /// Other certificates that may have signed lists.
    pub(super) beside: &'a [Certificate],
}

impl<'a> Asked<'a> {
    pub(super) fn of(path: &'a [Certificate], beside: &'a [Certificate]) -> Result<Asked<'a>> {
        match path {
            [certificate, issuer, ..] => Ok(Asked { certificate, issuer, path, beside }),
            _ => Err(Error::usage("the status of a certificate needs its issuer")),
        }
    }
}

/// What says that a certificate is good.
#[derive(Clone)]
pub(super) struct Proof {
    pub(super) statement: Arc<[u8]>,
    pub(super) until: SystemTime,
}

/// Judges as of a time, with the certificates of this machine.
pub(super) struct Judge<'a> {
    pub(super) keys: &'a dyn Keys,
    pub(super) at: SystemTime,
    pub(super) legacy: Legacy,
    pub(super) limits: &'a Limits,
}

impl Judge<'_> {
    /// What the statements say of the certificate, or why they say nothing.
    pub(super) fn judged(
        &self,
        asked: &Asked<'_>,
        statements: &[Arc<[u8]>],
    ) -> Result<std::result::Result<Status, String>> {
        let statements: Vec<&[u8]> = statements.iter().map(AsRef::as_ref).collect();
        let mut signers = [asked.path, asked.beside].concat();
        signers.extend(issuers(asked.certificate, asked.path, self.keys)?);
        let question = Question {
            at: self.at,
            // The path was found already. The issuer stands for it.
            anchors: std::slice::from_ref(asked.issuer),
            intermediates: &signers,
            revocations: &statements,
            enclosed: &[],
            revocation: Revocation::Hard,
            policies: Policies::default(),
            purpose: Purpose::Any,
            legacy: self.legacy,
        };
        let mut budget = Budget::new(self.limits.clone());
        Ok(match pki::validate(asked.certificate, &question, &mut budget)? {
            Ok(_) => Ok(Status::Good),
            Err(refusal) => match refusal.rule() {
                Rule::Revoked { .. } => Ok(Status::Revoked),
                rule => Err(rule.to_string()),
            },
        })
    }
}
