//! The passphrase that a sender gives with the message, in a header field that goes no further.

use crate::{
    base::{Budget, Error, Result},
    engine::edit::Edits,
    keys::{PassphraseFrom, SharedPassphrase},
    mail::{Mail, Message, Submitter, header::Field},
};

/// A mail without the field with a passphrase, from any sender.
#[derive(Debug)]
pub struct Submitted {
    /// The mail as it is handled.
    pub mail: Mail,
    /// The passphrase of a known submitter.
    pub passphrase: Option<SharedPassphrase>,
}

impl Submitted {
    /// Takes the field out of the header, in whatever spelling a mail reader may find it.
    ///
    /// # Errors
    ///
    /// `Malformed` when a known submitter gives several passphrases, or one that is easy to guess; when the field is in the message a second time,
    /// as in a protected header, where it cannot be removed; and when the message is over the limits.
    pub fn of(mail: Mail, mut budget: Budget) -> Result<Submitted> {
        let fields: Vec<Field<'_>> = mail.message.root().fields().filter(is_passphrase).collect();
        if fields.is_empty() {
            return Ok(Submitted { mail, passphrase: None });
        }
        let refused = |why: &str| Error::malformed(PASSPHRASE_FIELD, why);
        let passphrase = match (&mail.submitter, fields.as_slice()) {
            (Submitter::Host | Submitter::Unknown, _) => None,
            (_, [field]) if field.is(PASSPHRASE_FIELD) => {
                let read = SharedPassphrase::parse(&field.decoded(), PassphraseFrom::Message);
                Some(read.map_err(|error| refused(&error.to_string()))?)
            }
            (_, [_]) => return Err(refused("not written as a header field")),
            _ => return Err(refused("more than one")),
        };
        let Some(octets) = Edits::default().apply(&mail.message, is_passphrase) else {
            return Err(refused("cannot be removed"));
        };
        if names_field(&octets) {
            return Err(refused("also within the message, from where it is not removed"));
        }
        let message = Message::received(octets, &mut budget)?;
        Ok(Submitted { mail: Mail { message, ..mail }, passphrase })
    }
}

/// The message without the field with a passphrase, as far as it can be removed.
pub(in crate::engine) fn without_passphrase(message: &Message, mut budget: Budget) -> Message {
    let octets = Edits::default().apply(message, is_passphrase);
    octets.and_then(|octets| Message::received(octets, &mut budget).ok()).unwrap_or_else(|| message.clone())
}

/// Whether a mail reader may find the passphrase in this field.
pub(super) fn is_passphrase(field: &Field<'_>) -> bool {
    field.readings().any(|(name, _)| name.eq_ignore_ascii_case(PASSPHRASE_FIELD))
}

/// Whether the name of the field is anywhere in the octets.
fn names_field(octets: &[u8]) -> bool {
    let name = PASSPHRASE_FIELD.as_bytes();
    memchr::memchr2_iter(b'x', b'X', octets)
        .any(|at| octets.get(at..at + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)))
}

/// The header field with the passphrase for recipients without a key.
pub const PASSPHRASE_FIELD: &str = "X-Postseal-Passphrase";
