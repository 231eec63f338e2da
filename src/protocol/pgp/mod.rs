//! OpenPGP: RFC 9580, RFC 4880 and PGP/MIME (RFC 3156), with Sequoia behind our private-key handle.

mod armor;
mod cert;
mod chunks;
mod dearmor;
mod encrypt;
pub mod generate;
mod inline;
pub mod keyfile;
mod literal;
mod open;
mod packets;
mod plan;
mod seal;
mod secret;
mod select;
mod sessions;
mod sign;
mod suite;
mod verify;

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
        seal::seal(message, how, context, out)
    }
}
