//! Key sources: certificates, their secret keys, and the owner's trust in them.

mod capabilities;
mod chain;
mod deprecated;
mod findings;
mod forms;
mod index;
mod locked;
mod memory;
mod query;
mod record;
mod restricted;
mod shared_passphrase;
mod snapshot;
mod source;
mod state;
mod status;
mod strangers;
mod token_key;
mod token_uri;
mod uses;
mod withdrawal;

use std::sync::Arc;

pub use capabilities::{Announcement, Capabilities};
pub use chain::Chain;
pub use deprecated::Deprecated;
pub use findings::{FindingRows, FindingValue, Findings};
pub use forms::Forms;
pub use locked::{Ask, Locked, Passphrases};
pub use memory::Memory;
pub use query::{Purpose, Query, Reach, Want};
pub use record::{Authenticated, Binding, Encoded, Handle, ProtocolName, Record};
pub use restricted::RestrictedKeys;
pub use shared_passphrase::{PassphraseFrom, SharedPassphrase};
pub use snapshot::Snapshot;
pub use source::Source;
pub use state::KeyState;
pub use status::{Kept, StatementStore, StatusSource};
pub use token_key::{LockedTokenKeys, TokenKey, TokenKeys, Tokens};
pub use token_uri::TokenUri;
pub use uses::{KeyUse, KeyUses, Operation, UseClient, UseLimits, UsedUp};
pub use withdrawal::{RevocationReason, Withdrawal};

use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// A source of keys. Implement it for your own key store.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
/// use postseal::{
///     base::Result,
///     crypto::SecretKey,
///     keys::{Handle, Keys, Memory, ProtocolName, Query, Record},
/// };
///
/// /// Keys in memory, without their secret parts.
/// struct PublicOnly(Memory);
///
/// impl Keys for PublicOnly {
///     fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>> {
///         self.0.find(protocol, query)
///     }
///     fn secret(&self, _: &Record, _: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
///         Ok(None)
///     }
/// }
///
/// let keys = PublicOnly(Memory::new());
/// assert!(postseal::sign(b"From: a@example.org\r\n\r\nHello.\r\n", ProtocolName::Pgp, &keys).is_err());
/// ```
pub trait Keys: Send + Sync {
    /// The records that match, of one protocol, in a stable order. No match is not an error. When one copy of a certificate matches, all copies are
    /// returned, or one that merges them: a revocation in any of them counts.
    fn find(&self, protocol: ProtocolName, query: &Query<'_>) -> Result<Vec<Arc<Record>>>;

    /// The secret key with the fingerprint `key` within `record`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// `NoKey` when it cannot be unlocked.
    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>>;

    /// These questions for certificates come next, if nothing fails. A source for which each question takes a while may answer them together. Nothing
    /// depends on it, and by default nothing is done.
    fn expect(&self, _protocol: ProtocolName, _queries: &[Query<'_>]) {}

    /// The version 2 or 3 key with this key ID. It is never used; the verdict reports it as the reason.
    fn deprecated(&self, _id: &Handle) -> Result<Option<Deprecated>> {
        Ok(None)
    }

    /// The trust anchors (RFC 5280, section 6.1.1 (d)). The certificate of an anchor limits the paths that end there.
    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        let mut records = self.find(ProtocolName::Smime, &Query::new(Purpose::Verify, Want::All))?;
        records.retain(|record| record.is_anchor());
        Ok(records)
    }

    /// CRLs (RFC 5280, section 5) and OCSP responses (RFC 6960), DER each, of any issuer.
    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        Ok(Vec::new())
    }

    /// What fetches the status of certificates when what is here does not say it; `None`: nothing does.
    fn status_source(&self) -> Option<&dyn StatusSource> {
        None
    }

    /// Passwords to try on messages that are encrypted to one, in order.
    fn passwords(&self) -> Result<Vec<Secret>> {
        Ok(Vec::new())
    }

    /// The passphrase that senders here share with `recipient`, who has no key.
    fn shared_passphrase(&self, _recipient: &Address) -> Result<Option<SharedPassphrase>> {
        Ok(None)
    }
}
