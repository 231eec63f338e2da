//! Folders and files that only their owner can read, written completely or not at all.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::base::{Error, Kind, Result, Secret, Temporary};

/// A folder of mode 0700 with files of mode 0600, owned by this user.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A folder whose own mode and owner are not checked.
    pub(super) fn at(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    /// The folder, if it exists. Refuses one that other users can access or own.
    ///
    /// # Errors
    ///
    /// `Io` when it cannot be reached: no right to enter a folder above, a loop of links, a link to nothing, a file on the way.
    pub(super) fn open(path: &Path) -> Result<Option<Folder>> {
        let Some(metadata) = found(path)? else { return Ok(None) };
        if !metadata.is_dir() {
            return Err(Error::new(Kind::Io, format!("{}: not a directory", path.display())));
        }
        check(path, &metadata, "700")?;
        Ok(Some(Folder(path.to_owned())))
    }

    /// The folder, created if it does not exist.
    pub(super) fn create(path: &Path) -> Result<Folder> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| Error::new(Kind::CannotCreate, Error::io(path.display(), &error).to_string()))?;
        Folder::open(path)?.ok_or_else(|| Error::new(Kind::CannotCreate, format!("{}: vanished", path.display())))
    }

    /// A small file's octets; `None` when there is no such file. Refuses one that other users can read or own, and one that is not a regular file:
    /// reading a pipe could block, and a device may never end.
    pub(super) fn read(&self, name: &str) -> Result<Option<Secret>> {
        let path = self.0.join(name);
        if found(&path)?.is_none() {
            return Ok(None);
        }
        let failed = |error| Error::io(path.display(), &error);
        let no_wait = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(no_wait).open(&path).map_err(failed)?;
        // Check the opened file, not its name: the name could be given to another file meanwhile.
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::new(Kind::Io, format!("{}: not a regular file", path.display())));
        }
        check(&path, &metadata, "600")?;
        if metadata.len() > MAX_LENGTH {
            return Err(Error::malformed(path.display(), format!("more than {MAX_LENGTH} octets")));
        }
        let mut octets = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        file.take(MAX_LENGTH).read_to_end(&mut octets).map_err(failed)?;
        Ok(Some(Secret::new(octets)))
    }

    /// Writes a file completely, or leaves the old one, whatever fails.
    pub(super) fn write(&self, name: &str, octets: &[u8]) -> Result<()> {
        let path = self.0.join(name);
        let failed = |error| Error::new(Kind::CannotCreate, Error::io(path.display(), &error).to_string());
        let mut file = Temporary::create(&self.0, 0o600).map_err(failed)?;
        file.write_all(octets).and_then(|()| file.sync()).map_err(failed)?;
        file.persist(&path).map_err(failed)?;
        self.sync()
    }

    /// Removes a file, if it exists.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(self.0.join(name).display(), &error))
            }
            _ => self.sync(),
        }
    }

    /// The names in it that `is_one` accepts, sorted.
    pub(super) fn names(&self, is_one: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let failed = |error| Error::io(self.0.display(), &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(name.to_str().filter(|name| is_one(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|error| Error::io(self.0.display(), &error))
    }
}

/// The metadata of `path`; `None` only when it does not exist. A dangling link, at `path` or above it, is an error of kind `Io`: its target may only
/// be unmounted.
pub(super) fn found(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => return Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(path.display(), &error)),
    }
    for above in path.ancestors().filter(|above| !above.as_os_str().is_empty()) {
        match fs::symlink_metadata(above) {
            Ok(metadata) if metadata.is_symlink() && fs::metadata(above).is_err() => {
                return Err(Error::new(Kind::Io, format!("{}: a link to nothing", above.display())));
            }
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(above.display(), &error)),
        }
    }
    Ok(None)
}

/// Whether a sealed file may have this name: small letters, digits and hyphens.
pub(super) fn is_sealed_name(name: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    !name.is_empty() && name.bytes().all(is_plain)
}

/// Whether two paths name the same file.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
        _ => false,
    }
}

/// Refuses what other users can access or own; `mode` is the mode that the hint recommends.
///
/// # Errors
///
/// `Inaccessible`, with the command as its hint.
pub(super) fn check(path: &Path, metadata: &Metadata, mode: &str) -> Result<()> {
    let place = path.display();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(Error::inaccessible(format!("{place}: belongs to user {}", metadata.uid()))
            .with_hint(format!("run as that user, or `chown $(id -u) '{place}'`")));
    }
    if metadata.mode() & 0o077 != 0 {
        let found = metadata.mode() & 0o777;
        return Err(Error::inaccessible(format!("{place}: others have access to it (mode {found:04o})"))
            .with_hint(format!("chmod {mode} '{place}'")));
    }
    Ok(())
}

/// The longest file that is read from a home, in octets; a master key has 65.
const MAX_LENGTH: u64 = 64 * 1024;
/// The folder with sealed files: accounts at certificate authorities, and orders.
pub(super) const SEALED: &str = "acme";
/// The folder with the files that revoke OpenPGP certificates.
pub(super) const REVOCATIONS: &str = "revocations";
