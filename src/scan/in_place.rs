//! Converts the messages of a Maildir where they lie, one by one, so that each can be put back.
//!
//! The originals and a journal are in the folder `postseal-undo` of the Maildir. The journal has a line before a file is changed, and the original has a
//! second name before the converted message has its own: whenever the program is killed, each message is there, and [`undo`] finds its way back.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{
    base::{Clock, Error, Kind, Random, Result, hex},
    crypto::Hash,
    mailbox::{
        State, Stored,
        maildir::{MaildirSink, ORIGINALS, split_name},
    },
};

/// The conversion of one folder of a Maildir.
pub struct InPlace {
    folder: PathBuf,
    originals: PathBuf,
    journal: File,
    sink: MaildirSink,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
struct Change {
    /// The file that is replaced, without its flags.
    from: String,
    /// `cur` or `new`, in which it is.
    folder: String,
    /// The file that replaces it, without its flags.
    to: String,
    /// The SHA-256 of what is in that, in hexadecimal.
    digest: String,
}

impl InPlace {
    /// Begins, or goes on after a conversion that was ended half-way.
    ///
    /// # Errors
    ///
    /// The journal cannot be made or read.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        let originals = folder.join(ORIGINALS);
        let refused = |error| Error::new(Kind::CannotCreate, Error::io(originals.display(), &error).to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(&originals).map_err(refused)?;
        let files = listed(folder).map_err(refused)?;
        for change in changes(&originals)? {
            // Killed before the original was removed. It has a second name.
            if let (Some(_), Some(old)) = (files.get(&change.to), files.get(&change.from))
                && originals.join(&change.from).exists()
            {
                fs::remove_file(old).map_err(refused)?;
            }
        }
        let journal = OpenOptions::new().append(true).create(true).mode(0o600).open(originals.join(JOURNAL));
        let journal = journal.map_err(refused)?;
        let sink = MaildirSink::open(folder, clock, random)?;
        Ok(InPlace { folder: folder.to_owned(), originals, journal, sink })
    }

    /// Whether messages of this folder were converted, and not put back.
    pub fn is_begun(folder: &Path) -> bool {
        folder.join(ORIGINALS).join(JOURNAL).exists()
    }

    /// Puts `octets` in the place of the message `id`, with its flags. Nothing happens when another program removed it meanwhile.
    ///
    /// # Errors
    ///
    /// Those of reading and writing. The original is there.
    pub fn replace(&mut self, id: &str, octets: &[u8], state: &State) -> Result<()> {
        let place = self.folder.display().to_string();
        let failed = |error: io::Error| Error::io(&place, &error);
        let Some(old) = self.found(id, state).map_err(failed)? else { return Ok(()) };
        let (folder, info) = (parent_name(&old), info(&old));
        let to = self.sink.unique()?;
        let digest = hex(&Hash::Sha256.digest(octets));
        let change = Change { from: id.to_owned(), folder: folder.clone(), to: to.clone(), digest };
        let mut line = serde_json::to_vec(&change).map_err(|error| Error::usage(error.to_string()))?;
        line.push(b'\n');
        self.journal.write_all(&line).and_then(|()| self.journal.sync_all()).map_err(failed)?;
        keep(&old, &self.originals.join(id)).and_then(|()| sync(&self.originals)).map_err(failed)?;
        self.sink.place(&Stored { octets, state }, &format!("{folder}/{to}{info}"))?;
        match fs::remove_file(&old) {
            // Its flags changed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.found(id, state).and_then(|old| old.map_or(Ok(()), fs::remove_file)).map_err(failed)?;
            }
            removed => removed.map_err(failed)?,
        }
        sync(&self.folder.join(folder)).map_err(failed)
    }

    /// The file of the message: where it was, or elsewhere with other flags.
    fn found(&self, id: &str, state: &State) -> io::Result<Option<PathBuf>> {
        let label = state.label.as_deref().and_then(|label| std::str::from_utf8(label).ok()).unwrap_or_default();
        let path = self.folder.join(label);
        if base_of(&path) == id && path.is_file() {
            return Ok(Some(path));
        }
        Ok(listed(&self.folder)?.remove(id))
    }
}

