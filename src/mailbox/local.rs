//! What mailboxes are at a path of this machine, and how each is opened.

use std::{
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Entry, MessageId, MessageSink, MessageSource, Progress, State,
    folder::{FolderSink, FolderSource},
    maildir::{self, MaildirSink, MaildirSource, read_limited, received},
    mbox::{Format, MboxSink, MboxSource},
    packed::Packing,
};
use crate::{
    base::{Clock, Error, Kind, Random, Result},
    mail::mbox,
};

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// The same from the path on that was searched: the name that a copy of it has. Empty for the path itself, if that is a folder.
    pub relative: PathBuf,
    /// What it is.
    pub kind: PlaceKind,
}

/// What a mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A folder with one message in each of these files.
    Folder(Vec<String>),
    /// A Maildir, without the folders in it.
    Maildir,
    /// One file with several messages, perhaps packed.
    Mbox,
    /// One file with one message, perhaps packed.
    Message,
    /// Standard input: a message or an mbox.
    Stream,
}

/// What was found at a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The mailboxes, in the order of their names.
    pub places: Vec<Place>,
    /// Files that hold no mail by their name and first octets.
    pub passed_over: Vec<PathBuf>,
}

/// How mailboxes are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The format of each mbox; recognized when it is not given.
    pub format: Option<Format>,
    /// The largest message in octets.
    pub limit: usize,
}

/// The mailboxes at `path`: a Maildir with its folders, an mbox, a message, or a tree of folders with any of them. `-` is standard input.
///
/// In a folder, a file is taken for mail when its name ends in `.eml`, `.mbox` or `.mbx`, packed or not; when its name is a number (MH); and when
/// its name has no ending and it begins as an mbox (Thunderbird). Links to folders are not followed.
///
/// # Errors
///
/// There is nothing at `path`, or a folder or file cannot be read.
pub fn places(path: &Path) -> Result<Places> {
    let mut found = Places::default();
    if path.as_os_str() == "-" {
        let relative = PathBuf::from("stdin");
        found.places.push(Place { path: path.to_owned(), relative, kind: PlaceKind::Stream });
        return Ok(found);
    }
    let failed = |error| Error::new(Kind::NoInput, Error::io(path.display(), &error).to_string());
    if fs::metadata(path).map_err(failed)?.is_dir() {
        walk(path, Path::new(""), 0, &mut found)?;
    } else {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let relative = PathBuf::from(Packing::stripped(&name));
        let kind = if begins_as_mbox(path)? { PlaceKind::Mbox } else { PlaceKind::Message };
        found.places.push(Place { path: path.to_owned(), relative, kind });
    }
    Ok(found)
}

fn walk(folder: &Path, relative: &Path, depth: usize, found: &mut Places) -> Result<()> {
    let failed = |error: io::Error| Error::io(folder.display(), &error);
    if depth > MAX_DEPTH {
        return Err(Error::malformed(folder.display(), "more than 64 folders in one another"));
    }
    let is_maildir = maildir::is_maildir(folder);
    let mut place = |path: PathBuf, relative: PathBuf, kind| found.places.push(Place { path, relative, kind });
    if is_maildir {
        place(folder.to_owned(), relative.to_owned(), PlaceKind::Maildir);
        for path in maildir::subfolders(folder).map_err(failed)? {
            let relative = relative.join(path.file_name().unwrap_or_default());
            place(path, relative, PlaceKind::Maildir);
        }
    }
    let mut messages = Vec::new();
    let mut folders = Vec::new();
    let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_dir = entry.file_type().map_err(failed)?.is_dir();
        if name.starts_with('.') || is_maildir && (!is_dir || OF_MAILDIR.contains(&name.as_str())) {
            continue;
        }
        if is_dir {
            folders.push(entry.path());
        } else if !entry.path().is_dir() {
            match kind_by_name(&entry.path(), &name)? {
                Some(PlaceKind::Mbox) => {
                    let relative = relative.join(Packing::stripped(&name));
                    found.places.push(Place { path: entry.path(), relative, kind: PlaceKind::Mbox });
                }
                Some(_) => messages.push(name),
                None => found.passed_over.push(entry.path()),
            }
        }
    }
    if !messages.is_empty() {
        let (path, relative) = (folder.to_owned(), relative.to_owned());
        found.places.push(Place { path, relative, kind: PlaceKind::Folder(messages) });
    }
    folders.into_iter().try_for_each(|path| {
        let relative = relative.join(path.file_name().unwrap_or_default());
        walk(&path, &relative, depth + 1, found)
    })
}

