//! Folders and files that nobody but their owner can read, written whole or not at all.

use std::{
    fs::{self, DirBuilder, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use crate::base::{Error, Kind, Result, Secret};

/// A folder of mode 0700 with files of mode 0600, all of them ours.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A folder that is looked after by somebody else, for files of ours in it.
    pub(super) fn at(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    /// The folder, if it is there. Refuses one that others can get into, or that is another's.
    pub(super) fn open(path: &Path) -> Result<Option<Folder>> {
        match fs::metadata(path) {
            Ok(metadata) => {
                check(path, &metadata, "700")?;
                Ok(Some(Folder(path.to_owned())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path.display(), &error)),
        }
    }

    /// The folder, made if it is not there.
    pub(super) fn create(path: &Path) -> Result<Folder> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| Error::new(Kind::CannotCreate, Error::io(path.display(), &error).to_string()))?;
        Folder::open(path)?.ok_or_else(|| Error::new(Kind::CannotCreate, format!("{}: vanished", path.display())))
    }

    /// A file's octets; `None` when there is no such file. Refuses one that others can read, or that is another's.
    pub(super) fn read(&self, name: &str) -> Result<Option<Secret>> {
        let path = self.0.join(name);
        let failed = |error| Error::io(path.display(), &error);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Of the opened file, not of its name: nobody can exchange it in between.
        let metadata = file.metadata().map_err(failed)?;
        check(&path, &metadata, "600")?;
        let mut octets = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        file.read_to_end(&mut octets).map_err(failed)?;
        Ok(Some(Secret::new(octets)))
    }

    /// Writes a file so that it is there whole or as it was before, whatever fails.
    pub(super) fn write(&self, name: &str, octets: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        let failed = |error| Error::new(Kind::CannotCreate, Error::io(path.display(), &error).to_string());
        // The crate gives its files mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(&self.0).map_err(failed)?;
        file.write_all(octets).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        self.sync()
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(self.0.join(name).display(), &error))
            }
            _ => self.sync(),
        }
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|error| Error::io(self.0.display(), &error))
    }
}

/// Refuses what others can get at, or what is another's; `mode` is what mends it.
///
/// # Errors
///
/// `NoKey`, with the command as its hint.
pub(super) fn check(path: &Path, metadata: &Metadata, mode: &str) -> Result<()> {
    let place = path.display();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::no_key(format!("{place}: belongs to user {}", metadata.uid()))
            .with_hint(format!("run as that user, or `chown $(id -u) '{place}'`")));
    }
    if metadata.mode() & 0o077 != 0 {
        let found = metadata.mode() & 0o777;
        return Err(Error::no_key(format!("{place}: others have access to it (mode {found:04o})"))
            .with_hint(format!("chmod {mode} '{place}'")));
    }
    Ok(())
}
