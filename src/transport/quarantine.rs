//! Messages held for an administrator, one file each.

use std::{fs::File, io::Write, path::PathBuf};

use crate::{
    base::{Error, Result},
    mail::Mail,
};

/// A directory of held messages.
#[derive(Clone, Debug)]
pub struct Quarantine {
    directory: PathBuf,
}

impl Quarantine {
    /// Stores messages in `directory`, which must exist.
    pub fn new(directory: PathBuf) -> Quarantine {
        Quarantine { directory }
    }

    /// Writes a mail to disk, with its envelope and `reason` in fields above its header. Returns the path.
    ///
    /// # Errors
    ///
    /// It could not be written. Nothing is left of it.
    pub fn hold(&self, mail: &Mail, reason: &str) -> Result<PathBuf> {
        let io = |error: std::io::Error| Error::io(self.directory.display(), &error);
        let mut file = tempfile::Builder::new().suffix(".eml").tempfile_in(&self.directory).map_err(io)?;
        let sender = mail.envelope.sender.address.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut head = format!("X-Held-Because: {}\r\nX-Held-From: <{sender}>\r\n", reason.escape_debug());
        for path in &mail.envelope.recipients {
            head.push_str(&format!("X-Held-For: <{}>\r\n", path.address));
        }
        file.write_all(head.as_bytes()).and_then(|()| file.write_all(mail.message.octets())).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        let (_, path) = file.keep().map_err(|error| io(error.error))?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        Ok(path)
    }
}
