//! The file `store` in a home: the URLs of the database that has the rows of this home, instead of `postseal.db`.
//!
//! One URL a line. The first one is the database that is written to; the others are its replicas. Lines that begin with `#` are comments. The file
//! may have a password in it, so others must not be able to read it.

use std::path::Path;

use super::files::Folder;
use crate::base::{Error, Kind, Result};

/// The URLs; `None` when the rows are in the home.
///
/// # Errors
///
/// `Inaccessible` when others can read the file, `Config` when there is no URL in it.
pub(super) fn urls(home: &Path) -> Result<Option<Vec<String>>> {
    let Some(folder) = Folder::open(home)? else { return Ok(None) };
    let Some(text) = folder.read(FILE)? else { return Ok(None) };
    let wrong = |reason: &str| Error::new(Kind::Config, format!("{}: {reason}", home.join(FILE).display()));
    let text = std::str::from_utf8(text.expose()).map_err(|_| wrong("not UTF-8"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let urls: Vec<String> = lines.map(str::to_owned).collect();
    if urls.is_empty() { Err(wrong("no URL in it")) } else { Ok(Some(urls)) }
}

/// Whether the rows of this home are in a database, as far as a name tells.
pub(super) fn is_elsewhere(home: &Path) -> bool {
    home.join(FILE).symlink_metadata().is_ok()
}

/// How the rows of a home are reached beside its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// By a socket of this machine.
    Local,
    /// By TCP, at this port.
    Port(u16),
}

/// Names the database. From now on it has the rows of this home.
pub(super) fn set(home: &Path, urls: &[String]) -> Result<()> {
    let text: String = urls.iter().map(|url| format!("{url}\n")).collect();
    Folder::create(home)?.write(FILE, text.as_bytes())
}

/// From now on the rows are in the home.
pub(super) fn unset(home: &Path) -> Result<()> {
    Folder::at(home).remove(FILE)
}

/// The name of the file.
pub(super) const FILE: &str = "store";
