//! Temporary files that get their name when they are complete, and removal of those that a killed process left.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use tempfile::NamedTempFile;

/// A temporary file, removed when it is dropped. That of a killed process is removed by the next process that creates one in the same folder.
#[derive(Debug)]
pub struct Temporary(NamedTempFile);

impl Temporary {
    /// A new file in `folder` with the permissions `mode`, less the umask.
    ///
    /// # Errors
    ///
    /// Those of creating the file.
    pub fn create(folder: &Path, mode: u32) -> io::Result<Temporary> {
        sweep(folder);
        loop {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(mode))
                .tempfile_in(folder)?;
            // The lock marks the file as in use. Without locks, no files are swept.
            let _ = file.as_file().try_lock_shared();
            // Before it was locked, another process may have removed it as a leftover.
            if file.as_file().metadata()?.nlink() > 0 {
                return Ok(Temporary(file));
            }
        }
    }

    /// Its temporary path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Syncs it to the disk.
    ///
    /// # Errors
    ///
    /// Those of syncing.
    pub fn sync(&self) -> io::Result<()> {
        self.0.as_file().sync_all()
    }

    /// Renames it to `path`, replacing a file there.
    ///
    /// # Errors
    ///
    /// Those of renaming; the file is then removed.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        self.0.persist(path).map(drop).map_err(|error| error.error)
    }
}

impl Write for Temporary {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Removes the [`Temporary`] files of this user in `folder` that no process uses. Failures are ignored.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
            && name.len() == PREFIX.len() + RANDOM
            && entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.uid() == own);
        if is_ours && open(&entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// The prefix of their names.
const PREFIX: &str = ".postseal-";
/// The length of the rest of the name, as `tempfile` makes it.
const RANDOM: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_nobody_works_on_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".postseal-Ab3dEf");
        fs::write(&left, "of a process that was killed").unwrap();
        fs::write(folder.path().join(".postseal-notes"), "a file of somebody's").unwrap();
        let mut first = Temporary::create(folder.path(), 0o600).unwrap();
        assert!(!left.exists());
        let mut second = Temporary::create(folder.path(), 0o600).unwrap();
        assert_eq!(names(folder.path()).len(), 3, "both are at work: {:?}", names(folder.path()));
        first.write_all(b"1").unwrap();
        second.write_all(b"2").unwrap();
        first.persist(&folder.path().join("one")).unwrap();
        second.persist(&folder.path().join("two")).unwrap();
        assert_eq!(fs::read(folder.path().join("one")).unwrap(), b"1");
        assert_eq!(fs::read(folder.path().join("two")).unwrap(), b"2");
    }
}
