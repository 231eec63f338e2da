//! Which servers have the rows of a home.

use std::path::Path;

use super::{
    elsewhere::{self, Server},
    postgres,
};
use crate::base::Result;

/// The servers that have the rows of the home in this folder; none when they are in the folder.
///
/// # Errors
///
/// `Inaccessible` when others can read the file that names them, `Config` when it names none, or what is not such a name.
pub fn servers(home: &Path) -> Result<Vec<Server>> {
    let urls = elsewhere::urls(home)?.unwrap_or_default();
    let found: Result<Vec<Vec<Server>>> = urls.iter().map(|url| postgres::places(url)).collect();
    Ok(found?.concat())
}
