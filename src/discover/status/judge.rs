//! What statements say of a certificate.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use super::{Asked, Occasion, Status, Statuses, issuers, locked};
use crate::{
    base::{Budget, Result},
    pki::{self, Certificate, Policies, Purpose, Question, Revocation, Rule},
};

/// What says that a certificate is good.
#[derive(Clone)]
pub(super) struct Proof {
    statement: Arc<[u8]>,
    until: SystemTime,
}

impl Statuses {
    /// What the statements say of the certificate now, or why they say nothing.
    pub(super) fn judged(
        &self,
        asked: &Asked<'_>,
        statements: &[Arc<[u8]>],
    ) -> Result<std::result::Result<Status, String>> {
        let statements: Vec<&[u8]> = statements.iter().map(AsRef::as_ref).collect();
        let mut signers = [asked.path, asked.beside].concat();
        signers.extend(issuers(asked.certificate, asked.path, self.local.keys.as_ref())?);
        let question = Question {
            at: self.now(),
            // The path was found already. The issuer stands for it.
            anchors: std::slice::from_ref(asked.issuer),
            intermediates: &signers,
            revocations: &statements,
            enclosed: &[],
            revocation: Revocation::Hard,
            policies: Policies::default(),
            purpose: Purpose::Any,
            legacy: self.local.legacy,
        };
        let mut budget = Budget::new(self.local.limits.clone());
        Ok(match pki::validate(asked.certificate, &question, &mut budget)? {
            Ok(_) => Ok(Status::Good),
            Err(refusal) => match refusal.rule() {
                Rule::Revoked { .. } => Ok(Status::Revoked),
                rule => Err(rule.to_string()),
            },
        })
    }

    /// The statements that say what the status of the first certificate of a path is, if that can be found out.
    pub(super) fn proof(&self, path: &[Certificate], deadline: Instant) -> Result<Vec<Arc<[u8]>>> {
        let asked = Asked::of(path, &[])?;
        let key = [asked.certificate.fingerprint(), asked.issuer.fingerprint()];
        let now = self.now();
        if let Some(proof) = locked(&self.proofs).get(&key).filter(|proof| now < proof.until) {
            return Ok(vec![Arc::clone(&proof.statement)]);
        }
        let Ok(status) = self.status(path, &[], Occasion::Mail, deadline)?.status else { return Ok(Vec::new()) };
        let all = self.statements()?;
        for statement in &all {
            if self.judged(&asked, std::slice::from_ref(statement))? != Ok(status) {
                continue;
            }
            if let (Status::Good, Some((_, until))) = (status, pki::period(statement)) {
                let mut proofs = locked(&self.proofs);
                if proofs.len() >= MAX_PROOFS {
                    proofs.clear();
                }
                proofs.insert(key, Proof { statement: Arc::clone(statement), until });
            }
            return Ok(vec![Arc::clone(statement)]);
        }
        // They say it together.
        Ok(all)
    }
}

/// Certificates whose proof is remembered. Source: with it, a message costs no second reading of the lists; each takes some 100 octets.
const MAX_PROOFS: usize = 10_000;
