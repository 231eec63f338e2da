//! Alignment: the author shown is one whom a trust path authenticated.

use super::finding::Signature;
use crate::mail::Address;

/// Evidence that a signature's authenticated address equals the author shown. Made in this file alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aligned(Address);

impl Aligned {
    /// The author.
    pub fn author(&self) -> &Address {
        &self.0
    }
}

/// Aligns a signature with the author: equal as mailboxes, never by display name, comment or domain alone (DESIGN 3).
pub(super) fn align(author: Option<&Address>, signature: &Signature) -> Option<Aligned> {
    let author = author?;
    signature.authenticated.iter().any(|one| one.address() == author).then(|| Aligned(author.clone()))
}
