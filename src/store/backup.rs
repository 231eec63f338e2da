//! The files of a home in a backup, and a home made of them.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc};

use super::{
    Keystore, Repair,
    files::{Folder, REVOCATIONS, SEALED, is_sealed_name},
    home::DATABASE,
    master,
};
use crate::{
    base::{Error, Kind, Limits, Result, Secret},
    keys::{Handle, Passphrases},
};

/// One file of a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeFile {
    /// Its name in the home: `postseal.db`, `master.key`, `revocations/FINGERPRINT.asc`, `acme/NAME`.
    pub name: String,
    /// Its content.
    pub octets: Secret,
}

/// Makes a home of `files` at `place`, where there is none or an empty folder: all of it, or nothing. The database is checked first.
///
/// # Errors
///
/// `CannotCreate` when there is something at `place`, or it cannot be written; `Malformed` for files that belong to no home; `Damaged` when the
/// database is.
pub fn restore(place: &Path, files: &[HomeFile], limits: &Limits) -> Result<()> {
    let cannot = |error: &io::Error| Error::new(Kind::CannotCreate, Error::io(place.display(), error).to_string());
    let is_taken = match fs::read_dir(place) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(cannot(&error)),
    };
    if is_taken {
        return Err(Error::new(Kind::CannotCreate, format!("{}: is not empty", place.display()))
            .with_hint("move it away, or restore to another home"));
    }
    let place = std::path::absolute(place).map_err(|error| cannot(&error))?;
    let above = place.parent().ok_or_else(|| Error::usage(format!("{}: not a folder of its own", place.display())))?;
    fs::create_dir_all(above).map_err(|error| cannot(&error))?;
    let made = tempfile::Builder::new()
        .prefix(".postseal-restore-")
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(above)
        .map_err(|error| cannot(&error))?;
    if !files.iter().any(|file| file.name == DATABASE) {
        return Err(Error::malformed("backup", format!("{DATABASE} is not in it")));
    }
    Folder::create(&made.path().join(REVOCATIONS))?;
    for file in files {
        let (folder, name) = match file.name.split_once('/') {
            None if [DATABASE, master::OWN].contains(&file.name.as_str()) => {
                (made.path().to_owned(), file.name.as_str())
            }
            Some((REVOCATIONS, name)) if is_revocation(name) => (made.path().join(REVOCATIONS), name),
            Some((SEALED, name)) if is_sealed_name(name) => (made.path().join(SEALED), name),
            _ => return Err(Error::malformed("backup", format!("{:?} belongs to no home", file.name))),
        };
        Folder::create(&folder)?.write(name, file.octets.expose())?;
    }
    let home = Keystore::open_home(made.path(), Arc::new(Passphrases::default()), limits)?;
    home.probe()?;
    if let Some(damage) = home.check(Repair::No)?.first() {
        return Err(Error::damaged("backup", &damage.what));
    }
    drop(home);
    fs::rename(made.path(), &place).map_err(|error| cannot(&error))?;
    // It has its name now, and is no temporary folder any more.
    let _ = made.keep();
    Ok(())
}

/// The files that revoke OpenPGP certificates.
pub(super) fn revocation_files(home: &Path) -> Result<Vec<HomeFile>> {
    files_in(home, REVOCATIONS, is_revocation)
}

/// The sealed files, as they are.
pub(super) fn sealed_files(home: &Path) -> Result<Vec<HomeFile>> {
    files_in(home, SEALED, is_sealed_name)
}

fn files_in(home: &Path, within: &str, is_one: impl Fn(&str) -> bool) -> Result<Vec<HomeFile>> {
    let Some(folder) = Folder::open(&home.join(within))? else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for name in folder.names(is_one)? {
        if let Some(octets) = folder.read(&name)? {
            files.push(HomeFile { name: format!("{within}/{name}"), octets });
        }
    }
    Ok(files)
}

/// Whether a file has the name of a revocation: `FINGERPRINT.asc`.
fn is_revocation(name: &str) -> bool {
    let fingerprint = name.strip_suffix(".asc");
    fingerprint.is_some_and(|text| Handle::parse(text).is_ok_and(|handle| handle.as_str() == text))
}
