//! The passphrases that are shared with recipients without a key: one file in the home, sealed as secret keys are.

use serde_json::json;

use super::Keystore;
use crate::{
    audit::Event,
    base::{Error, Result, Secret},
    keys::{PassphraseFrom, SharedPassphrase},
    mail::Address,
    store::{
        backup::HomeFile,
        files::{Folder, PASSPHRASES},
        master::DataKey,
    },
};

impl Keystore {
    /// Stores the passphrase that is shared with `recipient`, in the place of another one; `None` removes it. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// `Inaccessible` when the master key is missing or does not fit; `Damaged` when what is stored is; those of writing.
    pub fn set_shared_passphrase(&self, recipient: &Address, passphrase: Option<&SharedPassphrase>) -> Result<bool> {
        // The key is in the database before anything is sealed under it.
        let key = self.write(Event::Master, |writer, key| self.data_key(writer, key))?;
        // Writers of the database wait for one another, and so do those of this file.
        self.write(Event::SharedPassphrase, |writer, _| {
            let mut all = self.shared_passphrases(&key)?;
            let before = all.len();
            all.retain(|(known, _)| !is_same(known, recipient));
            let is_known = all.len() < before;
            all.extend(passphrase.map(|passphrase| (recipient.to_string(), passphrase.text().clone())));
            all.sort_by(|(one, _), (other, _)| one.cmp(other));
            let mut text = Vec::new();
            for (address, passphrase) in &all {
                text.extend([address.as_bytes(), b"\t", passphrase.expose(), b"\n"].concat());
            }
            let sealed = key.seal(SEALED_AS, &Secret::new(text), self.random.as_ref())?;
            Folder::create(&self.folder)?.write(PASSPHRASES, &sealed)?;
            let done = if passphrase.is_some() { "stored" } else { "removed" };
            if is_known || passphrase.is_some() {
                writer.journal().add(json!({ "recipient": recipient.to_string(), "passphrase": true, "done": done }));
            }
            Ok(is_known)
        })
    }

    /// The recipients with whom a passphrase is shared.
    ///
    /// # Errors
    ///
    /// As [`Keystore::set_shared_passphrase`].
    pub fn shared_with(&self) -> Result<Vec<Address>> {
        let all = self.known_passphrases()?;
        all.iter().map(|(address, _)| Address::parse(address)).collect()
    }

    /// The one that is shared with `recipient`.
    pub(super) fn passphrase_with(&self, recipient: &Address) -> Result<Option<SharedPassphrase>> {
        let all = self.known_passphrases()?;
        let found = all.into_iter().find(|(address, _)| is_same(address, recipient));
        let read = |(_, text): (String, Secret)| {
            let text = std::str::from_utf8(text.expose()).map_err(|_| damaged())?;
            SharedPassphrase::parse(text, PassphraseFrom::Store)
        };
        found.map(read).transpose()
    }

    /// The file for a backup. It is sealed under the data key, which the backup has.
    pub(super) fn passphrase_file(&self) -> Result<Option<HomeFile>> {
        let sealed = self.sealed_passphrases()?;
        Ok(sealed.map(|octets| HomeFile { name: PASSPHRASES.to_owned(), octets }))
    }

    fn known_passphrases(&self) -> Result<Vec<(String, Secret)>> {
        if self.sealed_passphrases()?.is_none() {
            return Ok(Vec::new());
        }
        let master = self.look(None, |reader, _| reader.master())?.ok_or_else(damaged)?;
        let key = self.opened_key(&master)?;
        self.shared_passphrases(&key)
    }

    fn shared_passphrases(&self, key: &DataKey) -> Result<Vec<(String, Secret)>> {
        let Some(sealed) = self.sealed_passphrases()? else { return Ok(Vec::new()) };
        let text = key.open(SEALED_AS, sealed.expose()).map_err(|_| damaged())?;
        let lines = text.expose().split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
        let read = |line: &[u8]| {
            let at = line.iter().position(|octet| *octet == b'\t')?;
            let (address, passphrase) = line.split_at_checked(at)?;
            Some((String::from_utf8(address.to_vec()).ok()?, Secret::new(passphrase.get(1..)?.to_vec())))
        };
        lines.map(|line| read(line).ok_or_else(damaged)).collect()
    }

    fn sealed_passphrases(&self) -> Result<Option<Secret>> {
        Folder::open(&self.folder)?.map_or(Ok(None), |folder| folder.read(PASSPHRASES))
    }
}

fn is_same(known: &str, address: &Address) -> bool {
    known.eq_ignore_ascii_case(&address.to_string())
}

fn damaged() -> Error {
    Error::damaged(PASSPHRASES, "damaged, or of another home")
}

/// What the seal is bound to, in the place of a fingerprint.
const SEALED_AS: &str = "shared passphrases";
