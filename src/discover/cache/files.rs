//! The files of a home with what was found.

use std::{io, path::Path};

use crate::base::{Error, Result};

pub(super) fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(|error| Error::io(path.display(), &error))
}

/// Another process may have done it.
pub(super) fn absent_is_fine(path: &Path, done: io::Result<()>) -> Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path.display(), &error)),
        _ => Ok(()),
    }
}

/// The file within a home.
pub(super) const FILE: &str = "discovery.sqlite";
/// What the file is called until the keys of the home are in it.
pub(super) const COMING: &str = "discovery.sqlite.coming";
