//! Octets sealed with a passphrase, as one message of OpenPGP that GnuPG and sq open: AES-256 in a container with an integrity check (RFC 9580,
//! section 5.13.1), and a key that is derived from the passphrase with 65,011,712 octets of hashing (section 3.7.1.3), the most that there is.
//! GnuPG reads neither Argon2 nor a container of version 2.

use std::{
    cell::Cell,
    io::{Read, Write},
};

use sequoia_openpgp::{
    Cert, KeyHandle, anyhow,
    crypto::{Password, SessionKey},
    packet::{PKESK, SKESK},
    parse::{
        Parse,
        stream::{DecryptionHelper, DecryptorBuilder, MessageStructure, VerificationHelper},
    },
    serialize::stream::{Encryptor, LiteralWriter, Message},
    types::{DataFormat, SymmetricAlgorithm},
};

use super::{lenient::LENIENT, words::reason};
use crate::base::{Error, Result, Secret};

/// Seals `octets`; `name` is that of the file within.
///
/// # Errors
///
/// `Unavailable` when that fails.
pub fn seal(octets: &Secret, name: &str, passphrase: &Secret) -> Result<Vec<u8>> {
    let written = || -> anyhow::Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(octets.expose().len() + ROOM);
        let message = Message::new(&mut sealed);
        let password = Password::from(passphrase.expose());
        let message =
            Encryptor::with_passwords(message, [password]).symmetric_algo(SymmetricAlgorithm::AES256).build()?;
        let mut message = LiteralWriter::new(message).format(DataFormat::Binary).filename(name)?.build()?;
        message.write_all(octets.expose())?;
        message.finalize()?;
        Ok(sealed)
    };
    written().map_err(|error| Error::unavailable(format!("backup: {}", reason(&error))))
}

/// What [`seal`] sealed; `None` when the passphrase does not fit.
///
/// # Errors
///
/// `Malformed` when it is damaged, or no such message.
pub fn open(sealed: &[u8], passphrase: &Secret, place: &str) -> Result<Option<Secret>> {
    let damaged = |why: &anyhow::Error| Error::malformed(place, format!("damaged, or not a backup: {}", reason(why)));
    if sealed.len() < SHORTEST {
        return Err(Error::malformed(place, "damaged, or not a backup: too short"));
    }
    let builder = DecryptorBuilder::from_bytes(sealed).map_err(|error| damaged(&error))?;
    let fits = Cell::new(Fits::Unasked);
    let opener = Opener { password: Password::from(passphrase.expose()), fits: &fits };
    let mut plain = Vec::with_capacity(sealed.len());
    let read = builder.with_policy(&LENIENT, None, opener).and_then(|mut opened| Ok(opened.read_to_end(&mut plain)?));
    let plain = Secret::new(plain);
    match (read, fits.get()) {
        (Ok(_), Fits::Yes) => Ok(Some(plain)),
        (_, Fits::No) => Ok(None),
        // What is not encrypted is no backup either.
        (Ok(_), Fits::Unasked) => Err(Error::malformed(place, "not a backup: it is not locked with a passphrase")),
        (Err(error), _) => Err(damaged(&error)),
    }
}

/// Whether the passphrase fits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fits {
    /// No lock was met.
    Unasked,
    No,
    Yes,
}

struct Opener<'a> {
    password: Password,
    fits: &'a Cell<Fits>,
}

impl DecryptionHelper for Opener<'_> {
    fn decrypt(
        &mut self,
        _: &[PKESK],
        locks: &[SKESK],
        _: Option<SymmetricAlgorithm>,
        decrypt: &mut dyn FnMut(Option<SymmetricAlgorithm>, &SessionKey) -> bool,
    ) -> anyhow::Result<Option<Cert>> {
        if !locks.is_empty() {
            self.fits.set(Fits::No);
        }
        for lock in locks {
            if let Ok((algorithm, session)) = lock.decrypt(&self.password)
                && decrypt(algorithm, &session)
            {
                self.fits.set(Fits::Yes);
            }
        }
        Ok(None)
    }
}

impl VerificationHelper for Opener<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> anyhow::Result<Vec<Cert>> {
        Ok(Vec::new())
    }

    /// A backup has no signature: the passphrase says whose it is.
    fn check(&mut self, _: MessageStructure<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Octets of the shortest message that is opened: a home has more, and Sequoia panics on a container that is cut within its first 40 octets.
const SHORTEST: usize = 1024;
/// Octets that the message has besides its content.
const ROOM: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Kind;

    #[test]
    fn a_changed_octet_anywhere_is_found() {
        let passphrase = Secret::from("correct horse");
        let sealed = seal(&Secret::new(vec![7; 3000]), "home.tar", &passphrase).unwrap();
        assert_eq!(open(&sealed, &passphrase, "b").unwrap().unwrap().expose(), [7; 3000]);
        assert_eq!(open(&sealed, &Secret::from("horse"), "b").unwrap(), None);
        for at in (0..sealed.len()).step_by(61) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            for damaged in [&changed[..], &sealed[..at]] {
                match open(damaged, &passphrase, "b") {
                    Err(error) => assert_eq!(error.kind(), Kind::Malformed, "{at}"),
                    // Damage to what locks the session key looks like another passphrase.
                    Ok(opened) => assert_eq!(opened, None, "{at}"),
                }
            }
        }
        assert!(open(b"nothing", &passphrase, "b").is_err());
    }
}
