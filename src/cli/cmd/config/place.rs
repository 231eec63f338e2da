//! Where the configuration is.

use std::{
    env,
    path::{Path, PathBuf},
};

use postseal::{base::Result, config};

/// The configuration that is given, or that $POSTSEAL_CONFIG names; `None` when there is neither.
pub(crate) fn given(given: Option<&Path>) -> Result<Option<config::Config>> {
    let set = || env::var_os("POSTSEAL_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    given.map(Path::to_path_buf).or_else(set).map(|path| config::load(&path)).transpose()
}

/// The path of the configuration file.
pub(crate) fn path(given: Option<&Path>) -> PathBuf {
    let set = || env::var_os("POSTSEAL_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    given.map(Path::to_path_buf).or_else(set).unwrap_or_else(|| PathBuf::from("/etc/postseal/postseal.toml"))
}
