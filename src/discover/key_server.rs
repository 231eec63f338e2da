//! Key servers: the interface of keys.openpgp.org, which verifies addresses (VKS), and HKP over HTTPS, which need not.

use super::{
    NetworkAccess,
    http::{Bounds, Failure},
    percent,
};
use crate::mail::Address;

/// Asks a server with the interface of keys.openpgp.org; `None` when it has no key for `address`.
///
/// # Errors
///
/// [`Failure::Failed`]
pub(super) fn by_email(
    network: &dyn NetworkAccess,
    server: &str,
    address: &Address,
    bounds: &Bounds,
) -> Result<Option<Vec<u8>>, Failure> {
    answer(network, &format!("{server}/vks/v1/by-email/{}", percent::encoded(&address.to_string())), bounds)
}

/// Asks a server with HKP (draft-gallagher-openpgp-hkp, section 3.1.1); `None` when it has no key for `address`.
///
/// # Errors
///
/// [`Failure::Failed`]
pub(super) fn look_up(
    network: &dyn NetworkAccess,
    server: &str,
    address: &Address,
    bounds: &Bounds,
) -> Result<Option<Vec<u8>>, Failure> {
    let search = percent::encoded(&address.to_string());
    answer(network, &format!("{server}/pks/lookup?op=get&options=mr&exact=on&search={search}"), bounds)
}

/// That the configured server does not exist is a failure, and no answer about the address.
fn answer(network: &dyn NetworkAccess, url: &str, bounds: &Bounds) -> Result<Option<Vec<u8>>, Failure> {
    match network.get(url, bounds) {
        Ok(octets) => Ok(Some(octets)),
        Err(Failure::NotFound) => Ok(None),
        Err(Failure::NoHost) => Err(Failure::Failed("the key server does not exist".to_owned())),
        Err(failure) => Err(failure),
    }
}
