//! Adds messages to a Maildir.

use std::{
    fs::{self, DirBuilder, File, FileTimes, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{info_of, split_name};
use crate::{
    base::{Clock, Error, Kind, Random, Result, hex},
    mailbox::{MessageSink, Stored},
};

/// Adds messages to one folder: each is written in `tmp`, and gets its place in `new` or, with flags, in `cur` when it is on disk.
pub struct MaildirSink {
    name: String,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl MaildirSink {
    /// The Maildir at `folder`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// `CannotCreate` when it cannot be made.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self> {
        for part in ["tmp", "new", "cur"] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder.join(part));
            made.map_err(|error| Error::new(Kind::CannotCreate, Error::io(folder.display(), &error).to_string()))?;
        }
        Ok(MaildirSink { name: folder.display().to_string(), folder: folder.to_owned(), clock, random })
    }

    /// Adds a message, and returns its file with `new/` or `cur/` before its name.
    ///
    /// # Errors
    ///
    /// As [`MessageSink::append`].
    pub fn add(&mut self, message: &Stored<'_>) -> Result<String> {
        let base = self.unique()?;
        self.add_as(&base, message)
    }

    fn add_as(&mut self, base: &str, message: &Stored<'_>) -> Result<String> {
        let place = match info_of(message.state.flags).as_str() {
            // In `cur`, a mail reader has seen that it is there, without the flag that it was read.
            ":2," if !message.state.label.as_deref().unwrap_or_default().starts_with(b"cur/") => format!("new/{base}"),
            info => format!("cur/{base}{info}"),
        };
        self.place(message, &place)?;
        Ok(place)
    }

    /// Adds a message as the file `place`, which begins with `new/` or `cur/` and is not there yet.
    ///
    /// # Errors
    ///
    /// As [`MessageSink::append`].
    pub fn place(&mut self, message: &Stored<'_>, place: &str) -> Result<()> {
        let temporary = self.folder.join("tmp").join(self.unique()?);
        let written = write(&temporary, message).and_then(|()| {
            let target = self.folder.join(place);
            fs::rename(&temporary, &target)?;
            sync_folder(target.parent().unwrap_or(&self.folder))
        });
        written.map_err(|error| {
            // The file in `tmp` is not part of the mailbox.
            let _ = fs::remove_file(&temporary);
            Error::io(&self.name, &error)
        })
    }

    /// A name that no other file has (maildir(5)), without flags.
    ///
    /// # Errors
    ///
    /// There is no randomness.
    pub fn unique(&self) -> Result<String> {
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut octets = [0; 8];
        self.random.fill(&mut octets)?;
        let host = rustix::system::uname().nodename().to_string_lossy().replace('/', "\\057").replace(':', "\\072");
        let (seconds, micros) = (now.as_secs(), now.subsec_micros());
        Ok(format!("{seconds}.M{micros}P{}R{}.{host}", std::process::id(), hex(&octets)))
    }
}

impl MessageSink for MaildirSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn append(&mut self, message: &Stored<'_>) -> Result<()> {
        self.add(message).map(drop)
    }

    /// The name that its file will have.
    fn mark(&mut self, _: &Stored<'_>) -> Result<Option<String>> {
        self.unique().map(Some)
    }

    fn append_marked(&mut self, mark: &str, message: &Stored<'_>) -> Result<()> {
        self.add_as(mark, message).map(drop)
    }

    fn has(&mut self, mark: &str) -> Result<bool> {
        for part in ["new", "cur"] {
            let failed = |error: io::Error| Error::io(&self.name, &error);
            for entry in fs::read_dir(self.folder.join(part)).map_err(failed)? {
                // A mail reader may have moved it, and changed its flags.
                let name = entry.map_err(failed)?.file_name();
                if split_name(&name.to_string_lossy()).0 == mark {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn write(path: &Path, message: &Stored<'_>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(message.octets)?;
    if let Some(time) = message.state.received.and_then(time) {
        file.set_times(FileTimes::new().set_modified(time))?;
    }
    file.sync_all()
}

/// The time of receipt as the time of a file.
pub(in crate::mailbox) fn time(received: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(received).ok()?))
}

/// Syncs the names in a folder to the disk.
///
/// # Errors
///
/// Those of syncing.
pub(in crate::mailbox) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

impl std::fmt::Debug for MaildirSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MaildirSink({})", self.name)
    }
}
