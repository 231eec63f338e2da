//! Small files of a home that are sealed as secret keys are: they are of use with the master key alone.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
};

use super::Keystore;
use crate::{
    audit::Event,
    base::{Error, Kind, Result, Secret},
    store::files::{Folder, SEALED, is_sealed_name},
};

impl Keystore {
    /// The content of a sealed file; `None` when there is none of this name.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the master key is missing or does not fit; `Damaged` when the content is not what was written under this name.
    pub fn sealed_file(&self, name: &str) -> Result<Option<Secret>> {
        let Some(folder) = Folder::open(&self.folder.join(SEALED))? else { return Ok(None) };
        let Some(octets) = folder.read(checked(name)?)? else { return Ok(None) };
        let gone = || Error::damaged(self.folder.display(), "what says where the master key is: gone");
        let master = self.look(None, |reader, _| reader.master())?.ok_or_else(gone)?;
        self.opened_key(&master)?.open(&bound(name), octets.expose()).map(Some)
    }

    /// Writes a sealed file whole, or leaves the old one.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the master key is missing or does not fit; those of writing.
    pub fn seal_file(&self, name: &str, content: &Secret) -> Result<()> {
        let name = checked(name)?;
        let data_key = match self.look(None, |reader, _| reader.master())? {
            Some(master) => self.opened_key(&master)?,
            None => self.write(Event::Master, |writer, key| self.data_key(writer, key))?,
        };
        let octets = data_key.seal(&bound(name), content, self.random.as_ref())?;
        Folder::create(&self.folder.join(SEALED))?.write(name, &octets)
    }

    /// Waits until no other process changes sealed files by several steps, and keeps others from it until the result is dropped.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn lock_sealed_files(&self) -> Result<File> {
        let folder = Folder::create(&self.folder.join(SEALED))?;
        let place = folder.path().join(".lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&place);
        file.and_then(|file| file.lock().map(|()| file)).map_err(|error| Error::io(place.display(), &error))
    }

    /// Removes a sealed file, if there is one.
    ///
    /// # Errors
    ///
    /// Those of writing.
    pub fn remove_sealed_file(&self, name: &str) -> Result<()> {
        match Folder::open(&self.folder.join(SEALED))? {
            Some(folder) => folder.remove(checked(name)?),
            None => Ok(()),
        }
    }

    /// The names of the sealed files, sorted.
    ///
    /// # Errors
    ///
    /// Those of reading.
    pub fn sealed_files(&self) -> Result<Vec<String>> {
        match Folder::open(&self.folder.join(SEALED))? {
            Some(folder) => folder.names(is_sealed_name),
            None => Ok(Vec::new()),
        }
    }
}

/// What binds the content to its name. No fingerprint has this form.
fn bound(name: &str) -> String {
    format!("file {name}")
}

fn checked(name: &str) -> Result<&str> {
    match is_sealed_name(name) {
        true => Ok(name),
        false => Err(Error::new(Kind::Usage, format!("sealed file {name:?}: not a name"))),
    }
}
