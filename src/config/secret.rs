//! Secrets by reference.

use std::{env, fmt, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::base::{Error, Kind, Result, Secret};

/// Where a secret is; the secret itself never stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// A credential that the service manager hands over (systemd's LoadCredential).
    Credential(String),
    /// A file.
    File(PathBuf),
}

impl SecretFrom {
    /// Reads it, without the line break at the end.
    ///
    /// # Errors
    ///
    /// `Config` when it cannot be read, is empty, or when others can read it too.
    pub fn read(&self) -> Result<Secret> {
        let path = self.path()?;
        let refuse = |why: &str| Error::new(Kind::Config, format!("{self}: {why}"));
        let metadata = fs::metadata(&path).map_err(|error| refuse(&error.to_string().to_lowercase()))?;
        if metadata.permissions().mode() & 0o077 != 0 && matches!(self, SecretFrom::File(_)) {
            return Err(refuse("others can read it").with_hint(format!("chmod 600 {}", path.display())));
        }
        let mut octets = fs::read(&path).map_err(|error| refuse(&error.to_string().to_lowercase()))?;
        let length = octets.trim_ascii_end().len();
        octets.truncate(length);
        if octets.is_empty() {
            return Err(refuse("is empty"));
        }
        Ok(Secret::new(octets))
    }

    fn path(&self) -> Result<PathBuf> {
        match self {
            SecretFrom::File(path) => Ok(path.clone()),
            SecretFrom::Credential(name) => match env::var_os("CREDENTIALS_DIRECTORY") {
                Some(directory) => Ok(PathBuf::from(directory).join(name)),
                None => Err(Error::new(Kind::Config, format!("{self}: no service manager handed over credentials"))
                    .with_hint("LoadCredential= in the unit, or { file = ... }")),
            },
        }
    }
}

impl fmt::Display for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretFrom::Credential(name) => write!(f, "credential {name:?}"),
            SecretFrom::File(path) => write!(f, "{}", path.display()),
        }
    }
}
