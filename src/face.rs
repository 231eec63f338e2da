//! The simple face: four verbs over octets and keys, with the machine's clock and randomness.

use crate::{
    base::{Limits, Result, SystemClock, SystemRandom},
    crypto::Legacy,
    engine::{Engine, Opening},
    keys::{Keys, ProtocolName},
    mail::{Address, Message, form},
    pki::Revocation,
    protocol::{Context, Recipient, Seal, Signer},
};

/// Signs `message` as its author, in the protocol's MIME form (for OpenPGP multipart/signed, RFC 3156, section 5). The signature covers the
/// header too (RFC 9788), which stays readable.
///
/// # Errors
///
/// `NoKey` when no usable secret key belongs to the author; `Malformed` for what is no mail message ([`form::require_message`]), and when
/// the message is over the default bounds.
pub fn sign(message: &[u8], protocol: ProtocolName, keys: &dyn Keys) -> Result<Vec<u8>> {
    seal(message, protocol, keys, Seal { sign: vec![Signer::Author], ..Seal::default() })
}

/// Signs `message` as its author and encrypts it to `recipients` (for OpenPGP both in one, RFC 3156, section 6.2). Signature and encryption cover
/// the header too: the subject outside is `[...]` (RFC 9788, section 3.2.1).
///
/// # Errors
///
/// `NoKey` naming the address and the reason when a key is missing or unusable; `Malformed` as [`sign`].
pub fn encrypt(message: &[u8], protocol: ProtocolName, recipients: &[Address], keys: &dyn Keys) -> Result<Vec<u8>> {
    let to = recipients.iter().cloned().map(Recipient::Named).collect();
    seal(message, protocol, keys, Seal { sign: vec![Signer::Author], to, ..Seal::default() })
}

/// Judges `message`. A bad signature is an answer: see [`Opening::verdict`].
///
/// # Errors
///
/// Only when the message is over the default bounds; a layer that cannot be opened is [`Opening::error`].
pub fn verify(message: &[u8], keys: &dyn Keys) -> Result<Opening> {
    let engine = engine(keys);
    engine.open(Message::parse(message.to_vec(), &mut engine.budget())?)
}

/// The message as it was written before it was sealed, and what is to be thought of it.
///
/// # Errors
///
/// As [`verify`]; `NoKey` when no secret key opens it; `Malformed` when it was changed on the way.
pub fn decrypt(message: &[u8], keys: &dyn Keys) -> Result<(Vec<u8>, Opening)> {
    let opening = verify(message, keys)?;
    let mut written = Vec::new();
    opening.write(&mut written)?;
    Ok((written, opening))
}

fn seal(message: &[u8], protocol: ProtocolName, keys: &dyn Keys, how: Seal) -> Result<Vec<u8>> {
    let engine = engine(keys);
    let message = Message::parse(message.to_vec(), &mut engine.budget())?;
    form::require_message(&message)?;
    let mut sealed = Vec::new();
    engine.seal(protocol, &message, &how.with_usual_headers(protocol), &mut sealed)?;
    Ok(sealed)
}

fn engine(keys: &dyn Keys) -> Engine<'_> {
    let context = Context {
        keys,
        clock: &SystemClock,
        random: &SystemRandom,
        legacy: Legacy::Refuse,
        revocation: Revocation::Soft,
    };
    Engine::new(context, Limits::default())
}
