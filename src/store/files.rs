//! Folders and files that nobody but their owner can read, written whole or not at all.

use std::{
    fmt,
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::base::{Error, Kind, Result, Secret};

/// A folder of mode 0700 with files of mode 0600, all of them ours.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// Holds other writers off until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Tells a file or folder from itself before a change: when it changed, in nanoseconds since 1970, and its inode, which
/// differs even when two writers come within one tick of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    changed: i128,
    inode: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.changed, self.inode)
    }
}

impl Folder {
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

    /// The names of the files that end in `suffix`, without it, in order.
    pub(super) fn names(&self, suffix: &str) -> Result<Vec<String>> {
        let failed = |error| Error::io(self.0.display(), &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(suffix)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// When a file last came, went or was exchanged here.
    pub(super) fn stamp(&self) -> Result<Stamp> {
        fs::metadata(&self.0).map(|metadata| stamp(&metadata)).map_err(|error| Error::io(self.0.display(), &error))
    }

    /// When a file last changed; `None` when there is none.
    pub(super) fn stamp_of(&self, name: &str) -> Result<Option<Stamp>> {
        match fs::metadata(self.0.join(name)) {
            Ok(metadata) => Ok(Some(stamp(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(self.0.join(name).display(), &error)),
        }
    }

    /// Waits until no other process writes here.
    pub(super) fn lock(&self) -> Result<Lock> {
        let path = self.0.join(LOCK);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.map(Lock).map_err(|error| Error::new(Kind::CannotCreate, Error::io(path.display(), &error).to_string()))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|error| Error::io(self.0.display(), &error))
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    let changed = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Stamp { changed, inode: metadata.ino() }
}

fn check(path: &Path, metadata: &Metadata, mode: &str) -> Result<()> {
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

const LOCK: &str = "lock";
