//! Finds certificate paths, with certificates and revocation information from the message and the store.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};

use super::record;
use crate::{
    base::{Budget, Result},
    keys::{self, Handle, Keys, ProtocolName, Query, Record, Want, Withdrawal},
    pki::{self, Certificate, Path, Policies, PublicKey, Purpose, Question, Refusal, Statements},
    protocol::Context,
};

/// The certificates and revocation information for the paths of one message.
pub(in crate::protocol) struct Chain<'a> {
    context: Context<'a>,
    purpose: Purpose,
    /// One time for the whole message, since the clock advances meanwhile.
    now: SystemTime,
    anchors: Vec<Certificate>,
    intermediates: Vec<Certificate>,
    revocations: Vec<Arc<[u8]>>,
    /// The same, read before.
    statements: Option<&'a Statements<'a>>,
    /// The certificates in the message.
    enclosed: Vec<&'a [u8]>,
    /// Subjects already looked up in the store.
    asked: BTreeSet<Handle>,
    /// Results so far, by fingerprint and time: for many signatures by one certificate, the path is searched and its CRLs are read once.
    found: HashMap<([u8; 32], SystemTime), std::result::Result<Path, Refusal>>,
}

impl<'a> Chain<'a> {
    /// Starts with the certificates, CRLs and OCSP responses of a message. Paths are for [`Purpose::Email`].
    ///
    /// # Errors
    ///
    /// Errors of the keys.
    pub(in crate::protocol) fn new(
        certificates: &[Certificate],
        revocations: &[&'a [u8]],
        context: Context<'a>,
    ) -> Result<Chain<'a>> {
        expect(certificates, context.keys);
        let mut anchors = Vec::new();
        for record in context.keys.anchors()? {
            // An anchor that cannot be read is ignored: no path ends there.
            anchors.extend(certificate(&record).ok());
        }
        Ok(Chain {
            anchors,
            intermediates: not_withdrawn(certificates, context.keys)?,
            revocations: context.keys.revocations()?,
            statements: None,
            enclosed: revocations.to_vec(),
            asked: BTreeSet::new(),
            found: HashMap::new(),
            now: context.clock.now(),
            purpose: Purpose::Email,
            context,
        })
    }

    /// With the CRLs and OCSP responses of the keys, read before: for paths that have nothing else in common.
    pub(in crate::protocol) fn reading(self, statements: &'a Statements<'a>) -> Self {
        Chain { statements: Some(statements), ..self }
    }

    /// Requires another purpose of the certificates in a path.
    pub(in crate::protocol) fn for_purpose(self, purpose: Purpose) -> Self {
        Chain { purpose, ..self }
    }

    /// Starts anew with the certificates of the store, for a leaf that has nothing to do with those before: they count together
    /// ([`Budget::certificates`]). The anchors stay, and so do the paths that were found.
    pub(in crate::protocol) fn forget_issuers(&mut self) {
        self.intermediates.clear();
        self.asked.clear();
    }

    /// Finds a path from `leaf` to an anchor, now. Errors only if the keys cannot be asked, or the Budget is exceeded.
    pub(in crate::protocol) fn path(
        &mut self,
        leaf: &Certificate,
        budget: &mut Budget,
    ) -> Result<std::result::Result<Path, Refusal>> {
        self.path_at(leaf, self.now, budget)
    }

    /// As [`Chain::path`], at a given time.
    pub(in crate::protocol) fn path_at(
        &mut self,
        leaf: &Certificate,
        at: SystemTime,
        budget: &mut Budget,
    ) -> Result<std::result::Result<Path, Refusal>> {
        let asked = (leaf.fingerprint(), at);
        if let Some(found) = self.found.get(&asked) {
            return Ok(found.clone());
        }
        if let Some(refusal) = declared_revoked(leaf, self.context.keys)? {
            return Ok(Err(refusal));
        }
        add_issuers(&mut self.intermediates, &mut self.asked, leaf, self.context.keys, budget)?;
        let revocations: Vec<&[u8]> = self.revocations.iter().map(AsRef::as_ref).collect();
        let question = Question {
            at,
            anchors: &self.anchors,
            intermediates: &self.intermediates,
            revocations: &revocations,
            enclosed: &self.enclosed,
            revocation: self.context.revocation,
            policies: Policies::default(),
            purpose: self.purpose,
            legacy: self.context.legacy,
        };
        // What is fetched is of now.
        let source = self.context.keys.status_source().filter(|_| at == self.now);
        let found = match (source, self.statements) {
            (None, None) => pki::validate(leaf, &question, budget)?,
            (None, Some(statements)) => pki::validate_by(leaf, &question, statements, budget)?,
            (Some(source), _) => pki::validate_asking(leaf, &question, budget, &mut |path| {
                let path: Vec<&[u8]> = path.certificates().iter().map(Certificate::der).collect();
                source.statements_about(&path, None)
            })?,
        };
        self.found.insert(asked, found.clone());
        Ok(found)
    }

