//! What a process of the service may take of the machine.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::base::{Error, Result};

/// Limits this process to `value`, for ever.
///
/// # Errors
///
/// `Unavailable`: the kernel refuses it.
pub(super) fn limit(resource: Resource, value: u64) -> Result<()> {
    // The service may have been given less.
    let most = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    let limited = setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limited.map_err(|error| Error::unavailable(format!("limits of a process: {error}")))
}
