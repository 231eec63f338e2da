//! Classic Privacy Enhanced Mail: RFC 1421 to 1423, with the variants of RIPEM and EDGAR.

pub mod boundary;
pub mod canonical;
mod decrypt;
pub mod header;
pub mod keyfile;
pub mod kind;
mod open;
mod path;
mod private_key;
mod record;
mod seal;
mod select;
pub mod services;
mod shared;
pub mod text;
mod verify;

// boundary.rs     find messages in a text
// header.rs       the fields of an encapsulated header
// text.rs         parse an encapsulated header
// canonical.rs    the signed text, and its transport encodings
// suite.rs        names of algorithms
// kind.rs         whether a message is fully encrypted, without a key
// open.rs         open one layer                                       (claim, open)
// decrypt.rs      decrypt with a recipient's key
// verify.rs       judge one signature: the only caller of Matches::assertion
// shared.rs       interchange keys
// seal.rs         sign and encrypt
// select.rs       choose the key for an address
// services.rs     certification and revocation lists by mail (RFC 1424)
// path.rs         the certification path of RFC 1422
// record.rs       certificates and bare keys, and the names by which PEM finds them
// keyfile.rs      RIPEM's key files, bare keys
// private_key.rs  private keys encrypted as in PKCS#5

pub use seal::signable;

use super::{
    Claim, Context, Needs, Opened, Protocol, Resolved, Seal,
    resolved::{Keyring, Sealer},
};
use crate::{
    base::{Budget, Result},
    keys::ProtocolName,
    mail::{Message, Part},
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

    /// RFC 1421, section 4.6.1.1.1: a message that is encrypted to recipients is signed, by its author when no signer is named.
    fn needs(&self, message: &Message, how: &Seal) -> Needs {
        let mut needs = Needs::of(message, how);
        seal::signers(how).iter().for_each(|signer| needs.add_signer(message.root(), signer));
        needs
    }

    fn resolve(&self, needs: &Needs, context: Context<'_>) -> Result<Box<dyn Resolved>> {
        Ok(Box::new(Keyring::find(needs, context, &SEALER)?))
    }
}

/// How the keys of a message are looked up, and what seals with them.
const SEALER: Sealer<select::Chosen, select::SigningKey> = Sealer {
    recipients: select::recipients,
    signer_for: select::signer_for,
    signer_named: select::signer_named,
    seal: seal::seal,
    seal_each: |_, _, _, _| Ok(None),
};
