//! Messages held for an administrator. Each is two files: `ID.eml` with its octets and `ID.json` with its envelope and the reason.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tempfile::NamedTempFile;

use super::{
    Notices,
    held::{Held, HeldFor},
};
use crate::{
    base::{Budget, Clock, Error, Kind, Limits, Result, parse_rfc3339, rfc3339},
    mail::{Mail, Message, Submitter},
};

/// A directory of held messages.
#[derive(Clone)]
pub struct Quarantine {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    notices: Option<Arc<Notices>>,
}

/// A message that has just been held.
pub struct Stored {
    /// The file with its octets.
    pub path: PathBuf,
    /// The notices to send.
    pub notices: Vec<Mail>,
}

impl Quarantine {
    /// Stores messages in `directory`, which must exist. They are named by the time of `clock`.
    pub fn new(directory: PathBuf, clock: Arc<dyn Clock>) -> Quarantine {
        Quarantine { directory, clock, notices: None }
    }

    /// Writes notices of the messages that it stores.
    #[must_use]
    pub fn with_notices(self, notices: Notices) -> Quarantine {
        Quarantine { notices: Some(Arc::new(notices)), ..self }
    }

    /// Writes a mail to disk.
    ///
    /// The files have hidden names until they are whole and on the disk. The octets come last: what has no `ID.eml` is not held.
    ///
    /// # Errors
    ///
    /// It could not be written. Nothing is left of it.
    pub fn hold(&self, mail: &Mail, reason: &str) -> Result<Stored> {
        let time = rfc3339(self.clock.now());
        let message = self.written(mail.message.octets())?;
        let name = message.path().file_name().unwrap_or_default().to_string_lossy();
        let id = format!("{}-{}", time.replace(['-', ':'], ""), name.trim_start_matches(HIDDEN));
        let held = Held {
            id: id.clone(),
            time,
            reason: reason.to_owned(),
            from: mail.envelope.sender.address.as_ref().map(ToString::to_string),
            from_parameters: mail.envelope.sender.parameters.clone(),
            to: mail.envelope.recipients.iter().map(HeldFor::of).collect(),
            octets: mail.message.octets().len() as u64,
        };
        let json = serde_json::to_vec_pretty(&held).map_err(|error| self.failed(&error.into()))?;
        let (record, path) = (self.place(&id, "json"), self.place(&id, "eml"));
        self.written(&json)?.persist_noclobber(&record).map_err(|error| self.failed(&error.error))?;
        if let Err(error) = message.persist_noclobber(&path) {
            let _ = fs::remove_file(&record);
            return Err(self.failed(&error.error));
        }
        self.sync()?;
        let notices = self.notices.as_ref().map(|notices| notices.mails(&held)).transpose().unwrap_or_else(|error| {
            tracing::warn!(event = "notice-not-sent", %error);
            None
        });
        Ok(Stored { path, notices: notices.unwrap_or_default() })
    }

