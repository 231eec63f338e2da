//! OpenPGP: RFC 9580, RFC 4880 and PGP/MIME (RFC 3156), with Sequoia behind our private-key handle.

mod armor;
mod chunks;
pub mod generate;
pub mod keyfile;
mod open;
mod packets;
mod public;
mod secret;
mod sessions;
mod suite;
mod verify;

// armor.rs      undo armour and the cleartext framework
// chunks.rs     a reader that frees what it has read
// open.rs       peel one layer: PGP/MIME, inline                         (claim, open)
// packets.rs    the walk over OpenPGP packets: containers, literal, signatures
// sessions.rs   session keys, tried against every secret key and password
// public.rs     check a digest under a public key
// verify.rs     judge one signature: the one place that calls Matches::assertion
// seal.rs       sign and encrypt, the shapes of RFC 3156
// suite.rs      names and numbers of algorithms
// cert.rs       certificates: describe key files, select keys for an address and a use, say why not
// secret.rs     our SecretKey behind Sequoia's Signer and Decryptor; unlocking
// keyfile.rs    key files read, merged, written, unlocked
// generate.rs   new keys

use std::io::Write;

use super::{Claim, Context, Opened, Protocol, Seal, Sealed};
use crate::{
    base::{Budget, Result},
    keys::ProtocolName,
    mail::{Message, Part},
};

/// OpenPGP as a [`Protocol`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Pgp;

impl Protocol for Pgp {
    fn name(&self) -> ProtocolName {
        ProtocolName::Pgp
    }

    fn claim(&self, part: Part<'_>) -> Option<Claim> {
        open::claim(part)
    }

    fn open(&self, message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
        open::open(message, claim, context, budget)
    }

    fn seal(&self, message: &Message, how: &Seal, context: Context<'_>, out: &mut dyn Write) -> Result<Sealed> {
        { let _ = (message, how, context, out); unimplemented!() }
    }
}
