//! What the store asks of the key files of each protocol.

use std::sync::Arc;

use crate::{
    base::{Budget, Limits, Result, Secret},
    keys::{Binding, Handle, Keys, Locked, Passphrases, ProtocolName, Record},
    protocol::{Described, KeyFile, Sifted},
};

/// The key files of one protocol.
#[cfg_attr(
    not(feature = "store"),
    expect(dead_code, reason = "only a home puts secret parts of several files together")
)]
pub(crate) trait Format: Sync {
    /// Which protocol.
    fn protocol(&self) -> ProtocolName;

    /// Whether `octets` look like one of its files. Checks the structure only, and is cheap.
    fn recognizes(&self, octets: &[u8]) -> bool;

    /// Reads files, each a name for errors and its octets; all of them were recognized.
    fn read(&self, files: &[(&str, &[u8])], reading: &Reading<'_>) -> Result<KeyFile>;

    /// The certificates of a file that holds nothing else, each read when it is reached; `None` for any other file.
    fn certificates<'a>(&self, _: &'a [u8], _: &'a str) -> Option<Certificates<'a>> {
        None
    }

    /// Merges two copies of one certificate.
    fn merge(&self, old: &Record, new: &Record) -> Result<Record>;

    /// Whether two certificates have the same key, as a renewed certificate may, so that they share secret parts.
    fn share_key(&self, _: &Record, _: &Record) -> Result<bool> {
        Ok(false)
    }

    /// Checks imported secret parts of a certificate against the stored ones. A bare private key needs no check: it was opened to find its
    /// certificate.
    fn sift(&self, found: Described, _: Option<&Secret>, _: &Reading<'_>, _: &mut Budget) -> Result<Sifted> {
        Ok(Sifted { described: found, unfit: Vec::new(), unproven: Vec::new() })
    }

    /// Merges two copies of the secret parts of one certificate, the newer one second. What is `proven` in it replaces what is held. A bare private
    /// key is one key, whose passphrase may have changed.
    fn merge_secret(&self, held: &Secret, new: &Secret, proven: &[Handle]) -> Result<Secret> {
        Ok(if proven.is_empty() { held.clone() } else { new.clone() })
    }

    /// The secret parts of `record`, unlocked when asked for.
    fn locked(
        &self,
        record: &Record,
        secret: Secret,
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
    ) -> Result<Arc<dyn Locked>>;

    /// The bindings of a certificate given for one run. Those of an X.509 certificate or a bare key come only from a path to a trust anchor, or from
    /// `key trust`.
    fn given(&self) -> Vec<Binding> {
        Vec::new()
    }
}

/// Certificates, or an error of kind `Malformed` for one that cannot be read.
pub(crate) type Certificates<'a> = Box<dyn Iterator<Item = Result<Record>> + 'a>;

/// What reading key files needs.
pub(crate) struct Reading<'a> {
    /// Passphrases that may open them.
    pub(crate) passphrases: &'a Arc<Passphrases>,
    /// Limits on the cost.
    pub(crate) limits: &'a Limits,
    /// Where to look for the certificates of bare private keys and of revocations.
    pub(crate) beside: &'a dyn Keys,
}
