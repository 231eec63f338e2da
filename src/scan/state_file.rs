//! The file in which a scan writes what is done, so that it can go on later.

use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::outline::Outline;
use crate::{
    base::{Error, Kind, Result},
    mailbox::MessageId,
};

/// What is done. Each line of the file is one message; the line that a killed process did not end is cut off.
#[derive(Debug)]
pub struct StateFile {
    place: String,
    file: BufWriter<File>,
    done: HashMap<String, HashSet<MessageId>>,
    pending: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    mailbox: String,
    id: String,
    #[serde(flatten)]
    outline: Outline,
}

impl StateFile {
    /// Opens the file, or makes it. `counted` gets each message that is in it.
    ///
    /// # Errors
    ///
    /// Another scan uses it, it is something else, or it cannot be read or written.
    pub fn open(path: &Path, counted: &mut dyn FnMut(&Outline)) -> Result<Self> {
        let place = path.display().to_string();
        let failed = |error| Error::io(&place, &error);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = opened.map_err(|error| Error::new(Kind::CannotCreate, failed(error).to_string()))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::TryAgain, format!("{place}: another scan uses it")));
            }
            // A file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut reader = BufReader::new(&file);
        let mut text = Vec::new();
        reader.read_until(b'\n', &mut text).map_err(failed)?;
        let mut end = text.len() as u64;
        let mut done: HashMap<String, HashSet<MessageId>> = HashMap::new();
        if text.is_empty() {
            file.write_all(FIRST).map_err(failed)?;
            end = FIRST.len() as u64;
        } else if text != FIRST {
            return Err(Error::malformed(&place, "not the state of a scan"));
        } else {
            loop {
                text.clear();
                reader.read_until(b'\n', &mut text).map_err(failed)?;
                let Ok(line) = serde_json::from_slice::<Line>(&text) else { break };
                if !text.ends_with(b"\n") {
                    break;
                }
                end += text.len() as u64;
                counted(&line.outline);
                done.entry(line.mailbox).or_default().insert(MessageId::new(line.id));
            }
            drop(reader);
            file.set_len(end).map_err(failed)?;
        }
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(StateFile { place, file: BufWriter::new(file), done, pending: 0 })
    }

    /// The messages of a mailbox that are done.
    pub fn done(&mut self, mailbox: &str) -> HashSet<MessageId> {
        self.done.remove(mailbox).unwrap_or_default()
    }

    /// Writes that a message is done. It is in the file at the latest with the hundredth after it.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn add(&mut self, mailbox: &str, id: &MessageId, outline: &Outline) -> Result<()> {
        let line = Line { mailbox: mailbox.to_owned(), id: id.to_string(), outline: outline.clone() };
        let mut text = serde_json::to_vec(&line).map_err(|error| Error::usage(error.to_string()))?;
        text.push(b'\n');
        self.pending += 1;
        let written = self
            .file
            .write_all(&text)
            .and_then(|()| if self.pending.is_multiple_of(100) { self.file.flush() } else { Ok(()) });
        written.map_err(|error| Error::io(&self.place, &error))
    }

    /// Puts everything on the disk.
    ///
    /// # Errors
    ///
    /// `Io`.
    pub fn finish(mut self) -> Result<()> {
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(|error| Error::io(&self.place, &error))
    }
}

/// The first line: what it is, and in which version.
const FIRST: &[u8] = b"{\"postseal-scan\":1}\n";
