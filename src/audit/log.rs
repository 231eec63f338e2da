//! The file of the log: appended to by any number of processes, synced, and rotated.
//!
//! Beside the log is a small file, `audit.log.head`, with the number, the hash and the end of the last entry. Its lock makes writers wait for one
//! another. It tells a writer that lines are torn or missing at the end, and where a new file goes on after the old one was moved away.

use std::{
    fmt::Debug,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Actor,
    entry::{self, Entry, Event, Head, MAX_LINE, Note},
};
use crate::{
    base::{Clock, Error, Kind, Result, Secret, SystemClock, hex},
    crypto::Hash,
};

/// Where entries go.
pub trait Sink: Debug + Send + Sync {
    /// Appends entries, all of them one after the other, with a code under `key` if there is one; returns the end of the chain then.
    ///
    /// # Errors
    ///
    /// They could not be written. A part of them may be there; the next entry names it.
    fn append(&self, notes: &[Note], durability: Durability, key: Option<&Secret>) -> Result<Head>;
}

/// When an entry is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before [`Log::append`] returns.
    Disk,
    /// With a later one, a second later at most while entries come. A killed process loses none; a machine that stops can lose those of a second.
    Soon,
}

/// A file with JSON lines.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    by: Actor,
    synced: Mutex<Option<Instant>>,
    clock: ClockOf,
}

struct ClockOf(Arc<dyn Clock>);

impl Debug for ClockOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// What the file beside the log says.
#[derive(Clone, Debug)]
struct Mark {
    head: Head,
    /// Octets of the log up to the end of this entry.
    end: u64,
}

impl Log {
    /// The log at `path`, written by `by`. The first entry makes the file. Entries have the machine's time, whatever time the mail is judged by.
    pub fn new(path: &Path, by: Actor) -> Log {
        Log { path: path.to_owned(), by, synced: Mutex::new(None), clock: ClockOf(Arc::new(SystemClock)) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is something: the log, or what says where it went on.
    ///
    /// # Errors
    ///
    /// `Io`: the folder cannot be read.
    pub fn exists(&self) -> Result<bool> {
        let is_there = |path: &Path| path.try_exists().map_err(|error| Error::io(path.display(), &error));
        Ok(is_there(&self.path)? || is_there(&self.beside())?)
    }

    /// The end of the chain; `None` while there is none.
    ///
    /// # Errors
    ///
    /// `Io`, `Damaged`: the files cannot be read.
    pub fn head(&self) -> Result<Option<Head>> {
        let mark = match File::open(self.beside()) {
            Ok(file) => {
                file.lock_shared().map_err(|error| self.failed(&error))?;
                read_mark(&file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed(&error)),
        };
        let last = match File::open(&self.path) {
            Ok(file) => Tail::read(&file).map_err(|error| self.failed(&error))?.last,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed(&error)),
        };
        Ok(last.map(|entry| entry.head()).or(mark.map(|mark| mark.head)))
    }

    /// Appends entries, and returns the end of the chain then: see [`Sink::append`].
    ///
    /// # Errors
    ///
    /// `CannotCreate`: they could not be written.
    pub fn append(&self, notes: &[Note], durability: Durability, key: Option<&Secret>) -> Result<Head> {
        self.append_after(&Head::none(), notes, durability, key)
    }

    /// As [`Log::append`]; where there is neither a log nor what says where it went on, the chain goes on after `before`.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn append_after(
        &self,
        before: &Head,
        notes: &[Note],
        durability: Durability,
        key: Option<&Secret>,
    ) -> Result<Head> {
        let beside = self.lock()?;
        self.write(&beside, before, notes, durability, key)
    }

    /// Moves the log aside and begins a new file that goes on with the chain; returns the name of the old one. `None`: there is no log.
    ///
    /// # Errors
    ///
    /// `CannotCreate`: the log cannot be moved or begun.
    pub fn rotate(&self, key: Option<&Secret>) -> Result<Option<PathBuf>> {
        let beside = self.lock()?;
        if !self.path.try_exists().map_err(|error| self.failed(&error))? {
            return Ok(None);
        }
        let file = File::open(&self.path).map_err(|error| self.failed(&error))?;
        let tail = Tail::read(&file).map_err(|error| self.failed(&error))?;
        let head = tail.last.map(|last| last.head()).or(read_mark(&beside).map(|mark| mark.head));
        let head = head.unwrap_or_else(Head::none);
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{:010}", head.number));
        let aside = PathBuf::from(name);
        if aside.try_exists().map_err(|error| self.failed(&error))? {
            return Err(Error::new(Kind::CannotCreate, format!("{}: exists", aside.display())));
        }
        fs::rename(&self.path, &aside).map_err(|error| self.failed(&error))?;
        write_mark(&beside, &Mark { head, end: tail.end.max(1) }).map_err(|error| self.failed(&error))?;
        self.write(&beside, &Head::none(), &[], Durability::Disk, key)?;
        Ok(Some(aside))
    }

    fn write(
        &self,
        beside: &File,
        before: &Head,
        notes: &[Note],
        durability: Durability,
        key: Option<&Secret>,
    ) -> Result<Head> {
        let failed = |error: io::Error| self.failed(&error);
        let opened = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path);
        let mut file = opened.map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mark = read_mark(beside);
        let (mut head, found, mut octets) = match mark {
            Some(Mark { head, end }) if end == length && length > 0 => (head, None, Vec::new()),
            mark => caught_up(&Tail::read(&file).map_err(failed)?, mark, before),
        };
        for note in found.iter().chain(notes) {
            let (line, next) = entry::line(note, &head, &self.by, self.clock.0.now(), key)?;
            octets.extend_from_slice(&line);
            head = next;
        }
        if octets.is_empty() {
            return Ok(head);
        }
        if let Err(error) = file.write_all(&octets) {
            // Where the file may only grow, the next entry names what is left of this one.
            let _ = file.set_len(length);
            return Err(failed(error));
        }
        if durability == Durability::Disk || self.is_due() {
            file.sync_data().map_err(failed)?;
            if length == 0 {
                self.sync_folder()?;
            }
            *self.synced() = Some(Instant::now());
        }
        let end = length + u64::try_from(octets.len()).unwrap_or_default();
        write_mark(beside, &Mark { head: head.clone(), end }).map_err(failed)?;
        Ok(head)
    }

