//! `postseal backup` and `postseal restore`: a home in one file, sealed with a passphrase.

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueHint};
use postseal::{
    base::{Clock as _, Error, Kind, Result, Secret, SystemClock, Temporary},
    keys::{Keys, ProtocolName, Query, Want},
    protocol::pgp::archive,
    store::{self, HomeFile, Keystore},
};

use crate::cli::{
    passphrase,
    session::Session,
    show::{aside, progress},
};

/// Write everything of the home into one file, sealed with a passphrase: the first line of --passphrase-file, or a typed one. GnuPG opens it too.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file; one that is there is replaced when the new one was read back
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Make a home of a backup. There must be no home yet.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

/// Writes a backup, and reads it back before it gets its name.
pub(crate) fn backup(what: &Backup, session: &Session) -> Result<ExitCode> {
    let (home, place) = (session.home()?, what.file.display().to_string());
    let no_home = || Error::new(Kind::NoInput, "backup: there is no home").with_hint("--home DIR names it");
    let files = home.files()?.ok_or_else(no_home)?;
    let passphrase = passphrase::new("backup", "the backup", "", session)?;
    let _progress = progress::begin("writing the backup");
    let tar = packed(&files).map_err(|error| Error::io("backup", &error))?;
    let sealed = archive::seal(&tar, TAR, &passphrase)?;
    let cannot = |error: std::io::Error| Error::new(Kind::CannotCreate, Error::io(&place, &error).to_string());
    let folder = what.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = Temporary::create(folder, 0o600).map_err(cannot)?;
    temporary.write_all(&sealed).and_then(|()| temporary.sync()).map_err(cannot)?;
    let written = fs::read(temporary.path()).map_err(cannot)?;
    let read = archive::open(&written, &passphrase, &place)?.map(|tar| unpacked(&tar, &place)).transpose()?;
    if read.as_ref() != Some(&files) {
        return Err(Error::new(Kind::Io, format!("{place}: is not what was written; the disk may be failing")));
    }
    temporary.persist(&what.file).map_err(cannot)?;
    aside(&format!("{place}: {}; it was read back\n", summary(&home)?));
    Ok(ExitCode::SUCCESS)
}

/// Makes a home of a backup: all of it, or nothing.
pub(crate) fn restore(what: &Restore, session: &Session) -> Result<ExitCode> {
    let place = what.file.display().to_string();
    let sealed = fs::read(&what.file);
    let sealed = sealed.map_err(|error| Error::new(Kind::NoInput, Error::io(&place, &error).to_string()))?;
    let target = session.home_directory()?;
    let opened = session.passphrases()?.open("the backup", |passphrase| archive::open(&sealed, passphrase, &place))?;
    let wrong =
        || Error::no_key(format!("{place}: the passphrase does not fit, or the beginning of the file is damaged"));
    let tar = opened.ok_or_else(|| wrong().with_hint(postseal::base::Hint::Passphrase))?;
    store::restore(&target, &unpacked(&tar, &place)?, session.limits())?;
    aside(&format!("{}: {}\n", target.display(), summary(&session.home()?)?));
    Ok(ExitCode::SUCCESS)
}

/// `3 certificates, 1 of them with a secret key`.
fn summary(home: &Keystore) -> Result<String> {
    let (mut all, mut own) = (0, 0);
    for protocol in [ProtocolName::Pem, ProtocolName::Pgp, ProtocolName::Smime] {
        let found = home.find(protocol, &Query::manage(Want::All))?;
        all += found.len();
        own += found.iter().filter(|record| !record.secrets().is_empty()).count();
    }
    Ok(format!("{all} certificates, {own} of them with a secret key"))
}

/// The files as one archive of tar.
fn packed(files: &[HomeFile]) -> std::io::Result<Secret> {
    let size = files.iter().map(|file| file.octets.expose().len() + 2 * BLOCK).sum::<usize>() + 2 * BLOCK;
    // It does not grow, so that no copy of a secret is left behind.
    let mut archive = tar::Builder::new(Vec::with_capacity(size));
    let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(file.octets.expose().len()).unwrap_or_default());
        header.set_mode(0o600);
        header.set_mtime(now);
        archive.append_data(&mut header, &file.name, file.octets.expose())?;
    }
    archive.into_inner().map(Secret::new)
}

fn unpacked(tar: &Secret, place: &str) -> Result<Vec<HomeFile>> {
    let damaged = |error: std::io::Error| Error::malformed(place, format!("damaged, or not a backup: {error}"));
    let mut archive = tar::Archive::new(Cursor::new(tar.expose()));
    let mut files = Vec::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut octets = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or_default().min(tar.expose().len()));
        entry.read_to_end(&mut octets).map_err(damaged)?;
        files.push(HomeFile { name, octets: Secret::new(octets) });
    }
    Ok(files)
}

/// The name of the file within the message.
const TAR: &str = "postseal-home.tar";
/// Octets of a block of tar.
const BLOCK: usize = 512;
