//! S/MIME: RFC 8551 over CMS (RFC 5652) and PKIX.

pub mod keyfile;
mod pem_bundle;
mod pieces;
mod pkcs8;
pub mod record;
pub mod statements;

// keyfile.rs    key files: certificates and private keys put together, unlocked
// pieces.rs     what key files are made of
// pem_bundle.rs labelled base64 in text
// pkcs8.rs      private keys in their encodings
// record.rs     everything by which a certificate may be named
mod ber;

use std::io::Write;

use super::{Claim, Context, Opened, Protocol, Seal, Sealed};
use crate::{
    base::{Budget, Result},
    keys::ProtocolName,
    mail::{Message, Part},
};

/// The S/MIME protocol.
#[derive(Clone, Copy, Debug)]
pub struct Smime;

impl Protocol for Smime {
    fn name(&self) -> ProtocolName {
        ProtocolName::Smime
    }

    fn claim(&self, _part: Part<'_>) -> Option<Claim> {
        None
    }

    fn open(&self, _message: Message, _claim: &Claim, _context: Context<'_>, _budget: &mut Budget) -> Result<Opened> {
        todo!()
    }

    fn seal(&self, _message: &Message, _how: &Seal, _context: Context<'_>, _out: &mut dyn Write) -> Result<Sealed> {
        todo!()
    }
}