    /// The file beside the log, locked.
    fn lock(&self) -> Result<File> {
        let path = self.beside();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.and_then(|file| file.lock().map(|()| file)).map_err(|error| self.failed(&error))?;
        let length = file.metadata().map_err(|error| self.failed(&error))?.len();
        if length < WIDTH as u64 {
            // Its octets are on the disk before the log grows: a full disk is noticed here, and rewriting takes no room.
            file.write_all_at(&[b' '; WIDTH], 0).map_err(|error| self.failed(&error))?;
        }
        Ok(file)
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".head");
        name.into()
    }

    fn is_due(&self) -> bool {
        self.synced().is_none_or(|at| at.elapsed() >= PERIOD)
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sync_folder(&self) -> Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Error {
        Error::new(Kind::CannotCreate, format!("audit log {}", Error::io(self.path.display(), error)))
    }
}

impl Sink for Log {
    fn append(&self, notes: &[Note], durability: Durability, key: Option<&Secret>) -> Result<Head> {
        Log::append(self, notes, durability, key)
    }
}

/// The files of the log at `path` in their order: those that [`Log::rotate`] moved aside, and then the log.
///
/// # Errors
///
/// `Io`: the folder cannot be read.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |error: io::Error| Error::io(folder.display(), &error);
    let mut aside: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let other = entry.file_name().to_string_lossy().into_owned();
        let number = other.strip_prefix(&name).and_then(|rest| rest.strip_prefix('.'));
        if number.is_some_and(|number| number.len() == 10 && number.bytes().all(|octet| octet.is_ascii_digit())) {
            aside.push(path.with_file_name(other));
        }
    }
    aside.sort();
    if path.try_exists().map_err(failed)? {
        aside.push(path.to_owned());
    }
    Ok(aside)
}

