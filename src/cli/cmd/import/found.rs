//! Keys and trust found in another program's files.

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
    /// The trust that the other program stores, by fingerprint.
    pub(super) beliefs: Vec<(ProtocolName, Handle, Binding)>,
    /// Why something cannot be imported.
    pub(super) left: Vec<Error>,
}

/// A key file of another program.
pub(super) struct KeyFile {
    /// Its name in errors.
    pub(super) place: String,
    pub(super) octets: Secret,
    /// The address that the file is named after.
    pub(super) named: Option<Address>,
}
