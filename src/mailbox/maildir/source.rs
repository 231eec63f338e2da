//! The messages of a Maildir.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use super::{flags_of, split_name};
use crate::{
    base::{Error, Result},
    mailbox::{Entry, MessageId, MessageSource, Progress, State},
};

/// The messages in `new` and `cur` of one folder, in the order of their names, which begin with the time of delivery. No file is renamed.
#[derive(Debug)]
pub struct MaildirSource {
    name: String,
    folder: PathBuf,
    limit: usize,
    /// Names with `cur/` or `new/` before them.
    files: VecDeque<String>,
    total: u64,
}

impl MaildirSource {
    /// Lists the messages that are there now. `limit` is the largest message in octets.
    ///
    /// # Errors
    ///
    /// The folders cannot be read.
    pub fn open(folder: &Path, limit: usize) -> Result<Self> {
        let mut files = listed(folder).map_err(|error| Error::io(folder.display(), &error))?;
        files.sort_by(|one, other| base(one).cmp(base(other)));
        let total = files.len() as u64;
        Ok(MaildirSource {
            name: folder.display().to_string(),
            folder: folder.to_owned(),
            limit,
            files: files.into(),
            total,
        })
    }

    /// The message in `file`; `None` when another program deleted it meanwhile.
    fn entry(&self, file: &str) -> io::Result<Option<Entry>> {
        let opened = match File::open(self.folder.join(file)) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Another program took it from `new` to `cur`, or changed its flags.
                let renamed = listed(&self.folder)?.into_iter().find(|other| base(other) == base(file));
                match renamed.map(|name| (File::open(self.folder.join(&name)), name)) {
                    Some((Ok(opened), name)) => Ok((opened, name)),
                    Some((Err(error), _)) if error.kind() == ErrorKind::NotFound => return Ok(None),
                    Some((Err(error), _)) => Err(error),
                    None => return Ok(None),
                }
            }
            opened => opened.map(|opened| (opened, file.to_owned())),
        };
        let id = MessageId::new(base(file));
        let (opened, file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let content = Err(Error::io(self.folder.join(file).display(), &error));
                return Ok(Some(Entry { id, content, state: State::default() }));
            }
        };
        let (_, name) = file.split_once('/').unwrap_or(("", &file));
        let (_, info) = split_name(name);
        let state = State {
            flags: flags_of(info),
            received: received(&opened),
            label: Some(file.clone().into_bytes()),
            ..State::default()
        };
        let content = read_limited(opened, self.limit, &self.folder.join(&file).display().to_string());
        Ok(Some(Entry { id, content, state }))
    }
}

impl MessageSource for MaildirSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
        while let Some(file) = self.files.pop_front() {
            if done(&MessageId::new(base(&file))) {
                continue;
            }
            let entry = self.entry(&file).map_err(|error| Error::io(self.folder.display(), &error))?;
            if entry.is_some() {
                return Ok(entry);
            }
        }
        Ok(None)
    }

    fn progress(&self) -> Progress {
        Progress { done: self.total - self.files.len() as u64, total: Some(self.total) }
    }
}

/// The octets of a file, unless there are more than `limit`.
pub(in crate::mailbox) fn read_limited(from: impl Read, limit: usize, place: &str) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut octets).map_err(|error| Error::io(place, &error))?;
    match octets.len() > limit {
        true => Err(Error::malformed(place, format!("more than {limit} octets"))),
        false => Ok(octets),
    }
}

/// When the file was written, in seconds since 1970: where Dovecot keeps the time of receipt.
pub(in crate::mailbox) fn received(file: &File) -> Option<i64> {
    let written = file.metadata().ok()?.modified().ok()?;
    i64::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// The files in `new` and `cur`. Names that begin with a dot are no messages.
fn listed(folder: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    for part in ["new", "cur"] {
        for entry in fs::read_dir(folder.join(part))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') && !entry.file_type()?.is_dir() {
                files.push(format!("{part}/{name}"));
            }
        }
    }
    Ok(files)
}

/// The part of a file's name that stays the same.
fn base(file: &str) -> &str {
    let (_, name) = file.split_once('/').unwrap_or(("", file));
    split_name(name).0
}
