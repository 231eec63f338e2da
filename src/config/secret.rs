//! Secrets by reference.

use std::{env, fmt, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::base::{Error, Kind, Result, Secret};

/// Where a secret is. The configuration never contains the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// A credential that the service manager provides (systemd's LoadCredential).
    Credential(String),
    /// A file.
    File(PathBuf),
}

impl SecretFrom {
    /// Reads the secret, without the line break at its end.
    ///
    /// # Errors
    ///
    /// `Config`: it cannot be read, is empty, or other users can read it too.
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

    /// Where it is.
    ///
    /// # Errors
    ///
    /// `Config`: a service manager provides none.
    pub fn path(&self) -> Result<PathBuf> {
        match self {
            SecretFrom::File(path) => Ok(path.clone()),
            SecretFrom::Credential(name) => match credentials_directory() {
                Some(directory) => Ok(directory.join(name)),
                None => Err(Error::new(Kind::Config, format!("{self}: the service manager provides no credentials"))
                    .with_hint("LoadCredential= in the unit, or { file = ... }")),
            },
        }
    }
}

/// The directory of the credentials that the service manager provides (systemd.exec(5), `LoadCredential`).
pub fn credentials_directory() -> Option<PathBuf> {
    env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// The files and folders of public authorities that the environment names, as OpenSSL reads them.
pub fn authorities_of_environment() -> Vec<PathBuf> {
    ["SSL_CERT_DIR", "SSL_CERT_FILE"].into_iter().filter_map(env::var_os).map(PathBuf::from).collect()
}

impl fmt::Display for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretFrom::Credential(name) => write!(f, "credential {name:?}"),
            SecretFrom::File(path) => write!(f, "{}", path.display()),
        }
    }
}
