//! Converts one message of a mailbox.

use super::judge::Judged;
use crate::{
    base::{Error, Result},
    engine::{Engine, Opening, Shown},
    keys::ProtocolName,
    mail::{Address, Message, form, header::Edit},
    protocol::{Recipient, Seal},
    report::authserv::Believed,
};

/// What is made of each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// The same under an Authentication-Results field.
    Annotate,
    /// Its plaintext under an Authentication-Results field, which says what was found before it was opened.
    Decrypt,
    /// The same, encrypted to these.
    Encrypt {
        /// In which protocol.
        protocol: ProtocolName,
        /// To whom.
        to: Vec<Address>,
    },
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Converted {
    /// It was changed.
    Changed {
        /// The new message.
        octets: Vec<u8>,
        /// What is doubtful about it, a few words each.
        warnings: Vec<String>,
    },
    /// It stays as it is; why, in a few words.
    Kept(&'static str),
}

impl Conversion {
    /// Converts a message, and checks the result: what was decrypted is not encrypted any more, and what was encrypted decrypts to what it was,
    /// if its key is here.
    ///
    /// # Errors
    ///
    /// It cannot be converted: it could not be read where it lies, is no mail message, or the keys to encrypt it are missing.
    pub fn convert(&self, engine: &Engine<'_>, judged: &Judged, believed: Believed<'_>) -> Result<Converted> {
        let message = match (&judged.message, &judged.opening) {
            (Some(message), _) => message,
            (None, Err(error)) => return Err(error.clone()),
            (None, Ok(_)) => return Err(Error::unavailable("no octets")),
        };
        match (self, &judged.opening) {
            (Conversion::Encrypt { protocol, to }, opening) => encrypt(engine, message, opening, *protocol, to),
            (_, Err(_)) => Ok(Converted::Kept("cannot be read")),
            (Conversion::Annotate, Ok(opening)) => {
                annotated(engine, message, opening, Shown::AsItCame, believed).map(|octets| changed(message, octets))
            }
            (Conversion::Decrypt, Ok(opening)) => decrypt(engine, opening, believed),
        }
    }
}

fn changed(before: &Message, octets: Vec<u8>) -> Converted {
    match before.octets() == octets {
        true => Converted::Kept("annotated already"),
        false => Converted::Changed { octets, warnings: Vec::new() },
    }
}

fn annotated(
    engine: &Engine<'_>,
    message: &Message,
    opening: &Opening,
    shown: Shown,
    believed: Believed<'_>,
) -> Result<Vec<u8>> {
    engine.annotated(message, opening, shown, believed).map(Message::into_octets)
}

fn decrypt(engine: &Engine<'_>, opening: &Opening, believed: Believed<'_>) -> Result<Converted> {
    match opening.error() {
        Some(error) if error.is_sealed() => return Ok(Converted::Kept("not opened by a key here")),
        Some(_) => return Ok(Converted::Kept("cannot be read")),
        None if !opening.verdict().is_confidential() => return Ok(Converted::Kept("not encrypted")),
        // Its reader would show what an attacker may have made of it.
        None if opening.is_unauthenticated() => return Ok(Converted::Kept("not authenticated")),
        None => {}
    }
    let mut octets = Vec::new();
    opening.write(&mut octets)?;
    let plain = Message::parse(octets, &mut engine.budget())?;
    if engine.is_encrypted(&plain) {
        return Err(Error::unavailable("still encrypted after it was decrypted"));
    }
    let octets = annotated(engine, &plain, opening, Shown::Plaintext, believed)?;
    Ok(Converted::Changed { octets, warnings: Vec::new() })
}

fn encrypt(
    engine: &Engine<'_>,
    message: &Message,
    before: &Result<Opening>,
    protocol: ProtocolName,
    to: &[Address],
) -> Result<Converted> {
    if engine.is_encrypted(message) {
        return Ok(Converted::Kept("encrypted already"));
    }
    form::require_message(message)?;
    let to = to.iter().cloned().map(Recipient::Named).collect();
    let how = Seal { to, ..Seal::default() }.with_usual_headers(protocol);
    let mut octets = Vec::with_capacity(message.octets().len() * 3 / 2 + 8 * 1024);
    let mut warnings = engine.seal(protocol, message, &how, &mut octets)?.warnings;
    let sealed = Message::parse(octets.clone(), &mut engine.budget())?;
    if !engine.is_encrypted(&sealed) {
        return Err(Error::unavailable("not encrypted after it was encrypted"));
    }
    let after = engine.open(sealed)?;
    match (after.error(), before) {
        (None, Ok(before)) if before.error().is_none() => {
            if before.verdict().standing() != after.verdict().standing()
                || plain(before, engine)? != plain(&after, engine)?
            {
                return Err(Error::unavailable("does not decrypt to what it was"));
            }
        }
        (Some(error), _) if error.is_sealed() => {
            warnings.push("not opened again, because its key is not here".to_owned());
        }
        (Some(error), _) => return Err(error.clone()),
        (None, _) => warnings.push("not compared, because it could not be read before".to_owned()),
    }
    Ok(Converted::Changed { octets, warnings })
}

/// What is within all layers, without the Bcc fields, which encryption leaves out.
fn plain(opening: &Opening, engine: &Engine<'_>) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    opening.write(&mut octets)?;
    let message = Message::parse(octets, &mut engine.budget())?;
    let mut header = Edit::new(message.root());
    header.delete("Bcc");
    header.delete("Resent-Bcc");
    Ok([&header.octets(), message.root().body()].concat())
}
