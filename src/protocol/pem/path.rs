//! The certification path of RFC 1422: RFC 5280 as for all mail, with subordinate names.

use std::collections::BTreeSet;

use crate::{
    base::{Budget, Result},
    mail::Address,
    pki::{Certificate, Purpose},
    protocol::{
        Context,
        x509::{
            NoPath,
            chain::{self, Chain},
        },
    },
};

/// The mailboxes that a path from `leaf` to a trust anchor ties to its key, at the time of `context.clock`. `enclosed` are
/// the certificates in the message. The inner error says why there is no path. Errors only if the keys cannot be asked, or
/// the Budget is exceeded.
pub(super) fn mailboxes(
    leaf: &Certificate,
    enclosed: &[Certificate],
    context: Context<'_>,
    budget: &mut Budget,
) -> Result<std::result::Result<Vec<Address>, NoPath>> {
    let mut chain = Chain::new(enclosed, &[], context)?.for_purpose(Purpose::Hierarchy);
    Ok(match chain.path(leaf, budget)? {
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
/// RFC 1422, section 3.6 exempts certificates issued by the IPRA and the PCAs. A self-issued anchor is an IPRA, and the
/// certificates directly below it are PCAs. Any other anchor is a PCA.
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

/// The certificates of the message and, from the store, the issuers of `leaf` and of those certificates.
pub(super) fn issuers(
    leaf: &Certificate,
    enclosed: &[Certificate],
    context: Context<'_>,
    budget: &Budget,
) -> Result<Vec<Certificate>> {
    let mut found = enclosed.to_vec();
    chain::add_issuers(&mut found, &mut BTreeSet::new(), leaf, context.keys, budget)?;
    Ok(found)
}