/// What became of the messages of a folder whose conversion was undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Originals that are back.
    pub restored: u64,
    /// The converted messages that were deleted or changed since. Their originals are left where they are kept.
    pub left: Vec<PathBuf>,
}

/// Puts the originals back that [`InPlace`] replaced in `folder`, with the flags that the messages have now, and removes the converted messages.
///
/// # Errors
///
/// There is no journal, or those of reading and writing.
pub fn undo(folder: &Path) -> Result<Undone> {
    let originals = folder.join(ORIGINALS);
    if !InPlace::is_begun(folder) {
        return Err(Error::new(Kind::NoInput, format!("{}: nothing to undo", folder.display())));
    }
    let failed = |error: io::Error| Error::io(folder.display(), &error);
    let mut undone = Undone::default();
    let files = listed(folder).map_err(failed)?;
    for change in changes(&originals)?.iter().rev() {
        let kept = originals.join(&change.from);
        if !kept.exists() {
            continue;
        }
        match (files.get(&change.to), files.get(&change.from)) {
            // It was never replaced.
            (None, Some(_)) => fs::remove_file(&kept).map_err(failed)?,
            (Some(new), old) => {
                let octets = fs::read(new).map_err(failed)?;
                if hex(&Hash::Sha256.digest(&octets)) != change.digest {
                    undone.left.push(kept);
                    continue;
                }
                let place = format!("{}/{}{}", parent_name(new), change.from, info(new));
                match old {
                    Some(_) => fs::remove_file(&kept).map_err(failed)?,
                    None => fs::rename(&kept, folder.join(place)).map_err(failed)?,
                }
                sync(&folder.join(parent_name(new))).map_err(failed)?;
                fs::remove_file(new).map_err(failed)?;
                undone.restored += 1;
            }
            (None, None) => undone.left.push(kept),
        }
    }
    if undone.left.is_empty() {
        fs::remove_file(originals.join(JOURNAL)).and_then(|()| fs::remove_dir(&originals)).map_err(failed)?;
    }
    Ok(undone)
}

/// The lines of the journal. One that a killed process did not end has no effect yet.
fn changes(originals: &Path) -> Result<Vec<Change>> {
    let path = originals.join(JOURNAL);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        read => read.map_err(|error| Error::io(path.display(), &error))?,
    };
    let whole = text.split_inclusive(|octet| *octet == b'\n').filter(|line| line.ends_with(b"\n"));
    let is_name = |name: &str| !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    let changes = whole.filter_map(|line| serde_json::from_slice::<Change>(line).ok());
    Ok(changes.filter(|change| is_name(&change.from) && is_name(&change.to)).collect())
}

/// The files in `cur` and `new` by their names without flags.
fn listed(folder: &Path) -> io::Result<HashMap<String, PathBuf>> {
    let mut files = HashMap::new();
    for part in ["cur", "new"] {
        for entry in fs::read_dir(folder.join(part))? {
            let path = entry?.path();
            files.insert(base_of(&path), path);
        }
    }
    Ok(files)
}

fn base_of(path: &Path) -> String {
    split_name(&path.file_name().unwrap_or_default().to_string_lossy()).0.to_owned()
}

/// `:2,S` of a file.
fn info(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    split_name(&name).1.to_owned()
}

fn parent_name(path: &Path) -> String {
    path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

/// Gives a file a second name, or copies it where the file system has no links.
fn keep(path: &Path, second: &Path) -> io::Result<()> {
    match fs::hard_link(path, second) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(_) => fs::copy(path, second).and_then(|_| File::open(second)?.sync_all()),
        Ok(()) => Ok(()),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The journal among them.
const JOURNAL: &str = "journal";

impl std::fmt::Debug for InPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InPlace({})", self.folder.display())
    }
}
