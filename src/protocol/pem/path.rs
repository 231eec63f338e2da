//! The certification path of RFC 1422: RFC 5280 as for all mail, and that names are subordinate.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    base::{Budget, Result},
    crypto::Hash,
    keys::{Handle, ProtocolName, Want},
    mail::Address,
    pki::{self, Certificate, Name, Policies, Purpose, Question},
    protocol::{Context, x509::NoPath},
};

/// The mailboxes that a path from `leaf` to a trust anchor ties to its key; the inner error says why there is no path. `enclosed` are the
/// certificates that came with the message, and `context.clock` says at what time. Errors only when the keys cannot be asked, or the Budget is spent.
pub(super) fn mailboxes(
    leaf: &Certificate,
    enclosed: &[Certificate],
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<Vec<Address>, NoPath>> {
    let anchors: Vec<Certificate> = context.keys.anchors()?.iter().filter_map(|record| read(record)).collect();
    let intermediates = issuers(leaf, enclosed, context, budget)?;
    let revocations: Vec<Arc<[u8]>> = context.keys.revocations()?;
    let revocations: Vec<&[u8]> = revocations.iter().map(AsRef::as_ref).collect();
    let question = Question {
        at: context.clock.now(),
        anchors: &anchors,
        intermediates: &intermediates,
        revocations: &revocations,
        enclosed: &[],
        revocation: context.revocation,
        policies: Policies::default(),
        purpose: Purpose::Hierarchy,
        legacy: context.legacy,
    };
    Ok(match pki::validate(leaf, &question, budget)? {
        Ok(path) => match insubordinate(path.certificates()) {
            None => Ok(path.mailboxes().to_vec()),
            Some(name) => Err(NoPath {
                reason: format!("certificate {name:?}: not below the name of its issuer (RFC 1422, section 3.6)"),
                rule_of_leaf: None,
                is_violation: true,
            }),
        },
        Err(refusal) => Err(refusal.into()),
    })
}

/// The subject of the first certificate whose name is not below its issuer's, from the leaf to the anchor.
///
/// RFC 1422, section 3.6 exempts what the IPRA and the PCAs issue. An anchor that issued itself is an IPRA, and those right below it are PCAs;
/// any other anchor is a PCA.
fn insubordinate(path: &[Certificate]) -> Option<String> {
    let exempt = match path.last() {
        Some(anchor) if anchor.is_self_issued() => 2,
        _ => 1,
    };
    let pairs = path.iter().zip(path.iter().skip(1));
    let mut bound = pairs.take(path.len().saturating_sub(1 + exempt));
    let found = bound.find(|(subject, issuer)| !subject.subject().is_within(issuer.subject()));
    found.map(|(subject, _)| subject.subject().to_string())
}

/// The certificates of the message and, from the store, the issuers of those at hand.
pub(super) fn issuers(
    leaf: &Certificate,
    enclosed: &[Certificate],
    context: Context<'_>,
    budget: &Budget,
) -> Result<Vec<Certificate>> {
    let mut found = enclosed.to_vec();
    // Another issuer of a self-signed certificate has the same name and key, and no path holds both (RFC 4158, section 2.4.2).
    let asking = Some(leaf).filter(|leaf| !leaf.is_self_signed());
    let mut open: Vec<Certificate> = enclosed.iter().chain(asking).cloned().collect();
    let mut asked = BTreeSet::new();
    while let Some(next) = open.pop() {
        let subject = handle(next.issuer());
        if !asked.insert(subject.clone()) {
            continue;
        }
        for record in context.keys.find(ProtocolName::Smime, &Want::Handle(&subject))? {
            // What is over the bound stays out, as in a store that has many of one name.
            if budget.certificates(found.len() + 1).is_err() {
                return Ok(found);
            }
            let Some(certificate) = read(&record) else { continue };
            if !found.contains(&certificate) {
                found.push(certificate.clone());
                open.push(certificate);
            }
        }
    }
    Ok(found)
}

/// How records of X.509 certificates are found by their subject.
pub(super) fn handle(name: &Name) -> Handle {
    Handle::from_octets(&Hash::Sha256.digest(name.normal()))
}

fn read(record: &crate::keys::Record) -> Option<Certificate> {
    let certificate = record.bytes.read(Certificate::parse).ok()?;
    Some(Certificate::clone(&certificate))
}
