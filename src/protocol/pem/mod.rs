//! Classic Privacy Enhanced Mail: RFC 1421 to 1423, and what RIPEM and EDGAR made of it.

pub mod canonical;
mod crl;
mod decrypt;
pub mod keyfile;
mod open;
mod path;
mod private_key;
mod record;
mod seal;
mod select;
mod shared;
mod suite;
pub mod text;
mod verify;

// text.rs         where messages lie, and what their headers say
// canonical.rs    the text that is signed, and the forms it travels in
// suite.rs        names of algorithms
// open.rs         peel one layer                                       (claim, open)
// decrypt.rs      the key of a reader, and what it hides
// verify.rs       judge one signature: the one place that calls Matches::assertion
// shared.rs       interchange keys
// seal.rs         sign and encrypt
// select.rs       which key an address means
// crl.rs          revocation lists in messages of their own
// path.rs         the certification path of RFC 1422
// record.rs       certificates and bare keys, as PEM names them
// keyfile.rs      RIPEM's key files, bare keys
// private_key.rs  private keys under PKCS#5

use std::io::Write;

pub use crl::revocation_lists;
pub use seal::signable;

use super::{Claim, Context, Opened, Protocol, Purpose, Seal, Sealed};
use crate::{
    base::{Budget, Result},
    keys::{KeyState, ProtocolName},
    mail::{Address, Message, Part},
};

/// Classic PEM as a [`Protocol`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Pem;

impl Protocol for Pem {
    fn name(&self) -> ProtocolName {
        ProtocolName::Pem
    }

    fn claim(&self, part: Part<'_>) -> Option<Claim> {
        open::claim(part)
    }

    fn open(&self, message: Message, claim: &Claim, context: Context<'_>, budget: &mut Budget) -> Result<Opened> {
        open::open(&message, claim, context, budget)
    }

    fn seal(&self, message: &Message, how: &Seal, context: Context<'_>, out: &mut dyn Write) -> Result<Sealed> {
        seal::seal(message.root(), how, context, out)
    }

    fn readiness(&self, address: &Address, purpose: Purpose, context: Context<'_>) -> Result<KeyState> {
        select::readiness(address, purpose, context)
    }
}