    /// How many messages are held.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn count(&self) -> Result<usize> {
        Ok(self.ids()?.len())
    }

    /// The held messages, oldest first. A message without a readable `ID.json` is an error in its place.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Held>>> {
        let mut ids = self.ids()?;
        ids.sort_unstable();
        Ok(ids.iter().map(|id| self.record(id)).collect())
    }

    /// What is known of a held message, and its octets.
    ///
    /// # Errors
    ///
    /// `NoInput`: there is none with this id. `Damaged`: its record cannot be read. Others: a file cannot be read.
    pub fn read(&self, id: &str) -> Result<(Held, Vec<u8>)> {
        let path = self.known(id)?;
        Ok((self.record(id)?, fs::read(path).map_err(|error| self.failed(&error))?))
    }

    /// Sends a held message with `send`, octet for octet, with the envelope that it came with. Then removes it.
    ///
    /// If this process ends in between, the message was sent and is still here: it may arrive twice, and is never lost. Two processes do not
    /// release it at once.
    ///
    /// # Errors
    ///
    /// As [`Quarantine::read`]; `TryAgain`: another process is releasing it; the error of `send`. It is still held then.
    pub fn release(&self, id: &str, limits: &Limits, send: impl FnOnce(&Mail) -> Result<()>) -> Result<Held> {
        self.known(id)?;
        let record = File::open(self.place(id, "json")).map_err(|error| self.failed(&error))?;
        let busy = |_| Error::new(Kind::TryAgain, format!("{id}: another process is releasing it"));
        record.try_lock().map_err(busy)?;
        // Another process may have released it before the lock was free.
        let (held, octets) = self.read(id)?;
        let limits = Limits { message: octets.len().max(limits.message), ..limits.clone() };
        let message = Message::received(octets, &mut Budget::new(limits))?;
        send(&Mail { envelope: held.envelope()?, submitter: Submitter::Unknown, client: None, message })?;
        self.remove(id)?;
        Ok(held)
    }

    /// Removes a held message.
    ///
    /// # Errors
    ///
    /// `NoInput`: there is none with this id. Others: it cannot be removed.
    pub fn remove(&self, id: &str) -> Result<()> {
        fs::remove_file(self.known(id)?).map_err(|error| self.failed(&error))?;
        // Without its octets it is no longer held.
        let _ = fs::remove_file(self.place(id, "json"));
        self.sync()
    }

    /// Removes the messages that were held for `age` or longer, and what processes that were killed left behind. Returns the ids of the
    /// messages.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, or a file cannot be removed.
    pub fn expire(&self, age: Duration) -> Result<Vec<String>> {
        let now = self.clock.now();
        let is_old = |time: SystemTime, age| now.duration_since(time).is_ok_and(|passed| passed >= age);
        let mut expired = Vec::new();
        for held in self.list()?.into_iter().flatten() {
            if is_old(parse_rfc3339(&held.time)?, age) {
                self.remove(&held.id)?;
                expired.push(held.id);
            }
        }
        for name in self.names()? {
            let path = self.directory.join(&name);
            let is_orphan = name.strip_suffix(".json").is_some_and(|id| is_id(id) && !self.place(id, "eml").exists());
            let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let is_left = is_orphan || name.starts_with(HIDDEN);
            if is_left && modified.is_ok_and(|modified| is_old(modified, LEFTOVER)) {
                fs::remove_file(&path).map_err(|error| self.failed(&error))?;
            }
        }
        Ok(expired)
    }

    /// A hidden file with these octets, on the disk.
    fn written(&self, octets: &[u8]) -> Result<NamedTempFile> {
        let file = tempfile::Builder::new().prefix(HIDDEN).rand_bytes(8).tempfile_in(&self.directory);
        let mut file = file.map_err(|error| self.failed(&error))?;
        file.write_all(octets).and_then(|()| file.as_file().sync_all()).map_err(|error| self.failed(&error))?;
        Ok(file)
    }

    fn record(&self, id: &str) -> Result<Held> {
        let path = self.place(id, "json");
        let damaged = |why: String| Error::new(Kind::Damaged, format!("{}: {why}", path.display()));
        let octets = fs::read(&path).map_err(|error| damaged(error.to_string().to_lowercase()))?;
        serde_json::from_slice(&octets).map_err(|error| damaged(error.to_string()))
    }

    /// The path of the octets of a message that is held.
    fn known(&self, id: &str) -> Result<PathBuf> {
        let path = self.place(id, "eml");
        if is_id(id) && path.exists() {
            return Ok(path);
        }
        Err(Error::new(Kind::NoInput, format!("{id}: no such message in {}", self.directory.display())))
    }

    fn place(&self, id: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{id}.{extension}"))
    }

    /// The ids of the held messages, in no order.
    fn ids(&self) -> Result<Vec<String>> {
        let names = self.names()?.into_iter();
        Ok(names.filter_map(|name| name.strip_suffix(".eml").filter(|id| is_id(id)).map(str::to_owned)).collect())
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.directory).map_err(|error| self.failed(&error))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<std::io::Result<_>>().map_err(|error| self.failed(&error))
    }

    fn sync(&self) -> Result<()> {
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::io(self.directory.display(), error)
    }
}

/// Whether the text can be an id. Anything else may lead out of the directory.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
}

/// The prefix of files that are being written.
const HIDDEN: &str = ".held-";
/// The age from which a file that is being written, or has no message, is a leftover. Source: far above the time to write a message.
const LEFTOVER: Duration = Duration::from_secs(24 * 60 * 60);
