//! Keys: anything that answers which certificates there are, which secret belongs to one, and what the owner
//! of this machine says about whose they are.

mod capabilities;
mod chain;
mod deprecated;
mod locked;
mod memory;
mod record;
mod restricted;
mod snapshot;
mod state;

use std::sync::Arc;

pub use capabilities::{Announcement, Capabilities};
pub use chain::Chain;
pub use deprecated::Deprecated;
pub use locked::{Ask, Locked, Passphrases};
pub use memory::Memory;
pub use record::{Authenticated, Binding, Encoded, Handle, ProtocolName, Record};
pub use restricted::RestrictedKeys;
pub use snapshot::Snapshot;
pub use state::KeyState;

use crate::{
    base::{Result, Secret},
    crypto::SecretKey,
    mail::Address,
};

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want<'a> {
    /// Every record.
    All,
    /// Records that name this mailbox, in themselves or by a binding.
    Address(&'a Address),
    /// The certificate with this fingerprint, each copy of it.
    Certificate(&'a Handle),
    /// Records one of whose keys has this handle, or a fingerprint that ends in it.
    Handle(&'a Handle),
}

/// The extension point for keys. Nothing else in the house knows where they lie.
pub trait Keys: Send + Sync {
    /// The records that match, of one protocol, in a stable order. None is no error. Of a certificate of which one copy matches, every copy that is
    /// here is among them, or they are put together: a revocation in any of them counts.
    fn find(&self, protocol: ProtocolName, want: &Want<'_>) -> Result<Vec<Arc<Record>>>;

    /// The secret key with the fingerprint `key` within `record`; `None` when it is not here.
    /// An error of kind `NoKey` when it is here and cannot be unlocked.
    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>>;

    /// The key with this key ID that is here and cannot be read for its age: it answers for no signature, and whoever asks is told why.
    fn deprecated(&self, _id: &Handle) -> Result<Option<Deprecated>> {
        Ok(None)
    }

    /// The certificates at which paths may end (RFC 5280, section 6.1.1 (d)). What such a certificate says limits the paths that end there.
    fn anchors(&self) -> Result<Vec<Arc<Record>>> {
        let mut records = self.find(ProtocolName::Smime, &Want::All)?;
        records.retain(|record| record.bindings.contains(&Binding::Anchor));
        Ok(records)
    }

    /// CRLs (RFC 5280, section 5) and OCSP responses (RFC 6960), DER each, of any issuer: what the issuers say now.
    fn revocations(&self) -> Result<Vec<Arc<[u8]>>> {
        Ok(Vec::new())
    }

    /// Passwords to try on messages that are encrypted to one, in order.
    fn passwords(&self) -> Result<Vec<Secret>> {
        Ok(Vec::new())
    }
}
