//! A folder of files with one message each.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use super::{
    Entry, MessageId, MessageSink, MessageSource, Progress, State, Stored,
    maildir::{read_limited, received, sync_folder},
    packed::Packing,
};
use crate::base::{Error, Kind, Result, Temporary};

/// The messages in some files of one folder, packed ones too.
#[derive(Debug)]
pub struct FolderSource {
    name: String,
    folder: PathBuf,
    limit: usize,
    files: VecDeque<String>,
    total: u64,
}

impl FolderSource {
    /// The files `names` in `folder`, in this order. `limit` is the largest message in octets.
    pub fn new(folder: &Path, names: &[String], limit: usize) -> Self {
        FolderSource {
            name: folder.display().to_string(),
            folder: folder.to_owned(),
            limit,
            files: names.iter().cloned().collect(),
            total: names.len() as u64,
        }
    }

    fn entry(&self, name: String) -> Entry {
        let path = self.folder.join(&name);
        let place = path.display().to_string();
        let opened = File::open(&path).map_err(|error| Error::io(&place, &error));
        let received = opened.as_ref().ok().and_then(received);
        let content = opened.and_then(|file| {
            let (reader, _) = Packing::open(file, &place)?;
            read_limited(reader, self.limit, &place)
        });
        let label = Some(Packing::stripped(&name).as_bytes().to_vec());
        Entry { id: MessageId::new(name), content, state: State { received, label, ..State::default() } }
    }
}

impl MessageSource for FolderSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, done: &dyn Fn(&MessageId) -> bool) -> Result<Option<Entry>> {
        while let Some(name) = self.files.pop_front() {
            if !done(&MessageId::new(&name)) {
                return Ok(Some(self.entry(name)));
            }
        }
        Ok(None)
    }

    fn progress(&self) -> Progress {
        Progress { done: self.total - self.files.len() as u64, total: Some(self.total) }
    }
}

/// Writes messages as files of a folder, each whole or not at all.
#[derive(Debug)]
pub struct FolderSink {
    name: String,
    folder: PathBuf,
    written: u64,
}

impl FolderSink {
    /// The folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// `CannotCreate` when it cannot be made.
    pub fn open(folder: &Path) -> Result<Self> {
        let refused = |error| Error::new(Kind::CannotCreate, Error::io(folder.display(), &error).to_string());
        fs::create_dir_all(folder).map_err(refused)?;
        Ok(FolderSink { name: folder.display().to_string(), folder: folder.to_owned(), written: 0 })
    }

    /// The label, where it is the name of a file and there is none; otherwise a number.
    fn path(&mut self, message: &Stored<'_>) -> PathBuf {
        let label = message.state.label.as_deref().and_then(|label| std::str::from_utf8(label).ok());
        let is_name = |name: &&str| {
            !name.is_empty() && !name.starts_with('.') && !name.contains(|c: char| c == '/' || c.is_control())
        };
        let named = label.filter(is_name).map(|name| self.folder.join(name)).filter(|path| !path.exists());
        named.unwrap_or_else(|| {
            loop {
                self.written += 1;
                let path = self.folder.join(format!("{:06}.eml", self.written));
                if !path.exists() {
                    return path;
                }
            }
        })
    }
}

impl MessageSink for FolderSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn append(&mut self, message: &Stored<'_>) -> Result<()> {
        let path = self.path(message);
        let written = Temporary::create(&self.folder, 0o600).and_then(|mut file| {
            file.write_all(message.octets)?;
            file.sync()?;
            file.persist(&path)?;
            sync_folder(&self.folder)
        });
        written.map_err(|error| Error::io(path.display(), &error))
    }
}