/// The end of a file.
struct Tail {
    /// The last whole line; `None` when there is none, or it cannot be read.
    last: Option<Entry>,
    /// The last whole line, if it cannot be read.
    unreadable: Option<Vec<u8>>,
    /// What comes after the last line feed.
    torn: Vec<u8>,
    end: u64,
}

impl Tail {
    fn read(mut file: &File) -> io::Result<Tail> {
        let end = file.metadata()?.len();
        let window = u64::try_from(2 * MAX_LINE).unwrap_or(u64::MAX);
        file.seek(SeekFrom::Start(end.saturating_sub(window)))?;
        let mut octets = Vec::new();
        file.take(window).read_to_end(&mut octets)?;
        let whole = memchr::memrchr(b'\n', &octets).map_or(0, |at| at + 1);
        let torn = octets.split_off(whole);
        let line = octets.strip_suffix(b"\n").map(|lines| {
            let from = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
            lines.get(from..).unwrap_or_default()
        });
        let read = line.map(Entry::read);
        let unreadable = line.filter(|_| matches!(read, Some(Err(_)))).map(<[u8]>::to_vec);
        Ok(Tail { last: read.and_then(std::result::Result::ok), unreadable, torn, end })
    }
}

/// Where the chain goes on when the file is not what was left: after which entry, the entry that says so, and the octets that come before it.
fn caught_up(tail: &Tail, mark: Option<Mark>, before: &Head) -> (Head, Option<Note>, Vec<u8>) {
    let known = mark.map(|mark| mark.head);
    if tail.end == 0 {
        return match known {
            Some(head) => (head.clone(), Some(continuing(&head)), Vec::new()),
            None if before.number > 0 => {
                let note =
                    Note::new(Event::Recover).with("lost_until", before.number).with("lost_hash", before.hash.as_str());
                (before.clone(), Some(note), Vec::new())
            }
            None => (Head::none(), Some(Note::new(Event::Begin)), Vec::new()),
        };
    }
    let mut note = Note::new(Event::Recover);
    let mut octets = Vec::new();
    if !tail.torn.is_empty() {
        note = note.with("torn", tail.torn.len()).with("torn_sha256", hex(&Hash::Sha256.digest(&tail.torn)));
        octets.push(b'\n');
    }
    if let Some(line) = &tail.unreadable {
        note = note.with("unreadable_sha256", hex(&Hash::Sha256.digest(line)));
    }
    let found = tail.last.as_ref().map(Entry::head);
    let head = match (found, known) {
        (Some(found), Some(known)) if known.number > found.number => {
            note = note.with("lost_until", known.number).with("lost_hash", known.hash);
            found
        }
        (Some(found), _) => found,
        (None, known) => known.unwrap_or_else(Head::none),
    };
    let is_news = !note.facts.is_empty();
    (head, is_news.then_some(note), octets)
}

/// The first entry of a file that goes on after another one.
fn continuing(head: &Head) -> Note {
    Note::new(Event::Continue).with("after", head.number)
}

fn read_mark(file: &File) -> Option<Mark> {
    let mut octets = [0; WIDTH];
    file.read_exact_at(&mut octets, 0).ok()?;
    let text = std::str::from_utf8(&octets).ok()?;
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let hash = words.next().filter(|hash| hash.len() == 64)?.to_owned();
    let end = words.next()?.parse().ok()?;
    Some(Mark { head: Head { number, hash }, end })
}

fn write_mark(file: &File, mark: &Mark) -> io::Result<()> {
    let text = format!("{:<width$}\n", format!("{} {}", mark.head, mark.end), width = WIDTH - 1);
    file.write_all_at(text.as_bytes(), 0)
}

/// Octets of the file beside the log: two numbers of twenty digits and a hash.
const WIDTH: usize = 128;
/// Between two times that entries are brought to the disk.
const PERIOD: Duration = Duration::from_secs(1);
