//! The certificates between a certificate and a trust anchor: those that are here, and those that are fetched.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use super::Statuses;
use crate::{
    base::{Budget, Limits, Result},
    discover::http::{Bounds, Plain},
    keys::{Handle, Keys, ProtocolName, Query, Record, Want},
    pki::{self, Certificate, Path, Policies, Purpose, Question, Refusal, Revocation, Rule},
    protocol::smime::record,
};

/// Reads the certificates in the octets of a file, which has this name.
pub type ReadCertificates = fn(&str, &[u8], &Limits) -> Result<Vec<Arc<Record>>>;

/// A path to a trust anchor, and what was fetched for it.
#[derive(Debug)]
pub struct FetchedPath {
    /// The path, or why there is none.
    pub path: std::result::Result<Path, Refusal>,
    /// The certificates of the path that were fetched.
    pub fetched: Vec<Certificate>,
    /// The places that had none, each with the reason.
    pub failures: Vec<String>,
}

/// The certificates of `keys` that may be issuers of `leaf` or of those in `here`, found by issuer name.
///
/// # Errors
///
/// Those of `keys`; `Malformed`: a certificate there cannot be read.
pub fn issuers(leaf: &Certificate, here: &[Certificate], keys: &dyn Keys) -> Result<Vec<Certificate>> {
    let mut found: Vec<Certificate> = Vec::new();
    let mut asked: BTreeSet<Handle> = BTreeSet::new();
    let mut wanted: Vec<Handle> = [leaf].into_iter().chain(here).map(|one| record::subject(one.issuer())).collect();
    while let Some(name) = wanted.pop() {
        if asked.insert(name.clone()) {
            for issuer in parsed(&keys.find(ProtocolName::Smime, &Query::manage(Want::Handle(&name)))?)? {
                wanted.push(record::subject(issuer.issuer()));
                found.push(issuer);
            }
        }
    }
    Ok(found)
}

impl Statuses {
    /// The path of a certificate, whatever its status. Issuers that are neither here nor among `beside` are fetched from where certificates say
    /// (caIssuers), each request by a deadline of its own. They are part of a path and never its end.
    ///
    /// # Errors
    ///
    /// What is here cannot be read.
    pub fn path(&self, leaf: &Certificate, beside: &[Certificate], read: ReadCertificates) -> Result<FetchedPath> {
        let mut fetched: Vec<Certificate> = Vec::new();
        let mut failures = Vec::new();
        let mut path = self.path_with(leaf, beside, &fetched)?;
        for _ in 0..MAX_ISSUERS {
            let Err(refusal) = &path else { break };
            let Rule::NoIssuer = refusal.rule() else { break };
            let before = fetched.len();
            for issuer in self.issuers_of(refusal.certificate(), read, &mut failures)? {
                if !beside.contains(&issuer) && !fetched.contains(&issuer) {
                    fetched.push(issuer);
                }
            }
            if fetched.len() == before {
                break;
            }
            path = self.path_with(leaf, beside, &fetched)?;
        }
        // What led nowhere is of no use to anybody.
        fetched.retain(|one| path.as_ref().is_ok_and(|path| path.certificates().contains(one)));
        Ok(FetchedPath { path, fetched, failures })
    }

    fn path_with(
        &self,
        leaf: &Certificate,
        beside: &[Certificate],
        fetched: &[Certificate],
    ) -> Result<std::result::Result<Path, Refusal>> {
        let keys = self.local.keys.as_ref();
        let anchors = parsed(&keys.anchors()?)?;
        let mut intermediates = [beside, fetched].concat();
        intermediates.extend(issuers(leaf, &intermediates, keys)?);
        let question = Question {
            at: self.now(),
            anchors: &anchors,
            intermediates: &intermediates,
            revocations: &[],
            enclosed: &[],
            revocation: Revocation::Off,
            policies: Policies::default(),
            purpose: Purpose::Any,
            legacy: self.local.legacy,
        };
        pki::validate(leaf, &question, &mut Budget::new(self.local.limits.clone()))
    }

    /// The certificates at the caIssuers URLs that have the issuer's name.
    fn issuers_of(
        &self,
        certificate: &Certificate,
        read: ReadCertificates,
        failures: &mut Vec<String>,
    ) -> Result<Vec<Certificate>> {
        let mut found = Vec::new();
        for url in certificate.issuer_urls() {
            let deadline = Instant::now() + self.local.limits.network;
            // What is fetched is signed by itself.
            let bounds = Bounds { octets: MAX_CERTIFICATES, deadline, plain: Plain::Allow };
            let octets = match self.local.network.get(&url, &bounds) {
                Ok(octets) => octets,
                Err(failure) => {
                    failures.push(format!("{url}: {failure}"));
                    continue;
                }
            };
            match read(&url, &octets, &self.local.limits).and_then(|records| parsed(&records)) {
                Ok(named) => found.extend(named.into_iter().filter(|one| one.subject() == certificate.issuer())),
                Err(error) => failures.push(error.to_string()),
            }
        }
        Ok(found)
    }
}

fn parsed(records: &[Arc<Record>]) -> Result<Vec<Certificate>> {
    records.iter().map(|record| Certificate::parse(record.bytes())).collect()
}

/// Issuers that one path may lack. Source: an authority has two certificates below its root.
const MAX_ISSUERS: usize = 4;
/// Octets. Source: a bundle of authorities has some hundred certificates.
const MAX_CERTIFICATES: usize = 1024 * 1024;
