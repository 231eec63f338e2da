//! Changes of the file of members, each once.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::members::{FileMembers, lines};
use crate::{
    base::{Result, Temporary, hex, parse_rfc3339, rfc3339},
    crypto::Hash,
    mail::Address,
    policy::{Carried, Command, REQUEST_AGE, Request},
};

/// A request in the file of those that were carried out: `TIME MARK COMMAND ADDRESS`.
struct Entry<'a> {
    time: SystemTime,
    mark: &'a str,
    line: &'a str,
    author: &'a str,
}

impl FileMembers {
    /// Carries out a request, unless it was before, and remembers it.
    ///
    /// The change comes before the entry: when this process ends in between, the request is carried out again, which changes nothing.
    pub(super) fn change(&self, request: &Request, now: SystemTime) -> Result<Carried> {
        let place = self.requests();
        let failed = |error: io::Error| self.failed(&format!("{}: {error}", place.display()));
        let lock = File::options().create(true).append(true).open(place.with_extension("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let known = match fs::read_to_string(&place) {
            Ok(known) => known,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed(error)),
        };
        let is_since = |time: SystemTime, age| now.duration_since(time).map_or(true, |passed| passed <= age);
        let unread = || self.failed(&format!("{}: not a file of requests", place.display()));
        let mut entries: Vec<Entry<'_>> =
            known.lines().map(|line| entry(line).ok_or_else(unread)).collect::<Result<_>>()?;
        entries.retain(|one| is_since(one.time, KEPT));
        let author = request.author.to_string().to_lowercase();
        if entries.iter().filter(|one| one.author == author && is_since(one.time, HOUR)).count() >= MOST {
            return Ok(Carried::TooMany);
        }
        let marks = marks(request, &author);
        let carried = match entries.iter().any(|one| marks.iter().any(|mark| mark == one.mark)) {
            true => Carried::Before,
            false => match request.command {
                Command::Help | Command::Key => Carried::Done,
                Command::Subscribe => self.join(&request.author)?,
                Command::Unsubscribe => self.leave(&request.author)?,
            },
        };
        let mut text: String = entries.iter().map(|one| format!("{}\n", one.line)).collect();
        for mark in marks {
            text += &format!("{} {mark} {} {author}\n", rfc3339(now), request.command.name());
        }
        replace(&place, &text, PRIVATE).map_err(failed)?;
        Ok(carried)
    }

    fn join(&self, author: &Address) -> Result<Carried> {
        let text = self.text()?;
        let members = lines(&text).map_err(|(line, error)| self.failed(&format!("line {line}: {error}")))?;
        if members.iter().chain(&self.inline).any(|member| is_same(&member.address, author)) {
            return Ok(Carried::Already);
        }
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.replace(&format!("{text}{end}{author}\n"))
    }

    fn leave(&self, author: &Address) -> Result<Carried> {
        if self.inline.iter().any(|member| is_same(&member.address, author)) {
            return Ok(Carried::Fixed);
        }
        let text = self.text()?;
        lines(&text).map_err(|(line, error)| self.failed(&format!("line {line}: {error}")))?;
        let is_theirs = |line: &&str| {
            let address = line.split_whitespace().next().and_then(|word| Address::parse(word).ok());
            address.is_some_and(|address| is_same(&address, author))
        };
        let kept: String = text.split_inclusive('\n').filter(|line| !is_theirs(line)).collect();
        if kept == text { Ok(Carried::Already) } else { self.replace(&kept) }
    }

    fn text(&self) -> Result<String> {
        fs::read_to_string(&self.path).map_err(|error| self.failed(&error.to_string()))
    }

    fn replace(&self, text: &str) -> Result<Carried> {
        let mode = fs::metadata(&self.path).map_or(PRIVATE, |metadata| metadata.mode() & 0o7777);
        replace(&self.path, text, mode).map_err(|error| self.failed(&error.to_string()))?;
        Ok(Carried::Done)
    }

    /// Where the requests are that were carried out.
    fn requests(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".requests");
        name.into()
    }
}

/// A name for each signature of a request, which nobody but its author can make another of.
fn marks(request: &Request, author: &str) -> Vec<String> {
    let seconds = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mark = |(key, at): &(String, SystemTime)| {
        let text = format!("{author}\n{}\n{key}\n{}", request.command.name(), seconds(*at));
        hex(&Hash::Sha256.digest(text.as_bytes()))
    };
    request.signatures.iter().map(mark).collect()
}

fn entry(line: &str) -> Option<Entry<'_>> {
    let mut words = line.splitn(4, ' ');
    let (time, mark, _, author) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(Entry { time: parse_rfc3339(time).ok()?, mark, line, author })
}

fn is_same(one: &Address, other: &Address) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

/// Writes a file whole, or leaves it as it is. It stays that of its owner.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = Temporary::create(folder, mode)?;
    file.write_all(text.as_bytes())?;
    if let Ok(before) = fs::metadata(path) {
        // Others than root cannot give a file away, and need not.
        let _ = chown(file.path(), Some(before.uid()), Some(before.gid()));
    }
    file.sync()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Requests of one person that are answered in an hour. Source: more than a person writes, and few enough for the mailbox of one whose mail is sent again.
const MOST: usize = 10;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Longer than a signature counts, with a day for clocks that are ahead.
const KEPT: Duration = Duration::from_secs(REQUEST_AGE.as_secs() + 2 * 24 * 60 * 60);
const PRIVATE: u32 = 0o600;
