//! The author to sign as, and the recipients to hide, by the header of the message.

use std::collections::HashSet;

use crate::{
    base::{Error, Hint, Result},
    mail::{Address, Part, address, header},
};

/// The author to sign as; `NoKey` when From does not have exactly one mailbox.
pub(super) fn author(root: Part<'_>) -> Result<Address> {
    header::author(root)
        .map_err(|why| Error::no_key(format!("no author to sign as: {why}")).with_hint(Hint::NameSigner))
}

/// What to say of a Bcc field in a message that is encrypted; `None` when there is none.
pub(super) fn bcc_warning(root: Part<'_>) -> Option<String> {
    let warning = "the bcc field is left out; give its addresses to whatever sends the message";
    root.fields().any(|field| field.is("Bcc")).then(|| warning.to_owned())
}

/// Recipients that must not show in another recipient's copy: those named in Bcc alone (RFC 5322, section 3.6.3).
pub(super) struct Blind {
    open: HashSet<Address>,
    /// `None`: a Bcc field cannot be read, and may name any address.
    bcc: Option<HashSet<Address>>,
}

impl Blind {
    /// Reads To, Cc and Bcc.
    pub(super) fn of(root: Part<'_>) -> Self {
        let mut blind = Blind { open: HashSet::new(), bcc: Some(HashSet::new()) };
        for field in root.fields() {
            let read = || address::list(&field.unfolded()).ok();
            if field.is("To") || field.is("Cc") {
                // A list that cannot be read names no recipient: when in doubt, hide.
                blind.open.extend(read().unwrap_or_default().into_iter().map(|mailbox| mailbox.address));
            } else if field.is("Bcc") {
                blind.bcc = blind.bcc.zip(read()).map(|(mut all, list)| {
                    all.extend(list.into_iter().map(|mailbox| mailbox.address));
                    all
                });
            }
        }
        blind
    }

    /// Whether `address` must not be seen.
    pub(super) fn hides(&self, address: &Address) -> bool {
        let listed = self.bcc.as_ref().is_none_or(|list| list.contains(address));
        listed && !self.open.contains(address)
    }
}