    /// The public key of `leaf`. A key that inherits its parameters (RFC 5280, section 6.1.4 (e)) takes them only from
    /// a valid path. Otherwise an attacker could choose them, for instance with a certificate of the issuer's name in
    /// the message, and forge signatures (generator equal to the public number).
    /// The inner error says why there is no path. Errors as [`Chain::path`].
    pub(in crate::protocol) fn key(
        &mut self,
        leaf: &Certificate,
        budget: &mut Budget,
    ) -> Result<std::result::Result<PublicKey, Refusal>> {
        if !leaf.public_key().inherits() {
            return Ok(Ok(leaf.public_key().clone()));
        }
        Ok(self.path(leaf, budget)?.map(|path| path.public_key().clone()))
    }
}

/// Adds issuers of `leaf` and of `certificates` from the store, and their issuers in turn. `asked` are the subjects
/// already looked up. Errors only if the keys cannot be asked.
pub(in crate::protocol) fn add_issuers(
    certificates: &mut Vec<Certificate>,
    asked: &mut BTreeSet<Handle>,
    leaf: &Certificate,
    keys: &dyn Keys,
    budget: &Budget,
) -> Result<()> {
    let mut open: Vec<Certificate> = certificates.clone();
    // Another issuer of a self-signed certificate has the same name and key, and no path holds both (RFC 4158, section 2.4.2).
    open.extend((!leaf.is_self_signed()).then(|| leaf.clone()));
    while let Some(next) = open.pop() {
        let subject = record::subject(next.issuer());
        if !asked.insert(subject.clone()) {
            continue;
        }
        for (record, found) in stored(keys, &subject)? {
            if record.withdrawal().is_some() {
                continue;
            }
            // A large store may hold many certificates with one name. Those over the limit are left out.
            if budget.certificates(certificates.len() + 1).is_err() {
                return Ok(());
            }
            if !certificates.iter().any(|one| one.der() == found.der()) {
                certificates.push(found.clone());
                open.push(found);
            }
        }
    }
    Ok(())
}

/// Why no path may begin with `leaf`, if the owner declared it revoked.
///
/// # Errors
///
/// Errors of the keys.
pub fn declared_revoked(leaf: &Certificate, keys: &dyn Keys) -> Result<Option<Refusal>> {
    let refused = |Withdrawal { reason, since }| Refusal::withdrawn(leaf, format!("{reason}, as declared here"), since);
    Ok(withdrawal(leaf, keys)?.map(refused))
}

/// That the owner declared a certificate revoked, which may have come with a message.
fn withdrawal(certificate: &Certificate, source: &dyn Keys) -> Result<Option<Withdrawal>> {
    let fingerprint = record::fingerprint(certificate);
    let query = Query::new(keys::Purpose::Verify, Want::Certificate(&fingerprint));
    let found = source.find(ProtocolName::Smime, &query)?;
    Ok(found.iter().filter_map(|record| record.withdrawal()).min().copied())
}

/// Tells the keys what the paths of these certificates will ask.
fn expect(certificates: &[Certificate], keys: &dyn Keys) {
    let handles = |one: &Certificate| (record::fingerprint(one), record::subject(one.issuer()));
    let handles: Vec<(Handle, Handle)> = certificates.iter().take(EXPECTED).map(handles).collect();
    let wants = handles.iter().flat_map(|(own, issuer)| [Want::Certificate(own), Want::Handle(issuer)]);
    let queries: Vec<Query<'_>> = wants.map(|want| Query::new(keys::Purpose::Verify, want)).collect();
    keys.expect(ProtocolName::Smime, &queries);
}

/// Without the certificates that the owner declared revoked: no path goes through them.
fn not_withdrawn(certificates: &[Certificate], source: &dyn Keys) -> Result<Vec<Certificate>> {
    let mut left = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        if withdrawal(certificate, source)?.is_none() {
            left.push(certificate.clone());
        }
    }
    Ok(left)
}

/// The certificates in the store that `handle` names, with their records. Unreadable ones are left out.
pub(in crate::protocol) fn stored(source: &dyn Keys, handle: &Handle) -> Result<Vec<(Arc<Record>, Certificate)>> {
    let records = source.find(ProtocolName::Smime, &Query::new(keys::Purpose::Verify, Want::Handle(handle)))?;
    Ok(records.into_iter().filter_map(|record| certificate(&record).ok().map(|read| (record, read))).collect())
}

/// The certificate of a record, parsed once for all messages.
pub(in crate::protocol) fn certificate(record: &Record) -> Result<Certificate> {
    record::certificate(record).map(|read| (*read).clone())
}

/// Certificates of a message whose look-ups are announced. Source: those of a path, and of a second signer.
const EXPECTED: usize = 8;