/// What a file in a folder is; `None` when it is no mail.
fn kind_by_name(path: &Path, name: &str) -> Result<Option<PlaceKind>> {
    let stem = Packing::stripped(name);
    let ending = stem.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    Ok(match ending.as_deref() {
        Some("eml") => Some(PlaceKind::Message),
        Some("mbox" | "mbx") => Some(PlaceKind::Mbox),
        Some(_) => None,
        None if stem.bytes().all(|octet| octet.is_ascii_digit()) => Some(PlaceKind::Message),
        None => begins_as_mbox(path)?.then_some(PlaceKind::Mbox),
    })
}

fn begins_as_mbox(path: &Path) -> Result<bool> {
    let place = path.display().to_string();
    let failed = |error| Error::new(Kind::NoInput, Error::io(&place, &error).to_string());
    let (reader, _) = Packing::open(File::open(path).map_err(failed)?, &place)?;
    let mut start = Vec::new();
    // What cannot be unpacked is an error of the message.
    let _ = reader.take(START).read_to_end(&mut start);
    Ok(is_mbox(&start))
}

fn is_mbox(start: &[u8]) -> bool {
    start.get(mbox::blank_lines(start)..).is_some_and(|rest| mbox::label(rest).is_some())
}

impl Place {
    /// Its messages.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or another program has it locked.
    pub fn open(&self, reading: Reading) -> Result<Box<dyn MessageSource + Send>> {
        let name = self.path.display().to_string();
        Ok(match &self.kind {
            PlaceKind::Folder(names) => Box::new(FolderSource::new(&self.path, names, reading.limit)),
            PlaceKind::Maildir => Box::new(MaildirSource::open(&self.path, reading.limit)?),
            PlaceKind::Mbox => Box::new(MboxSource::open(&self.path, reading.format, reading.limit)?),
            PlaceKind::Message => {
                let file = File::open(&self.path).map_err(|error| Error::io(&name, &error))?;
                let received = received(&file);
                let (reader, _) = Packing::open(file, &name)?;
                Box::new(OneMessage::read(reader, name, self.label(), received, reading.limit))
            }
            PlaceKind::Stream => {
                let (mut reader, _) = Packing::open(io::stdin(), &name)?;
                let mut start = Vec::new();
                reader.by_ref().take(START).read_to_end(&mut start).map_err(|error| Error::io(&name, &error))?;
                let is_mbox = is_mbox(&start);
                let whole = Box::new(Cursor::new(start).chain(reader));
                match is_mbox {
                    true => Box::new(MboxSource::read(whole, &name, reading.format, reading.limit)?),
                    false => Box::new(OneMessage::read(whole, name, self.label(), None, reading.limit)),
                }
            }
        })
    }

    /// A mailbox of the same kind, at its place below `root`, for a copy. It is made when it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub fn copy(
        &self,
        root: &Path,
        format: Format,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Box<dyn MessageSink + Send>> {
        let path = root.join(&self.relative);
        let folder = path.parent().filter(|_| !matches!(self.kind, PlaceKind::Folder(_) | PlaceKind::Maildir));
        let folder = folder.unwrap_or(&path);
        let refused = |error| Error::new(Kind::CannotCreate, Error::io(folder.display(), &error).to_string());
        fs::create_dir_all(folder).map_err(refused)?;
        Ok(match self.kind {
            PlaceKind::Folder(_) => Box::new(FolderSink::open(&path)?),
            PlaceKind::Maildir => Box::new(MaildirSink::open(&path, clock, random)?),
            PlaceKind::Mbox | PlaceKind::Stream => Box::new(MboxSink::open(&path, format, clock)?),
            PlaceKind::Message => Box::new(FolderSink::open(folder)?),
        })
    }

    fn label(&self) -> Vec<u8> {
        self.relative.as_os_str().as_encoded_bytes().to_vec()
    }
}

/// A file with one message.
#[derive(Debug)]
struct OneMessage {
    name: String,
    entry: Option<Entry>,
}

impl OneMessage {
    fn read(from: impl Read, name: String, label: Vec<u8>, received: Option<i64>, limit: usize) -> Self {
        let content = read_limited(from, limit, &name);
        let state = State { received, label: Some(label), ..State::default() };
        let entry = Some(Entry { id: MessageId::new("1"), content, state });
        OneMessage { name, entry }
    }
}

impl MessageSource for OneMessage {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
        Ok(self.entry.take().filter(|entry| !done(&entry.id)))
    }

    fn progress(&self) -> Progress {
        Progress { done: u64::from(self.entry.is_none()), total: Some(1) }
    }
}

/// Octets in which a `From ` line and the header field after it end.
const START: u64 = 8 * 1024;
/// Folders in one another. Source: the length of a path (PATH_MAX) allows no more that have names.
const MAX_DEPTH: usize = 64;
/// The folders of a Maildir that are no folders of mail.
const OF_MAILDIR: [&str; 4] = ["cur", "new", "tmp", maildir::ORIGINALS];
