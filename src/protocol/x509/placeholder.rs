//! Self-signed certificates that only stand in for one that an authority is to issue.

use crate::{keys::Binding, mail::Address, pki::Certificate, protocol::select::Copies};

/// A certificate that was found for an address, as the selections of S/MIME and PEM have it.
pub(in crate::protocol) trait Found {
    /// The certificate; `None` if it cannot be read, or there is none.
    fn certificate(&self) -> Option<&Certificate>;

    /// Its copies in the key store.
    fn stored(&mut self) -> &mut Copies;
}

/// Whether the certificate is one of the owner's that its own key signed.
pub(in crate::protocol) fn is_placeholder(certificate: Option<&Certificate>, copies: &Copies) -> bool {
    copies.has_secrets() && certificate.is_some_and(Certificate::is_self_signed)
}

/// The candidates without the owner's self-signed certificates for whose key an authority issued one: that takes the place, and the owner's trust, of
/// what `key request` made to ask for it.
pub(in crate::protocol) fn replaced<F: Found>(found: Vec<F>, address: &Address) -> Vec<F> {
    let (mut left, mut placeholders) = (Vec::new(), Vec::new());
    for mut one in found {
        let certificate = one.certificate().cloned();
        match is_placeholder(certificate.as_ref(), one.stored()) {
            true => placeholders.push(one),
            false => left.push(one),
        }
    }
    for mut placeholder in placeholders {
        let key = placeholder.certificate().map(|certificate| certificate.public_key().clone());
        let is_bound = placeholder.stored().is_bound_to(address);
        let mut is_replaced = false;
        for one in &mut left {
            let own = one.certificate().map(|certificate| certificate.public_key().clone());
            if own == key && one.stored().has_secrets() {
                is_replaced = true;
                if is_bound {
                    one.stored().bind(&Binding::Address(address.clone()));
                }
            }
        }
        if !is_replaced {
            left.push(placeholder);
        }
    }
    left
}
