//! What another program keeps.

use postseal::{
    base::{Error, Secret},
    keys::{Binding, Handle, ProtocolName},
    mail::Address,
};

/// What was found elsewhere.
#[derive(Default)]
pub(super) struct Found {
    /// Key files.
    pub(super) files: Vec<KeyFile>,
    /// What its owner believes there of certificates, by fingerprint.
    pub(super) beliefs: Vec<(ProtocolName, Handle, Binding)>,
    /// Why something does not come along.
    pub(super) left: Vec<Error>,
}

/// A file as somebody else's program wrote it.
pub(super) struct KeyFile {
    /// What errors call it.
    pub(super) place: String,
    pub(super) octets: Secret,
    /// Whose it is by its name.
    pub(super) named: Option<Address>,
}
