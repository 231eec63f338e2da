//! Appends messages to an mbox.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Format, lock};
use crate::{
    base::{Clock, Error, Kind, Result},
    mailbox::{MessageSink, Stored},
};

/// Appends messages to an mbox, which is locked while one is appended.
pub struct MboxSink {
    name: String,
    path: PathBuf,
    file: File,
    format: Format,
    clock: Arc<dyn Clock>,
}

impl MboxSink {
    /// Opens the file, and makes it if there is none, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// `CannotCreate` when it cannot be opened for writing.
    pub fn open(path: &Path, format: Format, clock: Arc<dyn Clock>) -> Result<Self> {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let refused = |error| Error::new(Kind::CannotCreate, Error::io(path.display(), &error).to_string());
        let file = opened.map_err(refused)?;
        Ok(MboxSink { name: path.display().to_string(), path: path.to_owned(), file, format, clock })
    }

    /// A `From ` line: the label where it is one.
    fn label(&self, message: &Stored<'_>) -> Vec<u8> {
        let label = message.state.label.as_deref().unwrap_or_default();
        if label.trim_ascii_start().starts_with(b"From ") && label.ends_with(b"\n") {
            return label.to_vec();
        }
        let seconds = message.state.received.unwrap_or_else(|| {
            let now = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(now.as_secs()).unwrap_or_default()
        });
        let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let is_crlf =
            message.octets.split_inclusive(|octet| *octet == b'\n').next().is_some_and(|line| line.ends_with(b"\r\n"));
        let line_end = if is_crlf { "\r\n" } else { "\n" };
        format!("From MAILER-DAEMON {}{line_end}", time.strftime("%a %b %e %H:%M:%S %Y")).into_bytes()
    }

    /// What makes the mbox end with an empty line, or nothing when it does or is empty.
    fn separator(&mut self, length: u64) -> std::io::Result<&'static [u8]> {
        let mut last = Vec::new();
        self.file.seek(SeekFrom::Start(length.saturating_sub(4)))?;
        (&self.file).take(4).read_to_end(&mut last)?;
        Ok(match last.as_slice() {
            [] | [.., b'\n', b'\n'] | [.., b'\n', b'\r', b'\n'] => b"",
            [.., b'\n'] => b"\n",
            _ => b"\n\n",
        })
    }

    fn write(&mut self, length: u64, message: &Stored<'_>) -> std::io::Result<()> {
        let label = self.label(message);
        let text = self.format.quoted(message.octets);
        let end: &[u8] = match (label.ends_with(b"\r\n"), text.ends_with(b"\n")) {
            (true, true) => b"\r\n",
            (false, true) => b"\n",
            (true, false) => b"\r\n\r\n",
            (false, false) => b"\n\n",
        };
        let separator = self.separator(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.file.write_all(&[separator, &label, &text, end].concat())?;
        self.file.sync_all()
    }
}

impl MessageSink for MboxSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn append(&mut self, message: &Stored<'_>) -> Result<()> {
        let failed = |name: &str, error| Error::io(name, &error);
        let file = self.file.try_clone().map_err(|error| failed(&self.name, error))?;
        let _lock = lock::exclusive(&file, &self.path, &*self.clock)?;
        let length = file.metadata().map_err(|error| failed(&self.name, error))?.len();
        self.write(length, message).map_err(|error| {
            // Otherwise half a message would stay. A failure of this is less than the one before.
            let _ = file.set_len(length);
            failed(&self.name, error)
        })
    }
}

impl std::fmt::Debug for MboxSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MboxSink({})", self.name)
    }
}
