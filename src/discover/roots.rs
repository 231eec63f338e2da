//! The root certificates of servers.

use std::{fs, path::Path};

use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::base::{Error, Kind, Result};

/// Root certificates in DER.
pub(super) type Roots = Vec<Vec<u8>>;

/// Those in the PEM file `path`, or those of this machine.
///
/// # Errors
///
/// `Config`: the file cannot be read, or has no certificate in it.
pub(super) fn read(path: Option<&Path>) -> Result<Roots> {
    let Some(path) = path else {
        // A root certificate that cannot be read is not trusted: its servers are refused.
        let native = rustls_native_certs::load_native_certs().certs;
        return Ok(native.iter().map(|certificate| certificate.to_vec()).collect());
    };
    let wrong = |why: String| Error::new(Kind::Config, format!("{}: {why}", path.display()));
    let octets =
        fs::read(path).map_err(|error| Error::new(Kind::Config, Error::io(path.display(), &error).to_string()))?;
    let certificates: std::result::Result<Roots, _> =
        CertificateDer::pem_slice_iter(&octets).map(|one| one.map(|one| one.to_vec())).collect();
    let certificates =
        certificates.map_err(|error| wrong(format!("not certificates in PEM: {error}").to_lowercase()))?;
    match certificates.is_empty() {
        true => Err(wrong("no certificate in PEM".to_owned())),
        false => Ok(certificates),
    }
}
