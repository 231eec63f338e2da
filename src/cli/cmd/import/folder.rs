//! A folder of key files, as openssl writes them.

use std::{fs, path::Path};

use postseal::{
    base::{Error, Result, Secret},
    mail::Address,
};

use super::found::{Found, KeyFile};
use crate::cli::{input, session::Session};

/// Every file in `directory` whose name says that it may hold keys or certificates.
pub(super) fn read(directory: &Path, session: &Session) -> Result<Found> {
    let failed = |error| Error::io(directory.display(), &error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut found = Found::default();
    for path in paths {
        let Some(stem) = path.file_name().and_then(|name| stem(name.to_str()?)) else { continue };
        match input::octets(Some(&path), &session.budget()) {
            Ok(octets) => found.files.push(KeyFile {
                place: path.display().to_string(),
                octets: Secret::new(octets),
                named: Address::parse(stem).ok().filter(|_| stem.contains('@')),
            }),
            Err(error) => found.left.push(error),
        }
    }
    if found.files.is_empty() && found.left.is_empty() {
        let reason = format!("no file that ends in {}", SUFFIXES.join(", "));
        return Err(Error::malformed(directory.display(), reason));
    }
    Ok(found)
}

/// The file name without its extension. The top-level domain of an address is no extension.
fn stem(name: &str) -> Option<&str> {
    SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix))
}

const SUFFIXES: [&str; 7] = [".pem", ".crt", ".cer", ".der", ".key", ".p12", ".pfx"];
