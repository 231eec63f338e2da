//! The question to a key source.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Handle;
use crate::mail::Address;

/// A question to a key source.
///
/// The purpose tells a source that asks other hosts whether it may: for encrypting only, unless its owner says otherwise. Who asks for a signer's
/// key or for the key of a ciphertext tells those hosts that somebody reads the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// What is looked up.
    pub want: Want<'a>,
    /// What the keys are for.
    pub purpose: Purpose,
    /// When a source that asks other hosts has to give up; `None`: it decides by itself. [`Snapshot`](super::Snapshot) sets it, for all
    /// questions of one message together.
    pub deadline: Option<Instant>,
    /// Whether other hosts may be asked. Sources on the network answer nothing where they may not.
    pub reach: Reach,
}

/// Whom a question may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Deserialize, Serialize)]
pub enum Reach {
    /// The sources of this machine.
    #[default]
    Local,
    /// Other hosts too.
    Network,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want<'a> {
    /// Every record.
    All,
    /// Records that name this mailbox, in themselves or by a binding.
    Address(&'a Address),
    /// The certificate with this fingerprint, each copy of it.
    Certificate(&'a Handle),
    /// Records one of whose keys has this handle, or a fingerprint that ends in it.
    Handle(&'a Handle),
    /// Records with secret parts. A store answers without reading the others.
    Secrets,
}

/// What keys are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub enum Purpose {
    /// A message is encrypted with them.
    Encrypt,
    /// A message is signed with them.
    Sign,
    /// A signature, or a certificate, is checked with them.
    Verify,
    /// A message is decrypted with them.
    Decrypt,
    /// The owner lists, imports, exports or checks them.
    Manage,
}

impl<'a> Query<'a> {
    /// A question without a deadline, to the sources of this machine.
    pub fn new(purpose: Purpose, want: Want<'a>) -> Self {
        Query { want, purpose, deadline: None, reach: Reach::Local }
    }

    /// [`Query::new`] for [`Purpose::Manage`].
    pub fn manage(want: Want<'a>) -> Self {
        Query::new(Purpose::Manage, want)
    }

    /// The same purpose and deadline, for something else.
    #[must_use]
    pub fn instead(&self, want: Want<'a>) -> Self {
        Query { want, ..*self }
    }

    /// Whether the deadline is over.
    pub fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}
