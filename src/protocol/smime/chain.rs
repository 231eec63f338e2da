//! What a certificate path may be made of: certificates from the message and the store, and what their issuers say of them.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use super::record;
use crate::{
    base::{Budget, Result},
    keys::{Handle, Keys, ProtocolName, Record, Want},
    pki::{self, Certificate, Path, Policies, PublicKey, Purpose, Question, Refusal},
    protocol::Context,
};

/// Everything that paths from the certificates of one message are built from.
pub(super) struct Chain<'a> {
    context: Context<'a>,
    /// One time for all of them: the clock goes on while a long list is read.
    now: SystemTime,
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    revocations: Vec<Arc<[u8]>>,
    /// Those of the message.
    enclosed: Vec<&'a [u8]>,
    /// Subjects that the store was asked for.
    asked: BTreeSet<Handle>,
    /// What was found: many signatures by one certificate cost one path, and one reading of its issuer's CRL.
    found: Vec<(Certificate, SystemTime, std::result::Result<Path, Refusal>)>,
}

impl<'a> Chain<'a> {
    /// From the certificates, CRLs and OCSP responses of a message.
    pub(super) fn new(
        certificates: &[Certificate],
        revocations: &[&'a [u8]],
        context: Context<'a>,
    ) -> Result<Chain<'a>> {
        let mut anchors = Vec::new();
        for record in context.keys.anchors()? {
            // An anchor that cannot be read is one that no path ends at.
            anchors.extend(certificate(&record).ok());
        }
        Ok(Chain {
            anchors,
            intermediates: certificates.to_vec(),
            revocations: context.keys.revocations()?,
            enclosed: revocations.to_vec(),
            asked: BTreeSet::new(),
            found: Vec::new(),
            now: context.clock.now(),
            context,
        })
    }

    /// Finds a path from `leaf` to an anchor, now. Errors only when the keys cannot be asked, or the Budget is spent.
    pub(super) fn path(
        &mut self,
        leaf: &Certificate,
        budget: &mut Budget,
    ) -> Result<std::result::Result<Path, Refusal>> {
        self.path_at(leaf, self.now, budget)
    }

    /// As [`Chain::path`], at a time.
    pub(super) fn path_at(
        &mut self,
        leaf: &Certificate,
        at: SystemTime,
        budget: &mut Budget,
    ) -> Result<std::result::Result<Path, Refusal>> {
        if let Some((_, _, found)) = self.found.iter().find(|(other, then, _)| other == leaf && *then == at) {
            return Ok(found.clone());
        }
        self.complete(leaf, budget)?;
        let revocations: Vec<&[u8]> = self.revocations.iter().map(AsRef::as_ref).collect();
        let question = Question {
            at,
            anchors: &self.anchors,
            intermediates: &self.intermediates,
            revocations: &revocations,
            enclosed: &self.enclosed,
            revocation: self.context.revocation,
            policies: Policies::default(),
            purpose: Purpose::Email,
            legacy: self.context.legacy,
        };
        let found = pki::validate(leaf, &question, budget)?;
        self.found.push((leaf.clone(), at, found.clone()));
        Ok(found)
    }

    /// The key of `leaf`. One that inherits its parameters (RFC 5280, section 6.1.4 (e)) has them from a path that holds, and from nowhere else:
    /// whoever may choose them, as with a certificate of the issuer's name in the message, signs for everybody (generator = public number).
    /// The inner error says why there is no path. Errors as [`Chain::path`].
    pub(super) fn key(
        &mut self,
        leaf: &Certificate,
        budget: &mut Budget,
    ) -> Result<std::result::Result<PublicKey, Refusal>> {
        if !leaf.public_key().inherits() {
            return Ok(Ok(leaf.public_key().clone()));
        }
        Ok(self.path(leaf, budget)?.map(|path| path.public_key().clone()))
    }

    /// Adds issuers from the store until no certificate at hand lacks one that is there.
    fn complete(&mut self, leaf: &Certificate, budget: &Budget) -> Result<()> {
        let mut open: Vec<Certificate> = self.intermediates.clone();
        // Another issuer of a self-signed certificate has the same name and key, and no path holds both (RFC 4158, section 2.4.2).
        open.extend((!leaf.is_self_signed()).then(|| leaf.clone()));
        while let Some(next) = open.pop() {
            let subject = record::subject(next.issuer());
            if !self.asked.insert(subject.clone()) {
                continue;
            }
            for found in stored(self.context.keys, &subject)? {
                // A store of a whole country's certificates may hold many of one name: what is over the bound stays out.
                if budget.certificates(self.intermediates.len() + 1).is_err() {
                    return Ok(());
                }
                if !self.intermediates.iter().any(|one| one.der() == found.1.der()) {
                    self.intermediates.push(found.1.clone());
                    open.push(found.1);
                }
            }
        }
        Ok(())
    }
}

/// The certificates in the store that `handle` names, with their records. Those that cannot be read are left out.
pub(super) fn stored(keys: &dyn Keys, handle: &Handle) -> Result<Vec<(Arc<Record>, Certificate)>> {
    let records = keys.find(ProtocolName::Smime, &Want::Handle(handle))?;
    Ok(records.into_iter().filter_map(|record| certificate(&record).ok().map(|read| (record, read))).collect())
}

/// A record's certificate, read once for all messages.
pub(super) fn certificate(record: &Record) -> Result<Certificate> {
    record::certificate(record).map(|read| (*read).clone())
}
