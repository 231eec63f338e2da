//! The texts that a configuration is made of: its file, and those that it names and that are read with it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Texts by their paths. Clones share them.
///
/// Each process of a service has the same ones, whatever became of the files since they were read.
#[derive(Clone)]
pub struct Texts {
    read: Arc<Mutex<BTreeMap<PathBuf, String>>>,
    others: Others,
}

/// What becomes of a path that is not among the texts.
#[derive(Clone, Copy)]
enum Others {
    /// It is read, and is among them from then on.
    Read,
    /// It is missing.
    Missing,
}

/// What they say is in the configuration.
impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Texts(..)")
    }
}

impl Texts {
    /// Those of files, as they are read.
    pub fn of_files() -> Texts {
        Texts { read: Arc::default(), others: Others::Read }
    }

    /// These, and no others.
    pub fn given(texts: BTreeMap<PathBuf, String>) -> Texts {
        Texts { read: Arc::new(Mutex::new(texts)), others: Others::Missing }
    }

    /// Those that were read.
    pub fn all(&self) -> BTreeMap<PathBuf, String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text of a file, or why there is none, in lower case.
    pub(super) fn read(&self, path: &Path) -> Result<String, String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = read.get(path) {
            return Ok(text.clone());
        }
        if let Others::Missing = self.others {
            return Err("was not read by the service".to_owned());
        }
        let octets = fs::read(path).map_err(|error| error.to_string().to_lowercase())?;
        let text = String::from_utf8(octets).map_err(|_| "is not utf-8".to_owned())?;
        read.insert(path.to_owned(), text.clone());
        Ok(text)
    }
}
