//! What a judge knows when it starts.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{bounds::Sizes, channel::gone, questions::Fetching};
use crate::{base::Result, crypto::Legacy};

/// What a judge knows when it starts. It reads no file.
#[derive(Debug, Deserialize, Serialize)]
pub struct Setup {
    /// The place of the configuration.
    pub path: PathBuf,
    /// The texts that it was read from.
    pub texts: BTreeMap<PathBuf, String>,
    /// The tenant whose mail it handles; `None`: that of the rest.
    pub tenant: Option<String>,
    /// Whether weak and broken algorithms count.
    pub legacy: Legacy,
    /// Octets of memory that it may take.
    pub memory: u64,
    pub(super) sizes: Sizes,
    pub(super) marker: ByteBuf,
    pub(super) fetching: Fetching,
}

/// Of this program. Both ends are of one program, unless it was replaced while it ran.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// # Errors
///
/// `TryAgain`: the other end is of another version.
pub(super) fn check_version(version: &str) -> Result<()> {
    match version {
        VERSION => Ok(()),
        other => Err(gone(&format_args!("it is of version {other}, and this one of {VERSION}"))),
    }
}
