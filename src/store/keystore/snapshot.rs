//! The files of a home for a backup.

use super::Keystore;
use crate::{
    base::{Result, Secret},
    store::{
        backup::{HomeFile, revocation_files, sealed_files},
        home::DATABASE,
        integrity::Writer,
        journal::Journal,
        master,
    },
};

impl Keystore {
    /// Everything of the home as it is at one moment: the database, the files that revoke, sealed files, and a master key that opens the database in this copy, so
    /// that the copy can be used where the master key of this home is not. Secret keys stay locked with their passphrases. `None` when there is no
    /// home.
    ///
    /// # Errors
    ///
    /// Those of reading; `Inaccessible` when the master key is missing or does not fit.
    pub fn files(&self) -> Result<Option<Vec<HomeFile>>> {
        let master = self.look(None, |reader, _| reader.master())?;
        let data_key = master.map(|master| self.opened_key(&master)).transpose()?;
        let anew = data_key.map(|data_key| data_key.wrap_anew(self.random.as_ref())).transpose()?;
        let copied = self.backend.snapshot(&mut |tx| {
            anew.as_ref().map_or(Ok(()), |(row, _)| Writer::new(tx, &Journal::default()).set_master(row))
        })?;
        let Some(octets) = copied else { return Ok(None) };
        let mut files = vec![HomeFile { name: DATABASE.to_owned(), octets: Secret::new(octets) }];
        files.extend(anew.map(|(_, text)| HomeFile { name: master::OWN.to_owned(), octets: text }));
        files.extend(self.passphrase_file()?);
        files.extend(revocation_files(&self.folder)?);
        files.extend(sealed_files(&self.folder)?);
        Ok(Some(files))
    }
}
