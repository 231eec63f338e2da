//! Bindings of certificates to addresses, as the text that a key store stores.

use crate::{
    base::{Error, Result, parse_rfc3339, rfc3339},
    keys::{Binding, RevocationReason, Withdrawal},
    mail::Address,
};

/// Where a binding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The key was made here.
    Generated,
    /// The owner trusts it (`key trust`).
    Trusted,
}

impl Origin {
    /// Its name in the store.
    pub(super) fn name(self) -> &'static str {
        match self {
            Origin::Generated => "generated",
            Origin::Trusted => "trusted",
        }
    }
}

/// The address of a binding, `anchor` for a trust anchor, `*` for the user IDs of the certificate, or `revoked`, a reason and a time for one that the
/// owner declared revoked.
///
/// # Errors
///
/// `Usage` for an address that would be another one when it is read again, and for what is not the owner's decision.
pub(super) fn written(binding: &Binding) -> Result<String> {
    let text = match binding {
        Binding::Address(address) => address.to_string(),
        Binding::Anchor => ANCHOR.to_owned(),
        Binding::Revoked(Withdrawal { reason, since }) => format!("{REVOKED}{} {}", reason.name(), rfc3339(*since)),
        Binding::UserIds => USER_IDS.to_owned(),
        Binding::Found { .. } => return Err(Error::usage(format!("{binding:?}: not a decision of the owner"))),
    };
    if read(&text).as_ref() == Some(binding) {
        Ok(text)
    } else {
        Err(Error::usage(format!("{binding:?}: cannot be written down")))
    }
}

/// Reads what [`written`] returned.
pub(super) fn read(text: &str) -> Option<Binding> {
    Some(match text {
        ANCHOR => Binding::Anchor,
        USER_IDS => Binding::UserIds,
        text if text.starts_with(REVOKED) => {
            let (reason, since) = text.strip_prefix(REVOKED)?.split_once(' ')?;
            let reason = RevocationReason::ALL.into_iter().find(|known| known.name() == reason)?;
            Binding::Revoked(Withdrawal { reason, since: parse_rfc3339(since).ok()? })
        }
        address => Binding::Address(Address::parse(address).ok()?),
    })
}

/// The subject of a trust anchor.
pub(super) const ANCHOR: &str = "anchor";
const USER_IDS: &str = "*";
/// No address begins so.
const REVOKED: &str = "revoked ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for binding in [
            Binding::Anchor,
            Binding::UserIds,
            Binding::Revoked(Withdrawal::new(RevocationReason::Superseded, std::time::SystemTime::UNIX_EPOCH)),
            Binding::Address(Address::parse("a@example.org").unwrap()),
            Binding::Address(Address::parse("\"anchor\"@example.org").unwrap()),
        ] {
            assert_eq!(read(&written(&binding).unwrap()), Some(binding));
        }
        assert_eq!(read("nobody"), None);
        assert_eq!(read("revoked for-fun 2026-11-30T08:00:00Z"), None);
    }
}
